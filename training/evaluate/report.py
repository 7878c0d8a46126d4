"""The report of an evaluation: one HTML file that needs nothing else, for people.

In: an evaluation, its evidence, and the gates' rows where somebody has judged it. Out: `report.html`, below
400 kB, readable in light and dark, without scripts, fonts or addresses of other hosts. Everything that a
model or an author wrote is escaped. It measures and judges nothing; programs read evaluation.json.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from personae.files import write_atomic
from personae.verdict import GateRow
from training.evaluate.evaluation import FIGURES, REPORT, Evaluation, Figure, SampleRow
from training.evaluate.evidence import Evidence, read_evidence
from training.evaluate.plots import gate_plot, loss_plot, score_plot, voice_plot

_MOST_CHARACTERS = 1500
_MOST_DOCUMENTS = 60
_MOST_SAMPLES = 24
_TASKS = {
    "voice": "Questions without passages",
    "rewrite": "Rewriting",
    "identity": "Who are you",
    "grounded": "Questions with passages",
    "outside": "What the author never wrote about",
}
_STYLE = """
:root { color-scheme: light dark; --line: #767676; --accent: #0b62c4; --soft: #8f949b; --author: #2c7a3f;
  --page: #ffffff; --ink: #1b1b1b; --card: #f4f4f2; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --line: #8a8a8a; --accent: #6cb0ff; --soft: #80858c;
  --author: #77c98a; --page: #161616; --ink: #ececec; --card: #222222; --bad: #ff8a80; } }
body { background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 62rem; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding: .3rem 0; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.wide { overflow-x: auto; } figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
.failed { color: var(--bad); font-weight: 600; }
svg.gate .bounds { stroke: var(--line); stroke-width: 3; } svg.gate .threshold { stroke: currentColor; }
svg.gate circle { fill: var(--author); } svg.gate.failed circle { fill: var(--bad); }
.sample { background: var(--card); border-radius: .5rem; margin: 1rem 0; padding: .6rem 1rem; }
.sample > p { white-space: pre-wrap; } .replies { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); }
.replies h4 { margin: .2rem 0; font-size: .85rem; }
.replies p { margin: 0; white-space: pre-wrap; font-size: .9rem;
  overflow-wrap: anywhere; }
"""


def write_report(
    folder: Path, evaluation: Evaluation, *, gates: Sequence[GateRow] | None = None
) -> Path:
    """Draw the report of an evaluation folder anew, now with these gates (None: nobody has judged yet).

    Raises:
        AdapterError: the folder holds no evidence.
    """
    path = folder / REPORT
    write_atomic(path, render_report(evaluation, read_evidence(folder), gates))
    return path


def render_report(
    evaluation: Evaluation, evidence: Evidence, gates: Sequence[GateRow] | None
) -> str:
    title = f"{evaluation.persona}: how the voice was measured"
    parts = [
        f"<h1>{_text(title)}</h1>",
        _head(evaluation),
        _gates(gates),
        _voice(evaluation, evidence),
        _figures(evaluation),
        _samples(evaluation.samples),
        _identity(evidence),
        _copies(evidence),
        _made_of(evidence),
        _cleaning(evidence),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _head(evaluation: Evaluation) -> str:
    return (
        f"<p>Base model {_text(evaluation.base_model)}, adapter {_text(evaluation.adapter_sha256[:8])}, "
        f"measured on {_text(evaluation.created_at[:10])} in {evaluation.seconds:.0f} s with seed "
        f"{evaluation.seed}. "
        f"Told from: {_text(', '.join(evaluation.others))}. "
        "Bounds are of 95 % confidence, by the bootstrap over replies, texts or questions.</p>"
    )


def _gates(gates: Sequence[GateRow] | None) -> str:
    if gates is None:
        return "<h2>Gates</h2><p>Nobody has judged this evaluation yet.</p>"
    rows = []
    for row in gates:
        drawn = ""
        if row.value is not None and row.threshold is not None:
            low = row.value if row.low is None else row.low
            high = row.value if row.high is None else row.high
            label = f"{row.title}: {_number(row.value)}, threshold {_number(row.threshold)}"
            drawn = gate_plot(row.value, low, high, row.threshold, passed=row.passed, title=label)
        bound = "" if row.threshold is None else _number(row.threshold)
        side = ("≥ " if row.at_least else "≤ ") if bound else ""
        verdict = "passed" if row.passed else '<span class="failed">failed</span>'
        rows.append(
            f'<tr><th scope="row">{_text(row.title)}</th>'
            f'<td class="number">{_number(row.value)}</td>'
            f'<td class="number">{_bounds(row.low, row.high)}</td>'
            f'<td class="number">{side}{bound}</td><td>{drawn}</td>'
            f"<td>{verdict}</td><td>{_text(row.sentence)}</td></tr>"
        )
    failed = sum(not row.passed for row in gates)
    summary = f"{failed} of {len(gates)} failed." if failed else f"All {len(gates)} passed."
    heads = ("gate", "value", "95 % bounds", "threshold", "drawn", "verdict", "in words")
    return f"<h2>Gates</h2><p>{summary}</p>{_table('Gates and verdicts', heads, rows)}"


def _voice(evaluation: Evaluation, evidence: Evidence) -> str:
    known = evidence.accuracy
    caption = (
        "How often a text scores above held-out text of the other authors. Replies are cut to the length "
        f"of the held-out stretches. The classifier tells held-out stretches rightly in {known.value:.0%} "
        f"({known.low:.0%}–{known.high:.0%}, n = {known.n})."
    )
    found = _drawn(voice_plot(evaluation.figures), caption)
    found += _drawn(score_plot(evidence.scores), "The scores behind it, a dot for each text.")
    return f"<h2>Voice</h2>{found}" if found else ""


def _figures(evaluation: Evaluation) -> str:
    rows = [
        f'<tr><th scope="row">{name}</th><td class="number">{_number(found.value)}</td>'
        f'<td class="number">{_bounds(found.low, found.high)}</td>'
        f'<td class="number">{found.n}</td><td>{_text(said)}</td></tr>'
        for name, said in FIGURES.items()
        if (found := evaluation.figures.get(name)) is not None
    ]
    missing = [name for name in FIGURES if name not in evaluation.figures]
    note = f"<p>Not measured: {', '.join(missing)}.</p>" if missing else ""
    heads = ("figure", "value", "95 % bounds", "n", "what it says")
    return f"<h2>All figures</h2>{_table('Every figure', heads, rows)}{note}"


def _samples(samples: Sequence[SampleRow]) -> str:
    if not samples:
        return ""
    found = ["<h2>Replies side by side</h2>"]
    task = ""
    for row in samples[:_MOST_SAMPLES]:
        if row.task != task:
            task = row.task
            found.append(f"<h3>{_text(_TASKS.get(task, task))}</h3>")
        said = (
            ("author", row.author),
            ("base model", row.base),
            ("prompted base", row.prompted_base),
            ("adapter", row.adapter),
        )
        cells = "".join(
            f"<div><h4>{name}</h4><p>{_cut(text) or '(nothing)'}</p></div>"
            for name, text in said
            if text or name != "author"
        )
        found.append(
            f'<div class="sample"><p><strong>{_cut(row.prompt)}</strong></p>'
            f'<div class="replies">{cells}</div></div>'
        )
    return "\n".join(found)


def _identity(evidence: Evidence) -> str:
    rows = [
        f"<tr><td>{_cut(row.question)}</td><td>{_cut(row.answer)}</td><td>"
        + ("right" if row.right else '<span class="failed">wrong</span>')
        + (f", names {_text(row.other_name)}" if row.other_name else "")
        + "</td></tr>"
        for row in evidence.identity
    ]
    if not rows:
        return ""
    table = _table("Every wording and its answer", ("question", "answer", "verdict"), rows)
    return f"<h2>Identity</h2>{table}"


def _copies(evidence: Evidence) -> str:
    rows = [
        f'<tr><td class="number">{row.words}</td><td>{_text(row.task)}</td>'
        f"<td>{_text(row.where)}</td><td>{_cut(row.text)}</td></tr>"
        for row in evidence.copies
    ]
    tics = ", ".join(f"“{_text(tic)}”" for tic in evidence.tics)
    said = f"<p>Tics: {tics}.</p>" if tics else "<p>No tics were found.</p>"
    if not rows:
        return f"<h2>Copying and tics</h2><p>No reply shares eight words in a row.</p>{said}"
    heads = ("words", "task", "stands in", "shared words")
    return f"<h2>Copying and tics</h2>{_table('Longest shared stretches', heads, rows)}{said}"


def _made_of(evidence: Evidence) -> str:
    settings = evidence.recipe.get("settings") or {}
    samples = evidence.recipe.get("samples") or {}
    rows = [
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>'
        for name, value in [
            *((f"samples: {kind}", count) for kind, count in samples.items()),
            *settings.items(),
        ]
    ]
    recipe = _table("Samples and settings", ("what", "value"), rows) if rows else ""
    shown = sorted(evidence.documents, key=lambda row: (not row.held_out, row.date, row.title))
    lines = [
        f'<tr><td>{_text(row.title)}</td><td>{_text(row.date)}</td><td class="number">{row.words:,}</td>'
        f"<td>{'held out' if row.held_out else 'trained on'}</td></tr>"
        for row in shown[:_MOST_DOCUMENTS]
    ]
    more = len(shown) - len(lines)
    rest = f"<p>And {more:,} more that were trained on or held out.</p>" if more else ""
    documents = _table("Documents", ("title", "date", "words", "use"), lines)
    curve = _drawn(
        loss_plot(evidence.losses),
        "Loss while it was trained. Held-out samples come from documents nothing was learned from.",
    )
    return f"<h2>What it was made of</h2>{curve}{documents}{rest}{recipe}"


def _cleaning(evidence: Evidence) -> str:
    found = evidence.cleaning
    if not found:
        return ""
    rows = [
        f'<tr><th scope="row">{_text(rule.get("rule", ""))}</th><td>{"on" if rule.get("on") else "off"}</td>'
        f'<td class="number">{_text(rule.get("documents_removed", ""))}</td>'
        f'<td class="number">{_text(rule.get("documents_changed", ""))}</td>'
        f'<td class="number">{_text(rule.get("words", ""))}</td></tr>'
        for rule in found.get("rules", [])
    ]
    heads = ("rule", "on", "documents removed", "documents changed", "words")
    said = (
        f"<p>Before: {_text(found.get('documents_before', '?'))} documents, "
        f"{_text(found.get('words_before', '?'))} words. "
        f"After: {_text(found.get('documents_after', '?'))} documents, "
        f"{_text(found.get('words_after', '?'))} words.</p>"
    )
    table = _table("What was taken out, by rule", heads, rows)
    return f"<h2>Cleaning</h2>{said}{table}"


def _table(caption: str, heads: Sequence[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in heads)
    return (
        f'<div class="wide"><table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _drawn(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{_text(caption)}</figcaption></figure>" if svg else ""


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if abs(value) >= 10 else f"{value:.3f}"


def _bounds(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def figure_line(found: Figure) -> str:
    """A figure as a line of text has it: ".912 (.871 to .944, n = 40)"."""
    return f"{_number(found.value)} ({_bounds(found.low, found.high)}, n = {found.n})"


def _cut(text: str) -> str:
    return _text(text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + " …")


def _text(value: object) -> str:
    return html.escape(str(value), quote=True)
