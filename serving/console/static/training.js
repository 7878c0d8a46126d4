// Training runs: what is being trained now and how far it is, what was trained before, and the jobs of this gateway.

import { every, get } from "./api.js";
import { page } from "./app.js";
import { ago, announce, button, el, fill, number, redraw, seconds, table } from "./dom.js";
import { badge, col, failure, hint, num, part, stack } from "./parts.js";
import { isOpen, stateBadge, watch } from "./jobs.js";
import { asksForKey, JOB_NAMES } from "./personas.js";

const EVERY_SECONDS = 3;
const MOST_JOBS = 20;

/** Where a run is shown. */
const runAddress = ({ persona, run }) => `#/training/${encodeURIComponent(persona)}/${encodeURIComponent(run)}`;

export function runBadge({ state, gate }) {
	if (state === "running") return badge("brass", "training");
	if (state === "failed") return badge("bad", "failed");
	if (state === "stopped") return badge("", "stopped");
	if (gate === "passed") return badge("good", "gates passed");
	return gate === "failed" ? badge("bad", "gates failed") : badge("", "not judged");
}

/** How far a run is: a bar with its steps, and the time it needs still. */
export function progressOf(run) {
	const words =
		run.state === "running"
			? run.eta_seconds === null
				? "just begun"
				: `about ${seconds(run.eta_seconds)} more`
			: run.state === "stopped"
				? "started again, it goes on from there"
				: run.step < run.steps && run.state === "finished"
					? "ended early: it no longer got better"
					: "";
	return el(
		"div.progress-of",
		el("progress", {
			max: Math.max(1, run.steps),
			value: Math.min(run.step, run.steps),
			"aria-label": `Step ${run.step} of ${run.steps}`,
		}),
		hint(`step ${number(run.step)} of ${number(run.steps)}`, words && ` · ${words}`),
	);
}

function underWay(run) {
	return el(
		"li.card.stack.run-card",
		el("div.row.between", el("h3", el("a", { href: runAddress(run), text: run.persona })), runBadge(run)),
		progressOf(run),
		el(
			"dl.measured",
			[
				["Loss", number(run.loss, 3)],
				["Held out", number(run.held_out_loss, 3)],
				["Tokens a second", number(run.tokens_per_second, 0)],
			].map(([name, value]) => el("div", el("dt", { text: name }), el("dd", el("strong", { text: value })))),
		),
	);
}

function past(runs) {
	return table({
		caption: "Training runs",
		rows: runs,
		empty: "No training has run yet.",
		columns: [
			col("Run", (run) =>
				el("a", { href: runAddress(run) }, run.persona, " ", el("code.soft", { text: run.run.slice(0, 7) })),
			),
			col("State", runBadge),
			col("Version", (run) => run.published ?? "–"),
			num("Steps", (run) => `${number(run.step)}/${number(run.steps)}`),
			num("Held-out loss", (run) => number(run.held_out_loss, 3)),
			col("Ended", (run) => ago(run.finished_at ?? run.started_at)),
		],
	});
}

function jobsTable(jobs, open) {
	return table({
		caption: "Jobs of this gateway",
		rows: jobs,
		empty: "Nothing was started from here yet.",
		columns: [
			col("Job", (job) => JOB_NAMES[job.kind] ?? job.kind),
			col("Persona", (one) => one.persona),
			col("State", stateBadge),
			col("When", (job) => ago(job.ended_at ?? job.started_at)),
			col("Last word", (job) => el("span.last-line", { text: job.message || job.last_line })),
			col("Log", (job) =>
				button("Log", () => open(job), {
					kind: "quiet",
					"aria-label": `Log of ${JOB_NAMES[job.kind]} ${job.persona}`,
				}),
			),
		],
	});
}

async function render(root, _params, signal) {
	if (asksForKey(root)) return;
	const now = stack();
	const before = stack();
	const jobs = stack();
	const problem = el("div");
	const log = stack();
	let closing = new AbortController();
	const open = (job) => {
		closing.abort();
		closing = new AbortController();
		signal.addEventListener("abort", () => closing.abort(), { once: true });
		fill(log, el("div.card.stack", watch(job, { signal: closing.signal }).node));
		log.scrollIntoView({ block: "nearest" });
	};
	fill(
		root,
		el(
			"div.stack.wide-gap",
			problem,
			now,
			log,
			part(
				"Runs",
				hint("One is begun on the page of its ", el("a", { href: "#/personas", text: "persona" }), "."),
				before,
			),
			part("Jobs", jobs),
		),
	);
	let seen = [];
	const look = async () => {
		const [{ runs }, { jobs: list }] = await Promise.all([
			get("/console/api/runs", { signal }),
			get("/console/api/jobs", { signal }),
		]);
		fill(problem);
		const going = runs.filter(({ state }) => state === "running");
		for (const run of seen)
			if (!going.some((other) => other.run === run.run)) announce(`The training of ${run.persona} has ended.`);
		seen = going;
		redraw(now, going.length > 0 && part("Under way", el("ul.grid.plain", going.map(underWay))));
		redraw(before, past(runs.filter(({ state }) => state !== "running")));
		redraw(jobs, jobsTable(list.slice(0, MOST_JOBS), open));
		const busy = list.find(isOpen);
		if (busy && !log.childElementCount) open(busy);
	};
	await look();
	// Not awaited: the page stands, and follows what happens.
	every(EVERY_SECONDS, look, signal, (error) => fill(problem, failure(error)));
}

page("#/training", { title: "Training", render });
