"""`python -m bot.on_slack` as its own process: settings, exit codes, signals, its log."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core.sentences import speaker
from tests.bot.bot_process import bot_process
from tests.bot.on_slack.bench import MANIFEST, REPOSITORY, bot_environment, shown_everywhere
from tests.conftest import RunningGateway
from tests.fakes.slack_platform import FakeSlack

SECRET = "0123456789abcdef"
SAY = speaker("en")


def environment(slack: FakeSlack | None, **more: str) -> dict[str, str]:
    """Nothing of the developer's own environment but the path."""
    base = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    if slack is not None:
        base |= {"SLACK_API_BASE": slack.api_base, "SLACK_BOT_TOKEN": slack.bot_token}
        base |= {"SLACK_APP_TOKEN": slack.app_token}
    return base | more


@asynccontextmanager
async def process(variables: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-W", "error", "-m", "bot.on_slack"),
        env=variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def end_of(variables: dict[str, str]) -> tuple[int | None, str]:
    """Exit code and what was printed."""
    async with process(variables) as running:
        out, err = await running.communicate()
        return running.returncode, (out + err).decode()


@pytest.mark.parametrize(
    ("bot", "app", "sentences_expected"),
    [
        ("", "", ["SLACK_BOT_TOKEN is missing", "SLACK_APP_TOKEN is missing"]),
        (f"xoxb-{SECRET}", "", ["SLACK_APP_TOKEN is missing", "SLACK_SIGNING_SECRET"]),
        (f"xapp-{SECRET}", f"xoxb-{SECRET}", ["are swapped"]),
        (f"xoxp-{SECRET}", f"xapp-{SECRET}", ["SLACK_BOT_TOKEN is not a bot token"]),
    ],
)
async def test_missing_and_swapped_tokens_end_it_with_2_and_what_to_do(
    bot: str, app: str, sentences_expected: list[str]
) -> None:
    code, printed = await end_of(environment(None, SLACK_BOT_TOKEN=bot, SLACK_APP_TOKEN=app))
    assert code == 2
    for sentence in sentences_expected:
        assert sentence in printed
    assert "Traceback" not in printed
    assert SECRET not in printed


@pytest.mark.parametrize(
    ("wrong", "token", "expected"),
    [
        ("SLACK_BOT_TOKEN", f"xoxb-{SECRET}", "Slack refuses SLACK_BOT_TOKEN (invalid_auth)"),
        ("SLACK_APP_TOKEN", f"xapp-{SECRET}", "Slack refuses SLACK_APP_TOKEN (invalid_auth)"),
    ],
)
async def test_a_token_that_slack_refuses_ends_it_with_2_and_what_to_do(
    wrong: str, token: str, expected: str, tmp_path: Path
) -> None:
    with FakeSlack(MANIFEST) as slack:
        home = {"PERSONAE_HOME": str(tmp_path)}
        code, printed = await end_of(environment(slack, **home, **{wrong: token}))
    assert code == 2
    assert expected in printed
    assert "docs/slack.md" in printed
    assert "Traceback" not in printed
    assert SECRET not in printed


async def test_it_answers_stops_at_sigterm_with_0_and_logs_neither_words_nor_tokens(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = ["sesame "] * 1_000
    gateway.engine.seconds_between = 0.05
    with FakeSlack(MANIFEST, ack_seconds=10.0) as slack:
        variables = environment(
            slack,
            PERSONAE_GATEWAY_URL=gateway.url,
            PERSONAE_ADMIN_KEY=gateway.admin_key,
            PERSONAE_HOME=str(tmp_path),
            # A proxy that must not be used: Slack is local here.
            HTTPS_PROXY="http://127.0.0.1:9",
            HTTP_PROXY="http://127.0.0.1:9",
            NO_PROXY="127.0.0.1",
        )
        async with process(variables) as running:
            await slack.until(lambda: slack.open_sockets == 2, "two connections", 60)
            slack.mention("lincoln marmalade")
            await slack.until(lambda: "sesame" in shown_everywhere(slack), "the first words", 60)
            running.send_signal(signal.SIGTERM)
            out, err = await running.communicate()
        assert running.returncode == 0
        assert SAY("restarting") in slack.bot_messages[0].shown
        assert slack.open_sockets == 0
        assert slack.violations == []
    printed = (out + err).decode()
    assert "listening on 2 connections" in printed
    for word in ("sesame", "marmalade", slack.bot_token, slack.app_token, gateway.admin_key):
        assert word not in printed
    assert "Traceback" not in printed


async def test_a_bot_killed_amid_answers_gives_them_after_its_restart_and_answers_nothing_twice(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    gateway.engine.words = ["word "] * 1_000
    gateway.engine.seconds_between = 0.05
    with FakeSlack(MANIFEST, ack_seconds=10.0) as slack:
        variables = bot_environment(slack, gateway.url, tmp_path)
        async with bot_process("slack", variables) as bot:
            await slack.until(lambda: slack.open_sockets == 2, "two connections", 60)
            before = len(gateway.engine.requests)
            asked = [
                slack.mention("lincoln Go on."),
                slack.direct("roosevelt Go on."),
                slack.command("/ask", "pg Go on."),
            ]
            await slack.until(
                lambda: sum("word word" in m.shown for m in slack.bot_messages) == 3, "words", 60
            )
            await bot.kill()
        await slack.until(lambda: gateway.engine.aborted == 3, "the end of the generations", 60)
        slack.drop_sockets()
        gateway.engine.words = ["By law."]
        async with bot_process("slack", variables):
            await slack.until(lambda: slack.open_sockets == 2, "two connections", 60)
            # Slack tries events again for minutes, commands never.
            again = [slack.redeliver(one) for one in asked[:2]]
            await slack.until(
                lambda: shown_everywhere(slack).count("was begun anew") == 3, "whole answers", 60
            )
            await slack.until(lambda: all(one.acked for one in again), "acknowledgements", 60)
            await asyncio.sleep(1.0)  # a second answer would begin meanwhile
        assert len(slack.bot_messages) == 3
        assert all("By law." in message.shown for message in slack.bot_messages)
        assert len(gateway.engine.requests) - before == 6
        assert slack.violations == []


async def test_it_waits_for_a_slack_that_cannot_be_reached_and_can_still_be_stopped(
    tmp_path: Path,
) -> None:
    variables = environment(
        None,
        SLACK_API_BASE="http://127.0.0.1:9/api/",
        SLACK_BOT_TOKEN=f"xoxb-{SECRET}",
        SLACK_APP_TOKEN=f"xapp-{SECRET}",
        PERSONAE_HOME=str(tmp_path),
    )
    async with process(variables) as running:
        assert running.stderr is not None
        async for line in running.stderr:
            if b"Slack can't be reached" in line:
                break
        running.send_signal(signal.SIGTERM)
        _, err = await running.communicate()
    assert running.returncode == 0
    assert b"Traceback" not in err
