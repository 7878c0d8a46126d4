"""Who speaks in a conversation, and what was said in it before.

A thread or a direct conversation keeps the persona and adapter version of its first message until
somebody changes it. Elsewhere the channel's default speaks, then the server's. A conversation outside of
threads that was silent for longer than its memory begins anew; a thread forgets what was said, and keeps
its persona. In: orders and their place. Out: personas, versions, turns. It knows the bots' state only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.core import directory
from bot.core.order import Order
from bot.core.people import Place
from bot.core.rules import Rules
from bot.core.sentences import Say
from bot.state.records import AnswerRecord, Conversation
from bot.state.store import State
from personae.wire import PersonaCard, Turn

MOST_TURNS = 12
MOST_CHARACTERS = 6_000
_MOST_OF_A_TURN = 2_000


class Refused(Exception):
    """There will be no answer; the sentence says why, in the person's language."""


@dataclass(frozen=True)
class Cast:
    """Who speaks.

    Attributes:
        adapter_version: the conversation's; None: the live one.
        pins: whether this answer sets the conversation's persona and version.
    """

    card: PersonaCard
    adapter_version: str | None
    pins: bool


def holds(place: Place) -> bool:
    """Whether a conversation there has a persona of its own: a whole channel has defaults instead."""
    return place.thread is not None or place.direct


def choose(
    order: Order,
    cards: Sequence[PersonaCard],
    rules: Rules,
    pinned: Conversation | None,
    say: Say,
) -> Cast:
    """Who answers an order.

    Args:
        cards: all personas.
        pinned: the conversation, where the order belongs to one.

    Raises:
        Refused: nobody; the sentence lists those that may.
    """
    allowed = [card for card in cards if rules.allowed is None or card.id in rules.allowed]
    if not allowed:
        raise Refused(say("no-personas" if not cards else "none-allowed"))
    card = _named(order.persona, allowed, cards, say) if order.persona else None
    if card is None:
        by_id = {one.id: one for one in allowed}
        wanted = (
            pinned.persona if pinned else None,
            rules.default_of(order.place.channel),
            rules.default_of(""),
        )
        card = next((by_id[one] for one in wanted if one in by_id), None)
    if card is None and len(allowed) == 1:
        card = allowed[0]
    if card is None:
        raise Refused(say("which-persona", personas=directory.names(allowed)))
    keeps = order.remembers and holds(order.place)
    if pinned is not None and pinned.persona == card.id:
        return Cast(card, pinned.adapter_version, pins=keeps and pinned.adapter_version is None)
    return Cast(card, None, pins=keeps)


def _named(
    typed: str, allowed: Sequence[PersonaCard], cards: Sequence[PersonaCard], say: Say
) -> PersonaCard:
    card = directory.find(allowed, typed)
    if card is not None:
        return card
    listed = directory.names(allowed)
    elsewhere = directory.find(cards, typed)
    if elsewhere is not None:
        raise Refused(say("not-allowed-here", persona=elsewhere.display_name, personas=listed))
    meant = directory.near(allowed, typed)
    shown = " ".join(typed.split())[:60]
    if meant is not None:
        raise Refused(say("unknown-persona-near", typed=shown, near=meant.id, personas=listed))
    raise Refused(say("unknown-persona", typed=shown, personas=listed))


class Conversations:
    """The bots' state, as a conversation sees it.

    Args:
        memory_seconds: how long what was said is remembered.
    """

    def __init__(self, state: State, *, memory_seconds: float, clock: Callable[[], float]) -> None:
        self._state = state
        self._memory_seconds = memory_seconds
        self._clock = clock

    async def pinned(self, place: Place) -> Conversation | None:
        found = await self._state.conversation(place.conversation)
        if found is None or place.thread is not None:
            return found
        return found if found.updated_at >= self._not_before() else None

    async def history(self, place: Place) -> list[Turn]:
        """What was said before, oldest first, as much as fits."""
        said = await self._state.turns(
            place.conversation, limit=MOST_TURNS, not_before=self._not_before()
        )
        return within([(turn.role, turn.content) for turn in said])

    async def pin(self, place: Place, persona: str, adapter_version: str | None) -> None:
        await self._state.pin(
            place.conversation,
            platform=place.platform,
            server=place.server,
            channel=place.channel,
            persona=persona,
            adapter_version=adapter_version,
        )

    async def remember(
        self, place: Place, *, person_key: str, question: str, answer: str, answer_id: str
    ) -> None:
        await self._state.remember(
            place.conversation,
            person_key=person_key,
            question=question[:_MOST_OF_A_TURN],
            answer=answer[:_MOST_OF_A_TURN],
            answer_id=answer_id,
            most_turns=MOST_TURNS,
        )

    async def take_over(self, place: Place, record: AnswerRecord) -> None:
        """Let a conversation go on from an answer that was given elsewhere: a thread begun under it, a reply
        to it. Private answers and those of which nothing is kept are not taken over."""
        said = record.text.strip()[:_MOST_OF_A_TURN]
        if record.task != "ask" or record.private or not record.question or not said:
            return
        known = await self._state.turns(place.conversation, limit=MOST_TURNS)
        if any(turn.content == said for turn in known):
            return
        await self.remember(
            place,
            person_key=record.person_key,
            question=record.question,
            answer=said,
            answer_id=record.id,
        )
        if holds(place) and await self.pinned(place) is None:
            await self.pin(place, record.persona, record.adapter_version)

    def _not_before(self) -> float:
        return self._clock() - self._memory_seconds


def within(turns: Sequence[tuple[str, str]], most: int = MOST_CHARACTERS) -> list[Turn]:
    """The newest turns that fit into so many characters, beginning with a question."""
    kept: list[Turn] = []
    room = most
    for role, content in reversed(turns):
        cut = content[:_MOST_OF_A_TURN]
        room -= len(cut)
        if room < 0:
            break
        kept.append(Turn(role="user" if role == "user" else "assistant", content=cut))
    kept.reverse()
    while kept and kept[0].role != "user":
        kept.pop(0)
    return kept
