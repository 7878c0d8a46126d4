"""The App Home as Block Kit: who speaks here, your usage, your data, and for administrators the controls.
Pure: cards and sentences in, a view out, inside Slack's limits (100 blocks, 3,000 characters a text)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core.sentences import Say
from bot.on_slack.messages import context, cut, plain, section
from bot.on_slack.mrkdwn import escape, sections
from personae.wire import PersonaCard

Block = dict[str, Any]

PREFIX = "home:"
RETENTION_DAYS = (7, 30, 90, 365)
NOBODY = "-"
"""The option that takes a default away; no persona has such an id."""

_PERSONAS = 15
_LINE_CHARACTERS = 1_000
_RESULT_SECTIONS = 3


@dataclass(frozen=True)
class Home:
    """What stands on somebody's page.

    Attributes:
        result: what the last button did: Markdown, or "".
        usage: Markdown.
        why_nobody: the sentence where there are no cards.
        administers: whether the controls of the server are shown.
        operates: whether those of the adapters are.
    """

    say: Say
    cards: Sequence[PersonaCard]
    usage: str
    why_nobody: str = ""
    result: str = ""
    administers: bool = False
    operates: bool = False
    opted_out: bool = False
    default: str | None = None
    own_names: bool = False
    extra: dict[str, str] = field(default_factory=dict)


def home_view(home: Home) -> Block:
    """The payload of views.publish."""
    say = home.say
    blocks: list[Block] = [{"type": "header", "text": plain(say("slack-home-title"), 150)}]
    blocks += [section(escape(say("slack-home-intro")))]
    if home.result:
        blocks += [{"type": "divider"}]
        blocks += [section(piece) for piece in sections(home.result, 2_900)[:_RESULT_SECTIONS]]
    blocks += [{"type": "divider"}, _title(say("slack-home-personas"))]
    for card in home.cards[:_PERSONAS]:
        blocks += _persona(card, home)
    if not home.cards:
        blocks.append(section(escape(home.why_nobody)))
    blocks += [{"type": "divider"}, _title(say("slack-home-you"))]
    blocks += [section(piece) for piece in sections(home.usage, 2_900)[:_RESULT_SECTIONS]]
    blocks.append(_your_data(home))
    if home.administers:
        blocks += [{"type": "divider"}, _title(say("slack-home-settings")), *_settings(home)]
    return {"type": "home", "callback_id": "home", "blocks": blocks}


def _title(text: str) -> Block:
    return section(f"*{escape(text)}*")


def _persona(card: PersonaCard, home: Home) -> list[Block]:
    say = home.say
    version = card.adapter_version or say("slack-home-prompt-only")
    description = cut(" ".join(card.description.split()), _LINE_CHARACTERS)
    blocks: list[Block] = [
        section(f"*{escape(card.display_name)}* (`{escape(card.id)}`)\n{escape(description)}")
    ]
    blocks += context(
        [
            say("slack-home-version", version=version, passages=card.passages),
            card.disclosure,
            card.notice or "",
        ]
    )
    if home.operates:
        blocks.append(
            {
                "type": "actions",
                "elements": [
                    _button(f"{PREFIX}reload", say("slack-home-reload"), card.id),
                    _button(f"{PREFIX}rollback", say("slack-home-rollback"), card.id)
                    | {"confirm": _confirm(say, say("slack-home-rollback-sure", name=card.id))},
                    _button(f"{PREFIX}versions", say("slack-home-versions"), card.id),
                ],
            }
        )
    return blocks


def _your_data(home: Home) -> Block:
    say = home.say
    kept = "opt-in" if home.opted_out else "opt-out"
    return {
        "type": "actions",
        "elements": [
            _button(f"{PREFIX}{kept}", say(f"slack-home-{kept}")),
            _button(f"{PREFIX}forget", say("slack-home-forget"))
            | {"style": "danger", "confirm": _confirm(say, say("slack-home-forget-sure"))},
            _button(f"{PREFIX}refresh", say("slack-home-refresh")),
        ],
    }


def _settings(home: Home) -> list[Block]:
    say = home.say
    nobody = {"text": plain(say("slack-home-nobody")), "value": NOBODY}
    options = [nobody, *({"text": plain(c.display_name), "value": c.id} for c in home.cards[:99])]
    chosen = next((o for o in options if o["value"] == (home.default or NOBODY)), nobody)
    names = "off" if home.own_names else "on"
    return [
        section(escape(say("slack-home-default")))
        | {
            "accessory": {
                "type": "static_select",
                "action_id": f"{PREFIX}default",
                "placeholder": plain(say("slack-label-persona")),
                "options": options,
                "initial_option": chosen,
            }
        },
        section(escape(say("slack-home-alerts")))
        | {
            "accessory": {
                "type": "channels_select",
                "action_id": f"{PREFIX}alerts",
                "placeholder": plain(say("slack-home-channel")),
            }
        },
        section(escape(say("slack-home-retention")))
        | {
            "accessory": {
                "type": "static_select",
                "action_id": f"{PREFIX}retention",
                "placeholder": plain(say("slack-home-days-choose")),
                "options": [
                    {"text": plain(say("slack-home-days", days=days)), "value": str(days)}
                    for days in RETENTION_DAYS
                ],
            }
        },
        {
            "type": "actions",
            "elements": [
                _button(f"{PREFIX}own-names", say(f"slack-home-own-names-{names}"), names),
                _button(f"{PREFIX}status", say("slack-home-status")),
                _button(f"{PREFIX}stats", say("slack-home-stats")),
                _button(f"{PREFIX}limits", say("slack-home-limits")),
            ],
        },
        *context([say("slack-home-more")]),
    ]


def _button(action_id: str, label: str, value: str | None = None) -> Block:
    button: Block = {"type": "button", "action_id": action_id, "text": plain(label)}
    return button | ({"value": value} if value else {})


def _confirm(say: Say, text: str) -> Block:
    return {
        "title": plain(say("slack-home-sure")),
        "text": plain(text, 300),
        "confirm": plain(say("slack-home-yes"), 30),
        "deny": plain(say("slack-cancel"), 30),
    }
