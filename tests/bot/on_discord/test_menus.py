"""Somebody's message: ask about it, rewrite it."""

from __future__ import annotations

from bot.core.sentences import speaker
from tests.conftest import RunningGateway
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import BOB

say = speaker("en")


async def test_ask_about_a_message(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    message = await platform.say("The Union can not last half slave and half free.", person=BOB)
    menu = await platform.menu("Ask about this…", message)
    modal = await menu.modal_shown()
    assert "half free" in str(modal) and "Abraham Lincoln" in str(modal)
    sent = await platform.submit(menu, {"persona": "lincoln", "question": "Is it so?"})
    text = await sent.shows("must think anew", "An imitation of Abraham Lincoln")
    assert "Is it so?" in text and not sent.private
    assert "half slave and half free" in str(gateway.engine.requests[-1]["messages"])


async def test_no_question_asks_what_the_persona_thinks(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    message = await platform.say("Slavery must end.", person=BOB)
    menu = await platform.menu("Ask about this…", message)
    sent = await platform.submit(menu, {"persona": "lincoln"})
    await sent.shows(say("discord-what-of-it"), "must think anew")


async def test_rewrite_a_message(bot: None, platform: FakeDiscord, gateway: RunningGateway) -> None:
    gateway.engine.words = ["Let the great firms obey."]
    message = await platform.say("Big firms must follow the rules.", person=BOB)
    menu = await platform.menu("Rewrite as…", message)
    sent = await platform.submit(menu, {"persona": "roosevelt", "strength": "strong"})
    text = await sent.shows("Let the great firms obey.", "An imitation of Theodore")
    assert sent.private and "~~" in text


async def test_windows_speak_the_persons_language(bot: None, platform: FakeDiscord) -> None:
    message = await platform.say("Slavery must end.", person=BOB)
    menu = await platform.menu("Ask about this…", message, locale="de")
    modal = await menu.modal_shown()
    assert modal["title"] == "Nach dieser Nachricht fragen"
    sent = await platform.submit(menu, {"persona": "lincoln"}, locale="de")
    await sent.shows("Alice hat Abraham Lincoln gefragt: Was hältst du davon?")
