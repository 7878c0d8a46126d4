"""The report's drawings, as SVG that stands inside a page.

In: numbers. Out: `<svg>` elements: the same bytes for the same numbers, no fonts or addresses of their own,
and colours that follow the page's (light and dark) by CSS variables. What surrounds them is `report`'s.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from training.evaluate.evaluation import Figure
from training.evaluate.evidence import LossPoint

# Matplotlib wants colours; these stand for the page's.
_COLOURS = {
    "#010101": "currentColor",
    "#020202": "var(--line)",
    "#030303": "var(--accent)",
    "#040404": "var(--soft)",
    "#050505": "var(--author)",
}
_INK, _LINE, _ACCENT, _SOFT, _AUTHOR = _COLOURS
SPEAKERS = {
    "base": "base model",
    "prompted_base": "prompted base",
    "adapter": "adapter",
    "author": "author, held out",
    "others": "others, held out",
}
_OF_SPEAKER = {"adapter": _ACCENT, "author": _AUTHOR}


def loss_plot(points: Sequence[LossPoint]) -> str:
    """Loss of each step, and on held-out samples; "" without any."""
    steps = [(point.step, point.loss) for point in points if point.loss is not None]
    held = [
        (point.step, point.held_out_loss) for point in points if point.held_out_loss is not None
    ]
    if not steps and not held:
        return ""
    figure, axes = _axes(6.4, 2.8)
    if steps:
        axes.plot(*zip(*steps, strict=True), color=_SOFT, linewidth=1.2, label="training")
    if held:
        axes.plot(
            *zip(*held, strict=True), color=_ACCENT, linewidth=2, marker="o", label="held out"
        )
    axes.set_xlabel("step")
    axes.set_ylabel("loss, nats a token")
    axes.legend(frameon=False, labelcolor=_INK)
    return _svg(figure, "loss", "Loss by step, in training and on held-out samples")


def voice_plot(figures: Mapping[str, Figure]) -> str:
    """AUC of each speaker with its bounds; "" where the voice was not measured."""
    names = {
        "base": "attribution_auc_base",
        "prompted_base": "attribution_auc_prompted_base",
        "adapter": "attribution_auc",
        "author": "attribution_auc_author",
    }
    shown = [(speaker, figures[name]) for speaker, name in names.items() if name in figures]
    if not shown:
        return ""
    figure, axes = _axes(6.4, 2.2)
    for place, (speaker, found) in enumerate(reversed(shown)):
        axes.barh(place, found.value, height=0.6, color=_OF_SPEAKER.get(speaker, _SOFT))
        axes.errorbar(
            found.value,
            place,
            xerr=[[found.value - found.low], [found.high - found.value]],
            color=_INK,
            capsize=3,
        )
    axes.set_yticks(range(len(shown)), [SPEAKERS[speaker] for speaker, _ in reversed(shown)])
    axes.axvline(0.5, color=_LINE, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_xlabel("AUC against held-out text of others (0.5: can't be told)")
    return _svg(figure, "voice", "AUC of each speaker with 95 % bounds; the table below has them")


def score_plot(scores: Mapping[str, Sequence[float]]) -> str:
    """P(author) of every reply and stretch, a dot each, with the median; "" without any."""
    shown = [(speaker, list(scores[speaker])) for speaker in SPEAKERS if scores.get(speaker)]
    if not shown:
        return ""
    figure, axes = _axes(6.4, 2.6)
    for place, (speaker, values) in enumerate(reversed(shown)):
        # Spread by order, not by chance: the drawing stays the same.
        spread = [place + (number * 7 % 11 - 5) / 18 for number in range(len(values))]
        axes.scatter(values, spread, s=7, color=_OF_SPEAKER.get(speaker, _SOFT), linewidths=0)
        middle = sorted(values)[len(values) // 2]
        axes.plot([middle, middle], [place - 0.38, place + 0.38], color=_INK, linewidth=2)
    axes.set_yticks(range(len(shown)), [SPEAKERS[speaker] for speaker, _ in reversed(shown)])
    axes.set_xlim(0, 1)
    axes.set_xlabel("P(author), a dot for each text; the line is the median")
    return _svg(figure, "scores", "Distribution of P(author) for each speaker")


def gate_plot(
    value: float, low: float, high: float, threshold: float, *, passed: bool, title: str
) -> str:
    """A value with its bounds beside its threshold, small enough for a table's cell."""
    least, most = min(low, threshold, value), max(high, threshold, value)
    span = (most - least) or 1.0

    def place(number: float) -> str:
        return f"{8 + 124 * (number - least) / span:.1f}"

    kind = "passed" if passed else "failed"
    return (
        f'<svg class="gate {kind}" viewBox="0 0 140 20" width="140" height="20" role="img" '
        f'aria-label="{html.escape(title, quote=True)}">'
        f'<line x1="{place(low)}" x2="{place(high)}" y1="10" y2="10" class="bounds"/>'
        f'<line x1="{place(threshold)}" x2="{place(threshold)}" y1="2" y2="18" class="threshold"/>'
        f'<circle cx="{place(value)}" cy="10" r="4"/></svg>'
    )


def _axes(width: float, height: float) -> tuple[Any, Any]:
    """A figure without a window or a global state."""
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width, height), layout="constrained")
    drawing.patch.set_alpha(0)
    axes = drawing.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_LINE)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    return drawing, axes


def _svg(drawing: Any, name: str, title: str) -> str:
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "personae", "svg.fonttype": "none"}):
        drawing.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", svg)
    svg = svg.replace("xlink:href", "href")
    # Ids are unique within a drawing only.
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    svg = re.sub(r"font: ([^;\"]*?)px '[^\"]*?sans-serif", r"font: \1px sans-serif", svg)
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, variable)
    label = html.escape(title, quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1).strip()
