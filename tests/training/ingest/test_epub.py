"""A book in a folder becomes its chapters; covers, contents and copyright pages stay out."""

from __future__ import annotations

import pytest

from personae.errors import CorpusError
from personae.sources import FolderSource
from tests.training.ingest.zips import zip_of
from training.ingest.epub import documents_of_epub
from training.ingest.folder import documents_of_folder

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
    '<rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/>'
    "</rootfiles></container>"
)


def page(body: str, body_type: str = "") -> str:
    kind = f' epub:type="{body_type}"' if body_type else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops"><head><title/></head><body{kind}>{body}</body></html>'
    )


def book(pages: dict[str, str], *, guide: str = "", date: str = "1899-05-01", **files: str):
    """An EPUB whose spine is `pages` in this order; a name that begins with "nav" is the navigation."""
    items = "".join(
        f'<item id="{name}" href="text/{name.replace(" ", "%20")}.xhtml" '
        f'properties="{"nav" if name == "nav" else ""}" media-type="application/xhtml+xml"/>'
        for name in pages
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in pages)
    package = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Kettle</dc:title>'
        f"<dc:creator>Ada Brook</dc:creator><dc:date>{date}</dc:date></metadata>"
        f'<manifest>{items}<item id="css" href="a.css" media-type="text/css"/></manifest>'
        f"<spine>{spine}</spine>{guide}</package>"
    )
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": package,
        **{f"OEBPS/text/{name}.xhtml": text for name, text in pages.items()},
        **files,
    }


CHAPTERS = {
    "cover": page("<img/>"),
    "nav": page("<nav epub:type='toc'><h1>Contents</h1></nav>"),
    "intro": page("<h1>All rights reserved</h1><p>Somebody.</p>", "copyright-page"),
    "one": page("<section epub:type='chapter'><h2>On fire</h2><p>It&#160;is hot.</p></section>"),
    "one b": page("<p>It goes on.</p><blockquote><p>Hot!</p></blockquote>"),
    "two": page("<h2>On water</h2><p>It is wet.</p>"),
    "empty": page("<h2>Part two</h2>"),
}


def read(tmp_path, files):
    return list(documents_of_epub(zip_of(tmp_path / "kettle.epub", files), "kettle.epub"))


def test_chapters_come_in_reading_order_with_title_and_date(tmp_path):
    fire, water = read(tmp_path, book(CHAPTERS))
    assert (fire.id, fire.title) == ("kettle.epub#OEBPS/text/one.xhtml", "The Kettle: On fire")
    assert fire.date == "1899-05-01"
    assert fire.text == "## On fire\n\nIt is hot.\n\nIt goes on.\n\n> Hot!"
    assert (water.title, water.text) == ("The Kettle: On water", "## On water\n\nIt is wet.")


def test_pages_that_the_guide_or_the_spine_sets_apart_are_left_out(tmp_path):
    guide = '<guide><reference type="title-page" href="text/first.xhtml"/></guide>'
    pages = {
        "first": page("<h1>The Kettle</h1><p>By Ada.</p>"),
        "a": page("<h2>A</h2><p>Aye.</p>"),
        "b": page("<h2>B</h2><p>Bee.</p>"),
        "notes": page("<h2>Notes</h2><p>Ibid.</p>"),
    }
    files = book(pages, guide=guide)
    files["OEBPS/content.opf"] = files["OEBPS/content.opf"].replace(
        '<itemref idref="notes"/>', '<itemref idref="notes" linear="no"/>'
    )
    assert [one.title for one in read(tmp_path, files)] == ["The Kettle: A", "The Kettle: B"]


def test_a_book_without_chapters_is_one_document(tmp_path):
    (whole,) = read(
        tmp_path, book({"a": page("<p>One.</p>"), "b": page("<p>Two.</p>")}, date="1899")
    )
    assert (whole.id, whole.title, whole.date) == ("kettle.epub", "The Kettle", "1899")
    assert whole.text == "One.\n\nTwo."


def test_the_folder_reader_reads_books_beside_other_files(tmp_path):
    zip_of(tmp_path / "w" / "books" / "Kettle.EPUB", book(CHAPTERS))
    (tmp_path / "w" / "tea.md").write_text("# Tea\n\nHot.")
    documents = list(documents_of_folder(FolderSource(kind="folder", path="w"), tmp_path))
    assert [one.id for one in documents] == [
        "books/Kettle.EPUB#OEBPS/text/one.xhtml",
        "books/Kettle.EPUB#OEBPS/text/two.xhtml",
        "tea.md",
    ]


def encrypted(algorithm: str) -> str:
    return (
        '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<enc:EncryptedData xmlns:enc="http://www.w3.org/2001/04/xmlenc#">'
        f'<enc:EncryptionMethod Algorithm="{algorithm}"/></enc:EncryptedData></encryption>'
    )


def test_copy_protection_is_refused_and_scrambled_fonts_are_not(tmp_path):
    fonts = {"META-INF/encryption.xml": encrypted("http://www.idpf.org/2008/embedding")}
    assert len(read(tmp_path, {**book(CHAPTERS), **fonts})) == 2
    drm = {"META-INF/encryption.xml": encrypted("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}
    with pytest.raises(CorpusError, match=r"kettle\.epub is copy-protected.*without"):
        read(tmp_path, {**book(CHAPTERS), **drm})


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"META-INF/container.xml": "<container"}, r"container\.xml .*not well-formed"),
        ({"META-INF/container.xml": "<container/>"}, r"container\.xml .*names no list"),
        ({"OEBPS/content.opf": "<package>"}, r"content\.opf .*not well-formed"),
        (
            {"OEBPS/content.opf": '<!DOCTYPE p [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><p>&b;</p>'},
            r"content\.opf .*declares entities",
        ),
        (
            {
                "META-INF/container.xml": '<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/hosts">]><p>&a;</p>'
            },
            r"container\.xml .*declares entities",
        ),
        ({"META-INF/encryption.xml": "no"}, r"encryption\.xml .*not well-formed"),
        ({"OEBPS/text/one.xhtml": b"\xff\xff\xfe"}, r"one\.xhtml .*not UTF-8"),
    ],
)
def test_a_damaged_or_hostile_book_is_refused_by_the_files_name(tmp_path, changes, match):
    with pytest.raises(CorpusError, match=match) as refused:
        read(tmp_path, {**book(CHAPTERS), **changes})
    assert "kettle.epub" in str(refused.value)


def test_what_is_missing_in_a_book_and_what_is_no_book_are_said(tmp_path):
    files = book(CHAPTERS)
    del files["OEBPS/text/two.xhtml"]
    with pytest.raises(CorpusError, match=r"two\.xhtml .*not in the book"):
        read(tmp_path, files)
    with pytest.raises(CorpusError, match=r"not an EPUB book: it has no META-INF"):
        read(tmp_path, {"a.txt": "x"})
    (tmp_path / "text.epub").write_text("no zip")
    with pytest.raises(CorpusError, match=r"text\.epub is not an EPUB book"):
        list(documents_of_epub(tmp_path / "text.epub", "text.epub"))
