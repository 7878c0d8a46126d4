// The way from the file of a new persona to somebody who answers from their writing, each step shown as it happens:
// the writing is sent, read and indexed; a training can follow.

import { get, pause, post } from "./api.js";
import { announce, el, fill, notice } from "./dom.js";
import { watch, workbench } from "./jobs.js";
import { failure, row, stack } from "./parts.js";
import { at } from "./personas.js";
import { outcome } from "./writing.js";

/** The way from a file to somebody who answers, step by step, each shown as it happens. Who goes to talk to it
 * meanwhile stops nothing: what is being sent is sent, and then read. */
export async function become(root, { id, name, shelf, reads }, signal) {
	const heading = el("h2", { tabindex: "-1", text: `${name} is here` });
	const list = el("ol.becoming");
	const after = el("div.row");
	fill(root, stack(heading, list, after));
	heading.focus();
	const step = (title, ...body) => {
		const node = el("li.under-way", el("h3", { text: title }), ...body);
		list.append(node);
		return {
			end: (how, ...more) => {
				node.className = how;
				node.append(...more.flat().filter(Boolean));
			},
		};
	};
	step(
		"It answers by its prompt",
		row(
			el("a", { href: at.ask(id), text: "Talk to it now" }),
			el("span.hint", { text: "within two seconds, in chat too" }),
		),
	).end("done");
	let ready = true;
	if (shelf.files.length) ready = await sendAll(step, id, shelf);
	if (ready && reads) ready = await readAll(step, id, signal);
	if (signal.aborted) return;
	fill(
		after,
		el("a.button.primary", { href: at.ask(id), text: `Ask ${name}` }),
		el("a.button", { href: at.page(id), text: "Its page" }),
	);
	if (!reads || !ready) return;
	step(
		"Train a voice, when you are ready",
		el("p.soft", {
			text: "Plan it first: a few steps are timed on this machine. A training goes on when you leave.",
		}),
		workbench(id, [], { signal, kinds: ["plan", "train"] }).node,
	).end("open");
}

async function sendAll(step, id, shelf) {
	const bar = el("progress", { max: 1, value: 0, "aria-label": "Sending the writing" });
	const sending = step("Its writing is sent", bar);
	try {
		const told = await shelf.send(id, {
			onProgress: (part) => {
				bar.value = part;
			},
		});
		bar.remove();
		sending.end(told.taken.length ? "done" : "failed", outcome(told));
		return told.taken.length > 0;
	} catch (error) {
		sending.end("failed", notice("error", `${error.message} What was sent is kept; add the rest on its page.`));
		announce("The writing could not be sent whole.");
		return false;
	}
}

async function readAll(step, id, signal) {
	const reading = step("It is read and indexed");
	try {
		const job = await post(`${at.admin(id)}/jobs`, { kind: "prepare" });
		const { node, ended } = watch(job, { signal, opened: false });
		reading.end("under-way", node);
		const last = await ended;
		if (!last) return false;
		if (last.state === "done") await takenUp(id, signal);
		reading.end(last.state === "done" ? "done" : "failed");
		if (last.state === "done") announce("It has read its writing: its answers cite it now.");
		return last.state === "done";
	} catch (error) {
		if (!signal.aborted) reading.end("failed", failure(error));
		return false;
	}
}

/** Wait until answers cite the new index: the gateway looks for one every few seconds. */
async function takenUp(id, signal) {
	for (let tries = 0; tries < 20 && !signal.aborted; tries += 1) {
		if ((await get(at.view(id), { signal })).passages) return;
		await pause(1, signal);
	}
}
