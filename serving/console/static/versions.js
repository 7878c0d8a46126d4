// The versions of a persona's voice as a line through time: how each measured up, which is in charge, and the buttons
// that change it.

import { keyed } from "./app.js";
import { ago, button, el, number } from "./dom.js";
import { askReload, askRollback } from "./adapter_change.js";
import { badge, hint, row } from "./parts.js";
import { at } from "./personas.js";

/** Figures that say most about a voice, and how to read them. */
const TELLING = {
	attribution_auc: ["Told from others", "How well its replies are told from other authors' (1 always, 0.5 never)"],
	bits_per_byte_drop: ["Closer to the text", "Share by which held-out writing surprises it less than the base model"],
	rewrite_meaning: ["Meaning kept", "Likeness in meaning of a text and its rewrite"],
	identity: ["Knows who it is", "Share of questions on itself answered rightly"],
	grounded: ["Leans on passages", "Share of answers its passages support"],
};

/** All versions of a persona; `change(asked)` takes the promise of what came of a change. */
export function versions(persona, change) {
	const list = persona.versions ?? [];
	const back =
		persona.live &&
		persona.previous &&
		keyed(
			button(`Roll back to ${persona.previous}`, () => change(askRollback(persona)), { kind: "plain" }),
			"roll it back",
		);
	return el(
		"section.stack",
		{ "aria-labelledby": "versions" },
		el("div.row.between", el("h2", { id: "versions", text: "Versions" }), back),
		list.length
			? el(
					"ol.versions",
					list.map((version) => versionItem(persona, version, change)),
				)
			: el("p.empty", {
					text: "No voice was trained yet. It answers by its prompt alone, with sources if it has an index.",
				}),
	);
}

function versionItem(persona, version, change) {
	const live = version.version === persona.live;
	const usable = !live && version.state !== "unusable";
	const report =
		version.report &&
		el("a", {
			target: "_blank",
			rel: "noopener",
			text: "Evaluation report",
			href: `${at.view(persona.id)}/versions/${version.version}/report`,
		});
	return el(
		"li",
		{ class: `version ${version.state}` },
		row(
			el("h3", { text: version.version }),
			live
				? badge("live", "in charge")
				: version.state === "previous"
					? badge("", "before")
					: version.state === "unusable"
						? badge("bad", "unusable")
						: badge("", "ready"),
			gateBadge(version.gate),
		),
		hint("made ", ago(version.created_at), ` for ${version.base_model}, `, el("code", { text: version.sha8 })),
		version.problem && el("p.trouble", { text: version.problem }),
		measured(version.metrics),
		row(
			usable &&
				keyed(
					button(`Put ${version.version} in charge`, () => change(askReload(persona, version)), { kind: "primary" }),
					"put it in charge",
				),
			report,
		),
	);
}

function gateBadge(gate) {
	if (!gate) return null;
	if (gate === "passed") return badge("good", "gates passed");
	return gate.startsWith("forced") ? badge("bad", "forced", { title: gate }) : badge("", gate);
}

function measured(metrics) {
	const shown = Object.entries(TELLING).filter(([name]) => metrics?.[name]);
	if (!shown.length) return null;
	return el(
		"dl.measured",
		shown.map(([name, [label, meaning]]) => {
			const { value, low, high } = metrics[name];
			return el(
				"div",
				{ title: meaning },
				el("dt", { text: label }),
				el(
					"dd",
					el("strong", { text: number(value, 2) }),
					low !== null && low !== undefined && el("small", { text: ` ${number(low, 2)} to ${number(high, 2)}` }),
				),
			);
		}),
	);
}
