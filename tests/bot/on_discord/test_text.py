"""Answers, sources and lists read well on Discord, ping nobody and unfold no preview cards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import sentences
from bot.core.answer import Answer
from bot.on_discord.text import adapter_list, finished, growing, question_line, quiet
from personae.wire import (
    AdapterList,
    AdapterVersionInfo,
    Citation,
    Delta,
    Done,
    ErrorEvent,
    Event,
    Meta,
    PersonaAdapters,
    Timings,
    Usage,
)
from tests.fakes.discord_rules import pings, previews

DONE = Done(
    finish_reason="stop",
    usage=Usage(prompt_tokens=1, completion_tokens=1),
    timings=Timings(retrieval_seconds=0, first_token_seconds=0, total_seconds=0),
)


def citation(**changed: object) -> Citation:
    plain: dict[str, object] = {
        "number": 1,
        "title": "Second Annual Message",
        "date": "1862-12-01",
        "url": "https://example.org/2",
        "excerpt": "The dogmas of the quiet past",
    }
    return Citation.model_validate(plain | changed)


def answer(*events: Event, citations: list[Citation] | None = None, notice: str = "") -> Answer:
    meta = Meta(
        request_id="1",
        persona="lincoln",
        display_name="Abraham Lincoln",
        disclosure="An imitation of Abraham Lincoln, not the person",
        adapter_version="v1",
        base_model="smollm2-135m",
        citations=citations or [],
        notice=notice or None,
    )
    built = Answer()
    for event in (meta, *events):
        built.add(event)
    return built


def test_a_finished_answer_carries_sources_notice_and_disclosure() -> None:
    whole = answer(
        Delta(text="A house divided."), DONE, citations=[citation()], notice="By prompt only."
    )
    assert finished(whole) == (
        "A house divided.\n\n"
        "-# Sources\n"
        "-# 1. [Second Annual Message](<https://example.org/2>), 1862-12-01\n"
        "-# By prompt only.\n"
        "-# — An imitation of Abraham Lincoln, not the person"
    )


def test_the_question_is_one_quiet_short_line() -> None:
    line = question_line("A_l_ice", "lincoln", "Is\n@everyone " + "really " * 100 + "free?")
    assert line.startswith("-# A\\_l\\_ice asked lincoln: Is @\u200beveryone really")
    assert line.endswith("…\n\n") and len(line) < 350
    assert "`" not in question_line("Alice", "lincoln", "What is ```py\nx = 1")
    assert "<https://a.org/b_c>" in question_line("Alice", "lincoln", "What of https://a.org/b_c?")


def test_a_growing_answer_carries_words_only() -> None:
    assert growing(answer(Delta(text="A house "), citations=[citation()])) == "A house"


def test_a_failed_answer_says_so_and_still_says_what_it_is() -> None:
    failed = answer(Delta(text="A house"), ErrorEvent(code="busy", message="It broke off."))
    assert finished(failed).startswith("A house\n\nIt broke off.\n\n-# — An imitation")


def test_what_stands_below_an_open_code_block_is_not_code() -> None:
    text = finished(answer(Delta(text="```py\nx = 1"), DONE, citations=[citation()]))
    assert text.startswith("```py\nx = 1\n```\n\n-# Sources")


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"date": ""}, "1. [Second Annual Message](<https://example.org/2>)"),
        ({"url": ""}, "1. Second Annual Message, 1862-12-01"),
        ({"url": "javascript:alert(1)"}, "1. Second Annual Message, 1862-12-01"),
        ({"url": "https://a.org/" + "x" * 600}, "1. Second Annual Message, 1862-12-01"),
        (
            {"title": "On *all* [of] it\nand more", "date": ""},
            "1. [On \\*all\\* (of) it and more](<https://example.org/2>)",
        ),
        (
            {"url": "https://a.org/b_(c)", "date": "", "title": "T"},
            "1. [T](<https://a.org/b_%28c%29>)",
        ),
        ({"title": "https://evil.org", "date": ""}, "1. https://evil.org"),
        ({"title": " "}, "1. [Untitled](<https://example.org/2>), 1862-12-01"),
    ],
)
def test_a_citation_is_one_line_whatever_it_holds(changed: dict[str, object], line: str) -> None:
    text = finished(answer(Delta(text="Words."), DONE, citations=[citation(**changed)]))
    assert text.splitlines()[3] == f"-# {line}"


@given(
    st.lists(
        st.sampled_from(
            [
                "@everyone",
                "@here",
                "<@42>",
                "<@!42>",
                "<@&42>",
                "<",
                "@",
                "[",
                "](",
                ")",
                "`",
                "```",
            ]
        )
        | st.sampled_from(["https://a.org/b", " ", "\n", "\u200b", "word", "here", "everyone"]),
        max_size=12,
    ).map("".join)
)
def test_quiet_words_ping_nobody_even_when_repeated(text: str) -> None:
    outside_code_and_links = [
        part for part in quiet(text).split() if "`" not in part and "https" not in part
    ]
    if "`" not in text and "https" not in text:
        assert pings(" ".join(outside_code_and_links), None) == set()


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
    ],
)
def test_only_what_would_ping_or_unfold_is_changed(said: str, shown: str) -> None:
    assert quiet(said) == shown
    assert previews(shown, 0) == []
    assert quiet(shown) == shown


def test_the_adapter_list_says_what_is_live_what_else_there_is_and_what_is_broken() -> None:
    def version(name: str, state: str, problem: str | None = None) -> AdapterVersionInfo:
        return AdapterVersionInfo.model_validate(
            {
                "version": name,
                "sha8": "0" * 8,
                "created_at": "2026-01-01",
                "base_model": "b",
                "state": state,
                "problem": problem,
            }
        )

    lincoln = PersonaAdapters(
        persona="lincoln",
        live="v2",
        previous="v1",
        versions=[
            version("v1", "previous"),
            version("v2", "live"),
            version("v3", "available"),
            version("v4", "unusable", "its prompt differs."),
        ],
    )
    pg = PersonaAdapters(persona="pg", live=None, previous=None, versions=[])
    assert adapter_list(AdapterList(personas=[lincoln, pg])) == (
        "**lincoln**: v2 is live, v1 was before it. Also in the registry: v3.\n"
        "-# v4 can't be used: its prompt differs.\n"
        "**pg**: no adapter is live, it speaks by prompt only."
    )
    assert adapter_list(AdapterList(personas=[])) == sentences.NO_PERSONAS
