"""views.* and the agent container of the fake Slack: modals, App Homes, status, suggested prompts."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from tests.fakes import slack_payloads as world
from tests.fakes.slack_workspace import View, Workspace

Payload = dict[str, Any]
Result = tuple[str | None, Payload]

_STATUSES = {"processing", "active", "suspended", "closed"}


class ViewSide:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.methods: dict[str, Callable[[Payload, str], Result]] = {
            "views.open": self._open,
            "views.update": self._update,
            "views.publish": self._publish,
            "assistant.threads.setStatus": self._set_status,
            "assistant.threads.setSuggestedPrompts": self._set_prompts,
            "assistant.threads.setTitle": self._set_title,
            "agents.sessions.setStatus": self._set_session,
        }

    def _open(self, arguments: Payload, team: str) -> Result:
        trigger = arguments.get("trigger_id")
        found = self._workspace.triggers.get(str(trigger))
        if found is None:
            return "invalid_trigger_id", {}
        until, user, trigger_team = found
        if until == 0.0:
            self._workspace.violations.append("a trigger_id was used twice")
            return "exchanged_trigger_id", {}
        if until < time.monotonic() or trigger_team != team:
            return "expired_trigger_id", {}
        if error := self._workspace.judge_view(arguments.get("view"), "views.open"):
            return error, {}
        view = arguments["view"]
        if view["type"] != "modal":
            return "invalid_arguments", {}
        self._workspace.triggers[str(trigger)] = (0.0, user, team)
        return None, {"view": self._new("modal", user, team, view).as_payload()}

    def _new(self, kind: str, user: str, team: str, payload: Payload) -> View:
        view = View(f"V{secrets.token_hex(5)}", kind, user, team, [payload], secrets.token_hex(6))
        self._workspace.views.append(view)
        return view

    def _update(self, arguments: Payload, team: str) -> Result:
        found = [
            view
            for view in self._workspace.views
            if view.team == team
            and not view.closed
            and (
                view.id == arguments.get("view_id")
                or (
                    arguments.get("external_id")
                    and view.now.get("external_id") == arguments["external_id"]
                )
            )
        ]
        if not found:
            return "not_found", {}
        view = found[-1]
        if "hash" in arguments and arguments["hash"] != view.hash:
            return "hash_conflict", {}
        if error := self._workspace.judge_view(arguments.get("view"), "views.update"):
            return error, {}
        if arguments["view"]["type"] != view.kind:
            return "invalid_arguments", {}
        view.history.append(arguments["view"])
        view.hash = secrets.token_hex(6)
        return None, {"view": view.as_payload()}

    def _publish(self, arguments: Payload, team: str) -> Result:
        user = str(arguments.get("user_id"))
        try:
            world.person_of(user)
        except KeyError:
            return "user_not_found", {}
        if error := self._workspace.judge_view(arguments.get("view"), "views.publish"):
            return error, {}
        if arguments["view"]["type"] != "home":
            return "invalid_arguments", {}
        if not self._workspace.manifest["features"]["app_home"]["home_tab_enabled"]:
            return "not_enabled", {}
        existing = [
            view
            for view in self._workspace.views
            if (view.kind, view.user, view.team) == ("home", user, team)
        ]
        if not existing:
            home = self._new("home", user, team, arguments["view"])
            return None, {"view": home.as_payload()}
        view = existing[0]
        if "hash" in arguments and arguments["hash"] != view.hash:
            return "hash_conflict", {}
        view.history.append(arguments["view"])
        view.hash = secrets.token_hex(6)
        return None, {"view": view.as_payload()}

    # ---- the agent container

    def _thread_problem(self, arguments: Payload, team: str) -> str | None:
        channel = arguments.get("channel_id")
        if not world.is_channel(channel) or world.team_of(str(channel)) != team:
            return "channel_not_found"
        return None if arguments.get("thread_ts") else "invalid_thread_ts"

    def _set_status(self, arguments: Payload, team: str) -> Result:
        if error := self._thread_problem(arguments, team):
            return error, {}
        if not isinstance(arguments.get("status"), str) or len(arguments["status"]) > 100:
            return "invalid_arguments", {}
        loading = arguments.get("loading_messages", [])
        if len(loading) > 10 or any(not 0 < len(line) <= 100 for line in loading):
            return "invalid_arguments", {}
        self._workspace.statuses.append(arguments)
        return None, {}

    def _set_prompts(self, arguments: Payload, team: str) -> Result:
        channel = arguments.get("channel_id")
        if not str(channel).startswith("D") or world.team_of(str(channel)) != team:
            return "channel_not_found", {}
        prompts = arguments.get("prompts")
        if not isinstance(prompts, list) or not 1 <= len(prompts) <= 4:
            self._workspace.violations.append("setSuggestedPrompts: 1 to 4 prompts")
            return "invalid_arguments", {}
        if any(set(prompt) != {"title", "message"} for prompt in prompts):
            self._workspace.violations.append("setSuggestedPrompts: title and message")
            return "invalid_arguments", {}
        self._workspace.prompts.append(arguments)
        return None, {}

    def _set_title(self, arguments: Payload, team: str) -> Result:
        return self._thread_problem(arguments, team), {}

    def _set_session(self, arguments: Payload, team: str) -> Result:
        if error := self._thread_problem(arguments, team):
            return error, {}
        if arguments.get("status") not in _STATUSES:
            return "invalid_arguments", {}
        self._workspace.statuses.append(arguments)
        return None, {}
