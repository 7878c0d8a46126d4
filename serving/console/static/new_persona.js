// A new persona, from nothing or from a character card: the form with a live preview, then the way from a folder of
// writing to somebody who answers. What was filled in stays while other pages are looked at.

import { post, upload } from "./api.js";
import { askKey, noAdminKey, page, refresh, session } from "./app.js";
import { announce, button, el, field, fill, notice } from "./dom.js";
import { badge, failure, hint, part, row, stack } from "./parts.js";
import { become } from "./becoming.js";
import { DraftForm } from "./draft_form.js";
import { monogram } from "./personas.js";
import { dropZone } from "./drop.js";
import { Shelf } from "./writing.js";

const QUIET_MS = 350;

let studio = null;

class Studio {
	constructor() {
		this.form = new DraftForm({ onchange: () => this.#later() });
		this.shelf = new Shelf();
		this.site = el("input", { type: "url", placeholder: "https://…", autocomplete: "off" });
		this.preview = el("div.preview.stack");
		this.top = stack();
		this.problem = el("div.stack", { "aria-live": "polite" });
		this.submit = el("div");
		this.timer = null;
		this.asked = 0;
		this.node = el(
			"div.studio",
			el(
				"form.stack",
				{
					novalidate: true,
					onsubmit: (event) => {
						event.preventDefault();
						this.#make();
					},
				},
				this.top,
				part("Who speaks", ...this.form.who),
				part(
					"The writing",
					el("p.soft", {
						text: "What it answers from, and is trained on. It can come later, or not at all: then it speaks by its prompt.",
					}),
					this.shelf.node,
					field("Or a site to read", this.site, { hint: "An author's own pages, by the rules of their robots.txt." }),
				),
				part("Rights", ...this.form.rights),
				part(
					"How it speaks",
					el(
						"details",
						el("summary", { text: "Prompts, disclosure and freedom: all have templates" }),
						el("div.stack.fold-body", ...this.form.manner),
					),
				),
				this.problem,
				this.submit,
			),
			el("aside", { "aria-label": "Preview" }, this.preview),
		);
	}

	/** Somebody signed in or out. */
	session() {
		const { signedIn, adminKeySet } = session();
		fill(
			this.top,
			!signedIn &&
				notice(
					"info",
					adminKeySet
						? "Sign in with the admin key to make a persona. You can fill in the form before."
						: noAdminKey("make a persona"),
					adminKeySet && button("Sign in", askKey, { kind: "primary" }),
				),
			signedIn &&
				dropZone({
					title: "Have a character card? Drop it here",
					note: "PNG, JSON or CHARX, version 1 to 3. It fills in the form; nothing of it is lost.",
					accept: ".png,.json,.charx",
					multiple: false,
					slim: true,
					onfiles: ([file]) => this.#card(file),
				}),
		);
		fill(
			this.submit,
			row(
				button("Make this persona", null, { kind: "primary", type: "submit", disabled: !signedIn }),
				button(
					"Start over",
					() => {
						studio = null;
						refresh();
					},
					{ kind: "quiet" },
				),
			),
		);
		this.#later();
	}

	place(root, signal) {
		this.root = root;
		this.signal = signal;
		fill(root, this.node);
		this.session();
	}

	async #card(file) {
		try {
			const response = await upload("/admin/personas/card", [file], () => {}, { method: "POST" });
			this.form.take(response.draft);
			fill(
				this.problem,
				notice(
					"good",
					`Taken from a character card (version ${response.format.slice(1)})${response.lorebook_entries ? `, with ${response.lorebook_entries} entries of its lorebook as facts worth citing` : ""}. Look it over, and say on what ground you may use it.`,
				),
				response.warnings.map((warning) => notice("warning", warning)),
			);
			announce("The card filled in the form.");
		} catch (error) {
			fill(this.problem, failure(error));
		}
	}

	// -- the preview ------------------------------------------------------------------------------------------

	#later() {
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.#ask(), QUIET_MS);
	}

	async #ask() {
		if (!session().signedIn) return this.#show({ ...this.form.draft(), problems: [], warnings: [] });
		this.asked += 1;
		const mine = this.asked;
		try {
			const draft = this.#draft();
			if (!this.form.idTyped) draft.id = "";
			const told = await post("/admin/personas/preview", draft);
			if (mine !== this.asked) return null; // somebody typed on
			this.form.suggest(told);
			this.form.problems(told.problems);
			this.#show(told);
		} catch (error) {
			if (mine === this.asked) fill(this.preview, failure(error));
		}
		return null;
	}

	#draft() {
		const draft = this.form.draft();
		const url = this.site.value.trim();
		if (url) draft.sources = [{ kind: "site", url }];
		return draft;
	}

	#show(told) {
		const name = this.form.value("display_name") || "Somebody";
		const id = this.form.value("id") || told.id || "…";
		fill(
			this.preview,
			el("p.label", { text: "Preview" }),
			el(
				"div.card.stack",
				row(monogram(name), el("h3", { text: name }), badge("", "Prompt only")),
				told.description && el("p.soft", { text: told.description }),
				hint("People type ", el("code", { text: `/ask ${id}` })),
				told.disclosure && el("p.disclosure", { text: told.disclosure }),
			),
			told.ask_system &&
				stack(el("p.label", { text: "Its prompt" }), el("blockquote.prompt", { text: told.ask_system })),
			(told.warnings ?? []).map((warning) => el("p.hint.warn", { text: warning })),
			told.file &&
				el(
					"details",
					el("summary.hint", { text: "persona.toml, as it will be written" }),
					el("pre", { text: told.file }),
				),
		);
	}

	// -- making it --------------------------------------------------------------------------------------------

	async #make() {
		if (!session().signedIn) return askKey();
		clearTimeout(this.timer);
		const submit = this.submit.querySelector("button");
		submit.disabled = true;
		try {
			const draft = this.#draft();
			const seen = await post("/admin/personas/preview", draft);
			if (!draft.id) draft.id = seen.id;
			const homeless = this.form.problems(seen.problems, { all: true });
			if (seen.problems.length) {
				fill(
					this.problem,
					notice(
						"error",
						seen.problems.length === 1
							? "One thing is to be mended."
							: `${seen.problems.length} things are to be mended.`,
						homeless.length > 0 &&
							el(
								"ul",
								homeless.map((text) => el("li", { text })),
							),
					),
				);
				this.form.focusProblem();
				return null;
			}
			const made = await post("/admin/personas", draft);
			const { root, shelf, signal } = this;
			studio = null;
			return await become(
				root,
				{
					id: made.id,
					name: draft.display_name,
					shelf,
					reads: shelf.files.length > 0 || Boolean(draft.sources?.length) || Boolean(draft.background),
				},
				signal,
			);
		} catch (error) {
			fill(this.problem, failure(error));
			return null;
		} finally {
			submit.disabled = !session().signedIn;
		}
	}
}

async function render(root, _params, signal) {
	studio ??= new Studio();
	studio.place(root, signal);
}

page("#/new", { title: "New persona", render, onSession: () => studio?.session() });
