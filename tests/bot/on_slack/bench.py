"""The real Slack frontend in the test's loop, between a strict fake Slack and a gateway."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from bot.core.gateway_client import GatewayClient
from bot.on_slack.paced_client import RATES, faster
from bot.on_slack.presence import SlackFrontend
from bot.on_slack.settings import SlackSettings
from bot.state.database import parsed, pooled_engine
from bot.state.store import State
from tests.fakes.slack_platform import FakeSlack

REPOSITORY = Path(__file__).parents[3]
MANIFEST: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "deploy" / "slack" / "manifest.yaml").read_text()
)

# The fake's clocks run twenty times faster than Slack's, so the bot's paces do too.
QUICK: dict[str, Any] = {
    "edit_seconds": 0.085,
    "post_seconds": 0.05,
    "ping_seconds": 1.0,
    "backoff_seconds": 0.02,
    "rates": faster(RATES, 20),
}


def bot_environment(
    slack: FakeSlack, gateway_url: str, home: Path, *, admin_key: str = ""
) -> dict[str, str]:
    """Of a bot in a process of its own (`tests.bot.bot_process`), as quick as the fake."""
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_APP_TOKEN": slack.app_token,
        "SLACK_API_BASE": slack.api_base,
        "PERSONAE_GATEWAY_URL": gateway_url,
        "PERSONAE_ADMIN_KEY": admin_key,
        "PERSONAE_HOME": str(home),
        "FAKE_SPEED": str(slack.speed),
    }


def settings_for(
    fake: FakeSlack, gateway_url: str, database_url: str, **more: Any
) -> SlackSettings:
    """One workspace over Socket Mode; `more` are further settings, None takes one away."""
    values: dict[str, Any] = {
        "bot_token": fake.bot_token,
        "app_token": fake.app_token,
        "gateway_url": gateway_url,
        "database_url": database_url,
        "api_base": fake.api_base,
        "authorize_url": fake.authorize_url,
        "http_port": 0,
    } | more
    return SlackSettings.model_validate({k: v for k, v in values.items() if v is not None})


@asynccontextmanager
async def running_frontend(settings: SlackSettings, **options: Any) -> AsyncIterator[SlackFrontend]:
    """The frontend with what it is given: a gateway's client, the state, the installations' engine."""

    def secret(value: Any) -> str | None:
        return value.get_secret_value() if value is not None else None

    database_url = settings.database_url.get_secret_value()
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(
            GatewayClient(
                settings.gateway_url,
                api_key=secret(settings.api_key),
                admin_key=secret(settings.admin_key),
            )
        )
        state = await stack.enter_async_context(State.open(database_url))
        engine = None
        if settings.installs:
            engine = pooled_engine(parsed(database_url))
            stack.push_async_callback(engine.dispose)
        frontend = SlackFrontend(
            settings, gateway=gateway, state=state, engine=engine, **(QUICK | options)
        )
        yield await stack.enter_async_context(frontend)


@asynccontextmanager
async def slack_bot(
    gateway_url: str,
    *,
    admin_key: str | None = None,
    slack: FakeSlack | None = None,
    database_url: str | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[FakeSlack]:
    """A bot that is connected; at the end Slack must have had nothing to complain of.

    Args:
        database_url: of the bot's state; None: a file that is gone afterwards.
        settings: further fields of `SlackSettings`; options: of `SlackFrontend`.
    """
    fake = slack or FakeSlack(MANIFEST)
    folder = Path(tempfile.mkdtemp(prefix="slack-bot-"))
    url = database_url or f"sqlite:///{folder / 'bots.db'}"
    try:
        with fake:
            chosen = settings_for(fake, gateway_url, url, admin_key=admin_key, **(settings or {}))
            async with running_frontend(chosen, **options):
                if chosen.app_token is not None:
                    await fake.until(lambda: fake.open_sockets == 2, "two connections")
                yield fake
            assert fake.violations == []
            assert fake.too_early == []
    finally:
        shutil.rmtree(folder)


def shown_everywhere(slack: FakeSlack) -> str:
    """All the bot's messages, public then private, as they stand now."""
    public = [message.shown for message in slack.bot_messages if not message.deleted]
    return "\n".join(public + [one.shown for one in slack.private if not one.deleted])
