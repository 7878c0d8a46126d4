"""Bot tokens that expire: who renews a workspace's token, and how.

A refresh token is good for one use. The processes that share a database therefore take turns, by a row of
`bot_slack_renewals`; whoever comes second finds the token that the first one got.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import sqlalchemy as sa
from slack_sdk.errors import SlackApiError, SlackTokenRotationError
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.token_rotation.async_rotator import AsyncTokenRotator
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.on_slack.errors import slack_code
from bot.state.database import upsert

log = logging.getLogger(__name__)

metadata = sa.MetaData()

_LONGEST_SECONDS = 60.0
"""Nobody renews for longer; a row that is older is of a process that was killed."""
_ASK_AGAIN_SECONDS = 0.1

_renewals = sa.Table(
    "bot_slack_renewals",
    metadata,
    sa.Column("client_id", sa.String(32), primary_key=True),
    sa.Column("team_id", sa.String(32), primary_key=True),
    sa.Column("turn", sa.String(32), nullable=False),
    sa.Column("since", sa.Double, nullable=False),
)


class RenewalTurns:
    """Whose turn it is to renew a workspace's token: one process's at a time, on one database."""

    def __init__(
        self, engine: AsyncEngine, client_id: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._client_id = client_id
        self._clock = clock

    async def create_table(self) -> None:
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    @asynccontextmanager
    async def turn(self, team_id: str) -> AsyncIterator[None]:
        """Waits until it is this caller's turn, which lasts a minute at most.

        Raises:
            TimeoutError: the body took too long.
        """
        turn = uuid.uuid4().hex
        await self._wait(team_id, turn)
        try:
            # Done well before somebody else may take it for a killed one's.
            async with asyncio.timeout(0.75 * _LONGEST_SECONDS):
                yield
        finally:
            await self._end(team_id, turn)

    async def forget(self, team_id: str) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(sa.delete(_renewals).where(self._of(team_id)))

    def _of(self, team_id: str) -> sa.ColumnElement[bool]:
        return sa.and_(_renewals.c.client_id == self._client_id, _renewals.c.team_id == team_id)

    async def _wait(self, team_id: str, turn: str) -> None:
        while True:
            if await self._begin(team_id, turn):
                return
            await asyncio.sleep(_ASK_AGAIN_SECONDS)

    async def _begin(self, team_id: str, turn: str) -> bool:
        now = self._clock()
        statement = upsert(self._engine, _renewals).values(
            client_id=self._client_id, team_id=team_id, turn=turn, since=now
        )
        once = statement.on_conflict_do_update(
            index_elements=["client_id", "team_id"],
            set_={"turn": turn, "since": now},
            where=_renewals.c.since < now - _LONGEST_SECONDS,
        ).returning(_renewals.c.turn)
        async with self._engine.begin() as connection:
            return (await connection.execute(once)).one_or_none() is not None

    async def _end(self, team_id: str, turn: str) -> None:
        own = sa.and_(self._of(team_id), _renewals.c.turn == turn)
        async with self._engine.begin() as connection:
            await connection.execute(sa.delete(_renewals).where(own))


class TokenRenewal:
    """Renews tokens before they die, and dead ones.

    Args:
        find: the installation of a workspace, as it is in the database now.
        save: keeps it there.
    """

    def __init__(
        self,
        rotator: AsyncTokenRotator,
        turns: RenewalTurns,
        *,
        find: Callable[[str], Awaitable[Installation | None]],
        save: Callable[[Installation], Awaitable[None]],
    ) -> None:
        self._rotator = rotator
        self._turns = turns
        self._find = find
        self._save = save
        self._running: set[asyncio.Task[Installation | None]] = set()

    async def renewed(self, found: Installation, *, before_seconds: float) -> Installation | None:
        """The installation with a token that lives longer than this; the same one where there is none to be
        had, which is logged; None where the app was removed meanwhile. Seen through even if whoever waits
        for it is cancelled: between Slack's answer and the database the new token is nowhere else."""
        if not _is_due(found, before_seconds):
            return found
        task = asyncio.create_task(self._renewed_in_turn(found), name="renew-slack-token")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def finish(self, *, grace_seconds: float) -> None:
        """Wait for what is under way."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace_seconds)

    async def _renewed_in_turn(self, found: Installation) -> Installation | None:
        team_id = str(found.team_id)
        try:
            async with self._turns.turn(team_id):
                now = await self._find(team_id)
                if now is None or now.bot_token != found.bot_token:
                    return now  # another process was first, or the app was removed
                return await self._renew(now)
        except (SlackTokenRotationError, aiohttp.ClientError, TimeoutError) as err:
            log.warning("the token of %s can't be renewed (%s)", team_id, _reason(err))
            return found

    async def _renew(self, found: Installation) -> Installation:
        fresh = await self._rotator.perform_bot_token_rotation(
            bot=found.to_bot(),
            minutes_before_expiration=float("inf"),  # type: ignore[arg-type]
        )
        if fresh is None:
            return found
        found.bot_token = fresh.bot_token
        found.bot_refresh_token = fresh.bot_refresh_token
        found.bot_token_expires_at = fresh.bot_token_expires_at
        await self._save(found)
        log.info("the token of workspace %s is renewed", found.team_id)
        return found

    def _ended(self, task: asyncio.Task[Installation | None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            # Nobody may be waiting any more; a database's own words may hold a password.
            log.warning("a Slack token can't be renewed (%s)", type(failure).__name__)


def _is_due(found: Installation, before_seconds: float) -> bool:
    if not found.bot_refresh_token or found.bot_token_expires_at is None:
        return False
    return found.bot_token_expires_at <= time.time() + before_seconds


def _reason(error: Exception) -> str:
    inner = getattr(error, "api_error", error)
    return slack_code(inner) if isinstance(inner, SlackApiError) else type(error).__name__
