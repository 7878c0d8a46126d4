"""What says the same again goes, and always for something that stays."""

from __future__ import annotations

from tests.training.clean.texts import PLAIN, document, essay
from training.clean.duplicates import Duplicates

EDITED = PLAIN[0].replace("mud on their knees", "mud on the knees").replace("an hour", "one hour")


def decided(*documents, most_paragraphs: int = 1000):
    rule = Duplicates(most_paragraphs)
    for one in documents:
        rule.add(one)
    gone = rule.documents()
    return (
        {number: same.document for number, same in gone.items()},
        rule.paragraphs(set(gone)),
        rule,
    )


def test_of_two_nearly_equal_documents_the_newest_stays():
    text = "\n\n".join(PLAIN)
    edited = "\n\n".join([EDITED, *PLAIN[1:]])
    assert decided(document(0, text, date="2019"), document(1, edited, date="2021-05"))[0] == {0: 1}
    assert decided(document(0, text, date="2022"), document(1, edited, date="2021-05"))[0] == {1: 0}


def test_without_dates_the_longest_stays_and_of_equals_the_first():
    text = "\n\n".join(PLAIN)
    longer = f"{text}\n\nOne sentence more than before."
    assert decided(document(0, text), document(1, longer))[0] == {0: 1}
    assert decided(document(0, text), document(1, text), document(2, text))[0] == {1: 0, 2: 0}


def test_different_texts_and_texts_without_words_are_left():
    texts = [*PLAIN, "…", "…", *(essay(n) for n in range(8))]
    documents = [document(number, text) for number, text in enumerate(texts)]
    assert decided(*documents)[:2] == ({}, {})


def test_an_excerpt_goes_and_not_the_text_it_was_taken_from():
    whole = document(0, "\n\n".join(PLAIN), date="2019")
    excerpt = document(1, f"From my last text:\n\n{EDITED}\n\n{essay(3)}", date="2022")
    assert decided(whole, excerpt)[:2] == ({}, {1: {1: 0}})


def test_a_paragraph_in_three_documents_stays_in_the_longest():
    box = "Jane Doe keeps bees on a roof and writes about rivers, bread, frost and clocks that run too fast, "
    box += "for a small paper that still pays in jars of honey every autumn."
    texts = [f"{essay(n)}\n\n{essay(n + 6)}\n\n{essay(n + 12)}\n\n{box}" for n in (0, 2, 4)]
    texts[1] += "\n\nThis makes it the longest of the three by a sentence or two, as one may count."
    documents = [document(number, text) for number, text in enumerate(texts)]
    assert decided(*documents)[:2] == ({}, {0: {6: 1}, 2: {6: 1}})


def test_a_paragraph_that_its_author_takes_up_once_more_stays_and_is_reported():
    first = document(0, "\n\n".join([*PLAIN, *(essay(n) for n in range(4))]))
    again = document(1, "\n\n".join([essay(5), PLAIN[0], *(essay(n) for n in range(6, 11))]))
    gone, paragraphs, rule = decided(first, again)
    assert (gone, paragraphs) == ({}, {})
    (note,) = rule.notes(["first", "again"])
    assert note.endswith(": 1 (57 words), such as again and first (57 words)")


def test_a_document_that_is_gone_keeps_no_paragraph():
    text = "\n\n".join(PLAIN)
    newest = document(0, text, date="2022")
    oldest = document(1, f"{text}\n\nOne sentence more.", date="2019")
    excerpt = document(2, f"{PLAIN[0]}\n\n{essay(3)}", date="2018")
    assert decided(newest, oldest, excerpt)[:2] == ({1: 0}, {2: {0: 0}})


def test_paragraphs_beyond_the_bound_are_not_compared_and_that_is_said():
    documents = [document(0, "\n\n".join(PLAIN)), document(1, f"{PLAIN[5]}\n\n{essay(3)}")]
    _, paragraphs, rule = decided(*documents, most_paragraphs=3)
    assert paragraphs == {}
    assert "compared the first 3 paragraphs" in rule.notes(["a", "b"])[0]
