"""What people administer from a chat: adapters, defaults, who may speak, limits, names, alerts, retention.

In: who asks, where, and what. Out: Markdown sentences in their language, refusals included; no error
leaves. Settings of a server need who manages it, or a role of its list of administrators. What holds for
all servers (reload, rollback, unanswered, export) needs an operator; see `bot.core.policy`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

from bot.core import admin_words, directory, rules, views
from bot.core.conversation import Refused
from bot.core.desk import Desk
from bot.core.people import Person, Place, Platform
from bot.core.policy import Limit
from bot.core.sentences import Say
from bot.state.records import RETENTION_DAYS
from personae.errors import PersonaeError
from personae.feedback_wire import FeedbackFormat
from personae.wire import AdapterChange, PersonaAdapters, PersonaCard

log = logging.getLogger(__name__)

Scope = Literal["channel", "server", "thread"]
LimitScope = Literal["person", "role", "server"]
T = TypeVar("T")

_STATS_DAYS = 7
_TOP = 5
_UNANSWERED_TOLD = 15
_QUESTION_CHARACTERS = 200


class AdminDesk:
    """Beside a `Desk`, whose gateway, state and personas it uses.

    Args:
        has_key: whether the gateway client was given an admin key.
    """

    def __init__(self, desk: Desk, *, has_key: bool) -> None:
        self._desk = desk
        self._gateway = desk.gateway
        self._state = desk.state
        self._platform: Platform = desk.platform
        self._has_key = has_key

    # What holds for all servers

    async def reload(
        self, person: Person, place: Place, persona: str, version: str | None = None
    ) -> str:
        """Move a persona to a version, the newest if none is named. Operators."""

        async def work(say: Say) -> str:
            self._operators_only(person, say)
            card = await self._card(persona, say)
            log.info("reload of %s asked for by %s", card.id, person.key)
            change = AdapterChange(version=version, actor=person.key, surface=self._platform)
            outcome = await self._gateway.reload(card.id, change)
            self._desk.directory.forget()
            return outcome.message

        return await self._answered(person, work)

    async def rollback(self, person: Person, place: Place, persona: str) -> str:
        """Move a persona back to the version before. Operators."""

        async def work(say: Say) -> str:
            self._operators_only(person, say)
            card = await self._card(persona, say)
            log.info("rollback of %s asked for by %s", card.id, person.key)
            change = AdapterChange(actor=person.key, surface=self._platform)
            outcome = await self._gateway.rollback(card.id, change)
            self._desk.directory.forget()
            return outcome.message

        return await self._answered(person, work)

    async def versions(self, person: Person, place: Place, persona: str | None = None) -> str:
        """What is live, what was before it, what else there is; of one persona or of all."""

        async def work(say: Say) -> str:
            await self._administrators_only(person, place, say)
            self._needs_key(say)
            wanted = (await self._card(persona, say)).id if persona else None
            adapters = (await self._gateway.adapters()).personas
            lines = [_versions(its, say) for its in adapters if wanted in (None, its.persona)]
            return "\n".join(lines) or say("no-personas")

        return await self._answered(person, work)

    async def status(self, person: Person, place: Place) -> str:
        """Whether the gateway answers, how much is under way here, what personas lack, defaults here."""

        async def work(say: Say) -> str:
            await self._administrators_only(person, place, say)
            began = time.monotonic()
            lines = []
            try:
                cards = (await self._gateway.personas()).personas
            except PersonaeError as err:
                cards = []
                lines.append(say("status-gateway-down", why=say.error(err)))
            else:
                took = round((time.monotonic() - began) * 1000)
                lines.append(say("status-gateway", milliseconds=took, personas=len(cards)))
            lines.append(say("status-running", running=self._desk.running()))
            lines += [
                say("status-notice", persona=card.display_name, notice=card.notice)
                for card in cards
                if card.notice
            ]
            lines.append(await self._defaults(place, say))
            return "\n".join(lines)

        return await self._answered(person, work)

    async def unanswered(self, person: Person, place: Place, persona: str) -> str:
        """What people asked that a persona has not written about. Operators."""

        async def work(say: Say) -> str:
            self._operators_only(person, say)
            card = await self._card(persona, say)
            questions = (await self._gateway.unanswered(card.id)).questions[:_UNANSWERED_TOLD]
            if not questions:
                return say("unanswered-none", persona=card.display_name)
            lines = [say("unanswered-title", persona=card.display_name)]
            for its in questions:
                question = views.one_line(its.question, _QUESTION_CHARACTERS)
                lines.append(f"- {say('unanswered-line', question=question, times=its.times)}")
            return "\n".join(lines)

        return await self._answered(person, work)

    async def export_feedback(
        self, person: Person, place: Place, persona: str, format_: FeedbackFormat
    ) -> bytes | str:
        """JSON Lines as TRL takes them; a sentence where that can't be. Operators."""

        async def work(say: Say) -> bytes | str:
            self._operators_only(person, say)
            card = await self._card(persona, say)
            return await self._gateway.export_feedback(card.id, format_)

        return await self._answered(person, work)

    # What holds for one server

    async def set_default(
        self, person: Person, place: Place, persona: str | None, scope: Scope = "channel"
    ) -> str:
        """Who answers where nobody is named; None takes the default away."""

        async def work(say: Say) -> str:
            if scope == "server":  # on Slack, a direct conversation has a server, too
                await self._server_administrators_only(person, place, say)
            elif not place.direct:  # there everybody administers their own
                await self._administrators_only(person, place, say)
            card = await self._card(persona, say) if persona else None
            if scope == "thread":
                await self._pin(place, card, say)
            else:
                channel = place.channel if scope == "channel" else ""
                value = card.id if card else None
                await self._set(place, channel, rules.DEFAULT_PERSONA, value)
            if card is None:
                return say("default-cleared")
            return say(f"default-set-{scope}", persona=card.display_name)

        return await self._answered(person, work)

    async def allow(self, person: Person, place: Place, personas: list[str] | None) -> str:
        """The only personas that may speak in this server; None or none: all."""

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            if not personas:
                await self._set(place, "", rules.ALLOWED, None)
                return say("allow-all")
            cards = [await self._card(typed, say) for typed in personas]
            await self._set(place, "", rules.ALLOWED, sorted({card.id for card in cards}))
            return say(
                "allow-set", personas=directory.names(list({c.id: c for c in cards}.values()))
            )

        return await self._answered(person, work)

    async def limits(
        self,
        person: Person,
        place: Place,
        scope: LimitScope | None = None,
        key: str = "",
        *,
        requests: int | None = None,
        tokens: int | None = None,
    ) -> str:
        """Set what may be used a day; both None takes the limit away; without a scope, show all.

        `key`: id of the person or role; "" with "person" means each person. A role's limit is what its
        members may use together.
        """

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            known = await self._desk.rules(place)
            table = {one: known.limits_of(one) for one in ("person", "role", "server")}
            if scope is None:
                lines = [
                    f"- {_limit('limits-line', one, its_key, limit, say)}"
                    for one, some in table.items()
                    for its_key, limit in sorted(some.items())
                ]
                return "\n".join(lines) or say("limits-nobody")
            its = "" if scope == "server" else key
            if scope == "role" and not its:
                raise Refused(say("limits-which-role"))
            for number in (requests, tokens):
                if number is not None and number < 0:
                    raise Refused(say("limits-bad", typed=str(number)))
            limit = Limit(requests=requests, tokens=tokens)
            if requests is None and tokens is None:
                table[scope].pop(its, None)
            else:
                table[scope][its] = limit
            value = {
                one: {its_key: kept.model_dump() for its_key, kept in some.items()}
                for one, some in table.items()
                if some
            }
            await self._set(place, "", rules.LIMITS, value or None)
            if requests is None and tokens is None:
                return say("limits-cleared", whom=_whom(scope, its, say))
            return _limit("limits-set", scope, its, limit, say)

        return await self._answered(person, work)

    async def admin_roles(self, person: Person, place: Place, roles: list[str]) -> str:
        """Roles that may administer here, beside who manages the server. Only who manages it may say."""

        async def work(say: Say) -> str:
            if place.server is None:
                raise Refused(say("admin-not-in-server"))
            if not person.manages:
                raise Refused(say("only-managers"))
            await self._set(place, "", rules.ADMIN_ROLES, sorted(set(roles)) or None)
            return say("admins-set", roles=", ".join(roles)) if roles else say("admins-none")

        return await self._answered(person, work)

    async def own_names(self, person: Person, place: Place, on: bool) -> str:
        """Whether personas speak under their own names and pictures here."""

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            await self._set(place, "", rules.OWN_NAMES, True if on else None)
            return say("names-on" if on else "names-off")

        return await self._answered(person, work)

    async def alerts(self, person: Person, place: Place, channel: str | None) -> str:
        """Where unanswered questions are told; None: nowhere."""

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            await self._set(place, "", rules.ALERTS_CHANNEL, channel)
            return say("alerts-on", channel=channel) if channel else say("alerts-off")

        return await self._answered(person, work)

    async def retention(self, person: Person, place: Place, days: int) -> str:
        """For how many days answers and conversations of this server are kept."""

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            if not 1 <= days <= admin_words.MOST_DAYS:
                raise Refused(say("retention-bad", most=admin_words.MOST_DAYS, typed=str(days)))
            await self._set(place, "", RETENTION_DAYS, days)
            return say("retention-set", days=days)

        return await self._answered(person, work)

    async def stats(self, person: Person, place: Place) -> str:
        """How much this server used in a week, and who used most."""

        async def work(say: Say) -> str:
            await self._server_administrators_only(person, place, say)
            since = self._state.today() - _STATS_DAYS + 1
            whole = await self._state.usage(
                kind="server",
                platform=place.platform,
                server=place.server,
                key=place.server or "",
                since_day=since,
            )
            top = await self._state.usage_top(place.platform, place.server, since, _TOP)
            lines = [
                say("stats-title"),
                say("stats-line", requests=whole.requests, tokens=whole.tokens),
            ]
            for line in top:
                who = line.key.rpartition(":")[2]
                told = say("stats-top", who=who, requests=line.requests, tokens=line.tokens)
                lines.append(f"- {told}")
            return "\n".join(lines)

        return await self._answered(person, work)

    async def run(self, words: list[str], person: Person, place: Place) -> str:
        """The same as text: `reload lincoln v2`, `default lincoln channel`, `limits person requests 50` …"""
        return await admin_words.run(self, words, person, place, await self._desk.say(person))

    # Who may, and what they mean

    async def _answered(self, person: Person, work: Callable[[Say], Awaitable[T]]) -> T | str:
        say = await self._desk.say(person)
        try:
            return await work(say)
        except Refused as refused:
            return str(refused)
        except PersonaeError as err:
            return say.error(err)

    def _operators_only(self, person: Person, say: Say) -> None:
        if not self._desk.is_operator(person):
            if self._desk.has_named_operators:
                raise Refused(say("only-operators"))
            if person.manages:
                raise Refused(say("operators-unnamed", key=person.key))
            raise Refused(say("only-managers"))
        self._needs_key(say)

    def _needs_key(self, say: Say) -> None:
        if not self._has_key:
            raise Refused(say("no-admin-key"))

    async def _administrators_only(self, person: Person, place: Place, say: Say) -> None:
        if not self._desk.is_operator(person) and not await self._desk.may_administer(
            person, place
        ):
            raise Refused(say("only-managers"))

    async def _server_administrators_only(self, person: Person, place: Place, say: Say) -> None:
        if place.server is None:
            raise Refused(say("admin-not-in-server"))
        if not await self._desk.may_administer(person, place):
            raise Refused(say("only-managers"))

    async def _card(self, typed: str, say: Say) -> PersonaCard:
        cards = await self._desk.directory.cards()
        card = directory.find(cards, typed)
        if card is None:
            names = directory.names(cards)
            raise Refused(say("unknown-persona", typed=typed[:60], personas=names))
        return card

    async def _pin(self, place: Place, card: PersonaCard | None, say: Say) -> None:
        if place.thread is None and not place.direct:
            raise Refused(say("default-no-thread"))
        if card is None:
            await self._state.unpin(place.conversation)
        else:
            await self._desk.conversations.pin(place, card.id, None)

    async def _set(self, place: Place, channel: str, name: str, value: object) -> None:
        await self._state.set_setting(place.platform, place.server, channel, name, value)

    async def _defaults(self, place: Place, say: Say) -> str:
        known = await self._desk.rules(place)
        pinned = await self._desk.conversations.pinned(place)
        none = say("default-none")
        return say(
            "default-shown",
            thread=pinned.persona if pinned else none,
            channel=known.default_of(place.channel) or none,
            server=known.default_of("") or none,
        )


def _versions(adapters: PersonaAdapters, say: Say) -> str:
    listed = [
        say("version-unusable", version=info.version, why=info.problem or say("version-no-reason"))
        if info.state == "unusable"
        else info.version
        for info in adapters.versions
    ]
    versions = ", ".join(listed) or say("versions-nothing")
    if adapters.live is None:
        return say("versions-line-none", persona=adapters.persona, versions=versions)
    previous = say("versions-previous", version=adapters.previous) if adapters.previous else ""
    return say(
        "versions-line",
        persona=adapters.persona,
        live=adapters.live,
        previous=previous,
        versions=versions,
    )


def _limit(name: str, scope: str, key: str, limit: Limit, say: Say) -> str:
    unlimited = say("limits-unlimited")
    return say(
        name,
        whom=_whom(scope, key, say),
        requests=unlimited if limit.requests is None else limit.requests,
        tokens=unlimited if limit.tokens is None else limit.tokens,
    )


def _whom(scope: str, key: str, say: Say) -> str:
    if scope == "server":
        return say("limits-whom-server")
    if scope == "person" and not key:
        return say("limits-whom-everybody")
    return say(f"limits-whom-{scope}", key=key)
