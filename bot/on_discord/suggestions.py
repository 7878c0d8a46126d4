"""Personas as Discord suggests them while somebody types: at most 25, a hundred characters each. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from discord import app_commands

from bot.on_discord.markdown import shortened
from personae.wire import PersonaCard

_MOST_CHOICES = 25
_NAME_CHARACTERS = 100
_LEAST_DESCRIPTION = 8


def choices(cards: Sequence[PersonaCard]) -> list[app_commands.Choice[str]]:
    """What to show for each, and the id that is sent for it."""
    return [
        app_commands.Choice(name=_line(card), value=card.id[:_NAME_CHARACTERS])
        for card in cards[:_MOST_CHOICES]
    ]


def _line(card: PersonaCard) -> str:
    """ "Abraham Lincoln (lincoln): The speeches and messages of …" """
    ending = f" ({card.id})"
    name = shortened(card.display_name, max(1, _NAME_CHARACTERS - len(ending))) + ending
    room = _NAME_CHARACTERS - len(name) - 2
    description = shortened(card.description, max(1, room))
    return f"{name}: {description}" if description and room >= _LEAST_DESCRIPTION else name
