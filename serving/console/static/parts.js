// Pieces that the console's pages are put together from.

import { el, notice, uid } from "./dom.js";

export const stack = (...children) => el("div.stack", ...children);

export const row = (...children) => el("div.row", ...children);

export const hint = (...children) => el("p.hint", ...children);

/** An error in its own words. */
export const failure = (error) => notice("error", error.message);

/** A word in a pill. Tones: "good", "live", "bad", "brass", or "" for none. */
export const badge = (tone, text, attributes = {}) => el("span", { class: `badge ${tone}`, text, ...attributes });

/** A part of a page under its own heading. */
export function part(title, ...children) {
	const heading = el("h2", { id: uid("part"), text: title });
	return el("section.stack", { "aria-labelledby": heading.id }, heading, ...children);
}

/** A part that most people leave folded. */
export function fold(title, ...children) {
	return el("details.card.fold", el("summary", el("h2", { text: title })), ...children);
}

/** Columns of a table: of words or nodes, and of numbers. */
export const col = (label, cell) => ({ label, cell });
export const num = (label, cell) => ({ label, cell, align: "end" });

/** A few big figures in a row: `[[label, value, detail], …]`. */
export function figures(list) {
	return el(
		"dl.figures",
		list.map(([label, value, detail]) =>
			el("div", el("dt.label", { text: label }), el("dd", el("strong", value), detail && el("small", detail))),
		),
	);
}

/** Name and value pairs: `[[name, value], …]`; those without a value are left out. */
export function facts(pairs) {
	return el(
		"dl.facts",
		pairs
			.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false)
			.map(([name, value]) => el("div", el("dt", { text: name }), el("dd", value))),
	);
}
