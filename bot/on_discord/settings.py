"""The Discord frontend's settings, from the environment. Read once, by `main()`.

DISCORD_TOKEN         the bot's token, from "Bot" in the Discord Developer Portal
PERSONAE_GATEWAY_URL  http://127.0.0.1:8420; several with commas between them: replicas (docs/replicas.md)
PERSONAE_API_KEY      the gateway's key for questions, if it asks for one
PERSONAE_ADMIN_KEY    the gateway's key for /personae
PERSONAE_HOME         ./var; remembers there which commands Discord knows already
PERSONAE_DATABASE_URL what the bots keep: postgresql://…; a file in PERSONAE_HOME without it
DISCORD_MESSAGE_CONTENT  1: follow-ups in the bot's own threads need no mention; asks for a privileged intent
DISCORD_SHARDS        how many connections; without it one, or as many as Discord asks for
DISCORD_API_BASE      https://discord.com/api/v10; another server for a proxy, or for tests
DISCORD_GATEWAY_URL   wss://gateway.discord.gg/; likewise
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from bot.core.gateways import are_addresses
from bot.core.policy import PolicySettings, policy_from
from personae.errors import ConfigError

_HTTP = re.compile(r"https?://[^\s/]+")
_WEBSOCKET = re.compile(r"wss?://[^\s/]+")
_TOKEN = re.compile(r"[A-Za-z0-9_\-.]+")

_YES, _NO = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_MOST_SHARDS = 1000

_WHERE = (
    'Take it from discord.com/developers/applications, your application, "Bot", "Reset Token" '
    "(docs/discord.md, step 2)."
)
WRONG_TOKEN = f"Discord does not accept DISCORD_TOKEN. Set it to the bot's token. {_WHERE}"


class DiscordSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr
    gateway_url: str = "http://127.0.0.1:8420"
    api_key: SecretStr | None = None
    admin_key: SecretStr | None = None
    home: Path = Path("var")
    database_url: SecretStr | None = None
    message_content: bool = False
    shards: int | None = None
    policy: PolicySettings = PolicySettings()
    discord_api_base: str | None = None
    discord_gateway_url: str | None = None


def settings_from(environment: Mapping[str, str]) -> DiscordSettings:
    """Settings from environment variables; an empty one counts as missing.

    Raises:
        ConfigError: every problem, in one line. No token is ever part of it.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    problems = []
    token = given.get("DISCORD_TOKEN", "")
    if not token:
        problems.append(f"DISCORD_TOKEN is missing. Set it to the bot's token. {_WHERE}")
    elif not _TOKEN.fullmatch(token):
        problems.append(
            "DISCORD_TOKEN holds characters that no token has. Give the token alone, without "
            f'quotes and without "Bot" before it. {_WHERE}'
        )
    if "PERSONAE_GATEWAY_URL" in given and not are_addresses(given["PERSONAE_GATEWAY_URL"]):
        problems.append(
            "PERSONAE_GATEWAY_URL is no address; it must begin with http:// or https://."
        )
    for name, pattern, beginning in (
        ("DISCORD_API_BASE", _HTTP, "http:// or https://"),
        ("DISCORD_GATEWAY_URL", _WEBSOCKET, "ws:// or wss://"),
    ):
        if name in given and not pattern.match(given[name]):
            problems.append(f"{name} is no address; it must begin with {beginning}.")
    shards = given.get("DISCORD_SHARDS", "1")
    if not shards.isdecimal() or not 1 <= int(shards) <= _MOST_SHARDS:
        problems.append(f"DISCORD_SHARDS is a whole number from 1 to {_MOST_SHARDS}.")
    content = given.get("DISCORD_MESSAGE_CONTENT", "0").lower()
    if content not in _YES | _NO:
        problems.append("DISCORD_MESSAGE_CONTENT is 1 or 0.")
    policy = PolicySettings()
    try:
        policy = policy_from(environment)
    except ConfigError as err:
        problems.append(str(err))
    if problems:
        raise ConfigError(" ".join(problems))
    optional = {
        "gateway_url": given.get("PERSONAE_GATEWAY_URL"),
        "api_key": given.get("PERSONAE_API_KEY"),
        "admin_key": given.get("PERSONAE_ADMIN_KEY"),
        "home": given.get("PERSONAE_HOME"),
        "database_url": given.get("PERSONAE_DATABASE_URL"),
        "message_content": content in _YES,
        "shards": int(shards) if "DISCORD_SHARDS" in given else None,
        "policy": policy,
        "discord_api_base": given.get("DISCORD_API_BASE"),
        "discord_gateway_url": given.get("DISCORD_GATEWAY_URL"),
    }
    return DiscordSettings.model_validate(
        {"token": token} | {name: value for name, value in optional.items() if value is not None}
    )
