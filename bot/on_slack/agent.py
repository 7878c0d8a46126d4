"""The agent container: what Slack suggests to somebody who opens a conversation with the bot."""

from __future__ import annotations

import logging

from slack_sdk.errors import SlackApiError

from bot.core.people import Place
from bot.core.sentences import speaker
from bot.on_slack.errors import slack_code
from bot.on_slack.visits import Wiring

log = logging.getLogger(__name__)

_MOST_PROMPTS = 4


async def suggest_prompts(wiring: Wiring, team: str, user: str, channel: str) -> None:
    """Up to four personas to begin with. Nobody waits for it, and without it everything works."""
    workspace = await wiring.workspaces.of(team)
    person = await wiring.people.person(team, user)
    say = speaker(person.locale)
    place = Place("slack", team, channel, None, direct=True)
    cards = (await wiring.desk.personas(place, person))[:_MOST_PROMPTS]
    prompts = [
        {
            "title": say("slack-prompt-title", name=card.display_name),
            "message": say("slack-prompt", id=card.id),
        }
        for card in cards
    ]
    if not prompts or workspace.client.busy("assistant.threads.setSuggestedPrompts"):
        return
    try:
        # Without a thread: with one, Slack ignores the call of an app whose view is an agent's.
        await workspace.client.assistant_threads_setSuggestedPrompts(
            channel_id=channel, prompts=prompts, title=say("slack-prompts-title")
        )
    except SlackApiError as err:
        log.info("slack refused the suggested prompts (%s)", slack_code(err))
