// The writing a persona is made from: files that wait, sending them, and what is there.

import { get, post, remove, upload } from "./api.js";
import { at } from "./personas.js";
import { announce, button, bytes, dialog, el, field, fill, notice, number, plural, redraw, table } from "./dom.js";
import { dropZone } from "./drop.js";
import { col, failure, num, stack } from "./parts.js";

const MOST_AT_ONCE = 200;
const MOST_BYTES_AT_ONCE = 40e6;
const SHOWN = 8;

const place = (file) => file.webkitRelativePath || file.name;
/** What systems leave in every folder, and nobody wrote. */
const isLitter = (file) =>
	place(file)
		.split("/")
		.some((part) => part.startsWith(".") || part === "Thumbs.db" || part === "desktop.ini");

/** Files that wait to be sent: a drop zone, below it what lies there, and for exports the question whose messages. */
export class Shelf {
	constructor({ onchange = () => {} } = {}) {
		this.files = [];
		this.list = stack();
		this.onchange = onchange;
		this.user = el("input", { type: "text", autocomplete: "off" });
		this.node = stack(
			dropZone({
				folder: true,
				title: "Drop a folder of writing here",
				onfiles: (files) => this.add(files),
				note: "Text, Markdown, HTML, EPUB, zips of these, or an export of WordPress, Medium, Substack, X, Slack or Discord.",
			}),
			this.list,
		);
	}

	add(files) {
		const known = new Set(this.files.map(place));
		this.#set([...this.files, ...files.filter((file) => !isLitter(file) && !known.has(place(file)))]);
		announce(`${plural(this.files.length, "file")} chosen.`);
	}

	clear() {
		this.#set([]);
	}

	#set(files) {
		this.files = files;
		this.onchange();
		if (!files.length) return fill(this.list);
		return redraw(
			this.list,
			el(
				"div.row.between",
				el("strong", { text: `${plural(files.length, "file")}, ${bytes(sizeOf(files))}` }),
				button("Take all away", () => this.clear(), { kind: "quiet" }),
			),
			el(
				"ul.plain.files",
				files.slice(0, SHOWN).map((file) =>
					el(
						"li",
						el("span", { text: place(file) }),
						el("span.hint", { text: bytes(file.size) }),
						button("×", () => this.#set(this.files.filter((other) => other !== file)), {
							kind: "quiet",
							"aria-label": `Take ${place(file)} away`,
						}),
					),
				),
				files.length > SHOWN && el("li.hint", { text: `and ${number(files.length - SHOWN)} more` }),
			),
			files.some((file) => file.name.endsWith(".zip")) &&
				field("Whose messages", this.user, {
					hint: "Of a Slack or Discord export: the id, name or e-mail of the person.",
				}),
		);
	}

	/** Send them to a persona, many in a few requests; `onProgress(part of 1)`. Gives the gateway's last word, with all
	 * that was taken, refused and noted. */
	async send(personaId, { signal, onProgress = () => {} }) {
		const whole = sizeOf(this.files) || 1;
		const user = this.user.value.trim();
		const told = { taken: [], refused: [], notes: [] };
		let writing = null;
		let before = 0;
		for (const some of portions(this.files)) {
			const size = sizeOf(some);
			writing = await upload(
				`${at.admin(personaId)}/writing${user && `?user=${encodeURIComponent(user)}`}`,
				some,
				(part) => onProgress((before + part * size) / whole),
				{ signal },
			);
			before += size;
			for (const part of Object.keys(told)) told[part].push(...(writing[part] ?? []));
		}
		return { ...writing, ...told };
	}
}

const sizeOf = (files) => files.reduce((sum, file) => sum + file.size, 0);

function portions(files) {
	const all = [];
	let size = 0;
	for (const file of files) {
		if (!all.length || all.at(-1).length >= MOST_AT_ONCE || size + file.size > MOST_BYTES_AT_ONCE) {
			all.push([]);
			size = 0;
		}
		all.at(-1).push(file);
		size += file.size;
	}
	return all;
}

/** What came of sending: how many were taken, which were not and why. */
export function outcome({ taken, refused, notes }) {
	return stack(
		taken.length > 0 && notice("good", `${plural(taken.length, "file")} ${taken.length === 1 ? "was" : "were"} taken.`),
		refused.length > 0 &&
			notice(
				"warning",
				`${number(refused.length)} left out:`,
				el(
					"ul.hint",
					refused.slice(0, 20).map(({ name, reason }) => el("li", { text: `${name}: ${reason}` })),
				),
			),
		notes.length > 0 &&
			el(
				"ul.hint",
				notes.map((note) => el("li", { text: note })),
			),
	);
}

/** On the page of a persona made here: its files, more of them, and a site to read. `onadded()` after a change. */
export function writingPanel(personaId, { signal, onadded }) {
	const path = at.admin(personaId);
	const there = stack();
	const told = stack();
	const failed = (node) => (error) => {
		if (!signal.aborted) fill(node, failure(error));
	};
	const takeAway = (file) => async () => {
		const left = await askRemoval(path, file);
		if (left) show(left);
	};
	const show = (writing) =>
		fill(
			there,
			el(
				"details",
				el("summary", `${plural(writing.files.length, "file")}, ${bytes(writing.bytes)}`),
				table({
					caption: "Files of writing",
					rows: writing.files,
					empty: "No files yet.",
					columns: [
						col("File", ({ name }) => name),
						num("Size", (file) => bytes(file.bytes)),
						col("Remove", (file) =>
							button("Remove", takeAway(file), { kind: "quiet", "aria-label": `Remove ${file.name}` }),
						),
					],
				}),
			),
		);
	const shelf = new Shelf({
		onchange: () => {
			add.hidden = !shelf.files.length;
		},
	});
	const add = button(
		"Add to its writing",
		async () => {
			const bar = el("progress", { max: 1, value: 0, "aria-label": "Sending" });
			fill(told, bar);
			add.disabled = true;
			try {
				const writing = await shelf.send(personaId, {
					signal,
					onProgress: (part) => {
						bar.value = part;
					},
				});
				shelf.clear();
				fill(told, outcome(writing));
				show(writing);
				if (writing.taken.length) onadded();
			} catch (error) {
				failed(told)(error);
			} finally {
				add.disabled = false;
			}
		},
		{ kind: "primary", hidden: true },
	);
	get(`${path}/writing`, { signal }).then(show, failed(there));
	const url = el("input", { type: "url", placeholder: "https://…" });
	const addSite = async (event) => {
		event.preventDefault();
		try {
			show(await post(`${path}/sources`, { kind: "site", url: url.value.trim() }));
			url.value = "";
			onadded();
		} catch (error) {
			failed(told)(error);
		}
	};
	return stack(
		there,
		shelf.node,
		el("div", add),
		told,
		el("form.row.end", { onsubmit: addSite }, field("Or add a site", url), button("Add", null, { type: "submit" })),
	);
}

async function askRemoval(path, file) {
	return dialog({
		title: `Remove ${file.name}?`,
		body: el("p", { text: "The next reading leaves it out." }),
		actions: [
			{
				label: "Remove it",
				kind: "danger",
				run: () => remove(`${path}/writing?name=${encodeURIComponent(file.name)}`),
			},
		],
	});
}
