// Everybody who speaks here: a card each, with the voice in charge, what it can cite, and what is wrong with it.

import { get } from "./api.js";
import { askKey, page, session } from "./app.js";
import { button, el, fill, notice, number } from "./dom.js";
import { badge } from "./parts.js";

/** Where a persona is: its page, its playground, and its paths at the gateway. */
export const at = {
	page: (id) => `#/personas/${encodeURIComponent(id)}`,
	ask: (id) => `#/ask/${encodeURIComponent(id)}`,
	view: (id) => `/console/api/personas/${encodeURIComponent(id)}`,
	admin: (id) => `/admin/personas/${encodeURIComponent(id)}`,
};

/** Up to two letters that stand for a name; a picture would be asked of another host. */
export function monogram(name) {
	const words = name.split(/\s+/).filter((word) => /^\p{L}/u.test(word));
	return el("span.monogram", {
		"aria-hidden": "true",
		text:
			[words[0], words.length > 1 ? words.at(-1) : ""]
				.map((word) => [...(word ?? "")][0] ?? "")
				.join("")
				.toUpperCase() || "?",
	});
}

/** "Voice v2" or "Prompt only", as a badge. */
export function voiceBadge(persona) {
	const live = persona.live ?? persona.adapter_version;
	return live ? badge("live", `Voice ${live}`) : badge("", "Prompt only");
}

/** Whether the gateway asks for a key that nobody gave; then `root` asks for it, to do `what`. */
export function asksForKey(root, what = "look at it") {
	const { apiKeyNeeded, signedIn } = session();
	if (!apiKeyNeeded || signedIn) return false;
	fill(
		root,
		notice(
			"info",
			`This gateway asks for a key. Sign in with the admin key to ${what}.`,
			button("Sign in", askKey, { kind: "primary" }),
		),
	);
	return true;
}

/** What is at `path`, or null where the page asks for the key instead. */
export const readOrAsk = async (root, path, signal) => (asksForKey(root) ? null : get(path, { signal }));

function card(persona) {
	const passages = persona.index?.passages ?? persona.passages;
	const [newest] = persona.versions;
	return el(
		"li.card.persona-card",
		el(
			"div.row.head",
			monogram(persona.display_name),
			el("h2", el("a", { href: at.page(persona.id), text: persona.display_name })),
			voiceBadge(persona),
		),
		el("p.soft", { text: persona.description }),
		el(
			"ul.dotted.hint",
			el("li", el("code", { text: `/ask ${persona.id}` })),
			persona.corpus && el("li", { text: `${number(persona.corpus.words)} words` }),
			el("li", { text: passages ? `${number(passages)} passages` : "no index: answers cite nothing" }),
			newest?.state === "available" && el("li", badge("brass", `${newest.version} waits`)),
		),
		running(persona),
		(persona.notice || persona.problem) && el("p.trouble", { text: persona.notice || persona.problem }),
		el("p.links", el("a", { href: at.ask(persona.id), text: "Talk to it" })),
	);
}

function running(persona) {
	const job = (persona.jobs ?? []).find(({ state }) => state === "running" || state === "stopping");
	return (
		job &&
		el(
			"p.hint.working",
			el("span.spin", { "aria-hidden": "true" }),
			`${JOB_NAMES[job.kind] ?? job.kind}: ${job.last_line || "at work"}`,
		)
	);
}

/** What a job does, for people. */
export const JOB_NAMES = {
	ingest: "Reading the writing",
	index: "Building the index",
	prepare: "Reading and indexing",
	plan: "Planning a training",
	train: "Training",
};

async function render(root, _params, signal) {
	fill(root, el("p.soft", { text: "Looking who is here …" }));
	const told = await readOrAsk(root, "/console/api/personas", signal);
	if (!told) return;
	fill(
		root,
		el(
			"div.stack.wide-gap",
			el("p.lede", {
				text:
					told.personas.length === 1
						? "One voice speaks from this gateway."
						: `${told.personas.length} voices speak from this gateway.`,
			}),
			told.problems.map(({ persona, message }) => notice("warning", `${persona}: ${message}`)),
			el(
				"ul.grid.plain",
				told.personas.map(card),
				el(
					"li.card.persona-card.new-one",
					el("h2", el("a", { href: "#/new", text: "New persona" })),
					el("p.soft", {
						text: "From a folder of writing, a site, an export, or a character card. It answers within seconds, and can be trained when it has enough to read.",
					}),
				),
			),
		),
	);
}

page("#/personas", { title: "Personas", render });
