"""Quotas of people, roles and servers, in requests and tokens; answers at once; what is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.core.desk import Desk
from bot.core.policy import Limit, PolicySettings, policy_from
from bot.core.sentences import speaker
from bot.state.store import State
from personae.errors import ConfigError
from personae.wire import Delta
from tests.bot.core.bench import (
    ALICE,
    BOB,
    CHANNEL,
    DIRECT,
    META,
    SERVER,
    FakeClock,
    RecordedSurface,
    ScriptedGateway,
    ask,
    running_desk,
)

say = speaker("en")


async def asked(desk: Desk, **changes: object) -> str:
    surface = RecordedSurface()
    await desk.answer(ask(**changes), surface)
    return surface.text


async def limit(state: State, table: dict[str, object]) -> None:
    await state.set_setting("discord", SERVER, "", "limits", table)


async def test_a_persons_requests_of_a_day(desk: Desk, state: State, clock: FakeClock) -> None:
    await limit(state, {"person": {"": {"requests": 2, "tokens": None}}})
    assert [await asked(desk) for _ in range(3)] == [
        "We must think anew.",
        "We must think anew.",
        "You have had today's 2 questions. The count starts anew at midnight UTC.",
    ]
    assert await asked(desk, person=BOB) == "We must think anew."
    clock.now += 24 * 3600
    assert await asked(desk) == "We must think anew."


async def test_somebodys_own_limit_goes_before_each_persons(desk: Desk, state: State) -> None:
    table = {"": {"requests": 0, "tokens": None}, "alice": {"requests": 1, "tokens": None}}
    await limit(state, {"person": table})
    assert await asked(desk) == "We must think anew."
    assert "today's 0 questions" in await asked(desk, person=BOB)


async def test_tokens_count_at_the_end(desk: Desk, state: State) -> None:
    await limit(state, {"person": {"": {"requests": None, "tokens": 20}}})
    assert [await asked(desk) for _ in range(3)][2].startswith("You have used today's 20 tokens.")
    used = await state.usage(
        kind="person", platform="discord", server=SERVER, key=ALICE.key, since_day=state.today()
    )
    assert (used.requests, used.tokens) == (2, 30), "15 tokens each, as `done` says"


async def test_an_answer_that_was_stopped_counts_what_it_said(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    script.script = [META, Delta(text="We "), Delta(text="must")]
    await asked(desk)
    used = await state.usage(
        kind="person", platform="discord", server=SERVER, key=ALICE.key, since_day=state.today()
    )
    assert used.tokens == 2


async def test_a_servers_and_a_roles_quota(desk: Desk, state: State) -> None:
    await limit(
        state,
        {
            "server": {"": {"requests": 3, "tokens": None}},
            "role": {"patrons": {"requests": 1, "tokens": None}},
        },
    )
    assert await asked(desk) == "We must think anew."
    assert "your roles may ask in a day is used up" in await asked(desk)
    several = replace(ALICE, roles=frozenset({"patrons", "plain"}))
    assert "your roles may ask in a day is used up" in await asked(desk, person=several)
    assert await asked(desk, person=BOB) == "We must think anew."
    assert await asked(desk, person=BOB) == "We must think anew."
    assert "This server has had today's 3 questions" in await asked(desk, person=BOB)
    assert await asked(desk, person=BOB, place=DIRECT) == "We must think anew."


async def test_one_limited_role_with_something_left_is_enough(desk: Desk, state: State) -> None:
    few, many = {"requests": 0, "tokens": None}, {"requests": 9, "tokens": None}
    await limit(state, {"role": {"few": few, "many": many}})
    assert await asked(desk, person=replace(ALICE, roles=frozenset({"few", "many"}))) != ""
    both = await asked(desk, person=replace(ALICE, roles=frozenset({"few", "many"})))
    assert both == "We must think anew."
    assert "used up" in await asked(desk, person=replace(ALICE, roles=frozenset({"few"})))


async def test_a_burst_can_not_pass_a_limit(
    desk: Desk, script: ScriptedGateway, state: State
) -> None:
    await limit(state, {"person": {"": {"requests": 5, "tokens": None}}})
    texts = await asyncio.gather(*(asked(desk) for _ in range(20)))
    assert len(script.asked) == 5
    assert sum(text == "We must think anew." for text in texts) == 5


async def test_a_refused_request_is_not_counted(desk: Desk, state: State) -> None:
    await limit(state, {"server": {"": {"requests": 1, "tokens": None}}})
    for _ in range(3):
        await asked(desk)
    used = await state.usage(
        kind="person", platform="discord", server=SERVER, key=ALICE.key, since_day=state.today()
    )
    assert used.requests == 1


async def test_answers_at_once_of_one_person(script: ScriptedGateway, state: State) -> None:
    policy = PolicySettings(answers_at_once=2)

    async def forever() -> None:
        await asyncio.Event().wait()

    script.script = [META, forever]
    async with running_desk(script.url, state, policy=policy) as desk:
        running = [asyncio.create_task(asked(desk)) for _ in range(2)]
        while len(script.asked) < 2:
            await asyncio.sleep(0.01)
        assert await asked(desk) == say("already-running", count=2)
        others = asyncio.create_task(asked(desk, person=BOB))
        while len(script.asked) < 3:
            await asyncio.sleep(0.01)
        await desk.close(grace_seconds=30)
        await asyncio.gather(*running, others)


async def test_usage_tells_what_is_left(desk: Desk, state: State) -> None:
    await limit(
        state,
        {
            "person": {"": {"requests": 5, "tokens": 1000}},
            "role": {"patrons": {"requests": 100, "tokens": None}},
        },
    )
    await asked(desk)
    assert (await desk.usage(ALICE, CHANNEL)).splitlines() == [
        "Today (UTC):",
        "- You: one request, 4 of 5 left, 15 tokens, 985 of 1,000 left.",
        "- Your role patrons: one request, 99 of 100 left, 15 tokens.",
        "- This server: one request, 15 tokens.",
    ]
    german = replace(BOB, locale="de-AT")
    assert "Du: 0 Anfragen, noch 5 von 5" in await desk.usage(german, CHANNEL)


async def test_the_operators_limits_hold_everywhere(script: ScriptedGateway, state: State) -> None:
    policy = PolicySettings(person=Limit(requests=1), server=Limit(requests=9), answers_at_once=9)
    await limit(state, {"server": {"": {"requests": 50, "tokens": None}}})
    async with running_desk(script.url, state, policy=policy) as desk:
        await asked(desk)
        assert "today's one question" in await asked(desk)
        assert "8 of 9 left" in await desk.usage(ALICE, CHANNEL)


def test_the_operators_settings_come_from_the_environment() -> None:
    policy = policy_from(
        {
            "PERSONAE_OPERATORS": "discord:1, 2 ,",
            "PERSONAE_BOT_REQUESTS_PER_PERSON": "50",
            "PERSONAE_BOT_TOKENS_PER_SERVER": "100000",
            "PERSONAE_BOT_ANSWERS_AT_ONCE": "5",
            "PERSONAE_BOT_MEMORY_HOURS": "1.5",
            "PERSONAE_BOT_TOKENS_PER_PERSON": " ",
        }
    )
    assert policy.operators == {"discord:1", "2"}
    assert policy.person == Limit(requests=50) and policy.server == Limit(tokens=100_000)
    assert policy.answers_at_once == 5 and policy.memory_seconds == 5400
    assert policy_from({}) == PolicySettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PERSONAE_BOT_REQUESTS_PER_PERSON", "-1"),
        ("PERSONAE_BOT_TOKENS_PER_SERVER", "many"),
        ("PERSONAE_BOT_ANSWERS_AT_ONCE", "0"),
        ("PERSONAE_BOT_MEMORY_HOURS", "x"),
        ("PERSONAE_BOT_MEMORY_HOURS", "0"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        policy_from({name: value})


def test_operators_are_those_named_else_who_manages_the_server() -> None:
    manager = replace(BOB, manages=True)
    assert PolicySettings().is_operator(manager) and not PolicySettings().is_operator(BOB)
    named = PolicySettings(operators=frozenset({"discord:bob"}))
    assert named.is_operator(BOB) and not named.is_operator(replace(ALICE, manages=True))
