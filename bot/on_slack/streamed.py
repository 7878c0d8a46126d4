"""Answers as native streams: Slack shows the words as they come, with its own status and stop button.

A stream can end before its answer does: Slack closes it after about five minutes, or when somebody
presses stop. Then the answer goes on by edits of the same message. Where there are too many streams for
Slack's rates, or an answer outgrows one message, it goes by edits from there on. Streams belong into
threads; `ChannelSurface` does the rest.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any

from slack_sdk.errors import SlackApiError

from bot.core.sentences import speaker
from bot.core.surface import View
from bot.on_slack.errors import slack_code
from bot.on_slack.messages import fit_one_message, tail_blocks
from bot.on_slack.mrkdwn import closed, for_stream
from bot.on_slack.paced_client import PacedClient
from bot.on_slack.posted import GONE, ChannelSurface, author
from bot.on_slack.private import PrivateSurface
from bot.on_slack.spot import Spot

log = logging.getLogger(__name__)

STREAM_CHARACTERS = 10_000
"""A stream that grows beyond this goes on as pages; one append may hold 12,000."""
_STATUS_CHARACTERS = 100
_DEAD = frozenset({"message_not_in_streaming_state", "streaming_state_conflict"})


class StreamSurface(ChannelSurface):
    """An answer in a thread, streamed as long as Slack lets it."""

    def __init__(
        self,
        client: PacedClient,
        spot: Spot,
        *,
        post_seconds: float,
        fall_back: PrivateSurface,
        locale: str,
    ) -> None:
        super().__init__(client, spot, post_seconds=post_seconds, fall_back=fall_back)
        self._paced = client
        self._locale = locale
        self._by_edits = False
        self._ts: str | None = None  # of the stream, while it lives
        self._sent = ""
        self._status = ""
        self._in_session = False
        self._beginning = 0

    @property
    def reference(self) -> dict[str, str]:
        if self._ts is not None:
            return self.spot.reference | {"messages": self._ts}
        return super().reference or self.spot.reference  # its thread is known from the beginning

    async def wait(self) -> None:
        """The status below the conversation, and Slack's own stop button. Without either, a
        placeholder in the thread will say that something is being done."""
        status = speaker(self._locale)("slack-status")
        shown, self._in_session = await asyncio.gather(
            self._set_status(status), self._set_session("processing")
        )
        self._by_edits = not shown

    async def show(self, view: View) -> None:
        if self._by_edits or (view.private and self._ts is None):
            await super().show(view)
        elif view.phase in ("waiting", "queued"):
            await self._set_status(view.text[:_STATUS_CHARACTERS])
        elif self._ts is None and (view.ended or not self._may_start()):
            self._by_edits = True
            await super().show(view)
        else:
            await self._stream(view)

    async def close(self) -> None:
        if self._in_session:
            await self._set_session("active")
        if self._status and not self.messages.timestamps:
            await self._set_status("")  # a message in the thread would have ended it by itself

    def _may_start(self) -> bool:
        return not (self._paced.busy("chat.startStream") or self._paced.busy("chat.stopStream"))

    async def _stream(self, view: View) -> None:
        text = for_stream(f"> {view.heading}\n\n{view.text}" if view.heading else view.text)
        fits = text.startswith(self._sent) and len(text) <= STREAM_CHARACTERS
        try:
            if view.ended and fits and not view.difference and fit_one_message(tail_blocks(view)):
                await self._end(view, text)
            elif view.ended or len(text) > STREAM_CHARACTERS or self._began_anew(view):
                await self._leave(view)
            elif fits and len(text) > len(self._sent):
                await self._send(text, view)
        except SlackApiError as err:
            if slack_code(err) in GONE:
                self._gone = True
            elif slack_code(err) in _DEAD or self._ts is None or view.ended:
                log.info("a stream ended early (%s); going on by edits", slack_code(err))
                await self._by_edits_from_here(view)
            else:
                raise

    def _began_anew(self, view: View) -> bool:
        """Whether what was streamed is void: a stream takes nothing back, an edit does."""
        anew = self._ts is not None and view.beginning != self._beginning
        self._beginning = view.beginning
        return anew

    async def _send(self, text: str, view: View) -> None:
        if self._ts is None:
            recipient: dict[str, Any] = {}
            if not self.spot.direct:
                recipient = {"recipient_team_id": self.spot.team}
                recipient |= {"recipient_user_id": self.spot.user}
            response = await self._paced.chat_startStream(
                channel=self.spot.channel,
                thread_ts=self.spot.thread or "",
                markdown_text=text,
                **recipient,
                **author(view.speaker),
            )
            self._ts = str(response["ts"])
        else:
            await self._paced.chat_appendStream(
                channel=self.spot.channel, ts=self._ts, markdown_text=text[len(self._sent) :]
            )
        self._sent = text

    async def _end(self, view: View, text: str) -> None:
        rest = text[len(self._sent) :] + closed(text)
        await self._paced.chat_stopStream(
            channel=self.spot.channel,
            ts=self._ts or "",
            markdown_text=rest or None,
            blocks=tail_blocks(view) or None,
            session_status="active" if self._in_session else None,
        )
        self._in_session = False
        self._finish_stream()

    async def _leave(self, view: View) -> None:
        """End the stream where it stands; the whole is shown by edits."""
        await self._paced.chat_stopStream(channel=self.spot.channel, ts=self._ts or "")
        await self._by_edits_from_here(view)

    async def _by_edits_from_here(self, view: View) -> None:
        self._finish_stream()
        await super().show(view)

    def _finish_stream(self) -> None:
        self._by_edits = True
        if self._ts is not None:
            self.messages.adopt(self._ts)
            self._ts = None

    async def _set_status(self, status: str) -> bool:
        if status == self._status or self._paced.busy("assistant.threads.setStatus"):
            return bool(self._status)
        done = await _tried(
            self._paced.assistant_threads_setStatus(
                channel_id=self.spot.channel, thread_ts=self.spot.thread or "", status=status
            )
        )
        self._status = status if done else self._status
        return done

    async def _set_session(self, status: str) -> bool:
        if self._paced.busy("agents.sessions.setStatus"):
            return False
        return await _tried(
            self._paced.agents_sessions_setStatus(
                channel_id=self.spot.channel, thread_ts=self.spot.thread or "", status=status
            )
        )


async def _tried(call: Awaitable[object]) -> bool:
    """Something that is nice to have: without it the answer comes all the same."""
    try:
        await call
    except SlackApiError as err:
        log.info("slack refused a status (%s)", slack_code(err))
        return False
    return True
