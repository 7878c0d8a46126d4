"""HTML becomes text whose headings, lists and quotes are still to be seen, however broken it is."""

from __future__ import annotations

import pytest

from training.ingest.html_text import text_of_html


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One<br>two</p><p>Three&nbsp;&amp; four</p>", "One\ntwo\n\nThree & four"),
        (
            "<ul><li>a <b>b</b><ul><li>c</li></ul></li><li><p>d</p></li></ul>e",
            "- a b\n  - c\n- d\n\ne",
        ),
        ("<ol><li>x<li>y</ol><ol><li>z</ol>", "1. x\n2. y\n\n1. z"),
        ("<blockquote><p>q</p><p>r</p></blockquote>s", "> q\n\n> r\n\ns"),
        ("<blockquote><ul><li>q</li></ul></blockquote>", "> - q"),
        ("<h2>A <i>b</i></h2>c<h3></h3>", "## A b\n\nc"),
        ("<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>", "1 2\n\n3"),
        ("<pre>a\n  b</pre><pre><code>x = 1</code></pre>", "a\nb"),
        ("<figure><img><figcaption>cap</figcaption></figure><p>x</p>", "x"),
        ("<nav><ul><li>menu</li></ul></nav><p>x</p><svg><title>t</title></svg>", "x"),
        (
            "<ul><li>never closed<h2>Next</h2><p>a</p><p>b</p>",
            "- never closed\n\n## Next\n\na\n\nb",
        ),
        ("</p></ul></blockquote></nav>x", "x"),
        ("a<![endif]>b<![CDATA[c]]><!-- d -->", "abc"),
        ("<h1>open", "# open"),
        ("", ""),
    ],
)
def test_blocks_are_marked_as_in_markdown(html, text):
    assert text_of_html(html).text == text


@pytest.mark.parametrize(
    "piece", ["<nav>", "<p>", "<ul><li>", "<blockquote>", "<![", "<!--", "<a b='", "&#"]
)
def test_a_page_of_one_piece_over_and_over_is_read_to_its_end(piece):
    text_of_html(piece * 20_000 + "</form>" * 1000)
