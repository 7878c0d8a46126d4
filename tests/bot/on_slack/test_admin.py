"""/personae moves adapters for administrators, and for nobody else."""

from __future__ import annotations

from bot.core import sentences
from serving.ledger import Ledger
from tests.bot.on_slack.bench import slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes.slack_platform import FakeSlack


async def said_to(slack: FakeSlack, text: str, *, user: str) -> str:
    """What the bot answers to `/personae <text>`, in private."""
    before = len(slack.private)
    slack.command("/personae", text, user=user)
    await slack.until(lambda: len(slack.private) > before, "an answer")
    assert slack.private[-1].user == user
    assert slack.private[-1].message["response_type"] == "ephemeral"
    assert slack.bot_messages == []
    return slack.private[-1].shown


async def test_an_administrator_lists_reloads_and_rolls_back(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        listed = await said_to(slack, "list", user=world.GRACE)
        assert "lincoln: live v1; in the registry: v1, v2" in listed
        assert "pg: live none (prompt only); in the registry: nothing" in listed
        moved = await said_to(slack, "reload Lincoln v2", user=world.GRACE)
        assert moved == "lincoln now speaks with v2, before that v1."
        slack.mention("lincoln What of the Union?")
        await slack.until(
            lambda: slack.bot_messages and "[lincoln@v2]" in slack.bot_messages[0].shown,
            "an answer by the new version",
        )
        slack.bot_messages.clear()
        back = await said_to(slack, "rollback lincoln", user=world.OLGA)
        assert back == "lincoln now speaks with v1, before that v2."
        newest = await said_to(slack, "reload roosevelt", user=world.GRACE)
        assert newest == "roosevelt now speaks with v2, before that v1."


async def test_the_change_is_on_record_under_the_slack_user(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        await said_to(slack, "reload lincoln", user=world.GRACE)
    ledger = Ledger(f"sqlite:///{gateway.config.home / 'state.db'}")
    newest = ledger.history("lincoln")[0]
    ledger.close()
    assert (newest.actor, newest.surface) == (f"slack:{world.GRACE}", "slack")


async def test_members_and_administrators_of_other_workspaces_are_refused(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        for user in (world.ADA, world.FAYE):
            for text in ("list", "reload lincoln", "rollback lincoln", "nonsense"):
                assert await said_to(slack, text, user=user) == sentences.ADMINS_ONLY
        assert len(slack.calls_of("users.info")) == 2  # a role is remembered for a while


async def test_a_member_named_in_the_settings_may_administer(gateway: RunningGateway) -> None:
    admins = frozenset({world.ADA})
    async with slack_bot(gateway.url, admin_key=gateway.admin_key, admins=admins) as slack:
        assert "lincoln: live v1" in await said_to(slack, "list", user=world.ADA)


async def test_what_cannot_be_understood_is_answered_with_the_usage(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        for text in ("", "reload", "reload lincoln v1 v2", "rollback", "publish"):
            assert "/personae reload" in await said_to(slack, text, user=world.GRACE)


async def test_the_gateways_refusals_reach_the_administrator(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        assert "v9" in await said_to(slack, "reload lincoln v9", user=world.GRACE)
        assert "no version before" in await said_to(slack, "rollback lincoln", user=world.GRACE)
        assert "Did you mean lincoln?" in await said_to(slack, "reload lincon", user=world.GRACE)


async def test_a_missing_or_wrong_admin_key_is_named(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url) as slack:
        assert await said_to(slack, "list", user=world.GRACE) == sentences.NO_ADMIN_KEY
    async with slack_bot(gateway.url, admin_key="wrong") as slack:
        assert "admin key" in await said_to(slack, "list", user=world.GRACE)
