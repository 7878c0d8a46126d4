"""Rule `code`: scripts, program listings and markup that stand in the text of an article.

In: text. Out: text without fenced listings, blocks whose lines are mostly code, HTML tags and comments,
template and short codes; character references (`&amp;`) become the character they mean. A `<` or a brace in
a sentence stays, and so does a word of code within one ("call `print`").
"""

from __future__ import annotations

import html
import re
from functools import partial

from training.clean.blocks import Taken, blocks_of, joined

# Each of these stops where another of its kind begins, so that a thousand openings without an end are
# read once.
_FENCED = re.compile(
    r"^[ \t]{0,3}(`{3,}(?!`)|~{3,}(?!~))([^\n`]*)\n((?:(?!^[ \t]{0,3}\1)[\s\S])*)^[ \t]{0,3}\1[`~]*[ \t]*$",
    re.MULTILINE,
)
_ELEMENT = re.compile(
    r"<(script|style|pre|svg|iframe|noscript|template)\b[^<>]{0,2000}>(?:(?!<\1\b)[\s\S])*?</\1\s*>",
    re.IGNORECASE,
)
_COMMENT = re.compile(
    r"<!--(?:(?!<!--)[\s\S])*?-->|<!\[CDATA\[|\]\]>|<!doctype[^<>]{0,500}>", re.IGNORECASE
)
_TAG = re.compile(
    r"</?(?:a|abbr|address|article|aside|audio|b|big|blockquote|body|br|button|center|cite|code|dd|del|details|dfn|div"
    r"|dl|dt|em|embed|figcaption|figure|font|footer|form|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li"
    r"|link|main|mark|meta|nav|noscript|object|ol|option|p|param|picture|pre|q|s|script|section|select|small|source|span"
    r"|strike|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|var"
    r"|video|wbr)(?:\s[^<>]{0,4000})?/?>",
    re.IGNORECASE,
)
_BREAKING = re.compile(
    r"</?(?:br|p|div|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|hr)\b", re.I
)
_SHORTCODE = re.compile(
    r"\[/?(?:caption|gallery|embed|audio|video|playlist|code|sourcecode|contact-form(?:-7)?|wp_\w+|vc_\w+|et_pb_\w+"
    r"|shortcode|youtube|soundcloud|tweet|latex|toc)(?:\s[^\[\]\n]{0,1000})?/?\]",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"\{%[^%\n]{0,1000}%\}|\{\{[^{}\n]{0,1000}\}\}")
_REFERENCE = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#\d{1,7}|#[xX][0-9A-Fa-f]{1,6});")

_REFERENCES = "a character reference, written out"
_MARKUP = (
    (_COMMENT, "a comment in markup"),
    (_ELEMENT, "a script, style or preformatted part"),
    (_SHORTCODE, "a short code of the publishing program"),
    (_TEMPLATE, "a placeholder of a template"),
)
_SHARE_OF_CODE = 0.6
_LONGEST_LINE = 500
_CODE_LINE = re.compile(
    "|".join(
        [
            r"(?:def|class) \w+\s*[(:].*",
            r"(?:from [\w.]+ )?import [\w.{}*, ]+;?",
            r"(?:public|private|protected|static|void|int|const|let|var|function|fn|func)\b.*[={(].*",
            r"(?:if|for|while|switch|elif|else if)\s*\(.*\)\s*\{?",
            r"(?:if|for|while|elif|with|try|except|else)\b[^.!?]*:",
            r"#(?:include|define|ifdef|endif|!/).*|//.*|/\*.*|\*/",
            r"(?:SELECT|FROM|WHERE|INSERT INTO|UPDATE|CREATE TABLE|DELETE FROM)\b.*",
            r"return\b[^.!?]*;?",
            r"[}\])]+[;,]?|.*[{}]|.*[)\]}\"'=].*;|.*\)\s*=>.*",
            r"(?:\$|>>>|%) ?[a-z./][\w./-]*(?: .*)?",
            r"[\w.\[\]'\"]+ ?[-+*/]?= ?\S.*|[\w.]+\(.*\);?",
            r"[.#@]?[\w-]+\s*\{.*|\"[\w-]+\":.*",
        ]
    )
)
"""A line that may be code; some of these are lines of prose as well."""
_STRONG = re.compile(
    "|".join(
        [
            r"[{}]\s*$|[)\]}\"'];$|=.*;$|=>|==|\w\(.*\);?\s*$|\w+\.\w+\(|\w+ = \w|^\"[\w-]+\":",
            r"^(?:def \w+\(|class \w+[(:]|import [\w.]+$|from [\w.]+ import|#include|function\b.*\()",
            r"^(?:const|let|var) \w+ =|^return\b.*;$|^\$ [a-z]|^>>> |^</",
            r"^(?:SELECT|INSERT INTO|CREATE TABLE|DELETE FROM) \w",
        ]
    )
)
_ONE_LINER = re.compile(
    r"(?:\(function\s*\(|(?:var|let|const) \w+\s*=|function \w*\(|window\.\w+|document\.\w+\("
    r"|\{\s*\"[@\w-]+\"\s*:|@media\b|[.#]?[\w-]+\s*\{[^{}]*:[^{}]*;|if \(.*\)\s*\{"
    r"|import \w+ from ['\"]).*[;})\]]",
    re.DOTALL,
)


def without_code(text: str) -> tuple[str, list[Taken]]:
    """The text without code and markup, and what went."""
    taken: list[Taken] = []
    text = _FENCED.sub(partial(_listing_gone, taken=taken), text)
    for pattern, why in _MARKUP:
        text = pattern.sub(partial(_gone, why=why, taken=taken), text)
    text = _TAG.sub(partial(_tag_gone, taken=taken), text)
    kept: list[str] = []
    blocks = blocks_of(text)
    for block in blocks:
        if is_code(block):
            taken.append(Taken(block, "a program listing"))
        else:
            kept.append(block)
    if len(kept) < len(blocks) or any(piece.why != _REFERENCES for piece in taken):
        text = joined(kept)
    return _REFERENCE.sub(partial(_character, taken=taken), text), taken


def is_code(block: str) -> bool:
    """Whether most lines of a block are code, and some could be nothing else."""
    lines = [line.strip()[:_LONGEST_LINE] for line in block.splitlines() if line.strip()]
    if len(lines) == 1:
        return _ONE_LINER.fullmatch(block.strip()) is not None
    like_code = sum(_CODE_LINE.fullmatch(line) is not None for line in lines)
    surely = sum(_STRONG.search(line) is not None for line in lines)
    return like_code >= _SHARE_OF_CODE * len(lines) and surely >= max(2, 0.4 * len(lines))


def _listing_gone(found: re.Match[str], taken: list[Taken]) -> str:
    fence, language, between = found.groups()
    # Writers also set lines of ~~~ between the parts of a text.
    if fence.startswith("~") and not language.strip() and not is_code(between):
        return found.group()
    return _gone(found, "a program listing", taken)


def _gone(found: re.Match[str], why: str, taken: list[Taken]) -> str:
    taken.append(Taken(found.group(), why))
    return "\n\n" if "\n" in found.group() else " "


def _tag_gone(found: re.Match[str], taken: list[Taken]) -> str:
    taken.append(Taken(found.group(), "a tag of HTML"))
    # A tag within a word leaves the word whole; one that breaks the line must not join two.
    return "\n" if _BREAKING.match(found.group()) else ""


def _character(found: re.Match[str], taken: list[Taken]) -> str:
    meant = html.unescape(found.group())
    if meant == found.group():
        return meant
    taken.append(Taken(found.group(), _REFERENCES))
    return " " if meant == "\xa0" else meant
