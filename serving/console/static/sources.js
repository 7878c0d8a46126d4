// What an answer leans on: its sources, the markers that lead to them, and how much of it is whose.

import { el, plural } from "./dom.js";
import { link } from "./markdown.js";

const KINDS = { quote: "quoted word for word", paraphrase: "backed by a source", inference: "the imitation’s own" };

/** Nodes of the margin: the sources that were used, and, folded unless `open`, what else the voice was given. */
export function sources(used, rest, { open = false } = {}) {
	const list = (citations) => el("ol.sources", citations.map(source));
	const more = used.length
		? `${plural(rest.length, "more passage")} it was given`
		: `${plural(rest.length, "passage")} it was given`;
	return [
		used.length > 0 && [el("h4.label", { text: "Sources" }), list(used)],
		rest.length > 0 && el("details.rest", { open }, el("summary", { text: more }), list(rest)),
	];
}

function source(citation) {
	const words = citation.quote || citation.excerpt;
	return el(
		"li",
		{ dataset: { number: citation.number }, tabindex: "-1", value: citation.number },
		el("span.number-mark", { "aria-hidden": "true", text: citation.number }),
		el(
			"div",
			el(
				"p.title",
				el("cite", citation.url ? link(citation.url, [citation.title]) : citation.title),
				citation.section && el("span.soft", { text: `, ${citation.section}` }),
			),
			citation.date && el("p.date", { text: citation.date }),
			words && el("blockquote", { text: words }),
		),
	);
}

/** A number among the words; `show` leads to its source, null where there is none to show. */
export function marker(number, show) {
	if (!show) return el("sup.marker", { text: number });
	return el(
		"sup.marker",
		el("button", { type: "button", "aria-label": `Source ${number}`, text: number, onclick: show }),
	);
}

/** Bring a source of a margin into view, and to whoever hears the page. */
export function showSource(margin, number) {
	const found = margin.querySelector(`[data-number="${Number(number)}"]`);
	if (!found) return;
	const folded = found.closest("details");
	if (folded) folded.open = true;
	for (const other of margin.querySelectorAll(".shown")) other.classList.remove("shown");
	found.classList.add("shown");
	found.focus({ preventScroll: true });
	found.scrollIntoView({ block: "nearest" });
}

/** How much of an answer is what: a bar, and the same in words, which is also the key to the marks. */
export function origin(spans) {
	const letters = (some) => some.reduce((sum, span) => sum + span.end - span.start, 0);
	const whole = letters(spans) || 1;
	const kinds = Object.keys(KINDS)
		.map((kind) => ({ kind, share: letters(spans.filter((span) => span.kind === kind)) / whole }))
		.filter(({ share }) => share > 0);
	const bar = kinds.map(({ kind, share }) => {
		const part = el("span", { class: kind });
		part.style.flexGrow = String(share);
		return part;
	});
	const percent = (share) => `${Math.max(1, Math.round(share * 100))} %`;
	const key = kinds.map(({ kind, share }) =>
		el("li", el("span", { class: `mark ${kind}`, text: percent(share) }), ` ${KINDS[kind]}`),
	);
	return el("div.origin", el("div.bar", { "aria-hidden": "true" }, bar), el("ul.shares", key));
}
