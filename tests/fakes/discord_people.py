"""What people do on the fake Discord: type commands, write, reply, press, choose, fill in, delete.

Like the app, it lets them do only what is there: registered commands, options and contexts, buttons
that are on a message they can see and that are not disabled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.fakes import discord_objects as objects
from tests.fakes import discord_rules as rules
from tests.fakes.discord_command_data import command_data
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_message import Message
from tests.fakes.discord_objects import APPLICATION_ID, CHANNEL_ID, DM_CHANNEL_ID, EVERYTHING
from tests.fakes.discord_view import ChannelView
from tests.fakes.discord_world import ALICE, BOB, CAROL, DIRECT, GROUP, Channel, Person, member

if TYPE_CHECKING:
    from tests.fakes.discord_platform import FakeDiscord

_INSTALLED_BY_SERVER, _INSTALLED_BY_PERSON = "0", "1"
_CONTEXTS = {DIRECT: 1, GROUP: 2}


class People:
    """The part of `FakeDiscord` that stands for people."""

    def _me(self) -> FakeDiscord:
        return self  # type: ignore[return-value]

    # --- commands ---------------------------------------------------------------------------------

    async def slash(
        self,
        command: str,
        *,
        dm: bool = False,
        permissions: int | None = None,
        overridden: bool = False,
        person: Person = ALICE,
        channel: str = CHANNEL_ID,
        locale: str = "en-US",
        user_install: bool = False,
        options: Mapping[str, str | int | bool] | None = None,
        **more: str | int | bool,
    ) -> Interaction:
        """Use a command, for example `slash("personae reload", persona="lincoln")`.

        Args:
            options: those of the command whose names are taken here, such as `person`.
            permissions: the person's in the channel; None: Alice, who owns the servers, may
                everything, and others what their roles allow.
            overridden: stands for a server whose settings give the command to members without its
                default permissions.
            user_install: the person installed the app for themselves, and the place did not.
        """
        me = self._me()
        where = me.world.place(DM_CHANNEL_ID if dm else channel)
        granted = self._granted(where, person, permissions)
        data = command_data(
            me.commands,
            command,
            {**(options or {}), **more},
            context=_context(where),
            user_install=user_install,
        )
        default = data.pop("default_member_permissions")
        if default is not None and not overridden and where.guild is not None:
            assert granted & int(default) == int(default), f"/{command} would not be offered"
        interaction = Interaction(me, rules.COMMAND, where, person, user_install=user_install)
        return await me.do(self._interact(interaction, data, granted, locale))

    async def autocomplete(
        self,
        command: str,
        option: str,
        typed: str,
        *,
        person: Person = ALICE,
        channel: str = CHANNEL_ID,
        locale: str = "en-US",
        **others: str | int | bool,
    ) -> Interaction:
        """Type into an option, with `others` filled in already."""
        me = self._me()
        where = me.world.place(channel)
        data = command_data(
            me.commands,
            command,
            {**others, option: typed},
            context=_context(where),
            typing=option,
        )
        del data["default_member_permissions"]
        interaction = Interaction(me, rules.AUTOCOMPLETE, where, person)
        return await me.do(self._interact(interaction, data, EVERYTHING, locale))

    async def menu(
        self,
        name: str,
        message: Message,
        *,
        person: Person = ALICE,
        permissions: int | None = None,
        locale: str = "en-US",
        user_install: bool = False,
    ) -> Interaction:
        """Choose a message's context menu command ("Apps")."""
        me = self._me()
        self._assert_sees(person, message)
        where = message.channel
        data = command_data(
            me.commands, name, {}, context=_context(where), kind=3, user_install=user_install
        )
        del data["default_member_permissions"], data["options"]
        data |= {
            "target_id": message.id,
            "resolved": {"messages": {message.id: message.as_json()}},
        }
        interaction = Interaction(me, rules.COMMAND, where, person, user_install=user_install)
        granted = self._granted(where, person, permissions)
        return await me.do(self._interact(interaction, data, granted, locale))

    # --- buttons, menus, modals -------------------------------------------------------------------

    async def press(
        self,
        message: Message,
        control: str,
        *,
        person: Person = ALICE,
        permissions: int | None = None,
        locale: str = "en-US",
    ) -> Interaction:
        """Press the button with this custom id, label or emoji."""
        self._assert_sees(person, message)
        part = message.control(control)
        assert part["type"] == 2, f"{control!r} is no button"
        data = {"component_type": 2, "custom_id": part["custom_id"], "id": part.get("id", 1)}
        return await self._use(message, data, person, permissions, locale)

    async def choose(
        self,
        message: Message,
        control: str,
        *values: str,
        person: Person = ALICE,
        permissions: int | None = None,
        locale: str = "en-US",
    ) -> Interaction:
        """Choose from the menu with this custom id or placeholder, by value or label."""
        self._assert_sees(person, message)
        part = message.control(control)
        assert part["type"] == 3, f"{control!r} is no menu"
        known = {option["value"]: option["value"] for option in part["options"]}
        known |= {option["label"]: option["value"] for option in part["options"]}
        assert set(values) <= set(known), f"{set(values) - set(known)} can't be chosen"
        assert part.get("min_values", 1) <= len(values) <= part.get("max_values", 1)
        data = {
            "component_type": 3,
            "custom_id": part["custom_id"],
            "id": part.get("id", 1),
            "values": [known[value] for value in values],
        }
        return await self._use(message, data, person, permissions, locale)

    async def submit(
        self, asked: Interaction, texts: dict[str, str], *, locale: str = "en-US"
    ) -> Interaction:
        """Fill in the modal that `asked` was answered with: text by custom id or by label."""
        modal = await asked.modal_shown()
        left, filled = dict(texts), []
        for part in modal["components"]:
            inner = part.get("component") or (part.get("components") or [None])[0]
            if inner is None:
                continue
            label = part.get("label") or inner.get("label")
            given = left.pop(inner["custom_id"], left.pop(label, inner.get("value") or ""))
            least = inner.get("min_length") or (1 if inner.get("required", True) else 0)
            assert least <= rules.units(given) <= (inner.get("max_length") or 4000), label
            value = {"type": inner["type"], "id": 2, "custom_id": inner["custom_id"]}
            value |= {"value": given} if inner["type"] == 4 else {"values": [given]}
            key = {"component": value} if part["type"] == 18 else {"components": [value]}
            filled.append({"type": part["type"], "id": 1, **key})
        assert not left, f"the modal does not ask for {set(left)}"
        me = self._me()
        data = {"custom_id": modal["custom_id"], "components": filled, "resolved": {}}
        interaction = Interaction(
            me,
            rules.MODAL,
            asked.channel,
            asked.person,
            source=asked.source,
            user_install=asked.user_install,
        )
        granted = self._granted(asked.channel, asked.person, None)
        return await me.do(self._interact(interaction, data, granted, locale))

    async def _use(
        self,
        message: Message,
        data: dict[str, Any],
        person: Person,
        permissions: int | None,
        locale: str,
    ) -> Interaction:
        me = self._me()
        interaction = Interaction(me, rules.COMPONENT, message.channel, person, source=message)
        granted = self._granted(message.channel, person, permissions)
        return await me.do(self._interact(interaction, data, granted, locale))

    # --- messages and channels --------------------------------------------------------------------

    async def say(
        self,
        text: str,
        *,
        channel: str = CHANNEL_ID,
        person: Person = ALICE,
        reply_to: Message | None = None,
        ping: bool = True,
        files: dict[str, bytes] | None = None,
    ) -> Message:
        """Write a message; as in the app, a reply pings the one it answers unless told otherwise."""
        me = self._me()

        async def write() -> Message:
            message = Message(me.world.place(channel), person=person, reference=reply_to)
            message.write({"content": text})
            me.attach(message, files or {})
            if reply_to is not None and ping:
                message.pinged = [reply_to.person] if reply_to.person else []
                message.pings_bot = reply_to.of_bot and reply_to.webhook_id is None
            message.channel.message_count += 1
            me.appeared(message)
            me.notify()
            return message

        return await me.do(write())

    async def edit(self, message: Message, text: str) -> None:
        me = self._me()

        async def change() -> None:
            message.write({"content": text})
            me.appeared(message, is_new=False)

        await me.do(change())

    async def remove(self, *messages: Message) -> None:
        """Delete messages of one channel; two or more at once, as a moderator can."""
        me = self._me()

        async def delete() -> None:
            me.vanished(list(messages))

        await me.do(delete())

    async def open_thread(
        self,
        message: Message | None = None,
        name: str = "About it",
        *,
        channel: str = CHANNEL_ID,
        person: Person = ALICE,
    ) -> str:
        """Begin a thread; returns its id."""
        me = self._me()

        async def begin() -> str:
            where = message.channel if message else me.world.place(channel)
            return me.opened(where, name, message, person.id).id

        return await me.do(begin())

    async def archive(self, thread: str, *, locked: bool = False) -> None:
        me = self._me()

        async def change() -> None:
            channel = me.world.place(thread)
            channel.archived, channel.locked = True, locked
            me.tell("THREAD_UPDATE", channel.as_json(), channel)

        await me.do(change())

    async def delete_channel(self, channel_id: str) -> None:
        """A channel or a thread goes, with all that is in it."""
        me = self._me()

        async def delete() -> None:
            channel = me.world.place(channel_id)
            me.world.take_away(channel)
            for message in me.messages.values():
                if channel in (message.channel, message.channel.parent):
                    message.deleted = True
            name = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
            me.tell(name, channel.as_json(), channel)
            me.notify()

        await me.do(delete())

    async def forbid(self, channel_id: str, permissions: int) -> None:
        """The server's owner takes permissions from the bot in a channel."""
        await self._overwrite(channel_id, 0, permissions)

    async def allow(self, channel_id: str, permissions: int) -> None:
        await self._overwrite(channel_id, permissions, 0)

    async def _overwrite(self, channel_id: str, allow: int, deny: int) -> None:
        me = self._me()

        async def change() -> None:
            channel = me.world.place(channel_id)
            _, allowed, denied = channel.overwrites.get(objects.BOT_ID, (1, 0, 0))
            channel.overwrites[objects.BOT_ID] = (
                1,
                allowed & ~deny | allow,
                denied & ~allow | deny,
            )
            me.tell("CHANNEL_UPDATE", channel.as_json(), channel)

        await me.do(change())

    async def expel(self, number: int = 0) -> None:
        """The owner of a server removes the bot from it."""
        me = self._me()

        async def leave() -> None:
            guild = me.world.guilds[number]
            guild.joined = False
            data = {"id": guild.id, "unavailable": False}
            me.send(me.socket.dispatch("GUILD_DELETE", data, guild_id=guild.id))

        await me.do(leave())

    # --- what people see --------------------------------------------------------------------------

    def channel(self, channel_id: str) -> ChannelView:
        me = self._me()
        return ChannelView(me, me.world.place(channel_id))

    @property
    def threads(self) -> list[Channel]:
        return [thread for guild in self._me().world.guilds for thread in guild.threads]

    def visible(self, channel_id: str, person: Person = ALICE) -> list[Message]:
        """What a person sees in a channel, in order."""
        there = self.channel(channel_id).messages
        return [m for m in there if not m.ephemeral or m.person == person]

    def member(self, user_id: str) -> dict[str, Any] | None:
        for person in (ALICE, BOB, CAROL):
            if person.id == user_id:
                return member(person.as_json(), person.roles)
        return None

    def _assert_sees(self, person: Person, message: Message) -> None:
        assert not message.deleted, "the message is gone"
        assert not message.ephemeral or message.person == person, f"{person.name} can't see it"

    def _granted(self, channel: Channel, person: Person, permissions: int | None) -> int:
        if permissions is not None or channel.guild is None:
            return EVERYTHING if permissions is None else permissions
        return channel.guild.permissions(person.id, person.roles, channel)

    # --- the event --------------------------------------------------------------------------------

    async def _interact(
        self, interaction: Interaction, data: dict[str, Any], granted: int, locale: str
    ) -> Interaction:
        me, channel, person = self._me(), interaction.channel, interaction.person
        me.interactions[interaction.token] = interaction
        guild = channel.guild
        owners = {_INSTALLED_BY_SERVER: guild.id if guild else "0"}
        if interaction.user_install:
            owners = {_INSTALLED_BY_PERSON: person.id}
        payload = {
            "id": interaction.id,
            "application_id": APPLICATION_ID,
            "type": interaction.kind,
            "token": interaction.token,
            "version": 1,
            "data": data,
            "locale": locale,
            "attachment_size_limit": 10485760,
            "entitlements": [],
            "app_permissions": str(me.world.bot_may(channel)),
            "authorizing_integration_owners": owners,
            "context": _context(channel),
            "channel": channel.as_json(),
            "channel_id": channel.id,
        }
        if interaction.source is not None:
            payload["message"] = interaction.source.as_json()
        if guild is None:
            payload["user"] = person.as_json()
        else:
            payload["guild_id"] = guild.id
            payload["guild"] = {"id": guild.id, "features": [], "locale": "en-US"}
            payload["guild_locale"] = "en-US"
            payload["member"] = member(person.as_json(), person.roles) | {
                "permissions": str(granted)
            }
        guild_id = guild.id if guild else None
        me.send(me.socket.dispatch("INTERACTION_CREATE", payload, guild_id=guild_id))
        me.call_later(me.ack_seconds, self._check_acknowledged, interaction)
        return interaction

    def _check_acknowledged(self, interaction: Interaction) -> None:
        me = self._me()
        if interaction.acknowledged_with is None:
            me.problems.append(f"unanswered after {me.ack_seconds} s: {interaction.id}")
            me.notify()


def _context(channel: Channel) -> int:
    return _CONTEXTS.get(channel.type, 0)
