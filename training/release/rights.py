"""Rights: whether a persona's file names on what ground its voice may be heard by others.

In: a persona. Out: the keys that are still to be filled in. Whether what stands there is true, a person
has to know; here it is only seen to that somebody answered. Unlike a gate, this can't be forced.
"""

from __future__ import annotations

from personae.errors import AdapterError
from personae.persona import Persona

_NO_GROUND = frozenset(
    {"", "-", "?", "none", "no", "n/a", "unknown", "todo", "tbd", "all rights reserved"}
)
"""Words in such a field that say that there is none. "All rights reserved" is the absence of a licence."""


def missing_rights(persona: Persona) -> list[str]:
    """Keys of persona.toml to fill in before a version may be published; empty: none."""
    rights = persona.rights
    missing = []
    if rights is None or not _says(rights.owner):
        missing.append("[rights] owner")
    if rights is None or not _says(rights.statement):
        missing.append("[rights] statement")
    if rights is None or not (_says(rights.licence) or _says(rights.consent)):
        missing.append("[rights] licence or consent")
    if not _says(persona.disclosure):
        missing.append("disclosure")
    return missing


def require_rights(persona: Persona) -> None:
    """Raises AdapterError: a version of this persona may not be published."""
    missing = missing_rights(persona)
    if missing:
        raise AdapterError(
            f"{persona.id} can't be published: its persona.toml does not say that its texts may be used "
            f"for this. Fill in {', '.join(missing)} (this can't be forced). Until then the version can "
            f'be tried on this machine: `personae train try {persona.id} "…"`.'
        )


def _says(text: str | None) -> bool:
    return text is not None and text.strip().rstrip(".").lower() not in _NO_GROUND
