"""One answer from the gateway's stream to Discord, edit by edit.

In: an interaction and a request. What can happen to it on the way: the gateway refuses (the error
goes up to the central handler), the stream breaks off (the answer ends with a sentence about it),
a person deletes the answer (the stream is dropped), the bot is stopped (the answer says so).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any

import discord

from bot.core import sentences
from bot.core.answer import Answer
from bot.core.edits import CoalescedEdits
from bot.core.gateway_client import GatewayClient
from bot.on_discord import text as discord_text
from bot.on_discord.reply import Reply
from personae.errors import PersonaeError, from_wire
from personae.wire import AskRequest, ErrorEvent, RewriteRequest

log = logging.getLogger(__name__)


async def stream_answer(
    interaction: discord.Interaction,
    request: AskRequest | RewriteRequest,
    *,
    gateway: GatewayClient,
    edit_interval_seconds: float,
) -> None:
    """Acknowledge, stream, finish.

    Raises:
        PersonaeError: nothing was said, and this is why.
        AnsweredElsewhere: another process answers.
    """
    began = time.monotonic()
    above = _above(interaction, request)
    reply = Reply.of(interaction)
    await reply.open(private=False)
    answer = Answer()

    async def show(text: str) -> None:
        await reply.show(above + text)

    edits = CoalescedEdits(show, interval_seconds=edit_interval_seconds)
    try:
        await _read(gateway, request, answer, edits, reply)
        # A place in line was shown to everybody, so its end is; any other refusal is for one person.
        if answer.error is not None and not answer.pieces and answer.queued is None:
            raise from_wire(answer.error.model_dump())
        if not reply.over:
            await _see_through(edits.finish(discord_text.finished(answer)))
    except asyncio.CancelledError:
        if not answer.finished:
            await _say_stopped(answer, edits, reply)
        raise
    finally:
        edits.cancel()
    log.info(
        "interaction %s: %s answered by %s in %.1f s%s",
        interaction.id,
        type(request).__name__,
        f"{answer.meta.persona}@{answer.meta.adapter_version}" if answer.meta else "nobody",
        time.monotonic() - began,
        f" ({answer.error.code})" if answer.error else "",
    )


def _above(interaction: discord.Interaction, request: AskRequest | RewriteRequest) -> str:
    """What stands above the answer: the question. A text to rewrite would be too long for it."""
    if isinstance(request, RewriteRequest):
        return ""
    who = interaction.user.display_name
    return discord_text.question_line(who, request.persona, request.question)


async def _read(
    gateway: GatewayClient,
    request: AskRequest | RewriteRequest,
    answer: Answer,
    edits: CoalescedEdits,
    reply: Reply,
) -> None:
    try:
        async with contextlib.aclosing(gateway.stream(request)) as events:
            async for event in events:
                answer.add(event)
                if not answer.finished and answer.text():
                    edits.update(discord_text.growing(answer))
                if reply.over:
                    return
    except PersonaeError as err:
        if not answer.pieces:
            raise
        answer.add(ErrorEvent(**err.to_wire()))


async def _say_stopped(answer: Answer, edits: CoalescedEdits, reply: Reply) -> None:
    """The bot is going down: say so while Discord can still be reached, then let go."""
    try:
        if answer.pieces:
            answer.add(ErrorEvent(code="stopped", message=sentences.RESTARTING))
            await edits.finish(discord_text.finished(answer))
        else:
            await reply.refuse(sentences.RESTARTING)
    except Exception:
        log.warning("an answer was cut off without a word about it", exc_info=True)


async def _see_through(work: Coroutine[Any, Any, None]) -> None:
    """Do `work` to its end even if cancelled meanwhile, and only then be cancelled.

    The last edit carries the sources and the disclosure, and an edit cancelled half-way leaves
    discord.py's lock for that token taken. A second cancellation stops the work itself.
    """
    task = asyncio.create_task(work, name="last-edit")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
