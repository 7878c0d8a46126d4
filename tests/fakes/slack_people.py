"""What people do in the fake Slack: write, use commands, click, fill in modals, delete.

`People` is the half of `FakeSlack` that tests use most; every act is one delivery to the app.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tests.fakes import slack_blocks as kit
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import Delivery, Message, Private, View, Workspace

Payload = dict[str, Any]


class People(Workspace, ABC):
    """Acts of people; `_deliver` is the platform's."""

    @abstractmethod
    def _deliver(self, delivery: Delivery) -> Delivery: ...

    # ---- writing

    def mention(
        self,
        text: str,
        *,
        channel: str = world.GENERAL,
        user: str = world.ADA,
        thread_ts: str | None = None,
        without: tuple[str, ...] = (),
        **more: Any,
    ) -> Delivery:
        """Somebody writes `@personae <text>`; `more` are further keys of the event, those of
        `without` are left out."""
        team = world.team_of(channel)
        text = f"<@{world.BOTS[team][0]}> {text}"
        event = world.message_event(
            "app_mention", user=user, channel=channel, text=text, ts=world.new_ts(), team=team
        )
        event |= _thread(thread_ts) | more
        event = {key: value for key, value in event.items() if key not in without}
        return self._event("app_mention", event, team)

    def twin(self, delivery: Delivery, kind: str) -> Delivery:
        """The same message as another kind of event, as apps get it that subscribe to both."""
        name, _, channel_type = kind.partition(".")
        event = {**delivery.payload["event"], "type": name}
        event |= {"channel_type": channel_type} if channel_type else {}
        return self._event(kind, event, delivery.payload["team_id"])

    def direct(
        self, text: str, *, thread_ts: str | None = None, user: str = world.ADA, **more: Any
    ) -> Delivery:
        """Somebody (Ada) writes to the bot alone."""
        channel = world.direct_of(user)
        team = world.team_of(channel)
        event = world.message_event(
            "message.im", user=user, channel=channel, text=text, ts=world.new_ts(), team=team
        )
        return self._event("message.im", event | _thread(thread_ts) | more, team)

    def command(
        self, command: str, text: str, *, user: str = world.ADA, channel: str = world.GENERAL
    ) -> Delivery:
        """Somebody uses a slash command."""
        assert command in self.commands, f"the manifest has no command {command}"
        team = world.team_of(channel)
        payload = world.slash_command(
            command,
            text,
            user=user,
            channel=channel,
            response_url=self.new_response_url(user, channel, team),
            trigger_id=self.new_trigger(user, team),
            team=team,
        )
        return self._deliver(Delivery("slash_commands", payload))

    def redeliver(self, delivery: Delivery) -> Delivery:
        """The same once more under the same ids, as if the acknowledgement had been lost."""
        return self._deliver(Delivery(delivery.kind, delivery.payload))

    def delete(self, message: Message, *, user: str = world.ADA) -> None:
        """Somebody deletes a message of the bot; an app that hears the channel is told."""
        message.deleted = True
        message.streaming = False
        self._tell_deleted(
            message.channel,
            message.ts,
            world.BOTS[message.team][0],
            message.shown,
            message.thread_ts,
            bot=True,
        )

    def delete_question(self, delivery: Delivery) -> None:
        """The person deletes what they wrote."""
        event = delivery.payload["event"]
        self._tell_deleted(
            event["channel"],
            event["ts"],
            event["user"],
            event["text"],
            event.get("thread_ts"),
            bot=False,
        )

    def _tell_deleted(
        self, channel: str, ts: str, user: str, text: str, thread_ts: str | None, *, bot: bool
    ) -> None:
        kind = "message.im" if channel.startswith("D") else "message.channels"
        if kind not in self.events | self.extra_events:
            return
        team = world.team_of(channel)
        event = world.message_deleted(
            channel=channel, ts=ts, user=user, text=text, thread_ts=thread_ts, bot=bot, team=team
        )
        self._event(kind, event, team)

    # ---- the app's home and the agent container

    def open_home(self, user: str = world.ADA, tab: str = "home") -> Delivery:
        channel = world.direct_of(user)
        team = world.team_of(channel)
        event: Payload = {
            "type": "app_home_opened",
            "user": user,
            "channel": channel,
            "tab": tab,
            "event_ts": world.new_ts(),
        }
        home = self.home(user)
        if tab == "home" and home is not None:
            event["view"] = home.as_payload()
        return self._event("app_home_opened", event, team)

    def home(self, user: str = world.ADA) -> View | None:
        """The App Home as this person sees it."""
        found = [view for view in self.views if (view.kind, view.user) == ("home", user)]
        return found[-1] if found else None

    def stop_session(
        self, channel: str = world.DIRECT, thread_ts: str = "", *, user: str = world.ADA
    ) -> Delivery:
        """Somebody presses the native stop button: Slack ends the thread's streams and says so."""
        stopped = []
        for message in self.bot_messages:
            here = (message.channel, message.thread_ts) == (channel, thread_ts)
            if here and message.streaming:
                message.streaming = False
                stopped.append(message.ts)
        event = {
            "type": "agent_session_stopped",
            "channel": channel,
            "thread_ts": thread_ts,
            "user": user,
            "streaming_message_ts": stopped,
            "event_ts": world.new_ts(),
        }
        return self._event("agent_session_stopped", event, world.team_of(channel))

    # ---- clicking

    def message_action(
        self,
        callback_id: str,
        target: Delivery | Message,
        *,
        user: str = world.ADA,
        text: str | None = None,
    ) -> Delivery:
        """A message shortcut on somebody's message or on one of the bot's."""
        assert self.shortcuts.get(callback_id) == "message", f"no message shortcut {callback_id}"
        if isinstance(target, Message):
            channel, ts = target.channel, target.ts
            message: Payload = {"bot_id": world.BOT_ID, "text": target.shown, "ts": ts}
            message |= {"user": world.BOT, "blocks": target.now.get("blocks") or []}
            message |= _thread(target.thread_ts)
        else:
            event = target.payload["event"]
            channel, ts = event["channel"], event["ts"]
            message = {"user": event["user"], "text": event["text"], "ts": ts}
            message |= _thread(event.get("thread_ts"))
        if text is not None:
            message["text"] = text
        team = world.team_of(channel)
        payload = world.interaction(
            "message_action",
            user=user,
            team=team,
            trigger_id=self.new_trigger(user, team),
            callback_id=callback_id,
            channel={"id": channel, "name": "somewhere"},
            message={"type": "message", "team": team} | message,
            message_ts=ts,
            response_url=self.new_response_url(user, channel, team),
            action_ts=world.new_ts(),
        )
        return self._deliver(Delivery("interactive", payload))

    def shortcut(self, callback_id: str, *, user: str = world.ADA) -> Delivery:
        """A global shortcut."""
        assert self.shortcuts.get(callback_id) == "global", f"no global shortcut {callback_id}"
        team = world.person_of(user)["team_id"]
        payload = world.interaction(
            "shortcut",
            user=user,
            team=team,
            trigger_id=self.new_trigger(user, team),
            callback_id=callback_id,
            action_ts=world.new_ts(),
        )
        return self._deliver(Delivery("interactive", payload))

    def press(
        self,
        where: Message | Private | View,
        action_id: str,
        *,
        value: str | None = None,
        user: str | None = None,
    ) -> Delivery:
        """Click a button or choose something, which must be there now.

        Args:
            action_id: whole, or its beginning where only one element has it.
            value: what is chosen of a select or of the feedback buttons.
        """
        element = _element(where, action_id)
        user = user or (world.ADA if isinstance(where, Message) else where.user)
        team = where.team
        action: Payload = {
            "type": element["type"],
            "action_id": element["action_id"],
            "block_id": element["block_id"],
            "action_ts": world.new_ts(),
        } | _chosen(element, value)
        more: Payload = {"actions": [action]}
        if isinstance(where, View):
            more["view"] = where.as_payload()
            more["container"] = {"type": "view", "view_id": where.id}
        else:
            ephemeral = isinstance(where, Private)
            message = {"type": "message", "ts": where.ts, "text": where.now.get("text") or ""}
            message |= _thread(where.thread_ts) | {"user": world.BOTS[team][0]}
            more["container"] = {
                "type": "message",
                "message_ts": where.ts,
                "channel_id": where.channel,
                "is_ephemeral": ephemeral,
            } | _thread(where.thread_ts)
            more["channel"] = {"id": where.channel, "name": "somewhere"}
            more["response_url"] = self.new_response_url(user, where.channel, team, where)
            if not ephemeral:  # Slack leaves the message out of clicks on ephemeral ones
                more["message"] = message | {"blocks": where.now.get("blocks") or []}
        payload = world.interaction(
            "block_actions",
            user=user,
            team=team,
            trigger_id=self.new_trigger(user, team),
            **more,
        )
        return self._deliver(Delivery("interactive", payload))

    def suggest(self, where: View, action_id: str, typed: str) -> Delivery:
        """Somebody types into an external select; the choices come in `ack_payload`."""
        element = _element(where, action_id)
        payload = world.interaction(
            "block_suggestion",
            user=where.user,
            team=where.team,
            trigger_id=None,
            action_id=element["action_id"],
            block_id=element["block_id"],
            value=typed,
            view=where.as_payload(),
        )
        return self._deliver(Delivery("interactive", payload))

    def submit(
        self, view: View, values: dict[str, str | list[str]], *, user: str | None = None
    ) -> Delivery:
        """Send a modal off; `values` by action_id, the rest as it stands in the view."""
        assert view.kind == "modal" and not view.closed, "no open modal"
        state: dict[str, Payload] = {}
        used = set()
        for element in view.elements:
            name = element["action_id"]
            given = values.get(name)
            used |= {name} if name in values else set()
            filled = _filled(element, given)
            block = next(b for b in view.now["blocks"] if _holds(b, name))
            if block["type"] == "input" and not block.get("optional"):
                assert any(filled[key] for key in filled if key != "type"), f"{name} is empty"
            state.setdefault(element["block_id"], {})[name] = filled
        assert used == set(values), f"no such inputs: {set(values) - used}"
        payload = view.as_payload() | {"state": {"values": state}}
        user = user or view.user
        view.closed = True  # an acknowledgement may open it again
        interaction = world.interaction(
            "view_submission",
            user=user,
            team=view.team,
            trigger_id=self.new_trigger(user, view.team),
            view=payload,
            response_urls=[],
        )
        return self._deliver(Delivery("interactive", interaction))

    # ---- events

    def _event(self, kind: str, event: Payload, team: str = world.TEAM) -> Delivery:
        assert kind in self.events | self.extra_events, f"the app is not subscribed to {kind}"
        if kind in self.events:
            scope = rules.EVENT_SCOPES[kind]
            assert scope is None or scope in self.scopes, f"{kind} needs a scope it lacks"
        return self._deliver(Delivery("events_api", world.event_callback(event, team)))


def _element(where: Message | Private | View, action_id: str) -> Payload:
    found = [element for element in where.elements if element["action_id"] == action_id]
    found = found or [
        element for element in where.elements if element["action_id"].startswith(action_id)
    ]
    known = [element["action_id"] for element in where.elements]
    assert len(found) == 1, f"{len(found)} elements {action_id!r} among {known}"
    return found[0]


def _chosen(element: Payload, value: str | None) -> Payload:
    kind = element["type"]
    if kind in {"button", "icon_button"}:
        return {"value": element["value"]} if "value" in element else {}
    assert value is not None, f"choose something of {kind}"
    if kind == "feedback_buttons":
        assert value in kit.choices_of(element), f"{value!r} is none of its values"
        return {"value": value}
    if kind in {"conversations_select", "channels_select"}:
        return {f"selected_{kind.partition('s_')[0]}": value}
    return {"selected_option": _option(element, value)}


def _option(element: Payload, value: str) -> Payload:
    if element["type"] == "external_select":
        return {"text": {"type": "plain_text", "text": value}, "value": value}
    groups = element.get("option_groups") or [{"options": element["options"]}]
    found = [option for group in groups for option in group["options"] if option["value"] == value]
    assert found, f"{value!r} is none of {kit.choices_of(element)}"
    return dict(found[0])


def _filled(element: Payload, given: str | list[str] | None) -> Payload:
    """One entry of a view's state."""
    kind = element["type"]
    if kind in {"plain_text_input", "number_input"}:
        value = given if given is not None else element.get("initial_value")
        assert not isinstance(value, list)
        most = int(element.get("max_length", 3_000))
        assert value is None or len(value) <= most, "longer than the input takes"
        return {"type": kind, "value": value or None}
    if kind in {"multi_static_select", "checkboxes"}:
        chosen = element.get("initial_options", [])
        if given is not None:
            chosen = [_option(element, value) for value in given]
        return {"type": kind, "selected_options": chosen}
    if kind in {"conversations_select", "channels_select"}:
        key = "conversation" if kind.startswith("conversations") else "channel"
        return {"type": kind, f"selected_{key}": given or element.get(f"initial_{key}")}
    if kind in {"button", "icon_button"}:
        return {"type": kind}
    assert not isinstance(given, list)
    chosen_one = element.get("initial_option") if given is None else _option(element, given)
    return {"type": kind, "selected_option": chosen_one}


def _holds(block: Payload, action_id: str) -> bool:
    return any(element["action_id"] == action_id for element in kit.elements_of(block))


def _thread(thread_ts: str | None) -> Payload:
    return {"thread_ts": thread_ts} if thread_ts else {}
