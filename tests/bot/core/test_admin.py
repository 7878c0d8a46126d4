"""Administration: who may, what it changes, and the same as typed text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot.core.admin import AdminDesk
from bot.core.desk import Desk
from bot.core.policy import PolicySettings
from bot.core.sentences import speaker
from bot.state.records import RETENTION_DAYS
from bot.state.store import State
from tests.bot.core.bench import (
    ALICE,
    CARD,
    CHANNEL,
    DIRECT,
    MOD,
    SERVER,
    THREAD,
    RecordedSurface,
    ScriptedGateway,
    ask,
    running_desk,
)
from tests.conftest import RunningGateway

say = speaker("en")


@pytest.fixture
def admin(desk: Desk, script: ScriptedGateway) -> AdminDesk:
    script.cards = [CARD, CARD.model_copy(update={"id": "roosevelt", "display_name": "Theodore"})]
    return AdminDesk(desk, has_key=True)


@pytest.fixture
async def real(gateway: RunningGateway, state: State) -> AsyncIterator[AdminDesk]:
    async with running_desk(gateway.url, state) as desk:
        yield AdminDesk(desk, has_key=True)


async def said(admin: AdminDesk, text: str, person: object = MOD, place: object = CHANNEL) -> str:
    return await admin.run(text.split(), person, place)  # type: ignore[arg-type]


async def test_adapters_are_moved_through_the_real_gateway(real: AdminDesk) -> None:
    assert "**lincoln**: v1 is live. In the registry: v1, v2." in await said(real, "versions")
    assert "lincoln" not in await said(real, "versions Roosevelt")
    assert "v2" in await said(real, "reload lincoln v2")
    assert "v2 is live, v1 was before it" in await said(real, "versions lincoln")
    assert "v1" in await said(real, "rollback lincoln")
    assert "v9" in await said(real, "reload lincoln v9")
    assert (await said(real, "status")).startswith("The gateway answers in ")
    assert "has met no question" in await said(real, "unanswered lincoln")
    assert await said(real, "export lincoln kto") == say(
        "export-done", persona="lincoln", format="kto", lines=0
    )
    assert await real.export_feedback(MOD, CHANNEL, "lincoln", "dpo") == b""


@pytest.mark.parametrize(
    "text",
    [
        "reload lincoln", "rollback lincoln", "versions", "status", "stats", "default lincoln",
        "allow all", "limits", "admins R1", "names on", "alerts here", "retention 5",
        "unanswered lincoln", "export lincoln kto",
    ],
)  # fmt: skip
async def test_nobody_else_may(admin: AdminDesk, text: str) -> None:
    assert await said(admin, text, ALICE) == say("only-managers")


async def test_a_role_of_administrators_may_set_but_not_hand_on(
    admin: AdminDesk, state: State
) -> None:
    assert await said(admin, "admins R1 R2") == say("admins-set", roles="R1, R2")
    helper = replace(ALICE, roles=frozenset({"R2"}))
    assert "answers where nobody is named" in await said(admin, "default lincoln", helper)
    assert await said(admin, "admins R9", helper) == say("only-managers")
    assert await said(admin, "reload lincoln", helper) == say("only-managers")
    assert await said(admin, "admins none") == say("admins-none")
    assert await said(admin, "default lincoln", helper) == say("only-managers")


async def test_where_operators_are_named_managers_are_none(
    script: ScriptedGateway, state: State
) -> None:
    policy = PolicySettings(operators=frozenset({ALICE.key}))
    async with running_desk(script.url, state, policy=policy) as desk:
        admin = AdminDesk(desk, has_key=False)
        assert await said(admin, "reload lincoln") == say("only-operators")
        assert await said(admin, "reload lincoln", ALICE) == say("no-admin-key")
        assert await said(admin, "names on") == say("names-on")


async def test_defaults(admin: AdminDesk, desk: Desk, state: State) -> None:
    assert await said(admin, "default LINCOLN") == say(
        "default-set-channel", persona="Abraham Lincoln"
    )
    assert "server" in await said(admin, "default roosevelt server")
    assert await said(admin, "default roosevelt thread") == say("default-no-thread")
    assert "this thread Theodore" in await said(admin, "default roosevelt thread", place=THREAD)
    status = await said(admin, "status", place=THREAD)
    assert "Defaults: thread roosevelt, channel lincoln, server roosevelt." in status
    surface = RecordedSurface()
    await desk.answer(ask(persona=None, place=THREAD, remembers=True), surface)
    pinned = await state.conversation(THREAD.conversation)
    assert pinned is not None and pinned.adapter_version == "v1"
    for scope in ("channel", "server", "thread"):
        assert await said(admin, f"default none {scope}", place=THREAD) == say("default-cleared")
    assert await state.settings("discord", SERVER) == {}
    assert await state.conversation(THREAD.conversation) is None
    assert await said(admin, "default lincoln galaxy") == say("default-bad-scope", scope="galaxy")
    assert "no persona “nobody”" in await said(admin, "default nobody")
    assert "this channel" in await said(admin, "default lincoln", ALICE, DIRECT)
    assert "this thread" in await said(admin, "default lincoln thread", ALICE, DIRECT)
    assert await said(admin, "status", ALICE, DIRECT) == say("only-managers")
    slack_direct = replace(DIRECT, server=SERVER)
    assert await said(admin, "default lincoln server", ALICE, slack_direct) == say("only-managers")
    assert await said(admin, "default lincoln server", ALICE, DIRECT) == say("admin-not-in-server")


async def test_who_may_speak(admin: AdminDesk, desk: Desk) -> None:
    assert await said(admin, "allow roosevelt,lincoln") == say(
        "allow-set", personas="lincoln, roosevelt"
    )
    assert await said(admin, "allow roosevelt") == say("allow-set", personas="roosevelt")
    assert [card.id for card in await desk.personas(CHANNEL, ALICE)] == ["roosevelt"]
    assert await said(admin, "allow all") == say("allow-all")
    assert len(await desk.personas(CHANNEL, ALICE)) == 2


async def test_limits(admin: AdminDesk, desk: Desk) -> None:
    assert await said(admin, "limits") == say("limits-nobody")
    assert await said(admin, "limits person requests 50") == (
        "Limit of each person: 50 requests and any number of tokens a day."
    )
    assert "role R1: 5 requests and 900 tokens" in await said(
        admin, "limits role R1 requests 5 tokens 900"
    )
    await said(admin, "limits server tokens 1000000")
    assert (await said(admin, "limits")).splitlines() == [
        "- each person: 50 requests and any number of tokens a day",
        "- role R1: 5 requests and 900 tokens a day",
        "- this server: any number of requests and 1,000,000 tokens a day",
    ]
    assert "49 of 50" not in await desk.usage(ALICE, CHANNEL)
    assert "50 of 50 left" in await desk.usage(ALICE, CHANNEL)
    assert await said(admin, "limits role R1 none") == say("limits-cleared", whom="role R1")
    assert await said(admin, "limits role requests 5") == say("limits-which-role")
    assert await said(admin, "limits galaxy 5") == say("limits-bad-scope", scope="galaxy")
    assert await said(admin, "limits person requests -5") == say("limits-bad", typed="-5")
    assert await said(admin, "limits person requests") == say("admin-usage")
    assert await said(admin, "limits person requests 5", place=DIRECT) == say("admin-not-in-server")


async def test_names_alerts_retention_stats(admin: AdminDesk, desk: Desk, state: State) -> None:
    assert await said(admin, "names on") == say("names-on")
    assert await said(admin, "names off") == say("names-off")
    assert await said(admin, "alerts here") == say("alerts-on", channel="general")
    assert await said(admin, "alerts off") == say("alerts-off")
    assert await said(admin, "retention 30") == say("retention-set", days=30)
    assert await state.setting("discord", SERVER, "", RETENTION_DAYS) == 30
    for typed in ("0", "many", "99999"):
        assert f"“{typed}” is not that" in await said(admin, f"retention {typed}")
    await desk.answer(ask(), RecordedSurface())
    stats = (await said(admin, "stats")).splitlines()
    assert stats == [
        "The last 7 days in this server:",
        "1 requests, 15 tokens.",
        "- alice: 1 requests, 15 tokens",
    ]


@pytest.mark.parametrize(
    "text", ["", "dance", "reload", "reload a b c", "names perhaps", "export lincoln"]
)
async def test_what_can_not_be_understood_gets_the_list(admin: AdminDesk, text: str) -> None:
    assert await said(admin, text) == say("admin-usage")


async def test_an_unknown_format(admin: AdminDesk) -> None:
    assert await said(admin, "export lincoln csv") == say("export-bad-format", typed="csv")


async def test_a_gateway_that_is_away_is_a_sentence(state: State) -> None:
    async with running_desk("http://127.0.0.1:9", state) as desk:
        admin = AdminDesk(desk, has_key=True)
        assert "can't be reached" in await said(admin, "versions")
        assert "can't be asked" in await said(admin, "status")


async def test_in_several_servers_nobody_operates_until_somebody_is_named(
    script: ScriptedGateway, state: State
) -> None:
    async with running_desk(script.url, state, alone=lambda: False) as desk:
        refused = await AdminDesk(desk, has_key=True).reload(MOD, CHANNEL, "lincoln")
        assert refused == say("operators-unnamed", key=MOD.key)
        assert not desk.is_operator(MOD)
    named = PolicySettings(operators=frozenset({MOD.key}))
    async with running_desk(script.url, state, alone=lambda: False, policy=named) as desk:
        assert desk.is_operator(MOD)
