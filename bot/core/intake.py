"""From an order to a job: may this be answered, by whom, with what before it, and who keeps what of it.

In: an order. Out: a `Job` with the request to the gateway, or `Refused` with the sentence for the person.
It counts the request against the quotas, as its last step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from bot.core.conversation import Cast, Conversations, Refused, choose, holds, within
from bot.core.directory import Directory
from bot.core.limits import Limits
from bot.core.order import Order
from bot.core.people import Person
from bot.core.rules import Rules
from bot.core.sentences import Say
from bot.state.records import AnswerRecord
from bot.state.store import State
from personae.wire import AskRequest, PersonaCard, RewriteRequest, Turn

_PATIENCE_SECONDS = 15.0
"""For the first list of personas: who asked sees already that an answer is coming."""


@dataclass(frozen=True)
class Job:
    """One answer to give.

    Attributes:
        keep: whether its words are kept after its end; False for people who have opted out.
        previous: the answer that this is another try of.
        others: whether another persona could have answered.
        operator: whether who asks may revise it.
        recovers: whether an earlier process was cut off amid this answer.
    """

    order: Order
    say: Say
    cast: Cast
    rules: Rules
    request: AskRequest | RewriteRequest
    history: list[Turn]
    keep: bool
    previous: AnswerRecord | None
    others: bool
    operator: bool
    recovers: bool = False

    @property
    def card(self) -> PersonaCard:
        return self.cast.card


class Intake:
    def __init__(
        self,
        *,
        state: State,
        directory: Directory,
        conversations: Conversations,
        limits: Limits,
        is_operator: Callable[[Person], bool],
    ) -> None:
        self._state = state
        self._directory = directory
        self._conversations = conversations
        self._limits = limits
        self._is_operator = is_operator

    async def take(
        self,
        order: Order,
        say: Say,
        *,
        keep: bool,
        previous: AnswerRecord | None,
        repins: bool,
        recovers: bool = False,
    ) -> Job:
        """Check an order, count it and make its request.

        Args:
            keep: whether question and answer may be kept.
            previous: the answer it is another try of.
            repins: whether a persona that the order names becomes the conversation's.
            recovers: it was counted when it was asked.

        Raises:
            Refused: there will be no answer.
            PersonaeError: the state or the gateway fails.
        """
        place = order.place
        rules = Rules(await self._state.settings(place.platform, place.server))
        pinned = None
        if order.remembers and holds(place):
            pinned = await self._conversations.pinned(place)
        cards = await self._directory.cards(wait_seconds=_PATIENCE_SECONDS)
        cast = choose(order, cards, rules, pinned, say)
        if not repins:
            cast = dataclasses.replace(cast, pins=False)
        _check_text(order, cast.card, say)
        history: list[Turn] = []
        if order.task == "ask" and keep:
            if previous is not None:
                history = within([(its["role"], its["content"]) for its in previous.history])
            elif order.remembers:
                history = await self._conversations.history(place)
        if not recovers:
            refusal = await self._limits.take(order.person, place, rules, say)
            if refusal is not None:
                raise Refused(refusal)
        allowed = [card for card in cards if rules.allowed is None or card.id in rules.allowed]
        return Job(
            order=order,
            say=say,
            cast=cast,
            rules=rules,
            request=_request(order, cast, history, keep=keep),
            history=history,
            keep=keep,
            previous=previous,
            others=len(allowed) > 1,
            operator=self._is_operator(order.person),
            recovers=recovers,
        )


def _check_text(order: Order, card: PersonaCard, say: Say) -> None:
    """Raises:
    Refused: there is no text, or too much of it.
    """
    asks = order.task == "ask"
    if not order.text.strip():
        raise Refused(say("empty-question" if asks else "empty-text"))
    most = card.max_question_characters if asks else card.max_text_characters
    if len(order.text) > most:
        name = "question-too-long" if asks else "text-too-long"
        raise Refused(say(name, characters=len(order.text), persona=card.display_name, most=most))


def _request(
    order: Order, cast: Cast, history: list[Turn], *, keep: bool
) -> AskRequest | RewriteRequest:
    if order.task == "ask":
        return AskRequest(
            persona=cast.card.id,
            question=order.text,
            history=history,
            adapter_version=cast.adapter_version,
            keep=keep and not order.private,
            user=order.person.key,
            surface=order.place.platform,
        )
    return RewriteRequest(
        persona=cast.card.id,
        text=order.text,
        strength=order.strength,
        adapter_version=cast.adapter_version,
        user=order.person.key,
        surface=order.place.platform,
    )
