// The form of a new persona: its fields, what of them goes to the gateway, and the gateway's problems at their places.
// It knows neither files nor what comes after; new_persona.js does.

import { choice, el, field, fill, uid } from "./dom.js";
import { hint as note, stack } from "./parts.js";

const LANGUAGES = "en ar bg ca zh cs da nl fi fr de el he hi hu id it ja ko no fa pl pt ro ru es sv th tr uk vi";
const NAMES = new Intl.DisplayNames("en", { type: "language" });

const option = (value, label, hint, rights = {}) => ({ value, label, hint, rights });
const GROUNDS = [
	option("", "Not yet", "It answers; a trained voice can't be published"),
	option("public", "Public domain", "Its protection has ended, or never was", { licence: "public domain" }),
	option("own", "I wrote it", "You are the author", { consent: "The owner of the writing made this persona." }),
	option("consent", "The author agreed", "Say how and when"),
	option("licence", "A licence", "Name it, for example CC BY 4.0"),
];
const KINDS = [
	option("author", "Somebody who wrote", "A real person, living or not"),
	option("character", "Somebody made up", "A character"),
];
const MODES = [
	option("strict", "Strict", "Says only what the writing holds"),
	option("adaptive", "Adaptive", "Marks what is quoted and what is its own"),
	option("creative", "Creative", "Answers everything"),
];
/** Fields that templates fill, and those that are simply taken. */
const TEMPLATED = ["description", "disclosure", "refusal", "ask_system", "rewrite_system"];
const TEXTS = [...TEMPLATED, "display_name", "about", "language", "background"];
const LISTS = { style_anchors: [/\n\s*\n/, "\n\n"], tics: [",", ", "] };

export class DraftForm {
	/** `onchange()` after every change. */
	constructor({ onchange }) {
		this.onchange = onchange;
		this.controls = new Map();
		this.touched = new Set();
		this.card = null;
		this.kind = "author";
		this.mode = "";
		this.ground = "";
		this.idTyped = false;
		this.kindChoice = el("div");
		this.modeChoice = el("div");
		this.groundChoice = el("div");
		this.rightsMore = stack();
		this.who = this.#who();
		this.manner = this.#manner();
		this.rights = this.#rights();
		this.#drawChoices();
	}

	// -- the parts ----------------------------------------------------------------------------------------

	#who() {
		return [
			this.kindChoice,
			this.#text("display_name", "Name", {
				hint: "As people see it above an answer.",
				autocomplete: "off",
				maxlength: 80,
			}),
			this.#text("id", "Short name", {
				hint: "What people type: /ask ada. Small letters, digits and dashes.",
				autocomplete: "off",
				spellcheck: "false",
				maxlength: 32,
			}),
			this.#text("description", "In a line", { hint: "Shown in lists. Empty: by template.", maxlength: 100 }),
			this.#area("about", "Manner and subjects", {
				rows: 3,
				hint: "A sentence or two on how this person writes, and of what. It speaks by this until a voice is trained.",
			}),
			field(
				"Language",
				this.#control(
					"language",
					el(
						"select",
						LANGUAGES.split(" ").map((code) => el("option", { value: code, text: NAMES.of(code) })),
					),
				),
			),
		];
	}

	#manner() {
		return [
			this.#area("disclosure", "Disclosure", {
				rows: 2,
				hint: "Below every answer; it has to say that it is an imitation. Empty: by template.",
			}),
			this.#area("refusal", "When it has not written about something", { rows: 2, hint: "Empty: by template." }),
			this.modeChoice,
			this.#area("ask_system", "Prompt for questions", {
				rows: 4,
				hint: "Empty: by template, as the preview shows it.",
			}),
			this.#area("rewrite_system", "Prompt for rewriting", { rows: 3, hint: "Empty: by template." }),
			this.#area("style_anchors", "Passages that sound like it", {
				rows: 4,
				hint: "Two or three, an empty line between them; shown to the model while no voice is trained.",
			}),
			this.#text("tics", "Words it overuses", {
				hint: "With commas between; a voice that says them too often fails its evaluation.",
			}),
			this.#area("background", "Facts worth citing", {
				rows: 3,
				hint: "Markdown; it lies with the writing and can be cited.",
			}),
		];
	}

	#rights() {
		this.#text("licence", "Licence", { hint: "For example CC BY 4.0, with its address." });
		this.#text("consent", "Consent", { hint: "Who agreed, when, and where it can be read." });
		this.#text("owner", "Owner of the writing", { maxlength: 200 });
		this.#area("statement", "Statement", {
			rows: 2,
			hint: "One sentence: what the writing is, and why you may use it.",
		});
		return [this.groundChoice, this.rightsMore];
	}

	#drawChoices() {
		const draw = (node, name, legend, options, value = this[name]) =>
			fill(
				node,
				choice({
					legend,
					showLegend: true,
					options,
					value,
					onchange: (chosen) => {
						this[name] = chosen;
						this.#drawChoices();
						node.querySelector(":checked").focus();
						this.#changed(name);
					},
				}),
			);
		draw(this.kindChoice, "kind", "What it is", KINDS);
		draw(
			this.modeChoice,
			"mode",
			"How free it may be",
			MODES,
			this.mode || (this.kind === "character" ? "creative" : "adaptive"),
		);
		draw(this.groundChoice, "ground", "On what ground may you use this writing?", GROUNDS);
		this.#drawRights();
	}

	#drawRights() {
		const part = (name) => this.controls.get(name).block;
		fill(
			this.rightsMore,
			this.ground
				? [
						this.ground === "consent" && part("consent"),
						this.ground === "licence" && part("licence"),
						part("owner"),
						part("statement"),
					]
				: note(
						"It answers all the same. Before a trained voice is published somebody has to say on what ground the writing may be used.",
					),
		);
	}

	// -- controls -----------------------------------------------------------------------------------------

	#text(name, label, { hint, ...attributes }) {
		return this.#block(name, label, el("input", { type: "text", ...attributes }), hint);
	}

	#area(name, label, { hint, ...attributes }) {
		return this.#block(name, label, el("textarea", attributes), hint);
	}

	#block(name, label, control, hint) {
		this.#control(name, control);
		const block = field(label, control, { hint });
		this.controls.get(name).block = block;
		return block;
	}

	#control(name, control) {
		control.name = name;
		control.addEventListener("input", () => {
			if (name === "id") this.idTyped = control.value !== "";
			this.#changed(name);
		});
		control.addEventListener("blur", () => {
			if (control.value) this.touched.add(name);
		});
		this.controls.set(name, { control });
		return control;
	}

	#changed(name) {
		this.touched.add(name);
		this.onchange(name);
	}

	// -- in and out ---------------------------------------------------------------------------------------

	value(name) {
		return this.controls.get(name).control.value.trim();
	}

	/** The draft as the gateway takes it: what was not filled in is left to its templates. */
	draft() {
		const draft = { id: this.value("id"), kind: this.kind };
		for (const name of TEXTS) if (this.value(name)) draft[name] = this.value(name);
		for (const [name, [between]] of Object.entries(LISTS)) {
			const items = this.value(name)
				.split(between)
				.map((text) => text.trim())
				.filter(Boolean);
			if (items.length) draft[name] = items;
		}
		if (this.mode) draft.mode = this.mode;
		if (this.card) draft.card = this.card;
		if (this.ground) {
			const { rights } = GROUNDS.find(({ value }) => value === this.ground);
			draft.rights = { owner: this.value("owner"), statement: this.value("statement"), ...rights };
			if (["licence", "consent"].includes(this.ground)) draft.rights[this.ground] = this.value(this.ground);
		}
		return draft;
	}

	/** Fill in a draft, as of a character card. */
	take(draft) {
		for (const [name, { control }] of this.controls) {
			const given = draft[name] ?? draft.rights?.[name];
			if (given === undefined) continue;
			control.value = name in LISTS ? given.join(LISTS[name][1]) : (given ?? "");
		}
		if (!this.controls.get("language").control.value) this.controls.get("language").control.value = "en";
		this.kind = draft.kind ?? this.kind;
		this.mode = draft.mode ?? "";
		this.card = draft.card ?? null;
		const { licence, consent } = draft.rights ?? {};
		this.ground = licence ? (licence === "public domain" ? "public" : "licence") : consent ? "consent" : this.ground;
		this.idTyped = Boolean(draft.id);
		this.#drawChoices();
		this.onchange("card");
	}

	/** What the templates make of the fields left empty stands in them as a placeholder; an id is suggested. */
	suggest(preview) {
		for (const name of TEMPLATED) this.controls.get(name).control.placeholder = preview[name] ?? "";
		if (!this.idTyped && preview.id) this.controls.get("id").control.value = preview.id;
	}

	/** Show problems at their fields (with `all` unset only at those somebody was in); gives those that have no field here. */
	problems(list, { all = false } = {}) {
		const homeless = [];
		for (const { control, block } of this.controls.values()) {
			control.removeAttribute("aria-invalid");
			block?.querySelector(".problem")?.remove();
		}
		for (const { field: place, message } of list) {
			const name = place.replace(/^rights\./, "").split(".")[0];
			const found = this.controls.get(name);
			if (!found?.block?.isConnected) {
				homeless.push(place ? `${place}: ${message}` : message);
			} else if ((all || this.touched.has(name)) && !found.block.querySelector(".problem")) {
				const id = uid("problem");
				found.control.setAttribute("aria-invalid", "true");
				found.control.setAttribute("aria-errormessage", id);
				found.block.append(el("p.problem.trouble", { id, text: message }));
			}
		}
		return homeless;
	}

	/** Go to the first field with a problem, opening what it is folded into. */
	focusProblem() {
		const first = [...this.controls.values()].find(
			({ control }) => control.getAttribute("aria-invalid") === "true",
		)?.control;
		first?.closest("details")?.setAttribute("open", "");
		first?.focus();
	}
}
