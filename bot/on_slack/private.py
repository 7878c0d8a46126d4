"""What one person alone sees: through the response_url of what they used, or as an ephemeral message.

A response_url takes five messages within 30 minutes, so nothing is shown before an answer is complete.
It works where the bot is no member, and it can replace or delete the private message whose button was
pressed. Without one, `chat.postEphemeral` does, where the bot may write.
"""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.core.sentences import speaker
from bot.core.surface import View
from bot.on_slack.errors import ResponseUrlRefused
from bot.on_slack.messages import Page, pages_of, sentence_pages, tail_blocks
from bot.on_slack.spot import Spot

log = logging.getLogger(__name__)

_RESPONSE_URL_USES = 5


class PrivateSurface:
    """A `Surface` for one person's eyes, and a way to tell them a sentence.

    Args:
        response_url: of the command, shortcut or button they used; None where there is none.
        replaces: whether the answer takes the place of the private message whose button was pressed.
        used: how often the response_url has been used already.
    """

    gone = False

    def __init__(
        self,
        client: AsyncWebClient,
        spot: Spot,
        *,
        response_url: str | None = None,
        replaces: bool = False,
        used: int = 0,
    ) -> None:
        self._client = client
        self._spot = spot
        self._url = response_url
        self._replaces = replaces
        self.used = used
        self._complete = False

    @property
    def spot(self) -> Spot:
        return self._spot

    @property
    def reference(self) -> dict[str, str]:
        """Without the response_url, which lets its bearer write: after a restart the rest is told by an
        ephemeral message."""
        return self._spot.reference | {"private": "yes"}

    async def wait(self) -> None:
        """Nothing: what the person used has said so already."""

    async def show(self, view: View) -> None:
        if not view.ended or self._complete:
            return
        self._complete = True
        wanted = await pages_of(view)
        room = _RESPONSE_URL_USES - self.used
        if self._url is not None and len(wanted) > room:
            # The disclosure and the buttons stand below whatever is left out.
            cut = sentence_pages(speaker(view.locale)("slack-too-long-privately"), view.locale)
            cut[0].blocks.extend(tail_blocks(view))
            wanted = wanted[: room - 1] + cut[:1]
        for page in wanted:
            await self._send(page, replaces=self._replaces)
            self._replaces = False

    async def say(self, text: str, locale: str = "en", *, replaces: bool = False) -> None:
        """One of our own sentences (Markdown), at once."""
        for page in sentence_pages(text, locale):
            await self._send(page, replaces=replaces)

    async def remove(self) -> None:
        """Take away the private message whose button was pressed."""
        await self._respond({"delete_original": True})

    async def post_publicly(self, wanted: list[Page]) -> None:
        """For everybody in the channel, also where the bot is no member."""
        for page in wanted:
            await self._respond(
                {"response_type": "in_channel", "text": page.text, "blocks": page.blocks}
            )

    async def close(self) -> None:
        """Nothing is held."""

    async def _send(self, page: Page, *, replaces: bool) -> None:
        if self._url is not None:
            self.used += 1
            try:
                await self._respond(
                    {"response_type": "ephemeral", "text": page.text, "blocks": page.blocks},
                    replaces=replaces,
                )
            except ResponseUrlRefused as err:
                log.info("a response_url is used up or too old (%s)", err)
            else:
                return
        try:
            await self._client.chat_postEphemeral(
                channel=self._spot.channel,
                user=self._spot.user,
                thread_ts=self._spot.thread,
                text=page.text,
                blocks=page.blocks,
                parse="none",
                link_names=False,
            )
        except SlackApiError:
            if self._url is None:
                raise
            # Neither way is open: whoever asked long ago, in a channel without the bot.
            log.warning("somebody can't be told any more: response_url and channel are closed")

    async def _respond(self, message: dict[str, Any], *, replaces: bool = False) -> None:
        if self._url is None:
            raise ResponseUrlRefused("there is none")
        webhook = AsyncWebhookClient(
            self._url, session=self._client.session, retry_handlers=self._client.retry_handlers
        )
        webhook.proxy = self._client.proxy  # the constructor would take HTTPS_PROXY for None
        body = (
            message if "delete_original" in message else {**message, "replace_original": replaces}
        )
        if "text" in message:
            body |= {"unfurl_links": False, "unfurl_media": False}
        try:
            response = await webhook.send_dict(body)
        except (aiohttp.ClientError, TimeoutError) as err:
            raise ResponseUrlRefused(type(err).__name__) from err
        if response.status_code != 200:
            raise ResponseUrlRefused(f"HTTP {response.status_code}: {response.body[:80]}")
