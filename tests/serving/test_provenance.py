"""Markers, quotations and sentences of an answer, checked against the passages of its prompt."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personae.prompt import PromptPassage
from serving.provenance import LONGEST_SENTENCE, Checked, ProvenanceFilter, check_text

UNION = PromptPassage(
    "Message on the Union",
    "1862-12-01",
    "The dogmas of the quiet past are inadequate to the stormy present. As our case is new, so we must "
    "think anew and act anew. We shall nobly save, or meanly lose, the last best hope of earth.",
)
LABOR = PromptPassage(
    "On labor",
    "1861",
    "Labor is prior to, and independent of, capital. Capital is only the fruit of labor. It employs 1,500.",
)
PASSAGES = [UNION, LABOR]


def of(text: str, mode="adaptive") -> Checked:
    return check_text(text, PASSAGES, mode=mode)


def kinds(checked: Checked) -> list[tuple[str, int | None, str]]:
    return [
        (span.kind, span.citation, checked.text[span.start : span.end]) for span in checked.spans
    ]


@pytest.mark.parametrize(
    ("said", "left", "dropped"),
    [
        ("Labor is prior to capital, as its fruit. [2]", None, 0),
        ("Labor is prior to capital, as its fruit [2].", None, 0),
        ("Labor is prior to capital, as its fruit.[2]", "… fruit. [2]", 0),
        ("Labor is prior to capital, as its fruit. [1]", "… fruit. [2]", 1),
        ("Labor is prior to capital, as its fruit. [9]", "… fruit. [2]", 1),
        ("Labor is prior to capital, as its fruit. [1, 2]", "… fruit. [2]", 1),
        ("Labor is prior to capital, as its fruit. [1][2]", "… fruit. [2]", 1),
        ("Labor is prior to capital, as its fruit. [1-3]", "… fruit. [2]", 2),
        ("In [2] I held that labor is prior to capital.", None, 0),
        ("Unicorns dance gladly on rainbows [2].", "Unicorns dance gladly on rainbows.", 1),
        ("Unicorns dance [2] on rainbows gladly.", "Unicorns dance on rainbows gladly.", 1),
        ("Unicorns dance gladly.\n[2] On rainbows too.", "Unicorns dance gladly.\nOn rainbows too.", 1),
        ("[1] Unicorns dance gladly.", "Unicorns dance gladly.", 1),
        ("Unicorns dance in the year [1862], gladly.", None, 0),
        ("Labor employs 1500 men before any capital. [2]", None, 0),
        ("Labor employs 1600 men before any capital. [2]", "Labor employs 1600 men before any capital.", 1),
        ("Labor comes before capital for Roosevelt. [2]", "Labor comes before capital for Roosevelt.", 1),
        ("Labor is not the fruit of capital. [2]", "Labor is not the fruit of capital.", 1),
    ],
)  # fmt: skip
def test_a_marker_stays_where_its_passage_supports_the_sentence(said, left, dropped):
    checked = of(said)
    expected = said if left is None else left.replace("…", "Labor is prior to capital, as its")
    assert checked.text == expected
    assert checked.checks.dropped_markers == dropped


@pytest.mark.parametrize(
    "quotation",
    [
        "“we must think anew and act anew”",
        '"We  MUST think anew, and act anew."',
        "«we must think anew and act anew»",
        "„we must think anew and act anew“",
        "“The dogmas … are inadequate to the stormy present”",
        "“The dogmas [...] are inadequate to the stormy present”",
        "“We shall nobly save -- or meanly lose -- the last best hope”",
        "“[w]e must think anew”",
        "“we must think\nanew and act anew”",
    ],
)
def test_a_true_quotation_keeps_its_marks_and_is_cited(quotation):
    checked = of(f"I said {quotation} then.")
    assert checked.text == f"I said {quotation} [1] then."
    assert ("quote", 1, quotation) in kinds(checked)
    assert checked.checks.unquoted == 0


def test_a_true_quotation_that_is_cited_gets_no_second_marker():
    said = "I said “we must think anew and act anew” [1] then."
    assert of(said).text == said
    inside = of("I said “we must think anew and act anew [1]” then.")
    assert inside.text == said


@pytest.mark.parametrize(
    "quotation",
    [
        "“we must think again and act anew”",
        "“the moon is made of cheese”",
        "“we … and … act anew”",
        "“act anew … we must think”",
        "“the stormy present … Labor is prior to”",
        "“we must not think anew”",
    ],
)
def test_a_quotation_that_no_passage_holds_loses_its_marks(quotation):
    checked = of(f"I said {quotation} once.")
    assert checked.text.startswith(f"I said {quotation[1:-1]} once.")
    assert checked.checks.unquoted == 1
    assert all(kind != "quote" for kind, _, _ in kinds(checked))


@pytest.mark.parametrize(
    "said",
    [
        "Don't mind the people's “new birth” of 5\" guns, it's o'clock.",
        "In “Message on the Union” I wrote of storms.",
        "```python\nlabor[1] = \"we must think again today\"  # [2]\n\n```\nSo I set `labor[9]` there.",
        "See https://example.org/a.b?c=[1]&d=“x” and www.example.org/x_(y).",
        "مرحبا بالعالم. 世界は広い。私は考える。 👩‍👩‍👧 naïve",
        "Mr. Seward came at 3.15 p.m. with e.g. hats.",
        "One.\n\n* two\n* three\n\n1. four\n2. five",
        "",
    ],
)  # fmt: skip
def test_what_is_neither_marker_nor_quotation_is_left_alone(said):
    assert of(said).text == said


def test_a_sentence_that_a_passage_clearly_supports_is_attributed():
    checked = of("Labor is prior to and independent of capital. Unicorns dance gladly on rainbows.")
    assert checked.text == (
        "Labor is prior to and independent of capital. [2] Unicorns dance gladly on rainbows."
    )
    assert checked.checks.attributed == 1
    assert checked.cited == [2]
    assert kinds(checked) == [
        ("paraphrase", 2, "Labor is prior to and independent of capital. [2]"),
        ("inference", None, "Unicorns dance gladly on rainbows."),
    ]


def test_a_strict_persona_says_only_what_passages_support():
    said = (
        "Unicorns dance gladly on rainbows.\n\nLabor is prior to capital. “We must think anew”, and unicorns "
        "dance on rainbows.\n```\ncode\n```\nAs I said, “Capital is only the fruit of labor.” Yes."
    )
    checked = of(said, "strict")
    assert checked.text == (
        "Labor is prior to capital. [2] “We must think anew” [1]\n"
        "As I said, “Capital is only the fruit of labor.” [2]"
    )
    assert checked.checks.dropped_sentences == 3
    assert {kind for kind, _, _ in kinds(checked)} == {"paraphrase", "quote", "inference"}
    assert of("Unicorns dance gladly. Rainbows too.", "strict").text == ""


def test_a_creative_persona_loses_false_marks_only():
    said = "Unicorns dance. I said “the moon is made of cheese” [7]."
    checked = of(said, "creative")
    assert checked.text == "Unicorns dance. I said the moon is made of cheese."


def test_words_leave_at_once_and_quotations_when_they_close():
    checking = ProvenanceFilter(PASSAGES)
    assert checking.feed("We mus") == "We"
    assert checking.feed("t hope, ") == " must hope,"
    assert checking.feed("“we must think") == ""
    assert checking.feed(" anew” is") == " “we must think anew”"
    assert checking.finish() == " [1] is"


@pytest.mark.parametrize("mode", ["adaptive", "strict"])
def test_an_answer_without_an_end_is_not_held_for_ever(mode):
    """Nothing is held back for longer than a sentence or a quotation may be."""
    checking = ProvenanceFilter([LABOR], mode=mode)
    left = ""
    for _ in range(400):
        left += checking.feed("labor capital fruit ")
    assert len(left) > 400 * 20 - LONGEST_SENTENCE - 100
    assert len(ProvenanceFilter([LABOR]).feed("“labor " * 1 + "labor " * 400)) > 1000
    assert len(ProvenanceFilter([LABOR]).feed("x" * 5000)) > 4000


FRAGMENTS = [
    *("Labor is prior to capital. ", "Unicorns dance gladly", "fruit of labor", "We must think anew", " "),
    *("[1]", "[2]", "[1, 9]", "[", "]", "[1](http://evil.example)", "[\u200b2]", "(", ")", "[1-", "1862"),
    *("“", "”", '"', "«labor is prior to, and independent of, capital»", "„", "‘it’s’", "`", "``", "```"),
    *("\n", "\n\n", ".", "…", "...", "? ", "! ", "。", "漢字テスト", "word " * 60, "x" * 420),
    *("“we must think anew and act anew”", "🙂", "a://b?d=["),
    *('"the moon is made of cheese"', "Mr. ", "1. ", "* ", "\u0000"),
]  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join) | st.text(max_size=60),
    st.randoms(use_true_random=False),
    st.sampled_from(["adaptive", "strict", "creative"]),
)
def test_however_the_stream_is_cut_the_result_is_the_same(said, cuts: random.Random, mode):
    whole = of(said, mode)
    checking, left, place = ProvenanceFilter(PASSAGES, mode=mode), "", 0
    while place < len(said):
        step = cuts.choice([1, 1, 2, 3, 5, 30])
        left += checking.feed(said[place : place + step])
        place += step
    left += checking.finish()
    assert left == whole.text
    assert Checked(left, checking.spans, checking.checks, checking.cited) == whole
    for span in whole.spans:
        assert 0 <= span.start < span.end <= len(whole.text)
        assert (span.citation is None) == (span.kind == "inference")
