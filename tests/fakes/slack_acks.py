"""What an app may say with its acknowledgement: a command's message, a modal's next step, choices."""

from __future__ import annotations

import secrets
from typing import Any

from tests.fakes import slack_blocks as kit
from tests.fakes import slack_rules as rules
from tests.fakes.slack_workspace import Delivery, Private, View, Workspace

Payload = dict[str, Any]


def take_ack_payload(workspace: Workspace, delivery: Delivery, payload: Any) -> None:
    """Do what the acknowledgement says; what it may not say is a violation."""
    delivery.ack_payload = payload
    kind = delivery.payload.get("type") if delivery.kind == "interactive" else delivery.kind
    if kind == "slash_commands":
        _command(workspace, delivery, {"text": payload} if isinstance(payload, str) else payload)
    elif kind == "view_submission":
        _submission(workspace, delivery, payload)
    elif kind == "block_suggestion":
        _suggestion(workspace, payload)
    else:
        workspace.violations.append(f"an acknowledgement with a payload, of {kind}")


def _command(workspace: Workspace, delivery: Delivery, payload: Payload) -> None:
    workspace.judge(payload, rules.RESPONSE_URL_KEYS, "acknowledgement")
    command = delivery.payload
    workspace.private.append(
        Private(
            command["user_id"], command["channel_id"], "ack", [payload], team=command["team_id"]
        )
    )


def _submission(workspace: Workspace, delivery: Delivery, payload: Payload) -> None:
    view = view_of(workspace, delivery)
    action = payload.get("response_action")
    if action == "errors":
        blocks = {block.get("block_id") for block in view.now["blocks"]}
        if set(payload) != {"response_action", "errors"} or set(payload["errors"]) - blocks:
            workspace.violations.append(f"errors of blocks that are not there: {payload}")
    elif action in {"update", "push"}:
        if workspace.judge_view(payload.get("view"), f"acknowledgement {action}") is None:
            if action == "update":
                view.history.append(payload["view"])
                view.hash = secrets.token_hex(6)
                view.closed = False
            else:
                workspace.views.append(
                    View(
                        f"V{secrets.token_hex(5)}",
                        "modal",
                        view.user,
                        view.team,
                        [payload["view"]],
                        secrets.token_hex(6),
                    )
                )
    elif action == "clear":
        for other in workspace.views:
            if other.kind == "modal" and other.user == view.user:
                other.closed = True
    else:
        workspace.violations.append(f"acknowledgement of a modal: {sorted(payload)}")


def view_of(workspace: Workspace, delivery: Delivery) -> View:
    wanted = delivery.payload["view"]["id"]
    return next(view for view in workspace.views if view.id == wanted)


def _suggestion(workspace: Workspace, payload: Payload) -> None:
    groups = payload.get("option_groups") or [{"options": payload.get("options", [])}]
    options = [option for group in groups for option in group["options"]]
    if len(options) > kit.OPTIONS or set(payload) - {"options", "option_groups"}:
        workspace.violations.append(f"{len(options)} choices, keys {sorted(payload)}")
    for option in options:
        problem = kit.problem_of(lambda option=option: kit.check_option(option))  # type: ignore[misc]
        if problem:
            workspace.violations.append(f"choice: {problem}")
