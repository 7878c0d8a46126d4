"""`/personas`, `/usage` and `/privacy`: what people may know and decide about themselves. Sentences in
Markdown out; the counting and keeping is the desk's."""

from __future__ import annotations

import json

from bot.on_slack import modals
from bot.on_slack.dialogs import Dialogs
from bot.on_slack.visits import Visit, Wiring

_EXPORT_CHARACTERS = 50_000


class Counter:
    """Answers questions about the bot itself."""

    def __init__(self, wiring: Wiring, dialogs: Dialogs) -> None:
        self._desk = wiring.desk
        self._dialogs = dialogs

    async def personas(self, words: list[str], visit: Visit) -> None:
        """Who speaks here. `/personas usage` and `/personas privacy …` do what those commands do."""
        match words:
            case ["usage"]:
                await self.usage(visit)
            case ["privacy", *rest]:
                await self.privacy(rest, visit)
            case _:
                cards = await self._desk.personas(visit.place, visit.person)
                lines = [
                    visit.say(
                        "slack-persona-line",
                        name=card.display_name,
                        id=card.id,
                        description=" ".join(card.description.split()) or card.disclosure,
                    )
                    for card in cards
                ]
                title = visit.say("slack-personas-title") if lines else await visit.why_nobody()
                await visit.tell("\n".join([title, *(f"- {line}" for line in lines)]))

    async def usage(self, visit: Visit) -> None:
        await visit.tell(await self._desk.usage(visit.person, visit.place))

    async def privacy(self, words: list[str], visit: Visit) -> None:
        match [word.lower() for word in words]:
            case ["show"]:
                kept = await self._desk.export(visit.person)
                out = bool((kept.get("person") or {}).get("opted_out"))
                answers = len(kept.get("answers") or [])
                await visit.tell(
                    visit.say("slack-privacy-show", answers=answers, out="yes" if out else "no")
                )
            case ["export"]:
                await self._export(visit)
            case ["opt-out" | "optout"]:
                await visit.tell(await self._desk.opt_out(visit.person, True))
            case ["opt-in" | "optin"]:
                await visit.tell(await self._desk.opt_out(visit.person, False))
            case ["language", language]:
                await visit.tell(await self._desk.set_language(visit.person, language))
            case ["delete"]:
                await visit.tell(await self._desk.forget(visit.person))
            case _:
                await visit.tell(visit.say("slack-privacy-usage"))

    async def _export(self, visit: Visit) -> None:
        """Everything, to select and copy: files would need a scope that lets the bot read none."""
        kept = json.dumps(await self._desk.export(visit.person), ensure_ascii=False, indent=1)
        if len(kept) > _EXPORT_CHARACTERS:
            kept = kept[:_EXPORT_CHARACTERS] + "\n" + visit.say("slack-export-cut")
        await self._dialogs.open(visit, modals.copy(visit.say, kept, title="slack-export-title"))
