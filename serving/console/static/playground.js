// The page where people talk to personas: one voice, several side by side, or two without their names.
// What was asked stays on the page while other pages are looked at: the desk is made once and laid out again.

import { get } from "./api.js";
import { heading, page, remember, remembered } from "./app.js";
import { button, el, field, fill, notice, redraw, uid } from "./dom.js";
import { Composer } from "./composer.js";
import { asksForKey } from "./personas.js";
import { blindTest, oneTurn, sideBySide } from "./turn.js";
import { voicesOf } from "./voices.js";

const MOST_BESIDE = 4;

let desk = null;

class Desk {
	constructor() {
		this.turns = [];
		this.votes = new Map();
		this.beside = null;
		this.pair = null;
		this.problem = el("div");
		this.log = el("div.log");
		this.setup = el("div.setup");
		this.composer = new Composer({ onsubmit: (order) => this.ask(order), onchange: (part) => this.#changed(part) });
		const { picker, modes, form, anew } = this.composer;
		this.anew = anew;
		// Nothing can be chosen before it is known of whom.
		this.node = el("div.desk.closed", this.problem, picker, modes, this.log, this.setup, form);
	}

	/** Read who is here. Throws what the gateway refuses. */
	async load(wanted) {
		if (asksForKey(this.problem, "talk to its personas")) {
			this.node.classList.add("closed");
			return;
		}
		const { personas } = await get("/console/api/personas");
		fill(this.problem);
		this.composer.update(personas, wanted);
		this.#drawSetup();
		this.node.classList.remove("closed");
	}

	ask(order) {
		const { view } = this.composer;
		if (view === "compare") return this.#compare(order, this.#chosen());
		if (view === "blind") return this.#blind(order);
		order.history = order.task === "ask" ? this.#history() : [];
		return this.#one(order, this.#voice());
	}

	// -- what a person sees when they ask ---------------------------------------------------------------

	#one(order, voice, rejected = "") {
		const made = oneTurn(order, voice, {
			user: user(),
			rejected,
			again: (same, answer) => this.#one(same, voice, answer.finished ? answer.text : ""),
			beside: (same) => {
				this.composer.choose("view", "compare");
				this.#compare({ ...same, history: [] }, this.#chosen());
			},
		});
		return this.#add(order, made, "one");
	}

	#compare(order, voices) {
		return this.#add(order, sideBySide(order, voices, { user: user() }), "compare");
	}

	#blind(order) {
		const pair = this.#pairOf();
		if (!pair) return null;
		return this.#add(order, blindTest(order, pair, { user: user(), onvote: (vote) => this.#count(vote) }), "blind");
	}

	async #add(order, made, view) {
		const turn = { order, view, stop: made.stop, answers: [] };
		this.turns.push(turn);
		this.log.append(made.node);
		this.node.classList.add("spoken");
		this.#drawSetup();
		made.node.scrollIntoView({ block: "start", behavior: "smooth" });
		const answers = await made.finished;
		turn.answers = [answers].flat();
		this.#drawSetup();
	}

	/** The conversation so far, as the next question is understood by it. */
	#history() {
		const { persona } = this.composer;
		const said = this.turns.filter(
			({ order, view, answers }) =>
				view === "one" && order.task === "ask" && order.persona.id === persona.id && answers[0]?.finished,
		);
		return said.slice(-20).flatMap(({ order, answers }) => [
			{ role: "user", content: order.text },
			{ role: "assistant", content: answers[0].text.trim().slice(0, 20000) },
		]);
	}

	#fresh() {
		for (const { stop } of this.turns) stop(); // nobody can see its words any more
		this.turns = [];
		fill(this.log);
		this.node.classList.remove("spoken");
		this.#drawSetup();
		this.composer.text.focus();
	}

	// -- which voices ---------------------------------------------------------------------------------

	#voices() {
		return this.composer.persona ? voicesOf(this.composer.persona) : [];
	}

	#voice() {
		return this.#voices().find((voice) => voice.key === this.composer.voice) ?? this.#voices()[0];
	}

	/** Those of the side-by-side view: at first the one in charge, the version before it, the prompt and the bare model. */
	#chosen() {
		const voices = this.#voices();
		const keys = this.beside ?? [...voices.slice(0, 2), ...voices.slice(-2)].map(({ key }) => key);
		return voices.filter(({ key }) => keys.includes(key)).slice(0, MOST_BESIDE);
	}

	/** Two that answer from the same passages and prompt: only of such a pair can a voice learn. */
	#pairOf() {
		const voices = this.#voices().filter((voice) => voice.key !== "base");
		if (voices.length < 2) return null;
		const find = (key) => voices.find((voice) => voice.key === key);
		const first = find(this.pair?.[0]) ?? voices[0];
		const second = find(this.pair?.[1]) ?? voices.find(({ key }) => key !== first.key);
		return [first, second];
	}

	#count({ winner, loser }) {
		if (!winner) return;
		const tally = (voice, won) => {
			const label = voice.label;
			const { wins, of } = this.votes.get(label) ?? { wins: 0, of: 0 };
			this.votes.set(label, { wins: wins + won, of: of + 1 });
		};
		tally(winner, 1);
		tally(loser, 0);
		this.#drawSetup();
	}

	#changed(part) {
		if (part === "persona") {
			this.beside = this.pair = null;
			this.votes = new Map();
		}
		this.#drawSetup();
	}

	#drawSetup() {
		const { view, task, persona } = this.composer;
		const doing = this.turns.length ? "A conversation with" : task === "ask" ? "Ask" : "Rewrite as";
		const title = persona ? `${doing} ${persona.display_name}` : "Playground";
		if (this.node.isConnected) heading(title);
		redraw(
			this.setup,
			persona && this.#about(persona),
			persona && view === "compare" && this.#columns(),
			persona && view === "blind" && this.#blindSetup(),
		);
		redraw(this.anew, this.turns.length > 0 && button("Start anew", () => this.#fresh(), { kind: "quiet" }));
		this.node.closest("main")?.classList.toggle("wide", view === "compare");
	}

	#about(persona) {
		if (this.turns.length) return null;
		return [
			el("p.about", { text: persona.description }),
			(persona.problem || persona.notice) && notice("warning", persona.problem || persona.notice),
		];
	}

	#columns() {
		const chosen = this.#chosen().map(({ key }) => key);
		return el(
			"fieldset.voices",
			el("legend.label", { text: `Voices, at most ${MOST_BESIDE}` }),
			this.#voices().map((voice) => {
				const held = chosen.includes(voice.key);
				return el(
					"label.check",
					el("input", {
						type: "checkbox",
						value: voice.key,
						checked: held,
						disabled: (held && chosen.length === 1) || (!held && chosen.length >= MOST_BESIDE),
						onchange: (event) => {
							this.beside = event.target.checked ? [...chosen, voice.key] : chosen.filter((key) => key !== voice.key);
							this.#drawSetup();
							this.setup.querySelector(`[value="${CSS.escape(voice.key)}"]`)?.focus();
						},
					}),
					el("span", voice.label, el("small", { text: ` ${voice.detail}` })),
				);
			}),
		);
	}

	#blindSetup() {
		const pair = this.#pairOf();
		if (!pair)
			return notice(
				"info",
				"A blind test needs two voices, and this persona has one so far. Train it, and compare the new voice with its prompt.",
			);
		const voices = this.#voices().filter((voice) => voice.key !== "base");
		const select = (place) =>
			el(
				"select",
				{
					id: uid("pair"),
					onchange: (event) => {
						this.pair = pair.map(({ key }) => key);
						if (this.pair[1 - place] === event.target.value) this.pair[1 - place] = this.pair[place];
						this.pair[place] = event.target.value;
						this.#drawSetup();
					},
				},
				voices.map((voice) =>
					el("option", { value: voice.key, selected: voice.key === pair[place].key, text: voice.label }),
				),
			);
		return el(
			"div.blind",
			el("p.soft", {
				text: "Two voices answer without their names, in an order drawn anew each time. Your vote counts as feedback on them.",
			}),
			el("div.row", field("One", select(0)), field("The other", select(1)), this.#tally()),
		);
	}

	#tally() {
		if (!this.votes.size) return null;
		return el(
			"p.tally",
			"So far: ",
			[...this.votes].map(([label, { wins, of }], place) => [
				place ? ", " : "",
				el("strong", { text: label }),
				` preferred ${wins} of ${of}`,
			]),
		);
	}
}

/** An opaque name of this browser: the gateway keeps one rating of each person and answer, and only a hash of this. */
function user() {
	let name = remembered("user");
	if (!name) {
		name = [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join("");
		remember("user", name);
	}
	return `console:${name}`;
}

async function render(root, { id = "" }) {
	desk ??= new Desk();
	fill(root, desk.node);
	// The same address again, after signing in, must not undo what was chosen since.
	const again = desk.address === location.hash;
	desk.address = location.hash;
	await desk.load(again ? "" : id);
}

const playground = { title: "Playground", render };
page("#/", playground);
page("#/ask/:id", { ...playground, nav: "#/" });
