"""An author who never lived, written here: essays on a village, as Markdown, WordPress and X exports."""

from __future__ import annotations

import json
import random
from pathlib import Path
from xml.sax.saxutils import escape

_SUBJECTS = ("the orchard", "the mill", "the ferry", "the school", "the harbor", "the library")
_OPENINGS = (
    "Nobody in our village ever planned {a}, and yet it stands where everybody would have put it.",
    "I have walked past {a} every morning for thirty years, and I still learn something from it.",
    "People ask me what {a} is good for, and I ask them what they are in such a hurry for.",
    "When the storm took the roof of {a}, we found out who our neighbors were.",
    "My grandmother used to say that you can judge a place by {a}, and she judged without mercy.",
)
_MIDDLES = (
    "The work of {a} is slow, and whoever wants it quick will do it twice and pay for it both times.",
    "There is a rule for {a} that nobody wrote down: leave it a little better than you found it.",
    "Money came to {a} once, from the county, and it did more harm than the flood had done.",
    "You cannot hurry {a}, but you can be ready for it, and that is most of what patience means.",
    "The young ones laugh at the habits of {a} until the first hard winter, and then they ask.",
    "We argued about {a} for a whole spring, and at the end everybody had changed sides but me.",
    "A thing like {a} is kept by many small hands, and lost by one large promise.",
    "I kept a notebook about {a} in those years, and most of what I noted turned out to be wrong.",
    "The children count the windows of {a} on their way home, and they never agree on the number.",
    "Somebody painted the door of {a} green one night, and no one has ever confessed to it.",
)
_ENDINGS = (
    "So I go on, and the {b} goes on, and neither of us has any complaint worth hearing.",
    "If you come to see the {b}, bring bread, and stay until the evening light is gone.",
    "That is all I know about it, and the {b} knows the rest and keeps quiet.",
)


def essays(count: int = 8, *, seed: int = 5) -> list[tuple[str, str, list[str]]]:
    """(title, ISO date, paragraphs) of each essay, oldest first; the same for the same seed."""
    chance = random.Random(seed)
    written = []
    for number in range(count):
        subject = _SUBJECTS[number % len(_SUBJECTS)]
        other = chance.choice([name for name in _SUBJECTS if name != subject])
        middles = chance.sample(_MIDDLES, len(_MIDDLES))
        paragraphs = [
            " ".join([chance.choice(_OPENINGS).format(a=subject), *_filled(middles[:4], subject)]),
            " ".join(_filled(middles[4:7], other)),
            " ".join(
                [
                    *_filled(middles[7:], subject),
                    chance.choice(_ENDINGS).format(b=subject.removeprefix("the ")),
                ]
            ),
        ]
        written.append((f"On {subject}, {number + 1}", f"2019-{number + 1:02}-03", paragraphs))
    return written


def _filled(sentences: list[str], subject: str) -> list[str]:
    return [sentence.format(a=subject) for sentence in sentences]


def write_markdown(folder: Path) -> Path:
    """A folder of Markdown files with front matter."""
    folder.mkdir(parents=True)
    for number, (title, date, paragraphs) in enumerate(essays()):
        text = "\n\n".join(paragraphs)
        (folder / f"{number}.md").write_text(
            f"---\ntitle: {title}\ndate: {date}\n---\n\n{text}\n", encoding="utf-8"
        )
    return folder


def write_wordpress(path: Path) -> Path:
    """A WXR 1.2 export with its posts published, and one draft."""
    items = [
        _item(number, title, date, paragraphs, "publish")
        for number, (title, date, paragraphs) in enumerate(essays(), start=1)
    ]
    items.append(
        _item(99, "Unfinished", "2020-01-01", ["A draft that nobody shall read."], "draft")
    )
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/">\n'
        "<channel><title>Village</title><link>https://village.example</link>"
        "<wp:wxr_version>1.2</wp:wxr_version>\n" + "\n".join(items) + "\n</channel></rss>\n",
        encoding="utf-8",
    )
    return path


def _item(number: int, title: str, date: str, paragraphs: list[str], status: str) -> str:
    body = "".join(
        f"<!-- wp:paragraph --><p>{escape(p)}</p><!-- /wp:paragraph -->" for p in paragraphs
    )
    return (
        f"<item><title>{escape(title)}</title><link>https://village.example/{number}</link>"
        f"<dc:creator>ada</dc:creator><content:encoded><![CDATA[{body}]]></content:encoded>"
        f"<wp:post_id>{number}</wp:post_id><wp:post_date_gmt>{date} 08:00:00</wp:post_date_gmt>"
        f"<wp:post_name>{number}</wp:post_name><wp:status>{status}</wp:status>"
        "<wp:post_type>post</wp:post_type><wp:post_password></wp:post_password></item>"
    )


def write_x_archive(path: Path) -> Path:
    """A `tweets.js` in which every essay is a thread of its sentences."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    tweets = []
    for number, (_title, date, paragraphs) in enumerate(essays(), start=1):
        before = None
        sentences = [s for p in paragraphs for s in p.replace(". ", ".\n").split("\n")]
        for place, sentence in enumerate(sentences):
            tweet = {
                "id_str": f"{number}{place:03}",
                "full_text": sentence,
                "created_at": f"Sun {months[int(date[5:7]) - 1]} 03 08:{place:02}:00 +0000 {date[:4]}",
                "retweeted": False,
                "source": '<a href="https://x.com">Web</a>',
                "entities": {"urls": [], "user_mentions": []},
            }
            if before is not None:
                tweet |= {
                    "in_reply_to_status_id_str": before,
                    "in_reply_to_user_id_str": "7",
                    "in_reply_to_screen_name": "ada",
                }
            before = tweet["id_str"]
            tweets.append({"tweet": tweet})
    path.write_text(f"window.YTD.tweets.part0 = {json.dumps(tweets)}", encoding="utf-8")
    return path
