"""Suggestions while typing: quick, right, never more than Discord takes, never an error."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from bot.core.gateway_client import GatewayClient
from bot.on_discord.autocomplete import PersonaDirectory, choices
from personae.wire import PersonaCard, PersonaList
from tests.bot.on_discord.bench import bot_settings, running_bot, scripted_gateway
from tests.conftest import RunningGateway
from tests.fakes.discord_platform import FakeDiscord


def card(persona: str, name: str) -> PersonaCard:
    return PersonaCard(
        id=persona,
        display_name=name,
        description="",
        disclosure="",
        base_model="b",
        adapter_version=None,
        passages=0,
        notice=None,
        max_question_characters=2000,
        max_text_characters=6000,
    )


CARDS = [card("pg", "Paul Graham"), card("lincoln", "Abraham Lincoln"), card("abe", "The Abbot")]


def test_id_and_every_word_of_the_name_are_sought() -> None:
    assert [choice.value for choice in choices(CARDS, "")] == ["pg", "lincoln", "abe"]
    assert [choice.value for choice in choices(CARDS, " LINC ")] == ["lincoln"]
    assert [choice.value for choice in choices(CARDS, "graham")] == ["pg"]
    assert [choice.value for choice in choices(CARDS, "Abraham Lincoln (lincoln)")] == ["lincoln"]
    assert [choice.value for choice in choices(CARDS, "ab")] == ["lincoln", "abe"]
    assert [choice.value for choice in choices(CARDS, "a")] == ["lincoln", "abe", "pg"]
    assert choices(CARDS, "xyzzy") == []


def test_many_personas_and_long_names_fit() -> None:
    many = choices([card(f"p{n}", "N" * 200) for n in range(60)], "p")
    assert len(many) == 25
    assert all(len(choice.name) <= 100 and choice.name.endswith(")") for choice in many)


async def test_many_keystrokes_read_the_list_once() -> None:
    reads = 0

    async def personas(request: web.Request) -> web.StreamResponse:
        nonlocal reads
        reads += 1
        return web.json_response(text=PersonaList(personas=CARDS).model_dump_json())

    async with scripted_gateway(personas) as url, GatewayClient(url) as gateway:
        directory = PersonaDirectory(gateway, fresh_seconds=60)
        lists = await asyncio.gather(*(directory.personas() for _keystroke in range(5)))
        assert [len(known) for known in [*lists, await directory.personas()]] == [3] * 6
        assert reads == 1


async def test_the_last_known_list_serves_while_the_gateway_is_away() -> None:
    answers = [
        web.json_response(text=PersonaList(personas=CARDS).model_dump_json()),
        web.Response(status=500),
        web.json_response({"personas": "not a list"}),
    ]

    async def personas(request: web.Request) -> web.StreamResponse:
        return answers.pop(0)

    async with scripted_gateway(personas) as url, GatewayClient(url) as gateway:
        directory = PersonaDirectory(gateway, fresh_seconds=0)
        for _reading in range(3):
            assert len(await directory.personas()) == 3
        assert answers == []


async def test_a_gateway_that_hangs_delays_nobody(tmp_path: Path) -> None:
    async def hangs(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(3600)
        return web.Response()

    async with (
        FakeDiscord() as platform,
        scripted_gateway(hangs) as url,
        running_bot(bot_settings(platform, url, tmp_path), platform),
    ):
        typing = await platform.autocomplete("ask", "persona", "lin")
        assert await typing.choices_shown() == []


async def test_a_real_gateway_is_read(gateway: RunningGateway) -> None:
    async with GatewayClient(gateway.url) as client:
        directory = PersonaDirectory(client)
        assert {card.id for card in await directory.personas()} == set(gateway.cast)
        await directory.aclose()
