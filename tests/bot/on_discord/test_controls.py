"""Buttons under answers, end to end: rate, try again, others, sources, stop, delete, revise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from bot.core.sentences import speaker
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_message import Message
from tests.fakes.discord_platform import MEMBER_PERMISSIONS, FakeDiscord
from tests.fakes.discord_world import ALICE, BOB

LINCOLN = "An imitation of Abraham Lincoln"
say = speaker("en")


async def asked(platform: FakeDiscord, **options: str) -> Message:
    """A finished answer of Lincoln's."""
    ask = await platform.slash("ask", **({"persona": "lincoln", "question": "Why?"} | options))
    await ask.shows(LINCOLN)
    await platform.until(lambda: "Again" in ask.messages[-1].buttons, "buttons", ask)
    return ask.messages[-1]


async def slow(gateway: RunningGateway) -> None:
    gateway.engine.words = [f"word{number} " for number in range(200)]
    gateway.engine.seconds_between = 0.05


async def test_a_finished_answer_has_its_buttons(bot: None, platform: FakeDiscord) -> None:
    answer = await asked(platform)
    assert answer.buttons[:2] == ["👍", "👎"]
    assert {"Again", "Other persona", "Sources", "Delete"} <= set(answer.buttons)
    assert "Stop" not in answer.buttons


async def test_thumbs_up_reaches_the_gateway_once_for_each_person(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    answer = await asked(platform)
    for person in (ALICE, BOB):
        up = await platform.press(answer, "👍", person=person)
        await up.shows(say("rated-up"))
        assert up.private
    assert "2" in await _summary(gateway)


async def test_thumbs_down_counts_at_once_and_takes_a_reason(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    answer = await asked(platform)
    down = await platform.press(answer, "👎")
    modal = await down.modal_shown()
    assert modal["title"] == say("discord-down-title")
    sent = await platform.submit(down, {"text": "It never answered me."})
    await sent.shows(say("rated-down"))
    assert sent.private
    assert "It never answered me." in await _summary(gateway)


async def _summary(gateway: RunningGateway) -> str:
    async with GatewayClient(gateway.url, admin_key=gateway.admin_key) as client:
        return (await client.feedback_summary("lincoln")).model_dump_json()


async def test_again_makes_another_answer_beside_the_first(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    answer = await asked(platform)
    gateway.engine.words = ["Another ", "try."]
    again = await platform.press(answer, "Again")
    await again.shows("Another try.", LINCOLN)
    assert not again.private and not answer.deleted
    assert again.messages[0] is not answer


async def test_another_persona_is_chosen_from_a_private_list(
    bot: None, platform: FakeDiscord
) -> None:
    answer = await asked(platform)
    other = await platform.press(answer, "Other persona")
    await other.shows(say("discord-who-instead"))
    assert other.private
    chosen = await platform.choose(
        other.messages[-1], say("discord-choose-persona"), "Theodore Roosevelt"
    )
    await chosen.shows("[roosevelt@v1]", "An imitation of Theodore")
    assert not chosen.private


async def test_sources_are_told_privately(bot: None, platform: FakeDiscord) -> None:
    sources = await platform.press(
        await asked(platform, question="How is the Union kept whole?"), "Sources"
    )
    text = await sources.shows("Abraham Lincoln, v1", "example.org/1862")
    assert sources.private and LINCOLN in text


async def test_stop_ends_the_model_and_keeps_what_was_said(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    await slow(gateway)
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("word2")
    await platform.until(lambda: "Stop" in ask.messages[-1].buttons, "a stop button", ask)
    stranger = await platform.press(
        ask.messages[-1], "Stop", person=BOB, permissions=MEMBER_PERMISSIONS
    )
    await stranger.shows("Only the person who asked")
    stop = await platform.press(ask.messages[-1], "Stop")
    await stop.shows(say("stopping"))
    text = await ask.shows(say("stopped"), LINCOLN)
    assert "word2" in text and "word199" not in text
    while gateway.engine.aborted == 0:
        await asyncio.sleep(0.01)


async def test_delete_is_for_the_author_and_for_moderators(
    bot: None, platform: FakeDiscord
) -> None:
    answer = await asked(platform)
    refused = await platform.press(answer, "Delete", person=BOB, permissions=MEMBER_PERMISSIONS)
    await refused.shows(say("only-author-or-manager"))
    assert refused.private and not answer.deleted
    await platform.press(answer, "Delete")
    await platform.until(lambda: answer.deleted, "a deleted answer")
    second = await asked(platform)
    await platform.press(second, "Delete", person=BOB, permissions=MEMBER_PERMISSIONS | 1 << 5)
    await platform.until(lambda: second.deleted, "an answer deleted by a moderator")


async def test_delete_takes_every_page(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [f"Sentence {number} {'goes on ' * 12}. " for number in range(40)]
    ask = await platform.slash("ask", persona="lincoln", question="Why?")
    await ask.shows("Sentence 39", LINCOLN)
    assert len(ask.messages) > 1
    pages = list(ask.messages)
    await platform.until(lambda: "Delete" in pages[-1].buttons, "buttons", ask)
    await platform.press(pages[-1], "Delete")
    await platform.until(lambda: all(page.deleted for page in pages), "deleted pages")


async def test_an_operator_writes_a_better_answer(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    answer = await asked(platform)
    revise = await platform.press(answer, "Better answer")
    modal = await revise.modal_shown()
    assert "[lincoln@v1]" in str(modal)
    sent = await platform.submit(revise, {"text": "With malice toward none."})
    await sent.shows("kept for")
    assert sent.private


async def test_an_answer_too_long_for_the_field_is_not_offered_cut_off(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = ["word " * 300] * 3
    revise = await platform.press(await asked(platform), "Better answer")
    modal = await revise.modal_shown()
    assert "word" not in str(modal)


async def test_any_answer_can_be_revised_by_its_context_menu(
    bot: None, platform: FakeDiscord
) -> None:
    answer = await asked(platform)
    menu = await platform.menu("Better answer…", answer)
    sent = await platform.submit(menu, {"text": "With charity for all."})
    await sent.shows("kept for")
    refused = await platform.menu(
        "Better answer…", answer, person=BOB, permissions=MEMBER_PERMISSIONS
    )
    await refused.shows(say("only-operators"))


async def test_buttons_work_after_a_restart(gateway: RunningGateway, tmp_path: Path) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, identify_seconds=0.0) as platform:
        await _pressed_after_a_restart(platform, gateway, tmp_path)


async def _pressed_after_a_restart(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    settings = bot_settings(platform, gateway.url, tmp_path, admin_key=gateway.admin_key)
    async with running_bot(settings, platform):
        answer = await asked(platform)
        down = await platform.press(answer, "👎")
        await down.modal_shown()
    async with running_bot(settings, platform):
        up = await platform.press(answer, "👍")
        await up.shows(say("rated-up"))
        sent = await platform.submit(down, {"text": "After all."})
        await sent.shows(say("rated-down"))
        again = await platform.press(answer, "Again")
        await again.shows(LINCOLN)


@pytest.mark.parametrize("custom_id", ["p:dance:1", "p:up:nothing"])
async def test_buttons_of_another_version_or_of_nothing_known_are_told(
    bot: None, platform: FakeDiscord, custom_id: str
) -> None:
    answer = await asked(platform)
    row = {"type": 1, "components": [{"type": 2, "style": 2, "label": "X", "custom_id": custom_id}]}
    answer.components = [row]
    pressed: Interaction = await platform.press(answer, "X")
    expected = "discord-button-unknown" if "dance" in custom_id else "answer-gone"
    await pressed.shows(say(expected))
    assert pressed.private
