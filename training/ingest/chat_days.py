"""One person's messages in a channel as documents, one for each day.

In: messages with their moments. Out: documents whose paragraphs are what was said in one go: messages at most
ten minutes apart, and those in one thread, which stands where its first message stands. One message is seldom
a text; those of a day are. Knows no chat service.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from personae.corpus import Document

_ONE_GO_SECONDS = 600


@dataclass(frozen=True)
class Said:
    """One message.

    Attributes:
        at: seconds since 1970.
        day: ISO date of the day it counts to.
        thread: id of the thread it stands in; "" outside of threads.
        url: its address, "" where there is none.
    """

    at: float
    day: str
    text: str
    thread: str = ""
    url: str = ""


def documents_of_channel(channel: str, name: str, messages: Iterable[Said]) -> Iterator[Document]:
    """The days of one channel in order.

    Args:
        channel: an id, the first part of the documents' ids.
        name: for titles ("#general").
    """
    days: dict[str, list[list[Said]]] = defaultdict(list)
    for go in _in_one_go(sorted(messages, key=lambda said: said.at)):
        days[go[0].day].append(go)
    for day, goes in sorted(days.items()):
        yield Document(
            id=f"{channel}/{day}",
            title=f"{name}, {day}" if day else name,
            date=day,
            url=goes[0][0].url,
            text="\n\n".join("\n".join(said.text for said in go) for go in goes),
        )


def _in_one_go(messages: list[Said]) -> list[list[Said]]:
    threads: dict[str, list[Said]] = {}
    goes: list[list[Said]] = []
    for said in messages:
        if said.thread:
            if said.thread not in threads:
                threads[said.thread] = []
                goes.append(threads[said.thread])
            threads[said.thread].append(said)
            continue
        last = goes[-1][-1] if goes else None
        if (
            last is not None
            and not last.thread
            and last.day == said.day
            and said.at - last.at <= _ONE_GO_SECONDS
        ):
            goes[-1].append(said)
        else:
            goes.append([said])
    return goes
