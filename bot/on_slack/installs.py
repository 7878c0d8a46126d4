"""The workspaces the bot is installed in: a client, an identity and a token for each.

Two ways of knowing them: `OneWorkspace` by the tokens in the environment (the default), and
`InstalledWorkspaces` by OAuth installs, which Slack's own SDK keeps in the bots' database (SQLite or
PostgreSQL) in the tables `bot_slack_installations`, `bot_slack_bots` and `bot_slack_states`. Bot tokens
that expire are renewed (token_renewal.py) before they do and whenever Slack refuses one; a workspace that
removes the app is forgotten. It knows nothing of questions and answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import sqlalchemy as sa
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.sqlalchemy import AsyncSQLAlchemyInstallationStore
from slack_sdk.oauth.state_store.sqlalchemy import AsyncSQLAlchemyOAuthStateStore
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.on_slack.paced_client import RATES, PacedClient, Rates
from bot.on_slack.token_renewal import RenewalTurns, TokenRenewal

log = logging.getLogger(__name__)

_STATE_SECONDS = 600
_KNOWN_SECONDS = 300.0


class UnknownWorkspace(Exception):
    """The bot is not installed there, or no longer."""


@dataclass(frozen=True)
class Workspace:
    """One workspace.

    Attributes:
        client: paced, with the token of this workspace.
        user_id: the bot's own, which mentions carry.
        owner: names the installation, the same after every restart.
    """

    client: PacedClient
    team_id: str
    user_id: str
    bot_id: str
    owner: str


class Workspaces(Protocol):
    """Where the bot is at home."""

    async def of(self, team_id: str, enterprise_id: str | None = None) -> Workspace:
        """The workspace; Slack is asked only if it has to be.

        Raises:
            UnknownWorkspace: it is not installed there.
        """
        ...

    async def teams(self) -> list[str]: ...


class Clients:
    """Makes clients that share one session, one address and one proxy."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        api_base: str = "https://slack.com/api/",
        proxy: str | None = None,
        rates: Rates = RATES,
    ) -> None:
        self._session = session
        self._api_base = api_base.rstrip("/") + "/"
        self._proxy = proxy
        self._rates = rates

    def make(self, token: str | None, **more: Any) -> PacedClient:
        client = PacedClient(
            token=token,
            base_url=self._api_base,
            session=self._session,
            retry_handlers=[
                AsyncConnectionErrorRetryHandler(),
                AsyncServerErrorRetryHandler(max_retry_count=2),
            ],
            logger=logging.getLogger("slack_sdk"),
            rates=self._rates,
            **more,
        )
        client.proxy = self._proxy  # the constructor would take HTTPS_PROXY for None
        return client


class OneWorkspace:
    """The workspace of SLACK_BOT_TOKEN."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def of(self, team_id: str, enterprise_id: str | None = None) -> Workspace:
        # Events of a shared channel may name the other organisation's workspace; there is one token.
        return self._workspace

    async def teams(self) -> list[str]:
        return [self._workspace.team_id]


class Installs:
    """The installations in the database, by the SDK's own stores."""

    def __init__(self, engine: AsyncEngine, client_id: str) -> None:
        self._engine = engine
        self.store = AsyncSQLAlchemyInstallationStore(
            client_id,
            engine,
            bots_table_name="bot_slack_bots",
            installations_table_name="bot_slack_installations",
            logger=log,
        )
        self.states = AsyncSQLAlchemyOAuthStateStore(
            _STATE_SECONDS, engine, logger=log, table_name="bot_slack_states"
        )
        self.turns = RenewalTurns(engine, client_id)

    async def create_tables(self) -> None:
        """Where they are not there yet; another process may be doing the same."""
        for again in (True, True, False):
            try:
                await self.store.create_tables()
                await self.states.create_tables()
                await self.turns.create_table()
                return
            except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
                if not again:
                    raise
                await asyncio.sleep(0.2)

    async def find(self, team_id: str) -> Installation | None:
        for enterprise_id in await self._enterprises_of(team_id):
            return await self.store.async_find_installation(
                enterprise_id=enterprise_id, team_id=team_id
            )
        return None

    async def teams(self) -> list[str]:
        bots = self.store.bots.c
        query = sa.select(bots.team_id).where(bots.client_id == self.store.client_id).distinct()
        async with self._engine.connect() as connection:
            return [row[0] for row in await connection.execute(query)]

    async def delete(self, team_id: str) -> None:
        """Every token of the workspace, earlier ones too."""
        for enterprise_id in await self._enterprises_of(team_id):
            await self.store.async_delete_all(enterprise_id=enterprise_id, team_id=team_id)
        await self.turns.forget(team_id)

    async def _enterprises_of(self, team_id: str) -> list[str | None]:
        """What organisation the workspace belongs to, None for none, the last install's first. The SDK's
        store finds nothing without it, and not every delivery names it."""
        bots = self.store.bots.c
        query = (
            sa.select(bots.enterprise_id)
            .where(bots.client_id == self.store.client_id, bots.team_id == team_id)
            .order_by(bots.installed_at.desc())
        )
        async with self._engine.connect() as connection:
            found = [row[0] for row in await connection.execute(query)]
        return list(dict.fromkeys(found))


class InstalledWorkspaces:
    """The workspaces that installed the app.

    Args:
        renew_before_seconds: a token that dies sooner is renewed when its workspace is next needed.
    """

    def __init__(
        self,
        installs: Installs,
        clients: Clients,
        *,
        client_id: str,
        client_secret: str,
        renew_before_seconds: float = 7200.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._installs = installs
        self._clients = clients
        self._renew_before_seconds = renew_before_seconds
        self._clock = clock or asyncio.get_running_loop().time
        self._renewal = TokenRenewal(
            AsyncTokenRotator(
                client_id=client_id, client_secret=client_secret, client=clients.make(None)
            ),
            installs.turns,
            find=installs.find,
            save=installs.store.async_save,
        )
        self._known: dict[str, tuple[Workspace, float]] = {}  # → looked up again after
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, team_id: str, enterprise_id: str | None = None) -> Workspace:
        known = self._known.get(team_id)
        if known is not None and self._clock() < known[1]:
            return known[0]
        async with self._locks.setdefault(team_id, asyncio.Lock()):
            known = self._known.get(team_id)
            if known is not None and self._clock() < known[1]:
                return known[0]
            return await self._look_up(team_id)

    async def teams(self) -> list[str]:
        return await self._installs.teams()

    async def finish(self, *, grace_seconds: float) -> None:
        """See through the renewals under way, before the database is closed."""
        await self._renewal.finish(grace_seconds=grace_seconds)

    async def forget(self, team_id: str) -> None:
        """The app was removed there."""
        await self._installs.delete(team_id)
        self._known.pop(team_id, None)
        log.info("workspace %s removed the app; its tokens are deleted", team_id)

    def refresh(self, team_id: str) -> None:
        """The workspace has just been installed, perhaps again."""
        known = self._known.get(team_id)
        if known is not None:
            self._known[team_id] = (known[0], 0.0)

    def register(self, app: AsyncApp) -> None:
        """Hear of workspaces that remove the app."""
        app.event("app_uninstalled")(self._on_removed)
        app.event("tokens_revoked")(self._on_revoked)

    async def _on_removed(self, body: dict[str, Any]) -> None:
        await self.forget(str(body.get("team_id")))

    async def _on_revoked(self, body: dict[str, Any], event: dict[str, Any]) -> None:
        if (event.get("tokens") or {}).get("bot"):
            await self.forget(str(body.get("team_id")))

    async def _look_up(self, team_id: str) -> Workspace:
        found = await self._installs.find(team_id)
        if found is not None and found.bot_token:
            found = await self._renewal.renewed(found, before_seconds=self._renew_before_seconds)
        if found is None or not found.bot_token:
            self._known.pop(team_id, None)
            raise UnknownWorkspace(team_id)
        known = self._known.get(team_id)
        if known is not None:
            workspace = known[0]
            workspace.client.token = found.bot_token
        else:
            workspace = await self._make(team_id, found)
        self._known[team_id] = (workspace, self._clock() + _KNOWN_SECONDS)
        return workspace

    async def _make(self, team_id: str, found: Installation) -> Workspace:
        async def renew(dead: str) -> str | None:
            return await self._renewed(team_id, dead)

        client = self._clients.make(found.bot_token, renew=renew)
        return Workspace(
            client=client,
            team_id=team_id,
            user_id=found.bot_user_id or "",
            bot_id=found.bot_id or "",
            owner=f"{found.app_id}:{team_id}",
        )

    async def _renewed(self, team_id: str, dead: str) -> str | None:
        """A token in the place of a dead one; None if there is none."""
        async with self._locks.setdefault(team_id, asyncio.Lock()):
            found = await self._installs.find(team_id)
            if found is None:
                return None
            if found.bot_token != dead:
                return found.bot_token  # renewed already, here or in another process
            found = await self._renewal.renewed(found, before_seconds=float("inf"))
            return found.bot_token if found is not None and found.bot_token != dead else None


def authorize_by(workspaces: Workspaces) -> Callable[..., Any]:
    """bolt's `authorize`: who the bot is where a delivery comes from; None where it is not installed."""

    async def authorize(team_id: str | None, enterprise_id: str | None) -> AuthorizeResult | None:
        try:
            workspace = await workspaces.of(team_id or "", enterprise_id)
        except UnknownWorkspace:
            log.warning("a delivery from workspace %s, where the app is not installed", team_id)
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=workspace.team_id,
            bot_user_id=workspace.user_id,
            bot_id=workspace.bot_id,
            bot_token=workspace.client.token,
        )

    return authorize
