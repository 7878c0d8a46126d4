// Nodes, not strings of HTML: everything a person or a model wrote comes in as text.
// What the pages share: elements, notices, dialogs, tables, and how numbers and times are written.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `el("p.soft.wide", {…}, …children)`, or without attributes `el("p.soft", …children)`.
 * Attributes: `text`, `class`, `dataset: {…}`, `onclick: fn` (any event), and HTML's own; null, undefined or false leaves one
 * out, true sets it empty. Children: nodes, strings, numbers, lists of these; null and false are skipped. */
export function el(name, ...rest) {
	return furnish((tag) => document.createElement(tag), name, rest);
}

/** The same for SVG. */
export function svg(name, ...rest) {
	return furnish((tag) => document.createElementNS(SVG, tag), name, rest);
}

function furnish(make, name, rest) {
	const [tag, ...classes] = name.split(".");
	const attributes = rest[0]?.constructor === Object ? rest.shift() : {};
	const node = make(tag);
	for (const [key, value] of Object.entries(attributes)) {
		if (value === null || value === undefined || value === false) continue;
		if (key === "dataset") Object.assign(node.dataset, value);
		else if (key === "text") node.textContent = value;
		else if (key.startsWith("on") && typeof value === "function") node.addEventListener(key.slice(2), value);
		else if (key === "value" && "value" in node) node.value = value;
		else node.setAttribute(key, value === true ? "" : String(value));
	}
	if (classes.length) node.classList.add(...classes);
	node.append(...rest.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
	return node;
}

/** Put these in the place of whatever a node holds. */
export function fill(node, ...children) {
	node.replaceChildren(...children.flat(Infinity).filter((child) => child || child === 0 || child === ""));
	return node;
}

const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]";

/** The same as `fill`, for what is drawn again and again: whoever has the focus on a control in it finds it on the
 * one that came into its place, and opened details stay open. */
export function redraw(node, ...children) {
	const place = [...node.querySelectorAll(CONTROLS)].indexOf(document.activeElement);
	const open = [...node.querySelectorAll("details")].map((details) => details.open);
	fill(node, ...children);
	[...node.querySelectorAll("details")].forEach((details, at) => (details.open ||= open[at] ?? false));
	if (place >= 0) node.querySelectorAll(CONTROLS)[place]?.focus({ preventScroll: true });
	return node;
}

let count = 0;

/** An id no other element has, for `aria-labelledby` and `for`. */
export function uid(prefix = "id") {
	count += 1;
	return `${prefix}-${count}`;
}

/** Say something to people who hear the page; politely, after what is being said. */
export function announce(text) {
	const region = document.getElementById("announcements");
	if (!region || !text) return;
	region.append(el("p", { text }));
	while (region.childElementCount > 12) region.firstElementChild.remove();
}

/** A sentence in a box. Kinds: "info", "good", "warning", "error". More nodes, such as a button, may follow. */
export function notice(kind, text, ...more) {
	const role = kind === "error" ? "alert" : kind === "info" ? null : "status";
	return el("div", { class: `notice ${kind}`, role }, el("p", { text }), ...more);
}

/** A button. Kinds: "primary", "plain" (the default), "quiet", "danger". */
export function button(label, onclick, { kind = "plain", ...attributes } = {}) {
	return el("button", { type: "button", class: `button ${kind}`, onclick, ...attributes }, label);
}

/** A label, its control and, below them, a hint: in one block. The control gets the id the label names. */
export function field(label, control, { hint = "", id = uid("field") } = {}) {
	control.id ||= id;
	const hintId = `${control.id}-hint`;
	if (hint) control.setAttribute("aria-describedby", hintId);
	return el(
		"div.field",
		el("label", { for: control.id, text: label }),
		control,
		hint && el("p.hint", { id: hintId, text: hint }),
	);
}

/** Ask or tell something in front of the page.
 *
 * `actions`: `{label, kind, run}`; `run()` may be async: while it works the buttons wait, if it throws the
 * sentence of the error is shown and the dialog stays, else it closes. Resolves to what `run` gave (`true`
 * if nothing), or null when the person went away from it (Escape, or "Cancel", which is always there). */
export function dialog({ title, body = [], actions = [], cancel = "Cancel" }) {
	return new Promise((resolve) => {
		const heading = el("h2", { id: uid("dialog"), text: title });
		const problem = el("div.problem");
		const box = el("dialog.dialog", { "aria-labelledby": heading.id });
		let result = null;
		const run = async (action) => {
			for (const each of buttons) each.disabled = true;
			try {
				result = (await action.run?.()) ?? true;
				box.close();
			} catch (error) {
				fill(problem, notice("error", error.message));
			} finally {
				for (const each of buttons) each.disabled = false;
			}
		};
		const buttons = actions.map((action, place) =>
			button(action.label, place ? () => run(action) : null, {
				kind: action.kind ?? "primary",
				type: place ? "button" : "submit",
			}),
		);
		const form = el(
			"form",
			{
				method: "dialog",
				onsubmit: (event) => {
					event.preventDefault();
					if (actions.length) run(actions[0]);
				},
			},
			heading,
			body,
			problem,
			el(
				"div.actions",
				button(cancel, () => box.close()),
				buttons,
			),
		);
		box.append(form);
		box.addEventListener("close", () => {
			box.remove();
			resolve(result);
		});
		document.body.append(box);
		box.showModal();
	});
}

/** A table that scrolls sideways in its own box where the screen is narrow.
 *
 * `columns`: `{label, key}` or `{label, cell(row) → text or node}`, and `align: "end"` for numbers; the first
 * column heads its row. `empty` is the sentence shown when there are no rows. */
export function table({ caption, columns, rows, empty = "Nothing yet.", showCaption = false }) {
	if (!rows.length) return el("p.empty", { text: empty });
	const cell = (row, column, place) =>
		el(
			place ? "td" : "th",
			{ class: column.align === "end" ? "number" : null, scope: place ? null : "row" },
			(column.cell ? column.cell(row) : row[column.key]) ?? "–",
		);
	return el(
		"div.table",
		{ role: "region", "aria-label": caption, tabindex: "0" },
		el(
			"table",
			el("caption", { class: showCaption ? null : "hidden-text", text: caption }),
			el(
				"thead",
				el(
					"tr",
					columns.map((column) =>
						el("th", { scope: "col", class: column.align === "end" ? "number" : null, text: column.label }),
					),
				),
			),
			el(
				"tbody",
				rows.map((row) =>
					el(
						"tr",
						columns.map((column, place) => cell(row, column, place)),
					),
				),
			),
		),
	);
}

/** One of a few: radio buttons that look like a switch. `options`: `{value, label, hint}`. */
export function choice({ legend, name = uid("choice"), options, value, onchange, showLegend = false }) {
	return el(
		"fieldset.choice",
		el("legend", { class: showLegend ? null : "hidden-text", text: legend }),
		el(
			"div.options",
			options.map((option) =>
				el(
					"label",
					{ title: option.hint },
					el("input", {
						type: "radio",
						name,
						value: option.value,
						checked: option.value === value,
						onchange: () => onchange(option.value),
					}),
					el("span", { text: option.label }),
				),
			),
		),
	);
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });

/** 12345.678 → "12,345.68"; null → "–". */
export function number(value, digits) {
	if (value === null || value === undefined || Number.isNaN(value)) return "–";
	if (digits === undefined) return NUMBER.format(value);
	return new Intl.NumberFormat("en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

/** 1 → "1 passage"; 1200 → "1,200 passages". */
export function plural(count, noun) {
	return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** 0.034 → "34 ms"; 2.41 → "2.4 s"; 90 → "1 min 30 s"; 7300 → "2 h 1 min". */
export function seconds(value) {
	if (value === null || value === undefined || Number.isNaN(value)) return "–";
	if (value < 1) return `${Math.round(value * 1000)} ms`;
	if (value < 60) return `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;
	if (value < 3600) return joined(Math.floor(value / 60), "min", Math.round(value % 60), "s");
	if (value < 86400) return joined(Math.floor(value / 3600), "h", Math.floor((value % 3600) / 60), "min");
	return joined(Math.floor(value / 86400), "d", Math.floor((value % 86400) / 3600), "h");
}

function joined(much, unit, little, smallUnit) {
	return little ? `${much} ${unit} ${little} ${smallUnit}` : `${much} ${unit}`;
}

/** A time of the past: "just now", "5 min ago", "yesterday", "3 Nov 2026"; the whole of it in `title`. */
export function ago(iso) {
	const then = new Date(iso);
	if (!iso || Number.isNaN(then.getTime())) return el("span", { text: "–" });
	return el("time", { datetime: then.toISOString(), title: then.toLocaleString(), text: agoText(then) });
}

function agoText(then) {
	const past = (Date.now() - then.getTime()) / 1000;
	if (past < 45) return "just now";
	if (past < 3600) return `${Math.round(past / 60)} min ago`;
	if (past < 86400) return `${Math.round(past / 3600)} h ago`;
	if (past < 172800) return "yesterday";
	return then.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}

/** 1536 → "1.5 kB". */
export function bytes(value) {
	const units = ["B", "kB", "MB", "GB", "TB"];
	let place = 0;
	for (; value >= 1000 && place < units.length - 1; place += 1) value /= 1000;
	return `${number(value, value < 10 && place ? 1 : 0)} ${units[place]}`;
}
