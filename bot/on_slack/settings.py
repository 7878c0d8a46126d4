"""The Slack frontend's settings, from the environment. Read once, by `main()`.

SLACK_BOT_TOKEN       xoxb-…, from "OAuth & Permissions": one workspace (the default)
SLACK_APP_TOKEN       xapp-…, an app-level token with the scope connections:write: Socket Mode
SLACK_SIGNING_SECRET  from "Basic Information": HTTP mode, where SLACK_APP_TOKEN is not set
SLACK_CLIENT_ID       from "Basic Information", in the place of SLACK_BOT_TOKEN: several workspaces, which
SLACK_CLIENT_SECRET   install the app by themselves (OAuth)
SLACK_PUBLIC_URL      the bot's public address, https://bot.example.org, for HTTP mode and OAuth
SLACK_HTTP_HOST       127.0.0.1; where the bot listens for what a reverse proxy passes on
SLACK_HTTP_PORT       8425
PERSONAE_GATEWAY_URL  http://127.0.0.1:8420; several with commas between them: replicas (docs/replicas.md)
PERSONAE_API_KEY      the gateway's key for questions, if it asks for one
PERSONAE_ADMIN_KEY    the gateway's key for /personae
PERSONAE_SLACK_ADMINS user ids besides the workspace's administrators: "U012AB3CD,U98XY7ZW"
PERSONAE_HOME         ./var; where bots.db is
PERSONAE_DATABASE_URL what the bots keep: postgresql://…; bots.db in PERSONAE_HOME without it
SLACK_API_BASE        https://slack.com/api/; another server for tests
SLACK_AUTHORIZE_URL   https://slack.com/oauth/v2/authorize; likewise
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from bot.core.gateways import are_addresses
from bot.core.policy import PolicySettings, policy_from
from bot.state.database import default_url
from personae.errors import ConfigError

_HTTP = re.compile(r"https?://[^\s/]+")
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")
SECRETS = (
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SLACK_CLIENT_ID",
    "SLACK_CLIENT_SECRET",
)


class SlackSettings(BaseModel):
    """Either `bot_token` or `client_id` and `client_secret`; `app_token` or `signing_secret`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bot_token: SecretStr | None = None
    app_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    public_url: str | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 8425
    gateway_url: str = "http://127.0.0.1:8420"
    api_key: SecretStr | None = None
    admin_key: SecretStr | None = None
    admins: frozenset[str] = frozenset()
    database_url: SecretStr = SecretStr("sqlite:///var/bots.db")
    policy: PolicySettings = PolicySettings()
    api_base: str = "https://slack.com/api/"
    authorize_url: str = "https://slack.com/oauth/v2/authorize"

    @property
    def installs(self) -> bool:
        """Several workspaces, which install the app by OAuth."""
        return self.client_id is not None

    @property
    def serves_http(self) -> bool:
        return self.app_token is None or self.installs


def settings_from(environment: Mapping[str, str]) -> SlackSettings:
    """Settings from environment variables; an empty one counts as missing.

    Raises:
        ConfigError: every problem in one sentence each. No token is ever part of it.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    problems = token_problems(given)
    if "PERSONAE_GATEWAY_URL" in given and not are_addresses(given["PERSONAE_GATEWAY_URL"]):
        problems.append(
            "PERSONAE_GATEWAY_URL is no address; it must begin with http:// or https://."
        )
    for name in (
        "SLACK_API_BASE",
        "SLACK_PUBLIC_URL",
        "SLACK_AUTHORIZE_URL",
    ):
        if name in given and not _HTTP.match(given[name]):
            problems.append(f"{name} is no address; it must begin with http:// or https://.")
    port = given.get("SLACK_HTTP_PORT", "8425")
    if not port.isdecimal() or int(port) > 65535:
        problems.append("SLACK_HTTP_PORT is a whole number from 0 to 65535.")
    admins = frozenset(re.split(r"[\s,]+", given.get("PERSONAE_SLACK_ADMINS", ""))) - {""}
    problems += [
        f'PERSONAE_SLACK_ADMINS: "{name}" is no member id. In Slack, open the person\'s profile, '
        'then "⋮", then "Copy member ID".'
        for name in sorted(admins)
        if not _USER_ID.fullmatch(name)
    ]
    policy = PolicySettings()
    try:
        policy = policy_from(environment)
    except ConfigError as err:
        problems.append(str(err))
    if problems:
        raise ConfigError("\n".join(problems))
    home = Path(given.get("PERSONAE_HOME", "var"))
    chosen = {
        "bot_token": None if "SLACK_CLIENT_ID" in given else given.get("SLACK_BOT_TOKEN"),
        "app_token": given.get("SLACK_APP_TOKEN"),
        "signing_secret": given.get("SLACK_SIGNING_SECRET"),
        "client_id": given.get("SLACK_CLIENT_ID"),
        "client_secret": given.get("SLACK_CLIENT_SECRET"),
        "public_url": given.get("SLACK_PUBLIC_URL"),
        "http_host": given.get("SLACK_HTTP_HOST"),
        "http_port": int(port),
        "gateway_url": given.get("PERSONAE_GATEWAY_URL"),
        "api_key": given.get("PERSONAE_API_KEY"),
        "admin_key": given.get("PERSONAE_ADMIN_KEY"),
        "admins": admins,
        "database_url": given.get("PERSONAE_DATABASE_URL") or default_url(home),
        "policy": policy,
        "api_base": given.get("SLACK_API_BASE"),
        "authorize_url": given.get("SLACK_AUTHORIZE_URL"),
    }
    return SlackSettings.model_validate({k: v for k, v in chosen.items() if v is not None})


def token_problems(given: Mapping[str, str]) -> list[str]:
    """What is missing or wrong with the secrets, a sentence each."""
    bot, app, signing, client_id, client_secret = (given.get(name, "") for name in SECRETS)
    if bot.startswith("xapp-") and app.startswith("xoxb-"):
        return [
            "SLACK_BOT_TOKEN and SLACK_APP_TOKEN are swapped: the bot token begins with xoxb-, "
            "the app-level token with xapp-. Exchange the two."
        ]
    problems = []
    if client_id or client_secret:
        problems += _install_problems(given, client_id, client_secret)
    elif not bot.startswith(("xoxb-", "xoxe.xoxb-")):
        what = "is missing" if not bot else "is not a bot token"
        problems.append(
            f"SLACK_BOT_TOKEN {what}. Set it to the Bot User OAuth Token, which begins with xoxb-: "
            'api.slack.com/apps, your app, "OAuth & Permissions" (docs/slack.md, step 3).'
        )
    if app and not app.startswith("xapp-"):
        problems.append(_app_token_sentence("is not an app-level token"))
    elif not app and not signing:
        problems.append(
            _app_token_sentence("is missing")
            + " Or set SLACK_SIGNING_SECRET for HTTP mode (docs/slack.md, HTTP mode)."
        )
    return problems


def _install_problems(given: Mapping[str, str], client_id: str, client_secret: str) -> list[str]:
    missing = [
        name
        for name, value in (
            ("SLACK_CLIENT_ID", client_id),
            ("SLACK_CLIENT_SECRET", client_secret),
            ("SLACK_PUBLIC_URL", given.get("SLACK_PUBLIC_URL", "")),
        )
        if not value
    ]
    if not missing:
        return []
    return [
        f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. For installs in "
        "several workspaces SLACK_CLIENT_ID, SLACK_CLIENT_SECRET and SLACK_PUBLIC_URL belong together "
        "(docs/slack.md, several workspaces)."
    ]


def _app_token_sentence(what: str) -> str:
    return (
        f"SLACK_APP_TOKEN {what}. Set it to an App-Level Token, which begins with xapp-: "
        'api.slack.com/apps, your app, "Basic Information" (docs/slack.md, step 2).'
    )
