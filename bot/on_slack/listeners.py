"""What Slack delivers → what the bot does. Listeners filter, acknowledge and start a task, no more.

Slack wants an acknowledgement within three seconds and delivers an event up to three times more when
it comes late. So nothing here waits for the gateway, and nothing is answered twice.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.core import sentences
from bot.on_slack.admin import AdminDesk
from bot.on_slack.answers import Answers, Names, Talk, Tasks
from bot.on_slack.errors import explain, guarded, slack_code
from bot.on_slack.identity import Identity
from bot.on_slack.replies import CANT_POST, ChannelReply, PrivateReply
from bot.on_slack.seen import Seen
from bot.on_slack.text import Task, Typed, after_mention, as_typed, parse
from personae.errors import RequestError
from personae.wire import AskRequest, RewriteRequest

log = logging.getLogger(__name__)

Payload = dict[str, Any]


class Listeners:
    """The listeners of one app, and the work they start.

    `events` and `commands` are all that is registered; the app manifest must subscribe to them.
    """

    def __init__(
        self,
        *,
        client: AsyncWebClient,
        identity: Identity,
        answers: Answers,
        names: Names,
        desk: AdminDesk,
        tasks: Tasks,
        post_seconds: float,
    ) -> None:
        self._client = client
        self._identity = identity
        self._answers = answers
        self._names = names
        self._desk = desk
        self._tasks = tasks
        self._post_seconds = post_seconds
        self._seen = Seen()
        self.events = {"app_mention": self._on_mention, "message": self._on_message}
        self.commands = {
            "/ask": self._on_ask,
            "/rewrite": self._on_rewrite,
            "/personae": self._on_personae,
        }

    def register(self, app: AsyncApp) -> None:
        for event, on_event in self.events.items():
            app.event(event)(on_event)
        for command, on_command in self.commands.items():
            app.command(command)(on_command)
        app.error(self._on_error)

    async def _on_mention(self, event: Payload, body: Payload) -> None:
        if self._is_new_question(event, body):
            self._converse(event, body, event.get("thread_ts") or event["ts"])

    async def _on_message(self, event: Payload, body: Payload) -> None:
        """Direct messages. Other messages come too if the app subscribes to them: not for us."""
        if event.get("channel_type") == "im" and self._is_new_question(event, body):
            self._converse(event, body, event.get("thread_ts"))

    async def _on_ask(self, ack: AsyncAck, command: Payload) -> None:
        await ack()
        self._take(command, "ask", sentences.ASK_USAGE)

    async def _on_rewrite(self, ack: AsyncAck, command: Payload) -> None:
        is_complete = len(command.get("text", "").split(maxsplit=1)) == 2
        await ack(text=sentences.REWRITING if is_complete else "")
        self._take(command, "rewrite", sentences.REWRITE_USAGE)

    async def _on_personae(self, ack: AsyncAck, command: Payload) -> None:
        await ack()
        if self._is_new(("command", command.get("trigger_id"))):
            reply = self._privately(command)
            work = guarded(self._administer(command, reply), Talk(reply).end)
            self._tasks.start(work, name="/personae")

    async def _on_error(self, error: Exception, body: Payload) -> None:
        """A listener failed before its task could begin: tell whoever can be told."""
        found = explain(error)
        event = body.get("event") or {}
        if body.get("response_url"):
            talk = Talk(self._privately(body))
        elif event.get("channel"):
            talk = Talk(self._in_channel(event["channel"], event.get("thread_ts")))
        else:
            return
        self._tasks.start(guarded(talk.end(found), talk.end), name="telling of an error")

    def _is_new_question(self, event: Payload, body: Payload) -> bool:
        """Asked by a person, and not seen before as this delivery or as this message."""
        if event.get("bot_id") or event.get("subtype") or not event.get("user"):
            return False
        message = ("message", body.get("team_id"), event["channel"], event["ts"])
        return self._is_new(("event", body.get("event_id")), message)

    def _is_new(self, *keys: tuple[Hashable, ...]) -> bool:
        return self._seen.first_time(*(key for key in keys if key[-1] is not None))

    # The work, in tasks of its own.

    def _converse(self, event: Payload, body: Payload, thread_ts: str | None) -> None:
        text = after_mention(event.get("text") or "", self._identity.user_id)
        talk = Talk(self._in_channel(event["channel"], thread_ts))
        person = _opaque(body.get("team_id"), event["user"])
        work = guarded(self._answer_message(talk, text, person), talk.end)
        self._tasks.start(work, name=f"answer to {event['channel']}/{event['ts']}")

    async def _answer_message(self, talk: Talk, text: str, person: str) -> None:
        names = await self._names.get()
        typed = parse(text, names)
        if typed is None:
            known = f" {sentences.personas_here(set(names.values()))}" if names else ""
            raise RequestError(sentences.MENTION_USAGE + known)
        await talk.show()
        await self._answers.run(_request(typed, person), talk)

    def _take(self, command: Payload, task: Task, usage: str) -> None:
        if self._is_new(("command", command.get("trigger_id"))):
            reply = self._privately(command)
            talk = Talk(reply)
            work = guarded(self._answer_command(talk, reply, command, task, usage), talk.end)
            self._tasks.start(work, name=f"/{task} in {command['channel_id']}")

    async def _answer_command(
        self, talk: Talk, private: PrivateReply, command: Payload, task: Task, usage: str
    ) -> None:
        names = await self._names.get()
        typed = parse(as_typed(command.get("text") or ""), names, task)
        if typed is None:
            known = f" {sentences.personas_here(set(names.values()))}" if names else ""
            raise RequestError(usage + known)
        # A question to nobody is answered by a suggestion, which need not stand in the channel.
        if task == "ask" and (not names or typed.persona in names.values()):
            await self._move_to_channel(talk, private, command, typed)
        person = _opaque(command.get("team_id"), command["user_id"])
        await self._answers.run(_request(typed, person), talk)

    async def _move_to_channel(
        self, talk: Talk, private: PrivateReply, command: Payload, typed: Typed
    ) -> None:
        """Let the answer grow in the channel; where the bot may not post, leave it private."""
        # By name, not by mention: a mention would ping the person about their own question.
        who = command.get("user_name") or "Somebody"
        heading = sentences.asked(who, typed.persona, " ".join(typed.text.split()))
        public = Talk(self._in_channel(command["channel_id"], None), heading)
        try:
            await public.show()
        except SlackApiError as err:
            if slack_code(err) not in CANT_POST:
                raise
            await private.say(sentences.NOT_IN_CHANNEL)
        else:
            talk.reply, talk.heading = public.reply, public.heading

    async def _administer(self, command: Payload, reply: PrivateReply) -> None:
        words = (command.get("text") or "").split()
        names = await self._names.get()
        await reply.say(await self._desk.run(words, command["user_id"], names))

    def _in_channel(self, channel: str, thread_ts: str | None) -> ChannelReply:
        return ChannelReply(
            self._client, channel=channel, thread_ts=thread_ts, post_seconds=self._post_seconds
        )

    def _privately(self, command: Payload) -> PrivateReply:
        webhook = AsyncWebhookClient(
            command["response_url"],
            session=self._client.session,
            retry_handlers=self._client.retry_handlers,
        )
        webhook.proxy = self._client.proxy  # the constructor would take HTTPS_PROXY for None
        return PrivateReply(webhook)


def _request(typed: Typed, person: str) -> AskRequest | RewriteRequest:
    if typed.task == "ask":
        return AskRequest(persona=typed.persona, question=typed.text, user=person, surface="slack")
    return RewriteRequest(persona=typed.persona, text=typed.text, user=person, surface="slack")


def _opaque(team: str | None, user: str) -> str:
    return f"slack:{team}:{user}"
