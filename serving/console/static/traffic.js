// Traffic of this gateway: how many ask, how long they wait, what goes wrong, and what people think of each version.

import { every, get } from "./api.js";
import { page, remember, remembered } from "./app.js";
import { choice, el, fill, number, redraw, seconds, table } from "./dom.js";
import { col, failure, figures, hint, num, part } from "./parts.js";
import { balance, chart } from "./chart.js";
import { at as where, readOrAsk } from "./personas.js";

const SPANS = [
	{ value: "60", label: "Last hour" },
	{ value: "360", label: "6 hours" },
	{ value: "1440", label: "Day" },
];
const MOST_SLOTS = 96;
const EVERY_SECONDS = { 60: 10, 360: 30, 1440: 60 };

/** Minutes put together until few enough are left to draw: counts are summed, of waits the longest counts. */
function gathered(buckets, most = MOST_SLOTS) {
	const size = Math.ceil(buckets.length / most);
	if (size === 1) return { size, slots: buckets };
	const slots = [];
	// From the newest backwards, so that the last slot is whole.
	for (let end = buckets.length; end > 0; end -= size)
		slots.unshift(merged(buckets.slice(Math.max(0, end - size), end)));
	return { size, slots };
}

function merged(minutes) {
	const sum = (name) => minutes.reduce((all, minute) => all + minute[name], 0);
	const known = (name) => minutes.map((minute) => minute[name]).filter((value) => value !== null);
	const largest = (name) => (known(name).length ? Math.max(...known(name)) : null);
	const middle = (name) => known(name).sort((a, b) => a - b)[Math.floor((known(name).length - 1) / 2)] ?? null;
	return {
		at: minutes[0].at,
		requests: sum("requests"),
		errors: sum("errors"),
		refused: sum("refused"),
		tokens: sum("tokens"),
		queue: largest("queue") ?? 0,
		first_token_p50: middle("first_token_p50"),
		first_token_p95: largest("first_token_p95"),
		total_p50: middle("total_p50"),
		total_p95: largest("total_p95"),
	};
}

function totals({ totals: all, minutes }) {
	const share = all.requests ? `${number((100 * all.errors) / all.requests)} %` : "";
	const wait = (label, median, most) => [
		label,
		seconds(median),
		most === null ? "median" : `median; 95 % within ${seconds(most)}`,
	];
	return figures([
		["Requests", number(all.requests), `${number(all.requests / minutes)} a minute`],
		wait("First word", all.first_token_p50, all.first_token_p95),
		wait("Whole answer", all.total_p50, all.total_p95),
		[
			"Failed",
			number(all.errors),
			[share, all.refused ? `${number(all.refused)} sent away` : ""].filter(Boolean).join(", "),
		],
		[
			"Now",
			number(all.in_engine),
			`being written, ${number(all.waiting)} in line, ${number(all.tokens_per_second, 0)} tokens/s`,
		],
	]);
}

function charts({ buckets }) {
	const { size, slots } = gathered(buckets);
	const at = (name) => slots.map((slot) => [new Date(slot.at).getTime(), slot[name]]);
	const clock = {
		label: "time",
		format: (when) => new Date(when).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
	};
	const each = size === 1 ? "a minute" : `every ${size} minutes`;
	const count = (label) => ({ label, whole: true, format: number });
	const well = slots.map((slot) => [
		new Date(slot.at).getTime(),
		Math.max(0, slot.requests - slot.errors - slot.refused),
	]);
	const card = (given) => el("div", { class: `card ${given.whole ? "whole" : ""}` }, chart({ x: clock, ...given }));
	const waits = (title, name) =>
		card({
			title,
			y: { label: "seconds", format: seconds },
			empty: "Nobody has asked in this time.",
			series: [
				{ name: "95 %", tone: 2, points: at(`${name}_p95`) },
				{ name: "median", tone: 1, points: at(`${name}_p50`) },
			],
		});
	return el(
		"div.charts",
		card({
			title: "Requests",
			whole: true,
			y: count(each),
			series: [
				{ name: "answered", tone: 1, shape: "bar", points: well },
				{ name: "sent away", tone: 2, shape: "bar", points: at("refused") },
				{ name: "failed", tone: 4, shape: "bar", points: at("errors") },
			],
		}),
		waits("Until the first word", "first_token"),
		waits("Until the whole answer", "total"),
		card({
			title: "In line",
			note: "Most people waiting at a time.",
			y: count("people"),
			series: [{ name: "waiting", tone: 2, shape: "step", points: at("queue") }],
		}),
		card({
			title: "Tokens written",
			y: count(`tokens, ${each}`),
			series: [{ name: "tokens", tone: 3, shape: "bar", points: at("tokens") }],
		}),
	);
}

const PLAIN = ["stop", "length"];
/** What ends an answer and is no error: the model's end, the writing itself, or that it has not written about it. */
const ANSWERS = [...PLAIN, "quoted", "abstained"];

function byPersona(counts) {
	const rows = new Map();
	for (const { persona, task, outcome, count } of counts) {
		const key = `${persona} ${task}`;
		const row = rows.get(key) ?? { persona, task, all: 0, good: 0, other: [] };
		row.all += count;
		if (ANSWERS.includes(outcome)) row.good += count;
		if (!PLAIN.includes(outcome)) row.other.push(`${outcome.replaceAll("_", " ")} ${number(count)}`);
		rows.set(key, row);
	}
	return table({
		caption: "Requests by persona",
		rows: [...rows.values()].sort((a, b) => b.all - a.all),
		empty: "Nobody has asked in this time.",
		columns: [
			col("Persona", (row) => el("a", { href: where.page(row.persona), text: row.persona })),
			col("Task", (one) => one.task),
			num("Requests", (row) => number(row.all)),
			num("Answered", (row) => number(row.good)),
			col("Among them", (row) => row.other.join(", ") || "–"),
		],
	});
}

function feedback(rows) {
	const most = Math.max(1, ...rows.flatMap(({ up, down }) => [up, down]));
	return table({
		caption: "Feedback by version",
		rows,
		empty: "Nobody has voted yet. In the playground, in Discord and in Slack every answer can be voted on.",
		columns: [
			col("Persona", (row) => el("a", { href: where.page(row.persona), text: row.persona })),
			col("Version", (row) => row.adapter_version ?? "prompt only"),
			col("Votes", (row) => balance({ ...row, most })),
			num("Liked", (row) => number(row.up)),
			num("Disliked", (row) => number(row.down)),
			num("Revised", (row) => number(row.revisions)),
			col("Base model", (one) => one.base_model),
		],
	});
}

async function render(root, _params, signal) {
	let minutes = remembered("traffic", "60");
	if (!SPANS.some(({ value }) => value === minutes)) minutes = "60";
	const path = () => `/console/api/traffic?minutes=${minutes}`;
	const first = await readOrAsk(root, path(), signal);
	if (!first) return;
	const problem = el("div");
	const shown = el("div.stack.wide-gap");
	const draw = (told) => {
		redraw(
			shown,
			totals(told),
			charts(told),
			part("Who was asked", byPersona(told.by_persona)),
			part(
				"What people think",
				hint("Of all time and all replicas, by the version that answered."),
				feedback(told.feedback),
			),
			hint(
				"Requests and waits are those of this gateway process since ",
				new Date(told.since).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }),
				". For longer, let Prometheus read ",
				el("code", { text: "/metrics" }),
				".",
			),
		);
	};
	const read = async () => {
		const asked = minutes;
		const told = await get(path(), { signal });
		if (asked !== minutes) return; // another span was chosen meanwhile, and is read by itself
		draw(told);
		fill(problem);
	};
	const failed = (error) => {
		if (!signal.aborted) fill(problem, failure(error));
	};
	fill(
		root,
		el(
			"div.stack.wide-gap",
			choice({
				legend: "Time",
				options: SPANS,
				value: minutes,
				onchange: (value) => {
					minutes = value;
					remember("traffic", value);
					read().catch(failed);
				},
			}),
			problem,
			shown,
		),
	);
	draw(first);
	// Not awaited: the page stands, and follows what happens. A span that is chosen later is read at its own pace.
	let rounds = 0;
	every(
		10,
		async () => {
			rounds += 10;
			if (rounds % EVERY_SECONDS[minutes] === 0) await read();
		},
		signal,
		failed,
	);
}

page("#/traffic", { title: "Traffic", render });
