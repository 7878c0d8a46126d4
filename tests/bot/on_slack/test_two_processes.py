"""Two bots on one database, one app: whatever Slack delivers, to whichever, is answered once."""

from __future__ import annotations

from pathlib import Path

from tests.bot.on_slack.bench import MANIFEST, running_frontend, settings_for, shown_everywhere
from tests.conftest import RunningGateway
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


async def test_what_is_delivered_to_both_is_answered_once(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'bots.db'}"
    with FakeSlack(MANIFEST) as slack:
        settings = settings_for(slack, gateway.url, url, policy={"answers_at_once": 9})
        async with running_frontend(settings), running_frontend(settings):
            await slack.until(lambda: slack.open_sockets == 4, "four connections")
            first = [
                slack.mention("lincoln What of the Union?"),
                slack.direct("lincoln What of the law?"),
                slack.command("/ask", "roosevelt What of the forests?"),
                slack.command("/rewrite", "lincoln we should try harder"),
            ]
            # Four connections take turns, so each delivery reaches both processes.
            again = [slack.redeliver(delivery) for delivery in first for _ in range(4)]
            await slack.until(lambda: all(d.acked for d in first + again), "acknowledgements")
            await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 4, "four answers")
            assert len(slack.bot_messages) == 3
            assert len(slack.private) == 2
        assert slack.violations == []
    asked = [str(request["messages"]) for request in gateway.engine.requests]
    for words in ("of the Union?", "of the law?", "of the forests?", "should try harder"):
        assert len([prompt for prompt in asked if words in prompt]) == 1
