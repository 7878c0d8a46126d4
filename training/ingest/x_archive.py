"""One's own posts from an archive downloaded from X as documents.

In: the zip, its folder, or its `tweets.js` alone. Out: what the account's owner wrote for everybody. Own
threads are joined, in order of time; each thread, and each lone post of 60 words or more, is a document with
its first words as title. Shorter lone posts would make documents too short to keep; so that they are not
lost, those of one month are together one document, "Posts of March 2020", a paragraph each.

Left out: retweets, bare links, check-ins and what apps post by themselves, and answers to others unless the
source wants them. Only the files of posts, long posts and the account are opened; never direct messages.

    window.YTD.tweets.part0 = [ {"tweet": {"id_str": "7", "full_text": "Tea &amp; milk https://t.co/x",
      "created_at": "Wed Mar 04 10:00:00 +0000 2020", "in_reply_to_status_id_str": "6", "entities": {…}}} ]
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import XArchiveSource
from training.ingest.archive import MEGABYTE, Archive
from training.ingest.open_archive import located, open_archive
from training.ingest.tidy import day_of, title_from
from training.ingest.x_posts import (
    Account,
    NoteTweet,
    Post,
    WrappedAccount,
    WrappedNote,
    WrappedTweet,
    guessed_account,
    post_of,
    with_long_texts,
)

_WHAT = "an archive of X"
_LIMIT_BYTES = 1024 * MEGABYTE
_SMALL_BYTES = 4 * MEGABYTE
_POSTS = re.compile(r"(?:^|/)(?:data/)?tweets?(?:-part\d+)?\.js$")
_LONG_POSTS = re.compile(r"(?:^|/)note-tweets?(?:-part\d+)?\.js$")
_ACCOUNT = re.compile(r"(?:^|/)account\.js$")
_ASSIGNMENT = re.compile(r"\s*(?:window\.)?YTD\.[\w.]{1,100}\s*=\s*")
_LONE_WORDS = 60
"""A lone post of so many words is a document by itself."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_posts = TypeAdapter(list[WrappedTweet])
_notes = TypeAdapter(list[WrappedNote])
_accounts = TypeAdapter(list[WrappedAccount])


@dataclass(frozen=True)
class _Read:
    account: Account
    posts: dict[str, Post]
    """By id, in order of time."""


def documents_of_x_archive(source: XArchiveSource, persona_folder: Path) -> Iterator[Document]:
    """Threads and long posts in order of time, then the months of short ones.

    Raises:
        CorpusError: not such an archive, or damaged.
    """
    read = _read(located(source.path, persona_folder))
    threads = _threads(read, replies=source.replies)
    months: dict[str, list[Post]] = defaultdict(list)
    for thread in threads:
        first = thread[0]
        text = "\n\n".join(post.text for post in thread)
        if len(thread) == 1 and len(text.split()) < _LONE_WORDS:
            months[_day(first)[:7]].append(first)
            continue
        yield Document(
            id=first.id,
            title=title_from(text),
            date=_day(first),
            url=f"https://x.com/{read.account.username or 'i'}/status/{first.id}",
            text=text,
        )
    for month, posts in sorted(months.items()):
        yield Document(
            id=f"posts-of-{month or 'no-date'}",
            title=f"Posts of {_MONTHS[int(month[5:]) - 1]} {month[:4]}" if month else "Posts",
            date=month,
            url=f"https://x.com/{read.account.username}" if read.account.username else "",
            text="\n\n".join(post.text for post in posts),
        )


def _read(path: Path) -> _Read:
    with open_archive(path, _WHAT, files=(".js", ".json")) as archive:
        names = archive.names
        posts_files = [name for name in names if _POSTS.search(name)]
        if path.is_file() and names == [path.name]:
            posts_files = names
        if not posts_files:
            raise CorpusError(
                f"{path} has no data/tweets.js. Ask X for an archive (Settings › Your account › Download "
                "an archive of your data), and put the path of the zip, its folder or its tweets.js "
                "into `path`."
            )
        tweets = [
            item.tweet
            for name in posts_files
            for item in _values(archive, name, _posts, _LIMIT_BYTES)
        ]
        notes: list[NoteTweet] = [
            item.note_tweet
            for name in names
            if _LONG_POSTS.search(name)
            for item in _values(archive, name, _notes, _LIMIT_BYTES)
        ]
        accounts = [
            item.account
            for name in names
            if _ACCOUNT.search(name)
            for item in _values(archive, name, _accounts, _SMALL_BYTES)
        ]
    account = accounts[0] if accounts else guessed_account(tweets)
    posts = {post.id: post for post in map(post_of, with_long_texts(tweets, notes))}
    ordered = sorted(posts.values(), key=lambda post: (post.at, len(post.id), post.id))
    return _Read(account, {post.id: post for post in ordered})


def _values(
    archive: Archive, name: str, shape: TypeAdapter[list[Any]], limit_bytes: int
) -> list[Any]:
    text = archive.text(name, limit_bytes)
    start = _ASSIGNMENT.match(text)
    return archive.json_from(name, text[start.end() :] if start else text, shape)


def _threads(read: _Read, *, replies: bool) -> list[list[Post]]:
    """Posts by the thread they belong to, in order of time. An answer to somebody else is the root of a
    thread of its own, which is wanted or not as a whole."""
    threads: dict[str, list[Post]] = defaultdict(list)
    for post in read.posts.values():
        threads[_root(post, read.posts).id].append(post)
    kept = []
    for root, thread in threads.items():
        if read.posts[root].answers_somebody_but(read.account.account_id) and not replies:
            continue
        written = [post for post in thread if post.is_writing]
        if written:
            kept.append(written)
    return kept


def _root(post: Post, posts: dict[str, Post]) -> Post:
    seen = {post.id}
    while post.parent in posts and post.parent not in seen:
        post = posts[post.parent]
        seen.add(post.id)
    return post


def _day(post: Post) -> str:
    return day_of(post.at) if post.at else ""
