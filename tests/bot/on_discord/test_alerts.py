"""A question that nobody has written about reaches the channel that a server set for it."""

from __future__ import annotations

from pathlib import Path

from personae.persona import Cast
from tests.bot.on_discord.bench import bot_settings, running_bot
from tests.conftest import gateway_over, with_floor
from tests.fakes.discord_objects import SECOND_CHANNEL_ID
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.engine import FakeEngine

ASKED = "How do I bake sourdough pizza for @everyone?"


async def test_an_unanswered_question_is_told_where_the_server_wants_it(
    engine: FakeEngine, cast: Cast, platform: FakeDiscord, tmp_path: Path
) -> None:
    declining = Cast((with_floor(its, None), cast.folder(its.id)) for its in cast.values())
    (tmp_path / "bot").mkdir()
    async with gateway_over(engine, declining, tmp_path) as gateway:
        settings = bot_settings(
            platform, gateway.url, tmp_path / "bot", admin_key=gateway.admin_key
        )
        async with running_bot(settings, platform):
            chosen = await platform.slash("personae alerts", options={"channel": SECOND_CHANNEL_ID})
            await chosen.shows(f"<#{SECOND_CHANNEL_ID}>")
            ask = await platform.slash("ask", persona="lincoln", question=ASKED)
            await ask.shows(declining["lincoln"].refusal)
            board = platform.channel(SECOND_CHANNEL_ID)
            await board.shows("Abraham Lincoln has not written about this", "sourdough pizza")
            private = await platform.slash(
                "ask", persona="lincoln", question="And secret sauces?", private=True
            )
            await private.shows(declining["lincoln"].refusal)
            listed = await platform.slash("personae unanswered", persona="lincoln")
            await listed.shows("sourdough pizza")
            assert "secret" not in listed.text
    assert platform.pings == set()
    assert all("secret" not in message.content for message in board.of_bot)
