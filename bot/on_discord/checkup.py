"""What `personae doctor` asks Discord: token, intents, invitation, permissions, commands, shards.

In: the bot's settings. Out: observations with a sentence each that says what to do. It reads and changes
nothing, and one question that fails does not keep the next from being asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import discord

from bot.on_discord.settings import WRONG_TOKEN, DiscordSettings

OFFICIAL_API = "https://discord.com/api/v10"
_SECONDS = 10.0
_FEW_STARTS = 20
_MOST_SERVERS_NAMED = 5

COMMANDS = frozenset({"ask", "rewrite", "personas", "usage", "privacy", "personae"})
"""The slash commands that the bot registers when it starts."""

WANTED = discord.Permissions(
    view_channel=True,
    send_messages=True,
    attach_files=True,
    read_message_history=True,
    create_public_threads=True,
    send_messages_in_threads=True,
)
"""What the invitation asks for."""
OPTIONAL = discord.Permissions(manage_webhooks=True)
"""For personas that speak under their own names."""

_PORTAL = "discord.com/developers/applications, your application"


@dataclass(frozen=True)
class Observation:
    """One thing asked. A "note" may be as wanted; a "problem" keeps something from working."""

    verdict: Literal["ok", "note", "problem"]
    sentence: str


def invitation(application_id: str) -> str:
    """The address that invites the bot with the permissions it wants."""
    return (
        f"https://discord.com/oauth2/authorize?client_id={application_id}"
        f"&scope=bot+applications.commands&permissions={WANTED.value}"
    )


async def checkup(settings: DiscordSettings) -> list[Observation]:
    """Ask Discord about this bot."""
    base = (settings.discord_api_base or OFFICIAL_API).rstrip("/")
    headers = {"Authorization": f"Bot {settings.token.get_secret_value()}"}
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as session:
        asked = _Asked(session, base)
        me = await asked.get("/users/@me")
        if not isinstance(me, dict):
            return [asked.failure(me)]
        found = [
            Observation("ok", f"Discord accepts the token: the bot is called {me['username']}.")
        ]
        application = await asked.get("/applications/@me")
        if isinstance(application, dict):
            found += _application(application, settings)
            path = f"/applications/{application['id']}/commands"
            found.append(_commands(await asked.get(path)))
        else:
            found.append(asked.failure(application))
        servers = await asked.get("/users/@me/guilds?limit=200")
        if isinstance(servers, list) and servers:
            found.append(_permissions(servers))
        shards = await asked.get("/gateway/bot")
        if isinstance(shards, dict):
            found += _shards(shards, settings)
        else:
            found.append(asked.failure(shards))
        return found


class _Asked:
    """Questions to Discord; an answer is JSON, a failure a status (0: nobody answered)."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def get(self, path: str) -> dict[str, Any] | list[Any] | int:
        try:
            async with self._session.get(self._base + path) as response:
                if response.status != 200:
                    return response.status
                told = await response.json()
                return told if isinstance(told, dict | list) else 0
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return 0

    def failure(self, status: object) -> Observation:
        if status == 401:
            return Observation("problem", WRONG_TOKEN)
        if status == 0:
            return Observation(
                "problem",
                f"Discord can't be reached at {self._base}. Check that this machine may call it "
                "(firewall, proxy), and DISCORD_API_BASE if it is set.",
            )
        return Observation(
            "note", f"Discord answered with HTTP status {status}; try again in a few minutes."
        )


def _application(told: dict[str, Any], settings: DiscordSettings) -> Iterator[Observation]:
    flags = discord.ApplicationFlags._from_value(int(told.get("flags") or 0))
    on = flags.gateway_message_content or flags.gateway_message_content_limited
    if settings.message_content and not on:
        yield Observation(
            "problem",
            "DISCORD_MESSAGE_CONTENT is set and the intent is off: Discord will close the connection. "
            f'Switch "Message Content Intent" on at {_PORTAL}, "Bot", or unset the variable.',
        )
    elif on and not settings.message_content:
        yield Observation(
            "note",
            '"Message Content Intent" is on, and the bot does not use it. Set '
            "DISCORD_MESSAGE_CONTENT=1, or switch it off in the Developer Portal.",
        )
    else:
        yield Observation("ok", "The intents fit.")
    if told.get("interactions_endpoint_url"):
        yield Observation(
            "problem",
            "The application has an Interactions Endpoint URL, so Discord sends its commands there and "
            f"not to this bot. Empty it at {_PORTAL}, "
            '"General Information".',
        )
    if told.get("bot_public") and not settings.policy.operators:
        yield Observation(
            "note",
            "Anybody may invite this bot, and whoever manages a server may then reload its personas. "
            f'Switch "Public Bot" off at {_PORTAL}, "Bot", or set PERSONAE_OPERATORS.',
        )
    servers = told.get("approximate_guild_count")
    if servers == 0:
        yield Observation(
            "note", f"The bot is in no server yet. Invite it: {invitation(str(told['id']))}"
        )
    elif servers is not None:
        yield Observation("ok", f"The bot is in {servers} server{'s' if servers != 1 else ''}.")


def _commands(told: object) -> Observation:
    if not isinstance(told, list):
        return Observation("note", "The registered commands can't be read; try again later.")
    names = {command.get("name") for command in told if command.get("type", 1) == 1}
    if missing := sorted(COMMANDS - names):
        listed = ", ".join(f"/{name}" for name in missing)
        return Observation(
            "note",
            f"Discord does not know {listed}. Starting the bot registers them; if it runs already, "
            "delete discord-commands.json in PERSONAE_HOME and start it again.",
        )
    return Observation("ok", f"Discord knows the {len(told)} commands.")


def _permissions(servers: list[Any]) -> Observation:
    lacking = []
    for server in servers:
        granted = discord.Permissions(int(server.get("permissions") or 0))
        if granted.administrator:
            continue
        missing = [name for name, on in WANTED if on and not getattr(granted, name)]
        if missing:
            names = ", ".join(name.replace("_", " ") for name in missing)
            lacking.append(f"{server['name']} ({names})")
    if not lacking:
        return Observation("ok", "The bot has the permissions it wants.")
    rest = len(lacking) - _MOST_SERVERS_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return Observation(
        "note",
        f"Permissions are missing in {'; '.join(lacking[:_MOST_SERVERS_NAMED])}{more}. Answers there do "
        "without; open the invitation again to give them (docs/discord.md, step 3).",
    )


def _shards(told: dict[str, Any], settings: DiscordSettings) -> Iterator[Observation]:
    wanted = int(told.get("shards") or 1)
    if settings.shards is not None and settings.shards < wanted:
        yield Observation(
            "problem",
            f"DISCORD_SHARDS is {settings.shards} and Discord recommends {wanted}. Unset it: the bot "
            "then takes as many as Discord recommends.",
        )
    elif wanted > 1:
        yield Observation(
            "ok", f"Discord recommends {wanted} shards; the bot opens them by itself."
        )
    left = (told.get("session_start_limit") or {}).get("remaining")
    if isinstance(left, int) and left < _FEW_STARTS:
        yield Observation(
            "note",
            f"The bot may connect {left} times more today. If it restarts again and again, look at its "
            "log.",
        )
