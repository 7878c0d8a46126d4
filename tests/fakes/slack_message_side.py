"""chat.* of the fake Slack: posts, ephemerals, edits, deletions, native streams."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import Message, Private, Workspace

Payload = dict[str, Any]
Result = tuple[str | None, Payload]

_AUTHOR = ("username", "icon_url", "icon_emoji")


class MessageSide:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.methods: dict[str, Callable[[Payload, str], Result]] = {
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "chat.startStream": self._start,
            "chat.appendStream": self._append,
            "chat.stopStream": self._stop,
        }

    def _no_place(self, arguments: Payload, team: str) -> str | None:
        channel = arguments.get("channel")
        if channel in world.REFUSALS:
            return world.REFUSALS[str(channel)]
        if not world.is_channel(channel) or world.team_of(str(channel)) != team:
            return "channel_not_found"
        return None

    def _post(self, arguments: Payload, team: str) -> Result:
        error = self._no_place(arguments, team) or self._workspace.judge(
            arguments, rules.ARGUMENTS["chat.postMessage"], "chat.postMessage"
        )
        if error:
            return error, {}
        message = Message(
            str(arguments["channel"]),
            world.new_ts(),
            arguments.get("thread_ts"),
            [{"parse": "none", **arguments}],
            author={name: arguments[name] for name in _AUTHOR if name in arguments},
            team=team,
        )
        self._workspace.bot_messages.append(message)
        answer = {"text": arguments.get("text"), "ts": message.ts}
        return None, {"channel": message.channel, "ts": message.ts, "message": answer}

    def _post_ephemeral(self, arguments: Payload, team: str) -> Result:
        error = self._no_place(arguments, team) or self._workspace.judge(
            arguments, rules.ARGUMENTS["chat.postEphemeral"], "chat.postEphemeral"
        )
        if error:
            return error, {}
        try:
            person = world.person_of(str(arguments.get("user")))
        except KeyError:
            return "user_not_in_channel", {}
        private = Private(
            person["id"],
            str(arguments["channel"]),
            "ephemeral",
            [{"parse": "none", **arguments}],
            thread_ts=arguments.get("thread_ts"),
            team=team,
        )
        self._workspace.private.append(private)
        return None, {"message_ts": private.ts}

    def _found(self, arguments: Payload) -> Message | None:
        place = (arguments.get("channel"), arguments.get("ts"))
        return next(
            (
                message
                for message in reversed(self._workspace.bot_messages)
                if (message.channel, message.ts) == place and not message.deleted
            ),
            None,
        )

    def _update(self, arguments: Payload, team: str) -> Result:
        error = self._no_place(arguments, team) or self._workspace.judge(
            arguments, rules.ARGUMENTS["chat.update"], "chat.update"
        )
        if error:
            return error, {}
        message = self._found(arguments)
        if message is None:
            return "message_not_found", {}
        if self._is_streaming(message):
            return "streaming_state_conflict", {}
        state = {"parse": "client", **arguments}
        if not {"blocks", "text", "markdown_text"} & set(arguments):
            state["blocks"] = message.now.get("blocks")
        message.history.append(state)
        return None, {"channel": message.channel, "ts": message.ts, "text": state.get("text")}

    def _delete(self, arguments: Payload, team: str) -> Result:
        message = self._found(arguments)
        if message is None:
            return self._no_place(arguments, team) or "message_not_found", {}
        message.deleted = True
        message.streaming = False
        return None, {"channel": message.channel, "ts": message.ts}

    # ---- streams

    def _is_streaming(self, message: Message) -> bool:
        if message.streaming and message.stream_until < time.monotonic():
            message.streaming = False  # Slack ends a stream after some minutes, even an active one
        return message.streaming

    def _text_of(self, arguments: Payload, where: str) -> tuple[str | None, str]:
        """The Markdown of one append; its error if there is one."""
        chunks = arguments.get("chunks")
        if chunks is not None and "markdown_text" in arguments:
            return "invalid_arguments", ""
        pieces = [arguments.get("markdown_text") or ""]
        for chunk in chunks or []:
            kind = chunk.get("type")
            known = {
                "markdown_text": {"type", "text"},
                "task_update": {"type", "id", "title", "status", "details", "output", "sources"},
                "plan_update": {"type", "title"},
            }
            if kind not in known or set(chunk) - known[kind]:
                self._workspace.violations.append(f"{where}: chunk {sorted(chunk)}")
                return "invalid_chunks", ""
            if kind == "markdown_text":
                pieces.append(chunk.get("text") or "")
        text = "".join(pieces)
        if len(text) > rules.STREAM_CHARACTERS:
            self._workspace.violations.append(f"{where}: {len(text)} characters at once")
            return "msg_too_long", ""
        return None, text

    def _start(self, arguments: Payload, team: str) -> Result:
        if error := self._no_place(arguments, team):
            return error, {}
        channel = str(arguments["channel"])
        if not arguments.get("thread_ts"):
            return "invalid_thread_ts", {}
        if not channel.startswith("D"):
            for name in ("recipient_team_id", "recipient_user_id"):
                if not arguments.get(name):
                    self._workspace.violations.append(f"chat.startStream: no {name}")
                    return f"missing_{name}", {}
        error, text = self._text_of(arguments, "chat.startStream")
        if error:
            return error, {}
        workspace = self._workspace
        message = Message(
            channel,
            world.new_ts(),
            arguments["thread_ts"],
            [{"markdown_text": text}],
            streaming=True,
            streamed=True,
            stream_until=time.monotonic() + workspace.stream_seconds / workspace.speed,
            appends_left=workspace.stream_appends,
            author={name: arguments[name] for name in _AUTHOR if name in arguments},
            team=team,
        )
        workspace.bot_messages.append(message)
        return None, {"channel": channel, "ts": message.ts}

    def _append(self, arguments: Payload, team: str) -> Result:
        message = self._found(arguments)
        if message is None:
            return self._no_place(arguments, team) or "message_not_found", {}
        if not self._is_streaming(message):
            return "message_not_in_streaming_state", {}
        if message.appends_left is not None:
            if message.appends_left <= 0:
                message.streaming = False
                return "message_not_in_streaming_state", {}
            message.appends_left -= 1
        error, text = self._text_of(arguments, "chat.appendStream")
        if error is None and not text and not arguments.get("chunks"):
            error = "no_text"
        whole = (message.now.get("markdown_text") or "") + text
        if error is None and len(whole) > rules.MESSAGE_CHARACTERS:
            error = "msg_too_long"
        if error:
            return error, {}
        message.history.append({"markdown_text": whole})
        return None, {"channel": message.channel, "ts": message.ts}

    def _stop(self, arguments: Payload, team: str) -> Result:
        message = self._found(arguments)
        if message is None:
            return self._no_place(arguments, team) or "message_not_found", {}
        if not self._is_streaming(message):
            return "message_not_in_streaming_state", {}
        error, text = self._text_of(arguments, "chat.stopStream")
        if error:
            return error, {}
        state: Payload = {"markdown_text": (message.now.get("markdown_text") or "") + text}
        if blocks := arguments.get("blocks"):
            judged = {"text": "x", "blocks": blocks}
            error = self._workspace.judge(judged, frozenset(judged), "chat.stopStream")
            if error:
                return error, {}
            state["blocks"] = blocks
        message.streaming = False
        message.history.append(state)
        return None, {"channel": message.channel, "ts": message.ts}
