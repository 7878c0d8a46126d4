"""Answers as messages of a channel: posted, edited while they grow, never more edits than pages change.

`Messages` brings what stands in a place to the pages of an answer. `ChannelSurface` is a `Surface` over
it; it knows Slack's Web API and nothing of personas or the gateway. What is private in a channel goes
to a `PrivateSurface` instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.core.sentences import speaker
from bot.core.surface import Speaker, View
from bot.on_slack.errors import slack_code
from bot.on_slack.messages import Page, pages, pages_of
from bot.on_slack.private import PrivateSurface
from bot.on_slack.spot import Spot

log = logging.getLogger(__name__)

CANT_POST = frozenset(
    {"not_in_channel", "channel_not_found", "is_archived", "restricted_action"}
    | {f"restricted_action_{why}" for why in ("read_only_channel", "thread_only_channel")}
)
"""Slack's reasons why a bot may not write where a person just used its command."""

GONE = frozenset({"message_not_found", "cant_update_message", "channel_not_found", "is_archived"})


class Messages:
    """Messages of one answer: the first where it belongs, the others in its thread.

    Args:
        shown: timestamps of messages that stand there already.
        post_seconds: pause between the messages of one long answer.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        spot: Spot,
        *,
        post_seconds: float,
        shown: tuple[str, ...] = (),
    ) -> None:
        self._client = client
        self._spot = spot
        self._post_seconds = post_seconds
        self._shown: list[tuple[str, Page | None]] = [(ts, None) for ts in shown]

    @property
    def timestamps(self) -> list[str]:
        return [ts for ts, _ in self._shown]

    async def bring_to(self, wanted: list[Page], by: Speaker | None = None) -> None:
        for number, page in enumerate(wanted):
            if number == len(self._shown):
                if number:
                    await asyncio.sleep(self._post_seconds)
                self._shown.append((await self._post(page, by), page))
            elif self._shown[number][1] != page:
                ts = self._shown[number][0]
                await self._update(ts, page)
                self._shown[number] = (ts, page)
        for ts in self.timestamps[len(wanted) :]:
            await self._client.chat_delete(channel=self._spot.channel, ts=ts)
            self._shown = [one for one in self._shown if one[0] != ts]

    def adopt(self, ts: str) -> None:
        """A message that something else has posted becomes the first."""
        self._shown.append((ts, None))

    def forget(self) -> None:
        """What stands there is given up; the next pages are posted anew."""
        self._shown.clear()

    async def remove(self) -> None:
        """Take away what was posted. What somebody has taken away before is no reason to leave the rest."""
        for ts in self.timestamps:
            try:
                await self._client.chat_delete(channel=self._spot.channel, ts=ts)
            except SlackApiError as err:
                if slack_code(err) != "message_not_found":
                    raise
        self.forget()

    async def _post(self, page: Page, by: Speaker | None) -> str:
        thread = self._spot.thread or (self._shown[0][0] if self._shown else None)
        response = await self._client.chat_postMessage(
            channel=self._spot.channel,
            thread_ts=thread,
            text=page.text,
            blocks=page.blocks,
            unfurl_links=False,
            unfurl_media=False,
            parse="none",
            link_names=False,
            **author(by),
        )
        return str(response["ts"])

    async def _update(self, ts: str, page: Page) -> None:
        try:
            await self._edit(ts, page)
        except SlackApiError as err:
            if slack_code(err) != "streaming_state_conflict":
                raise
            # A native stream of a process that is gone: Slack would keep it open for minutes.
            await self._client.chat_stopStream(channel=self._spot.channel, ts=ts)
            await self._edit(ts, page)

    async def _edit(self, ts: str, page: Page) -> None:
        # parse has to be said again: chat.update falls back to "client", which links @names.
        await self._client.chat_update(
            channel=self._spot.channel,
            ts=ts,
            text=page.text,
            blocks=page.blocks,
            parse="none",
            link_names=False,
        )


def author(by: Speaker | None) -> dict[str, Any]:
    """Arguments that let a persona speak under its own name, where there is one to speak under."""
    if by is None:
        return {}
    return {"username": by.name} | ({"icon_url": by.picture} if by.picture else {})


class ChannelSurface:
    """An answer in a channel, a thread or a direct conversation, shown by edits.

    Args:
        fall_back: where it goes if the bot may not write there, and what is for one person only.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        spot: Spot,
        *,
        post_seconds: float,
        fall_back: PrivateSurface | None = None,
        shown: tuple[str, ...] = (),
    ) -> None:
        self.client = client
        self.spot = spot
        self.messages = Messages(client, spot, post_seconds=post_seconds, shown=shown)
        self._fall_back = fall_back
        self._fell_back = False
        self._gone = False

    @property
    def gone(self) -> bool:
        return self._gone

    @property
    def reference(self) -> dict[str, str]:
        shown = self.messages.timestamps
        if self._fell_back and self._fall_back is not None:
            return self._fall_back.reference
        return self.spot.reference | {"messages": " ".join(shown)} if shown else {}

    async def open(self, locale: str, by: Speaker | None) -> bool:
        """Post a placeholder, so that the answer's own thread is known; False where the bot may not
        write, and the answer will come privately."""
        try:
            await self.messages.bring_to(pages(View("", "waiting", "", locale=locale)), by)
        except SlackApiError as err:
            if slack_code(err) not in CANT_POST or self._fall_back is None:
                raise
            self._fell_back = True
            await self._fall_back.say(speaker(locale)("slack-not-in-channel"), locale)
            return False
        return True

    async def wait(self) -> None:
        """Nothing: the placeholder says it."""

    async def show(self, view: View) -> None:
        if self._fall_back is not None and (self._fell_back or view.private):
            if view.ended:
                await self.messages.remove()
                self._fell_back = True
            await self._fall_back.show(view)
            return
        try:
            await self.bring_to(view)
        except SlackApiError as err:
            await self._refused(err, view)

    async def bring_to(self, view: View) -> None:
        await self.messages.bring_to(await pages_of(view), view.speaker)

    async def _refused(self, err: SlackApiError, view: View) -> None:
        code = slack_code(err)
        if code in GONE and self.messages.timestamps:
            log.info("an answer's message was deleted; the answer is given up")
            self._gone = True
        elif code in CANT_POST and self._fall_back is not None:
            self._fell_back = True
            await self._fall_back.show(view)
        elif view.ended and self.messages.timestamps:
            # Edits can be forbidden (edit_window_closed) or stay rate-limited; the words of a
            # finished answer are then posted anew.
            log.warning("the last edit failed (%s); posting anew", code)
            self.messages.forget()
            try:
                await self.bring_to(view)
            except SlackApiError:
                # A token that died amid the answer: a response_url needs none.
                if self._fall_back is None:
                    raise
                self._fell_back = True
                await self._fall_back.show(view)
        else:
            raise err

    async def close(self) -> None:
        """Nothing is held."""
