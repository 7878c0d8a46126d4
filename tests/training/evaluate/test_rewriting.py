"""What a rewrite keeps and copies, and whether passages say what an answer says, on texts made by hand."""

from __future__ import annotations

import pytest

from personae.prompt import PromptPassage
from training.evaluate.grounding import is_grounded, supported
from training.evaluate.rewriting import copied_share, kept_facts, length_ratio, meanings


@pytest.mark.parametrize("text", ["The cat sat down.", "自由は大切です", "Привет, мир", "🎉 yes"])
def test_a_copy_scores_one_in_any_script(text: str) -> None:
    assert copied_share(text, text) == pytest.approx(1.0)
    assert length_ratio(text, text) == 1.0


@pytest.mark.parametrize("rewrite", ["", " ", "🎉"])
def test_a_rewrite_without_words_copies_and_keeps_nothing(rewrite: str) -> None:
    assert copied_share("We met Anna in 1862.", rewrite) == 0.0
    assert length_ratio("We met Anna in 1862.", rewrite) == 0.0
    assert kept_facts("We met Anna in 1862.", rewrite) == (0, 2)


def test_rouge_l_is_of_the_longest_common_subsequence() -> None:
    # "the ship left" is common in order: 3 of 4 words and 3 of 5.
    assert copied_share("the ship left today", "the old ship left slowly") == pytest.approx(
        2 * (3 / 4) * (3 / 5) / (3 / 4 + 3 / 5)
    )


@pytest.mark.parametrize(
    ("text", "rewrite", "kept"),
    [
        ("we saw Mr Brown and Paris", "Brown was seen, and paris too", (2, 3)),
        ("it took 12 days and 1,500 men", "twelve days, 1500 men", (2, 2)),
        ("sold for 3.5 dollars", "sold for 35 dollars", (0, 1)),
        ("in Anna's house", "Anna had a house", (1, 1)),
        ("nothing to keep here", "nothing", (0, 0)),
        ("I think I'm right", "you are", (0, 0)),
    ],
)
def test_names_and_numbers_are_kept_in_any_form(
    text: str, rewrite: str, kept: tuple[int, int]
) -> None:
    assert kept_facts(text, rewrite) == kept


def test_meaning_is_one_of_the_same_text_and_nothing_of_an_empty_one(tiny_models) -> None:
    from personae.weights import model_folder
    from tests.training.evaluate.conftest import EMBEDDER

    texts = ["The ships came home.", "The ships came home.", "The ships came home."]
    found = meanings(texts, [texts[0], "", "Zebra!"], model_folder(tiny_models, EMBEDDER))
    assert found[0] == pytest.approx(1.0, abs=1e-5)
    assert found[1] == 0.0
    assert found[2] < 0.9


PASSAGES = (
    PromptPassage(
        "Tea", "1890", "The harvest of 1889 brought forty chests of green tea to the harbor."
    ),
    PromptPassage("Roads", "", "Every road across the valley was mended before the winter."),
)


def test_a_sentence_is_supported_by_one_passage_that_holds_its_words_and_numbers() -> None:
    assert supported("The harvest of 1889 brought green tea to the harbor.", PASSAGES)
    assert supported("Roads across the valley were mended before winter.", PASSAGES)
    assert (
        supported("The harvest of 1890 and of 1776 brought green tea to the harbor.", PASSAGES)
        is False
    )
    assert (
        supported("Green roads brought the valley forty chests of winter trouble.", PASSAGES)
        is False
    )
    assert supported("It is so.", PASSAGES) is None


def test_an_answer_is_grounded_where_all_its_sentences_are() -> None:
    assert is_grounded("The harvest brought forty chests of green tea. It is so.", PASSAGES)
    assert not is_grounded(
        "The harvest brought forty chests of green tea. Elephants danced upon mountains nightly.",
        PASSAGES,
    )
    for nothing in ("", "It is so.", "🎉"):
        assert not is_grounded(nothing, PASSAGES)
