"""A WordPress export becomes what the public could read on the blog, and nothing else."""

from __future__ import annotations

import tracemalloc
from xml.sax.saxutils import escape

import pytest

from personae.errors import CorpusError
from personae.sources import WordpressSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.wordpress import documents_of_wordpress, text_of_post

_HEAD = """<?xml version="1.0" encoding="UTF-8" ?>
<!-- generator="WordPress/6.5" created="2024-01-02 03:04" -->
<rss version="2.0" xmlns:excerpt="http://wordpress.org/export/{version}/excerpt/"
  xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:wp="http://wordpress.org/export/{version}/">
<channel><title>Kettle</title><link>https://kettle.example</link><wp:wxr_version>{version}</wp:wxr_version>
<wp:author><wp:author_login><![CDATA[ada]]></wp:author_login>
<wp:author_display_name><![CDATA[Ada Brook]]></wp:author_display_name></wp:author>
"""


def item(number=1, *, title="On tea", content="Tea is hot.", author="ada", **wp) -> str:
    fields = {
        "post_id": str(number),
        "post_date": "2020-03-04 12:00:00",
        "post_date_gmt": "2020-03-04 10:00:00",
        "status": "publish",
        "post_type": "post",
        "post_password": "",
        **wp,
    }
    return (
        f"<item><title>{escape(title)}</title><link>https://kettle.example/{number}/</link>"
        f"<pubDate>Thu, 05 Mar 2020 10:00:00 +0000</pubDate>"
        f"<dc:creator><![CDATA[{author}]]></dc:creator>"
        f"<content:encoded><![CDATA[{content}]]></content:encoded>"
        "<excerpt:encoded><![CDATA[An excerpt]]></excerpt:encoded>"
        + "".join(f"<wp:{name}>{value}</wp:{name}>" for name, value in fields.items())
        + "<wp:comment><wp:comment_content>Somebody else.</wp:comment_content></wp:comment></item>"
    )


def wxr(*items: str, version: str = "1.2") -> str:
    return _HEAD.format(version=version) + "\n".join(items) + "\n</channel></rss>"


def read(folder, path, author=None):
    source = WordpressSource(kind="wordpress", path=str(path), author=author)
    return list(documents_of_wordpress(source, folder))


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_posts_and_pages_have_title_day_address_and_text(tmp_path, version):
    folder_of(tmp_path, {"blog.xml": wxr(item(7, title="Tea & milk"), version=version)})
    (document,) = read(tmp_path, "blog.xml")
    assert document.id == "kettle.example/7"
    assert (document.title, document.date) == ("Tea & milk", "2020-03-04")
    assert (document.url, document.text) == ("https://kettle.example/7/", "Tea is hot.")


def test_only_what_was_public_is_read(tmp_path):
    hidden = [
        item(2, status="draft"),
        item(3, status="private"),
        item(4, status="pending"),
        item(5, status="trash"),
        item(6, post_type="attachment", status="inherit"),
        item(7, post_type="nav_menu_item"),
        item(8, post_type="revision", status="inherit"),
        item(9, post_password="pssst"),
        item(10, status="future"),
        item(11, content="<!-- wp:image --><img src='a.png'/><!-- /wp:image -->"),
    ]
    folder_of(tmp_path, {"blog.xml": wxr(*hidden, item(1), item(12, post_type="page"))})
    assert [document.id for document in read(tmp_path, "blog.xml")] == [
        "kettle.example/1",
        "kettle.example/12",
    ]


def test_an_author_is_found_by_login_or_display_name_and_others_are_listed(tmp_path):
    folder_of(tmp_path, {"blog.xml": wxr(item(1), item(2, author="guest"))})
    assert len(read(tmp_path, "blog.xml")) == 2
    assert [one.id for one in read(tmp_path, "blog.xml", "Ada Brook")] == ["kettle.example/1"]
    assert [one.id for one in read(tmp_path, "blog.xml", "GUEST")] == ["kettle.example/2"]
    with pytest.raises(CorpusError, match=r'no published post or page by "eve".*ada, guest'):
        read(tmp_path, "blog.xml", "eve")


def test_several_files_in_a_folder_or_zip_are_one_blog_and_overlaps_count_once(tmp_path):
    files = {"a.xml": wxr(item(1), item(2)), "more/b.xml": wxr(item(2), item(3)), "note.txt": "x"}
    folder_of(tmp_path / "parts", files)
    zip_of(tmp_path / "parts.zip", files)
    from_folder, from_zip = read(tmp_path, "parts"), read(tmp_path, "parts.zip")
    assert [one.id[-1] for one in from_folder] == ["1", "2", "3"]
    assert from_zip == from_folder


def test_control_characters_and_blank_lines_that_blogs_leave_in_their_exports_do_no_harm(tmp_path):
    export = "\ufeff\n\n  " + wxr(item(1, content="Tea\x0b is\x00 hot\x1f."))
    folder_of(tmp_path, {"blog.xml": export})
    assert [one.text for one in read(tmp_path, "blog.xml")] == ["Tea is hot."]


def test_an_export_is_never_in_memory_as_a_whole(tmp_path):
    body = "Tea is hot, and it stays so for a while. " * 1000
    drafts = (item(number, content=body, status="draft") for number in range(60))
    files = {"small.xml": wxr(item(1)), "blog.xml": wxr(*drafts, item(61))}
    folder_of(tmp_path, files)
    size = (tmp_path / "blog.xml").stat().st_size
    source = WordpressSource(kind="wordpress", path="blog.xml")
    read(tmp_path, "small.xml")  # what is imported on the way is not counted
    tracemalloc.start()
    try:
        count = sum(1 for _ in documents_of_wordpress(source, tmp_path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 1
    assert peak < size / 2


def test_a_date_that_is_missing_is_taken_from_the_next_field_that_has_one(tmp_path):
    items = [
        item(1, post_date_gmt="0000-00-00 00:00:00"),
        item(2, post_date_gmt="", post_date="0000-00-00 00:00:00"),
        item(3, post_date_gmt="", post_date="").replace("Thu, 05 Mar 2020 10:00:00 +0000", "soon"),
    ]
    folder_of(tmp_path, {"blog.xml": wxr(*items)})
    assert [one.date for one in read(tmp_path, "blog.xml")] == ["2020-03-04", "2020-03-05", ""]


def test_a_post_without_a_title_is_named_by_its_first_words(tmp_path):
    folder_of(tmp_path, {"blog.xml": wxr(item(1, title="", content="Milk goes in last. Always."))})
    assert read(tmp_path, "blog.xml")[0].title == "Milk goes in last."


def test_blocks_keep_headings_lists_and_quotes_and_lose_captions_and_code():
    content = (
        '<!-- wp:heading {"level":2} --><h2 class="x">How</h2><!-- /wp:heading -->\n\n'
        "<!-- wp:list --><ul><li>Boil.</li><li>Pour.</li></ul><!-- /wp:list -->\n\n"
        "<!-- wp:quote --><blockquote><p>Hot!</p><cite>Me</cite></blockquote><!-- /wp:quote -->"
        "<!-- wp:image --><figure><img/><figcaption>A pot</figcaption></figure><!-- /wp:image -->"
        "<!-- wp:code --><pre class='wp-block-code'><code>boil()</code></pre><!-- /wp:code -->"
        "<!-- wp:paragraph --><p>That&#8217;s <em>all</em>.</p><!-- /wp:paragraph -->"
    )
    assert text_of_post(content) == ("## How\n\n- Boil.\n- Pour.\n\n> Hot!\n\n> Me\n\nThat’s all.")


def test_the_classic_editor_has_paragraphs_without_tags_and_shortcodes():
    content = (
        'First line\nsecond [sic] line.\r\n\r\n[caption id="a" width="3"]<img/> A pot[/caption]'
        'Then [dropcap]t[/dropcap]ea [1].\n\n[gallery ids="1,2"]\n\n[embed]https://v.example/1[/embed]'
        "[sourcecode language='py']boil()[/sourcecode]\n\nEnd [gallery] [toc]."
    )
    assert text_of_post(content) == "First line\nsecond [sic] line.\n\nThen tea [1].\n\nEnd ."


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (
            "<rss><channel><item><title>Feed</title></item></channel></rss>",
            "not a WordPress export",
        ),
        (wxr(item(1))[:-400], r"not well-formed XML.*export it again"),
        ("no xml at all", "not well-formed XML"),
        ("", "not well-formed XML"),
        ("<a>" * 60 + "</a>" * 60, "nested deeper"),
        (
            '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + "<rss>&b;</rss>",
            "declares a DTD or entities",
        ),
        (
            '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><rss>&a;</rss>',
            "declares a DTD or entities",
        ),
        ('<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/a.dtd"><rss/>', "declares a DTD or entities"),
        ("<?xml version='1.0' encoding='klingon'?><rss/>", "not well-formed XML"),
    ],
)
def test_files_that_are_no_export_are_refused_by_name(tmp_path, content, match):
    folder_of(tmp_path, {"blog.xml": content})
    with pytest.raises(CorpusError, match=match) as refused:
        read(tmp_path, "blog.xml")
    assert "blog.xml" in str(refused.value)


def test_a_folder_without_exports_says_where_to_get_one(tmp_path):
    folder_of(tmp_path, {"parts/a.txt": "x"})
    with pytest.raises(CorpusError, match="Tools › Export"):
        read(tmp_path, "parts")
