// The Markdown of a model as nodes: paragraphs, headings, lists, quotations, code, emphasis, links, and markers [n].
// No HTML comes through: what is not known here stays text. Every letter knows its place in the source, so that what
// the gateway says about stretches of an answer (`done.provenance`, in code points) lands on the right words.

import { el } from "./dom.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const HEADING = /^ {0,3}#{1,6}\s+/;
const ITEM = /^(\s*)([-*+•]|\d{1,3}[.)])\s+/;
const QUOTE = /^ {0,3}> ?/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;

/** Nodes of a text.
 *
 * `spans`: `{start, end, kind, citation}` in code points; `marker(number)` → the node for a marker `[n]`. */
export function markdown(text, { spans = [], marker = (number) => `[${number}]` } = {}) {
	const ink = new Ink(text, spans, marker);
	return blocks(lines(text), ink);
}

function lines(text) {
	const found = [];
	let start = 0;
	for (const line of text.split("\n")) {
		found.push({ start, text: line.replace(/\r$/, "") });
		start += line.length + 1;
	}
	return found;
}

/** The same line without its first `count` letters. */
const shorter = (line, count) => ({ start: line.start + count, text: line.text.slice(count) });

function blocks(source, ink) {
	const nodes = [];
	for (let at = 0; at < source.length;) {
		const { text } = source[at];
		const take = (belongs) => {
			const begin = at;
			do at += 1;
			while (at < source.length && belongs(source[at].text));
			return source.slice(begin, at);
		};
		const fence = FENCE.exec(text)?.[1];
		if (!text.trim()) {
			at += 1;
		} else if (fence) {
			const code = take((next) => !next.trim().startsWith(fence)).slice(1);
			at += 1; // the closing fence, or the end of an answer still being written
			nodes.push(el("pre", { tabindex: "0" }, el("code", { text: code.map((line) => line.text).join("\n") })));
		} else if (RULE.test(text)) {
			nodes.push(el("hr"));
			at += 1;
		} else if (HEADING.test(text)) {
			// Not an h2: the words of an answer are no part of this page's outline.
			nodes.push(el("p.heading", ink.inline([shorter(source[at], HEADING.exec(text)[0].length)])));
			at += 1;
		} else if (QUOTE.test(text)) {
			const inner = take((next) => QUOTE.test(next)).map((line) => shorter(line, QUOTE.exec(line.text)[0].length));
			nodes.push(el("blockquote", blocks(inner, ink)));
		} else if (ITEM.test(text)) {
			const kind = isOrdered(text);
			nodes.push(
				list(
					take((next) => /^\s+\S/.test(next) || (ITEM.test(next) && isOrdered(next) === kind)),
					ink,
				),
			);
		} else {
			const paragraph = take(
				(next) => next.trim() && !FENCE.test(next) && !HEADING.test(next) && !QUOTE.test(next) && !ITEM.test(next),
			);
			nodes.push(el("p", ink.inline(paragraph)));
		}
	}
	return nodes;
}

const isOrdered = (text) => /\d/.test(ITEM.exec(text)[2]);

function list(source, ink) {
	const ordered = isOrdered(source[0].text);
	const indent = ITEM.exec(source[0].text)[1].length;
	const items = [];
	for (const line of source) {
		const match = ITEM.exec(line.text);
		if (match && match[1].length <= indent + 1) items.push([shorter(line, match[0].length)]);
		else items.at(-1).push(shorter(line, Math.min(/^\s*/.exec(line.text)[0].length, indent + 2)));
	}
	const start = ordered ? parseInt(ITEM.exec(source[0].text)[2], 10) : null;
	return el(
		ordered ? "ol" : "ul",
		{ start: start === 1 ? null : start },
		items.map((item) => {
			const nested = item.findIndex((line, place) => place && ITEM.test(line.text));
			const own = nested < 0 ? item : item.slice(0, nested);
			return el("li", ink.inline(own), nested < 0 ? null : blocks(item.slice(nested), ink));
		}),
	);
}

/** Puts letters down: emphasis, code, links, markers, and the marks of where they come from. */
class Ink {
	constructor(text, spans, marker) {
		this.marker = marker;
		this.spans = spans.length ? inUnits(text, spans) : [];
	}

	/** Nodes of some lines of one block. */
	inline(source) {
		const nodes = [];
		source.forEach((line, place) => {
			if (place) nodes.push(el("br"));
			nodes.push(...this.#parse(line.text.trimEnd(), line.start, 0));
		});
		return nodes;
	}

	#parse(text, start, depth) {
		const nodes = [];
		let plain = 0;
		const put = (end) => {
			if (end > plain) nodes.push(...this.#marked(text.slice(plain, end), start + plain));
		};
		TOKEN.lastIndex = 0;
		for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
			const node = this.#token(match, text, start, depth);
			if (!node) {
				TOKEN.lastIndex = match.index + 1;
				continue;
			}
			const end = match.index + match[0].length;
			put(match.index);
			nodes.push(...[node].flat());
			plain = end;
			TOKEN.lastIndex = end;
		}
		put(text.length);
		return nodes;
	}

	#token(match, text, start, depth) {
		const { code, strong, em, label, href, url, numbers } = match.groups;
		const inside = (part) => {
			const offset = match[0].indexOf(part);
			const resume = TOKEN.lastIndex;
			const nodes = depth < 6 ? this.#parse(part, start + match.index + offset, depth + 1) : [part];
			TOKEN.lastIndex = resume;
			return nodes;
		};
		if (code !== undefined) return el("code", { text: code });
		if (strong !== undefined) return el("strong", inside(strong));
		if (em !== undefined) {
			// An underscore or asterisk inside a word is a letter of it.
			const joined = /\w/.test(text[match.index - 1] ?? "") || /\w/.test(text[match.index + match[0].length] ?? "");
			return joined ? null : el("em", inside(em));
		}
		if (numbers !== undefined) return numbers.split(",").map((number) => this.marker(Number(number)));
		if (label !== undefined) return link(href, inside(label));
		return url ? link(url, [url]) : null;
	}

	/** Text, each stretch of it marked as the quotation or paraphrase it is. */
	#marked(text, start) {
		const nodes = [];
		for (let at = 0; at < text.length;) {
			const place = start + at;
			const span = this.spans.find((each) => each.start <= place && place < each.end);
			const next = this.spans.find((each) => each.start > place);
			const end = Math.min(text.length, (span ? span.end : next ? next.start : Infinity) - start);
			const piece = text.slice(at, end);
			nodes.push(
				span && span.kind !== "inference" && piece.trim()
					? el("span", { class: `mark ${span.kind}`, dataset: { citation: span.citation ?? "" } }, piece)
					: piece,
			);
			at = end;
		}
		return nodes;
	}
}

const TOKEN = new RegExp(
	[
		"`(?<code>[^`]+)`",
		"\\*\\*(?<strong>\\S(?:.*?\\S)?)\\*\\*",
		"(?<line>[*_])(?<em>\\S(?:[^*_]*?\\S)?)\\k<line>",
		"\\[(?<numbers>\\d{1,3}(?:, ?\\d{1,3})*)\\](?!\\()",
		"\\[(?<label>[^\\]\\[]+)\\]\\((?<href>[^\\s)]+)\\)",
		"(?<url>https?://[^\\s<>\"')\\]]*[^\\s<>\"')\\].,;:!?])",
	].join("|"),
	"g",
);

/** A link that leads out, if it leads to the web; else its words. */
export function link(href, words) {
	let url;
	try {
		url = new URL(href);
	} catch {
		return words;
	}
	if (url.protocol !== "https:" && url.protocol !== "http:") return words;
	return el("a", { href: url.href, target: "_blank", rel: "noopener noreferrer" }, words);
}

/** Spans by code points as spans by the units of JavaScript's strings. */
function inUnits(text, spans) {
	const units = [0];
	for (const letter of text) units.push(units.at(-1) + letter.length);
	const unit = (point) => units[Math.min(point, units.length - 1)];
	return spans.map((span) => ({ ...span, start: unit(span.start), end: unit(span.end) }));
}
