// Who can answer as a persona: the version in charge, every other usable one, its prompt alone, and the bare model.
// In: what the gateway tells of a persona. Out: voices, and the request that asks one of them. Pure.

/** Voices of a persona, the one in charge first: `{key, label, detail, fields}`; `fields` go into the request. */
export function voicesOf(persona) {
	const live = persona.adapter_version ?? persona.live ?? null;
	const others = (persona.versions ?? [])
		.filter((version) => version.version !== live && version.state !== "unusable")
		.map((version) => ({
			key: version.version,
			label: `Voice ${version.version}`,
			detail: version.state === "previous" ? "in charge before" : "not in charge",
			fields: { adapter_version: version.version },
		}));
	const prompted = {
		key: "prompted",
		label: "Prompt only",
		detail: "the base model, told who to be",
		fields: { voice: "prompted" },
	};
	const first = live
		? [{ key: "live", label: `Voice ${live}`, detail: "in charge", fields: {} }, ...others, prompted]
		: [{ ...prompted, key: "live", detail: "no voice is in charge yet", fields: {} }, ...others];
	return [
		...first,
		{ key: "base", label: "Base model", detail: "bare: no persona, no passages", fields: { voice: "base" } },
	];
}

/** The path and body of a request.
 *
 * `order`: `{task, persona, text, history, options}`; options that are empty stay out. */
export function request(order, voice, user) {
	const { since, until, source, temperature, max_tokens, strength, keep } = order.options;
	const common = {
		persona: order.persona.id,
		stream: true,
		temperature,
		max_tokens,
		user,
		surface: "console",
		...voice.fields,
	};
	const own =
		order.task === "ask"
			? { question: order.text, history: order.history, since, until, source, keep }
			: { text: order.text, strength };
	const body = { ...common, ...own };
	for (const [name, value] of Object.entries(body)) {
		if (value === null || value === undefined || value === "") delete body[name];
	}
	return { path: order.task === "ask" ? "/v1/ask" : "/v1/rewrite", body };
}

/** What a rating tells the gateway: the answer, and everything it was made of.
 *
 * `rejected`: the text of another answer to the same prompt that this one was preferred to. */
export function feedback(order, answer, { rating, rejected = "", user }) {
	return {
		request_id: answer.meta.request_id,
		persona: answer.meta.persona,
		task: order.task,
		voice: answer.meta.voice,
		adapter_version: answer.meta.adapter_version,
		base_model: answer.meta.base_model,
		prompt_fingerprint: answer.meta.prompt_fingerprint,
		strength: (order.task === "rewrite" && order.options.strength) || "normal",
		quoted: answer.meta.quoted,
		question: order.text,
		history: order.history,
		answer: answer.text.trim(),
		passages: answer.meta.citations.map((citation) => citation.passage ?? ""),
		rating,
		rejected: rejected.trim() === answer.text.trim() ? "" : rejected.trim(),
		user,
		surface: "console",
	};
}
