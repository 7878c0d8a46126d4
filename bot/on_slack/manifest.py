"""The Slack app as Slack has to know it: commands, shortcuts, events, scopes, each with its reason.

Run as: python -m bot.on_slack.manifest                     (writes deploy/slack/manifest.yaml, Socket Mode)
        python -m bot.on_slack.manifest --url https://bot.example.org   (HTTP mode, to standard output)

What stands here is what the listeners register and the code calls: a test holds the three to each
other and the file to this module. It knows no token and talks to nobody.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

Payload = dict[str, Any]

FILE = Path(__file__).parents[2] / "deploy" / "slack" / "manifest.yaml"
EVENTS_PATH, INSTALL_PATH, REDIRECT_PATH = (
    "/slack/events",
    "/slack/install",
    "/slack/oauth_redirect",
)


@dataclass(frozen=True)
class Command:
    name: str
    description: str
    usage_hint: str


COMMANDS = (
    Command(
        "/ask", "Ask a persona; everybody in the channel sees the answer", "<persona> <question>"
    ),
    Command("/rewrite", "Rewrite a text in a persona's voice; only you see it", "<persona> <text>"),
    Command("/personas", "Which personas may speak here, and from what", "[name]"),
    Command("/usage", "What you have used today, and what is left", ""),
    Command(
        "/privacy",
        "What is stored of you; opt out, export or delete it",
        "[export | forget | opt-out | opt-in]",
    ),
    Command(
        "/personae",
        "For administrators: adapters, settings, limits, statistics",
        "help | status | versions <persona> | reload <persona> [version] | rollback <persona> | …",
    ),
)

MESSAGE_SHORTCUTS: Mapping[str, tuple[str, str]] = {
    "ask_about": ("Ask about this…", "Ask a persona about this message"),
    "rewrite_as": ("Rewrite as…", "Rewrite this message in a persona's voice"),
}
"""callback_id → (what the menu says, its description)."""

EVENTS: Mapping[str, str] = {
    "app_mention": "to hear messages that mention the bot",
    "message.im": "to hear what people write to the bot alone, and that they deleted it",
    "app_home_opened": "to show the App Home and the suggested prompts",
    "agent_session_stopped": "to stop an answer when its native stop button is pressed",
    "app_uninstalled": "to forget a workspace's tokens when it removes the app",
    "tokens_revoked": "to forget tokens that no longer work",
}

SCOPES: Mapping[str, str] = {
    "app_mentions:read": "to see messages that mention the bot; it sees no others in a channel",
    "assistant:write": "to show “is thinking…”, suggested prompts and the native stop button",
    "chat:write": "to answer, and to let the answer grow",
    "chat:write.customize": "to answer under a persona's own name and picture, always marked as an imitation",
    "commands": "for `/ask`, `/rewrite`, `/personae` and the shortcuts in a message's menu",
    "im:history": "to see what people write to the bot in a direct message",
    "users:read": "to see whether somebody who administers is an administrator of the workspace, "
    "and people's language",
}

PROMPTS = (
    ("Ask Lincoln", "lincoln What holds a nation together?"),
    ("Ask Roosevelt", "roosevelt What do we owe to those who come after us?"),
    ("Rewrite a sentence", "rewrite lincoln We should all try a bit harder."),
)


def manifest(url: str | None = None) -> Payload:
    """The manifest for Socket Mode, or, with the bot's public address, for HTTP mode with OAuth."""
    base = url.rstrip("/") if url else None
    commands = [
        {
            "command": command.name,
            **({"url": base + EVENTS_PATH} if base else {}),
            "description": command.description,
            **({"usage_hint": command.usage_hint} if command.usage_hint else {}),
            "should_escape": False,
        }
        for command in COMMANDS
    ]
    shortcuts = [
        {"name": name, "type": "message", "callback_id": callback_id, "description": description}
        for callback_id, (name, description) in MESSAGE_SHORTCUTS.items()
    ]
    request = {"request_url": base + EVENTS_PATH} if base else {}
    interactivity: Payload = {"is_enabled": True, **request}
    if base:
        interactivity["message_menu_options_url"] = base + EVENTS_PATH
    return {
        "_metadata": {"major_version": 1, "minor_version": 1},
        "display_information": {
            "name": "personae",
            "description": "Ask a writer's voice. Imitations with sources, not the persons.",
            "background_color": "#2c3e50",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": False,
            },
            "agent_view": {
                "agent_description": "Answers in writers' voices, from what they wrote, with "
                "sources. Imitations, not the persons.",
                "suggested_prompts": [
                    {"title": title, "message": message} for title, message in PROMPTS
                ],
            },
            "bot_user": {"display_name": "personae", "always_online": True},
            "shortcuts": shortcuts,
            "slash_commands": commands,
        },
        "oauth_config": {
            **({"redirect_urls": [base + REDIRECT_PATH]} if base else {}),
            "scopes": {"bot": sorted(SCOPES)},
        },
        "settings": {
            "event_subscriptions": {**request, "bot_events": sorted(EVENTS)},
            "interactivity": interactivity,
            "org_deploy_enabled": False,
            "socket_mode_enabled": base is None,
            "token_rotation_enabled": base is not None,
        },
    }


def as_yaml(url: str | None = None) -> str:
    """The manifest as people paste it at api.slack.com/apps."""
    heading = (
        "# The Slack app of personae: paste it at api.slack.com/apps, “Create New App”, “From a manifest”.\n"
        "# Made by `python -m bot.on_slack.manifest` from bot/on_slack/manifest.py; change it there.\n"
        "# What each scope is for: docs/slack.md.\n"
    )
    return heading + yaml.safe_dump(manifest(url), sort_keys=False, allow_unicode=True, width=100)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.on_slack.manifest", description=__doc__)
    parser.add_argument("--url", help="the bot's public https address: the manifest for HTTP mode")
    chosen = parser.parse_args(arguments)
    if chosen.url is None:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(as_yaml(), encoding="utf-8")
        sys.stdout.write(f"wrote {FILE.name}\n")
    elif not chosen.url.startswith("https://"):
        sys.stderr.write("Slack takes https addresses only, for example https://bot.example.org\n")
        return 2
    else:
        sys.stdout.write(as_yaml(chosen.url))
    return 0


if __name__ == "__main__":
    sys.exit(main())
