"""The App Home shows who speaks here and what one may do, and its buttons do it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.sentences import speaker
from bot.on_slack.home_view import Home, home_view
from personae.wire import PersonaCard
from tests.bot.on_slack.bench import slack_bot
from tests.conftest import RunningGateway
from tests.fakes import slack_payloads as world
from tests.fakes import slack_rules as rules
from tests.fakes.slack_platform import FakeSlack


def card(number: int, text: str = "Writes.") -> PersonaCard:
    return PersonaCard(
        id=f"p{number}",
        display_name=f"Persona {number}",
        description=text,
        disclosure="An imitation.",
        base_model="m",
        adapter_version="v1",
        passages=3,
        notice=None,
        max_question_characters=10,
        max_text_characters=10,
    )


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize("administers", [False, True])
@pytest.mark.parametrize("text", ["Writes.", "<!channel> & <@U0ADA> " * 2_000])
def test_whatever_stands_in_it_slack_takes_it_and_nobody_is_pinged(
    locale: str, administers: bool, text: str
) -> None:
    home = Home(
        say=speaker(locale),
        cards=[card(number, text) for number in range(120)],
        usage=text,
        result=text,
        administers=administers,
        operates=administers,
    )
    view = home_view(home)
    verdict = rules.judge_view(view)
    assert (verdict.error, verdict.complaints) == (None, [])
    assert rules.pings({"blocks": view["blocks"]}) == set()


def labels(view: Any) -> set[str]:
    return {element["action_id"] for element in view.elements}


async def opened(slack: FakeSlack, user: str) -> Any:
    slack.open_home(user)
    return await slack.until(lambda: slack.home(user), "a home")


async def test_a_member_sees_personas_usage_and_no_controls(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        home = await opened(slack, world.ADA)
        assert "Abraham Lincoln" in home.shown
        assert "Version: v1" in home.shown
        assert labels(home) == {"home:opt-out", "home:forget", "home:refresh"}


async def test_a_german_administrator_reads_german_and_has_the_controls(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        home = await opened(slack, world.OLGA)
        assert "Wer hier spricht" in home.shown
        assert {"home:default", "home:retention", "home:alerts", "home:stats"} <= labels(home)


async def test_an_administrator_sets_the_default_and_moves_a_version(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key) as slack:
        home = await opened(slack, world.GRACE)
        states = len(home.history)
        slack.press(home, "home:default", value="roosevelt")
        await slack.until(lambda: len(home.history) > states, "a new state")
        slack.mention("What of the forests?")
        await slack.until(lambda: slack.bot_messages, "an answer")
        await slack.until(lambda: "[roosevelt@v1]" in slack.bot_messages[0].shown, "his answer")
        states = len(home.history)
        element = next(e for e in home.elements if e["action_id"] == "home:default")
        assert element["initial_option"]["value"] == "roosevelt"
        for action in ("home:own-names", "home:stats", "home:status", "home:limits"):
            slack.press(home, action)
            states += 1
            await slack.until(lambda wanted=states: len(home.history) >= wanted, action)  # type: ignore[misc]
        slack.press(home, "home:retention", value="30")
        await slack.until(lambda: len(home.history) > states, "a new state")


async def test_buttons_of_somebody_who_lost_the_role_do_nothing(gateway: RunningGateway) -> None:
    async with slack_bot(gateway.url, admin_key=gateway.admin_key, role_seconds=0.0) as slack:
        home = await opened(slack, world.GRACE)
        before = world.PEOPLE[world.GRACE]
        world.PEOPLE[world.GRACE] = before | {"is_admin": False}
        try:
            states = len(home.history)
            slack.press(home, "home:default", value="roosevelt")
            await slack.until(lambda: len(home.history) > states, "a new state")
            assert speaker("en")("only-managers") in home.shown
            assert "home:default" not in labels(home)
        finally:
            world.PEOPLE[world.GRACE] = before


async def test_opting_out_changes_the_button_and_the_messages_tab_suggests_prompts(
    gateway: RunningGateway,
) -> None:
    async with slack_bot(gateway.url) as slack:
        home = await opened(slack, world.ADA)
        slack.press(home, "home:opt-out")
        await slack.until(lambda: "home:opt-in" in labels(home), "the other button")
        slack.open_home(world.ADA, tab="messages")
        await slack.until(lambda: slack.prompts, "suggested prompts")
        assert slack.prompts[0]["channel_id"] == world.DIRECT


async def test_without_a_gateway_the_home_is_there_and_says_so() -> None:
    async with slack_bot("http://127.0.0.1:9") as slack:
        home = await opened(slack, world.ADA)
        assert labels(home) == {"home:opt-out", "home:forget", "home:refresh"}
        assert "can't be reached" in home.shown, "not: there are no personas"
