"""An archive of X becomes the owner's own words: threads whole, and nothing that an app or another wrote."""

from __future__ import annotations

import json

import pytest

from personae.errors import CorpusError
from personae.sources import XArchiveSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.x_archive import documents_of_x_archive

ME = "77"
LONG = "A kettle is a small machine for patience, and it teaches it every morning. " * 6


def tweet(number, text, *, at="Wed Mar 04 10:00:00 +0000 2020", parent=None, to=None, **more):
    fields = {"id_str": str(number), "full_text": text, "created_at": at, "retweeted": False}
    if parent is not None:
        fields |= {"in_reply_to_status_id_str": str(parent), "in_reply_to_user_id_str": to or ME}
    elif to is not None:
        fields["in_reply_to_user_id_str"] = to
    return {"tweet": fields | more}


def script(part: str, values) -> str:
    return f"window.YTD.{part}.part0 = {json.dumps(values)}"


ACCOUNT = script("account", [{"account": {"accountId": ME, "username": "ada", "email": "a@b.c"}}])


def archive(*tweets, **files):
    return {
        "data/tweets.js": script("tweets", list(tweets)),
        "data/account.js": ACCOUNT,
        "data/direct-messages.js": "this is never opened, or it would be refused",
        **files,
    }


def read(tmp_path, *tweets, replies=False, **files):
    folder_of(tmp_path / "x", archive(*tweets, **files))
    source = XArchiveSource(kind="x_archive", path="x", replies=replies)
    return list(documents_of_x_archive(source, tmp_path))


def texts(documents):
    return [text for document in documents for text in document.text.split("\n\n")]


def test_a_thread_is_one_document_in_order_of_time(tmp_path):
    (document,) = read(
        tmp_path,
        tweet(12, "Then pour it.", at="Wed Mar 04 10:02:00 +0000 2020", parent=11),
        tweet(
            10,
            "Three things on tea &amp; milk. First, boil the water.",
            at="Wed Mar 04 10:00:00 +0000 2020",
        ),
        tweet(11, "Wait.  A minute.", at="Wed Mar 04 10:01:00 +0000 2020", parent=10),
    )
    assert document.text == (
        "Three things on tea & milk. First, boil the water.\n\nWait. A minute.\n\nThen pour it."
    )
    assert document.title == "Three things on tea & milk."
    assert (document.id, document.date) == ("10", "2020-03-04")
    assert document.url == "https://x.com/ada/status/10"


def test_short_lone_posts_of_a_month_are_together_and_long_ones_alone(tmp_path):
    documents = read(
        tmp_path,
        tweet(1, "Tea at noon."),
        tweet(2, "Tea at five.", at="Thu Mar 05 10:00:00 +0000 2020"),
        tweet(3, "April tea.", at="Wed Apr 01 10:00:00 +0000 2020"),
        tweet(4, LONG, at="Fri Mar 06 10:00:00 +0000 2020"),
    )
    assert [(one.id, one.date, one.title) for one in documents] == [
        ("4", "2020-03-06", "A kettle is a small machine for patience, …"),
        ("posts-of-2020-03", "2020-03", "Posts of March 2020"),
        ("posts-of-2020-04", "2020-04", "Posts of April 2020"),
    ]
    assert documents[1].text == "Tea at noon.\n\nTea at five."
    assert documents[1].url == "https://x.com/ada"


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "RT @somebody: what a fine kettle"},
        {"text": "Old retweet", "retweeted": True},
        {"text": "https://t.co/abc123"},
        {"text": "@friend https://t.co/abc123", "to": "5"},
        {"text": "#tea #kettle https://t.co/abc123"},
        {
            "text": "Drinking a Stout by Brewery",
            "source": '<a href="https://untappd.com">Untappd</a>',
        },
        {"text": "A photo of a pot", "source": '<a href="http://instagram.com">Instagram</a>'},
        {"text": "I'm at Tea House (Leeds) https://t.co/abc123"},
        {
            "text": "Good place https://t.co/abc123",
            "entities": {
                "urls": [{"url": "https://t.co/abc123", "expanded_url": "https://4sq.com/x"}]
            },
        },
        {"text": "I just ran 5.02 km with @Runner https://t.co/abc123 #run"},
        {"text": "I just planted a tree! #forestapp"},
        {"text": "♫ Kettle Song by The Pots https://t.co/abc123"},
        {"text": "I liked a @YouTube video https://t.co/abc123"},
    ],
)
def test_what_others_and_apps_wrote_is_left_out(tmp_path, fields):
    fields = dict(fields)
    documents = read(tmp_path, tweet(1, "I'm at peace."), tweet(2, fields.pop("text"), **fields))
    assert texts(documents) == ["I'm at peace."]


def test_answers_to_others_go_with_the_threads_below_them_unless_wanted(tmp_path):
    tweets = [
        tweet(1, "Mine."),
        tweet(2, "@friend Yes, always.", parent=900, to="5"),
        tweet(3, "And with milk.", parent=2, at="Wed Mar 04 10:01:00 +0000 2020"),
        tweet(4, "@other hello there"),
        tweet(5, "My own, whose parent I deleted.", parent=901, to=ME),
    ]
    assert texts(read(tmp_path, *tweets)) == ["Mine.", "My own, whose parent I deleted."]
    assert texts(read(tmp_path, *tweets, replies=True)) == [
        "Yes, always.",
        "And with milk.",
        "Mine.",
        "hello there",
        "My own, whose parent I deleted.",
    ]


def test_without_account_js_the_owner_is_who_answers_himself(tmp_path):
    tweets = [
        tweet(1, "Mine."),
        tweet(2, "Mine again.", parent=1),
        tweet(3, "Mine, parent deleted.", parent=901, to=ME),
        tweet(4, "Not for all.", parent=902, to="5"),
    ]
    folder_of(tmp_path, {"tweets.js": script("tweets", tweets)})
    source = XArchiveSource(kind="x_archive", path="tweets.js")
    documents = list(documents_of_x_archive(source, tmp_path))
    assert texts(documents) == ["Mine.", "Mine again.", "Mine, parent deleted."]
    assert documents[0].url == "https://x.com/i/status/1"


def test_links_within_a_sentence_are_spelled_out_and_others_dropped(tmp_path):
    entities = {
        "urls": [
            {"url": "https://t.co/in", "expanded_url": "https://tea.example/pots"},
            {"url": "https://t.co/quote", "expanded_url": "https://twitter.com/b/status/9"},
            {"url": "https://t.co/end", "expanded_url": "https://tea.example/end"},
        ],
        "media": [
            {"url": "https://t.co/pic", "expanded_url": "https://twitter.com/a/status/1/photo/1"}
        ],
    }
    text = "See https://t.co/in for pots, https://t.co/lost too. https://t.co/quote https://t.co/end https://t.co/pic"
    assert texts(read(tmp_path, tweet(1, text, entities=entities))) == [
        "See https://tea.example/pots for pots, too."
    ]


def test_a_long_post_is_whole(tmp_path):
    note = {
        "noteTweet": {
            "noteTweetId": "5",
            "core": {
                "text": LONG + "See https://t.co/n then.",
                "urls": [{"shortUrl": "https://t.co/n", "expandedUrl": "https://tea.example"}],
            },
        }
    }
    other = {"noteTweet": {"noteTweetId": "6", "core": {"text": "Of a deleted post. " * 30}}}
    (document,) = read(
        tmp_path,
        tweet(1, LONG[:270] + "… https://t.co/self"),
        **{"data/note-tweet.js": script("note_tweet", [other, note])},
    )
    assert document.text == LONG + "See https://tea.example then."
    assert document.id == "1"


def test_parts_older_names_zips_and_bare_objects_are_read_the_same(tmp_path):
    new = {
        "a/data/tweets.js": script("tweets", [tweet(1, "One post."), tweet(2, "Two posts.")]),
        "a/data/tweets-part1.js": script("tweets", [tweet(3, "Three posts.")]),
        "a/data/account.js": ACCOUNT,
    }
    old = {
        "tweet.js": script(
            "tweet", [tweet(n, f"{w} posts.")["tweet"] for n, w in ((2, "Two"), (3, "Three"))]
        )
    }
    zip_of(tmp_path / "new.zip", new)
    zip_of(tmp_path / "old.zip", old)
    by_zip = {
        name: texts(documents_of_x_archive(XArchiveSource(kind="x_archive", path=name), tmp_path))
        for name in ("new.zip", "old.zip")
    }
    assert by_zip == {
        "new.zip": ["One post.", "Two posts.", "Three posts."],
        "old.zip": ["Two posts.", "Three posts."],
    }


def test_posts_that_answer_each_other_in_a_circle_are_still_read_once(tmp_path):
    documents = read(tmp_path, tweet(1, "Egg first.", parent=2), tweet(2, "Hen first.", parent=1))
    assert sorted(texts(documents)) == ["Egg first.", "Hen first."]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("window.YTD.tweets.part0 = [ {", "not the JSON"),
        ("window.YTD.tweets.part0 = {}", "valid list"),
        ('window.YTD.tweets.part0 = [{"tweet": 3}]', r"0\.tweet"),
        ('[{"tweet": {"full_text": {"a": 1}}}]', "full_text"),
        ("[" * 200_000, "not the JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"caf\xe9", "not UTF-8"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_by_name(tmp_path, content, match):
    folder_of(tmp_path, {"tweets.js": content})
    source = XArchiveSource(kind="x_archive", path="tweets.js")
    with pytest.raises(CorpusError, match=match) as refused:
        list(documents_of_x_archive(source, tmp_path))
    assert "tweets.js" in str(refused.value)


def test_a_folder_without_posts_says_where_to_get_an_archive(tmp_path):
    folder_of(tmp_path / "x", {"data/account.js": ACCOUNT})
    with pytest.raises(CorpusError, match=r"no data/tweets\.js.*Download"):
        list(documents_of_x_archive(XArchiveSource(kind="x_archive", path="x"), tmp_path))
