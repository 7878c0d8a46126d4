"""Where an answer is shown on Slack: messages that grow by edits, or a command's response_url.

Both take the pages of an answer (`blocks.Page`) as often as it changes, and once more with
`final=True`. They know Slack's Web API; they know nothing of personas, answers or the gateway.

Native streaming (`chat.startStream`) will be a third class here with the same two members.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.core import sentences
from bot.on_slack.blocks import Page, sentence_pages
from bot.on_slack.errors import ResponseUrlRefused, slack_code

log = logging.getLogger(__name__)

CANT_POST = frozenset(
    {"not_in_channel", "channel_not_found", "is_archived", "restricted_action"}
    | {f"restricted_action_{why}" for why in ("read_only_channel", "thread_only_channel")}
)
"""Slack's reasons why a bot may not write where a person just used its command."""

_POST_SECONDS = 1.0  # chat.postMessage: about one a second and channel
_RESPONSE_URL_USES = 5


class Reply(Protocol):
    """Takes the pages of one answer, growing."""

    @property
    def gone(self) -> bool:
        """True once the person has deleted what was shown: nobody waits for the rest."""
        ...

    async def show(self, pages: list[Page], *, final: bool) -> None:
        """Bring what is shown to these pages. May be called again with `final`."""
        ...


class ChannelReply:
    """Messages in a channel: the first where it belongs, longer answers go on in its thread."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        channel: str,
        thread_ts: str | None,
        post_seconds: float = _POST_SECONDS,
    ) -> None:
        self._client = client
        self._channel = channel
        self._thread_ts = thread_ts
        self._post_seconds = post_seconds
        self._shown: list[tuple[str, Page]] = []  # (ts, what stands there)
        self._gone = False
        self._one_at_a_time = asyncio.Lock()

    @property
    def gone(self) -> bool:
        return self._gone

    async def show(self, pages: list[Page], *, final: bool) -> None:
        async with self._one_at_a_time:
            try:
                await self._bring_to(pages)
            except SlackApiError as err:
                if slack_code(err) == "message_not_found":
                    log.info("an answer's message was deleted; the answer is given up")
                    self._gone = True
                elif final and self._shown:
                    # Edits can be forbidden (edit_window_closed) or stay rate-limited; the words
                    # of a finished answer are then posted anew.
                    log.warning("the last edit failed (%s); posting anew", slack_code(err))
                    self._shown.clear()
                    await self._bring_to(pages)
                else:
                    raise

    async def _bring_to(self, pages: list[Page]) -> None:
        for number, page in enumerate(pages):
            if number == len(self._shown):
                if number:
                    await asyncio.sleep(self._post_seconds)
                self._shown.append((await self._post(page), page))
            elif self._shown[number][1] != page:
                ts = self._shown[number][0]
                await self._update(ts, page)
                self._shown[number] = (ts, page)

    async def _post(self, page: Page) -> str:
        response = await self._client.chat_postMessage(
            channel=self._channel,
            thread_ts=self._thread_ts or (self._shown[0][0] if self._shown else None),
            text=page.text,
            blocks=page.blocks,
            unfurl_links=False,
            unfurl_media=False,
            parse="none",
            link_names=False,
        )
        return str(response["ts"])

    async def _update(self, ts: str, page: Page) -> None:
        # parse has to be said again: chat.update falls back to "client", which links @names.
        await self._client.chat_update(
            channel=self._channel,
            ts=ts,
            text=page.text,
            blocks=page.blocks,
            parse="none",
            link_names=False,
        )


class PrivateReply:
    """Messages that only the person who used a command sees, through its response_url.

    Slack takes five within 30 minutes, so nothing is shown before the answer is complete.
    """

    gone = False

    def __init__(self, webhook: AsyncWebhookClient) -> None:
        self._webhook = webhook
        self._uses = 0
        self._complete = False

    async def say(self, text: str) -> None:
        """One of our own sentences, at once."""
        for page in sentence_pages(text):
            await self._send(page)

    async def show(self, pages: list[Page], *, final: bool) -> None:
        if not final or self._complete:
            return
        self._complete = True
        room = _RESPONSE_URL_USES - self._uses
        if len(pages) > room:
            pages = pages[: room - 1] + sentence_pages(sentences.TOO_LONG_PRIVATELY)
        for page in pages:
            await self._send(page)

    async def _send(self, page: Page) -> None:
        self._uses += 1
        response = await self._webhook.send(
            text=page.text,
            blocks=page.blocks,
            response_type="ephemeral",
            replace_original=False,
            unfurl_links=False,
            unfurl_media=False,
        )
        if response.status_code != 200:
            raise ResponseUrlRefused(f"HTTP {response.status_code}: {response.body[:80]}")
