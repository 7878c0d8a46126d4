"""Discord's data package and DiscordChatExporter's files become one's own days in each channel."""

from __future__ import annotations

import json

import pytest

from personae.errors import CorpusError
from personae.sources import DiscordExportSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.discord_export import documents_of_discord_export


def own(last_digit: int, time: str, contents: str, attachments: str = "") -> dict:
    """A message as the data package has it."""
    return {
        "ID": 1102563000000000000 + last_digit,
        "Timestamp": f"2023-05-01 {time}" if time else "?",
        "Contents": contents,
        "Attachments": attachments,
    }


MESSAGES = [
    own(3, "10:40:00", "It is cold now."),
    own(2, "10:05:00", "In the **kitchen**."),
    own(1, "10:00:00", "Tea, <@5>? <:cup:9>"),
    own(4, "11:00:00", "!play kettle song"),
    own(5, "11:00:00", "", "https://x.example"),
    own(6, "11:00:00", "https://x.example"),
    own(7, "", "By its id."),
]
CHANNEL = {
    "id": "123",
    "type": "GUILD_TEXT",
    "name": "general",
    "guild": {"id": "77", "name": "Kettle"},
}
CSV = (
    "ID,Timestamp,Contents,Attachments\r\n"
    '1,2020-03-04 10:00:00.123000+00:00,"Tea, ""milk""\nand more.",\r\n'
)


def package(**files):
    return {
        "Messages/index.json": json.dumps({"123": "general in Kettle", "124": None}),
        "Messages/c123/channel.json": json.dumps(CHANNEL),
        "Messages/c123/messages.json": json.dumps(MESSAGES),
        "Messages/c124/channel.json": json.dumps(
            {"id": "124", "type": "DM", "recipients": ["1", "5"]}
        ),
        "Messages/c124/messages.csv": CSV,
        "Account/user.json": "[{] never opened",
        **files,
    }


def exported(*messages, number="123"):
    return json.dumps(
        {
            "guild": {"id": "77", "name": "Kettle"},
            "channel": {"id": number, "type": "GuildTextChat", "name": "general", "topic": None},
            "messages": list(messages),
            "messageCount": len(messages),
        }
    )


def message(number, content, *, author="ada", bot=False, kind="Default", at="10:00:00"):
    return {
        "id": str(number),
        "type": kind,
        "timestamp": f"2023-05-01T{at}.123+00:00",
        "content": content,
        "author": {
            "id": f"9{author}",
            "name": author,
            "discriminator": "0000",
            "nickname": None,
            "isBot": bot,
        },
    }


def read(tmp_path, path="d", user=None):
    source = DiscordExportSource(kind="discord_export", path=path, user=user)
    return list(documents_of_discord_export(source, tmp_path))


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_all_of_a_data_package_is_ones_own(tmp_path, make):
    make(tmp_path / "d.zip", package())
    day, direct = read(tmp_path, "d.zip")
    assert (day.id, day.title) == ("123/2023-05-01", "#general in Kettle, 2023-05-01")
    assert day.text == "Tea, ? :cup:\nIn the kitchen.\n\nIt is cold now.\n\nBy its id."
    assert day.url == "https://discord.com/channels/77/123/1102563000000000001"
    assert (direct.id, direct.text) == ("124/2020-03-04", 'Tea, "milk"\nand more.')
    assert direct.url == "https://discord.com/channels/@me/124/1"


def test_of_the_exporters_files_only_the_named_persons_messages_are_taken(tmp_path):
    files = {
        "a.json": exported(
            message(1, "Mine."),
            message(2, "Not mine.", author="ben"),
            message(3, "Joined the server.", kind="GuildMemberJoin"),
            message(4, "An answer.", kind="Reply", at="11:00:00"),
        ),
        "b.json": exported(
            message(4, "An answer.", kind="Reply", at="11:00:00"), message(5, "Beep", bot=True)
        ),
        "c.json": exported(message(6, "Elsewhere."), number="200"),
    }
    folder_of(tmp_path / "d", files)
    first, second = read(tmp_path, user="Ada")
    assert first.text == "Mine.\n\nAn answer."
    assert first.title == "#general in Kettle, 2023-05-01"
    assert (second.id, second.text) == ("200/2023-05-01", "Elsewhere.")
    assert [one.text for one in read(tmp_path, "d/c.json", user="9ada")] == ["Elsewhere."]


def test_the_exporters_files_need_a_name_that_is_in_them(tmp_path):
    folder_of(tmp_path / "d", {"a.json": exported(message(1, "Mine."))})
    with pytest.raises(CorpusError, match=r"everybody's messages.*`user`"):
        read(tmp_path)
    with pytest.raises(CorpusError, match=r'no message by "eve".*such as: ada'):
        read(tmp_path, user="eve")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"Messages/c123/messages.json": "[{"}, r"messages\.json is not the JSON"),
        ({"Messages/c123/messages.json": '{"ID": 1}'}, r"messages\.json is not the JSON"),
        ({"Messages/c123/messages.json": '[{"Contents": {}}]'}, r"messages\.json is not the JSON"),
        ({"Messages/c123/channel.json": '"x"'}, r"channel\.json is not the JSON"),
        ({"Messages/index.json": "[]"}, r"index\.json is not the JSON"),
        ({"Messages/c124/messages.csv": "a,b\n1,2\n"}, "no columns ID, Timestamp and Contents"),
        ({"Messages/c124/messages.csv": 'ID,Timestamp,Contents\n"1'}, "not the CSV"),
        ({"Messages/c124/messages.csv": b"\xff\xff"}, "not UTF-8"),
    ],
)
def test_a_damaged_package_is_refused_by_the_files_name(tmp_path, files, match):
    folder_of(tmp_path / "d", package(**files))
    with pytest.raises(CorpusError, match=match):
        read(tmp_path)


def test_a_folder_without_messages_says_where_to_get_them(tmp_path):
    folder_of(tmp_path / "d", {"readme.txt": "x"})
    with pytest.raises(CorpusError, match="Request Data"):
        read(tmp_path)
