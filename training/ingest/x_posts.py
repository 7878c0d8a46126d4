"""One post of X: its shape in the archive, its plain text, and whether a person wrote it.

In: the JSON of `tweets.js` and `note-tweet.js`. Out: `Post`s. How posts become documents is not known here.
"""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AliasChoices, Field, model_validator

from training.ingest.shapes import ExportShape
from training.ingest.tidy import has_words, moment_of, tidy

_AUTOPOSTING_APPS = re.compile(
    r"untappd|foursquare|swarm|instagram|spotify|runkeeper|strava|endomondo|nike|fitbit|garmin|goodreads"
    r"|last\.?fm|soundcloud|shazam|soundhound|youtube|pinterest|flickr|foodspotting|vivino|letterboxd|trakt"
    r"|getglue|tvtag|twitterfeed|dlvr\.it|paper\.li|ifttt|zapier|wordpress\.com|jetpack|medium$|substack"
    r"|fllwrs|unfollow|crowdfire|sumall|commun\.it|twittascope|playstation|xbox|steam|duolingo|peloton",
    re.IGNORECASE,
)
_AUTOPOSTS = re.compile(
    r"""^(?:
      I['’]m\ at\ .*
    | (?:I\ )?just\ (?:ousted|became\ the\ mayor|unlocked|earned|checked\ in|posted\ a\ (?:photo|video)
        |completed|finished\ (?:a|an|my)\ (?:run|walk|ride|workout)|ran\ [\d.]+|walked\ [\d.]+|cycled\ [\d.]+
        |reached\ level|backed|signed\ (?:a|the)\ petition|voted\ for).*
    | (?:I['’]m\ )?(?:now\ )?(?:listening\ to|watching)\ .*(?:\#|♫|♪|on\ spotify|with\ \d+\ others).*
    | [♫♪].* | \#now\ ?playing\b.*
    | I\ (?:liked|added|rated)\ .*(?:youtube|playlist|\#imdb|\#goodreads).*
    | (?:new\ blog\ post|new\ post|blogged|just\ published)\ ?:.*
    | (?:my|this)\ week\ on\ twitter.* | today\ stats:.* | \d+\ (?:people|new\ followers).*followed\ me.*
    )$""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
"""Such words make an autopost only together with a link or a hashtag, which all of them carry."""
_LINKS_OF_APPS = re.compile(
    r"^https?://(?:www\.)?(?:4sq\.com|foursquare\.com|swarmapp\.com|untp\.beer|untappd\.com|rnkpr\.com"
    r"|runkeeper\.com|fllwrs\.com|paper\.li|instagr\.am)/"
)
_JUST_WITH_APP = re.compile(r"^I just\b.{0,250}#\w*app\b", re.IGNORECASE | re.DOTALL)
_SHORT_LINK = re.compile(r"https?://t\.co/\w+")
_LINK = re.compile(r"https?://\S+")
_LEADING_NAMES = re.compile(r"^(?:\.?@\w{1,50}\s+)+")
_RETWEET = re.compile(r"^RT @\w{1,50}\b")
_OF_X = re.compile(
    r"^https?://(?:www\.|mobile\.)?(?:twitter|x)\.com/.*/status/|^https?://pic\.(?:twitter|x)\.com/"
)
_COMPARED_CHARACTERS = 60


class _Link(ExportShape):
    short: str = Field("", validation_alias=AliasChoices("url", "shortUrl"))
    expanded: str = Field("", validation_alias=AliasChoices("expanded_url", "expandedUrl"))


class _Entities(ExportShape):
    urls: tuple[_Link, ...] = ()
    media: tuple[_Link, ...] = ()


class _User(ExportShape):
    id_str: str = ""
    screen_name: str = ""


class Tweet(ExportShape):
    key: str = Field("", validation_alias=AliasChoices("id_str", "id"))
    written: str = Field("", validation_alias=AliasChoices("full_text", "text"))
    created_at: str = ""
    source: str = ""
    retweeted: bool = False
    retweeted_status: dict[str, object] | None = None
    parent: str = Field(
        "", validation_alias=AliasChoices("in_reply_to_status_id_str", "in_reply_to_status_id")
    )
    answered_user: str = Field(
        "", validation_alias=AliasChoices("in_reply_to_user_id_str", "in_reply_to_user_id")
    )
    entities: _Entities = _Entities()
    user: _User | None = None


class WrappedTweet(ExportShape):
    """`{"tweet": {…}}`; archives before 2020 have the inner object alone."""

    tweet: Tweet

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, value: Any) -> Any:
        return {"tweet": value} if isinstance(value, dict) and "tweet" not in value else value


class _NoteCore(ExportShape):
    text: str = ""
    urls: tuple[_Link, ...] = ()


class NoteTweet(ExportShape):
    """A post longer than 280 characters, whole; `tweets.js` has its beginning only."""

    core: _NoteCore = _NoteCore()


class WrappedNote(ExportShape):
    note_tweet: NoteTweet = Field(validation_alias="noteTweet")


class Account(ExportShape):
    """Whose archive it is; "" for what is not known."""

    account_id: str = Field("", validation_alias="accountId")
    username: str = ""


class WrappedAccount(ExportShape):
    account: Account


def guessed_account(tweets: list[Tweet]) -> Account:
    """From the posts alone: who is answered when one's own post is answered."""
    own = {tweet.key for tweet in tweets}
    answered = Counter(
        tweet.answered_user for tweet in tweets if tweet.parent in own and tweet.answered_user
    )
    user = next((tweet.user for tweet in tweets if tweet.user), _User())
    account_id = user.id_str or (answered.most_common(1)[0][0] if answered else "")
    return Account.model_validate({"accountId": account_id, "username": user.screen_name})


@dataclass(frozen=True)
class Post:
    """A post as documents need it.

    Attributes:
        at: seconds since 1970; 0 where the archive names no time.
        parent: id of the post it answers, "" if none.
        answered_user: id of the user it answers; "?" where only an "@name" at its beginning tells.
        is_writing: a person wrote words: no retweet, no bare link, nothing an app made.
    """

    id: str
    at: float
    text: str
    parent: str
    answered_user: str
    is_writing: bool

    def answers_somebody_but(self, account_id: str) -> bool:
        return self.answered_user not in ("", account_id)


def with_long_texts(tweets: Iterable[Tweet], notes: Iterable[NoteTweet]) -> Iterator[Tweet]:
    """The posts, those that go on in a note with the note's whole text and links.

    Nothing in the archive joins the two: a note belongs to the post with which it begins.
    """
    beginnings: dict[str, list[NoteTweet]] = defaultdict(list)
    for note in notes:
        beginnings[_beginning(note.core.text)].append(note)
    for tweet in tweets:
        begins = _beginning(tweet.written)
        longer = [
            note for note in beginnings.get(begins, ()) if len(note.core.text) > len(tweet.written)
        ]
        if not begins or not longer:
            yield tweet
            continue
        note = longer[0]
        beginnings[begins].remove(note)
        links = _Entities(urls=(*note.core.urls, *tweet.entities.urls), media=tweet.entities.media)
        yield tweet.model_copy(update={"written": note.core.text, "entities": links})


def _beginning(text: str) -> str:
    text = _LEADING_NAMES.sub("", _LINK.sub("", html.unescape(text)))
    return " ".join(text.split())[:_COMPARED_CHARACTERS].rstrip("… ")


def post_of(tweet: Tweet) -> Post:
    """The plain text of a post, and what is to be known of it."""
    raw = html.unescape(tweet.written)
    answered = tweet.answered_user
    named = _LEADING_NAMES.match(raw)
    if not answered and named and raw.startswith("@") and not tweet.parent:
        answered = "?"
    text = raw
    if named and answered:
        text = raw[named.end() :]
    text = _without_links(text, tweet.entities)
    return Post(
        id=tidy(tweet.key),
        at=_moment(tweet.created_at),
        text=text,
        parent=tweet.parent,
        answered_user=answered,
        is_writing=bool(tweet.key and has_words(text) and not _is_foreign(tweet, raw, text)),
    )


def _is_foreign(tweet: Tweet, raw: str, text: str) -> bool:
    """Somebody else's words, or an app's."""
    if tweet.retweeted or tweet.retweeted_status is not None or _RETWEET.match(raw):
        return True
    if _AUTOPOSTING_APPS.search(re.sub(r"<[^>]*>", "", tweet.source)):
        return True
    if any(_LINKS_OF_APPS.match(link.expanded) for link in tweet.entities.urls):
        return True
    marked = "#" in raw or _LINK.search(raw) is not None
    return marked and bool(_AUTOPOSTS.match(text) or _JUST_WITH_APP.match(text))


def _without_links(text: str, entities: _Entities) -> str:
    """Short links within a sentence are spelled out; those at the end, and those to pictures and to other
    posts, are dropped."""
    expanded = {link.short: link.expanded for link in entities.urls}
    media = {link.short for link in entities.media}

    def spelled_out(link: re.Match[str]) -> str:
        target = expanded.get(link.group(), "")
        return "" if link.group() in media or _OF_X.match(target) else target

    text = _SHORT_LINK.sub(spelled_out, text)
    while (end := re.search(r"\s*https?://\S+\s*\Z", text[-2100:])) is not None:
        text = text[: max(0, len(text) - 2100) + end.start()]
    return tidy(re.sub(r"[ \t]{2,}", " ", text))


def _moment(text: str) -> float:
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S %z %Y").timestamp()
    except (ValueError, OverflowError):
        return moment_of(text) or 0.0
