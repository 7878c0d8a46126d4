// One answer on the page: it comes in word by word, and ends as words with their sources and where each part is from.

import { stream } from "./api.js";
import { announce, button, el, fill, notice, number, plural, redraw, seconds, uid } from "./dom.js";
import { markdown } from "./markdown.js";
import { Reader } from "./reader.js";
import { marker, origin, showSource, sources } from "./sources.js";
import { request } from "./voices.js";

export class Answer {
	/** `order`: see voices.js. `secret`: keep to itself which voice this is, until `tell()`. `aloud`: read it to people
	 * who hear the page, sentence by sentence. */
	constructor(order, voice, { user, secret = false, aloud = false, title = voice.label }) {
		Object.assign(this, { order, voice, user, secret, aloud });
		this.text = "";
		this.meta = this.done = this.error = null;
		this.stopped = false;
		this.title = el("h3", { tabindex: "-1", text: title });
		this.status = el("p.status", { text: "Asking …" });
		this.note = el("div");
		this.words = el("div.words", { "aria-busy": "true" });
		this.margin = el("div.margin");
		this.foot = el("div.foot");
		this.stopButton = button("Stop", () => this.stop(), { kind: "quiet" });
		this.node = el(
			"article.answer",
			{ "aria-labelledby": uid("title") },
			el("header", this.title, this.status),
			this.note,
			el("div.body", el("div.said", this.words, this.foot), this.margin),
		);
		this.title.id = this.node.getAttribute("aria-labelledby");
	}

	/** Ask and show, to the end. Never throws: what went wrong is on the page, and in `error`. */
	async run() {
		if (this.stopped) return this; // before its turn came
		this.leaving = new AbortController();
		const reader = new Reader(this.aloud ? announce : () => {});
		const { path, body } = request(this.order, this.voice, this.user);
		this.node.classList.add("writing");
		this.node.querySelector("header").append(this.stopButton);
		try {
			await stream(path, body, {
				signal: this.leaving.signal,
				onEvent: (name, data) => {
					this.#take(name, data);
					if (name === "delta") reader.read(data.text);
				},
			});
			reader.end();
		} catch (error) {
			if (error.name === "AbortError") this.stopped = true;
			else this.error = error;
		}
		this.#end();
		return this;
	}

	/** Once more, after the gateway had no room for it. */
	async retry() {
		this.error = null;
		this.text = "";
		fill(this.note);
		this.status.textContent = "Asking …";
		return this.run();
	}

	stop() {
		this.stopped = true;
		this.leaving?.abort();
	}

	get finished() {
		return this.done !== null;
	}

	#take(name, data) {
		if (name === "queued") {
			this.status.textContent = `In line, place ${data.position}; about ${seconds(Math.max(1, data.eta_seconds))}.`;
		} else if (name === "meta") {
			this.meta = data;
			this.status.textContent =
				data.citations.length && !this.secret
					? `Read ${plural(data.citations.length, "passage")}; writing …`
					: "Writing …";
			if (!this.secret) this.#told();
		} else if (name === "delta") {
			this.text += data.text;
			this.#soon();
		} else if (name === "done") {
			this.done = data;
		}
	}

	/** Draw at the next frame, however many words come until then. */
	#soon() {
		if (this.drawing) return;
		this.drawing = true;
		requestAnimationFrame(() => {
			this.drawing = false;
			this.draw();
		});
	}

	draw() {
		fill(this.words, markdown(this.text, { spans: this.done?.provenance ?? [], marker: (n) => this.#marker(n) }));
	}

	#end() {
		this.node.classList.remove("writing");
		this.words.setAttribute("aria-busy", "false");
		if (this.stopButton === document.activeElement) this.title.focus({ preventScroll: true });
		this.stopButton.remove();
		this.draw();
		this.status.textContent = this.stopped ? "Stopped." : this.error ? "" : this.#took();
		if (this.error) {
			fill(this.note, notice("error", this.error.message + this.#wait()));
		} else if (this.meta && !this.secret) {
			this.#told();
		}
		if (!this.secret) this.#footer();
		if (this.aloud)
			announce(this.error ? "" : this.stopped ? "Stopped." : `The answer has ended${this.#sourcesSaid()}.`);
	}

	#wait() {
		const wait = this.error.retryAfterSeconds;
		return wait ? ` Try again in ${seconds(Math.max(1, wait))}.` : "";
	}

	#sourcesSaid() {
		const used = this.#used();
		return used.length ? `, with ${plural(used.length, "source")}` : "";
	}

	#took() {
		const { timings, usage } = this.done;
		const first = timings.first_token_seconds;
		const whole = seconds(timings.total_seconds);
		const times = first === null ? `Took ${whole}` : `First word after ${seconds(first)}, all after ${whole}`;
		return usage.completion_tokens ? `${times}; ${number(usage.completion_tokens)} tokens` : times;
	}

	/** What the gateway says about how this answer is made, and the passages it was given. */
	#told() {
		fill(
			this.note,
			this.meta.notice && notice("info", this.meta.notice),
			this.meta.quoted && notice("info", "Passages word for word: no model wrote this."),
		);
		this.#sources();
	}

	/** Citations that the words lean on. */
	#used() {
		const used = this.done?.used_citations ?? [];
		return (this.meta?.citations ?? []).filter((citation) => used.includes(citation.number));
	}

	#sources() {
		if (!this.meta.citations.length) return;
		const used = this.#used();
		const rest = this.meta.citations.filter((citation) => !used.includes(citation));
		redraw(this.margin, sources(used, rest, { open: this.aloud && this.done !== null && !used.length }));
	}

	#marker(n) {
		const known = !this.secret && this.meta?.citations.some((citation) => citation.number === n);
		return marker(n, known ? () => showSource(this.margin, n) : null);
	}

	#footer() {
		const spans = this.done?.provenance ?? [];
		fill(
			this.foot,
			this.done && this.done.finish_reason !== "abstained" && spans.length > 0 && origin(spans),
			this.done?.finish_reason === "length" && el("p.soft", { text: "It ended at the longest length allowed here." }),
			this.done?.finish_reason === "abstained" &&
				el("p.soft", { text: "The writing does not cover this, so it says so." }),
			this.meta &&
				(this.text || this.done) &&
				el("p.disclosure", { text: `— ${this.meta.disclosure}${this.#speaker()}` }),
		);
	}

	#speaker() {
		const { adapter_version: version, base_model: base } = this.meta;
		return version ? ` Voice ${version} on ${base}.` : ` ${base}, without a voice of its own.`;
	}

	/** Give the secret away. */
	tell() {
		this.secret = false;
		this.title.textContent = `${this.title.textContent}: ${this.voice.label}`;
		if (this.meta) this.#told();
		this.draw();
		this.#footer();
	}
}
