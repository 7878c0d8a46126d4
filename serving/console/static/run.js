// One training run: how far it is, its curves, how the voice measured up against its gates, and what it says beside
// what the author, the base model and the prompted base say.

import { every, get } from "./api.js";
import { heading, page } from "./app.js";
import { ago, choice, el, fill, notice, number, redraw, seconds, table } from "./dom.js";
import { badge, col, facts, failure, figures, fold, hint, num, part, row, stack } from "./parts.js";
import { chart, gateMark } from "./chart.js";
import { progressOf, runBadge } from "./training.js";
import { at, readOrAsk } from "./personas.js";

const EVERY_SECONDS = 3;
const SMOOTHED_STEPS = 12;
const TASKS = {
	voice: "Without passages",
	rewrite: "Rewriting",
	identity: "Who are you",
	grounded: "With passages",
	outside: "Never written about",
};
const SPEAKERS = {
	author: "The author",
	base: "Base model",
	prompted_base: "Base with the prompt",
	adapter: "This voice",
};
const STEP = { label: "step", whole: true, format: (step) => number(step, 0) };

const pathOf = ({ persona, run }) => `/console/api/runs/${encodeURIComponent(persona)}/${encodeURIComponent(run)}`;

function top(run) {
	return stack(
		row(
			runBadge(run),
			run.published && badge("live", `published as ${run.published}`),
			el("a", { href: at.page(run.persona), text: "Its persona" }),
			run.report &&
				el("a", { target: "_blank", rel: "noopener", text: "Evaluation report", href: `${pathOf(run)}/report` }),
		),
		run.state !== "finished" && progressOf(run),
		figures([
			["Steps", number(run.step), `of ${number(run.steps)}`],
			["Training loss", number(run.loss, 3), "mean of the last steps"],
			["Held-out loss", number(run.held_out_loss, 3), dropOf(run.series.held_out)],
			[
				"Tokens a second",
				number(run.tokens_per_second, 0),
				run.state === "running" && run.eta_seconds !== null ? `${seconds(run.eta_seconds)} to go` : "",
			],
		]),
	);
}

function dropOf(points) {
	if (points.length < 2) return "";
	const [first, last] = [points[0][1], points.at(-1)[1]];
	return `from ${number(first, 3)} before, ${number(Math.abs(100 * (1 - last / first)), 0)} % ${last <= first ? "less" : "more"}`;
}

function curves({ series, state }) {
	const nats = { label: "nats a token", free: true, format: (value) => number(value, 2) };
	return el(
		"div.charts",
		el(
			"div.card",
			chart({
				title: "Loss",
				note: "Of each step, and on writing it never learned from.",
				x: STEP,
				y: nats,
				empty: state === "running" ? "The first step is on its way." : "No step was made.",
				series: [
					{ name: "each step", tone: 3, points: series.train },
					{ name: "training, smoothed", tone: 2, points: smoothed(series.train) },
					{ name: "held out", tone: 1, points: series.held_out },
				],
			}),
		),
		el(
			"div.card",
			chart({
				title: "Memorization",
				note: "Longest stretch of words that a probe copied from the training text.",
				x: STEP,
				y: { label: "words", whole: true, format: (value) => number(value, 0) },
				empty: "No probe was made.",
				series: [{ name: "copied words", tone: 2, shape: "step", points: series.memorization ?? [] }],
			}),
		),
	);
}

/** A running mean that forgets: what the noise of single steps hides. */
function smoothed(points) {
	let mean = points[0]?.[1];
	return points.map(([step, loss]) => [step, (mean += (loss - mean) / SMOOTHED_STEPS)]);
}

// -- gates and figures --------------------------------------------------------------------------------------

function gates(run) {
	if (!run.gates) return run.figures && el("p.empty", { text: "Nobody has judged this voice by its gates yet." });
	const failed = run.gates.filter(({ passed }) => !passed);
	return part(
		"Gates",
		failed.length
			? notice("warning", `${failed.length} of ${run.gates.length} failed: ${failed.map(titleOf).join(", ")}.`)
			: notice("good", `All ${run.gates.length} passed.`),
		table({
			caption: "Gates: what was measured against what had to be reached",
			rows: run.gates,
			columns: [
				col("Gate", titleOf),
				col("Place", gateMark),
				num("Measured", (gate) => short(gate.value)),
				num("95 %", (gate) => (gate.low === null ? "–" : between(gate))),
				num("Had to be", (gate) =>
					gate.threshold === null ? "–" : `${gate.at_least ? "≥" : "≤"} ${short(gate.threshold)}`,
				),
				col("Verdict", (gate) => badge(gate.passed ? "good" : "bad", gate.passed ? "passed" : "failed")),
			],
		}),
		failed.map(({ sentence }) => hint(sentence)),
		alive(run.alive),
	);
}

/** Three digits of a share, one of what is counted. */
const short = (value) => number(value, Math.abs(value) >= 10 || value === 0 ? 0 : 3);
const between = ({ low, high }) => (low === null || low === undefined ? "–" : `${short(low)} to ${short(high)}`);

const titleOf = (gate) =>
	`${gate.name.replaceAll("_", " ")}${gate.against === "live" && gate.name !== "live" ? " (against the voice in charge)" : ""}`;

function alive(verdict) {
	if (!verdict) return null;
	return el(
		"details",
		el("summary", { text: `In the real engine: ${verdict.outcome}` }),
		el(
			"div.stack.fold-body",
			el("p", { text: verdict.sentence }),
			el(
				"ul",
				verdict.checks.map((check) => el("li", badge(check.passed ? "good" : "bad", check.name), ` ${check.sentence}`)),
			),
		),
	);
}

function measured(run) {
	const rows = Object.entries(run.figures ?? {});
	if (!rows.length) return null;
	return fold(
		"All figures",
		table({
			caption: "All figures with their 95 % bounds",
			rows,
			columns: [
				col("Figure", ([name]) => name.replaceAll("_", " ")),
				num("Value", ([, { value }]) => short(value)),
				num("95 %", ([, figure]) => between(figure)),
				num("n", ([, { n }]) => number(n)),
				col("What it says", ([, { what }]) => what),
			],
		}),
	);
}

// -- samples ------------------------------------------------------------------------------------------------

function samples(run) {
	if (!run.samples?.length) return null;
	const tasks = [...new Set(run.samples.map(({ task }) => task))];
	const shown = stack();
	const show = (task) =>
		fill(
			shown,
			run.samples
				.filter((sample) => sample.task === task)
				.map((sample) =>
					el(
						"article.card.sample",
						el("p.asked", { text: sample.prompt }),
						el(
							"div.beside",
							Object.entries(SPEAKERS)
								.filter(([who]) => sample[who])
								.map(([who, name]) =>
									el("div", { class: who }, el("h3.label", { text: name }), el("p", { text: sample[who] })),
								),
						),
					),
				),
		);
	show(tasks[0]);
	return part(
		"Side by side",
		tasks.length > 1 &&
			choice({
				legend: "Kind of question",
				value: tasks[0],
				onchange: show,
				options: tasks.map((task) => ({ value: task, label: TASKS[task] ?? task })),
			}),
		shown,
	);
}

function settings(run) {
	const plain = (value) => (typeof value === "number" ? number(value, value % 1 ? undefined : 0) : String(value));
	return fold(
		"Recipe",
		facts([
			["Base model", run.base_model],
			["Run", el("code", { text: run.run })],
			["Begun", ago(run.started_at)],
			["Ended", run.finished_at && ago(run.finished_at)],
			[
				"Samples",
				Object.entries(run.samples_by_task ?? {})
					.map(([task, many]) => `${task} ${number(many)}`)
					.join(", "),
			],
			[
				"Held out",
				run.held_out_documents.length > 6
					? `${number(run.held_out_documents.length)} documents`
					: run.held_out_documents.join(", "),
			],
			...Object.entries(run.settings).map(([name, value]) => [
				name.replaceAll("_", " "),
				name === "learning_rate" ? String(value) : plain(value),
			]),
		]),
	);
}

async function render(root, { persona, run }, signal) {
	const path = pathOf({ persona, run });
	const first = await readOrAsk(root, path, signal);
	if (!first) return;
	heading(`Training of ${persona}`);
	const problem = el("div");
	const moving = el("div.stack.wide-gap");
	const still = el("div.stack.wide-gap");
	fill(root, el("div.stack.wide-gap", problem, moving, still));
	const draw = (now) => redraw(moving, top(now), curves(now));
	const judge = (now) => redraw(still, gates(now), samples(now), measured(now), settings(now));
	draw(first);
	judge(first);
	if (first.state === "finished" && first.gates) return;
	let last = first;
	// Not awaited: the page stands, and goes on as the run does.
	every(
		EVERY_SECONDS,
		async () => {
			const now = await get(path, { signal });
			fill(problem);
			if (
				now.step !== last.step ||
				now.state !== last.state ||
				now.series.held_out.length !== last.series.held_out.length
			)
				draw(now);
			if (JSON.stringify([now.gates, now.figures]) !== JSON.stringify([last.gates, last.figures])) judge(now);
			last = now;
		},
		signal,
		(error) => fill(problem, failure(error)),
	);
}

page("#/training/:persona/:run", { title: "Training", render });
