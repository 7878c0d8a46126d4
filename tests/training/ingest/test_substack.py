"""A Substack export becomes its published posts; lists of subscribers are never opened."""

from __future__ import annotations

import pytest

from personae.errors import CorpusError
from personae.sources import SubstackSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.substack import documents_of_substack

TABLE = """\
post_id,post_date,is_published,email_sent_at,inbox_sent_at,type,audience,title,subtitle,podcast_url
102.on-milk,2023-06-01T10:00:00.000Z,true,,,newsletter,only_paid,"On milk, and why","A ""cup"" of it",
101.on-tea,2023-05-01T10:00:00.000Z,true,,,newsletter,everyone,On tea,,
103.a-draft,,false,,,newsletter,everyone,A draft,,
104.episode,2023-07-01T10:00:00.000Z,true,,,podcast,everyone,Episode,,https://pod.example/1
105.silent,2023-07-02T10:00:00.000Z,true,,,podcast,everyone,Silent,,https://pod.example/2
106.thread,2023-08-01T10:00:00.000Z,true,,,thread,everyone,,,
107.gone,2023-08-02T10:00:00.000Z,true,,,newsletter,everyone,Gone,,
108.other,2023-08-03T10:00:00.000Z,true,,,restack,everyone,Other,,
"""
FILES = {
    "posts.csv": TABLE,
    "posts/101.on-tea.html": "<h3>How</h3><p>Tea is hot.</p><ul><li><p>Boil.</p></li></ul>"
    '<div class="captioned-image-container"><figure><img><figcaption>A pot</figcaption></figure></div>'
    '<p class="button-wrapper"><a class="button"><span>Subscribe now</span></a></p>',
    "posts/102.on-milk.html": "<p>Milk goes in last.</p>",
    "posts/103.a-draft.html": "<p>Not yet.</p>",
    "posts/104.episode.html": "<p>We speak of kettles.</p>",
    "posts/105.silent.html": "",
    "posts/106.thread.html": "<p>What do you drink? Tell me.</p>",
    "posts/108.other.html": "<p>Somebody else.</p>",
    "posts/101.delivers.csv": "never opened \xff",
    "email_list.ada.csv": b"caf\xe9 never opened",
}


def read(folder, path):
    return list(documents_of_substack(SubstackSource(kind="substack", path=path), folder))


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_published_posts_with_words_are_read_oldest_first(tmp_path, make):
    make(tmp_path / "substack.zip", FILES)
    tea, milk, episode, thread = read(tmp_path, "substack.zip")
    assert (tea.id, tea.title, tea.date) == ("101", "On tea", "2023-05-01")
    assert tea.text == "### How\n\nTea is hot.\n\n- Boil."
    assert (milk.title, milk.text) == ("On milk, and why", "Milk goes in last.")
    assert episode.text == "We speak of kettles."
    assert (thread.title, thread.text) == ("What do you drink?", "What do you drink? Tell me.")


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("title,subtitle\nOn tea,\n", "no columns post_id and is_published"),
        ("", "no columns post_id and is_published"),
        ('post_id,is_published\n"101.x,true\n', "not the CSV"),
        (b"post_id,is_published\n\xff\xff", "not UTF-8"),
    ],
)
def test_a_table_that_is_not_substacks_is_refused(tmp_path, table, match):
    folder_of(tmp_path / "s", {**FILES, "posts.csv": table})
    with pytest.raises(CorpusError, match=match) as refused:
        read(tmp_path, "s")
    assert "posts.csv" in str(refused.value)


def test_a_folder_without_the_table_says_where_to_get_an_export(tmp_path):
    folder_of(tmp_path / "s", {"email_list.csv": "x"})
    with pytest.raises(CorpusError, match=r"no posts\.csv.*Import / Export"):
        read(tmp_path, "s")
