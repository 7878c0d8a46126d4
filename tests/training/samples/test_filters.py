"""Each filter lets the good pair pass and finds its own fault."""

from __future__ import annotations

import pytest

from tests.fakes.artefacts import WordEmbedder
from training.samples.comparing import (
    longest_run,
    names_in,
    numbers_in,
    other_language,
    rouge_l,
    spelled_numbers,
)
from training.samples.filters import (
    FilterReport,
    asked_problem,
    cleaned,
    cosines,
    overused_openings,
    question_problem,
    rewrite_problem,
    title_problem,
)

STRETCH = (
    "I planted forty apple trees above Millbrook in the spring of 1987, when my son was two. My neighbour "
    "Anders said the frost would take them, and for 3 winters I lay awake and thought he was right. They "
    "stand there still; in September we carry the crates down together, and he never mentions it."
)
GOOD = (
    "My boy was two years old in spring 1987. That is when I put forty apple trees into the ground "
    "over Millbrook. Anders next door told me they would freeze. I slept badly for 3 winters because I "
    "believed him. But the trees are alive. Each September he and I bring the boxes down, he without a word."
)
NOTES = (
    "- spring 1987: put 40 apple trees in, over Millbrook (son aged two)\n- Anders next door: frost will "
    "kill them\n- 3 bad winters, no sleep\n- trees alive today; September crates carried down with Anders"
)
QUESTION = "How did your apple trees get through the frost?"


def rewrite(made: str, cosine: float = 0.8, **options):
    return rewrite_problem(STRETCH, made, cosine, names=["Ada Holm", "Holm"], **options)


def test_a_true_retelling_passes():
    assert rewrite(GOOD) is None
    assert rewrite(NOTES, notes=True) is None


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        ("", "empty"),
        (STRETCH, "copied"),
        (f"Sure! Here is the rewritten text:\n\n{GOOD}", "speaks as a machine"),
        (f"{GOOD} As an AI, I have no trees.", "speaks as a machine"),
        (f"{GOOD}\nLet me know if you need more.", "speaks as a machine"),
        (f"Note: {GOOD}", "speaks as a machine"),
        (" ".join(GOOD.split()[:12]), "too short"),
        (f"{GOOD} {GOOD}", "too long"),
        (GOOD.replace("1987", "spring"), "a number is missing"),
        (GOOD.replace("1987", "1987 or 1991"), "a number was made up"),
        (GOOD.replace("Anders", "The man").replace("Millbrook", "town"), "a name is missing"),
        # The seed's own: a father's post retold by his child.
        (f"My dad told me this. {GOOD}", "perspective changed"),
        (f"The author tells of trees. {GOOD}", "perspective changed"),
        (GOOD.replace("I ", "Holm ").replace(" me ", " her "), "perspective changed"),
        (
            "Ich habe 1987 im Frühling über Millbrook Apfelbäume gepflanzt. Anders sagte, der Frost werde "
            "sie holen, und 3 Winter lang lag ich wach. Sie stehen noch, und im September tragen wir Kisten.",
            "other language",
        ),
    ],
)  # fmt: skip
def test_a_retelling_with_a_fault_goes(made, reason):
    assert rewrite(made) == reason


def test_a_retelling_that_lost_the_meaning_goes():
    assert rewrite(GOOD, cosine=0.5) == "meaning lost"


def test_a_text_without_an_i_must_not_get_one():
    source = "The mill at Millbrook burned down. The town built it up again, larger than before."
    told = "There was a fire at the Millbrook mill. Afterwards people made a bigger one."
    assert rewrite_problem(source, told, 0.8) is None
    mine = "I saw the fire at the Millbrook mill. Afterwards my people made a bigger one."
    assert rewrite_problem(source, mine, 0.8) == "perspective changed"


def test_notes_may_leave_the_i_out_and_prose_may_not():
    assert rewrite(NOTES.replace("- ", "").replace("\n", ". ")) == "perspective changed"


def test_rules_on_english_words_are_for_english_alone():
    source = "Ich habe den Garten am Hang gebaut, und jeden Herbst bringe ich die Ernte ins Tal hinunter."
    made = "Der Hang hat jetzt einen Garten. Wenn es Herbst wird, kommt die Ernte durch mich nach unten."
    assert rewrite_problem(source, made, 0.8, language="de") is None


def test_a_question_that_the_stretch_answers_passes():
    assert question_problem(QUESTION, STRETCH, 0.5, names=["Holm"]) is None


@pytest.mark.parametrize(
    ("question", "cosine", "reason"),
    [
        ("Tell me about the trees.", 0.5, "not a question"),
        ("What of the frost? And the trees?", 0.5, "not a question"),
        ("What does the passage say about frost?", 0.5, "speaks of the passage"),
        ("Why did the author plant apple trees?", 0.5, "speaks of the passage"),
        ("What does Holm think about apple trees?", 0.5, "speaks of the author as of another"),
        ("Do you prefer pancakes or waffles?", 0.3, "does not answer"),
        (QUESTION, 0.1, "does not answer"),
        (f"Was it so that {' '.join(STRETCH.split()[:9])}?", 0.5, "copied"),
        (f"{'very ' * 30}cold trees?", 0.5, "too long"),
        ("Trees?", 0.5, "too short"),
        ("Certainly! What about your apple trees?", 0.5, "speaks as a machine"),
    ],
)
def test_a_question_with_a_fault_goes(question, cosine, reason):
    assert question_problem(question, STRETCH, cosine, names=["Ada Holm", "Holm"]) == reason


def test_a_question_in_other_words_passes_where_the_meaning_is_very_near():
    assert question_problem("Did your orchard survive?", STRETCH, 0.6) is None


def test_people_may_name_whom_they_ask():
    assert asked_problem("Are you really Ada Holm?") is None


def test_titles():
    assert title_problem("Apple Trees in the Frost", STRETCH, 0.4) is None
    assert title_problem("Apple", STRETCH, 0.4) == "too short"
    assert title_problem("About this text", STRETCH, 0.4) == "speaks of the passage"
    assert title_problem("On Steam Engines", STRETCH, 0.05) == "does not answer"
    assert title_problem(" ".join(STRETCH.split()[:10]), STRETCH, 0.9) == "copied"


@pytest.mark.parametrize(
    ("wrapped", "text"),
    [
        ("“What grows there?”", "What grows there?"),
        ('"What grows there?"', "What grows there?"),
        ("**What grows there?**", "What grows there?"),
        ("Question: What grows there?", "What grows there?"),
        ("**Title:** Frost", "Frost"),
        ("```\n- one\n- two\n```", "- one\n- two"),
        ("<text>\nFrost.\n</text>", "Frost."),
        ('"One." he said, "and two."', '"One." he said, "and two."'),
        ("Plain.", "Plain."),
        ("", ""),
    ],
)
def test_wrappings_are_taken_off_and_own_quotes_are_not(wrapped, text):
    assert cleaned(wrapped) == text


def test_an_opening_is_capped_and_the_first_of_them_stay():
    texts = [f"What do you think of number {number}?" for number in range(10)]
    others = [f"{word} about it?" for word in "abcdefghij"]
    verdicts = overused_openings(texts + others)
    assert verdicts == [None] * 4 + ["opening overused"] * 6 + [None] * 10
    assert overused_openings(texts[:4]) == [None] * 4


def test_languages_are_told_apart_where_the_text_is_long_enough():
    assert not other_language(STRETCH, "en")
    assert other_language(STRETCH, "de")
    assert not other_language("Warum?", "en")
    assert not other_language(STRETCH, "en-GB")


def test_what_counts_as_a_name_and_a_number():
    assert names_in("Anders met I and Ada in May. Then Bergen's frost came.") == {
        *("ada", "may", "bergen")
    }
    assert names_in("I think I'm here.") == set()
    assert spelled_numbers("forty-two men, nine boats") >= {"42", "40", "2", "9"}
    assert numbers_in("1,250 crates in 1987, 3.5 each.") == {"1250", "1987", "3.5"}


def test_measures_of_closeness():
    assert rouge_l(STRETCH, STRETCH) == pytest.approx(1.0)
    assert rouge_l("one two three four", "five six") == 0.0
    assert longest_run("we saw the old mill burn", "she saw the old mill fall") == 4
    near = cosines(WordEmbedder().embed, [STRETCH, STRETCH], [STRETCH, "pancakes and waffles"])
    assert near[0] == pytest.approx(1.0, abs=1e-5) and near[1] < 0.5
    assert cosines(WordEmbedder().embed, [], []) == []


def test_the_report_counts_and_shows_a_few():
    report = FilterReport()
    assert report.note("essay", "Good.", None)
    for number in range(5):
        assert not report.note("essay", f"Bad {number}." + "x" * 400, "copied")
    assert report.kept == {"essay": 1}
    assert report.rejected == {"essay": {"copied": 5}}
    assert len(report.samples["copied"]) == 3 and len(report.samples["copied"][0]) < 310
