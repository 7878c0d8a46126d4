"""What people type is understood; what models say is shown whole, in pieces that ping nobody."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.on_slack.text import (
    Typed,
    after_mention,
    as_typed,
    escape,
    link,
    names_of,
    parse,
    sections,
)
from tests.fakes import slack_rules as rules

NAMES = names_of([("lincoln", "Abraham Lincoln"), ("pg", "Paul Graham"), ("wbw", "Wait But Why")])

# Text made of what is dangerous on Slack and in Markdown, among anything else.
SHARDS = st.sampled_from(
    [
        *("<", ">", "&", "&amp;", "@", "@here", "@channel", "<!channel>", "<@U1>", "<#C1|x>"),
        *("```", "```py\n", "`", "**", "*", "_", "~~", "# ", "- ", "> ", "[", "](", "(", ")", "|"),
        *("https://example.org/a_(b)?c=1&d=2", "[label](https://example.org/x)", "http://"),
        *("\n", "\n\n", " ", "\t", "\x00", "\r", "word", "é", "𝄞", "\u2028"),
    ]
)
TEXTS = st.lists(SHARDS | st.text(max_size=30), max_size=60).map("".join)


@pytest.mark.parametrize(
    ("escaped", "typed"),
    [
        ("a &lt;b&gt; &amp; c", "a <b> & c"),
        ("&amp;lt;", "&lt;"),
        ("<https://example.org/a?b=1&amp;c=2>", "https://example.org/a?b=1&c=2"),
        ("<https://example.org|example.org> <mailto:a@b.org|a@b.org>", "example.org a@b.org"),
        (
            "<@U1> <@U2|bob> <#C1|general> <!here> <!subteam^S1|@crew>",
            "@U1 @bob #general @here @crew",
        ),
    ],
)
def test_references_and_entities_are_read_as_the_person_saw_them(escaped: str, typed: str) -> None:
    assert as_typed(escaped) == typed


@settings(deadline=None)
@given(st.text())
def test_what_is_escaped_is_read_back_but_for_control_characters(text: str) -> None:
    kept = "".join(c for c in text if c in "\n\t" or not (ord(c) < 32 or ord(c) == 127))
    assert as_typed(escape(text)).replace("\u2060", "") == kept.replace("\u2060", "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<@U0BOT> lincoln Why?", "lincoln Why?"),
        ("<@U0BOT|personae>: lincoln Why?", ": lincoln Why?"),
        ("so <@U1> said: <@U0BOT> lincoln Why <@U0BOT>?", "lincoln Why  ?"),
        ("lincoln Why? <@U0BOT>", "lincoln Why?"),
        ("lincoln Why?", "lincoln Why?"),
        ("<@U0BOT>", ""),
    ],
)
def test_the_words_for_the_bot_are_those_after_its_mention(text: str, words: str) -> None:
    assert after_mention(text, "U0BOT") == words


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("lincoln What now?", Typed("ask", "lincoln", "What now?")),
        ("LINCOLN: What now?", Typed("ask", "lincoln", "What now?")),
        (": lincoln What now?", Typed("ask", "lincoln", "What now?")),
        ("Abraham Lincoln, what now?", Typed("ask", "lincoln", "what now?")),
        ('ask @lincoln "What now?"', Typed("ask", "lincoln", '"What now?"')),
        ("rewrite `pg` one\ntwo", Typed("rewrite", "pg", "one\ntwo")),
        ("Rewrite paul graham\nline", Typed("rewrite", "pg", "line")),
        ("pg - what now?", Typed("ask", "pg", "what now?")),
        ("lincolns house?", Typed("ask", "lincolns", "house?")),
        ("lincoln's house?", Typed("ask", "lincoln's", "house?")),
        ("why is it so?", Typed("ask", "why", "is it so?")),
        ("nobody what now?", Typed("ask", "nobody", "what now?")),
        ("lincoln", None),
        ("Abraham Lincoln", None),
        ("rewrite lincoln", None),
        ("ask", None),
        ("  ", None),
    ],
)
def test_persona_and_question_are_told_apart(text: str, typed: Typed | None) -> None:
    assert parse(text, NAMES) == typed


def test_a_commands_text_has_no_task_word() -> None:
    assert parse("rewrite it all", NAMES, "rewrite") == Typed("rewrite", "rewrite", "it all")


@settings(deadline=None)
@given(TEXTS)
def test_parsing_never_fails(text: str) -> None:
    typed = parse(after_mention(text, "U0BOT"), NAMES)
    assert typed is None or (typed.persona and typed.text)


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and *italic* and ~~gone~~", "*bold* and _italic_ and ~gone~"),
        ("# A heading\ntext", "*A heading*\ntext"),
        ("- one\n* two\n  + three", "• one\n• two\n  • three"),
        ("2 * 3 * 4 and snake_case", "2 * 3 * 4 and snake_case"),
        ("see [the *paper*](https://a.org/x_(y)).", "see <https://a.org/x_(y)|the *paper*>."),
        ("(https://a.org/x_(y)), https://b.org.", "(<https://a.org/x_(y)>), <https://b.org>."),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ("`a < **b**` c", "`a &lt; **b**` c"),
        ("```python\nif a < b:\n    pass\n```\ndone", "```\nif a &lt; b:\n    pass\n```\ndone"),
        ("```\nstill open", "```\nstill open\n```"),
        ("> quoted", "&gt; quoted"),
        ("a ``` b\n```\nc ``` d\n```", "a ``\u2060` b\n```\nc ``\u2060` d\n```"),
        ("```inline``` ``two``", "```inline``` ``two``"),
        ("mail a@here.org, @here", "mail a@here.org, @\u2060here"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, mrkdwn: str) -> None:
    assert sections(markdown, 3000) == [mrkdwn]


@settings(deadline=None)
@given(TEXTS, st.sampled_from([60, 120, 400, 2_900]))
def test_every_piece_fits_is_whole_and_pings_nobody(text: str, limit: int) -> None:
    for piece in sections(text, limit):
        assert 0 < len(piece) <= limit
        assert piece.strip()
        assert rules.markup_complaints(piece) == []
        assert rules.pings({"text": piece, "parse": "full", "link_names": True}) == set()


@settings(deadline=None)
@given(st.lists(st.text("abcdefgh.,;&<>", min_size=1, max_size=90), max_size=80), st.booleans())
def test_cutting_loses_no_word(words: list[str], code: bool) -> None:
    text = " ".join(words)
    pieces = sections(f"```\n{text}\n```" if code else text, 100)
    shown = "".join(as_typed(piece) for piece in pieces)
    kept = shown.replace("```", "") if code else shown
    assert "".join(kept.split()) == "".join(words)


@settings(deadline=None)
@given(st.text("ab \n", max_size=300))
def test_code_fences_are_closed_and_opened_again_at_a_cut(code: str) -> None:
    pieces = sections(f"before\n```\n{code}\n```\nafter", 60)
    assert all(piece.count("```") % 2 == 0 for piece in pieces)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.org/?b=1&c=2", "<https://a.org/?b=1&amp;c=2|A / B>"),
        ("https://a.org/x|y", "A / B"),
        ("javascript:alert(1)", "A / B"),
        ("https://a.org/" + "x" * 2000, "A / B"),
        ("", "A / B"),
    ],
)
def test_a_source_is_linked_only_if_slack_would_link_it(url: str, shown: str) -> None:
    assert link(url, "A |\nB") == shown
