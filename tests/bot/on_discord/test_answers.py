"""`/ask` and `/rewrite` from the person's side: fake Discord, real bot, real gateway, fake engine."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from aiohttp import web

from bot.core.sentences import speaker
from personae.persona import Cast
from personae.wire import Delta, ErrorEvent, Meta, Queued, encode_event
from tests.bot.on_discord.bench import bot_settings, running_bot, scripted_gateway
from tests.conftest import RunningGateway, gateway_over
from tests.fakes.discord_objects import CHANNEL_ID, CREATE_PUBLIC_THREADS
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import ALICE, BOB, CAROL
from tests.fakes.engine import FakeEngine

LINCOLN = "An imitation of Abraham Lincoln"
ONE_AT_A_TIME = {"gateway": "max_answers_at_once = 1", "deadlines": "drain_seconds = 1"}


async def test_an_answer_grows_and_ends_with_sources_and_disclosure(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.03
    ask = await platform.slash("ask", persona="lincoln", question="How is the Union kept whole?")
    text = await ask.shows(LINCOLN)
    lines = text.splitlines()
    assert lines[:2] == ["-# Alice asked Abraham Lincoln: How is the Union kept whole?", ""]
    assert lines[2].startswith("[lincoln@v1] word0 word1") and "word19" in lines[2]
    assert "-# 1. [Message on the Union](<https://example.org/1862>), 1862-12-01" in text
    assert lines[-1].startswith("-# — An imitation of Abraham Lincoln")
    assert len(ask.messages) == 1 and not ask.private
    assert ask.edits >= 4, "the answer should be seen growing"
    growing = ask.messages[0].history[:-1]
    assert all(len(less) <= len(more) for less, more in itertools.pairwise(growing))
    assert ask.calls[0] == "callback 5"
    assert platform.throttled == [] and platform.previews == []


async def test_the_default_edit_limit_of_discord_is_never_overrun(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(30)]
    gateway.engine.seconds_between = 0.03
    async with FakeDiscord() as platform:
        async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
            ask = await platform.slash("ask", persona="lincoln", question="Why?")
            assert "word29" in await ask.shows(LINCOLN)
        assert platform.throttled == []


async def test_a_rewrite_is_streamed_too(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = ["The great firms must obey the law, as every man must."]
    rewrite = await platform.slash(
        "rewrite", persona="roosevelt", text="Big firms must follow the rules like everyone else."
    )
    assert "[roosevelt@v1] The great firms" in await rewrite.shows("An imitation of Theodore")


async def test_a_direct_message_is_answered(bot: None, platform: FakeDiscord) -> None:
    ask = await platform.slash("ask", dm=True, persona="lincoln", question="Why?")
    await ask.shows("must think anew", LINCOLN)


async def test_typing_a_persona_suggests_names(bot: None, platform: FakeDiscord) -> None:
    everybody = await (await platform.autocomplete("ask", "persona", "")).choices_shown()
    assert {choice["value"] for choice in everybody} == {"lincoln", "roosevelt", "pg", "wbw"}
    for command in ("ask", "rewrite", "personae reload", "personae rollback"):
        typing = await platform.autocomplete(command, "persona", "abr")
        (choice,) = await typing.choices_shown()
        assert choice["value"] == "lincoln"
        assert choice["name"].startswith("Abraham Lincoln (lincoln): ")
    nobody = await platform.autocomplete("ask", "persona", "xyzzy")
    assert await nobody.choices_shown() == []


async def test_an_unknown_persona_is_refused_privately_with_the_nearest_names(
    bot: None, platform: FakeDiscord
) -> None:
    ask = await platform.slash("ask", persona="linkoln", question="Why?")
    text = await ask.shows("linkoln")
    assert "There is no persona “linkoln” here. Did you mean lincoln?" in text
    assert ask.private and not any(message.loading for message in ask.messages)


async def test_empty_and_long_text_are_refused_privately(bot: None, platform: FakeDiscord) -> None:
    empty = await platform.slash("ask", persona="lincoln", question="   ")
    long = await platform.slash("ask", persona="lincoln", question="why " * 1500)
    assert "no question" in await empty.shows(" ")
    assert "takes 2000" in (await long.shows(" ")).replace(",", "")
    assert empty.private and long.private


async def test_a_gateway_that_is_down_is_told(platform: FakeDiscord, tmp_path: Path) -> None:
    async with running_bot(bot_settings(platform, "http://127.0.0.1:9", tmp_path), platform):
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        await ask.shows("can't be reached")
        assert ask.private
        typing = await platform.autocomplete("ask", "persona", "lin")
        assert await typing.choices_shown() == []


async def test_an_engine_that_dies_ends_the_answer_truthfully(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = ["We ", "must ", "think "]
    gateway.engine.die_after = 3
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    text = await ask.shows("[lincoln@v1] We must", LINCOLN)
    assert "Try again" in text or "again" in text
    assert not ask.private


async def test_a_gateway_that_dies_ends_the_answer_truthfully(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    meta = Meta(
        request_id="1",
        persona="lincoln",
        display_name="Abraham Lincoln",
        disclosure="An imitation of Abraham Lincoln, not the person",
        adapter_version="v1",
        base_model="smollm2-135m",
    )

    async def dies(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(encode_event(meta) + encode_event(Delta(text="We must")))
        await asyncio.sleep(0.1)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with (
        scripted_gateway(dies) as url,
        running_bot(bot_settings(platform, url, tmp_path), platform),
    ):
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        text = await ask.shows("We must", "The answer broke off", LINCOLN)
        assert "connection to the model was lost" in text


async def test_a_server_that_is_no_gateway_is_not_believed(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        return web.Response(status=404, text="<h1>Not found</h1>", content_type="text/html")

    async with (
        scripted_gateway(page, personas=False) as url,
        running_bot(bot_settings(platform, url, tmp_path), platform),
    ):
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        await ask.shows("The gateway answered with HTTP status 404.")
        assert ask.private


async def test_the_models_words_ping_nobody(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = ["@everyone @here <@4000000000000000042> <@&2000000000000000001> come!"]
    ask = await platform.slash("ask", persona="lincoln", question="Is @everyone with <@4242>?")
    text = await ask.shows("come!", LINCOLN)
    assert ask.pings == set()
    assert "@everyone" not in text and "<@4" not in text, "repeated by others, it would ping"


async def test_a_long_answer_goes_on_in_a_thread_in_whole_messages(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    link = "https://example.org/" + "a" * 60
    prose = [f"Sentence {number} tells of {link} and ends. " for number in range(60)]
    code = ["\n```python\n", *[f"line_{number} = {number}\n" for number in range(150)], "```\n"]
    gateway.engine.words = [*prose, *code, "That is all."]
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("Goes on in the thread below.")
    (thread,) = platform.threads
    await platform.channel(thread.id).shows("That is all.", LINCOLN)
    beyond = platform.channel(thread.id).of_bot
    everything = [*ask.messages, *beyond]
    assert thread.name == "Why?" and len(ask.messages) == 3
    assert all(message.content.count("```") % 2 == 0 for message in everything)
    text = "\n".join(message.content for message in everything)
    assert text.count(f"<{link}>") == 60
    assert [f"line_{number} = {number}" in text for number in range(150)] == [True] * 150
    assert platform.previews == []
    assert "Again" in beyond[-1].buttons and not any(m.buttons for m in everything[:-1])


async def test_a_long_answer_lies_in_a_file_where_no_thread_may_be_begun(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    await platform.forbid(CHANNEL_ID, CREATE_PUBLIC_THREADS)
    gateway.engine.words = [
        f"Sentence {number} {'goes on ' * 12}and ends. " for number in range(100)
    ]
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    text = await ask.shows("the whole answer is in answer.md", LINCOLN)
    assert "Sentence 99 " not in text
    assert platform.threads == [] and len(ask.messages) == 3
    whole = ask.messages[-1].files["answer.md"].decode()
    assert "Sentence 0 " in whole and "Sentence 99 " in whole and LINCOLN in whole


async def test_an_expired_token_moves_the_answer_into_the_channel(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(30)]
    gateway.engine.seconds_between = 0.1
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("word2")
    await ask.expire()
    gateway.engine.seconds_between = 0
    assert "word29" in await ask.shows("word29", LINCOLN)
    assert len(ask.messages) == 1, "the message that was there goes on, as the bot's own"


async def test_an_expired_token_costs_no_page_and_no_button(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"Sentence {number} {'goes on ' * 12}. " for number in range(40)]
    gateway.engine.seconds_between = 0.1
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("Sentence 5 ")
    await ask.expire()
    gateway.engine.seconds_between = 0
    here = platform.channel(CHANNEL_ID)
    text = await here.shows("Sentence 39 ", LINCOLN)
    assert [f"Sentence {number} " in text for number in range(40)] == [True] * 40
    await platform.until(lambda: "Again" in here.of_bot[-1].buttons, "buttons")
    assert not any(message.buttons for message in here.of_bot[:-1])


async def test_a_private_answer_whose_token_expired_goes_to_nobody_else(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(100)]
    gateway.engine.seconds_between = 0.05
    ask = await platform.slash("ask", persona="lincoln", question="Why?", private=True)
    await ask.shows("word2")
    await ask.expire()
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)
    assert all(message.ephemeral for message in platform.channel(CHANNEL_ID).of_bot)


async def test_a_late_acknowledgement_is_answered_in_the_channel(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(ack_seconds=0.0) as platform:
        async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
            await platform.slash("ask", persona="lincoln", question="Why?")
            await platform.until(
                lambda: any(LINCOLN in m.content for m in platform.messages.values()), "an answer"
            )
        platform.forgive("unanswered")


async def test_a_channel_that_is_closed_to_the_bot_ends_the_work(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(100)]
    gateway.engine.seconds_between = 0.05
    async with FakeDiscord(ack_seconds=0.0, may_post=False) as platform:
        async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
            await platform.slash("ask", persona="lincoln", question="Why?")
            while gateway.engine.aborted == 0:
                await asyncio.sleep(0.01)
        platform.forgive("unanswered")


async def test_deleting_the_answer_stops_the_model(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(100)]
    gateway.engine.seconds_between = 0.05
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("word2")
    await ask.delete()
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)
    assert ask.text == ""


async def test_a_broken_line_to_discord_costs_nothing(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    platform.fail_next += [("POST /interactions", 0), ("PATCH /webhooks", 0), ("PATCH", 503)]
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("must think anew", LINCOLN)


async def test_an_acknowledgement_whose_reply_is_lost_loses_no_question(
    bot: None, platform: FakeDiscord
) -> None:
    """discord.py tries again by itself, and Discord then says that somebody was quicker."""
    platform.lose_next.append(("POST /interactions", 502))
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("must think anew", LINCOLN)
    assert ask.doubly_answered == 1


async def test_a_reply_that_discord_refuses_for_good_is_reported(
    bot: None, platform: FakeDiscord
) -> None:
    platform.fail_next += [("PATCH /webhooks", 400)] * 10
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows(speaker("en")("unexpected"))
    assert ask.private


async def test_many_people_at_once_each_get_their_answer(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.seconds_between = 0.02
    asked = [
        await platform.slash("ask", persona=persona, question="Why?", person=person)
        for person in (ALICE, BOB, CAROL)
        for persona in ("lincoln", "roosevelt", "pg")
    ]
    for ask, persona in zip(asked, ("lincoln", "roosevelt", "pg") * 3, strict=True):
        text = await ask.shows("An imitation of")
        assert f"[{persona}@v1]" in text or (persona == "pg" and "[smollm2-135m]" in text)


async def test_a_place_in_line_is_shown_until_the_answer_begins(
    platform: FakeDiscord, engine: FakeEngine, cast: Cast, tmp_path: Path
) -> None:
    engine.words = ["word "] * 20
    engine.seconds_between = 0.1
    async with (
        gateway_over(engine, cast, tmp_path, **ONE_AT_A_TIME) as gateway,
        running_bot(bot_settings(platform, gateway.url, tmp_path), platform),
    ):
        first = await platform.slash("ask", persona="lincoln", question="Why?")
        await first.shows("word")
        engine.seconds_between = 4  # it goes on until the second was seen to wait
        second = await platform.slash("ask", persona="lincoln", question="How?")
        await second.shows("In line: 1st, about ")
        engine.seconds_between = 0.1
        assert "In line" not in await second.shows("[lincoln@v1] word", LINCOLN)


async def test_a_wait_in_line_that_ends_in_a_refusal_leaves_no_place_in_line_behind(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    async def refuses(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(encode_event(Queued(position=2, eta_seconds=7.2)))
        await asyncio.sleep(0.3)
        busy = ErrorEvent(code="busy", message="Too many are asking.", retry_after_seconds=20)
        await response.write(encode_event(busy))
        return response

    async with (
        scripted_gateway(refuses) as url,
        running_bot(bot_settings(platform, url, tmp_path), platform),
    ):
        ask = await platform.slash("ask", persona="lincoln", question="Why?")
        await ask.shows("In line: 2nd, about 7 s.")
        text = await ask.shows("Too many are asking. (Try again in about 20 s.)")
        assert "In line" not in text and len(ask.messages) == 1
