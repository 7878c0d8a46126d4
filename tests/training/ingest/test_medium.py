"""A Medium export becomes its published stories; drafts and responses stay behind."""

from __future__ import annotations

import pytest

from personae.errors import CorpusError
from personae.sources import MediumSource
from tests.training.ingest.zips import folder_of, zip_of
from training.ingest.medium import documents_of_medium


def story(title: str, body: str, subtitle: str = "") -> str:
    return (
        '<!DOCTYPE html><html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">'
        f"<title>{title}</title><style>* {{ color: red }}</style></head><body>"
        f'<article class="h-entry"><header><h1 class="p-name">{title}</h1></header>\n'
        f'<section data-field="subtitle" class="p-summary">\n{subtitle}\n</section>\n'
        '<section data-field="body" class="e-content">\n<section name="ab" class="section section--body">'
        f'<div class="section-divider"><hr></div><div class="section-content">{body}</div></section>'
        "\n</section>"
        '\n<footer><p>By <a href="https://medium.com/@ada" class="p-author h-card">Ada</a> on '
        '<a href="https://medium.com/p/0123456789ab"><time class="dt-published" '
        'datetime="2019-07-08T09:10:11.000Z">July 8, 2019</time></a>.</p>'
        '<p><a href="https://medium.com/@ada/on-tea-0123456789ab" class="p-canonical">Canonical link</a></p>'
        "<p>Exported from Medium.</p></footer></article></body></html>"
    )


TEA = story(
    "On tea",
    '<h3 name="t" class="graf graf--h3 graf--leading graf--title">On tea</h3>'
    '<p class="graf graf--p">Tea is <strong>hot</strong>.</p><h4 class="graf graf--h4">How</h4>'
    '<ul class="postList"><li class="graf graf--li">Boil.</li></ul>'
    '<figure class="graf graf--figure"><img><figcaption>A pot</figcaption></figure>'
    '<blockquote class="graf graf--blockquote">Hot!</blockquote>',
    subtitle="Tea is …",
)
FILES = {
    "posts/2019-07-08_On-tea-0123456789ab.html": TEA,
    "posts/draft_Coffee-aaaaaaaaaaaa.html": story(
        "Coffee", "<h3 class='graf--title'>Coffee</h3><p>No.</p>"
    ),
    "posts/2019-08-01_I-agree-with-all-bbbbbbbbbbbb.html": story(
        "I agree with all of it, and…",
        '<p class="graf graf--p">I agree with all of it, and more.</p>',
    ),
    "posts/2019-09-01_Untitled-cccccccccccc.html": story("Only a title", "<h3>Only a title</h3>"),
    "profile/profile.html": "<p>A profile</p>",
}


def read(folder, path):
    return list(documents_of_medium(MediumSource(kind="medium", path=path), folder))


@pytest.mark.parametrize("make", [zip_of, folder_of])
def test_only_published_stories_are_read_with_day_and_address(tmp_path, make):
    make(tmp_path / "medium.zip", FILES)
    (document,) = read(tmp_path, "medium.zip")
    assert document.id == "0123456789ab"
    assert (document.title, document.date) == ("On tea", "2019-07-08")
    assert document.url == "https://medium.com/@ada/on-tea-0123456789ab"
    assert document.text == "Tea is hot.\n\n#### How\n\n- Boil.\n\n> Hot!"


def test_a_story_without_a_heading_whose_title_differs_from_its_words_is_no_response(tmp_path):
    page = story("On bread", "<p>Flour, water, salt.</p>").replace("dt-published", "x")
    folder_of(tmp_path / "m", {"posts/2020-02-03_On-bread.html": page})
    (document,) = read(tmp_path, "m")
    assert (document.id, document.date) == ("2020-02-03_On-bread", "2020-02-03")


def test_another_folder_and_another_encoding_are_refused(tmp_path):
    folder_of(tmp_path / "m", {"pages/a.html": "<p>x</p>"})
    with pytest.raises(CorpusError, match=r"no posts/\*\.html.*Download your information"):
        read(tmp_path, "m")
    folder_of(tmp_path / "n", {"posts/2020-02-03_a.html": "caf\xe9".encode("latin-1")})
    with pytest.raises(CorpusError, match=r"2020-02-03_a\.html is not UTF-8"):
        read(tmp_path, "n")
