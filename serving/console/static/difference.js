// What changed from one text to another, word by word, as nodes: deleted and inserted words between those kept. Pure.

import { el } from "./dom.js";

const MOST = 1500;

/** Nodes of `after`, with what is new in `ins` and what went in `del`. */
export function changes(before, after) {
	const old = before.match(/\S+\s*/g) ?? [];
	const now = after.match(/\S+\s*/g) ?? [];
	// The table below has as many fields as both have words: past this it would be felt.
	if (old.length > MOST || now.length > MOST) return [after];
	const common = longest(old, now);
	const nodes = [];
	const put = (tag, words) =>
		words.length && nodes.push(tag ? el(tag, { text: words.join("").trimEnd() }) : words.join(""), tag ? " " : "");
	let i = 0;
	let j = 0;
	for (const [a, b] of [...common, [old.length, now.length]]) {
		put("del", old.slice(i, a));
		put("ins", now.slice(j, b));
		if (b < now.length) put("", [now[b]]);
		i = a + 1;
		j = b + 1;
	}
	return nodes;
}

/** Pairs of places of the longest common subsequence of words. */
function longest(old, now) {
	const same = (i, j) => old[i].trim() === now[j].trim();
	const width = now.length + 1;
	const length = new Uint16Array((old.length + 1) * width);
	for (let i = old.length - 1; i >= 0; i -= 1) {
		for (let j = now.length - 1; j >= 0; j -= 1) {
			length[i * width + j] = same(i, j)
				? length[(i + 1) * width + j + 1] + 1
				: Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
		}
	}
	const pairs = [];
	for (let i = 0, j = 0; i < old.length && j < now.length;) {
		if (same(i, j)) pairs.push([i++, j++]);
		else if (length[(i + 1) * width + j] >= length[i * width + j + 1]) i += 1;
		else j += 1;
	}
	return pairs;
}
