"""The report stands alone, escapes what models wrote, and shows gates in words and drawings."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from personae.errors import AdapterError
from personae.verdict import GateRow
from training.evaluate.evaluation import (
    FIGURES,
    Evaluation,
    Figure,
    SampleRow,
    write_evaluation,
)
from training.evaluate.evidence import (
    AnswerRow,
    CopyRow,
    DocumentRow,
    Evidence,
    LossPoint,
    write_evidence,
)
from training.evaluate.report import render_report, write_report

EVIL = """<script>alert("1")</script><img src=x onerror='x'> & "quoted" http://evil.example/x"""
GATES = [
    GateRow(
        name="identity", against="threshold", value=0.95, low=0.85, high=1.0, threshold=0.9, passed=True,
        sentence="The share of identity questions answered rightly is .95.",
    ),
    GateRow(
        name="copied_words", against="threshold", value=55.0, low=20.0, high=55.0, threshold=40.0,
        at_least=False, passed=False, sentence=EVIL,
    ),
    GateRow(name="loops", against="live", value=None, passed=False, sentence="Not measured."),
]  # fmt: skip


@pytest.fixture
def evaluation() -> Evaluation:
    return Evaluation(
        persona="lincoln",
        base_model=f"tiny{EVIL}",
        adapter_sha256="ab" * 32,
        prompt_fingerprint="cd" * 32,
        held_out_documents=["a"],
        others=["James K. Polk", EVIL],
        seed=17,
        figures={name: Figure(value=0.5, low=0.4, high=0.6, n=40) for name in FIGURES},
        samples=[
            SampleRow(task="voice", prompt=EVIL, base=EVIL, prompted_base="", adapter=EVIL * 100),
            SampleRow(task="rewrite", prompt="Text", author=EVIL, base="b", adapter="🎉 自由"),
        ]
        * 20,
        seconds=1.0,
        created_at="2026-11-21T12:00:00+00:00",
    )


@pytest.fixture
def evidence() -> Evidence:
    scores = [n / 40 for n in range(40)]
    return Evidence(
        recipe={"settings": {"steps": 2, "rank": EVIL}, "samples": {"ask": 3}},
        documents=[
            DocumentRow(title=EVIL, date="1862", words=10, held_out=n == 7) for n in range(3000)
        ],
        losses=[LossPoint(step=n, loss=5 - n / 100, held_out_loss=None) for n in range(300)]
        + [LossPoint(step=300, held_out_loss=2.0)],
        cleaning={
            "documents_before": 3,
            "words_before": 90,
            "documents_after": 2,
            "words_after": 60,
            "rules": [
                {
                    "rule": "quotes",
                    "on": True,
                    "documents_removed": 1,
                    "documents_changed": 0,
                    "words": 30,
                }
            ],
        },
        scores=dict.fromkeys(("base", "prompted_base", "adapter", "author", "others"), scores),
        accuracy=Figure(value=0.7, low=0.6, high=0.8, n=200),
        tics=[EVIL],
        copies=[CopyRow(words=12, where=EVIL, text=EVIL, task="voice")],
        identity=[AnswerRow(question=EVIL, answer=EVIL, right=False, other_name=EVIL)],
        counts={"voice": 40},
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _parsed(page: str) -> _Page:
    parser = _Page()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


def test_what_a_model_or_an_author_wrote_is_escaped_everywhere(evaluation, evidence) -> None:
    parsed = _parsed(render_report(evaluation, evidence, GATES))
    tags = {tag for tag, _attributes in parsed.tags}
    assert not tags & {"script", "img", "link", "iframe", "object", "foreignobject", "image"}
    assert parsed.text.count('<script>alert("1")</script>') > 10
    for _tag, attributes in parsed.tags:
        assert not any(name.startswith("on") for name in attributes)


def test_it_refers_to_no_other_host(evaluation, evidence) -> None:
    page = render_report(evaluation, evidence, GATES)
    for _tag, attributes in _parsed(page).tags:
        for name in ("src", "href", "xlink:href", "action", "data"):
            assert (attributes.get(name) or "#").startswith("#")
        assert "http" not in " ".join(str(value) for value in attributes.values()).replace(
            "http://evil.example", ""
        )
    style = re.findall(r"<style.*?</style>", page, flags=re.DOTALL)
    assert style
    assert not re.search(r"@import|url\((?!#)|http", " ".join(style))
    assert "prefers-color-scheme: dark" in page


def test_it_is_small_and_the_same_for_the_same_evaluation(evaluation, evidence) -> None:
    page = render_report(evaluation, evidence, GATES)
    assert len(page.encode()) < 400_000
    assert page == render_report(evaluation, evidence, GATES)


def test_drawings_and_tables_can_be_heard(evaluation, evidence) -> None:
    parsed = _parsed(render_report(evaluation, evidence, GATES))
    drawings = [attributes for tag, attributes in parsed.tags if tag == "svg"]
    assert len(drawings) == 3 + 2
    assert all(one.get("role") == "img" and one.get("aria-label") for one in drawings)
    heads = [attributes for tag, attributes in parsed.tags if tag == "th"]
    assert heads
    assert all(one.get("scope") in ("col", "row") for one in heads)
    tags = [tag for tag, _attributes in parsed.tags]
    assert tags.count("table") == tags.count("caption") >= 6
    assert tags.count("figure") == tags.count("figcaption") == 3
    ids = [attributes["id"] for _tag, attributes in parsed.tags if "id" in attributes]
    assert ids
    assert len(ids) == len(set(ids))


def test_gates_are_told_in_words_and_values(evaluation, evidence) -> None:
    text = _parsed(render_report(evaluation, evidence, GATES)).text
    assert "2 of 3 failed." in text
    assert "≤ 40" in text
    assert "≥ 0.900" in text
    assert "loops v live" in text
    assert "All 1 passed." in _parsed(render_report(evaluation, evidence, GATES[:1])).text


def test_without_gates_it_says_that_nobody_judged(evaluation, evidence) -> None:
    assert "Nobody has judged" in render_report(evaluation, evidence, None)


def test_a_bare_evaluation_still_gives_a_report(evaluation, evidence) -> None:
    bare = evaluation.model_copy(update={"figures": {}, "samples": []})
    empty = evidence.model_copy(
        update={
            "recipe": {}, "documents": [], "losses": [], "cleaning": None, "scores": {}, "tics": [],
            "copies": [], "identity": [],
        }
    )  # fmt: skip
    text = _parsed(render_report(bare, empty, [])).text
    assert "Not measured: attribution_auc" in text
    assert "No reply shares eight words" in text


def test_it_is_drawn_again_from_the_folder_when_gates_are_known(
    evaluation, evidence, tmp_path: Path
) -> None:
    with pytest.raises(AdapterError, match="no evidence"):
        write_report(tmp_path, evaluation)
    write_evidence(tmp_path, evidence)
    write_evaluation(tmp_path, evaluation)
    assert "Nobody has judged" in write_report(tmp_path, evaluation).read_text("utf-8")
    assert "2 of 3 failed." in write_report(tmp_path, evaluation, gates=GATES).read_text("utf-8")


def test_damaged_evidence_is_told(tmp_path: Path, evaluation) -> None:
    (tmp_path / "evidence.json").write_text("{}")
    with pytest.raises(AdapterError, match="is damaged"):
        write_report(tmp_path, evaluation)
