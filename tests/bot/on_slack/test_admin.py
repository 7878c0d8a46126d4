"""/personae and the App Home move adapters and settings for administrators, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.sentences import speaker
from bot.on_slack.admin import plain_word
from personae.persona import Cast
from serving.ledger import Ledger
from tests.bot.on_slack.bench import slack_bot
from tests.conftest import RunningGateway, gateway_over, with_floor
from tests.fakes import slack_payloads as world
from tests.fakes.engine import FakeEngine
from tests.fakes.slack_platform import FakeSlack

SAY = speaker("en")
DISCLOSED = "imitation"


async def said_to(slack: FakeSlack, text: str, *, user: str, channel: str = world.GENERAL) -> str:
    """What the bot answers to `/personae <text>`, in private."""
    before, public = len(slack.private), len(slack.bot_messages)
    slack.command("/personae", text, user=user, channel=channel)
    await slack.until(lambda: len(slack.private) > before, "an answer")
    assert slack.private[-1].user == user
    assert len(slack.bot_messages) == public
    return slack.private[-1].shown


@pytest.mark.parametrize(
    ("word", "plain"),
    [
        ("<@U012AB|ada>", "U012AB"),
        ("<#C012AB|general>", "C012AB"),
        ("<!subteam^S012AB|@editors>", "S012AB"),
        ("`lincoln`", "lincoln"),
        ("“v2”", "v2"),
        ("v2", "v2"),
    ],
)
def test_slacks_way_of_writing_people_and_channels_is_undone(word: str, plain: str) -> None:
    assert plain_word(word) == plain


async def test_an_administrator_lists_reloads_and_rolls_back(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        listed = await said_to(slack, "versions", user=world.GRACE)
        assert "*lincoln*: v1 is live" in listed
        assert "*pg*: no adapter is live" in listed
        assert "v2" in await said_to(slack, "reload lincoln v2", user=world.GRACE)
        slack.mention("lincoln What of the Union?")
        await slack.until(
            lambda: slack.bot_messages and "[lincoln@v2]" in slack.bot_messages[0].shown,
            "an answer by the new version",
        )
        assert "v1" in await said_to(slack, "rollback lincoln", user=world.OLGA)
        assert "v9" in await said_to(slack, "reload lincoln v9", user=world.GRACE)
        assert "lincoln" in await said_to(slack, "reload lincon", user=world.GRACE)
    ledger = Ledger(f"sqlite:///{gateway.config.home / 'state.db'}")
    changes = [one for one in ledger.history("lincoln") if one.actor.endswith(world.OLGA)]
    ledger.close()
    assert [(one.action, one.surface) for one in changes] == [("rollback", "slack")]


async def test_members_and_administrators_of_other_workspaces_are_refused(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        before = (await said_to(slack, "versions lincoln", user=world.GRACE)).count("v1")
        for user in (world.ADA, world.FAYE):
            for text in ("reload lincoln v2", "default lincoln server", "retention 7"):
                assert await said_to(slack, text, user=user) == SAY("only-managers")
        assert (await said_to(slack, "versions lincoln", user=world.GRACE)).count("v1") == before
        assert len(slack.calls_of("users.info")) == 3  # a role is remembered for a while


async def test_a_direct_conversation_is_no_way_round(gateway: RunningGateway) -> None:
    """There a member may set what holds for the two of them, and nothing that holds for others."""
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        for text in (
            "default lincoln server",
            "allow lincoln",
            "limits server requests 1",
            "names on",
            "alerts here",
            "retention 1",
            "reload lincoln v2",
        ):
            said = await said_to(slack, text, user=world.ADA, channel=world.DIRECT)
            assert said == SAY("only-managers"), text
        said = await said_to(slack, "default lincoln", user=world.ADA, channel=world.DIRECT)
        assert "Lincoln" in said


async def test_a_member_named_in_the_settings_may_administer(gateway: RunningGateway) -> None:
    settings = {"admins": frozenset({world.ADA})}
    async with slack_bot(gateway.url, admin_key=gateway.admin_key, settings=settings) as slack:
        assert "v2" in await said_to(slack, "reload lincoln v2", user=world.ADA)


async def test_a_channels_default_answers_where_nobody_is_named(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        await said_to(slack, "default roosevelt channel", user=world.GRACE)
        slack.mention("What of the forests?")
        await slack.until(lambda: slack.bot_messages, "an answer")
        await slack.until(lambda: "[roosevelt@v1]" in slack.bot_messages[0].shown, "his answer")


async def test_what_cannot_be_understood_is_answered_with_the_usage(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        for text in ("", "publish", "help"):
            assert "reload" in await said_to(slack, text, user=world.GRACE)


async def test_a_missing_or_wrong_admin_key_is_named(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        said = await said_to(slack, "reload lincoln", user=world.GRACE)
        assert "PERSONAE_ADMIN_KEY" in said
    async with slack_bot(gateway.url, admin_key="wrong") as slack:
        assert "admin key" in await said_to(slack, "reload lincoln", user=world.GRACE)


async def test_personas_speak_under_their_own_names_where_that_is_on(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        await said_to(slack, "names on", user=world.GRACE)
        slack.mention("lincoln What of the Union?")
        await slack.until(
            lambda: slack.bot_messages and DISCLOSED in slack.bot_messages[0].shown, "an answer"
        )
        assert slack.bot_messages[0].author["username"] == "Abraham Lincoln (imitation)"


async def test_questions_a_persona_has_not_written_about_reach_the_channel_that_was_set(
    engine: FakeEngine, cast: Cast, tmp_path: Path
) -> None:
    strict = Cast((with_floor(one, 5.0), cast.folder(one.id)) for one in cast.values())
    async with (
        gateway_over(engine, strict, tmp_path) as gateway,
        slack_bot(gateway.url, admin_key=gateway.admin_key) as slack,
    ):
        await said_to(slack, "alerts here", user=world.GRACE)
        slack.mention("lincoln What of the telephone?")
        await slack.until(
            lambda: any(
                (m.channel, m.thread_ts) == (world.GENERAL, None) and "telephone" in m.shown
                for m in slack.bot_messages
            ),
            "an alert",
        )
