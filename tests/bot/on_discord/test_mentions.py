"""Messages to the bot: mentions, replies, threads with memory, direct messages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.core.sentences import speaker
from bot.on_discord.mentions import addressed
from bot.on_discord.settings import DiscordSettings
from personae.wire import PersonaCard
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.bot.on_discord.test_buttons import card
from tests.conftest import RunningGateway
from tests.fakes.discord_objects import BOT_ID, CHANNEL_ID, DM_CHANNEL_ID, MESSAGE_CONTENT
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import BOB

LINCOLN = "An imitation of Abraham Lincoln"
ME = f"<@{BOT_ID}>"
say = speaker("en")


def _asked(gateway: RunningGateway) -> list[dict[str, Any]]:
    """The conversation of the last question, as the model got it."""
    messages: list[dict[str, Any]] = gateway.engine.requests[-1]["messages"]
    return messages


def test_a_persona_is_addressed_by_id_or_name_at_the_beginning() -> None:
    cards: list[PersonaCard] = [
        card(id="lincoln", display_name="Abraham Lincoln"),
        card(id="pg", display_name="PG"),
    ]
    for text in ("lincoln, why?", "Lincoln: why?", "Abraham Lincoln — why?", "LINCOLN why?"):
        assert addressed(text, cards) == ("lincoln", "why?")
    for text in ("lincolnshire, why?", "why, lincoln?", "lincoln", "pg's essays?", ""):
        assert addressed(text, cards) == (None, text)


async def test_a_mention_is_answered_as_a_reply_while_typing_is_shown(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.seconds_between = 0.1
    here = platform.channel(CHANNEL_ID)
    question = await platform.say(f"{ME} lincoln, how is the Union kept whole?")
    await here.shows("must think anew", LINCOLN)
    (answer,) = here.of_bot
    assert answer.reference is question and here.typing >= 1
    assert "asked" not in answer.content, "the question is there to be seen"
    assert platform.pings == set()
    await platform.until(lambda: "Again" in answer.buttons, "buttons")


async def test_a_mention_of_nobody_in_particular_lists_who_is_there(
    bot: None, platform: FakeDiscord
) -> None:
    await platform.say(f"{ME} how is the Union kept whole?")
    text = await platform.channel(CHANNEL_ID).shows("Which persona?")
    assert "lincoln" in text


async def test_a_mention_without_words_is_told_what_to_do(bot: None, platform: FakeDiscord) -> None:
    await platform.say(ME)
    await platform.channel(CHANNEL_ID).shows("Mention me with a question")


async def test_what_is_said_to_others_is_left_alone(bot: None, platform: FakeDiscord) -> None:
    await platform.say("lincoln, how is the Union kept whole?")
    await platform.say(f"<@{BOB.id}> lincoln, how is it?")
    asked = await platform.say(f"{ME} lincoln, why?")
    here = platform.channel(CHANNEL_ID)
    await here.shows(LINCOLN)
    assert [message.reference for message in here.of_bot] == [asked]


async def test_a_reply_goes_on_with_the_same_persona_and_remembers(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    here = platform.channel(CHANNEL_ID)
    await platform.say(f"{ME} lincoln, how is the Union kept whole?")
    await here.shows(LINCOLN)
    first = here.of_bot[-1]
    await platform.until(lambda: "Again" in first.buttons, "buttons")
    gateway.engine.words = ["By ", "law."]
    reply = await platform.say("And who said so first?", reply_to=first)
    await here.shows("[lincoln@v1] By law.")
    assert here.of_bot[-1].reference is reply
    earlier = str(_asked(gateway))
    assert "how is the Union kept whole?" in earlier and "must think anew" in earlier


async def test_a_reply_to_a_commands_answer_knows_what_it_was(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    ask = await platform.slash("ask", persona="lincoln", question="How is the Union kept whole?")
    await ask.shows(LINCOLN)
    await platform.until(lambda: "Again" in ask.messages[-1].buttons, "buttons", ask)
    gateway.engine.words = ["By ", "law."]
    here = platform.channel(CHANNEL_ID)
    await platform.say("And who said so?", reply_to=ask.messages[-1])
    await here.shows("By law.")
    await platform.say("And when?", reply_to=ask.messages[-1])
    await platform.until(lambda: here.text.count("By law.") == 2, "a second answer")
    earlier = str(_asked(gateway))
    assert earlier.count("How is the Union kept whole?") == 1, "it is remembered once"


async def test_a_thread_keeps_its_persona_and_its_memory(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    thread = await platform.open_thread()
    there = platform.channel(thread)
    await platform.say(f"{ME} roosevelt, what of the trusts?", channel=thread)
    await there.shows("An imitation of Theodore")
    gateway.engine.words = ["Bully!"]
    await platform.say(f"{ME} and the railroads?", channel=thread)
    await there.shows("[roosevelt@v1] Bully!")
    assert "what of the trusts?" in str(_asked(gateway))
    other = await platform.open_thread()
    await platform.say(f"{ME} lincoln, why?", channel=other)
    await platform.channel(other).shows("[lincoln@v1]")
    assert "trusts" not in str(_asked(gateway))


async def test_direct_messages_need_no_mention_and_have_a_memory(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    there = platform.channel(DM_CHANNEL_ID)
    await platform.say("lincoln, how is the Union kept whole?", channel=DM_CHANNEL_ID)
    await there.shows("must think anew", LINCOLN)
    gateway.engine.words = ["By law."]
    await platform.say("And who said so?", channel=DM_CHANNEL_ID)
    await there.shows("[lincoln@v1] By law.")
    assert "how is the Union kept whole?" in str(_asked(gateway))


async def test_a_message_of_somebody_else_is_what_a_reply_with_a_mention_is_about(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    theirs = await platform.say(f"{ME} is what I call it", person=BOB)
    await platform.channel(CHANNEL_ID).shows("Which persona?")
    await platform.say(f"{ME} lincoln, is that so?", reply_to=theirs)
    await platform.channel(CHANNEL_ID).shows(LINCOLN)
    assert "what I call it" in str(_asked(gateway))


@pytest.mark.parametrize("what", ["question", "answer"])
async def test_deleting_question_or_answer_stops_the_model(
    bot: None, platform: FakeDiscord, gateway: RunningGateway, what: str
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(200)]
    gateway.engine.seconds_between = 0.05
    question = await platform.say(f"{ME} lincoln, why?")
    here = platform.channel(CHANNEL_ID)
    await here.shows("word2")
    await platform.remove(question if what == "question" else here.of_bot[-1])
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)


async def test_a_thread_that_is_deleted_stops_the_model(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(200)]
    gateway.engine.seconds_between = 0.05
    thread = await platform.open_thread()
    await platform.say(f"{ME} lincoln, why?", channel=thread)
    await platform.channel(thread).shows("word2")
    await platform.delete_channel(thread)
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)


async def test_with_the_content_intent_own_threads_need_no_mention(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, intents_on=MESSAGE_CONTENT) as platform:
        plain = bot_settings(platform, gateway.url, tmp_path)
        settings: DiscordSettings = plain.model_copy(update={"message_content": True})
        async with running_bot(settings, platform):
            gateway.engine.words = [f"Sentence {n} {'goes on ' * 12}. " for n in range(100)]
            ask = await platform.slash("ask", persona="lincoln", question="Why?")
            await ask.shows("Goes on in the thread below.")
            (thread,) = platform.threads
            there = platform.channel(thread.id)
            await there.shows("Sentence 99", LINCOLN)
            gateway.engine.words = ["By law."]
            await platform.say("Who said so?", channel=thread.id)
            await there.shows("[lincoln@v1] By law.")
            await platform.say("not for the bot: lincoln, why?")
            await platform.say(
                "And since when?", reply_to=there.of_bot[-1], ping=False, channel=thread.id
            )
            await platform.until(
                lambda: there.text.count("[lincoln@v1] By law.") == 2, "a second answer"
            )
            assert platform.channel(CHANNEL_ID).text.count("By law.") == 0
