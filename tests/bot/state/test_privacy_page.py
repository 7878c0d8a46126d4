"""docs/privacy.md names every table and column that is stored, no other one, and the times that hold."""

from __future__ import annotations

import re

import sqlalchemy as sa
from slack_sdk.oauth.installation_store.sqlalchemy import SQLAlchemyInstallationStore
from slack_sdk.oauth.state_store.sqlalchemy import SQLAlchemyOAuthStateStore

from bot.core.policy import PolicySettings
from bot.on_slack import token_renewal
from bot.state.part import DAY_SECONDS
from bot.state.retention import ANSWERS_SECONDS, CLAIM_SECONDS, USAGE_DAYS
from bot.state.tables import VERSION_TABLE, metadata
from serving import feedback, holders, ledger, unanswered
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "privacy.md").read_text(encoding="utf-8")


def documented() -> dict[str, list[str]]:
    """Table → columns, as the page names them."""
    found = {}
    for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        table = re.match(r"`(\w+)`", part)
        assert table, part[:40]
        cells = re.findall(r"^\| (`[^|]*) \|", part.split("\n## ")[0], flags=re.MULTILINE)
        found[table[1]] = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    return found


def stored() -> dict[str, set[str]]:
    """Table → columns, as the code makes them."""
    slack = sa.MetaData()
    SQLAlchemyInstallationStore.build_installations_table(slack, "bot_slack_installations")
    SQLAlchemyInstallationStore.build_bots_table(slack, "bot_slack_bots")
    SQLAlchemyOAuthStateStore.build_oauth_states_table(slack, "bot_slack_states")
    of_the_gateway = (its._metadata for its in (feedback, unanswered, ledger, holders))
    everywhere = (metadata, *of_the_gateway, slack, token_renewal.metadata)
    tables = {
        table.name: {column.name for column in table.columns}
        for its in everywhere
        for table in its.sorted_tables
    }
    return tables | {VERSION_TABLE: {"version_num"}}


def test_the_page_names_every_table_and_column_once_and_no_other():
    page = documented()
    assert len(page) > 12
    for table, columns in page.items():
        assert len(columns) == len(set(columns)), table
    assert {table: set(columns) for table, columns in page.items()} == stored()


def test_every_column_is_explained():
    rows = re.findall(r"^\| `.*", PAGE, flags=re.MULTILINE)
    assert len(rows) > 60
    for row in rows:
        assert len(row.strip("| ").split(" | ")[-1]) > 3, row


def test_times_are_those_of_the_code():
    assert f"**{ANSWERS_SECONDS / DAY_SECONDS:.0f} days**" in PAGE
    assert f"| usage counts | {USAGE_DAYS} days |" in PAGE
    assert f"| which event was answered already | {CLAIM_SECONDS // DAY_SECONDS} day |" in PAGE
    hours = PolicySettings().memory_seconds / 3600
    assert f"| what was said in a conversation | {hours:.0f} hours |" in PAGE
    assert f"of each persona the newest {feedback.MOST_KEPT} |" in PAGE
    assert f"of each persona the newest {unanswered.MOST_KEPT} |" in PAGE
