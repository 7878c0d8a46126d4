"""The Slack frontend's settings, from the environment. Read once, by `main()`.

SLACK_BOT_TOKEN       xoxb-…, from "OAuth & Permissions"
SLACK_APP_TOKEN       xapp-…, an app-level token with the scope connections:write
PERSONAE_GATEWAY_URL  http://127.0.0.1:8420
PERSONAE_API_KEY      the gateway's key for questions, if it asks for one
PERSONAE_ADMIN_KEY    the gateway's key for /personae
PERSONAE_SLACK_ADMINS user ids besides the workspace's administrators: "U012AB3CD,U98XY7ZW"
SLACK_API_BASE        https://slack.com/api/; another server for tests
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from personae.errors import ConfigError

_HTTP = re.compile(r"https?://[^\s/]+")
_USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")


class SlackSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    bot_token: str
    app_token: str
    gateway_url: str = "http://127.0.0.1:8420"
    api_key: str | None = None
    admin_key: str | None = None
    admins: frozenset[str] = frozenset()
    api_base: str = "https://slack.com/api/"


def settings_from(environment: Mapping[str, str]) -> SlackSettings:
    """Settings from environment variables; an empty one counts as missing.

    Raises:
        ConfigError: every problem in one sentence each. No token is ever part of it.
    """
    given = {name: value.strip() for name, value in environment.items() if value.strip()}
    bot, app = given.get("SLACK_BOT_TOKEN", ""), given.get("SLACK_APP_TOKEN", "")
    problems = _token_problems(bot, app)
    urls = {
        name: given.get(name, default)
        for name, default in (
            ("PERSONAE_GATEWAY_URL", "http://127.0.0.1:8420"),
            ("SLACK_API_BASE", "https://slack.com/api/"),
        )
    }
    problems += [
        f"{name} is no address; it must begin with http:// or https://."
        for name, url in urls.items()
        if not _HTTP.match(url)
    ]
    admins = frozenset(re.split(r"[\s,]+", given.get("PERSONAE_SLACK_ADMINS", ""))) - {""}
    problems += [
        f'PERSONAE_SLACK_ADMINS: "{name}" is no member id. In Slack, open the person\'s profile, '
        'then "⋮", then "Copy member ID".'
        for name in sorted(admins)
        if not _USER_ID.fullmatch(name)
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return SlackSettings(
        bot_token=bot,
        app_token=app,
        gateway_url=urls["PERSONAE_GATEWAY_URL"],
        api_key=given.get("PERSONAE_API_KEY"),
        admin_key=given.get("PERSONAE_ADMIN_KEY"),
        admins=admins,
        api_base=urls["SLACK_API_BASE"],
    )


def _token_problems(bot: str, app: str) -> list[str]:
    if bot.startswith("xapp-") and app.startswith("xoxb-"):
        return [
            "SLACK_BOT_TOKEN and SLACK_APP_TOKEN are swapped: the bot token begins with xoxb-, "
            "the app-level token with xapp-. Exchange the two."
        ]
    problems = []
    if not bot.startswith("xoxb-"):
        what = "is missing" if not bot else "is not a bot token"
        problems.append(
            f"SLACK_BOT_TOKEN {what}. Set it to the Bot User OAuth Token, which begins with xoxb-: "
            'api.slack.com/apps, your app, "OAuth & Permissions" (docs/slack.md, step 3).'
        )
    if not app.startswith("xapp-"):
        what = "is missing" if not app else "is not an app-level token"
        problems.append(
            f"SLACK_APP_TOKEN {what}. Set it to an App-Level Token, which begins with xapp-: "
            'api.slack.com/apps, your app, "Basic Information" (docs/slack.md, step 2).'
        )
    return problems
