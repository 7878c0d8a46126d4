"""`/rewrite`: a private draft with what changed, then share, copy, again, lighter, stronger."""

from __future__ import annotations

from bot.core.sentences import speaker
from tests.conftest import RunningGateway
from tests.fakes.discord_interaction import Interaction
from tests.fakes.discord_objects import CHANNEL_ID
from tests.fakes.discord_platform import FakeDiscord

ROOSEVELT = "An imitation of Theodore"
TEXT = "Big firms must follow the rules like everyone else."
say = speaker("en")


async def drafted(platform: FakeDiscord, gateway: RunningGateway, **options: str) -> Interaction:
    gateway.engine.words = ["The great firms must follow the rules like every man."]
    given = {"persona": "roosevelt", "text": TEXT} | options
    rewrite = await platform.slash("rewrite", **given)
    await rewrite.shows("great firms", ROOSEVELT)
    await platform.until(lambda: "Share" in rewrite.messages[-1].buttons, "buttons", rewrite)
    return rewrite


async def test_a_draft_is_private_and_marks_what_changed(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    draft = await drafted(platform, gateway)
    assert draft.private
    text = draft.text
    assert say("discord-changes") in text and "~~Big" in text and "**" in text
    assert draft.messages[-1].buttons == ["Share", "Copy", "Again", "Lighter", "Stronger"]


async def test_share_shows_it_to_everybody_once(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    draft = await drafted(platform, gateway)
    share = await platform.press(draft.messages[-1], "Share")
    text = await share.shows("great firms", ROOSEVELT)
    (public,) = [m for m in share.messages if not m.ephemeral]
    assert "Alice" in text and "~~" not in text and public.buttons[:2] == ["👍", "👎"]
    await platform.until(lambda: "Share" not in draft.messages[-1].buttons, "no share button")
    assert "Copy" in draft.messages[-1].buttons and "great firms" in draft.messages[-1].text


async def test_copy_gives_the_bare_text(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    draft = await drafted(platform, gateway)
    copy = await platform.press(draft.messages[-1], "Copy")
    text = await copy.shows("great firms")
    assert copy.private and text.startswith("```\n") and ROOSEVELT not in text


async def test_again_lighter_and_stronger_are_further_drafts(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    draft = await drafted(platform, gateway)
    for button, words in (("Stronger", "Bully!"), ("Again", "Once more.")):
        gateway.engine.words = [words]
        pressed = await platform.press(draft.messages[-1], button)
        await pressed.shows(words, ROOSEVELT)
        assert pressed.private
    await platform.until(lambda: "Share" in pressed.messages[-1].buttons, "buttons", pressed)
    stronger = await drafted(platform, gateway, strength="strong")
    assert "Stronger" not in stronger.messages[-1].buttons
    lighter = await platform.press(stronger.messages[-1], "Lighter")
    await lighter.shows(ROOSEVELT)
    assert not platform.channel(CHANNEL_ID).of_bot or all(
        m.ephemeral for m in platform.channel(CHANNEL_ID).of_bot
    )


async def test_a_long_text_is_typed_into_a_window(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = ["A long text, well said."]
    rewrite = await platform.slash("rewrite", persona="roosevelt", strength="light")
    await rewrite.modal_shown()
    sent = await platform.submit(rewrite, {"text": "We should try harder. " * 100})
    await sent.shows("well said", ROOSEVELT)
    assert sent.private
