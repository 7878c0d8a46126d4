"""What models say is shown whole on Slack, in pieces that ping nobody and hide nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.on_slack.mrkdwn import closed, escape, for_stream, link, sections, visible
from bot.on_slack.typed import as_typed
from tests.fakes import slack_rules as rules

# Text made of what is dangerous on Slack and in Markdown, among anything else.
SHARDS = st.sampled_from(
    [
        *("<", ">", "&", "&amp;", "@", "@here", "@channel", "<!channel>", "<@U1>", "<#C1|x>"),
        *("<!subteam^S1>", "```", "```py\n", "~~~\n", "`", "**", "*", "_", "~~", "# ", "- "),
        *("1. ", "> ", "[", "](", "![", "(", ")", "|", "\\", "---\n", "    "),
        *("https://example.org/a_(b)?c=1&d=2", "[label](https://example.org/x)", "http://"),
        *("\n", "\n\n", " ", "\t", "\x00", "\r", "word", "é", "𝄞", "\u2028", "\u202e", "\u200b"),
        *("\u2066", "\ufeff", "\U000e0041", "\u200d", "&#x202e;", "\x02", "\x03", "\x04"),
    ]
)
TEXTS = st.lists(SHARDS | st.text(max_size=30), max_size=60).map("".join)
HIDDEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


@given(st.text())
def test_what_is_escaped_is_read_back_but_for_what_nobody_sees(text: str) -> None:
    assert as_typed(escape(text)).replace("\u2060", "") == visible(text).replace("\u2060", "")


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and *italic* and ~~gone~~", "*bold* and _italic_ and ~gone~"),
        ("# A heading\ntext", "*A heading*\n\ntext"),
        ("- one\n* two\n", "•   one\n\n•   two"),
        ("- one\n- two\n  - three", "•   one\n•   two\n    ◦   three"),
        ("1. one\n2. two", "1.  one\n2.  two"),
        ("2 * 3 * 4 and snake_case", "2 * 3 * 4 and snake_case"),
        ("see [the *paper*](https://a.org/x_(y)).", "see <https://a.org/x_(y)|the paper>."),
        ("(https://a.org/x_(y)), https://b.org.", "(<https://a.org/x_(y)>), <https://b.org>."),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("![a cat](https://a.org/c.png)", "<https://a.org/c.png|a cat>"),
        ("`a < **b**` c", "`a &lt; **b**` c"),
        ("```python\nif a < b:\n    pass\n```\ndone", "```\nif a &lt; b:\n    pass\n```\n\ndone"),
        ("```\nstill open", "```\nstill open\n```"),
        ("> quoted\n> more\n\nafter", "&gt; quoted\n&gt; more\n\nafter"),
        ("> ```\n> code\n> ```", "&gt; code"),
        ("- a\n  ```\n  b < c\n  ```\n- d", "•   a\n\n```\nb &lt; c\n```\n\n•   d"),
        ("a ``` b\n```\nc ``` d\n```", "a ``\u2060` b\n\n```\nc ``\u2060` d\n```"),
        ("mail a@here.org, @here", "mail a@here.org, @\u2060here"),
        ("&lt;!channel&gt; &#x202e;x", "&amp;lt;!channel&amp;gt; &amp;#x202e;x"),
        ("[a]: https://b.org\n\n[a]", "[a]: <https://b.org>\n\n[a]"),
        ("one\n---\ntwo", "one\n\n———\n\ntwo"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("invoice\u202egpj.exe a\u200bb", "invoicegpj.exe ab"),
        ("👩\u200d🔬", "👩\u200d🔬"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, mrkdwn: str) -> None:
    assert sections(markdown, 3000) == [mrkdwn]


@pytest.mark.parametrize(
    ("url", "label", "shown"),
    [
        ("https://a.org/?b=1&c=2", "A |\nB", "<https://a.org/?b=1&amp;c=2|A / B>"),
        ("https://a.org/x|y", "A |\nB", "A / B"),
        ("javascript:alert(1)", "A |\nB", "A / B"),
        ("https://a.org/" + "x" * 2000, "A |\nB", "A / B"),
        ("", "A |\nB", "A / B"),
        ("https://evil.org", "https://bank.org", "<https://evil.org>"),
        ("https://evil.org", "www.bank.org", "<https://evil.org>"),
        ("https://evil.org", "bank.org/login", "<https://evil.org>"),
        ("https://a.org", "<!here>", "<https://a.org|&lt;!here&gt;>"),
    ],
)
def test_a_link_shows_its_label_only_where_that_is_the_truth(
    url: str, label: str, shown: str
) -> None:
    assert link(url, label) == shown


@settings(max_examples=100)
@given(TEXTS, st.sampled_from([60, 120, 400, 2_900]))
def test_every_piece_fits_is_whole_and_pings_nobody(text: str, limit: int) -> None:
    for piece in sections(text, limit):
        assert 0 < len(piece) <= limit
        assert piece.strip()
        assert rules.markup_complaints(piece) == []
        assert rules.pings({"text": piece, "parse": "full", "link_names": True}) == set()
        assert HIDDEN.search(piece) is None


@given(
    st.lists(st.text("abcdefgh.,;&<", min_size=1, max_size=90), min_size=1, max_size=80),
    st.booleans(),
)
def test_cutting_loses_no_word(words: list[str], code: bool) -> None:
    text = " ".join(words)
    pieces = sections(f"```\n{text}\n```" if code else text, 100)
    shown = "".join(as_typed(piece) for piece in pieces)
    kept = shown.replace("```", "") if code else shown
    assert "".join(kept.split()) == "".join(words)


@given(st.text("ab \n", max_size=300))
def test_code_fences_are_closed_and_opened_again_at_a_cut(code: str) -> None:
    pieces = sections(f"before\n```\n{code}\n```\nafter", 60)
    assert all(piece.count("```") % 2 == 0 for piece in pieces)


@settings(max_examples=100)
@given(TEXTS, st.integers(0, 200))
def test_a_stream_grows_only_at_its_end_and_pings_nobody(text: str, at: int) -> None:
    whole = for_stream(text)
    assert whole.startswith(for_stream(text[:at])) or text[at - 1 : at] == "\r"
    assert rules.pings({"markdown_text": whole}) == set()
    assert HIDDEN.search(whole) is None
    assert "<!" not in whole and "<@" not in whole


@pytest.mark.parametrize(
    ("text", "end"),
    [("words", ""), ("```py\ncode", "\n```"), ("```\ncode\n```", ""), ("a ``` b", "")],
)
def test_a_stream_that_ends_in_code_closes_its_fence(text: str, end: str) -> None:
    assert closed(text) == end


@pytest.mark.parametrize("mark", ["[", "![", "](", "*", "> ", "- ", "`", "<", "<!channel>", "a*b_"])
def test_ten_thousand_marks_are_harmless_and_shown(mark: str) -> None:
    text = mark * (10_000 // len(mark)) + "\n\nthe end"
    found = sections(text, 2_900)
    assert "the end" in found[-1]
    assert all(rules.markup_complaints(piece) == [] for piece in found)
