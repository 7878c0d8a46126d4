"""Several workspaces install the app: each is answered with its own token, renewed and forgotten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.on_slack.installs import Clients, InstalledWorkspaces, Installs, UnknownWorkspace
from bot.on_slack.presence import SlackFrontend
from bot.state.database import parsed, pooled_engine
from tests.bot.on_slack.bench import MANIFEST, running_frontend, settings_for, shown_everywhere
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack

DISCLOSED = "imitation"


@asynccontextmanager
async def installed_bot(
    gateway_url: str, database_url: str, slack: FakeSlack | None = None
) -> AsyncIterator[tuple[FakeSlack, SlackFrontend]]:
    """A bot in HTTP mode that nobody has installed yet."""
    with slack or FakeSlack(MANIFEST) as fake:
        settings = settings_for(
            fake,
            gateway_url,
            database_url,
            bot_token=None,
            app_token=None,
            signing_secret=fake.signing_secret,
            client_id=fake.client_id,
            client_secret=fake.client_secret,
            public_url="https://bot.example.org",
        )
        async with running_frontend(settings) as frontend:
            fake.deliver_to(frontend.http_url + "/slack/events")
            yield fake, frontend


async def install(slack: FakeSlack, frontend: SlackFrontend, team: str) -> tuple[int, str]:
    """What a browser does: the install page, Slack's page, back again. Status and page."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as browser:
        begin = f"{frontend.http_url}/slack/install?team={team}"
        async with browser.get(begin, allow_redirects=False) as response:
            assert response.status == 302
            to_slack = response.headers["Location"]
            cookie = response.headers["Set-Cookie"].partition(";")[0]
        async with browser.get(to_slack, allow_redirects=False) as response:
            back = urlsplit(response.headers["Location"])
        assert f"{back.scheme}://{back.netloc}" == "https://bot.example.org"
        url = f"{frontend.http_url}{back.path}?{back.query}"
        async with browser.get(url, headers={"Cookie": cookie}) as response:
            return response.status, await response.text()


async def test_two_workspaces_install_and_each_is_answered_by_its_own_token(
    gateway: RunningGateway, state_url: str
) -> None:
    async with installed_bot(gateway.url, state_url) as (slack, frontend):
        for team in (world.TEAM, world.OTHER_TEAM):
            status, page = await install(slack, frontend, team)
            assert (status, "is installed" in page) == (200, True)
        slack.mention("lincoln What of the Union?")
        slack.mention("lincoln What of the law?", channel=world.AWAY, user=world.FRED)
        await slack.until(lambda: shown_everywhere(slack).count(DISCLOSED) == 2, "two answers")
        assert {(m.channel, m.team) for m in slack.bot_messages} == {
            (world.GENERAL, world.TEAM),
            (world.AWAY, world.OTHER_TEAM),
        }
        assert slack.violations == []
    # The installations outlive the process; nobody installs again.
    async with installed_bot(gateway.url, state_url, _same_app(slack)) as (again, _):
        again.direct("lincoln What of the Union?")
        await again.until(lambda: DISCLOSED in shown_everywhere(again), "an answer")
        assert again.violations == []


def _same_app(slack: FakeSlack) -> FakeSlack:
    """The same Slack after a restart of its own: same app, same tokens."""
    again = FakeSlack(MANIFEST)
    again.client_id, again.client_secret = slack.client_id, slack.client_secret
    again.grants = slack.grants
    return again


async def test_a_workspace_that_never_installed_is_told_so_and_nothing_is_written(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with installed_bot(gateway.url, f"sqlite:///{tmp_path / 'b.db'}") as (slack, _):
        slack.command("/ask", "lincoln What of the Union?")
        await slack.until(lambda: slack.private, "a sentence")
        assert "install it again" in slack.private[0].shown
        mention = slack.mention("lincoln What of the Union?")
        await slack.until(lambda: mention.acked, "an acknowledgement")
        assert slack.bot_messages == []


async def test_a_workspace_that_removes_the_app_is_forgotten(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with installed_bot(gateway.url, f"sqlite:///{tmp_path / 'b.db'}") as (slack, frontend):
        await install(slack, frontend, world.TEAM)
        await install(slack, frontend, world.OTHER_TEAM)
        removed = slack.uninstall(world.TEAM)
        await slack.until(lambda: removed.acked, "an acknowledgement")
        engine = pooled_engine(parsed(f"sqlite:///{tmp_path / 'b.db'}"))
        installs = Installs(engine, slack.client_id)
        while await installs.teams() != [world.OTHER_TEAM]:
            await asyncio.sleep(0.01)
        assert await installs.find(world.TEAM) is None
        await engine.dispose()
        slack.mention("lincoln And here?", channel=world.AWAY, user=world.FRED)
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the other's answer")


async def test_an_install_with_a_state_that_is_not_ours_is_refused(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with installed_bot(gateway.url, f"sqlite:///{tmp_path / 'b.db'}") as (_, frontend):
        url = f"{frontend.http_url}/slack/oauth_redirect?code=c&state=forged"
        async with aiohttp.ClientSession() as browser:
            headers = {"Cookie": "slack-app-oauth-state=forged"}
            async with browser.get(url, headers=headers) as response:
                assert response.status == 401
                assert "/slack/install" in await response.text()
            async with browser.get(url) as response:
                assert response.status == 400


async def test_a_token_that_dies_amid_an_answer_is_renewed_and_the_answer_goes_on(
    gateway: RunningGateway, state_url: str
) -> None:
    gateway.engine.words = [f"word{number} " for number in range(30)]
    gateway.engine.seconds_between = 0.03
    slack = FakeSlack(MANIFEST, token_seconds=43_200)
    async with installed_bot(gateway.url, state_url, slack) as (slack, frontend):
        await install(slack, frontend, world.TEAM)
        slack.mention("lincoln What of the Union?")
        await slack.until(lambda: "word" in shown_everywhere(slack), "the first words")
        slack.expire_tokens()
        await slack.until(lambda: DISCLOSED in shown_everywhere(slack), "the whole answer")
        assert "word29" in slack.bot_messages[0].shown
        assert len(slack.bot_messages) == 1
        renewals = [
            call
            for call in slack.calls_of("oauth.v2.access")
            if call.arguments.get("grant_type") == "refresh_token"
        ]
        assert len(renewals) == 1
        assert slack.violations == []


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_token_close_to_its_end_is_renewed_once_however_many_need_it(
    tmp_path: Path, processes: int
) -> None:
    url = f"sqlite:///{tmp_path / 'b.db'}"
    with FakeSlack(MANIFEST, token_seconds=43_200) as slack:
        async with aiohttp.ClientSession() as session:
            engines = [pooled_engine(parsed(url)) for _ in range(processes)]
            rooms = []
            for engine in engines:
                installs = Installs(engine, slack.client_id)
                await installs.create_tables()
                clients = Clients(session, api_base=slack.api_base)
                rooms.append(
                    InstalledWorkspaces(
                        installs,
                        clients,
                        client_id=slack.client_id,
                        client_secret=slack.client_secret,
                    )
                )
            token = slack.new_grant(world.TEAM, rotates=True)
            await keep_installation(installs, token, slack, expires_in=3600)
            found = await asyncio.gather(*(room.of(world.TEAM) for room in rooms for _ in range(5)))
            tokens = {workspace.client.token for workspace in found}
            assert len(tokens) == 1 and token not in tokens
            for workspace in found:
                assert (await workspace.client.auth_test())["team_id"] == world.TEAM
            with pytest.raises(UnknownWorkspace):
                await rooms[0].of(world.OTHER_TEAM)
            for engine in engines:
                await engine.dispose()


async def test_a_workspace_of_an_organisation_is_found_and_forgotten(tmp_path: Path) -> None:
    engine = pooled_engine(parsed(f"sqlite:///{tmp_path / 'b.db'}"))
    with FakeSlack(MANIFEST) as slack:
        installs = Installs(engine, slack.client_id)
        await installs.create_tables()
        for organisation in ("E0ORG", None):  # it joined one, or left it, and installed again
            await keep_installation(
                installs, slack.bot_token, slack, expires_in=3600, organisation=organisation
            )
        found = await installs.find(world.TEAM)
        assert found is not None and found.bot_token == slack.bot_token
        await installs.delete(world.TEAM)
        assert (await installs.find(world.TEAM), await installs.teams()) == (None, [])
    await engine.dispose()


async def keep_installation(
    installs: Installs,
    token: str,
    slack: FakeSlack,
    *,
    expires_in: int,
    organisation: str | None = None,
) -> None:
    from slack_sdk.oauth.installation_store import Installation

    await installs.store.async_save(
        Installation(
            app_id=world.APP,
            enterprise_id=organisation,
            team_id=world.TEAM,
            bot_token=token,
            bot_id=world.BOT_ID,
            bot_user_id=world.BOT,
            bot_refresh_token=slack.grants[token].refresh_token,
            bot_token_expires_at=int(time.time()) + expires_in,
            user_id=world.GRACE,
        )
    )
