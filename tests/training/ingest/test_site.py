"""A site on loopback becomes documents; what the site forbids, hides or sets as a trap is left alone."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from personae.corpus import Document
from personae.errors import CorpusError
from personae.sources import SiteSource
from tests.fakes.web_site import Answer, FakeSite, Pace, essay, listing
from training.ingest.site.crawl import documents_of_site
from training.ingest.site.limits import Limits

LOOPBACK = {"127.0.0.1", "::1"}
Crawl = Callable[..., list[Document]]


@pytest.fixture
def site() -> Iterator[FakeSite]:
    with FakeSite() as site:
        yield site
        assert site.asked, "the crawler never came"
        assert site.at_once == []


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def crawl(site: FakeSite, pace: Pace, tmp_path: Path) -> Crawl:
    """Crawl from "/" (or `start`) with the source's fields; other keywords are limits."""

    def run(*, start: str = "/", limits: Limits | None = None, **fields: object) -> list[Document]:
        source = SiteSource(kind="site", url=site.url + start, **fields)  # type: ignore[arg-type]
        return list(
            documents_of_site(
                source,
                tmp_path / "cache",
                limits=limits,
                address_allowed=LOOPBACK.__contains__,
                clock=pace.clock,
                sleep=pace.sleep,
            )
        )

    return run


@pytest.fixture
def result(tmp_path: Path) -> Callable[[], dict]:
    return lambda: json.loads((tmp_path / "cache" / "crawl.json").read_text())


def ids(documents: list[Document]) -> list[str]:
    return [document.id.partition("/")[2] for document in documents]


def test_links_are_followed_and_an_essay_keeps_title_date_headings_lists_and_quotes(
    site, crawl, result
):
    site.page(
        "/", listing(["/tea", "bees#top", "https://elsewhere.example/x", "mailto:a@b.example"])
    )
    site.page("/tea", essay("tea"))
    site.page("/bees", essay("bees", links="<a href='/tea?utm_source=x'>tea</a>"))
    tea, bees = crawl()
    assert ids([tea, bees]) == ["tea", "bees"]
    assert (tea.title, tea.date, tea.url) == ("On tea", "2021-03-04", f"{site.url}/tea")
    blocks = tea.text.split("\n\n")
    assert blocks[0].startswith("I have thought about tea for eleven years")
    assert blocks[1] == "## In winter"
    assert blocks[3].splitlines() == [
        "- Look at tea before you speak of it",
        "- Ask who pays for tea and who only watches",
    ]
    assert (
        blocks[4]
        == "> You will learn tea the day you stop explaining it, my grandmother used to say."
    )
    assert "Home" not in tea.text and "rights reserved" not in tea.text
    assert site.times_asked["/tea"] == 1
    assert result()["documents"] == 2
    assert result()["left_out"]["a list of links"] == 1


def test_sitemap_index_packed_sitemap_and_feed_name_pages_that_nothing_links(site, crawl):
    site.text("/robots.txt", f"User-agent: *\nSitemap: {site.url}/all.xml\n")
    inner = "".join(
        f"<sitemap><loc>{site.url}/{name}</loc></sitemap>" for name in ("a.xml.gz", "all.xml")
    )
    site.text("/all.xml", f"<sitemapindex>{inner}</sitemapindex>", "application/xml")
    packed = gzip.compress(
        f"<urlset><url><loc>{site.url}/tea</loc></url></urlset>".encode(), mtime=0
    )
    site.answers["/a.xml.gz"] = Answer(packed, content_type="application/gzip")
    feed = f"<rss><channel><item><link>{site.url}/bees</link></item></channel></rss>"
    site.text("/feed", feed, "application/rss+xml")
    site.page("/", listing([], head="<link rel=alternate type=application/rss+xml href=/feed>"))
    site.page("/tea", essay("tea"))
    site.page("/bees", essay("bees"))
    assert ids(crawl()) == ["tea", "bees"]
    assert site.times_asked["/all.xml"] == 1


def test_a_sitemap_of_the_source_that_lists_nothing_is_an_error(site, crawl):
    site.page("/", essay("tea"))
    with pytest.raises(CorpusError, match=r"/none\.xml lists no page.*Correct the address"):
        crawl(sitemap=f"{site.url}/none.xml")


def test_robots_txt_is_obeyed_and_its_longer_delay_wins(site, crawl, pace, result):
    ours = "User-agent: personae\nCrawl-delay: 7\nDisallow: /private*\nAllow: /private/open\n"
    site.text("/robots.txt", ours + "\nUser-agent: *\nDisallow: /")
    site.page("/", listing(["/tea", "/private/diary", "/private/open", "/go"]))
    for path in ("/tea", "/private/diary", "/private/open"):
        site.page(path, essay(path.strip("/").replace("/", " ")))
    site.redirect("/go", "/private/letters")
    assert ids(crawl(seconds_between=2.0)) == ["tea", "private/open"]
    assert not {"/private/diary", "/private/letters"} & set(site.paths)
    assert result()["left_out"]["robots.txt forbids it"] == 2
    assert pace.waits == [7.0] * (len(site.asked) - 1)
    assert {asked.headers["user-agent"].split("/")[0] for asked in site.asked} == {"personae"}


def test_a_robots_txt_that_forbids_all_fails_or_leads_away_stops_the_crawl(site, crawl):
    site.page("/", essay("tea"))
    site.text("/robots.txt", "User-agent: *\nDisallow: /\n")
    with pytest.raises(CorpusError, match=r"forbids everything to personae.*allow it there"):
        crawl()
    site.status("/robots.txt", 500)
    with pytest.raises(CorpusError, match=r"answered 500.*RFC 9309.*try again later"):
        crawl()
    site.redirect("/robots.txt", "http://elsewhere.example/robots.txt")
    with pytest.raises(CorpusError, match=r"redirects to http://elsewhere\.example"):
        crawl()
    assert "/" not in site.paths
    site.status("/robots.txt", 403)
    assert ids(crawl()) == ["index"]


def test_a_page_that_asks_not_to_be_read_is_not(site, crawl, result):
    site.page("/", listing(["/meta", "/header", "/reserved", "/other", "/nofollow"]))
    site.page("/meta", essay("mists", head="<meta name=robots content='noindex, follow'>"))
    site.page("/header", essay("hedges", links=""), headers={"X-Robots-Tag": "noai, noimageai"})
    site.page("/reserved", essay("reeds", head="<meta name=tdm-reservation content=1>"))
    site.page("/other", essay("otters"), headers={"X-Robots-Tag": "otherbot: noindex"})
    head = "<meta name=robots content=nofollow>"
    site.page("/nofollow", essay("nuts", head=head, links="<a href='/hidden'>more</a>"))
    site.page("/hidden", essay("herons"))
    assert ids(crawl()) == ["other", "nofollow"]
    assert result()["left_out"]["asks not to be read (noindex, noai)"] == 3
    assert "/hidden" not in site.paths


def test_redirects_stay_on_the_site_and_come_to_an_end(site, crawl, result):
    site.page("/", listing(["/old", "/away", "/inside", "/file", "/ring", "/long0"]))
    site.redirect("/old", "/tea", 308)
    site.page("/tea", essay("tea"))
    site.redirect("/away", "http://elsewhere.example/tea")
    site.redirect("/inside", "http://169.254.169.254/latest/meta-data/")
    site.redirect("/file", "file:///etc/passwd")
    site.redirect("/ring", "/ring", 302)
    for step in range(7):
        site.redirect(f"/long{step}", f"/long{step + 1}", 302)
    site.page("/long7", essay("too far"))
    (tea,) = crawl()
    assert tea.url == f"{site.url}/tea"
    left_out = result()["left_out"]
    assert left_out["redirects off the site"] == 2
    assert left_out["answered 301"] == 1
    assert left_out["too many redirects"] == 1
    assert site.times_asked["/long5"] == 1
    assert site.times_asked["/long6"] == 0
    assert site.times_asked["/ring"] <= 2


def test_every_hop_is_checked_anew_for_private_addresses(site, tmp_path, pace):
    """The second time the name would lead elsewhere (DNS rebinding), the crawler does not go there."""
    asked: list[str] = []

    def allowed(address: str) -> bool:
        asked.append(address)
        return len(asked) <= 3

    site.page("/", listing(["/tea", "/hop"]))
    site.redirect("/hop", "/bees")
    site.page("/tea", essay("tea"))
    site.page("/bees", essay("bees"))
    source = SiteSource(kind="site", url=f"{site.url}/")
    with pytest.raises(CorpusError, match=r"no page with text.*a private address"):
        list(
            documents_of_site(
                source, tmp_path, address_allowed=allowed, clock=pace.clock, sleep=pace.sleep
            )
        )
    assert site.paths == ["/robots.txt", "/", "/sitemap.xml"]
    assert len(asked) == 5


def test_a_private_start_is_refused_by_default_without_a_connection(tmp_path, pace):
    with FakeSite() as site:
        for url in (site.url, site.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(CorpusError, match=r"not on the public internet.*kind = \"folder\""):
                list(
                    documents_of_site(
                        SiteSource(kind="site", url=url),
                        tmp_path,
                        clock=pace.clock,
                        sleep=pace.sleep,
                    )
                )
        assert site.asked == []


def test_a_start_page_that_leads_to_another_site_says_which(site, crawl):
    site.redirect("/", "https://elsewhere.example/home")
    with pytest.raises(CorpusError, match=r"leads to https://elsewhere\.example/home.*`url`"):
        crawl()


def test_nobody_at_the_address_is_an_error_with_advice(tmp_path, pace):
    with FakeSite() as site:
        url = site.url
    with pytest.raises(CorpusError, match=r"does not answer.*Check the address and the network"):
        list(
            documents_of_site(
                SiteSource(kind="site", url=url),
                tmp_path,
                address_allowed=LOOPBACK.__contains__,
                clock=pace.clock,
                sleep=pace.sleep,
            )
        )


def test_a_slow_page_is_asked_for_again_and_then_left_out(site, crawl, result):
    site.page("/", listing(["/slow", "/tea"]))
    site.slow("/slow")
    site.page("/tea", essay("tea"))
    assert ids(crawl(limits=Limits(request_seconds=1.5, tries=2))) == ["tea"]
    assert result()["left_out"]["timed out"] == 1
    assert site.times_asked["/slow"] == 2


def test_huge_packed_and_foreign_things_are_left_out(site, crawl, result):
    site.page("/parts", essay("parts", links="<b> </b>" * 50_000))
    site.page(
        "/",
        listing(["/parts", "/huge", "/bomb", "/film", "/photo.jpg", "/broken", "/tea"]),
    )
    site.huge("/huge", megabytes=40)
    site.bomb("/bomb", megabytes=50)
    site.answers["/film"] = Answer(b"\0\0", content_type="video/mp4")
    site.answers["/broken"] = Answer(b"not gzip", headers={"Content-Encoding": "gzip"})
    site.page("/tea", essay("tea"))
    assert ids(crawl()) == ["tea"]
    left_out = result()["left_out"]
    assert left_out["too large"] == 3
    assert left_out["not a page"] == 2
    assert left_out["damaged on the way"] == 1
    assert site.bytes_sent < 30_000_000
    assert "/photo.jpg" not in site.paths


def test_later_means_later(site, crawl, pace):
    site.page("/", listing(["/tea", "/bees"]))
    site.page("/tea", essay("tea"))
    site.page("/bees", essay("bees"))
    site.status_first("/tea", 1, 429, Retry_After="17")
    site.status_first("/bees", 1, 503)
    assert ids(crawl()) == ["tea", "bees"]
    assert pace.waits.count(17.0) == 1
    site.status("/tea", 429, Retry_After="86400")
    with pytest.raises(CorpusError, match=r"come back in 86400 seconds.*goes on where it stopped"):
        crawl()


def test_a_site_that_stops_answering_stops_the_crawl_and_keeps_what_came(site, crawl, tmp_path):
    paths = [f"/{name}" for name in ("tea", "a", "b", "c", "d")]
    site.page("/", listing(paths))
    for path in paths:
        site.page(path, essay(path.strip("/")))
    for path in paths[1:]:
        site.status(path, 502)
    with pytest.raises(CorpusError, match="has stopped answering"):
        crawl(limits=Limits(failures_in_a_row=3))
    assert not (tmp_path / "cache" / "crawl.json").exists()
    for path in paths[1:]:
        site.page(path, essay(path.strip("/")))
    assert ids(crawl()) == ["tea", "a", "b", "c", "d"]
    assert site.times_asked["/tea"] == 1


def test_calendars_loops_and_long_addresses_end(site, crawl, result):
    long = "/" + "x" * 2100
    site.page("/", listing(["/tea", "/cal/0", long, "/s?q=1&page=0"]))
    site.page("/tea", essay("tea", links="<a href='more/more/more/more/x'>round</a>"))
    site.calendar("/cal/")
    assert ids(crawl(limits=Limits(of_one_shape=8))) == ["tea"]
    left_out = result()["left_out"]
    assert sum(path.startswith("/cal/") for path in site.paths) == 8
    assert left_out["too many pages alike (a calendar or a search?)"] == 1
    assert left_out["address too long"] == 1
    assert left_out["address goes round in circles"] == 1


def test_pages_end_at_the_sources_limits_which_is_said(site, crawl, result):
    paths = [f"/{name}" for name in "abcdef"]
    site.page("/", listing(paths))
    for path in paths:
        site.page(path, essay(f"letter {path.strip('/')}"))
    assert ids(crawl(max_pages=3)) == ["a", "b"]
    assert result()["stopped_by"] == "max_pages = 3, with 5 addresses not asked for"


def test_include_exclude_and_author_choose(site, crawl, result):
    site.page("/", listing(["/essays/tea", "/essays/draft-bees", "/shop/cups", "/essays/guest"]))
    site.page("/essays/tea", essay("tea"))
    site.page("/essays/draft-bees", essay("bees"))
    site.page("/shop/cups", essay("cups"))
    site.page("/essays/guest", essay("guests", author="Bob Other"))
    include = [f"{site.url}/essays/*"]
    assert ids(crawl(include=include, exclude=["*/draft-*"], author="ann example")) == [
        "essays/tea"
    ]
    assert "/shop/cups" not in site.paths
    assert result()["left_out"]["by another author"] == 1


def test_one_page_under_many_addresses_is_one_document(site, crawl, result):
    canonical = "<link rel=canonical href='/tea/'>"
    site.page("/", listing(["/tea", "/tea/", "/tea?print=1", "/copy", "/home-is-canonical"]))
    for path in ("/tea", "/tea/", "/tea?print=1"):
        site.page(path, essay("tea", head=canonical))
    site.page("/copy", essay("tea"))
    site.page("/home-is-canonical", essay("bees", head="<link rel=canonical href='/'>"))
    assert ids(crawl()) == ["tea/", "home-is-canonical"]
    assert result()["left_out"]["the same page under another address"] == 2
    assert result()["left_out"]["the same text as another page"] == 1


def test_pages_of_other_encodings_are_read(site, crawl):
    def encoded(topic: str, encoding: str, declared: str) -> bytes:
        return essay(topic).replace('<meta charset="utf-8">', declared).encode(encoding)

    site.page("/", listing(["/header", "/meta", "/none"]))
    site.answers["/header"] = Answer(
        encoded("Käse", "iso-8859-15", ""), content_type="text/html; charset=ISO-8859-15"
    )
    site.answers["/meta"] = Answer(
        encoded("чай", "koi8-r", '<meta charset="koi8-r">'), content_type="text/html"
    )
    site.answers["/none"] = Answer(encoded("“Brötchen”", "cp1252", ""), content_type="text/html")
    assert [document.title for document in crawl()] == ["On Käse", "On чай", "On “Brötchen”"]


def test_thin_pages_are_left_out_and_a_site_of_them_is_an_error(site, crawl, result):
    site.page("/", "<html><body><article><p>Soon here.</p></article></body></html>")
    with pytest.raises(
        CorpusError, match=r"no page with text\. Left out: 1 too little text.*crawl\.json"
    ):
        crawl()
    assert result()["examples"]["too little text"] == [f"{site.url}/"]


def test_a_text_file_is_read_as_it_is(site, crawl):
    words = " ".join(f"word{number}" for number in range(60))
    site.text("/", f"First\nblock.\n\n{words}", "text/plain; charset=utf-8")
    (document,) = crawl()
    assert document.text == f"First block.\n\n{words}"


def test_a_second_crawl_asks_only_for_what_changed(site, crawl, result):
    site.page("/", listing(["/tea", "/bees", "/dated", "/flaky", "/gone"]))
    for topic in ("tea", "bees", "flaky", "gone"):
        site.page(f"/{topic}", essay(topic))
    site.page("/dated", essay("dates"), last_modified="Sat, 01 Mar 2025 10:00:00 GMT")
    first = crawl()
    assert ids(first) == ["tea", "bees", "dated", "flaky", "gone"]
    assert crawl() == first
    assert (result()["pages_fetched"], result()["pages_unchanged"]) == (0, 6)
    # Nothing links /bees any more; it is still there, and changed.
    site.page("/", listing(["/tea", "/dated", "/flaky", "/gone", "/new"]))
    site.page("/bees", essay("bees and honey"))
    site.page("/new", essay("news"))
    site.status("/gone", 410)
    site.status("/flaky", 500)
    site.asked.clear()
    second = {document.id.partition("/")[2]: document for document in crawl()}
    assert set(second) == {"tea", "bees", "dated", "flaky", "new"}
    assert second["tea"] == first[0]
    assert second["bees"].title == "On bees and honey"
    assert second["flaky"] == first[3]
    record = result()
    assert record["round"] == 3
    assert (record["pages_fetched"], record["pages_unchanged"], record["pages_kept"]) == (3, 2, 1)
    assert record["gone"] == [f"{site.url}/gone"]
    conditional = {
        asked.path: asked.headers.get("if-none-match") or asked.headers.get("if-modified-since")
        for asked in site.asked
    }
    assert conditional["/dated"] == "Sat, 01 Mar 2025 10:00:00 GMT"
    assert conditional["/tea"] and conditional["/bees"]
    assert conditional["/new"] is None
