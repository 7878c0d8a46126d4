"""The modals of the Slack bot, and what people filled in. Pure.

A modal's `private_metadata` holds what its sending needs: ids, and the response_url of what opened it
(Slack gives it back to nobody but the app). Everything in it is text, in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.core.sentences import Say
from bot.on_slack.messages import Block, cut, plain, section
from bot.on_slack.mrkdwn import sections
from personae.wire import PersonaCard

ASK, REWRITE, OTHER, REASON, REVISE = "p:ask", "p:rewrite", "p:other", "p:reason", "p:revise"
"""Callback ids of the modals that are sent back."""

_TITLE_CHARACTERS = 24
_INPUT_CHARACTERS = 3_000
_META_CHARACTERS = 3_000
_OPTIONS = 100

Notes = dict[str, str]


def ask(
    say: Say, cards: Sequence[PersonaCard], notes: Notes, *, persona: str | None, about: str = ""
) -> Block:
    """For a question, if need be about a message."""
    blocks = [_personas(say, cards, persona)] if cards else []
    if about:
        quoted = "\n".join(f"> {line}" for line in cut(about, 500).splitlines())
        blocks += [section(f"*{say('slack-about')}*")]
        blocks += [section(piece) for piece in sections(quoted, 2_900)]
    blocks.append(_input("question", say("slack-label-question"), multiline=True))
    only_me: Block = {"text": plain(say("slack-only-me")), "value": "private"}
    boxes: Block = {"type": "checkboxes", "action_id": "private", "options": [only_me]}
    blocks.append(_labelled("private", say("slack-label-who-sees"), boxes, optional=True))
    return _modal(say, "slack-ask-title", blocks, notes, ASK, submit="slack-submit-ask")


def rewrite(
    say: Say, cards: Sequence[PersonaCard], notes: Notes, *, persona: str | None, text: str = ""
) -> Block:
    """For a text, however long it is: a command takes one line."""
    options: list[Block] = [
        {"text": plain(say(f"slack-strength-{name}")), "value": name}
        for name in ("light", "normal", "strong")
    ]
    strength: Block = {"type": "radio_buttons", "action_id": "strength", "options": options}
    strength |= {"initial_option": options[1]}
    blocks = [
        *([_personas(say, cards, persona)] if cards else []),
        _input("text", say("slack-label-text"), multiline=True, value=text),
        _labelled("strength", say("slack-label-strength"), strength),
    ]
    return _modal(say, "slack-rewrite-title", blocks, notes, REWRITE, submit="slack-submit-rewrite")


def other(say: Say, cards: Sequence[PersonaCard], notes: Notes) -> Block:
    """For another persona's answer to the same question."""
    blocks = [_personas(say, cards, None)]
    return _modal(say, "slack-other-title", blocks, notes, OTHER, submit="slack-submit-ask")


def reason(say: Say, notes: Notes) -> Block:
    """Why an answer was bad, if somebody wants to say so."""
    blocks = [_input("reason", say("slack-label-reason"), multiline=True, optional=True, most=500)]
    return _modal(say, "slack-reason-title", blocks, notes, REASON, submit="slack-submit-send")


def revise(say: Say, notes: Notes, *, text: str) -> Block:
    """The operator's better answer."""
    blocks = [_input("revision", say("slack-label-revision"), multiline=True, value=text)]
    return _modal(say, "slack-revise-title", blocks, notes, REVISE, submit="slack-submit-save")


def copy(say: Say, text: str, *, title: str = "slack-copy-title") -> Block:
    """A text to select and copy: Slack gives apps no clipboard."""
    parts = [text[at : at + _INPUT_CHARACTERS] for at in range(0, len(text), _INPUT_CHARACTERS)]
    blocks = [
        _input(f"copy{number}", say("slack-label-copy"), multiline=True, value=part)
        for number, part in enumerate(parts[:20])
    ]
    # Slack wants a way to send wherever there is something to fill in; sending does nothing.
    return _modal(say, title, blocks, {}, "p:copy", submit="slack-close")


def sentence(say: Say, title: str, text: str) -> Block:
    """Something to read, with nothing to send."""
    return _modal(
        say, title, [section(piece) for piece in sections(text, 2_900)][:90], {}, "p:read"
    )


def notes_of(view: Mapping[str, Any]) -> Notes:
    """What the modal was opened with."""
    try:
        read = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in read.items()} if isinstance(read, dict) else {}


def filled_in(view: Mapping[str, Any]) -> dict[str, str]:
    """What people gave, by name: texts, the value that was chosen, a box's value if it is ticked."""
    given: dict[str, str] = {}
    for elements in (view.get("state") or {}).get("values", {}).values():
        for name, element in elements.items():
            chosen = element.get("selected_option") or {}
            boxes = element.get("selected_options") or []
            value = (
                element.get("value")
                or chosen.get("value")
                or "".join(str(box.get("value", "")) for box in boxes)
            )
            given[name] = str(value or "")
    return given


def _modal(
    say: Say,
    title: str,
    blocks: list[Block],
    notes: Notes,
    callback: str,
    *,
    submit: str | None = None,
) -> Block:
    meta = json.dumps(notes, ensure_ascii=False)
    if len(meta) > _META_CHARACTERS:
        raise ValueError(f"{len(meta)} characters of notes are too many for a modal")
    modal: Block = {
        "type": "modal",
        "callback_id": callback,
        "private_metadata": meta,
        "title": plain(say(title), _TITLE_CHARACTERS),
        "close": plain(say("slack-cancel" if submit else "slack-close"), _TITLE_CHARACTERS),
        "blocks": blocks,
    }
    return modal | ({"submit": plain(say(submit), _TITLE_CHARACTERS)} if submit else {})


def _personas(say: Say, cards: Sequence[PersonaCard], chosen: str | None) -> Block:
    options = [_option(card) for card in cards[:_OPTIONS]]
    select: Block = {"type": "static_select", "action_id": "persona", "options": options}
    initial = [option for option in options if option["value"] == chosen] or options[:1]
    select |= {"initial_option": initial[0]}
    return _labelled("persona", say("slack-label-persona"), select)


def _option(card: PersonaCard) -> Block:
    option: Block = {"text": plain(card.display_name or card.id), "value": card.id[:150]}
    if card.description.strip():
        option["description"] = plain(" ".join(card.description.split()))
    return option


def _input(
    name: str,
    label: str,
    *,
    multiline: bool,
    value: str = "",
    optional: bool = False,
    most: int = _INPUT_CHARACTERS,
) -> Block:
    element: Block = {
        "type": "plain_text_input",
        "action_id": name,
        "multiline": multiline,
        "max_length": most,
    }
    if value:
        element["initial_value"] = value[:most]
    return _labelled(name, label, element, optional=optional)


def _labelled(name: str, label: str, element: Block, *, optional: bool = False) -> Block:
    block = {"type": "input", "block_id": name, "label": plain(label, 2_000), "element": element}
    return block | ({"optional": True} if optional else {})
