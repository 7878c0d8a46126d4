// Charts as small SVG: lines, bars and steps over one axis, and the mark that shows a figure at its gate.
// In: numbers. Out: a `figure` with its title, a legend that reads the values under the pointer, the drawing,
// and the same numbers as a table for whoever can't or won't see a drawing. Colours are classes of pages.css.

import { el, fill, svg, table, uid } from "./dom.js";
import { hint } from "./parts.js";

const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;
const MOST_ROWS = 60;

/** A chart of series over one x axis.
 *
 * `series`: `{name, tone: 1..4, shape: "line"|"bar"|"step", points: [[x, y|null], …]}`; bars stack in their
 * order. `x`, `y`: `{label, format(value) → text, whole}`; y begins at 0 unless `y.free`, and an axis of whole things
 * has ticks at round numbers of them. `note`: a sentence below the title. `empty`: the one when there are no points. */
export function chart({ title, note = "", series, x, y, empty = "Nothing to draw yet." }) {
	const caption = el("figcaption", el("h2", { text: title }), note && hint(note));
	const drawn = series.filter(({ points }) => points.some(([, value]) => value !== null));
	if (!drawn.length) return el("figure.chart", caption, el("p.empty", { text: empty }));
	const legend = el("p.legend", { "aria-hidden": "true" });
	const canvas = el("div.canvas");
	const label = uid("chart");
	caption.querySelector("h2").id = label;
	const numbers = asTable(title, drawn, x, y);
	const drawing = new Drawing(canvas, legend, { series: drawn, x, y, label });
	new ResizeObserver(() => drawing.draw()).observe(canvas);
	return el(
		"figure.chart",
		caption,
		legend,
		canvas,
		el("details", el("summary.hint", { text: "The numbers as a table" }), numbers),
	);
}

class Drawing {
	constructor(canvas, legend, { series, x, y, label }) {
		Object.assign(this, { canvas, legend, series, x, y, label });
		this.xs = places(series);
		this.width = 0;
		canvas.addEventListener("pointermove", (event) => this.#read(event));
		canvas.addEventListener("pointerleave", () => {
			this.hair?.remove();
			this.#tell(null);
		});
		this.#tell(null);
	}

	draw() {
		const width = Math.round(this.canvas.clientWidth);
		if (!width || width === this.width) return;
		this.width = width;
		const values = this.#stackedValues();
		const ticks = niceTicks(this.y.free ? Math.min(...values) : 0, Math.max(...values), 4, this.y.whole ? 1 : 0);
		const [low, high] = [ticks[0], ticks.at(-1)];
		const [first, last] = [this.xs[0], this.xs.at(-1)];
		const across = width - LEFT - RIGHT;
		const slot = this.xs.length > 1 ? across / this.xs.length : across;
		const hasBars = this.series.some(({ shape }) => shape === "bar");
		const inset = hasBars ? slot / 2 : 0;
		this.px = (at) =>
			LEFT +
			inset +
			(last === first ? (across - 2 * inset) / 2 : ((at - first) / (last - first)) * (across - 2 * inset));
		this.py = (value) => TOP + (1 - (value - low) / (high - low || 1)) * (HEIGHT - TOP - BOTTOM);
		this.root = svg(
			"svg",
			{ width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-labelledby": this.label },
			ticks.map((tick) => [
				svg("line.rule", { x1: LEFT, x2: width - RIGHT, y1: this.py(tick), y2: this.py(tick) }),
				svg("text", { x: LEFT - 8, y: this.py(tick) + 4, "text-anchor": "end" }, this.y.format(tick)),
			]),
			this.#xTicks(width),
			this.#shapes(Math.max(1, slot - (slot > 5 ? 2 : 0.5))),
		);
		fill(this.canvas, this.root);
	}

	#stackedValues() {
		const bars = this.series.filter(({ shape }) => shape === "bar");
		const sums = new Map();
		for (const { points } of bars) for (const [at, value] of points) sums.set(at, (sums.get(at) ?? 0) + (value ?? 0));
		const single = this.series.flatMap(({ shape, points }) =>
			shape === "bar" ? [] : points.map(([, value]) => value).filter((value) => value !== null),
		);
		return [...sums.values(), ...single];
	}

	#xTicks(width) {
		const want = Math.max(2, Math.min(7, Math.floor(width / 110)));
		const step = Math.max(1, Math.ceil(this.xs.length / want));
		const [first, last] = [this.xs[0], this.xs.at(-1)];
		const shown = this.x.whole
			? niceTicks(first, last, want, 1).filter((at) => at >= first && at <= last)
			: this.xs.filter((_at, place) => place % step === 0);
		return shown.map((at, place) =>
			svg(
				"text",
				{ x: this.px(at), y: HEIGHT - 6, "text-anchor": place || this.px(at) > LEFT + 20 ? "middle" : "start" },
				this.x.format(at),
			),
		);
	}

	#shapes(barWidth) {
		const floor = new Map();
		return this.series.map(({ shape = "line", tone, points }) => {
			const seen = points.filter(([, value]) => value !== null);
			if (shape === "bar") {
				return svg(
					"g",
					{ class: `bars tone-${tone}` },
					seen
						.filter(([, value]) => value > 0)
						.map(([at, value]) => {
							const from = floor.get(at) ?? 0;
							floor.set(at, from + value);
							return svg("rect", {
								x: this.px(at) - barWidth / 2,
								width: barWidth,
								y: this.py(from + value),
								height: Math.max(1, this.py(from) - this.py(from + value)),
								rx: Math.min(2, barWidth / 3),
							});
						}),
				);
			}
			const line = this.#path(points, shape === "step");
			// A lone point makes no line: it is shown as a dot.
			const alone = points.filter(
				([, value], place) =>
					value !== null && (points[place - 1]?.[1] ?? null) === null && (points[place + 1]?.[1] ?? null) === null,
			);
			return svg(
				"g",
				{ class: `line tone-${tone}` },
				svg("path", { d: line, fill: "none" }),
				alone.map(([at, value]) => svg("circle", { cx: this.px(at), cy: this.py(value), r: 2.5 })),
			);
		});
	}

	#path(points, stepped) {
		let path = "";
		let pen = false;
		for (const [at, value] of points) {
			if (value === null) {
				pen = false;
				continue;
			}
			const [left, top] = [this.px(at).toFixed(1), this.py(value).toFixed(1)];
			path += pen ? (stepped ? `H${left}V${top}` : `L${left} ${top}`) : `M${left} ${top}`;
			pen = true;
		}
		return path;
	}

	#read(event) {
		if (!this.px) return;
		const left = event.clientX - this.canvas.getBoundingClientRect().left;
		const near = this.xs.reduce(
			(best, at) => (Math.abs(this.px(at) - left) < Math.abs(this.px(best) - left) ? at : best),
			this.xs[0],
		);
		this.hair?.remove();
		this.hair = svg("line.hair", { x1: this.px(near), x2: this.px(near), y1: TOP, y2: HEIGHT - BOTTOM });
		this.root.append(this.hair);
		this.#tell(near);
	}

	/** The legend: names, and at an x also what each series is there. */
	#tell(at) {
		fill(
			this.legend,
			this.series.map(({ name, tone, points }) => {
				const value = at === null ? null : points.find(([place]) => place === at)?.[1];
				return el(
					"span",
					el("i", { class: `key tone-${tone}` }),
					name,
					at !== null && el("b", { text: ` ${value === null || value === undefined ? "–" : this.y.format(value)}` }),
				);
			}),
			el("span.at", { text: at === null ? this.y.label : this.x.format(at) }),
		);
	}
}

/** Every x of some series, in order. */
const places = (series) =>
	[...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);

/** Round numbers that hold [low, high]: [0, 5, 10, 15]. */
function niceTicks(low, high, about, least = 0) {
	if (high <= low) high = low + (Math.abs(low) || 1);
	const rough = Math.max(least, (high - low) / about);
	const size = 10 ** Math.floor(Math.log10(rough));
	const step = [1, 2, 2.5, 5, 10]
		.map((many) => many * size)
		.find((one) => one >= rough && (!least || Number.isInteger(one)));
	const first = Math.floor(low / step);
	const ticks = [];
	for (let place = first; ; place += 1) {
		ticks.push(Number((place * step).toPrecision(12)));
		if (ticks.at(-1) >= high) return ticks;
	}
}

function asTable(title, series, x, y) {
	const all = places(series);
	const step = Math.ceil(all.length / MOST_ROWS);
	const found = series.map(({ points }) => new Map(points));
	const rows = all.filter((_at, place) => place % step === 0 || place === all.length - 1);
	return table({
		caption: step > 1 ? `${title}; every ${step}th row` : title,
		rows,
		columns: [
			{ label: x.label, cell: x.format },
			...series.map(({ name }, place) => ({
				label: name,
				align: "end",
				cell: (at) => {
					const value = found[place].get(at);
					return value === null || value === undefined ? "–" : y.format(value);
				},
			})),
		],
	});
}

/** A figure with its 95 % bounds at the threshold it had to reach: small enough for a table's cell. */
export function gateMark({ value, low, high, threshold, at_least: atLeast, passed }) {
	if (value === null || threshold === null || value === undefined || threshold === undefined)
		return el("span.soft", { text: "–" });
	const ends = [value, threshold, low ?? value, high ?? value];
	const least = Math.min(...ends);
	const span = Math.max(...ends) - least || 1;
	const place = (number) => 10 + (120 * (number - least)) / span;
	const zone = atLeast ? { x: place(threshold), width: 140 - place(threshold) } : { x: 0, width: place(threshold) };
	return svg(
		"svg",
		{
			class: `gate ${passed ? "good" : "bad"}`,
			viewBox: "0 0 140 22",
			width: 140,
			height: 22,
			"aria-hidden": "true",
		},
		svg("rect.zone", { ...zone, y: 3, height: 16, rx: 3 }),
		svg("line.bounds", { x1: place(low ?? value), x2: place(high ?? value), y1: 11, y2: 11 }),
		svg("line.mark", { x1: place(threshold), x2: place(threshold), y1: 2, y2: 20 }),
		svg("circle", { cx: place(value), cy: 11, r: 4.5 }),
	);
}

/** Two counts on both sides of a middle line: what people liked, and what they did not. */
export function balance({ up, down, most }) {
	const wide = (count) => (count / Math.max(1, most)) * 88;
	return svg(
		"svg.balance",
		{ viewBox: "0 0 180 18", width: 180, height: 18, "aria-hidden": "true" },
		svg("rect.down", { x: 90 - wide(down), width: wide(down), y: 3, height: 12, rx: 2 }),
		svg("rect.up", { x: 90, width: wide(up), y: 3, height: 12, rx: 2 }),
		svg("line", { x1: 90, x2: 90, y1: 0, y2: 18 }),
	);
}
