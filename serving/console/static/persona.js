// One persona: who it is, which of its versions speaks and how they measured up, what it was made from, and the
// controls: put a version in charge, take it back, add writing, read, index, train.

import { remove } from "./api.js";
import { go, heading, keyed, page, refresh, session } from "./app.js";
import { ago, button, dialog, el, fill, notice, number, table } from "./dom.js";
import { col, facts, fold, hint, part, row, stack } from "./parts.js";
import { workbench } from "./jobs.js";
import { at, monogram, readOrAsk, voiceBadge } from "./personas.js";
import { versions } from "./versions.js";
import { writingPanel } from "./writing.js";

const MODES = {
	strict: "strict: says only what the writing holds",
	adaptive: "adaptive: marks what is quoted and what is its own",
	creative: "creative: answers everything",
};

let said = null; // the outcome of a change, told once on the page that comes after it

async function render(root, { id }, signal) {
	const persona = await readOrAsk(root, at.view(id), signal);
	if (!persona) return;
	heading(persona.display_name);
	const told = said;
	said = null;
	fill(
		root,
		el(
			"div.persona-page",
			el(
				"div.persona-main.stack",
				intro(persona),
				told && notice("good", told),
				(persona.notice || persona.problem) && notice("warning", persona.notice || persona.problem),
				versions(persona, change),
				making(persona, signal),
				history(persona),
				prompts(persona),
			),
			aside(persona),
		),
	);
}

function intro(persona) {
	return el(
		"section.stack",
		{ "aria-label": "Who it is" },
		row(monogram(persona.display_name), voiceBadge(persona), el("code.soft", { text: `/ask ${persona.id}` })),
		el("p.lede", { text: persona.description }),
		el("p.disclosure", { text: persona.disclosure }),
		row(el("a.button.primary", { href: at.ask(persona.id), text: "Talk to it" })),
	);
}

async function change(asked) {
	const outcome = await asked;
	if (!outcome) return;
	said = outcome.message;
	refresh();
}

// -- what it is made of -----------------------------------------------------------------------------------

function making(persona, signal) {
	const bench = workbench(persona.id, persona.jobs ?? [], {
		signal,
		ondone: (job) => {
			if (job.state === "done" && job.kind !== "plan") {
				said = job.message;
				refresh();
			}
		},
	});
	return part(
		"Writing and training",
		persona.own &&
			session().signedIn &&
			writingPanel(persona.id, { signal, onadded: () => bench.start("prepare") }),
		bench.node,
	);
}

function history(persona) {
	const rows = persona.history ?? [];
	return part(
		"History",
		table({
			caption: `Changes of ${persona.display_name}'s voice`,
			rows,
			empty: "Nothing was changed yet.",
			columns: [
				col("When", (entry) => ago(entry.at)),
				col("What", (entry) => `${entry.action}: ${entry.before ?? "prompt"} → ${entry.after ?? "prompt"}`),
				col("Came of it", (entry) =>
					el("span", {
						class: entry.outcome === "refused" ? "trouble" : "",
						title: entry.message,
						text: entry.outcome,
					}),
				),
				col("Reason", (entry) => entry.reason || "–"),
				...(rows.some((entry) => entry.actor) ? [{ label: "By", cell: (entry) => entry.actor }] : []),
			],
		}),
	);
}

function prompts(persona) {
	if (!persona.prompts) return null;
	const sampling = (task) =>
		Object.entries(persona.sampling?.[task] ?? {})
			.map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
			.join(", ");
	return fold(
		"Prompts and sampling",
		stack(
			["ask", "rewrite"]
				.filter((task) => persona.prompts[task])
				.map((task) =>
					stack(
						el("h3", { text: task === "ask" ? "When asked" : "When rewriting" }),
						el("blockquote.prompt", { text: persona.prompts[task] }),
						hint(sampling(task)),
					),
				),
			persona.refusal &&
				stack(
					el("h3", { text: "When it has not written about it" }),
					el("blockquote.prompt", { text: persona.refusal }),
				),
		),
	);
}

function aside(persona) {
	const { corpus, index, rights } = persona;
	const card = (title, pairs, otherwise) =>
		el("section.card.stack", el("h2.small", { text: title }), pairs ? facts(pairs) : el("p.soft", { text: otherwise }));
	return el(
		"aside.stack",
		{ "aria-label": "What it is made of" },
		card(
			"Corpus",
			corpus && [
				["Documents", number(corpus.documents)],
				["Words", number(corpus.words)],
				["Read", ago(corpus.ingested_at)],
			],
			"Nothing was read yet.",
		),
		card(
			"Index",
			index && [
				["Passages", number(index.passages)],
				["Embedder", index.embedder],
				["Built", ago(index.built_at)],
			],
			"No index: its answers cite nothing.",
		),
		card(
			"Rights",
			rights && Object.entries(rights).map(([name, text]) => [worded(name), text]),
			"Not stated. A trained voice can't be published before they are.",
		),
		persona.sources.length > 0 &&
			card(
				"Sources",
				persona.sources.map(({ kind, ...rest }) => [
					kind,
					Object.entries(rest)
						.map(([name, value]) => `${worded(name)}: ${value}`)
						.join("; ") || "Where it lies is told to those who are signed in.",
				]),
			),
		card("Runs on", [
			["Base model", persona.base_model],
			["Language", persona.language],
			["Freedom", MODES[persona.mode]],
		]),
		persona.own &&
			keyed(
				button("Remove this persona", () => askRemoval(persona), { kind: "danger" }),
				"remove it",
			),
	);
}

/** "first_year" → "First year". */
const worded = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

async function askRemoval(persona) {
	const gone = await dialog({
		title: `Remove ${persona.display_name}?`,
		body: el("p", {
			text: "It stops answering within two seconds. Its file and writing are moved aside, not deleted; the gateway says where.",
		}),
		actions: [{ label: "Remove it", kind: "danger", run: () => remove(at.admin(persona.id)) }],
	});
	if (!gone) return;
	await dialog({
		title: `${persona.display_name} is gone`,
		cancel: "Close",
		body: el("p", { text: `What was it is kept in ${gone.kept_in}.` }),
	});
	go("#/personas");
}

page("#/personas/:id", { title: ({ id }) => id, render });
