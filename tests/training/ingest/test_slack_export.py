"""A Slack export becomes one person's days in each channel, in plain text."""

from __future__ import annotations

import json

import pytest

from personae.errors import CorpusError
from personae.sources import SlackExportSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.slack_export import documents_of_slack_export, text_of_message

USERS = [
    {
        "id": "U1",
        "name": "ada",
        "deleted": False,
        "profile": {
            "real_name": "Ada Brook",
            "display_name": "Brook",
            "email": "ada@kettle.example",
        },
    },
    {
        "id": "U2",
        "name": "ben",
        "profile": {"real_name": "Ben Brook", "display_name": "", "email": None},
    },
    {"id": "U3", "name": "twin", "profile": {"real_name": "Ben Brook"}},
]
CHANNELS = [{"id": "C1", "name": "general"}]


def said(minute, text, user="U1", **more):
    return {
        "type": "message",
        "user": user,
        "text": text,
        "ts": f"{1583316000 + 60 * minute}.0001",
        **more,
    }


def export(days, **files):
    return {
        "users.json": json.dumps(USERS),
        "channels.json": json.dumps(CHANNELS),
        "dms.json": json.dumps([{"id": "D1", "members": ["U1", "U2"]}]),
        "integration_logs.json": "[{]",
        **{f"{name}.json": json.dumps(messages) for name, messages in days.items()},
        **files,
    }


def read(tmp_path, path="s", user="ada"):
    source = SlackExportSource(kind="slack_export", path=path, user=user)
    return list(documents_of_slack_export(source, tmp_path))


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_a_day_of_a_channel_is_a_document_of_what_was_said_in_one_go(tmp_path, make):
    days = {
        "general/2020-03-04": [
            said(0, "Tea is ready."),
            said(1, "Where?", user="U2"),
            said(5, "In the kitchen."),
            said(40, "It is cold now."),
        ],
        "general/2020-03-05": [said(1500, "New day.")],
        "D1/2020-03-04": [said(3, "Between us.")],
        "random/2020-03-04": [said(3, "Not me.", user="U2")],
    }
    make(tmp_path / "s.zip", export(days))
    private, first, second = read(tmp_path, "s.zip")
    assert (first.id, first.date) == ("general/2020-03-04", "2020-03-04")
    assert first.title == "#general, 2020-03-04"
    assert first.text == "Tea is ready.\nIn the kitchen.\n\nIt is cold now."
    assert second.text == "New day."
    assert (private.title, private.text) == ("Direct messages, 2020-03-04", "Between us.")


def test_what_events_and_bots_wrote_is_left_out_and_so_are_bare_links(tmp_path):
    messages = [
        said(0, "<@U1> has joined the channel", subtype="channel_join"),
        said(1, "Posted for me", subtype="bot_message"),
        said(2, "Posted by an app", bot_id="B1"),
        said(3, "<https://tea.example>"),
        said(4, ":tea: <@U2>"),
        said(5, "", files=[{"id": "F1"}]),
        said(6, "Mine.", subtype="thread_broadcast"),
        {"type": "message", "subtype": None, "user": "U1", "text": None, "ts": "1"},
    ]
    folder_of(tmp_path / "s", export({"general/2020-03-04": messages}))
    assert [one.text for one in read(tmp_path)] == ["Mine."]


def test_a_thread_stands_together_on_its_first_day(tmp_path):
    days = {
        "general/2020-03-04": [
            said(0, "A question.", thread_ts="T1"),
            said(1, "Something else."),
            said(30, "More of it.", thread_ts="T1"),
        ],
        "general/2020-03-05": [said(1500, "The answer.", thread_ts="T1"), said(1501, "Bye now.")],
    }
    folder_of(tmp_path / "s", export(days))
    assert [one.text for one in read(tmp_path)] == [
        "A question.\nMore of it.\nThe answer.\n\nSomething else.",
        "Bye now.",
    ]


@pytest.mark.parametrize(
    "user", ["U1", "u1", "ada", "@ada", "Brook", "ada brook", "ADA@kettle.example"]
)
def test_a_person_is_found_by_id_name_display_name_or_address(tmp_path, user):
    folder_of(
        tmp_path / "s", export({"general/2020-03-04": [said(0, "Mine."), said(1, "No", "U2")]})
    )
    assert [one.text for one in read(tmp_path, user=user)] == ["Mine."]


def test_a_person_who_is_not_known_or_not_alone_is_refused_with_those_who_are(tmp_path):
    folder_of(tmp_path / "s", export({}))
    with pytest.raises(CorpusError, match=r'nobody called "eve".*ada, ben, twin'):
        read(tmp_path, user="eve")
    with pytest.raises(CorpusError, match=r"2 people called .*: U2, U3"):
        read(tmp_path, user="Ben Brook")


def test_references_are_plain_words():
    names = {"@U2": "@Ben", "#C1": "#general"}
    text = (
        "<@U2> <@U9|eve> <@U8> <#C1> <#C2|tea> <!here> <!subteam^S1|@brewers> "
        "<!date^1^{date}|today> <https://a.example|this> <https://b.example> <mailto:a@b.example|a@b.example>"
    )
    assert text_of_message(text, names).split() == [
        "@Ben", "@eve", "#general", "#tea", "@here", "@brewers", "today", "this",
        "https://b.example", "a@b.example",
    ]  # fmt: skip


def test_marks_and_code_go_and_entities_lists_and_quotes_stay():
    text = (
        "*Bold* _it_ ~no~ `x` snake_case_name &lt;3\n• one\n• two\n```code &amp; more```\n&gt; said"
    )
    assert text_of_message(text, {}) == "Bold it no x snake_case_name <3\n- one\n- two\n\n> said"


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"users.json": "[{"}, r"users\.json is not the JSON"),
        ({"users.json": '{"a": 1}'}, r"users\.json is not the JSON.*list"),
        ({"users.json": '[{"name": "x"}]'}, r"users\.json is not the JSON.*0\.id"),
        ({"channels.json": "[3]"}, r"channels\.json is not the JSON"),
        ({"general/2020-03-04.json": '[{"text": ["x"]}]'}, r"2020-03-04\.json is not the JSON"),
        ({"general/2020-03-04.json": '["' + "x" * 50}, r"2020-03-04\.json is not the JSON"),
        ({"general/2020-03-04.json": b"[\xff]"}, r"2020-03-04\.json is not UTF-8"),
    ],
)
def test_a_damaged_export_is_refused_by_the_files_name(tmp_path, files, match):
    folder_of(tmp_path / "s", export({}, **files))
    with pytest.raises(CorpusError, match=match):
        read(tmp_path)


def test_a_folder_without_people_says_where_to_get_an_export(tmp_path):
    folder_of(tmp_path / "s", {"general/2020-03-04.json": "[]"})
    with pytest.raises(CorpusError, match=r"no users\.json.*Import/export"):
        read(tmp_path)
