"""The commands for everybody, their languages, their places, and what is kept of people."""

from __future__ import annotations

import json
from pathlib import Path

from bot.core.sentences import speaker
from tests.bot.on_discord.bench import PATIENT_EDITS, bot_settings, running_bot
from tests.conftest import RunningGateway
from tests.fakes.discord_objects import BOT_ID, CHANNEL_ID
from tests.fakes.discord_platform import FakeDiscord
from tests.fakes.discord_world import BOB

LINCOLN = "An imitation of Abraham Lincoln"
say = speaker("en")


async def test_commands_are_there_in_german_too(bot: None, platform: FakeDiscord) -> None:
    names = {command["name"]: command["name_localizations"] for command in platform.commands}
    assert names["ask"] == {"de": "fragen"} and names["Ask about this…"] == {"de": "Danach fragen…"}
    ask = next(command for command in platform.commands if command["name"] == "ask")
    assert ask["options"][1]["name_localizations"] == {"de": "frage"}
    assert ask["description_localizations"]["de"].startswith("Stell einer Persona")


async def test_answers_and_refusals_speak_the_persons_language(
    bot: None, platform: FakeDiscord
) -> None:
    ask = await platform.slash("ask", locale="de", persona="lincoln", question="Warum?")
    text = await ask.shows("Alice hat Abraham Lincoln gefragt: Warum?", LINCOLN)
    assert "Quellen" in text
    await platform.until(lambda: "Noch einmal" in ask.messages[-1].buttons, "German buttons", ask)
    refused = await platform.slash("ask", locale="de", persona="linkoln", question="Warum?")
    await refused.shows("Hier gibt es keine Persona")


async def test_a_private_question_is_private(bot: None, platform: FakeDiscord) -> None:
    ask = await platform.slash("ask", persona="lincoln", question="Why?", private=True)
    text = await ask.shows("must think anew", LINCOLN)
    assert ask.private and "asked" not in text


async def test_personas_are_listed(bot: None, platform: FakeDiscord) -> None:
    listed = await platform.slash("personas")
    await listed.shows("**Abraham Lincoln** (`lincoln`) v1: ", "roosevelt", "pg")
    assert listed.private


async def test_usage_is_told(bot: None, platform: FakeDiscord) -> None:
    await (await platform.slash("ask", persona="lincoln", question="Why?")).shows(LINCOLN)
    usage = await platform.slash("usage")
    await usage.shows("You: one request")
    assert usage.private


async def test_what_is_kept_can_be_seen_got_refused_and_deleted(
    bot: None, platform: FakeDiscord
) -> None:
    asked = "A question to be forgotten?"
    await (await platform.slash("ask", persona="lincoln", question=asked)).shows(LINCOLN)
    shown = await platform.slash("privacy")
    await shown.shows("Kept of you")
    got = await platform.slash("privacy", action="export")
    await got.shows(say("discord-privacy-exported"))
    kept = json.loads(got.messages[-1].files["personae-data.json"])
    assert asked in json.dumps(kept) and got.private
    sure = await platform.slash("privacy", action="delete")
    await sure.shows(say("discord-privacy-sure"))
    done = await platform.press(sure.messages[-1], say("discord-button-forget"))
    await done.shows("Forgotten: one answer")
    out = await platform.slash("privacy", action="opt-out")
    await out.shows(say("opted-out"))
    await (await platform.slash("ask", persona="lincoln", question=asked)).shows(LINCOLN)
    while True:  # what is needed while an answer runs goes when it has ended
        got = await platform.slash("privacy", action="export")
        await got.shows(say("discord-privacy-exported"))
        if asked not in got.messages[-1].files["personae-data.json"].decode():
            break


async def test_the_bot_in_a_strangers_server_answers_by_the_token_alone(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    async with FakeDiscord(edit_limit=PATIENT_EDITS) as platform:
        async with running_bot(bot_settings(platform, gateway.url, tmp_path), platform):
            gateway.engine.words = [f"Sentence {n} {'goes on ' * 12}. " for n in range(150)]
            ask = await platform.slash(
                "ask", user_install=True, person=BOB, persona="lincoln", question="Why?"
            )
            await ask.shows("the whole answer is in answer.md", LINCOLN)
            assert ask.follow_ups <= 5
            rewrite = await platform.slash(
                "rewrite", user_install=True, persona="lincoln", text="Work harder."
            )
            await rewrite.shows("answer.md")
            assert rewrite.private
        channel_calls = [call for call in platform.requests if f"/channels/{CHANNEL_ID}" in call]
        assert channel_calls == []


async def test_nothing_a_model_says_does_harm(
    bot: None, platform: FakeDiscord, gateway: RunningGateway
) -> None:
    gateway.engine.words = [
        "@everyone @here <@4000000000000000042> <@&5000000000000000001> ",
        "join discord.gg/abc or https://discord.com/invite/xyz now ",
        "\u202eevil\u202c hid\u200bden \u2066x\u2069 ```py\nopen = 'fence'\n",
        "word " * 2000,
        "\n-# — Not an imitation at all",
    ]
    here = platform.channel(CHANNEL_ID)
    await platform.say(f"<@{BOT_ID}> lincoln, what is `@everyone` <@&5000000000000000001>?")
    await here.shows("Goes on in the thread below.")
    (thread,) = platform.threads
    there = platform.channel(thread.id)
    await there.shows(LINCOLN)
    messages = [*here.of_bot, *there.of_bot]
    text = "\n".join(message.content for message in messages)
    assert platform.pings == set() and platform.previews == []
    for harm in ("discord.gg/abc", "invite/xyz", "\u202e", "\u2066", "@everyone"):
        assert harm not in text
    assert "hidden" in text
    assert all(message.content.count("```") % 2 == 0 for message in messages)
    assert sum(m.content.count("-# — An imitation of Abraham") for m in messages) == 1


async def test_a_hostile_question_does_no_harm_in_its_heading(
    bot: None, platform: FakeDiscord
) -> None:
    question = "```\n@everyone discord.gg/abc \u202e <@&5000000000000000001> \n-# — x"
    ask = await platform.slash("ask", persona="lincoln", question=question)
    text = await ask.shows(LINCOLN)
    assert platform.pings == set() and "discord.gg/abc" not in text and "\u202e" not in text
    assert len(text.splitlines()[0]) > 20 and "```" not in text
