"""Deliveries and connections fail; questions are answered once all the same, and answers go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.bot.on_slack.bench import MANIFEST, shown_everywhere, slack_bot
from tests.conftest import RunningGateway
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


async def test_an_event_delivered_again_is_acknowledged_and_not_answered_again(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        first = slack.mention("lincoln What of the Union?")
        again = [slack.redeliver(first) for _ in range(3)]
        command = slack.command("/ask", "lincoln What of the law?")
        again.append(slack.redeliver(command))
        await slack.until(lambda: all(delivery.acked for delivery in again), "acknowledgements")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert len(slack.bot_messages) == 2


async def test_a_lost_acknowledgement_leads_to_a_retry_and_one_answer(
    gateway: RunningGateway,
) -> None:
    slack = FakeSlack(MANIFEST, ack_seconds=0.3, speed=100.0)
    async with slack_bot(gateway.url, slack=slack):
        slack.lose_acks(2)
        delivery = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: delivery.acked, "an acknowledgement in the end")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        assert delivery.attempts == 3
        assert len(slack.bot_messages) == 1


async def test_one_mention_that_arrives_as_two_events_is_answered_once(
    gateway: RunningGateway,
) -> None:
    slack = FakeSlack(MANIFEST, extra_events=("message.channels",))
    async with slack_bot(gateway.url, slack=slack):
        mention = slack.mention("lincoln What of the Union?")
        direct = slack.direct("lincoln What of the law?")
        twins = [slack.twin(mention, "message.channels"), slack.twin(direct, "app_mention")]
        await slack.until(lambda: all(twin.acked for twin in twins), "acknowledgements")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert len(slack.bot_messages) == 2


@pytest.mark.parametrize("disturb", [FakeSlack.refresh, FakeSlack.drop_sockets])
async def test_an_answer_goes_on_while_its_connections_are_renewed_or_lost(
    gateway: RunningGateway, disturb: Callable[[FakeSlack], None]
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(30)]
    gateway.engine.seconds_between = 0.03
    async with slack_bot(gateway.url) as slack:
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        before = slack.connections
        disturb(slack)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        assert "word29" in slack.bot_messages[0].shown
        await slack.until(lambda: slack.open_sockets == 2, "two new connections")
        assert slack.connections - before == 2
        slack.mention("lincoln What of the law?")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "a new answer")


async def test_a_delivery_amid_a_dropped_connection_is_answered_once(
    gateway: RunningGateway,
) -> None:
    slack = FakeSlack(MANIFEST, ack_seconds=0.3)
    async with slack_bot(gateway.url, slack=slack):
        for _ in range(3):
            slack.mention("lincoln What of the Union?")
            slack.drop_sockets()
            await slack.until(lambda: slack.open_sockets == 2, "two new connections")
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 3, "three answers")
        assert len(slack.bot_messages) == 3


async def test_a_bot_that_is_stopped_acknowledges_first_what_it_has_begun(
    gateway: RunningGateway,
) -> None:
    for _ in range(5):
        async with slack_bot(gateway.url) as slack:
            delivery = slack.command("/usage", "")
            await slack.until(lambda seen=slack.private: seen, "the usage")  # type: ignore[misc]
        assert delivery.acked


async def test_a_connection_that_fails_half_way_is_tried_again_with_a_fresh_url(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        before = len(slack.calls_of("apps.connections.open"))
        slack.break_handshakes(2)
        slack.drop_sockets()
        await slack.until(lambda: slack.open_sockets == 2, "two new connections")
        assert len(slack.calls_of("apps.connections.open")) - before >= 4


@pytest.mark.parametrize("linger_seconds", [0.0, 0.1])
async def test_too_many_websockets_is_answered_by_one_more_try_each_until_there_is_room(
    gateway: RunningGateway, linger_seconds: float
) -> None:
    async with slack_bot(gateway.url) as slack:
        before = slack.connections
        slack.refuse_sockets(6, linger_seconds=linger_seconds)
        slack.drop_sockets()
        await slack.until(lambda: slack.open_sockets == 2, "two new connections")
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "an answer")
        await asyncio.sleep(0.3)  # a reconnection too many would come about now
        assert slack.connections - before == 8


@pytest.mark.parametrize("linger_seconds", [0.0, 0.1])
async def test_a_bot_that_is_turned_away_does_not_storm_slack_and_can_be_stopped(
    gateway: RunningGateway, linger_seconds: float
) -> None:
    async with slack_bot(gateway.url, backoff_seconds=60) as slack:
        before = slack.connections
        slack.refuse_sockets(1_000, linger_seconds=linger_seconds)
        slack.drop_sockets()
        await slack.until(lambda: slack.connections - before >= 2, "a try of each connection")
        await asyncio.sleep(0.3)  # a storm would make hundreds of tries meanwhile
        assert slack.connections - before == 2
    left = [str(task.get_coro()) for task in asyncio.all_tasks()]
    assert not [coroutine for coroutine in left if "Socket" in coroutine]
