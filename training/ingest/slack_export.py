"""One person's messages of a Slack workspace export as documents, one for each channel and day.

In: the zip, or its folder: users.json, channels.json and one folder a channel with one file a day. Out: what
that person wrote, as plain text. What bots, joins and other events wrote is left out, and so is everybody
else. Direct messages count where Slack put them into the export.

    general/2020-03-04.json: [{"type": "message", "user": "U1", "ts": "1583316000.000100",
                               "text": "Tea &amp; milk, <@U2>? <https://tea.example|This one>."}]
"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import SlackExportSource
from training.ingest.archive import MEGABYTE, Archive
from training.ingest.chat_days import Said, documents_of_channel
from training.ingest.folder import plain_markdown
from training.ingest.open_archive import located, open_archive
from training.ingest.shapes import ExportShape
from training.ingest.tidy import day_of, has_words, iso_day, tidy

_WHAT = "a Slack export"
_LIMIT_BYTES = 256 * MEGABYTE
_USERS = re.compile(r"(?:^|.*/)(?:org_)?users\.json$")
_CHANNEL_LISTS = ("channels.json", "groups.json", "mpims.json", "dms.json")
_DAY = re.compile(r"([^/]+)/(\d{4}-\d{2}-\d{2})\.json$")
_WRITTEN = {"", "thread_broadcast", "me_message"}
"""Subtypes of messages that a person typed."""
_REFERENCE = re.compile(r"<([@#!]?)([^<>|\n]{1,2000})(?:\|([^<>\n]{0,2000}))?>")
_MENTION = re.compile(r"<[@#!][^<>]*>")
_EMPHASIS = re.compile(r"(?<!\w)([_~])(?=\S)([^\n]{1,500}?)(?<=\S)\1(?!\w)")
_BULLET = re.compile(r"^([ \t]*)[•◦▪]\ufe0e?[ \t]+", re.MULTILINE)
_MOST_NAMES = 20


class _Profile(ExportShape):
    real_name: str = ""
    display_name: str = ""
    email: str = ""


class _User(ExportShape):
    id: str
    name: str = ""
    real_name: str = ""
    profile: _Profile = _Profile()

    @property
    def shown(self) -> str:
        return self.profile.display_name or self.real_name or self.profile.real_name or self.name


class _Channel(ExportShape):
    id: str
    name: str = ""


class _Message(ExportShape):
    type: str = ""
    subtype: str = ""
    user: str = ""
    bot_id: str = ""
    text: str = ""
    ts: str = ""
    thread_ts: str = ""


_users = TypeAdapter(list[_User])
_channels = TypeAdapter(list[_Channel])
_messages = TypeAdapter(list[_Message])


def documents_of_slack_export(
    source: SlackExportSource, persona_folder: Path
) -> Iterator[Document]:
    """The days of one channel after the other.

    Raises:
        CorpusError: not such an export, damaged, or it does not know exactly one such person.
    """
    path = located(source.path, persona_folder)
    with open_archive(path, _WHAT) as archive:
        lists = sorted((name for name in archive.names if _USERS.match(name)), key=len)
        if not lists:
            raise CorpusError(
                f"{path} has no users.json. A workspace's owner exports it at Settings › Import/export "
                "data; put the path of the zip into `path`."
            )
        root = lists[0].rpartition("/")[0]
        root = f"{root}/" if root else ""
        people = archive.json(lists[0], _LIMIT_BYTES, _users)
        person = _person(people, source.user, path)
        channels = _names_of_channels(archive, root)
        names = {f"@{one.id}": f"@{one.shown}" for one in people}
        names |= {f"#{one.id}": f"#{one.name}" for one in channels if one.name}
        direct = {one.id for one in channels if not one.name}
        days: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name in archive.names:
            day = _DAY.fullmatch(name.removeprefix(root)) if name.startswith(root) else None
            if day:
                days[day.group(1)].append((name, day.group(2)))
        for folder, files in days.items():
            said = [
                one
                for name, day in files
                for one in _said(archive.json(name, _LIMIT_BYTES, _messages), person, day, names)
            ]
            title = "Direct messages" if folder in direct else f"#{tidy(folder)}"
            yield from documents_of_channel(tidy(folder), title, said)


def _person(people: list[_User], wanted: str, path: Path) -> str:
    """The id of the one person called so; an id or a login beats a display name that others may have too."""
    called = wanted.removeprefix("@").casefold()
    ways = (
        lambda one: [one.id],
        lambda one: [one.name, one.profile.email],
        lambda one: [one.profile.display_name, one.real_name, one.profile.real_name],
    )
    for way in ways:
        found = sorted({one.id for one in people if called in map(str.casefold, way(one))})
        if len(found) == 1:
            return found[0]
        if found:
            raise CorpusError(
                f'{path} has {len(found)} people called "{wanted}": {", ".join(found[:_MOST_NAMES])}. '
                "Put one of these ids into `user` of the source."
            )
    known = sorted(one.name or one.id for one in people)[:_MOST_NAMES]
    raise CorpusError(
        f'{path} knows nobody called "{wanted}". Put an id, name or e-mail address of its users.json into '
        f"`user` of the source, such as: {', '.join(known) or 'none at all'}."
    )


def _names_of_channels(archive: Archive, root: str) -> list[_Channel]:
    return [
        channel
        for name in _CHANNEL_LISTS
        if root + name in archive.names
        for channel in archive.json(root + name, _LIMIT_BYTES, _channels)
    ]


def _said(messages: list[_Message], person: str, day: str, names: dict[str, str]) -> Iterator[Said]:
    for message in messages:
        if message.user != person or message.bot_id or message.subtype not in _WRITTEN:
            continue
        text = text_of_message(message.text, names)
        try:
            at = float(message.ts)
        except ValueError:
            at = 0.0
        if has_words(text_of_message(_MENTION.sub("", message.text), names)):
            counts_to = iso_day(day) or day_of(at)
            yield Said(at=at, day=counts_to, text=text, thread=message.thread_ts)


def text_of_message(text: str, names: dict[str, str]) -> str:
    """A message without Slack's marks.

    Args:
        names: what to call "@U1" and "#C1".

    >>> text_of_message("*Tea* &amp; milk, <@U2>? <https://tea.example|This one>.", {"@U2": "@Ben"})
    'Tea & milk, @Ben? This one.'
    """

    def plain(reference: re.Match[str]) -> str:
        kind, target, label = reference.groups()
        if kind in ("@", "#"):
            return names.get(kind + target, "") or (f"{kind}{label.lstrip('@#')}" if label else "")
        if kind == "!":
            return label or (f"@{target}" if target in ("here", "channel", "everyone") else "")
        return label or target.removeprefix("mailto:").removeprefix("tel:")

    text = html.unescape(_REFERENCE.sub(plain, text))
    return tidy(_EMPHASIS.sub(r"\2", plain_markdown(_BULLET.sub(r"\1- ", text))))
