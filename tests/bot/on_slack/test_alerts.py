"""A question that nobody has written about reaches the channel that a workspace set for it."""

from __future__ import annotations

from pathlib import Path

from personae.persona import Cast
from tests.bot.on_slack.bench import slack_bot
from tests.bot.on_slack.test_admin import said_to
from tests.conftest import gateway_over, with_floor
from tests.fakes import slack_payloads as world
from tests.fakes.engine import FakeEngine

ASKED = "lincoln How do I bake sourdough pizza?"


async def test_an_unanswered_question_is_told_where_the_workspace_wants_it(
    engine: FakeEngine, cast: Cast, tmp_path: Path
) -> None:
    declining = Cast((with_floor(its, None), cast.folder(its.id)) for its in cast.values())
    async with (
        gateway_over(engine, declining, tmp_path) as gateway,
        slack_bot(gateway.url, admin_key=gateway.admin_key) as slack,
    ):
        await said_to(slack, "alerts here", user=world.GRACE, channel=world.GENERAL)
        question = slack.direct(ASKED)
        told = "Abraham Lincoln has not written about this"
        await slack.until(
            lambda: any(
                message.channel == world.GENERAL and told in message.shown
                for message in slack.bot_messages
            ),
            "an alert",
        )
        [alert] = [one for one in slack.bot_messages if one.channel == world.GENERAL]
        assert "sourdough pizza" in alert.shown and alert.pings == set()
        [answer] = [one for one in slack.bot_messages if one is not alert]
        assert answer.channel == question.payload["event"]["channel"]
        assert declining["lincoln"].refusal in answer.shown
