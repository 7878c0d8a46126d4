"""The bot's life: command sync, lost connections, refusals at the door, the end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.gateway_client import GatewayClient
from bot.core.sentences import speaker
from bot.on_discord.client import DiscordFrontend
from bot.on_discord.frontend import SYNCED_FILE, run
from bot.state.store import State
from personae.errors import ConfigError
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_environment, bot_settings, running_bot
from tests.conftest import REPOSITORY, RunningGateway
from tests.fakes.discord_platform import FakeDiscord

NOWHERE = "http://127.0.0.1:9"
LINCOLN = "An imitation of Abraham Lincoln"


@pytest.fixture
async def platform() -> AsyncIterator[FakeDiscord]:
    async with FakeDiscord(edit_limit=PATIENT_EDITS, identify_seconds=0.0) as platform:
        yield platform


# --- commands -------------------------------------------------------------------------------------


async def test_commands_are_registered_once(platform: FakeDiscord, tmp_path: Path) -> None:
    for _start in range(2):
        async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
            pass
    assert platform.syncs == 1
    assert {command["name"] for command in platform.commands} == {
        *("ask", "rewrite", "personas", "usage", "privacy", "personae"),
        *("Ask about this…", "Rewrite as…", "Better answer…"),
    }
    (tmp_path / SYNCED_FILE).write_text("not what was written there")
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        pass
    assert platform.syncs == 2


async def test_long_text_fits_into_an_option(platform: FakeDiscord, tmp_path: Path) -> None:
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        ask = next(command for command in platform.commands if command["name"] == "ask")
        assert ask["options"][1]["max_length"] == 6000
        assert ask["options"][0]["autocomplete"] is True


async def test_a_refused_registration_does_not_keep_the_bot_away(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    platform.fail_next.append(("PUT", 403))
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        assert platform.syncs == 0
    assert not (tmp_path / SYNCED_FILE).exists()
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        assert platform.syncs == 1


async def test_an_outdated_command_is_explained(platform: FakeDiscord, tmp_path: Path) -> None:
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        old = next(command for command in platform.commands if command["name"] == "ask")
        old["name"] = "question"
        asked = await platform.slash("question", persona="lincoln", question="Why?")
        assert await asked.shows("has changed") == speaker("en")("discord-command-changed")
        assert asked.private


# --- lost connections -----------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", ["op 7", "op 9, resumable", "closed with 4000", "line cut"])
async def test_a_reconnect_in_mid_answer_loses_nothing(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path, trouble: str
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.1
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        before = await platform.slash("ask", persona="lincoln", question="Why?")
        await before.shows("word1")
        if trouble == "op 7":
            await platform.do(platform.socket.ask_to_reconnect())
        elif trouble == "op 9, resumable":
            await platform.do(platform.socket.invalidate(resumable=True))
        elif trouble == "closed with 4000":
            await platform.do(platform.socket.drop(4000))
        else:
            await platform.do(platform.socket.drop(1006))
        during = await platform.slash("ask", persona="roosevelt", question="Why?")
        gateway.engine.seconds_between = 0
        await before.shows("word19", LINCOLN)
        await during.shows("word19", "An imitation of Theodore")
        assert platform.socket.resumes == 1 and platform.socket.identifies == 1


async def test_events_sent_while_the_line_was_cut_are_answered_after_it(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        platform.socket.unreachable = 1
        await platform.do(platform.socket.drop(1006))
        await platform.until(lambda: not platform.socket.connected, "a cut line")
        missed = await platform.slash("ask", persona="lincoln", question="Why?")
        await missed.shows("must think anew", LINCOLN)
        assert platform.socket.replayed >= 1


async def test_a_lost_session_costs_no_answer_in_progress(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(20)]
    gateway.engine.seconds_between = 0.1
    async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
        before = await platform.slash("ask", persona="lincoln", question="Why?")
        await before.shows("word1")
        await platform.do(platform.socket.invalidate(resumable=False))
        gateway.engine.seconds_between = 0
        await before.shows("word19", LINCOLN)
        # discord.py waits five seconds before it identifies again.
        await platform.until(lambda: platform.socket.identifies == 2, "a new session")
        after = await platform.slash("ask", persona="lincoln", question="Why?")
        await after.shows("word19", LINCOLN)


async def test_the_heart_beats_on_while_an_answer_hangs(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.hang_after = 1
    async with (
        FakeDiscord(edit_limit=PATIENT_EDITS, heartbeat_seconds=0.1) as quick,
        running_bot(bot_settings(quick, gateway.url, tmp_path), quick),
    ):
        ask = await quick.slash("ask", persona="lincoln", question="Why?")
        await ask.acknowledged()
        beats = quick.socket.heartbeats
        await quick.until(lambda: quick.socket.heartbeats > beats + 5, "heartbeats")
        await ask.shows("[lincoln@v1]", "Try again")


async def test_discord_away_at_the_start_is_tried_again(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    platform.fail_next += [("GET /users/@me", 503), ("GET /oauth2/applications/@me", 503)]
    platform.socket.unreachable = 1
    async with running_bot(bot_settings(platform, NOWHERE, tmp_path), platform):
        assert platform.requests.count("GET /users/@me") == 4


# --- refusals at the door -------------------------------------------------------------------------


async def test_a_token_reset_while_running_ends_the_bot_with_a_sentence(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    bot = asyncio.create_task(run(bot_settings(platform, NOWHERE, tmp_path), stop=asyncio.Event()))
    await platform.connected()
    platform.socket.refuse_with = 4004
    await platform.do(platform.socket.drop(1006))
    with pytest.raises(ConfigError, match="Discord does not accept DISCORD_TOKEN"):
        await bot


@pytest.mark.parametrize(("code", "words"), [(4014, "intent is off"), (4011, "DISCORD_SHARDS")])
async def test_other_final_refusals_are_told(
    platform: FakeDiscord, tmp_path: Path, code: int, words: str
) -> None:
    platform.socket.refuse_with = code
    settings = bot_settings(platform, NOWHERE, tmp_path).model_copy(update={"shards": 1})
    with pytest.raises(ConfigError, match=words):
        await run(settings, stop=asyncio.Event())


async def test_an_address_that_is_not_discords_is_told(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    platform.fail_next.append(("GET /users/@me", 404))
    with pytest.raises(ConfigError, match="check DISCORD_API_BASE"):
        await run(bot_settings(platform, NOWHERE, tmp_path), stop=asyncio.Event())


# --- the process ----------------------------------------------------------------------------------


async def _start(environment: dict[str, str]) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.on_discord.frontend",
        cwd=REPOSITORY,
        env=kept | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_missing_token_ends_with_2_and_says_what_to_do() -> None:
    bot = await _start({"DISCORD_TOKEN": ""})
    out, err = await bot.communicate()
    assert bot.returncode == 2
    last = err.decode().strip().splitlines()[-1]
    assert last.startswith("DISCORD_TOKEN is missing.") and "docs/discord.md" in last
    assert out == b""


async def test_a_wrong_token_ends_with_2_and_is_not_printed(
    platform: FakeDiscord, tmp_path: Path
) -> None:
    bot = await _start(bot_environment(platform, NOWHERE, tmp_path, token="a-wrong.token"))
    out, err = await bot.communicate()
    assert bot.returncode == 2
    text = (out + err).decode()
    assert text.strip().splitlines()[-1].startswith("Discord does not accept DISCORD_TOKEN.")
    assert "a-wrong.token" not in text


async def test_sigterm_in_mid_answer_tells_the_person_and_ends_with_0(
    platform: FakeDiscord, gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(500)]
    gateway.engine.seconds_between = 0.1
    bot = await _start(bot_environment(platform, gateway.url, tmp_path))
    await platform.connected()
    ask = await platform.slash("ask", persona="lincoln", question="A question nobody logs?")
    await ask.shows("word0")
    silent = await platform.slash("ask", persona="lincoln", question="A question nobody logs?")
    await silent.acknowledged()
    bot.send_signal(signal.SIGTERM)
    out, err = await bot.communicate()
    assert bot.returncode == 0
    assert speaker("en")("restarting") in ask.text and LINCOLN in ask.text
    assert speaker("en")("restarting") in silent.text
    text = (out + err).decode()
    for secret in (platform.token, "nobody logs", "word0", ask.token):
        assert secret not in text


async def test_a_stopped_client_is_told_nothing_more(tmp_path: Path) -> None:
    """discord.py tells that it is ready two seconds late; its handler would have no loop to run in."""
    settled = asyncio.Event()
    async with (
        GatewayClient(NOWHERE) as gateway,
        State.open(f"sqlite:///{tmp_path / 'bots.db'}") as state,
    ):
        client = DiscordFrontend(
            gateway=gateway,
            state=state,
            synced_file=tmp_path / SYNCED_FILE,
            has_admin_key=False,
            settled=settled.set,
        )
        async with client:
            client.dispatch("ready")
            await asyncio.wait_for(settled.wait(), 10)
        client.dispatch("ready")
