"""The parts of the crawler, one by one: addresses, robots.txt, the guard, lists, outlines, prose."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.web_site import essay, listing
from training.ingest.site.addresses import Site, document_id, is_wanted, names_a_page, shape
from training.ingest.site.extract import prose_of_html
from training.ingest.site.fetching import LeftOut, retry_after_seconds, unpacked
from training.ingest.site.outline import (
    header_asks_not_to_be_read,
    outline_of_html,
    text_of_body,
)
from training.ingest.site.page_cache import PageCache, Stored
from training.ingest.site.public_addresses import GuardedResolver, PrivateAddress, is_public
from training.ingest.site.robots import parse_robots
from training.ingest.site.sitemaps import addresses_listed
from training.ingest.site.wildcards import matches


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ("/tea", "https://www.x.org/tea"),
        ("tea#top", "https://www.x.org/a/tea"),
        ("http://x.org:80/tea?utm_source=a&p=1&fbclid=2", None),
        ("https://x.org:443/tea?utm_source=a&p=1&fbclid=2", "https://www.x.org/tea?p=1"),
        ("//X.ORG/tea;jsessionid=A1", "https://www.x.org/tea"),
        ("http://x.org/tea", "https://www.x.org/tea"),
        ("https://x.org", "https://www.x.org/"),
        ("../%7Eann/caf\u00e9", "https://www.x.org/~ann/caf%C3%A9"),
        ("https://y.org/tea", None),
        ("https://x.org:8443/tea", None),
        ("https://user:secret@x.org/tea", None),
        ("https://x.org.evil.example/", None),
        ("javascript:void(0)", None),
        ("http://[broken", None),
        ("https://x.org:99999/", None),
    ],
)
def test_one_spelling_for_each_page_of_the_site_and_none_for_others(link, address):
    if link.startswith("http://x.org:80"):
        address = "https://www.x.org/tea?p=1"
    assert Site.of("https://www.x.org/").address_of(link, "https://www.x.org/a/b") == address


@given(st.text(alphabet="abA09/.?#&=%:;@[]\\ ~+*é\u202e\x00\n\"'<{}|^`-_utm", max_size=40))
@settings(max_examples=100)
def test_whatever_a_page_links_an_address_is_on_the_site_and_spelled_once(text):
    site = Site.of("https://www.x.org/")
    for link in (text, f"/{text}", f"//x.org{text}", f"?{text}"):
        address = site.address_of(link, "https://www.x.org/a/b")
        if address is not None:
            assert address.startswith("https://www.x.org/")
            assert site.address_of(address, address) == address
            assert document_id(address).startswith("x.org/")


def test_ids_are_host_and_path_and_stay_short():
    assert document_id("https://www.x.org/") == "x.org/index"
    assert document_id("https://x.org/2021/tea/") == "x.org/2021/tea/"
    assert document_id("https://x.org/?p=12") == "x.org/index?p=12"
    long = document_id("https://x.org/" + "a" * 500)
    assert len(long) < 200
    assert long != document_id("https://x.org/" + "a" * 501)


def test_patterns_match_whole_addresses_and_care_not_for_www_or_scheme():
    assert is_wanted("http://www.x.org/a.html", ["https://x.org/*.html"], [])
    assert not is_wanted("https://x.org/a.html?x", ["https://x.org/*.html"], [])
    assert not is_wanted("https://x.org/tag/a", [], ["*/tag/*"])
    assert is_wanted("https://x.org/anything", [], [])
    assert not names_a_page("https://x.org/a.PDF?x=1")
    assert shape("https://x.org/2021/05/?b=1&a=2") == "/#/#/?a&b"


def test_a_pattern_of_many_stars_ends():
    assert not matches("*a" * 500 + "b", "a" * 2000)
    assert matches("a*b*c", "axxbxxc")
    assert not matches("ab*ba", "aba")


def test_robots_txt_longest_rule_wins_with_wildcards_and_groups_join():
    rules = parse_robots(
        "\ufeffUser-agent: other\nDisallow: /\n\nUser-Agent: Personae/2.0 # us\nUser-agent: third\n"
        "Disallow: /a\nAllow: /a/b\nDisallow: /*.pdf$\nDisallow:\n\nnonsense\nSitemap: https://x.org/s.xml\n"
        "User-agent: personae\nDisallow: /caf\u00e9\nDisallow: /%7eann\nCrawl-delay: 3.5\n",
        agent="personae",
    )
    answers = {
        path: rules.allows(f"https://x.org{path}")
        for path in (
            "/",
            "/a",
            "/ax",
            "/a/b/c",
            "/t.pdf",
            "/t.pdf?x",
            "/caf%C3%A9",
            "/~ann",
            "/robots.txt",
        )
    }
    assert answers == {
        "/": True, "/a": False, "/ax": False, "/a/b/c": True, "/t.pdf": False, "/t.pdf?x": True,
        "/caf%C3%A9": False, "/~ann": False, "/robots.txt": True,
    }  # fmt: skip
    assert (rules.delay_seconds, rules.sitemaps) == (3.5, ("https://x.org/s.xml",))
    assert not rules.forbids_all
    assert parse_robots("User-agent: *\nDisallow: /", agent="personae").forbids_all
    assert not parse_robots("User-agent: *\nDisallow: /\nAllow: /", agent="personae").forbids_all
    assert parse_robots("User-agent: *\nDisallow: /\nAllow: /", agent="personae").allows(
        "https://x.org/a"
    )
    assert parse_robots("<html>not found</html>", agent="personae").allows("https://x.org/a")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1", "fec0::1", "nonsense",
    ],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34"])
def test_public_addresses(address):
    assert is_public(address)


async def test_a_name_that_leads_inside_is_refused_whenever_it_is_asked_for():
    answers = [[(2, "93.184.216.34")], [(2, "93.184.216.34"), (2, "10.0.0.1")]]

    async def look_up(host, port, family):
        return answers.pop(0)

    resolver = GuardedResolver(is_public, look_up)
    (first,) = await resolver.resolve("x.org", 443)
    assert (first["host"], first["hostname"], first["port"]) == ("93.184.216.34", "x.org", 443)
    with pytest.raises(PrivateAddress, match=r"x\.org leads to 10\.0\.0\.1"):
        await resolver.resolve("x.org", 443)


@pytest.mark.parametrize(
    "host", ["2130706433", "0177.0.0.1", "127.1", "010.0.0.1", "::1", "127.0.0.1"]
)
def test_addresses_in_disguise_are_refused_before_a_connection(host):
    with pytest.raises(PrivateAddress):
        GuardedResolver(is_public).check_literal(host)


def test_lists_of_every_kind_and_broken_ones():
    atom = (
        b"<feed xmlns='http://www.w3.org/2005/Atom'><link href='https://x.org/'/><entry>"
        b"<link rel='edit' href='https://x.org/edit'/><link href='https://x.org/a'/></entry></feed>"
    )
    rss = (
        b"<?xml version='1.0'?><rss><channel><link>https://x.org/</link><item><link> https://x.org/a\n</link>"
        b"</item><item><guid>https://x.org/b</guid></item><item><guid isPermaLink='false'>7</guid></item>"
    )
    assert addresses_listed(atom).pages == ["https://x.org/a"]
    assert addresses_listed(rss).pages == ["https://x.org/a", "https://x.org/b"]
    assert addresses_listed(b"https://x.org/a\nhttps://x.org/a\nword\n").pages == [
        "https://x.org/a"
    ]
    index = b"<sitemapindex xmlns='x'><!-- - --><sitemap><loc>https://x.org/1</loc></sitemap></sitemapindex>"
    assert addresses_listed(index).sitemaps == ["https://x.org/1"]
    for nothing in (b"", b"<html><body>hello</body></html>", b"<", b"\xff\xfe"):
        assert addresses_listed(nothing).pages == []


def test_entities_of_a_sitemap_are_not_expanded_nor_files_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("https://x.org/secret")
    body = (
        f"<!DOCTYPE u [<!ENTITY f SYSTEM '{secret.as_uri()}'><!ENTITY b 'https://x.org/b'>]>"
        "<urlset><url><loc>&f;</loc></url><url><loc>&b;</loc></url><url><loc>https://x.org/a</loc></url></urlset>"
    )
    assert addresses_listed(body.encode()).pages == ["https://x.org/a"]


def test_an_outline_has_links_canonical_feeds_and_wishes():
    outline = outline_of_html(
        "<head><base href='/b/'><link rel='Canonical' href='/c'><meta name=ROBOTS content='NoIndex'>"
        "<link rel=alternate type=application/atom+xml href=/atom></head>"
        "<a href='x'>x</a><a href='x'>x</a><a rel='nofollow ugc' href='y'>y</a><area href='z'>",
        agent="personae",
    )
    assert (outline.base, outline.canonical, outline.feeds) == ("/b/", "/c", ["/atom"])
    assert outline.links == ["x", "z"]
    assert outline.asks_not_to_be_read
    assert outline_of_html("", agent="personae").links == []
    assert header_asks_not_to_be_read("nofollow, noindex", agent="personae")
    assert header_asks_not_to_be_read("otherbot: nofollow, personae: none", agent="personae")
    assert not header_asks_not_to_be_read("otherbot: noindex, nofollow", agent="personae")


def test_a_front_page_is_a_listing_and_an_essay_with_more_to_read_is_not():
    excerpts = "".join(
        f"<h2><a href='/{topic}'>On {topic}</a></h2><p>{'A few words about it. ' * 8}</p>"
        for topic in ("tea", "bees", "salt")
    )
    more = "".join(
        f"<h3><a href='/{topic}'>On {topic}</a></h3>" for topic in ("tea", "bees", "salt")
    )
    more_head = "<meta property='og:type' content='article'>"
    assert outline_of_html(listing(["/a", "/b", "/c"]), agent="personae").is_listing
    assert outline_of_html(f"<body>{excerpts}</body>", agent="personae").is_listing
    assert not outline_of_html(essay("tea"), agent="personae").is_listing
    with_more = essay("tea", head=more_head, links=more)
    assert not outline_of_html(with_more, agent="personae").is_listing


def test_an_old_page_of_tables_and_breaks_is_read_in_paragraphs():
    topics = ["boats", "harbours", "nets"]
    prose = "<br><br>".join(
        f"Nobody in our town knew more about {topic} than the man who sold them, and he said little. "
        f"When he did speak of {topic}, it was to say that the weather would change before noon. "
        f"I have a <i>letter</i> of his; <a href='{topic}.html'>it</a> is mostly about {topic}."
        for topic in topics
    )
    html = (
        "<html><head><title>Boats</title></head><body><table><tr><td><a href=index.html>Home</a></td><td>"
        f"<table width=435><tr><td><font size=2>May 2004<br><br>{prose}<br><br><b>Notes</b><br><br>"
        "One more thing about harbours: nobody owns the fog there.</font></td></tr></table>"
        "</td></tr></table></body></html>"
    )
    read = prose_of_html(html, "http://x.org/boats.html")
    blocks = read.text.split("\n\n")
    assert (read.title, read.date) == ("Boats", "2004-05")
    assert [block.split(" about ")[1].split()[0] for block in blocks[:3]] == topics
    assert blocks[0].endswith("I have a letter of his; it is mostly about boats.")
    assert blocks[3:] == ["## Notes", "One more thing about harbours: nobody owns the fog there."]


def test_a_typed_page_keeps_its_paragraphs_and_a_list_within_a_list_comes_once():
    words = [" ".join(f"{name}{number}" for number in range(40)) for name in ("oar", "rope")]
    typed = prose_of_html(
        f"<title>T</title><body><pre>{words[0]}\n \n{words[1]}</pre>", "http://x.org/t"
    )
    assert typed.text.split("\n\n") == words
    nested = "<ul><li>Boats of oak</li><li>Nets <i>and</i> ropes<ul><li>of hemp</li></ul>sold here</li></ul>"
    read = prose_of_html(
        essay("nets").replace("<blockquote>", f"{nested}<blockquote>"), "http://x.org/n"
    )
    assert "- Boats of oak\n- Nets and ropes sold here\n- of hemp" in read.text


def test_where_no_article_is_found_the_whole_page_is_read():
    read = prose_of_html("<title>Tea</title><body><h1>Tea</h1>Short.</body>", "http://x.org/tea")
    assert (read.title, read.text) == ("Tea", "Short.")


@pytest.mark.parametrize(
    "packed", [gzip.compress(b"tea", mtime=0), zlib.compress(b"tea"), zlib.compress(b"tea")[2:-4]]
)
def test_bodies_are_unpacked_up_to_a_limit(packed):
    assert unpacked(packed, max_bytes=3) == b"tea"
    with pytest.raises(LeftOut, match="too large"):
        unpacked(packed, max_bytes=2)
    with pytest.raises(LeftOut, match="damaged"):
        unpacked(packed[: len(packed) // 2], max_bytes=3)


def test_two_gzip_files_in_one_are_one_body():
    assert (
        unpacked(gzip.compress(b"tea", mtime=0) + gzip.compress(b"pot", mtime=0), max_bytes=6)
        == b"teapot"
    )
    with pytest.raises(LeftOut, match="too large"):
        unpacked(gzip.compress(b"tea", mtime=0) + gzip.compress(b"pots", mtime=0), max_bytes=6)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("17", 17.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_seconds(value, now=100.0) == seconds


def test_text_is_decoded_by_mark_header_page_and_at_last_as_browsers_do():
    assert text_of_body("tea".encode("utf-16"), "text/html") == "tea"
    assert text_of_body("\ufeffté".encode(), "text/html; charset=latin-1") == "té"
    assert text_of_body("“té”".encode("cp1252"), "text/html; charset=iso-8859-1") == "“té”"
    assert text_of_body(b"<meta charset=nonsense>t\xe9", "text/html") == "<meta charset=nonsense>té"


def test_a_page_that_the_disk_damaged_was_never_fetched(tmp_path):
    cache = PageCache(tmp_path)
    stored = Stored(
        address="http://x.org/", status=200, round=1, first_round=1, fetched_at="2025-01-01"
    )
    written = cache.write(stored, b"line\nline\n")
    assert (cache.read("http://x.org/"), cache.body("http://x.org/")) == (written, b"line\nline\n")
    (path,) = tmp_path.glob("*/*.page")
    path.write_bytes(path.read_bytes()[:-3])
    assert cache.read("http://x.org/") is None
    assert list(cache.all()) == []
