// A question and what came of it: one answer to rate, several side by side, or two without names to choose from.

import { ApiError, post } from "./api.js";
import { announce, button, el, field, fill, notice, plural, uid } from "./dom.js";
import { Answer } from "./answer.js";
import { changes } from "./difference.js";
import { feedback } from "./voices.js";

/** At most so many answers of one person are under way at once, as the gateway is shipped. */
const AT_ONCE = 3;

function turn(order, ...content) {
	const long = order.text.length > 280;
	return el(
		"section.turn",
		{ "aria-label": order.task === "ask" ? "Question and answer" : "Text and rewriting" },
		el("h2.question", { tabindex: "-1", text: long ? `${order.text.slice(0, 240).trimEnd()} …` : order.text }),
		long && el("details.whole", el("summary", { text: "The whole text" }), el("p.text", { text: order.text })),
		content,
	);
}

/** One voice answers. `again(order, answer)` asks the same once more; `beside(order)` asks the other voices too. */
export function oneTurn(order, voice, { user, again, beside, rejected = "" }) {
	const answer = new Answer(order, voice, {
		user,
		aloud: true,
		title: voice.fields.voice === "base" ? voice.label : order.persona.display_name,
	});
	const tools = el("div.row.tools-below");
	const finished = answer.run().then(() => {
		fill(
			tools,
			answer.finished && voice.fields.voice !== "base" && rating(order, answer, { user, rejected }),
			button("Again", () => again(order, answer), { kind: "quiet" }),
			answer.finished && button("Side by side", () => beside(order), { kind: "quiet" }),
			answer.text && copy(answer),
			answer.finished && order.task === "rewrite" && compared(order, answer),
		);
		return answer;
	});
	return { node: turn(order, answer.node, tools), finished, stop: () => answer.stop() };
}

/** Several voices answer, each in its column. */
export function sideBySide(order, voices, { user }) {
	const columns = voices.map((voice) => ({
		voice,
		answer: new Answer(order, voice, { user }),
		tools: el("div.row.tools-below"),
	}));
	const node = turn(
		order,
		el(
			"div.columns",
			{ dataset: { count: columns.length } },
			columns.map(({ answer, tools }) => el("div.column", answer.node, tools)),
		),
	);
	const finished = inTurns(columns.map(({ answer }) => answer)).then((answers) => {
		for (const { voice, answer, tools } of columns) {
			fill(
				tools,
				answer.finished && voice.fields.voice !== "base" && rating(order, answer, { user }),
				answer.text && copy(answer),
			);
		}
		const come = answers.filter((answer) => answer.finished).length;
		if (come) announce(`${plural(come, "answer")} came.`);
		return answers;
	});
	return { node, finished, stop: () => columns.forEach(({ answer }) => answer.stop()) };
}

/** Two voices answer as A and B, in an order drawn here; names come after the vote, and the vote is feedback.
 * `onvote({winner, loser})` is told keys of voices, null for neither. */
export function blindTest(order, pair, { user, onvote }) {
	const drawn = crypto.getRandomValues(new Uint8Array(1))[0] % 2 ? pair : [...pair].reverse();
	const answers = drawn.map(
		(voice, place) => new Answer(order, voice, { user, secret: true, title: place ? "B" : "A" }),
	);
	const ballot = el(
		"div.ballot",
		{ role: "group", "aria-label": "Your vote", tabindex: "-1" },
		el("p.soft", { text: "You can vote when both have ended." }),
	);
	const node = turn(
		order,
		el(
			"div.columns",
			{ dataset: { count: 2 } },
			answers.map((answer) => el("div.column", answer.node)),
		),
		el("p.disclosure", { text: `— ${order.persona.disclosure}` }),
		ballot,
	);
	const finished = inTurns(answers).then(() => {
		const why = unfit(answers);
		if (why) {
			answers.forEach((answer) => answer.tell());
			fill(ballot, notice("info", why));
			return answers;
		}
		const labels = [
			["A is better", 0],
			["B is better", 1],
			["About the same", null],
			["Both are poor", -1],
		];
		fill(
			ballot,
			el("p.asked", { text: "Which one is better?" }),
			el(
				"div.row",
				labels.map(([label, choice]) =>
					button(label, () => vote(choice), { kind: choice === 0 || choice === 1 ? "primary" : "plain" }),
				),
			),
		);
		announce("Both answers have ended. Which one is better?");
		return answers;
	});
	async function vote(choice) {
		for (const each of ballot.querySelectorAll("button")) each.disabled = true;
		try {
			await Promise.all(ballots(order, answers, choice, user).map((body) => post("/v1/feedback", body)));
		} catch (error) {
			for (const each of ballot.querySelectorAll("button")) each.disabled = false;
			ballot.append(notice("error", sentence(error)));
			return;
		}
		answers.forEach((answer) => answer.tell());
		node.classList.add("told");
		const [a, b] = answers.map(({ voice }) => voice.label);
		const result =
			choice === 0
				? `You preferred ${a} to ${b}.`
				: choice === 1
					? `You preferred ${b} to ${a}.`
					: `A was ${a}, B was ${b}.`;
		fill(
			ballot,
			notice(
				"good",
				choice === null ? `${result} A tie is not kept as feedback.` : `${result} It counts as feedback.`,
			),
		);
		ballot.focus({ preventScroll: true }); // the button that was pressed is gone
		announce(result);
		onvote(
			choice === 0 || choice === 1
				? { winner: answers[choice].voice, loser: answers[1 - choice].voice }
				: { winner: null, loser: null },
		);
	}
	return { node, finished, stop: () => answers.forEach((answer) => answer.stop()) };
}

/** Why there is nothing to choose between; "" if there is. */
function unfit(answers) {
	if (!answers.every((answer) => answer.finished))
		return "Without two whole answers there is nothing to choose from. Ask again.";
	// Where a version can't be had, the one in charge speaks in its place, and the gateway says so.
	const other = answers.find(
		({ voice, meta }) => voice.fields.adapter_version && voice.fields.adapter_version !== meta.adapter_version,
	);
	return other ? `${other.voice.label} did not speak, so this is no test. ${other.meta.notice ?? ""}` : "";
}

/** The feedback a vote is: the better one liked, with the other as the worse of the pair; or both disliked. */
function ballots(order, answers, choice, user) {
	if (choice === null) return [];
	if (choice < 0) return answers.map((answer) => feedback(order, answer, { rating: "down", user }));
	return [feedback(order, answers[choice], { rating: "up", rejected: answers[1 - choice].text, user })];
}

/** Let answers come, a few at a time; one that the gateway had no room for beside its sisters waits for one to end. */
async function inTurns(answers) {
	const waiting = [...answers];
	const lane = async () => {
		for (let next = waiting.shift(); next; next = waiting.shift()) await next.run();
	};
	await Promise.all(Array.from({ length: Math.min(AT_ONCE, answers.length) }, lane));
	for (const answer of answers) {
		if (answer.error?.code === "busy" && answers.length > 1) await answer.retry();
	}
	return answers;
}

function rating(order, answer, { user, rejected = "" }) {
	const said = el("span.hint", { role: "status" });
	const why = el("div.reason");
	let current = null;
	const rate = async (wish, reason = "") => {
		const body = {
			...feedback(order, answer, { rating: wish, rejected: wish === "up" ? rejected : "", user }),
			reason,
		};
		try {
			await post("/v1/feedback", body);
		} catch (error) {
			said.textContent = sentence(error);
			return;
		}
		current = wish;
		good.setAttribute("aria-pressed", String(current === "up"));
		poor.setAttribute("aria-pressed", String(current === "down"));
		said.textContent = reason
			? "Thank you."
			: current
				? `Noted for ${answer.meta.adapter_version ?? "the prompt"}.`
				: "Taken back.";
		fill(why, current === "down" && !reason && asked());
		if (reason) poor.focus(); // the form that was sent is gone
	};
	const asked = () => {
		const text = el("input", { maxlength: 2000, id: uid("reason") });
		return el(
			"form.row",
			{
				onsubmit: (event) => {
					event.preventDefault();
					if (text.value.trim()) rate("down", text.value.trim());
				},
			},
			field("What was wrong? (if you like)", text),
			el("button", { type: "submit", class: "button", text: "Send" }),
		);
	};
	const good = button("Good", () => rate(current === "up" ? null : "up"), {
		"aria-pressed": "false",
		class: "button thumb up",
	});
	const poor = button("Poor", () => rate(current === "down" ? null : "down"), {
		"aria-pressed": "false",
		class: "button thumb down",
	});
	return el("div.rating.row", good, poor, said, why);
}

function copy(answer) {
	const control = button(
		"Copy",
		async () => {
			const text = `${answer.text.trim()}\n\n— ${answer.meta.disclosure}`;
			try {
				await navigator.clipboard.writeText(text);
				control.textContent = "Copied";
			} catch {
				control.textContent = "The browser forbids it here";
			}
			setTimeout(() => {
				control.textContent = "Copy";
			}, 2000);
		},
		{ kind: "quiet" },
	);
	return control;
}

/** A switch between the rewriting and what it changed. */
function compared(order, answer) {
	let shown = false;
	const control = button(
		"Show what changed",
		() => {
			shown = !shown;
			control.setAttribute("aria-pressed", String(shown));
			if (shown) fill(answer.words, el("p.changes", changes(order.text, answer.text.trim())));
			else answer.draw();
		},
		{ kind: "quiet", "aria-pressed": "false" },
	);
	return control;
}

function sentence(error) {
	return error instanceof ApiError ? error.message : `It could not be sent (${error.message}).`;
}
