"""What Slack accepts in blocks and views: types, keys, sizes, ids. Pure.

Unknown keys are refused, as Slack refuses them. Sizes: https://docs.slack.dev/reference/block-kit and
https://docs.slack.dev/reference/views; only the blocks and elements this product uses are known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Payload = dict[str, Any]

SECTION_CHARACTERS = 3_000
MARKDOWN_CHARACTERS = 12_000
CONTEXT_ELEMENTS = 10
ACTIONS_ELEMENTS = 25
OPTIONS = 100
PRIVATE_METADATA_CHARACTERS = 3_000

MESSAGE_BLOCKS = frozenset(
    {"section", "context", "divider", "header", "markdown", "actions", "context_actions"}
)
VIEW_BLOCKS = frozenset({"section", "context", "divider", "header", "actions", "input"})

_KEYS: Mapping[str, frozenset[str]] = {
    "section": frozenset({"text", "fields", "accessory", "expand"}),
    "context": frozenset({"elements"}),
    "divider": frozenset(),
    "header": frozenset({"text"}),
    "markdown": frozenset({"text"}),
    "actions": frozenset({"elements"}),
    "context_actions": frozenset({"elements"}),
    "input": frozenset({"label", "element", "hint", "optional", "dispatch_action"}),
    "button": frozenset(
        {"action_id", "text", "value", "url", "style", "confirm", "accessibility_label"}
    ),
    "static_select": frozenset(
        {"action_id", "placeholder", "options", "option_groups", "initial_option", "confirm"}
        | {"focus_on_load"}
    ),
    "multi_static_select": frozenset(
        {"action_id", "placeholder", "options", "initial_options", "max_selected_items"}
        | {"focus_on_load", "confirm"}
    ),
    "external_select": frozenset(
        {"action_id", "placeholder", "initial_option", "min_query_length", "confirm"}
        | {"focus_on_load"}
    ),
    "conversations_select": frozenset(
        {"action_id", "placeholder", "initial_conversation", "default_to_current_conversation"}
        | {"filter", "response_url_enabled", "focus_on_load", "confirm"}
    ),
    "channels_select": frozenset(
        {"action_id", "placeholder", "initial_channel", "response_url_enabled", "confirm"}
    ),
    "plain_text_input": frozenset(
        {"action_id", "initial_value", "multiline", "min_length", "max_length", "placeholder"}
        | {"focus_on_load", "dispatch_action_config"}
    ),
    "number_input": frozenset(
        {"action_id", "is_decimal_allowed", "initial_value", "min_value", "max_value"}
        | {"placeholder", "focus_on_load"}
    ),
    "radio_buttons": frozenset({"action_id", "options", "initial_option", "confirm"}),
    "checkboxes": frozenset({"action_id", "options", "initial_options", "confirm"}),
    "overflow": frozenset({"action_id", "options", "confirm"}),
    "feedback_buttons": frozenset({"action_id", "positive_button", "negative_button"}),
    "icon_button": frozenset(
        {"action_id", "icon", "text", "value", "confirm", "accessibility_label"}
        | {"visible_to_user_ids"}
    ),
    "image": frozenset({"image_url", "alt_text", "slack_file"}),
}
_IN_ACTIONS = frozenset(
    {"button", "static_select", "external_select", "conversations_select", "channels_select"}
    | {"overflow", "radio_buttons", "checkboxes"}
)
_IN_INPUT = frozenset(
    {"plain_text_input", "static_select", "multi_static_select", "external_select"}
    | {"conversations_select", "channels_select", "radio_buttons", "checkboxes", "number_input"}
)


class Refused(Exception):
    """What is wrong with a block or view."""


def problem_of(check: Callable[[], None]) -> str | None:
    try:
        check()
    except Refused as refusal:
        return str(refusal)
    return None


def check_blocks(blocks: Any, allowed: frozenset[str], most: int) -> None:
    """Raises: Refused."""
    if not isinstance(blocks, list) or len(blocks) > most:
        raise Refused(f"no list of at most {most} blocks")
    for block in blocks:
        _check_block(block, allowed)
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(ids) != len(set(ids)):
        raise Refused("a block_id twice")


def check_view(view: Any) -> None:
    """Raises: Refused."""
    if not isinstance(view, dict) or view.get("type") not in {"modal", "home"}:
        raise Refused("no modal or home view")
    keys = {"type", "blocks", "private_metadata", "callback_id", "external_id"}
    if view["type"] == "modal":
        keys |= {"title", "submit", "close", "clear_on_close", "notify_on_close"}
        for name, needed in (("title", True), ("submit", False), ("close", False)):
            if needed or name in view:
                check_text(view.get(name), 24, kinds=frozenset({"plain_text"}))
        if any(block.get("type") == "input" for block in view.get("blocks", [])) and (
            "submit" not in view
        ):
            raise Refused("inputs without submit")
    if extra := set(view) - keys:
        raise Refused(f"view has unknown keys {sorted(extra)}")
    if len(view.get("private_metadata", "")) > PRIVATE_METADATA_CHARACTERS:
        raise Refused("private_metadata too long")
    if len(view.get("callback_id", "")) > 255:
        raise Refused("callback_id too long")
    check_blocks(view.get("blocks"), VIEW_BLOCKS, 100)


def check_text(
    text: Any, most: int, *, kinds: frozenset[str] = frozenset({"plain_text", "mrkdwn"})
) -> None:
    """Raises: Refused."""
    if not isinstance(text, dict) or text.get("type") not in kinds:
        raise Refused("no text object")
    extra = set(text) - {"type", "text", "verbatim" if text["type"] == "mrkdwn" else "emoji"}
    if extra:
        raise Refused(f"text object has unknown keys {sorted(extra)}")
    if not isinstance(text.get("text"), str) or not text["text"].strip():
        raise Refused("text object is empty")
    if len(text["text"]) > most:
        raise Refused(f"text object of {len(text['text'])} characters, at most {most}")


def elements_of(block: Mapping[str, Any]) -> Iterator[Payload]:
    """The interactive elements of a block."""
    kind = block["type"]
    if kind in {"actions", "context_actions"}:
        yield from block["elements"]
    elif kind == "input":
        yield block["element"]
    elif kind == "section":
        accessory = block.get("accessory")
        if accessory is not None and accessory["type"] != "image":
            yield accessory


def texts_of(block: Mapping[str, Any]) -> list[Payload]:
    """The text objects of a block that people read, labels of buttons left out."""
    kind = block["type"]
    if kind in {"section", "header"}:
        return [*([block["text"]] if block.get("text") else []), *block.get("fields", [])]
    if kind == "context":
        return [element for element in block["elements"] if element["type"] != "image"]
    if kind == "markdown":
        return [{"type": "markdown", "text": block["text"]}]
    if kind == "input":
        return [block["label"], *([block["hint"]] if block.get("hint") else [])]
    return []


def choices_of(element: Mapping[str, Any]) -> list[str]:
    """The values an element can be given by a click; [] where anything goes."""
    if element["type"] == "feedback_buttons":
        return [element["positive_button"]["value"], element["negative_button"]["value"]]
    groups = element.get("option_groups") or [{"options": element.get("options") or []}]
    return [option["value"] for group in groups for option in group["options"]]


def _check_block(block: Any, allowed: frozenset[str]) -> None:
    if not isinstance(block, dict):
        raise Refused("a block is no object")
    kind = block.get("type")
    if kind not in allowed:
        raise Refused(f"block type {kind!r}")
    _only(block, {"type", "block_id"})
    if len(block.get("block_id", "")) > 255:
        raise Refused("block_id too long")
    if kind == "section":
        if "text" not in block and not block.get("fields"):
            raise Refused("section without text and fields")
        if "text" in block:
            check_text(block["text"], SECTION_CHARACTERS)
        for field in block.get("fields", []):
            check_text(field, 2_000)
        if len(block.get("fields", [])) > 10:
            raise Refused("more than 10 fields")
        if "accessory" in block:
            _check_element(block["accessory"], _IN_ACTIONS | {"image"})
    elif kind == "header":
        check_text(block.get("text"), 150, kinds=frozenset({"plain_text"}))
    elif kind == "markdown":
        if not str(block.get("text", "")).strip() or len(block["text"]) > MARKDOWN_CHARACTERS:
            raise Refused("markdown block empty or too long")
    elif kind == "input":
        check_text(block.get("label"), 2_000, kinds=frozenset({"plain_text"}))
        if "hint" in block:
            check_text(block["hint"], 2_000, kinds=frozenset({"plain_text"}))
        _check_element(block.get("element"), _IN_INPUT)
    elif kind != "divider":
        _check_elements(kind, block.get("elements"))


def _check_elements(kind: str, elements: Any) -> None:
    most = {"context": CONTEXT_ELEMENTS, "actions": ACTIONS_ELEMENTS, "context_actions": 5}[kind]
    if not isinstance(elements, list) or not 1 <= len(elements) <= most:
        raise Refused(f"{kind} needs 1 to {most} elements")
    for element in elements:
        if kind == "context" and (not isinstance(element, dict) or element.get("type") != "image"):
            check_text(element, SECTION_CHARACTERS)
        elif kind == "context":
            _check_element(element, frozenset({"image"}))
        elif kind == "actions":
            _check_element(element, _IN_ACTIONS)
        else:
            _check_element(element, frozenset({"feedback_buttons", "icon_button"}))
    ids = [element.get("action_id") for element in elements if element.get("action_id")]
    if len(ids) != len(set(ids)):
        raise Refused("an action_id twice in a block")


def _check_element(element: Any, allowed: frozenset[str]) -> None:
    if not isinstance(element, dict) or element.get("type") not in allowed:
        raise Refused(f"element {element.get('type') if isinstance(element, dict) else element!r}")
    kind = element["type"]
    _only(element, {"type"})
    if kind == "image":
        if not element.get("alt_text") or not str(element.get("image_url", "")).startswith("http"):
            raise Refused("image without address or alt_text")
        return
    if not 0 < len(element.get("action_id", "")) <= 255:
        raise Refused(f"{kind} without action_id of 1 to 255 characters")
    if "placeholder" in element:
        check_text(element["placeholder"], 150, kinds=frozenset({"plain_text"}))
    if "confirm" in element:
        _check_confirm(element["confirm"])
    if kind == "button":
        check_text(element.get("text"), 75, kinds=frozenset({"plain_text"}))
        if len(element.get("value", "")) > 2_000:
            raise Refused("button value too long")
        if element.get("style", "primary") not in {"primary", "danger"}:
            raise Refused(f"style {element['style']!r}")
    if kind == "icon_button":
        check_text(element.get("text"), 75, kinds=frozenset({"plain_text"}))
        if element.get("icon") != "trash":
            raise Refused(f"icon {element.get('icon')!r}")
    if kind == "feedback_buttons":
        for name in ("positive_button", "negative_button"):
            button = element.get(name) or {}
            check_text(button.get("text"), 75, kinds=frozenset({"plain_text"}))
            if set(button) - {"text", "value", "accessibility_label"} or not button.get("value"):
                raise Refused(f"{name} has unknown keys or no value")
    if kind in {"static_select", "multi_static_select", "radio_buttons", "checkboxes", "overflow"}:
        _check_options(kind, element)
    if kind == "plain_text_input" and len(element.get("initial_value", "")) > int(
        element.get("max_length", 3_000)
    ):
        raise Refused("initial_value longer than max_length")
    if kind == "plain_text_input" and not 1 <= int(element.get("max_length", 3_000)) <= 3_000:
        raise Refused("max_length beyond 3000")


def _check_options(kind: str, element: Mapping[str, Any]) -> None:
    groups = element.get("option_groups") or [{"options": element.get("options")}]
    most = {"overflow": 5, "radio_buttons": 10, "checkboxes": 10}.get(kind, OPTIONS)
    values = []
    for group in groups:
        options = group.get("options")
        if not isinstance(options, list) or not 1 <= len(options) <= most:
            raise Refused(f"{kind} needs 1 to {most} options")
        for option in options:
            check_option(option)
            values.append(option)
    chosen = element.get("initial_options") or (
        [element["initial_option"]] if "initial_option" in element else []
    )
    if any(option not in values for option in chosen):
        raise Refused("an initial option that is none of the options")


def check_option(option: Any) -> None:
    """Raises: Refused."""
    if not isinstance(option, dict) or set(option) - {"text", "value", "description", "url"}:
        raise Refused("no option object")
    check_text(option.get("text"), 75)
    if not 0 < len(option.get("value", "")) <= 150:
        raise Refused("option value of 1 to 150 characters")
    if "description" in option:
        check_text(option["description"], 75)


def _check_confirm(confirm: Any) -> None:
    if not isinstance(confirm, dict):
        raise Refused("no confirm object")
    if set(confirm) - {"title", "text", "confirm", "deny", "style"}:
        raise Refused("confirm has unknown keys")
    check_text(confirm.get("title"), 100, kinds=frozenset({"plain_text"}))
    check_text(confirm.get("text"), 300)
    for name in ("confirm", "deny"):
        check_text(confirm.get(name), 30, kinds=frozenset({"plain_text"}))


def _only(thing: Mapping[str, Any], more: set[str]) -> None:
    if extra := set(thing) - _KEYS[thing["type"]] - more:
        raise Refused(f"{thing['type']} has unknown keys {sorted(extra)}")
