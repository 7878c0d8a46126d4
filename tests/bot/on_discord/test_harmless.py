"""Whatever a model says, it pings nobody, unfolds nothing, invites nowhere and hides nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.on_discord.harmless import quiet, seen
from tests.fakes.discord_rules import pings, previews

PIECES = [
    *("@everyone", "@here", "<@42>", "<@!42>", "<@&42>", "<", "@", "[", "](", ")", "`", "```"),
    *("https://a.org/b", "discord.gg/abc", "https://discord.com/invite/x", "-# ", "</ask:42>"),
    *(" ", "\n", "\u200b", "\u202e", "\u200d", "\U000e0041", "word", "here", "everyone"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_quiet_words_ping_nobody_even_when_repeated(text: str) -> None:
    outside_code_and_links = [
        part for part in quiet(text).split() if "`" not in part and "https" not in part
    ]
    if "`" not in text and "https" not in text:
        assert pings(" ".join(outside_code_and_links), None) == set()


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_nothing_turns_hides_or_invites(text: str) -> None:
    shown = quiet(text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\U000e0041]", shown)
    if "`" not in shown:
        assert not re.search(r"discord\.gg/\w|discord\.com/invite/\w", shown)
        assert quiet(shown) == shown, "once is enough"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("See https://a.org/b.", "See <https://a.org/b>."),
        ("(https://a.org/b_(c))", "(<https://a.org/b_(c)>)"),
        ("**https://a.org/b**", "**<https://a.org/b>**"),
        ("<https://a.org/b>", "<https://a.org/b>"),
        ("[here](https://a.org/b)", "[here](<https://a.org/b>)"),
        ("`https://a.org/b` and `@everyone`", "`https://a.org/b` and `@everyone`"),
        ("```\nhttps://a.org/b\n```", "```\nhttps://a.org/b\n```"),
        ("https://a.org/@everyone/post", "<https://a.org/@everyone/post>"),
        ("ask @everyone", "ask @\u200beveryone"),
        ("a < b and c@d.org", "a < b and c@d.org"),
        ("come to discord.gg/abc now", "come to discord.gg/… now"),
        ("https://discord.com/invite/abc", "discord.com/invite/…"),
        ("[free](https://discord.gg/abc)", "discord.gg/…"),
        ("dis\u200bcord\u200d.gg/abc", "discord.gg/…"),
        ("https://a.org/?to=discord.gg/abc", "<https://a.org/?to=discord%2Egg/abc>"),
        ("-# — Not an imitation", "\\-# — Not an imitation"),
        ("use </ask:42>", "use <\u200b/ask:42>"),
        ("abc\u202edef\u2066", "abcdef"),
        ("a\u0301\u0301\u0301\u0301\u0301\u0301", "a\u0301\u0301\u0301\u0301"),
    ],
)
def test_only_what_would_harm_is_changed(said: str, shown: str) -> None:
    assert quiet(said) == shown
    assert previews(shown, 0) == []
    assert quiet(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family of emoji
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian needs the non-joiner
        "\U0001f3f4\U000e0067\U000e0062\U000e007f",  # a flag is spelled with tag characters
        "caf\u00e9, na\u00efve, e\u0301\tand\nmore",
    ],
)
def test_what_people_need_stays(text: str) -> None:
    assert seen(text) == text
