"""Whatever an answer holds, its messages are inside Slack's limits, complete, and say what speaks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.sentences import speaker
from bot.core.surface import Control, View
from bot.on_slack import modals
from bot.on_slack.messages import Page, pages, sentence_pages, tail_blocks
from personae.wire import Citation, PersonaCard
from tests.bot.on_slack.test_mrkdwn import TEXTS
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import elements, shown

ALL: tuple[Control, ...] = ("up", "down", "again", "other", "sources", "stop", "delete", "revise")
DRAFT: tuple[Control, ...] = ("share", "copy", "again", "lighter", "stronger")


def view(text: str, **more: object) -> View:
    made = View(
        answer_id="a1", phase="finished", text=text, footnotes=["Prompt only.", "— An imitation."]
    )
    return replace(made, **more)  # type: ignore[arg-type]


def citation(number: int, title: str = "Title", url: str = "https://a.org") -> Citation:
    return Citation(number=number, title=title, date="1862-12-01", url=url, excerpt="…")


def text_of(found: list[Page]) -> str:
    return "\n".join(shown({"blocks": page.blocks}) for page in found)


def test_an_answer_without_words_yet_is_a_placeholder() -> None:
    assert text_of(pages(View("a1", "waiting", ""))) == "…"
    assert text_of(pages(View("a1", "growing", "  "))) == "…"


def test_sources_notice_and_disclosure_stand_below_a_finished_answer_only() -> None:
    cited = [citation(1), citation(2, "Second & last", "https://a.org/2")]
    growing = text_of(pages(view("words", sources=cited, phase="growing")))
    finished = text_of(pages(view("words", sources=cited)))
    assert growing == "words"
    assert finished == (
        "words\n*Sources*\n1. <https://a.org|Title>, 1862-12-01\n"
        "2. <https://a.org/2|Second &amp; last>, 1862-12-01\nPrompt only.\n— An imitation."
    )


def test_of_too_many_footnotes_the_disclosure_stays() -> None:
    [page] = pages(view("words", footnotes=[f"note {n}" for n in range(30)] + ["— An imitation."]))
    assert shown({"blocks": page.blocks}).endswith("— An imitation.")


def test_the_heading_stands_above_and_is_shown_as_typed() -> None:
    [page] = pages(view("words", heading="ada asked lincoln: **why** <!here>?"))
    assert text_of([page]).startswith("ada asked lincoln: **why** &lt;!here&gt;?")
    assert page.text == "words"


def test_a_draft_shows_its_difference_before_its_disclosure() -> None:
    [page] = pages(
        view("We shall strive.", difference="We ~~should~~ **shall** strive.", private=True)
    )
    assert "*Difference to the original*\nWe ~should~ *shall* strive.\nPrompt only." in text_of(
        [page]
    )


def test_buttons_carry_the_answers_id_and_public_answers_the_native_pair() -> None:
    public = {e["action_id"]: e for e in elements({"blocks": tail_blocks(view("w", controls=ALL))})}
    assert set(public) == {"p:rate"} | {f"p:{name}" for name in ALL[2:]}
    assert public["p:rate"]["positive_button"]["value"] == "up:a1"
    assert {e["value"] for name, e in public.items() if name != "p:rate"} == {"a1"}
    private = list(elements({"blocks": tail_blocks(view("w", controls=ALL, private=True))}))
    assert [e["action_id"] for e in private] == [f"p:{name}" for name in ALL]
    german = list(elements({"blocks": tail_blocks(view("w", controls=("stop",), locale="de-AT"))}))
    assert german[0]["text"]["text"] == "Stopp"


def test_the_sources_of_a_long_answer_stand_together_on_its_last_message() -> None:
    found = pages(view("word " * 5_000, sources=[citation(n) for n in range(1, 5)]))
    assert len(found) == 3
    assert "Sources" in text_of(found[-1:])
    assert "An imitation." in text_of(found[-1:])
    assert [page.text for page in found[1:]] == ["(continued)"] * 2


def test_messages_that_are_full_do_not_change_while_the_answer_goes_on() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(60))
    long = pages(view(text, phase="growing"))
    for share in (3, 2):
        earlier = pages(view(text[: len(text) * (share - 1) // share], phase="growing"))
        full = len(earlier) - 1
        assert full >= 1
        assert [page.blocks for page in earlier[:full]] == [page.blocks for page in long[:full]]


@settings(max_examples=50)
@given(
    TEXTS,
    st.lists(st.tuples(TEXTS, TEXTS | st.just("https://a.org/" + "&" * 900)), max_size=20),
    TEXTS,
    TEXTS,
    st.integers(1, 300),
    st.sampled_from(["growing", "finished", "failed"]),
    st.booleans(),
)
def test_slack_would_take_every_message(
    text: str,
    sources: list[tuple[str, str]],
    notice: str,
    heading: str,
    times: int,
    phase: str,
    private: bool,
) -> None:
    made = view(
        (text + " ") * times,
        phase=phase,
        heading=heading,
        difference=notice if private else "",
        sources=[citation(n, title, url) for n, (title, url) in enumerate(sources)],
        footnotes=[notice, text],
        controls=DRAFT if private else ALL,
        private=private,
    )
    for page in pages(made):
        verdict = rules.judge({"text": page.text, "blocks": page.blocks})
        assert verdict.error is None
        assert verdict.complaints == []
        assert rules.pings({"text": page.text, "blocks": page.blocks, "parse": "full"}) == set()


def test_a_sentence_of_ours_with_angle_brackets_is_shown_as_it_is() -> None:
    [page] = sentence_pages("Usage: `/ask <persona> <question>`")
    assert "`/ask &lt;persona&gt; &lt;question&gt;`" in text_of([page])


def card(number: int, text: str = "") -> PersonaCard:
    return PersonaCard(
        id=f"persona{number}",
        display_name=text or f"Persona {number}",
        description=text * 3,
        disclosure="An imitation.",
        base_model="base",
        adapter_version=None,
        passages=0,
        notice=None,
        max_question_characters=4_000,
        max_text_characters=8_000,
    )


@settings(max_examples=30)
@given(TEXTS, st.integers(1, 150), st.sampled_from(["en", "de"]))
def test_slack_would_take_every_modal(text: str, number: int, locale: str) -> None:
    say = speaker(locale)
    cards = [card(n, text if n % 2 and text.strip() else "") for n in range(number)]
    notes = {"channel": "C1", "thread": "1.2", "url": "https://hooks.slack.com/" + "x" * 200}
    for modal in (
        modals.ask(say, cards, notes, persona=f"persona{number - 1}", about=text * 50),
        modals.rewrite(say, cards, notes, persona=None, text=text * 50),
        modals.other(say, cards, notes),
        modals.reason(say, notes),
        modals.revise(say, notes, text=text[:3_000]),
        modals.copy(say, text * 50 or "x"),
        modals.sentence(say, "slack-ask-title", text or "x"),
    ):
        assert rules.judge_view(modal).error is None
        assert rules.judge_view(modal).complaints == []


def test_what_was_filled_in_comes_back_by_name() -> None:
    say = speaker("en")
    modal = modals.ask(say, [card(1)], {"channel": "C1", "about": 'a "b"\n{c}'}, persona=None)
    assert modals.notes_of(modal) == {"channel": "C1", "about": 'a "b"\n{c}'}
    values = {
        "persona": {"persona": {"selected_option": {"value": "persona1"}}},
        "question": {"question": {"value": "Why?"}},
        "private": {"private": {"selected_options": [{"value": "private"}]}},
        "reason": {"reason": {"value": None}},
    }
    given = modals.filled_in({"state": {"values": values}})
    assert given == {"persona": "persona1", "question": "Why?", "private": "private", "reason": ""}
    assert modals.notes_of({"private_metadata": "no json"}) == {}
