"""Discord's error replies, and the checks that all its forms share. Pure.

Where the documentation leaves a choice, the stricter reading stands here: lengths are counted in
UTF-16 code units, which is never less than characters.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An error reply of Discord's API."""

    def __init__(self, status: int, code: int, message: str, errors: Any = None) -> None:
        super().__init__(f"{status} {code} {message} {errors or ''}")
        self.status = status
        self.body: dict[str, Any] = {"code": code, "message": message}
        if errors:
            self.body["errors"] = errors


def invalid(path: str, problem: str) -> Refusal:
    """50035 with its nested errors, for a path such as "0.options.1.name"."""
    errors: dict[str, Any] = {"_errors": [{"code": "BASE_TYPE_BAD", "message": problem}]}
    for part in reversed(path.split(".")):
        errors = {part: errors}
    return Refusal(400, 50035, "Invalid Form Body", errors)


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def known_fields(body: Any, known: frozenset[str], path: str) -> None:
    """Discord itself often passes over fields that it does not know; a typo should not pass a test."""
    if not isinstance(body, dict):
        raise invalid(path, "Must be an object.")
    if unknown := set(body) - known:
        raise invalid(f"{path}.{min(unknown)}".lstrip("."), "Unknown field.")


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def length(value: Any, path: str, least: int, most: int) -> None:
    if not isinstance(value, str):
        raise invalid(path, "This field is required and must be a string.")
    if not least <= units(value) <= most:
        raise invalid(path, f"Must be between {least} and {most} in length.")


def at_most(values: Any, path: str, most: int) -> list[Any]:
    if values is None:
        return []
    if not isinstance(values, list):
        raise invalid(path, "Must be a list.")
    if len(values) > most:
        raise invalid(path, f"Must be {most} or fewer in length.")
    return values
