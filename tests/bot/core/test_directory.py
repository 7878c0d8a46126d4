"""Which persona somebody means, and a list that outlives a slow gateway."""

from __future__ import annotations

import asyncio

import pytest

from bot.core.directory import Directory, find, near, suggest
from bot.core.gateway_client import GatewayClient
from personae.errors import GatewayUnreachable
from tests.bot.core.bench import CARD, scripted_gateway

CARDS = [
    CARD,
    CARD.model_copy(update={"id": "roosevelt", "display_name": "Theodore Roosevelt"}),
    CARD.model_copy(update={"id": "pg", "display_name": "Paul Graham"}),
    CARD.model_copy(update={"id": "abe", "display_name": "Abe Burrows"}),
]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("lincoln", "lincoln"),
        (" Abraham  LINCOLN ", "lincoln"),
        ("theodore", "roosevelt"),
        ("Graham", "pg"),
        ("abe", "abe"),
        ("ab", None),
        ("", None),
        ("washington", None),
    ],
)
def test_what_is_typed_names_a_persona(typed: str, found: str | None) -> None:
    card = find(CARDS, typed)
    assert (card.id if card else None) == found


def test_near_names_and_suggestions() -> None:
    meant = near(CARDS, "rosevelt")
    assert meant is not None and meant.id == "roosevelt"
    assert near(CARDS, "qqqq") is None
    assert [card.id for card in suggest(CARDS, "ra")] == ["lincoln", "pg"]
    assert [card.id for card in suggest(CARDS, "gra")] == ["pg"]
    assert len(suggest(CARDS, "")) == 4


async def test_one_fetch_at_a_time_and_then_none() -> None:
    async with scripted_gateway() as gateway, GatewayClient(gateway.url) as client:
        asked = Directory(client)
        lists = await asyncio.gather(*(asked.cards() for _ in range(50)))
        assert all(cards == [CARD] for cards in lists)
        gateway.cards = []
        assert await asked.cards() == [CARD]
        asked.forget()
        assert await asked.cards() == []
        await asked.close()


async def test_without_a_gateway_nothing_is_known() -> None:
    async with GatewayClient("http://127.0.0.1:9") as client:
        asked = Directory(client)
        with pytest.raises(GatewayUnreachable):
            await asked.cards()
        await asked.close()


async def test_a_slow_gateway_leaves_the_last_known_ones() -> None:
    async with scripted_gateway() as gateway, GatewayClient(gateway.url) as client:
        asked = Directory(client, fresh_seconds=0.0, wait_seconds=0.05)
        gateway.silent = True
        with pytest.raises(GatewayUnreachable):
            await asked.cards()
        await asked.close()
        gateway.silent = False
        patient = Directory(client, fresh_seconds=0.0, wait_seconds=30.0)
        assert await patient.cards() == [CARD]
        gateway.silent = True
        waiting = asyncio.create_task(patient.cards())
        while not gateway.waiting:
            await asyncio.sleep(0.005)
        await patient.close()
        assert await waiting == [CARD]
