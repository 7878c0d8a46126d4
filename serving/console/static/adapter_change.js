// Putting a version in charge and taking it back: what it means, a question, the reason for the history, and the outcome.

import { post } from "./api.js";
import { announce, dialog, el, field, notice } from "./dom.js";

/** Ask for a reload of `version`; resolves to the gateway's outcome, or null when the person thought better of it. */
export function askReload(persona, version) {
	return ask(persona, {
		title: `Put ${version.version} in charge?`,
		label: `Put ${version.version} in charge`,
		path: "reload",
		body: { version: version.version },
		told: [
			el(
				"p",
				el("strong", { text: persona.display_name }),
				" speaks ",
				persona.live ? `with ${persona.live}` : "by its prompt alone",
				" now. ",
				`${version.version} is verified, loaded beside it and tested; only then does it take over. Answers under way end as they began, and you can take it back at once.`,
			),
			version.gate &&
				version.gate !== "passed" &&
				notice(
					"warning",
					version.gate.startsWith("forced")
						? `This version was published by force: ${version.gate}.`
						: "This version was never judged by its gates.",
				),
		],
	});
}

/** Ask for the way back to the version before. */
export function askRollback(persona) {
	return ask(persona, {
		title: `Roll back to ${persona.previous}?`,
		label: `Roll back to ${persona.previous}`,
		path: "rollback",
		body: {},
		told: el(
			"p",
			el("strong", { text: persona.display_name }),
			` speaks with ${persona.live} now. ${persona.previous} was in charge before it and is still loaded: the change takes effect at once.`,
		),
	});
}

async function ask(persona, { title, label, path, body, told }) {
	const reason = el("input", {
		maxlength: 200,
		autocomplete: "off",
		autofocus: true,
		placeholder: "for example: sounds flat in rewrites",
	});
	const outcome = await dialog({
		title,
		body: [
			told,
			field("Reason", reason, { hint: "Kept in the history, with the time and what came of it. May stay empty." }),
		],
		actions: [
			{
				label,
				run: () =>
					post(`/admin/adapters/${encodeURIComponent(persona.id)}/${path}`, {
						...body,
						reason: reason.value.trim(),
						actor: "console",
						surface: "console",
					}),
			},
		],
	});
	if (outcome) announce(outcome.message);
	return outcome;
}
