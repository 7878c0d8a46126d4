"""What Slack delivers → what the bot does. Listeners filter, acknowledge and start a task, no more.

Slack wants an acknowledgement within three seconds and delivers an event up to three times more when
it comes late. So nothing here waits for the gateway, and nothing is answered twice.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.core.people import Person, Place
from bot.on_slack import modals
from bot.on_slack.agent import suggest_prompts
from bot.on_slack.arrivals import Arrival, Payload, from_command, from_interaction, from_message
from bot.on_slack.controls import Controls
from bot.on_slack.dialogs import Dialogs
from bot.on_slack.live import Live, reopened
from bot.on_slack.messages import PREFIX
from bot.on_slack.privacy import Counter
from bot.on_slack.questions import Questions, deleted_message, is_question
from bot.on_slack.seen import Seen
from bot.on_slack.tasks import Tasks
from bot.on_slack.typed import Typed, as_typed
from bot.on_slack.visits import Visit, Wiring, attend

log = logging.getLogger(__name__)

Administer = Callable[[list[str], Person, Place], Awaitable[str]]
Work = Callable[[Visit], Awaitable[None]]

_OURS = re.compile(rf"^{PREFIX}")


class Listeners:
    """The listeners of one app, and the work they start.

    `events`, `commands` and `shortcuts` are all that is registered, besides the buttons and modals whose
    ids begin with `p:`; the app manifest must name them.

    Args:
        administer: does what `/personae …` says; a sentence for the person.
    """

    def __init__(self, wiring: Wiring, tasks: Tasks, *, administer: Administer) -> None:
        self._wiring = wiring
        self._tasks = tasks
        self._administer = administer
        self._seen = Seen()
        self._live = Live(wiring)
        self._dialogs = Dialogs(wiring)
        self._questions = Questions(wiring, self._live, self._dialogs)
        self._controls = Controls(wiring, self._live, self._dialogs)
        self._counter = Counter(wiring, self._dialogs)
        self.events = {
            "app_mention": self._on_mention,
            "message": self._on_message,
            "agent_session_stopped": self._on_stopped,
        }
        self.commands = {
            "/ask": self._command(lambda text, visit: self._questions.ask(text, visit)),
            "/rewrite": self._command(lambda text, visit: self._questions.rewrite(text, visit)),
            "/personas": self._command(
                lambda text, visit: self._counter.personas(text.split(), visit)
            ),
            "/usage": self._command(lambda _, visit: self._counter.usage(visit)),
            "/privacy": self._command(
                lambda text, visit: self._counter.privacy(text.split(), visit)
            ),
            "/personae": self._command(self._do_administer, decides=True),
        }
        self.shortcuts = {"ask_about": self._on_ask_about, "rewrite_as": self._on_rewrite_as}

    def register(self, app: AsyncApp) -> None:
        for event, on_event in self.events.items():
            app.event(event)(on_event)
        for command, on_command in self.commands.items():
            app.command(command)(on_command)
        for callback, on_shortcut in self.shortcuts.items():
            app.shortcut(callback)(on_shortcut)
        app.action(_OURS)(self._on_action)
        app.view(_OURS)(self._on_view)
        app.error(self._on_error)

    async def recover(self) -> int:
        """Take up the answers of processes that are gone; how many. At the start, and now and then."""
        return await self._wiring.desk.recover(
            functools.partial(
                reopened,
                workspaces=self._wiring.workspaces,
                post_seconds=self._wiring.post_seconds,
            )
        )

    async def prompts(self, team: str, user: str, channel: str) -> None:
        """Somebody opened a conversation with the bot."""
        work = suggest_prompts(self._wiring, team, user, channel)
        self._tasks.start(work, name="suggested prompts")

    # ---- events

    async def _on_mention(self, event: Payload, body: Payload) -> None:
        if is_question(event) and self._is_new(event, body):
            self._answer(event, body)

    async def _on_message(self, event: Payload, body: Payload) -> None:
        """Direct messages, and what the app hears of channels where it is subscribed to them."""
        gone = deleted_message(event)
        if gone is not None:
            channel, ts = gone
            work = self._wiring.desk.message_deleted(ts, channel)
            self._tasks.start(work, name=f"deletion of {channel}/{ts}")
        elif not is_question(event):
            return
        elif event.get("channel_type") == "im":
            if self._is_new(event, body):
                self._answer(event, body)
        elif event.get("thread_ts"):
            self._tasks.start(self._follow_up(event, body), name="a reply in a thread")

    async def _follow_up(self, event: Payload, body: Payload) -> None:
        if await self._questions.is_for_us(event, body) and self._is_new(event, body):
            arrival = from_message(event, body)
            await attend(
                self._wiring, arrival, lambda visit: self._questions.message(event, body, visit)
            )

    async def _on_stopped(self, event: Payload, body: Payload) -> None:
        arrival = Arrival(
            key=f"stop:{body.get('event_id')}",
            team=str(body.get("team_id") or ""),
            user=str(event.get("user") or ""),
            channel=str(event.get("channel") or ""),
            thread=str(event.get("thread_ts") or "") or None,
        )
        if self._seen.first_time(arrival.key):
            self._attend(arrival, self._live.stop, name="a native stop")

    def _answer(self, event: Payload, body: Payload) -> None:
        self._attend(
            from_message(event, body),
            lambda visit: self._questions.message(event, body, visit),
            name=f"answer to {event['channel']}/{event['ts']}",
        )

    def _is_new(self, event: Payload, body: Payload) -> bool:
        """Not seen before, as this delivery or as this message."""
        message = ("message", body.get("team_id"), event["channel"], event["ts"])
        delivery = ("event", body.get("event_id"))
        return self._seen.first_time(*([delivery] if delivery[1] else []), message)

    # ---- commands, shortcuts, buttons, modals

    def _command(
        self, work: Callable[[str, Visit], Awaitable[None]], *, decides: bool = False
    ) -> Callable[[AsyncAck, Payload], Coroutine[Any, Any, None]]:
        async def on_command(ack: AsyncAck, command: Payload) -> None:
            await ack()
            arrival = from_command(command)
            if self._seen.first_time(arrival.key):
                text = str(command.get("text") or "")
                name = f"{command.get('command')} in {arrival.channel}"
                self._attend(
                    arrival,
                    lambda visit: work(text, visit),
                    name=name,
                    decides=decides,
                    claims=True,
                )

        return on_command

    async def _do_administer(self, text: str, visit: Visit) -> None:
        await visit.tell(await self._administer(as_typed(text).split(), visit.person, visit.place))

    async def _on_ask_about(self, ack: AsyncAck, body: Payload) -> None:
        await ack()
        about = as_typed(str((body.get("message") or {}).get("text") or ""))
        self._interact(body, lambda visit: self._dialogs.ask(visit, about=about))

    async def _on_rewrite_as(self, ack: AsyncAck, body: Payload) -> None:
        await ack()
        text = as_typed(str((body.get("message") or {}).get("text") or ""))
        self._interact(body, lambda visit: self._dialogs.rewrite(visit, text=text))

    async def _on_action(self, ack: AsyncAck, body: Payload, action: Payload) -> None:
        await ack()
        control = self._controls.by_name.get(str(action.get("action_id", "")).removeprefix(PREFIX))
        value = str(action.get("value") or "")
        if control is not None:
            self._interact(body, lambda visit: control(visit, value), decides=True)

    async def _on_view(self, ack: AsyncAck, body: Payload, view: Payload) -> None:
        await ack()
        notes, given = modals.notes_of(view), modals.filled_in(view)
        sent = from_interaction(body)
        arrival = Arrival(
            key=f"view:{view.get('id')}:{view.get('hash')}",
            team=sent.team,
            user=sent.user,
            channel=notes.get("channel", ""),
            enterprise=sent.enterprise,
            name=sent.name,
            thread=notes.get("thread"),
            response_url=notes.get("url"),
            trigger_id=sent.trigger_id,
            private=bool(notes.get("private")),
        )
        callback = str(view.get("callback_id") or "")
        if self._seen.first_time(arrival.key):
            self._attend(
                arrival,
                lambda visit: self._take(callback, notes, given, visit),
                name=f"modal {callback}",
                decides=callback == modals.REVISE,
                claims=True,
            )

    async def _take(
        self, callback: str, notes: dict[str, str], given: dict[str, str], visit: Visit
    ) -> None:
        answer = notes.get("answer", "")
        if callback == modals.ASK:
            about = notes.get("about", "")
            text = f"{given.get('question', '')}\n\n{about}".strip()
            private = bool(given.get("private"))
            typed = Typed("ask", given.get("persona") or None, text, private)
            await self._questions.from_modal(typed, notes.get("thread"), visit)
        elif callback == modals.REWRITE:
            strength = given.get("strength") or "normal"
            persona = given.get("persona") or None
            typed = Typed("rewrite", persona, given.get("text", ""), True, strength)  # type: ignore[arg-type]
            await self._questions.from_modal(typed, notes.get("thread"), visit)
        elif callback == modals.OTHER:
            await self._controls.by_other(visit, answer, given.get("persona", ""))
        elif callback == modals.REASON:
            await self._controls.give_reason(visit, answer, given.get("reason", ""))
        elif callback == modals.REVISE:
            await self._controls.take_revision(visit, answer, given.get("revision", ""))

    # ---- tasks

    def _interact(self, body: Payload, work: Work, *, decides: bool = False) -> None:
        arrival = from_interaction(body)
        if self._seen.first_time(arrival.key):
            self._attend(arrival, work, name="a button or shortcut", decides=decides)

    def _attend(
        self,
        arrival: Arrival,
        work: Work,
        *,
        name: str,
        decides: bool = False,
        claims: bool = False,
    ) -> None:
        doing = attend(self._wiring, arrival, work, decides=decides, claims=claims)
        self._tasks.start(doing, name=name)

    async def _on_error(self, error: Exception, body: Payload) -> None:
        """A listener failed before its task could begin."""
        log.error("a listener failed on a delivery of type %s", body.get("type"), exc_info=error)
