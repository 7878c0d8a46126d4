"""The results of `personae bench serving` for people: a table and plots for docs/benchmarks.md.

In: the object that `--json` prints. Out: the part of the document between two marks, rewritten, and
SVG files beside it. The rest of the document is left alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personae.errors import ConfigError
from personae.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEGIN = "<!-- personae bench serving: begin (written by the command) -->"
END = "<!-- personae bench serving: end -->"

_ROWS = (
    # (key, what it says, target, digits)
    ("mixed_batch_exact", "Texts of a mixed batch equal to those of an unmixed one", "1", 2),
    ("ttft_adapter_over_base", "First token, adapter over base (840-token prompt)", "≤ 1.25", 2),
    ("ttft_stock_over_adapter", "First token, vLLM without our plugin over with it", "≥ 6", 1),
    (
        "throughput_8_adapters_over_base",
        "Throughput, 16 streams over 8 adapters, over base",
        "≥ 0.9",
        2,
    ),
    ("ttft_gateway_over_engine", "First token, gateway over bare engine", "≤ 1.05", 3),
    ("throughput_gateway_over_engine", "Throughput, gateway over bare engine", "≥ 0.97", 3),
    ("reload_failed", "Answers or changes that failed while reloading", "0", 0),
    ("reload_mixed_streams", "Answers with words of another version", "0", 0),
    (
        "reload_ttft_p99_over_steady",
        "First token, 99th percentile, reloading over steady",
        "≤ 1.5",
        2,
    ),
)


def table(result: Mapping[str, Any]) -> str:
    """The keys as a Markdown table."""
    lines = ["| | key | measured | target |", "|---|---|---|---|"]
    for key, meaning, target, digits in _ROWS:
        lines.append(f"| {meaning} | `{key}` | {result[key]:.{digits}f} | {target} |")
    return "\n".join(lines)


def require_place(document: Path) -> str:
    """The document's text. Asked before anything is measured, too: half an hour is not to be lost.

    Raises:
        ConfigError: it has no part for the report.
    """
    text = document.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise ConfigError(
            f"{document} has no place for the report: it needs the lines\n{BEGIN}\n{END}"
        )
    return text


def write_report(result: Mapping[str, Any], document: Path) -> list[Path]:
    """Rewrite the document's part and its plots; gives the files written.

    Raises:
        ConfigError: the document has no such part, or matplotlib is not installed.
    """
    text = require_place(document)
    folder = document.parent / "benchmarks"
    folder.mkdir(exist_ok=True)
    plots = _plots(result, folder)
    details = result["details"]
    machine, versions = details["machine"], details["versions"]
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [
        BEGIN,
        "",
        f"{details['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']:.0f} GiB; {details['base_model']}; {made}; "
        f"`{details['command']}`, {details['minutes']} minutes.",
        "",
        table(result),
        "",
        *(f"![{alternative}](benchmarks/{path.name})" for path, alternative in plots),
        "",
        END,
    ]
    before, _, rest = text.partition(BEGIN)
    _old, _, after = rest.partition(END)
    write_atomic(document, before + "\n".join(parts) + after)
    return [document, *(path for path, _ in plots)]


def _plots(result: Mapping[str, Any], folder: Path) -> list[tuple[Path, str]]:
    try:
        import matplotlib
    except ImportError as err:
        raise ConfigError(
            "The plots need matplotlib: `pip install matplotlib` (`make test` installs it too), or "
            "leave out --report."
        ) from err
    matplotlib.use("svg")
    # The same figures give the same bytes, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "personae", "svg.fonttype": "none"})
    details = result["details"]
    drawn = [
        (folder / "first-token.svg", "Seconds to the first token", _draw_first_tokens),
        (folder / "throughput.svg", "Tokens a second by number of adapters", _draw_throughput),
        (folder / "reload.svg", "Seconds to the first token while reloading", _draw_reload),
    ]
    from matplotlib import pyplot

    for path, _alternative, draw in drawn:
        figure, axes = pyplot.subplots(figsize=(7, 3), layout="constrained")
        draw(axes, details)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    return [(path, alternative) for path, alternative, _draw in drawn]


def _draw_first_tokens(axes: Axes, details: Mapping[str, Any]) -> None:
    ours, stock = details["ttft"], details["stock_ttft"]
    bars = {
        "base": ours["base_median_seconds"],
        "adapter": ours["adapter_median_seconds"],
        "base, stock vLLM": stock["base_median_seconds"],
        "adapter, stock vLLM": stock["adapter_median_seconds"],
    }
    drawn = axes.barh(list(bars), list(bars.values()), color=["#777", "#2a6", "#bbb", "#c63"])
    axes.bar_label(drawn, fmt="%.2f s", padding=3)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds to the first token, prompt of {ours['prompt_tokens']} tokens")


def _draw_throughput(axes: Axes, details: Mapping[str, Any]) -> None:
    raw = details["throughput"]
    counts = [count for count in (1, 2, 4, 8) if f"{count}_adapters_over_base" in raw]
    for name, suffix, colour in (("adapters", "", "#2a6"), ("base alone", "_base", "#777")):
        rates = [
            statistics.median(raw[f"{count}_adapters{suffix}_tokens_per_second"])
            for count in counts
        ]
        axes.plot(counts, rates, marker="o", label=name, color=colour)
    axes.set_xticks(counts)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"adapters mixed in a batch of {raw['streams']} streams")
    axes.set_ylabel("tokens a second")
    axes.legend(frameon=False)


def _draw_reload(axes: Axes, details: Mapping[str, Any]) -> None:
    raw = details["reload"]
    for phase, colour in (("steady", "#777"), ("reloading", "#c63")):
        points = [(at, seconds) for at, seconds, its in raw["timeline"] if its == phase]
        axes.plot(*zip(*points, strict=True), ".", markersize=3, color=colour, label=phase)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"seconds; {raw['cycles']} cycles of reload and rollback in the middle")
    axes.set_ylabel("seconds to first token")
    axes.legend(frameon=False)
