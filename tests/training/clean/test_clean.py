"""All rules together: no word is lost unseen, the order holds, and each rule can be switched off."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personae.errors import CorpusError
from personae.persona import Cleaning
from tests.training.clean.texts import ALL_RULES, PLAIN, document, essay, only
from training.clean.clean import Cleaned, clean
from training.clean.report import REMOVED, REPORT, REPORT_FOR_PEOPLE, CleaningReport, Rule

GERMAN = (
    "Der Fluss war seit Juni niedrig, und die Jungen, die von der Mauer der Mühle sprangen, kamen "
    "mit Schlamm an den Knien herauf. Die alte Marta nannte es eine Strafe, und alle lachten laut."
)
BOX = (
    "Jane Doe keeps bees on a roof and writes about rivers, bread, frost and clocks that run too "
    "fast, for a small paper that still pays in jars of honey every autumn."
)
PIECES = [
    *PLAIN,
    essay(1),
    BOX,
    "## A heading",
    "Home | About",
    "Share this",
    "> They said so.\n> All of them.",
    "— They",
    "```\nx = 1\n```",
    "<b>Bold</b><br>words &amp; more",
    "Write to jane@example.org or 4111 1111 1111 1111.",
    "- one\n- two\n- three\n- four\n- five",
    "…",
    "{{ name }}",
]


def words(cleaned: Cleaned) -> int:
    return sum(len(one.text.split()) for one in cleaned.documents)


def accounted(cleaned: Cleaned, texts: list[str]) -> None:
    """Words in = words kept + words taken, for all rules together and for what each removed as a whole."""
    report = cleaned.report
    assert report.words_before == sum(len(text.split()) for text in texts)
    assert report.words_after == words(cleaned)
    assert report.words_before == report.words_after + sum(rule.words for rule in report.rules)
    assert report.documents_before == len(texts)
    assert report.documents_after == len(list(cleaned.documents))
    assert report.documents_before == report.documents_after + len(cleaned.removed)
    for rule in report.rules:
        of_this = [one for one in cleaned.removed if one.rule == rule.rule]
        assert len(of_this) == rule.documents_removed
        # "Bold<br>words" is one word before its tag goes and two afterwards.
        assert sum(one.words for one in of_this) <= rule.words or rule.rule == "code"
        assert sum(rule.why.values()) == rule.pieces + rule.documents_removed
        assert rule.on or not (rule.words or rule.pieces or rule.documents_removed)


@settings(max_examples=40)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("\n\n".join),
        min_size=1,
        max_size=8,
    ),
    # Reading the languages takes a third of a second; the test of all rules below has them.
    rules=st.sets(st.sampled_from([rule for rule in ALL_RULES if rule != "language"])),
    min_words=st.integers(1, 60),
)
def test_every_word_is_kept_or_accounted_for(texts, rules, min_words):
    documents = [document(number, text) for number, text in enumerate(texts)]
    kept_one = document(99, essay(7) + "\n\n" + essay(8))
    cleaned = clean([*documents, kept_one], only(*rules, min_words=min_words), language="en")
    accounted(cleaned, [*texts, kept_one.text])


DIRTY: dict[Rule, str] = {
    "personal_data": f"{PLAIN[0]} Write to jane@example.org.",
    "code": f"{PLAIN[1]}\n\n```\nx = 1\n```",
    "quotes": f"{PLAIN[2]}\n\n> Bees are small.",
    "boilerplate": f"Home | About\n\n{PLAIN[3]}",
    "language": f"{PLAIN[4]}\n\n{GERMAN}",
    "lists": "# Teas\n\n" + "\n".join(f"- Tea of the {n} kind, black or green" for n in range(9)),
    "short": "Three words here.",
    "duplicates": PLAIN[5],
}


def dirty() -> list:
    documents = [document(number, text) for number, text in enumerate(DIRTY.values())]
    documents += [document(20, PLAIN[5]), *(document(30 + n, essay(n)) for n in range(4))]
    documents += [document(40 + n, f"Home | About\n\n{essay(10 + n)}") for n in range(3)]
    return documents


@pytest.fixture(scope="module")
def all_rules() -> Cleaned:
    return clean(dirty(), Cleaning(), language="en")


def test_each_rule_takes_its_dirt_and_all_is_accounted_for(all_rules):
    accounted(all_rules, [one.text for one in dirty()])
    took = {rule.rule: rule.pieces + rule.documents_removed for rule in all_rules.report.rules}
    assert took == dict.fromkeys(took, 1) | {"boilerplate": 4}
    assert list(took) == list(DIRTY)
    assert [one.rule for one in all_rules.removed] == ["lists", "short", "duplicates"]
    left = {one.id: one.text for one in all_rules.documents}
    assert left["d1"] == PLAIN[1] and left["d2"] == PLAIN[2] and left["d3"] == PLAIN[3]
    assert left["d4"] == PLAIN[4] and left["d7"] == PLAIN[5]


def test_documents_removed_as_a_whole_are_named_with_the_reason(all_rules):
    lists, short, twice = all_rules.removed
    assert (short.id, short.title, short.words) == ("d6", "Text 6", 3)
    assert short.reason == "3 words, fewer than 40"
    assert lists.reason == "mostly list items"
    assert twice.reason == "nearly the same as d7 (100% alike), which is at least as long"


@pytest.mark.parametrize("rule", DIRTY)
def test_a_rule_that_is_off_takes_nothing(rule, all_rules):
    cleaned = clean(dirty(), Cleaning(**{rule: False}), language="en")
    accounted(cleaned, [one.text for one in dirty()])
    report = cleaned.report.rule(rule)
    assert (report.on, report.pieces, report.documents_removed, report.words) == (False, 0, 0, 0)
    assert [one.text for one in cleaned.documents] != [one.text for one in all_rules.documents]


def test_clean_prose_stays_byte_for_byte():
    texts = [f"  {text}\n\n\n\nAnd  so on; page 3 of 1862.\n" for text in PLAIN]
    documents = [document(number, text) for number, text in enumerate(texts)]
    assert list(clean(documents, Cleaning(), language="en").documents) == documents


def test_the_same_documents_give_the_same_result_again(all_rules):
    again = clean(dirty(), Cleaning(), language="en")
    assert again.files() == all_rules.files()
    assert list(again.documents) == list(all_rules.documents)


def test_no_sample_of_any_rule_shows_personal_data():
    texts = [
        f"{PLAIN[0]}\n\n> Write to jane@example.org about the bees.",
        f"{PLAIN[1]}\n\n```\npassword = 'a8Fj3kd9Qz'\n```",
        "Call me at 555-0134.",
    ]
    documents = [
        document(number, text, title="By jane@example.org") for number, text in enumerate(texts)
    ]
    cleaned = clean(documents, Cleaning(), language="en")
    written = "".join(cleaned.files().values())
    shown = " ".join(sample.text for rule in cleaned.report.rules for sample in rule.samples)
    assert all(mark in shown for mark in ("[e-mail]", "[phone]", "[secret]", "> Write to", "```"))
    for secret in ("jane@", "a8Fj3kd9Qz", "555-0134"):
        assert secret not in written
        assert all(secret not in one.title + one.text for one in cleaned.documents)


def test_a_paragraph_taken_as_a_duplicate_may_leave_a_text_too_short():
    documents = [
        document(0, "\n\n".join(PLAIN)),
        document(1, f"As I said in spring about all this:\n\n{PLAIN[2]}"),
    ]
    cleaned = clean(documents, only("short", "duplicates"), language="en")
    assert [(one.id, one.rule, one.words) for one in cleaned.removed] == [("d1", "short", 8)]
    accounted(cleaned, [one.text for one in documents])


def test_a_rule_that_takes_more_than_a_third_is_warned_of():
    documents = [document(n, essay(n)) for n in range(2)] + [document(5, f"{essay(5)[:300]}")]
    report = clean(documents, only("short", min_words=60), language="en").report
    assert report.warnings == []
    quoted = [document(0, f"{PLAIN[0]}\n\n> {PLAIN[1]}")]
    (warning,) = clean(quoted, Cleaning(), language="en").report.warnings
    assert warning.startswith("The rule quotes took") and "`quotes = false`" in warning


def test_nothing_left_is_an_error_that_names_the_rule_and_the_switch():
    documents = [document(n, "A few words only.") for n in range(3)]
    with pytest.raises(CorpusError, match=r"none of 3 documents.*short took most.*`short = false`"):
        clean(documents, Cleaning(), language="en")
    with pytest.raises(CorpusError, match=r"lower `min_words` \(now 40\)"):
        clean(documents, Cleaning(), language="en")


def test_no_documents_are_no_error_here():
    assert list(clean([], Cleaning(), language="en").documents) == []


def test_a_language_that_cannot_be_told_is_not_judged_and_that_is_said():
    cleaned = clean([document(0, GERMAN)], only("language"), language="tlh")
    assert [one.text for one in cleaned.documents] == [GERMAN]
    assert "no language that can be told" in cleaned.report.rule("language").notes[0]


def test_the_report_reads_back_and_is_readable(all_rules):
    files = all_rules.files()
    assert CleaningReport.model_validate_json(files[REPORT]) == all_rules.report
    assert files[REMOVED].count("\n") == 3
    page = files[REPORT_FOR_PEOPLE]
    assert "| short | yes | 1 | 0 | 0 | 3 |" in page
    assert "- d6 (Text 6; 3 words): short, 3 words, fewer than 40" in page
    assert "[e-mail]" in page and "jane@" not in page
    for rule in all_rules.report.rules:
        assert len(rule.samples) == 1


def test_samples_are_few_short_and_of_different_documents():
    long = " ".join(["quoted words"] * 200)
    texts = [f"{essay(n)}\n\n> {n} {long}\n\n> b\n\n> c" for n in range(6)]
    documents = [document(n, text) for n, text in enumerate(texts)]
    samples = clean(documents, only("quotes"), language="en").report.rule("quotes").samples
    assert len(samples) == 5 and len({one.document_id for one in samples}) >= 3
    assert max(len(one.text) for one in samples) <= 200


def test_progress_ends_with_all_that_is_judged():
    seen: list[tuple[str, float, float | None]] = []
    documents = [document(n, essay(n)) for n in range(4)]
    clean(documents, only(), language="en", progress=lambda *call: seen.append(call))
    assert seen[-1] == ("cleaning", 4, 4)
