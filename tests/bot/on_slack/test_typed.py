"""What people type is understood: persona, task, privacy and strength, or what is missing."""

from __future__ import annotations

import pytest
from hypothesis import given

from bot.on_slack.typed import Typed, after_mention, as_typed, mentions, names_of, parse
from tests.bot.on_slack.test_mrkdwn import TEXTS

NAMES = names_of([("lincoln", "Abraham Lincoln"), ("pg", "Paul Graham"), ("wbw", "Wait But Why")])


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


def test_who_is_mentioned() -> None:
    assert mentions("<@U1> and <@W2|bob>, <#C1> <!here> @ada") == {"U1", "W2"}


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
        ("lincon what now?", Typed("ask", "lincon", "what now?")),
        ("lincolns house?", Typed("ask", "lincolns", "house?")),
        ("why is it so?", Typed("ask", None, "why is it so?")),
        ("And of the law?", Typed("ask", None, "And of the law?")),
        ("@ada said so", Typed("ask", None, "@ada said so")),
        ("private lincoln What now?", Typed("ask", "lincoln", "What now?", private=True)),
        ("--private What now?", Typed("ask", None, "What now?", private=True)),
        ("privat pg Was nun?", Typed("ask", "pg", "Was nun?", private=True)),
        ("rewrite strong lincoln a b", Typed("rewrite", "lincoln", "a b", strength="strong")),
        ("rewrite --light a b", Typed("rewrite", None, "a b", strength="light")),
        ("rewrite strong coffee helps", Typed("rewrite", None, "strong coffee helps")),
        ("rewrite leicht private pg a", Typed("rewrite", "pg", "a", True, "light")),
        ("strong lincoln what?", Typed("ask", None, "strong lincoln what?")),
        ("lincoln", Typed("ask", "lincoln", "")),
        ("Abraham Lincoln", Typed("ask", "lincoln", "")),
        ("rewrite lincoln", Typed("rewrite", "lincoln", "")),
        ("ask", Typed("ask", None, "ask")),
        ("  ", Typed("ask", None, "")),
    ],
)
def test_persona_and_question_are_told_apart(text: str, typed: Typed) -> None:
    assert parse(text, NAMES) == typed


def test_a_commands_text_has_no_task_word() -> None:
    assert parse("rewrite it all", NAMES, "rewrite") == Typed("rewrite", None, "rewrite it all")


@given(TEXTS)
def test_parsing_never_fails(text: str) -> None:
    typed = parse(after_mention(text, "U0BOT"), NAMES)
    assert typed.persona is None or typed.persona
