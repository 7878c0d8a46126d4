"""The real Slack frontend in the test's loop, between a strict fake Slack and a gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from bot.core.gateway_client import GatewayClient
from bot.on_slack.frontend import SlackFrontend
from tests.fakes.slack_platform import FakeSlack

REPOSITORY = Path(__file__).parents[3]
MANIFEST: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "deploy" / "slack" / "manifest.yaml").read_text()
)

# The fake's clocks run twenty times faster than Slack's, so the bot's paces do too.
QUICK: dict[str, Any] = {
    "edit_seconds": 0.075,
    "post_seconds": 0.05,
    "ping_seconds": 0.2,
    "backoff_seconds": 0.02,
}


@asynccontextmanager
async def slack_bot(
    gateway_url: str,
    *,
    admin_key: str | None = None,
    slack: FakeSlack | None = None,
    **options: Any,
) -> AsyncIterator[FakeSlack]:
    """A bot that is connected; at the end Slack must have had nothing to complain of."""
    fake = slack or FakeSlack(MANIFEST)
    with fake:
        async with (
            GatewayClient(gateway_url, admin_key=admin_key) as gateway,
            SlackFrontend(
                bot_token=fake.bot_token,
                app_token=fake.app_token,
                gateway=gateway,
                can_administer=admin_key is not None,
                api_base=fake.api_base,
                **(QUICK | options),
            ),
        ):
            await fake.until(lambda: fake.open_sockets == 2, "two connections")
            yield fake
        assert fake.violations == []


def shown_everywhere(slack: FakeSlack) -> str:
    """All the bot's messages, public then private, as they stand now."""
    public = [message.shown for message in slack.bot_messages]
    return "\n".join(public + [private.shown for private in slack.private])
