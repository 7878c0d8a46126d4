// What is asked of whom: the personas to choose from, the text, and the settings of a request.
// It knows nothing of answers; whoever holds it is told `onsubmit(order)`, where order is voices.js's.

import { remember, remembered } from "./app.js";
import { choice, el, field, fill, notice, number, redraw, uid } from "./dom.js";
import { monogram } from "./personas.js";
import { voicesOf } from "./voices.js";

const STRENGTHS = [
	{ value: "light", label: "Light" },
	{ value: "normal", label: "Normal" },
	{ value: "strong", label: "Strong" },
];

export class Composer {
	/** `onsubmit(order)`; `onchange(name)` when "persona", "task", "view" or "voice" changed. */
	constructor({ onsubmit, onchange }) {
		this.onsubmit = onsubmit;
		this.onchange = onchange;
		this.personas = [];
		this.persona = null;
		this.task = "ask";
		this.view = "one";
		this.voice = "live";
		this.strength = "normal";
		this.picker = el("div.picker");
		this.modes = el(
			"div.modes",
			choice({
				legend: "What to do",
				value: this.task,
				onchange: (value) => this.choose("task", value),
				options: [
					{ value: "ask", label: "Ask" },
					{ value: "rewrite", label: "Rewrite" },
				],
			}),
			choice({
				legend: "How answers are shown",
				value: this.view,
				onchange: (value) => this.choose("view", value),
				options: [
					{ value: "one", label: "One voice" },
					{ value: "compare", label: "Side by side" },
					{ value: "blind", label: "Blind test" },
				],
			}),
		);
		this.text = el("textarea", {
			id: uid("text"),
			rows: 3,
			autocomplete: "off",
			required: true,
			oninput: () => this.#count(),
			onkeydown: (event) => {
				if (
					event.key === "Enter" &&
					!event.shiftKey &&
					!event.isComposing &&
					(this.task === "ask" || event.ctrlKey || event.metaKey)
				) {
					event.preventDefault();
					this.form.requestSubmit();
				}
			},
		});
		this.textLabel = el("label.asking", { for: this.text.id });
		this.left = el("p.hint.left", { id: uid("left"), "aria-live": "polite" });
		this.text.setAttribute("aria-describedby", this.left.id);
		this.send = el("button", { type: "submit", class: "button primary" });
		this.extra = el("div.row.extra");
		this.anew = el("div");
		this.settings = el("div.settings");
		this.form = el(
			"form.composer.card",
			{
				novalidate: true,
				onsubmit: (event) => {
					event.preventDefault();
					this.#submit();
				},
			},
			this.textLabel,
			this.text,
			this.left,
			el(
				"div.send",
				el("details.options", el("summary", { text: "Options" }), this.settings),
				this.extra,
				this.anew,
				this.send,
			),
		);
		this.#settings();
	}

	/** Take up what the gateway tells of its personas; keeps the one chosen. */
	update(personas, wanted = "") {
		this.personas = personas;
		const id = wanted || this.persona?.id || remembered("persona");
		const before = this.persona?.id;
		this.persona = personas.find((persona) => persona.id === id) ?? personas[0] ?? null;
		const another = this.persona?.id !== before;
		if (another) this.voice = "live";
		this.#draw();
		if (another) this.onchange("persona");
	}

	/** What is asked now. */
	order() {
		const value = (name) => this.inputs[name].value.trim();
		const amount = (name) => (value(name) === "" ? null : Number(value(name)));
		return {
			task: this.task,
			persona: this.persona,
			text: this.text.value.trim(),
			history: [],
			options: {
				since: value("since"),
				until: value("until"),
				source: value("source"),
				temperature: amount("temperature"),
				max_tokens: amount("max_tokens"),
				strength: this.strength,
				keep: this.inputs.keep.checked ? null : false,
			},
		};
	}

	choose(part, value) {
		this[part] = value;
		if (part === "persona") {
			remember("persona", value.id);
			this.voice = "live";
		}
		this.#draw();
		this.onchange(part);
	}

	#submit() {
		if (!this.persona) return;
		if (!this.text.value.trim()) {
			this.text.focus();
			return;
		}
		const order = this.order();
		if (this.task === "ask") this.text.value = "";
		this.#count();
		this.onsubmit(order);
	}

	#draw() {
		const name = this.persona?.display_name ?? "";
		redraw(this.picker, this.#people());
		for (const part of ["task", "view"]) {
			const chosen = this.modes.querySelector(`input[value="${this[part]}"]`);
			chosen.checked = true;
		}
		this.textLabel.textContent = this.task === "ask" ? `Ask ${name}` : `Rewrite as ${name}`;
		this.text.placeholder = this.task === "ask" ? "What would you like to know?" : "Paste a text of your own.";
		this.text.rows = this.task === "ask" ? 3 : 7;
		this.send.textContent = this.task === "ask" ? "Ask" : "Rewrite";
		this.send.disabled = !this.persona;
		fill(
			this.extra,
			this.task === "rewrite" &&
				choice({
					legend: "Strength of the voice",
					value: this.strength,
					options: STRENGTHS,
					onchange: (value) => {
						this.strength = value;
					},
				}),
		);
		for (const input of ["since", "until", "source", "keep"]) {
			this.inputs[input].closest(".field, .check").hidden = this.task !== "ask";
		}
		const select = this.inputs.voice;
		const voices = this.persona ? voicesOf(this.persona) : [];
		fill(
			select,
			voices.map((voice) =>
				el("option", {
					value: voice.key,
					selected: voice.key === this.voice,
					text: `${voice.label} (${voice.detail})`,
				}),
			),
		);
		select.closest(".field").hidden = this.view !== "one";
		this.#count();
	}

	#people() {
		if (!this.personas.length)
			return notice(
				"info",
				"There is no persona yet.",
				el("a.button.primary", { href: "#/new", text: "Make the first one" }),
			);
		const group = uid("persona");
		return el(
			"fieldset.people",
			el("legend.hidden-text", { text: "Persona" }),
			this.personas.map((persona) =>
				el(
					"label.person",
					el("input", {
						type: "radio",
						name: group,
						value: persona.id,
						checked: persona.id === this.persona?.id,
						onchange: () => this.choose("persona", persona),
					}),
					el(
						"span",
						monogram(persona.display_name),
						el("span.who", el("strong", { text: persona.display_name }), el("small", { text: standing(persona) })),
					),
				),
			),
		);
	}

	#settings() {
		const input = (attributes) => el("input", { autocomplete: "off", ...attributes });
		this.inputs = {
			voice: el("select", {
				onchange: (event) => {
					this.voice = event.target.value;
					this.onchange("voice");
				},
			}),
			since: input({ pattern: "\\d{4}(-\\d{2}(-\\d{2})?)?", placeholder: "1862", size: 10 }),
			until: input({ pattern: "\\d{4}(-\\d{2}(-\\d{2})?)?", placeholder: "1864-12-31", size: 10 }),
			source: input({ placeholder: "part of a title’s address" }),
			temperature: input({ type: "number", min: 0, max: 2, step: 0.1, placeholder: "as set" }),
			max_tokens: input({ type: "number", min: 1, max: 8192, step: 1, placeholder: "as set" }),
			keep: el("input", { type: "checkbox", checked: true }),
		};
		const { voice, since, until, source, temperature, max_tokens: tokens, keep } = this.inputs;
		fill(
			this.settings,
			field("Who answers", voice),
			field("Only writing since", since),
			field("Only writing until", until),
			field("Only from sources with", source),
			field("Temperature", temperature, { hint: "0 is steady, 1 is free." }),
			field("Longest answer, in tokens", tokens),
			el("label.check", keep, "Keep the question for the operator if the writing does not cover it"),
		);
	}

	#count() {
		const most =
			this.persona && (this.task === "ask" ? this.persona.max_question_characters : this.persona.max_text_characters);
		const left = (most ?? Infinity) - [...this.text.value.trim()].length;
		this.left.textContent =
			left < 0
				? `${number(-left)} characters too many.`
				: left < most * 0.2
					? `${number(left)} characters left.`
					: "";
		this.left.classList.toggle("over", left < 0);
	}
}

/** One line on how ready a persona is. */
function standing(persona) {
	const voice = persona.adapter_version ? `Voice ${persona.adapter_version}` : "By prompt only";
	return persona.passages ? `${voice}, ${number(persona.passages)} passages` : `${voice}, no sources yet`;
}
