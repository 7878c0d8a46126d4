"""A crawl that is killed goes on: the same documents, no page fetched twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from personae.sources import SiteSource
from tests.fakes.web_site import FakeSite, essay, listing
from training.ingest.site.crawl import documents_of_site

CRAWLER = """
import sys
from pathlib import Path
from personae.sources import SiteSource
from training.ingest.site.crawl import documents_of_site

source = SiteSource(kind="site", url=sys.argv[1], seconds_between=0)
allowed = {"127.0.0.1"}.__contains__
for _ in documents_of_site(source, Path(sys.argv[2]), address_allowed=allowed):
    pass
"""


def start(site: FakeSite, cache: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", CRAWLER, f"{site.url}/", str(cache)]
    return subprocess.Popen(command)


def crawl(site: FakeSite, cache: Path) -> list[str]:
    source = SiteSource(kind="site", url=f"{site.url}/", seconds_between=0)
    allowed = {"127.0.0.1"}.__contains__
    found = documents_of_site(source, cache, address_allowed=allowed)
    return [document.model_dump_json() for document in found]


def kill_at(site: FakeSite, cache: Path, path: str) -> None:
    """Crawl until `path` is asked for, and kill the crawler while it waits for the answer."""
    site.held = path
    site.reached.clear()
    with start(site, cache) as process:
        reached = site.reached.wait(60)
        process.send_signal(signal.SIGKILL)
    assert reached, f"{path} was never asked for"
    assert process.returncode == -signal.SIGKILL
    site.held = None


@pytest.fixture
def site():
    with FakeSite() as site:
        listed = "".join(f"<url><loc>{site.url}/{topic}</loc></url>" for topic in ("salt", "ink"))
        site.text("/sitemap.xml", f"<urlset>{listed}</urlset>", "application/xml")
        site.page("/", listing(["/tea", "/bees", "/moved"]))
        site.redirect("/moved", "/wool")
        site.page("/tea", essay("tea", links="<a href='/rope'>rope</a>"))
        for topic in ("bees", "salt", "ink", "rope", "wool"):
            site.page(f"/{topic}", essay(topic))
        yield site


def test_a_killed_crawl_goes_on_and_ends_like_one_that_was_left_alone(site, tmp_path):
    whole = crawl(site, tmp_path / "whole")
    assert len(whole) == 6
    asked_once = site.times_asked
    site.asked.clear()

    kills = ["/sitemap.xml", "/wool", "/rope"]
    for path in kills:
        kill_at(site, tmp_path / "killed", path)
        assert not (tmp_path / "killed" / "crawl.json").exists()
    assert crawl(site, tmp_path / "killed") == whole
    again = site.times_asked - asked_once
    # What was in flight is asked for once more, and the rules are read anew by every process.
    assert again == {"/robots.txt": len(kills), **dict.fromkeys(kills, 1)}
    records = [
        json.loads((tmp_path / name / "crawl.json").read_text()) for name in ("whole", "killed")
    ]
    for record in records:
        record.pop("finished_at")
    assert records[0] == records[1]
    assert not list(tmp_path.rglob(".*.page.*"))


def test_a_killed_second_round_goes_on_with_what_it_had_asked_for(site, tmp_path):
    crawl(site, tmp_path)
    site.page("/bees", essay("bees and wax"))
    site.status("/salt", 404)
    site.asked.clear()
    kill_at(site, tmp_path, "/bees")
    kill_at(site, tmp_path, "/rope")
    documents = [json.loads(line) for line in crawl(site, tmp_path)]
    titles = {document["title"] for document in documents}
    assert "On bees and wax" in titles and "On salt" not in titles and len(titles) == 5
    assert {path: times for path, times in site.times_asked.items() if times > 1} == {
        "/robots.txt": 3,
        "/bees": 2,
        "/rope": 2,
    }
    record = json.loads((tmp_path / "crawl.json").read_text())
    assert (record["pages_fetched"], record["pages_unchanged"]) == (1, 5)
    assert record["gone"] == [f"{site.url}/salt"]
