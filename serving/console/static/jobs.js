// Long work on a persona: starting it, watching its log as it grows, stopping it. Reading and indexing, planning and
// training are processes of the gateway's machine; they go on when this page is closed.

import { get, pause, post, remove } from "./api.js";
import { keyed, session } from "./app.js";
import { ago, announce, button, dialog, el, field, fill, notice } from "./dom.js";
import { badge, failure, hint, row, stack } from "./parts.js";
import { at, JOB_NAMES } from "./personas.js";

const MOST_LINES = 1500;
const STATES = {
	running: ["brass", "at work"],
	stopping: ["brass", "stopping"],
	done: ["good", "done"],
	failed: ["bad", "failed"],
	stopped: ["", "stopped"],
};

export const isOpen = (job) => job?.state === "running" || job?.state === "stopping";

export function stateBadge({ state }) {
	const [tone, label] = STATES[state] ?? ["", state];
	return badge(tone, label);
}

/** One job, live until it ends or the signal aborts: what it does, how it stands, its log, and a button to stop it.
 * Resolves `ended` with the job as it ended, or null. */
export function watch(job, { signal, opened = true }) {
	const state = el("div.row");
	const log = el("pre.log-view", { tabindex: "0", "aria-label": `Log of: ${JOB_NAMES[job.kind]}` });
	const after = stack();
	const details = el("details", { open: opened }, el("summary", { text: "Log" }), log);
	const node = el("section.job.stack", { "aria-label": JOB_NAMES[job.kind] }, state, details, after);
	const show = (now) =>
		fill(
			state,
			el("strong", { text: JOB_NAMES[now.kind] }),
			stateBadge(now),
			isOpen(now) && el("span.spin", { "aria-hidden": "true" }),
			el("span.hint", isOpen(now) ? "since " : "", ago(isOpen(now) ? now.started_at : now.ended_at)),
			now.state === "running" && session().signedIn && button("Stop it", () => stop(now), { kind: "quiet" }),
		);
	show(job);
	return {
		node,
		ended: follow(job, { signal, log, show }).then((last) => {
			if (last && !isOpen(last)) fill(after, ending(last));
			return last;
		}),
	};
}

async function stop(job) {
	await dialog({
		title: `Stop: ${JOB_NAMES[job.kind]}?`,
		cancel: "Let it run",
		body: el("p", { text: "What it has done so far is kept. Started again, it goes on from there." }),
		actions: [{ label: "Stop it", kind: "danger", run: () => remove(`/admin/jobs/${job.id}`) }],
	});
}

function ending(job) {
	if (job.state === "done") return notice("good", job.message || `${JOB_NAMES[job.kind]}: done.`);
	return notice(
		job.state === "failed" ? "error" : "warning",
		job.message || job.last_line || `${JOB_NAMES[job.kind]}: ${job.state}.`,
	);
}

async function follow(job, { signal, log, show }) {
	let next = 0;
	for (;;) {
		try {
			const before = job;
			if (session().signedIn) {
				const told = await get(`/admin/jobs/${job.id}/log?after=${next}`, { signal });
				job = told.job;
				next = told.next;
				append(log, told.text);
				if (!isOpen(job) && told.text) continue; // its last lines may still be coming
			} else {
				job = await get(`/console/api/jobs/${job.id}`, { signal });
				log.textContent = job.last_line || "Sign in with the admin key to read along.";
			}
			show(job);
			if (!isOpen(job)) {
				if (isOpen(before)) announce(`${JOB_NAMES[job.kind]}: ${STATES[job.state]?.[1] ?? job.state}.`);
				return job;
			}
		} catch (error) {
			if (signal?.aborted) return null;
			if (error.code !== "unreachable") {
				append(log, `\n${error.message}\n`);
				return null;
			}
		}
		await pause(1, signal);
		if (signal?.aborted) return null;
	}
}

function append(log, text) {
	if (!text) return;
	const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 30;
	// Progress bars write over their line.
	log.textContent = (log.textContent + text)
		.split("\n")
		.map((line) => line.replace(/^.*\r(?=.)/s, ""))
		.slice(-MOST_LINES)
		.join("\n");
	if (atEnd) log.scrollTop = log.scrollHeight;
}

const WORK = [
	{
		kind: "prepare",
		label: "Read and index",
		means: "Takes up what is new in its sources. Answers go on meanwhile.",
	},
	{
		kind: "plan",
		label: "Plan a training",
		means: "Times a few steps here: how long a training takes, and what it needs.",
	},
	{
		kind: "train",
		label: "Train",
		means:
			"Trains, measures, tries it in an engine, and registers it if it passes its gates. Nobody hears it before you put it in charge.",
	},
];

/** Buttons for all work on a persona, and whatever of it runs or ran last. `ondone(job)` when one has ended. */
export function workbench(personaId, jobs, { signal, ondone = () => {}, kinds = WORK.map(({ kind }) => kind) }) {
	const problem = el("div");
	const bench = stack();
	const buttons = el("div.work");
	const take = async (job, opened) => {
		const { node, ended } = watch(job, { signal, opened });
		fill(bench, node);
		offer(isOpen(job));
		const last = await ended;
		if (signal?.aborted) return;
		offer(false);
		if (last && isOpen(job)) ondone(last); // the log of one that ended before is only looked at
	};
	const begin = async (kind, steps = null) => {
		fill(problem);
		const job = await post(`${at.admin(personaId)}/jobs`, { kind, steps });
		take(job, true);
	};
	const start = (kind) =>
		kind === "train" ? confirmTraining(begin) : begin(kind).catch((error) => fill(problem, failure(error)));
	const offer = (busy) =>
		fill(
			buttons,
			keyed(
				el(
					"div.work",
					WORK.filter(({ kind }) => kinds.includes(kind)).map(({ kind, label, means }) =>
						el(
							"div.field",
							button(label, () => start(kind), { disabled: busy }),
							hint(means),
						),
					),
				),
				"read its writing anew, or to train it",
			),
		);
	offer(false);
	const last = jobs[0];
	if (last) {
		if (isOpen(last)) take(last, true);
		else
			fill(
				bench,
				stack(
					row(
						el("span.hint", { text: "Last:" }),
						el("strong", { text: JOB_NAMES[last.kind] }),
						stateBadge(last),
						el("span.hint", ago(last.ended_at)),
						session().signedIn && button("Its log", () => take(last, true), { kind: "quiet" }),
					),
					last.state !== "done" && ending(last),
				),
			);
	}
	return { node: stack(buttons, problem, bench), start };
}

/** Ask how long to train; `begin(kind, steps)` does it. */
function confirmTraining(begin) {
	const steps = el("input", {
		type: "number",
		min: 1,
		max: 1000000,
		placeholder: "as its recipe says",
		inputmode: "numeric",
	});
	return dialog({
		title: "Train a voice?",
		body: [
			el("p", {
				text: "It takes this machine's processor or cards for minutes to hours, at a lower priority than answers. Plan it first if you want to know. Stopped or interrupted, it goes on where it was.",
			}),
			field("Steps", steps, { hint: "Leave it empty for the recipe of the persona and of this machine." }),
		],
		actions: [{ label: "Start training", run: () => begin("train", steps.value ? Number(steps.value) : null) }],
	});
}
