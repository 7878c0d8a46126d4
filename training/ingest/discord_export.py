"""One's own messages from Discord as documents, one for each channel and day.

In: either Discord's own data package (zip or folder; all messages in it are one's own), or JSON files of
DiscordChatExporter, which hold everybody's messages, so that the source has to name whose to take.
Out: plain text; calls to bots ("!play …"), bare links and lone mentions are left out.

    Messages/index.json              {"123": "general in Kettle"}
    Messages/c123/channel.json       {"id": "123", "type": "GUILD_TEXT", "name": "general", "guild": {…}}
    Messages/c123/messages.json      [{"ID": 9, "Timestamp": "2023-05-01 10:00:00", "Contents": "Tea?", …}]
    messages/c123/messages.csv       ID,Timestamp,Contents,Attachments      (packages before 2024)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field, TypeAdapter

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import DiscordExportSource
from training.ingest.archive import MEGABYTE, Archive
from training.ingest.chat_days import Said, documents_of_channel
from training.ingest.folder import plain_markdown
from training.ingest.open_archive import located, open_archive
from training.ingest.shapes import ExportShape
from training.ingest.tidy import day_of, has_words, moment_of, one_line, tidy

_WHAT = "a Discord export"
_LIMIT_BYTES = 1024 * MEGABYTE
_PACKAGE = re.compile(r"^((?:.*/)?messages/)c?(\d{1,20})/messages\.(json|csv)$", re.IGNORECASE)
_FIRST_MOMENT_MS = 1_420_070_400_000
"""Where the ids of Discord begin to count: 2015, in milliseconds since 1970."""
_TYPED = {"default", "reply", "0", "19"}
_REFERENCE = re.compile(r"<(?:@[!&]?\d+|#\d+|t:-?\d+(?::\w)?|/[^<>]{1,100}:\d+)>")
_EMOJI = re.compile(r"<a?:(\w{1,40}):\d+>")
_TO_A_BOT = re.compile(r"^[!/$][A-Za-z]")
_CODE = re.compile(r"```.*?```", re.DOTALL)


class _Guild(ExportShape):
    id: str = ""
    name: str = ""


class _Channel(ExportShape):
    id: str = ""
    name: str = ""
    guild: _Guild = _Guild()


class _OwnMessage(ExportShape):
    id: str = Field("", validation_alias="ID")
    timestamp: str = Field("", validation_alias="Timestamp")
    contents: str = Field("", validation_alias="Contents")


class _Author(ExportShape):
    id: str = ""
    name: str = ""
    nickname: str = ""
    discriminator: str = ""
    is_bot: bool = Field(False, validation_alias="isBot")


class _ExportedMessage(ExportShape):
    id: str = ""
    type: str = "Default"
    timestamp: str = ""
    content: str = ""
    author: _Author = _Author()


class _ExportedChannel(ExportShape):
    guild: _Guild = _Guild()
    channel: _Channel
    messages: list[_ExportedMessage]


_index = TypeAdapter(dict[str, str | None])
_channel = TypeAdapter(_Channel)
_own_messages = TypeAdapter(list[_OwnMessage])
_exported = TypeAdapter(_ExportedChannel)


def documents_of_discord_export(
    source: DiscordExportSource, persona_folder: Path
) -> Iterator[Document]:
    """The days of one channel after the other. `user` matters for DiscordChatExporter's files only.

    Raises:
        CorpusError: not such an export, damaged, or `user` is needed and missing or unknown.
    """
    path = located(source.path, persona_folder)
    with open_archive(path, _WHAT, files=(".json",)) as archive:
        package = [match for name in archive.names if (match := _PACKAGE.match(name))]
        if package:
            yield from _documents_of_package(archive, package)
            return
        files = [name for name in archive.names if name.lower().endswith(".json")]
        if not files:
            raise CorpusError(
                f"{path} has neither messages/c…/messages.json nor JSON files of DiscordChatExporter. Ask "
                "Discord for your data (Settings › Data & Privacy › Request Data), and put the path of "
                "the zip into `path`."
            )
        if source.user is None:
            raise CorpusError(
                f"{path} holds everybody's messages. Put the id or name of the one whose messages are "
                "wanted into `user` of the source."
            )
        yield from _documents_of_exporter(archive, files, source.user)


def _documents_of_package(archive: Archive, package: list[re.Match[str]]) -> Iterator[Document]:
    by_lower = {name.lower(): name for name in archive.names}
    index_name = by_lower.get(f"{package[0].group(1)}index.json".lower())
    index = archive.json(index_name, _LIMIT_BYTES, _index) if index_name else {}
    with_json = {match.group(2) for match in package if match.group(3).lower() == "json"}
    for match in package:
        name, number = match.group(), match.group(2)
        if match.group(3).lower() == "json":
            messages = archive.json(name, _LIMIT_BYTES, _own_messages)
        elif number in with_json:
            continue
        else:
            messages = _messages_of_csv(archive, name)
        beside = by_lower.get(f"{name.rpartition('/')[0]}/channel.json".lower())
        channel = archive.json(beside, _LIMIT_BYTES, _channel) if beside else _Channel()
        title = index.get(number) or channel.name
        address = f"https://discord.com/channels/{channel.guild.id or '@me'}/{number}"
        said = (
            _said(message.id, message.timestamp, message.contents, address) for message in messages
        )
        yield from documents_of_channel(number, _titled(title), _with_words(said))


def _messages_of_csv(archive: Archive, name: str) -> list[_OwnMessage]:
    reader = csv.DictReader(io.StringIO(archive.text(name, _LIMIT_BYTES), newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as err:
        raise archive.refused(
            name, f"is not the CSV that Discord writes ({err}). Ask for the data package again."
        ) from err
    if not {"ID", "Timestamp", "Contents"} <= set(reader.fieldnames or ()):
        raise archive.refused(
            name,
            "has no columns ID, Timestamp and Contents, as Discord's has. Ask for the data package "
            "again, and don't edit it.",
        )
    return [
        _OwnMessage.model_validate({key: row[key] for key in ("ID", "Timestamp", "Contents")})
        for row in rows
    ]


def _documents_of_exporter(archive: Archive, files: list[str], user: str) -> Iterator[Document]:
    wanted = user.removeprefix("@").casefold()
    others: set[str] = set()
    found = False
    channels: dict[str, tuple[str, list[Said]]] = {}
    for name in files:
        exported = archive.json(name, _LIMIT_BYTES, _exported)
        channel, guild = exported.channel, exported.guild
        number = tidy(channel.id or name)
        address = (
            f"https://discord.com/channels/{guild.id if guild.id.strip('0') else '@me'}/{number}"
        )
        _title, kept = channels.setdefault(number, (f"{channel.name} in {guild.name}", []))
        for message in exported.messages:
            author = message.author
            if wanted not in _names(author):
                others.add(author.name)
                continue
            found = True
            if not author.is_bot and message.type.casefold() in _TYPED:
                kept += _with_words(
                    [_said(message.id, message.timestamp, message.content, address)]
                )
    if not found:
        raise CorpusError(
            f'{archive.where} has no message by "{user}". Put the id or name of one of its authors into '
            f"`user` of the source, such as: {', '.join(sorted(others)[:20]) or 'none at all'}."
        )
    for number, (title, said) in channels.items():
        # Two files of one channel may overlap.
        yield from documents_of_channel(number, _titled(title), dict.fromkeys(said))


def _names(author: _Author) -> set[str]:
    full = f"{author.name}#{author.discriminator}"
    return {name.casefold() for name in (author.id, author.name, author.nickname, full) if name}


def _titled(name: str) -> str:
    name = one_line(name)
    return name if not name or name[0] in "#@" or name.startswith("Direct") else f"#{name}"


def _said(number: str, timestamp: str, contents: str, address: str) -> Said:
    at = moment_of(timestamp)
    if at is None and number.isascii() and number.isdigit() and len(number) <= 20:
        at = ((int(number) >> 22) + _FIRST_MOMENT_MS) / 1000
    text = text_of_message(contents)
    day = "" if at is None else day_of(at)
    return Said(at=at or 0.0, day=day, text=text, url=f"{address}/{one_line(number)}")


def _with_words(said: Iterable[Said]) -> Iterator[Said]:
    for one in said:
        if has_words(one.text) and not _TO_A_BOT.match(one.text):
            yield one


def text_of_message(contents: str) -> str:
    """A message without Discord's marks, code and references to ids.

    >>> text_of_message("**Tea** <@123> <:cup:9> ||now||")
    'Tea :cup: now'
    """
    text = _EMOJI.sub(r":\1:", _REFERENCE.sub("", _CODE.sub("", contents)))
    text = re.sub(r"<(https?://[^<>\s]+)>", r"\1", text.replace("||", ""))
    return tidy(re.sub(r"[ \t]{2,}", " ", plain_markdown(text)))
