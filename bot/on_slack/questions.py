"""Questions and texts to rewrite, however they come: mentions, messages, commands, modals → `Order`s.

Where an answer goes: a mention's into its thread and a direct message's into its own, as a native
stream; `/ask` into the channel, where a thread below the answer may go on; a rewrite and whatever is
asked privately to the person alone.
"""

from __future__ import annotations

import logging

from bot.core.order import Order
from bot.core.people import Place
from bot.core.surface import Speaker
from bot.core.views import speaker_of
from bot.on_slack.arrivals import Payload, from_message
from bot.on_slack.dialogs import Dialogs
from bot.on_slack.live import Live
from bot.on_slack.typed import Typed, after_mention, as_typed, mentions, names_of, parse
from bot.on_slack.visits import Visit, Wiring
from personae.errors import PersonaeError

log = logging.getLogger(__name__)


class Questions:
    """Takes orders to the desk."""

    def __init__(self, wiring: Wiring, live: Live, dialogs: Dialogs) -> None:
        self._wiring = wiring
        self._live = live
        self._dialogs = dialogs

    async def names(self, visit: Visit) -> dict[str, str]:
        """What people may type for each persona that may speak here."""
        cards = await self._wiring.desk.personas(visit.place, visit.person)
        return names_of((card.id, card.display_name) for card in cards)

    async def message(self, event: Payload, body: Payload, visit: Visit) -> None:
        """A mention, a direct message, or a reply in a thread where the bot has spoken."""
        bot = visit.workspace.user_id
        text = str(event.get("text") or "")
        names = await self.names(visit)
        typed = parse(after_mention(text, bot), names)
        if not typed.text:
            listed = ", ".join(sorted(set(names.values())))
            usage = visit.say("slack-mention-usage", personas=listed)
            await visit.tell(usage if listed else await visit.why_nobody())
            return
        if typed.persona is None:
            await self._live.quiet(visit.spot)
        order = self._order(visit, typed, thread=visit.spot.thread, remembers=True)
        order = order.of(extra={"message": str(event["ts"]), "channel": visit.spot.channel})
        if typed.private or typed.task == "rewrite":
            await self._privately(order.of(private=True), visit)
        else:
            await self._live.answer(order, visit.in_thread(visit.spot.thread or ""), visit)

    async def is_for_us(self, event: Payload, body: Payload) -> bool:
        """Whether a message in a channel, without a mention of the bot, goes on a talk with it: it
        stands in a thread where a persona has spoken, and is not addressed to somebody else."""
        arrival = from_message(event, body)
        if not event.get("thread_ts"):
            return False
        text = str(event.get("text") or "")
        workspace = await self._wiring.workspaces.of(arrival.team, arrival.enterprise)
        if workspace.user_id in (named := mentions(text)):
            return True
        if named:
            return False
        if self._live.goes_on_in(arrival.spot()):
            return True
        key = arrival.spot().place().conversation
        return await self._wiring.state.conversation(key) is not None

    async def ask(self, command_text: str, visit: Visit) -> None:
        """`/ask [private] [persona] <question>`; without a question, a modal."""
        names = await self.names(visit)
        typed = parse(as_typed(command_text), names, "ask")
        if not typed.text:
            await self._dialogs.ask(visit, persona=typed.persona)
        elif typed.private:
            await visit.tell(visit.say("slack-asking-privately"))
            await self._privately(self._order(visit, typed, thread=None), visit)
        elif typed.persona is not None and typed.persona not in names.values():
            # A question to nobody is answered by a suggestion, which need not stand in the channel.
            await self._privately(self._order(visit, typed, thread=None), visit)
        else:
            await self.ask_in_channel(self._order(visit, typed, thread=None), visit)

    async def rewrite(self, command_text: str, visit: Visit) -> None:
        """`/rewrite [light|strong] [persona] <text>`: a private draft; without a text, a modal."""
        typed = parse(as_typed(command_text), await self.names(visit), "rewrite")
        if not typed.text:
            await self._dialogs.rewrite(visit, persona=typed.persona)
        else:
            await visit.tell(visit.say("slack-rewriting"))
            await self._privately(self._order(visit, typed, thread=None), visit)

    async def from_modal(self, typed: Typed, thread: str | None, visit: Visit) -> None:
        """What somebody filled in, perhaps about a message: then the answer stands below that."""
        order = self._order(visit, typed, thread=thread)
        if order.private:
            await self._privately(order, visit)
        elif thread is not None:
            shown = order.of(shows_question=True, remembers=True)
            await self._live.answer(shown, visit.in_channel(thread), visit)
        else:
            await self.ask_in_channel(order, visit)

    async def ask_in_channel(self, order: Order, visit: Visit) -> None:
        """The placeholder is posted first: its thread is where the talk may go on."""
        surface = visit.in_channel(None)
        order = order.of(shows_question=True)
        if await surface.open(visit.person.locale, await self._speaker(order, visit)):
            place = Place(
                "slack",
                order.place.server,
                order.place.channel,
                surface.messages.timestamps[0],
                order.place.direct,
            )
            order = order.of(place=place, remembers=True)
        else:
            order = order.of(private=True)
        await self._live.answer(order, surface, visit)

    async def _speaker(self, order: Order, visit: Visit) -> Speaker | None:
        """Under whose name the placeholder is posted: an edit can't change it later."""
        try:
            rules = await self._wiring.desk.rules(order.place)
        except PersonaeError:
            return None
        if not rules.own_names:
            return None
        place = order.place
        named = order.persona or rules.default_of(place.channel) or rules.default_of("")
        cards = await self._wiring.desk.personas(place, order.person)
        found = [card for card in cards if card.id == named]
        return speaker_of(found[0], visit.say) if found else None

    async def _privately(self, order: Order, visit: Visit) -> None:
        await self._live.answer(order, visit.privately(), visit)

    def _order(
        self, visit: Visit, typed: Typed, *, thread: str | None, remembers: bool = False
    ) -> Order:
        spot = visit.spot
        return Order(
            event=visit.arrival.key,
            task=typed.task,
            person=visit.person,
            place=Place("slack", spot.team, spot.channel, thread, spot.direct),
            text=typed.text,
            persona=typed.persona,
            remembers=remembers,
            private=typed.private or typed.task == "rewrite",
            strength=typed.strength,
        )


def is_question(event: Payload) -> bool:
    """Written by a person, and not an edit, a deletion or a notice."""
    if event.get("bot_id") or event.get("app_id") or not event.get("user"):
        return False
    return not event.get("subtype") or event["subtype"] in ("file_share", "thread_broadcast")


def deleted_message(event: Payload) -> tuple[str, str] | None:
    """(channel, ts) of the message that an event says is gone."""
    if event.get("subtype") != "message_deleted" or not event.get("deleted_ts"):
        return None
    return str(event.get("channel") or ""), str(event["deleted_ts"])
