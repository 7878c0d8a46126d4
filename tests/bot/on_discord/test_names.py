"""Personas under their own names and pictures, where a server wants that and the bot may."""

from __future__ import annotations

import asyncio

import pytest

from bot.on_discord.names import usable_name
from tests.conftest import RunningGateway
from tests.fakes.discord_objects import BOT_ID, CHANNEL_ID, MANAGE_WEBHOOKS
from tests.fakes.discord_platform import FakeDiscord

LINCOLN = "An imitation of Abraham Lincoln"
NAME = "Abraham Lincoln (imitation)"
ME = f"<@{BOT_ID}>"


@pytest.mark.parametrize(
    ("name", "usable"),
    [
        ("Abraham  Lincoln", "Abraham Lincoln"),
        ("x" * 80, "x" * 80),
        ("x" * 81, None),
        ("Discord Dan", None),
        ("CLYDE", None),
        ("here", None),
        ("", None),
    ],
)
def test_a_name_is_taken_whole_or_not_at_all(name: str, usable: str | None) -> None:
    assert usable_name(name) == usable


async def _names_on(platform: FakeDiscord) -> None:
    await platform.allow(CHANNEL_ID, MANAGE_WEBHOOKS)
    switched = await platform.slash("personae names", on=True)
    await switched.shows("own names")


async def test_a_command_is_answered_under_the_personas_name(
    bot: None, platform: FakeDiscord
) -> None:
    await _names_on(platform)
    here = platform.channel(CHANNEL_ID)
    for number in (1, 2):
        await platform.slash("ask", persona="lincoln", question="Why?")
        await platform.until(lambda n=number: here.text.count(LINCOLN) == n, "an answer")  # type: ignore[misc]
    spoken = [message for message in here.of_bot if not message.ephemeral]
    assert [message.author_name for message in spoken] == [NAME] * 2
    assert "Alice asked Abraham Lincoln: Why?" in spoken[0].content
    assert len(platform.webhooks) == 1, "one webhook is used again"
    assert not any(message.loading for message in here.of_bot)
    await platform.until(lambda: "👍" in spoken[0].buttons, "buttons")
    up = await platform.press(spoken[0], "👍")
    await up.shows("Thank you")


async def test_a_mention_is_answered_under_the_personas_name_and_names_its_question(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    await _names_on(platform)
    thread = await platform.open_thread()
    there = platform.channel(thread)
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.05
    question = await platform.say(f"{ME} lincoln, why?", channel=thread)
    await there.shows("word19", LINCOLN)
    (answer,) = there.of_bot
    assert answer.author_name == NAME and len(answer.history) > 2
    assert question.id in answer.content.splitlines()[0]
    assert platform.previews == []


async def test_without_the_right_the_bot_speaks_under_its_own_name(
    bot: None, platform: FakeDiscord
) -> None:
    await _names_on(platform)
    await platform.forbid(CHANNEL_ID, MANAGE_WEBHOOKS)
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("must think anew", LINCOLN)
    assert platform.webhooks == {} and ask.messages[0].author_name == "personae"


async def test_a_webhook_that_somebody_deleted_is_made_again(
    bot: None, platform: FakeDiscord
) -> None:
    await _names_on(platform)
    here = platform.channel(CHANNEL_ID)
    for number in (1, 2, 3):
        await platform.slash("ask", persona="lincoln", question="Why?")
        await platform.until(lambda n=number: here.text.count(LINCOLN) == n, "an answer")  # type: ignore[misc]
        platform.webhooks.clear()
    assert here.of_bot[-1].author_name == NAME


async def test_private_answers_have_no_other_name(bot: None, platform: FakeDiscord) -> None:
    await _names_on(platform)
    ask = await platform.slash("ask", persona="lincoln", question="Why?", private=True)
    await ask.shows(LINCOLN)
    assert ask.private and platform.webhooks == {}


async def test_deleting_an_answer_under_a_name_stops_the_model(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    await _names_on(platform)
    gateway.engine.words = [f"word{number} " for number in range(200)]
    gateway.engine.seconds_between = 0.05
    await platform.slash("ask", persona="lincoln", question="Why?")
    here = platform.channel(CHANNEL_ID)
    await here.shows("word3")
    await platform.remove(*[message for message in here.of_bot if not message.ephemeral])
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)


async def test_an_answer_under_a_name_is_deleted_by_its_button(
    bot: None, platform: FakeDiscord
) -> None:
    await _names_on(platform)
    await platform.slash("ask", persona="lincoln", question="Why?")
    here = platform.channel(CHANNEL_ID)
    await here.shows(LINCOLN)
    spoken = here.of_bot[-1]
    await platform.until(lambda: "Delete" in spoken.buttons, "buttons")
    await platform.press(spoken, "Delete")
    await platform.until(lambda: spoken.deleted, "a deleted answer")
