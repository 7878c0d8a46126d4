"""Whatever an answer holds, its messages are inside Slack's limits and complete."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import sentences
from bot.core.answer import Answer
from bot.on_slack.blocks import Page, pages, sentence_pages
from personae.wire import Citation, Delta, Done, ErrorEvent, Meta, Timings, Usage
from tests.bot.on_slack.test_text import TEXTS
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import shown

DONE = Done(
    finish_reason="stop",
    usage=Usage(prompt_tokens=1, completion_tokens=1),
    timings=Timings(retrieval_seconds=0, first_token_seconds=0, total_seconds=0),
)


def meta(
    citations: list[Citation], notice: str | None = None, disclosure: str = "An imitation."
) -> Meta:
    return Meta(
        request_id="r1",
        persona="lincoln",
        display_name="Abraham Lincoln",
        disclosure=disclosure,
        adapter_version="v1",
        base_model="base",
        citations=citations,
        notice=notice,
    )


def answer(text: str, *, citations: list[Citation] | None = None, finished: bool = True) -> Answer:
    built = Answer()
    built.add(meta(citations or [], notice="Prompt only."))
    built.add(Delta(text=text))
    if finished:
        built.add(DONE)
    return built


def citation(number: int, title: str = "Title", url: str = "https://a.org") -> Citation:
    return Citation(number=number, title=title, date="1862-12-01", url=url, excerpt="…")


def text_of(found: list[Page]) -> str:
    return "\n".join(shown({"blocks": page.blocks}) for page in found)


def test_an_answer_without_words_yet_is_a_placeholder() -> None:
    assert text_of(pages(Answer())) == sentences.THINKING
    assert text_of(pages(answer("``", finished=False))) == "``"
    assert text_of(pages(answer("```", finished=False))) == sentences.THINKING


def test_sources_notice_and_disclosure_stand_below_a_finished_answer_only() -> None:
    cited = [citation(1), citation(2, "Second & last", "https://a.org/2")]
    growing = text_of(pages(answer("words", citations=cited, finished=False)))
    finished = text_of(pages(answer("words", citations=cited)))
    assert growing == "words"
    assert finished == (
        "words\n*Sources*\n1. <https://a.org|Title>, 1862-12-01\n"
        "2. <https://a.org/2|Second &amp; last>, 1862-12-01\nPrompt only.\n— An imitation."
    )


def test_the_heading_stands_above_and_is_shown_as_typed() -> None:
    [page] = pages(answer("words"), "ada asked lincoln: **why** <!here>?")
    assert shown({"blocks": page.blocks}).startswith("ada asked lincoln: **why** &lt;!here&gt;?")
    assert page.text == "words"


def test_the_sources_of_a_long_answer_stand_together_on_its_last_message() -> None:
    found = pages(answer("word " * 5_000, citations=[citation(n) for n in range(1, 5)]))
    assert len(found) == 3
    assert "Sources" in text_of(found[-1:])
    assert "An imitation." in text_of(found[-1:])
    assert [page.text for page in found[1:]] == [sentences.CONTINUED] * 2


def test_messages_that_are_full_do_not_change_while_the_answer_goes_on() -> None:
    text = "\n\n".join(f"Paragraph {number}. " + "word " * 150 for number in range(60))
    long = pages(answer(text, finished=False))
    for share in (3, 2):
        earlier = pages(answer(text[: len(text) * (share - 1) // share], finished=False))
        full = len(earlier) - 1
        assert full >= 1
        assert [page.blocks for page in earlier[:full]] == [page.blocks for page in long[:full]]


@settings(deadline=None, max_examples=60)
@given(
    TEXTS,
    st.lists(st.tuples(TEXTS, TEXTS | st.just("https://a.org/" + "&" * 900)), max_size=20),
    TEXTS,
    TEXTS,
    st.integers(1, 400),
)
def test_slack_would_take_every_message(
    text: str, sources: list[tuple[str, str]], notice: str, heading: str, times: int
) -> None:
    built = Answer()
    cited = [citation(n, title, url) for n, (title, url) in enumerate(sources)]
    built.add(meta(cited, notice=notice, disclosure=text or "An imitation."))
    built.add(Delta(text=(text + " ") * times))
    for end in (None, DONE):
        if end is not None:
            built.add(end)
        for page in pages(built, heading.strip()):
            verdict = rules.judge({"text": page.text, "blocks": page.blocks})
            assert verdict.error is None
            assert verdict.complaints == []
            assert rules.pings({"text": page.text, "blocks": page.blocks, "parse": "full"}) == set()


def test_a_sentence_of_ours_with_angle_brackets_is_shown_as_it_is() -> None:
    [page] = sentence_pages(sentences.ASK_USAGE)
    assert "`/ask &lt;persona&gt; &lt;question&gt;`" in text_of([page])


def test_an_error_before_the_first_word_carries_no_sources() -> None:
    built = Answer()
    built.add(meta([citation(1)]))
    built.add(ErrorEvent(code="busy", message="Busy.", retry_after_seconds=20))
    assert text_of(pages(built)) == "Busy. (Try again in about 20 s.)"
