"""Every sentence is there in every language, needs the same values, and is asked for as it is written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from fluent.syntax import FluentParser
from fluent.syntax import ast as ftl
from fluent.syntax.visitor import Visitor

from bot.core.admin import Scope
from bot.core.order import Strength
from bot.core.sentences import LANGUAGES, source, speaker
from bot.core.surface import Control
from bot.state.records import Rating, UsageKind
from personae.errors import GatewayUnreachable, PersonaeError

BOT = Path(__file__).parents[3] / "bot"


class _Variables(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ftl.VariableReference) -> None:
        self.names.add(node.id.name)


def messages(language: str) -> dict[str, set[str]]:
    """Name → values it needs."""
    found: dict[str, set[str]] = {}
    for entry in FluentParser().parse(source(language)).body:
        assert not isinstance(entry, ftl.Junk), entry.content
        if isinstance(entry, ftl.Message):
            assert entry.id.name not in found, f"{entry.id.name} is there twice in {language}"
            variables = _Variables()
            variables.visit(entry)
            found[entry.id.name] = variables.names
    return found


def asked_for() -> Iterator[tuple[str, str, set[str] | None]]:
    """(file, name, values) of each `say("name", value=…)` in the bots; values None where not all are seen."""
    for path in sorted(BOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            first = node.args[0]
            if name not in ("say", "_say") or not isinstance(first, ast.Constant):
                continue
            if not isinstance(first.value, str):
                continue
            given = {keyword.arg for keyword in node.keywords}
            values = None if None in given else {its for its in given if its}
            yield path.name, first.value, values


def test_both_languages_hold_the_same_sentences() -> None:
    english = messages("en")
    assert len(english) > 100
    for language in LANGUAGES:
        other = messages(language)
        assert other.keys() == english.keys(), sorted(other.keys() ^ english.keys())
        for name, values in english.items():
            if name.startswith("error-"):  # a translation may do without the server's own sentence
                assert other[name] <= values
            else:
                assert other[name] == values, name


def test_what_the_code_asks_for_is_there_with_its_values() -> None:
    english = messages("en")
    names = set()
    for file, name, values in asked_for():
        assert name in english, f"{file} says {name}, which no language has"
        if values is not None:
            assert values == english[name], f"{file} says {name} with {values}"
        names.add(name)
    assert len(names) > 60


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_ch", "de"),
        ("en-US", "en"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_a_locale_is_a_language_or_english(locale: str | None, language: str) -> None:
    assert speaker(locale).locale == language


def test_a_sentence_that_is_not_there_is_an_error() -> None:
    say = speaker("en")
    with pytest.raises(LookupError):
        say("no-such-sentence")
    with pytest.raises(LookupError, match="seconds"):
        say("retry-in")


@pytest.mark.parametrize(
    ("position", "seconds", "english"),
    [
        (1, 1, "In line: 1st, about 1 s."),
        (2, 7, "In line: 2nd, about 7 s."),
        (3, 20, "In line: 3rd, about 20 s."),
        (11, 20, "In line: 11th, about 20 s."),
        (22, 90, "In line: 22nd, about 90 s."),
        (113, 90, "In line: 113th, about 90 s."),
    ],
)
def test_a_place_in_line_reads_well(position: int, seconds: int, english: str) -> None:
    assert speaker("en")("in-line", position=position, seconds=seconds) == english
    german = speaker("de")("in-line", position=position, seconds=seconds)
    assert german == f"Warteschlange: Platz {position}, etwa {seconds} s."


def test_errors_are_translated_by_code_and_english_keeps_the_servers_own() -> None:
    err = GatewayUnreachable("Nobody is there.", retry_after_seconds=0.2)
    assert speaker("en").error(err) == "Nobody is there. (Try again in about 1 s.)"
    assert speaker("de").error(err).startswith("Das Gateway von personae ist gerade nicht")
    assert speaker("de").in_words("something_new", "As it is.") == "As it is."


def made() -> set[str]:
    """Names that the code puts together."""
    strengths, controls = get_args(Strength), set(get_args(Control))
    names = {
        f"quota-{kind}-{unit}" for kind in get_args(UsageKind) for unit in ("requests", "tokens")
    }
    names |= {f"default-set-{scope}" for scope in get_args(Scope)}
    names |= {f"limits-whom-{scope}" for scope in ("person", "role")}
    names |= {f"kind-{kind}" for kind in ("quote", "paraphrase", "inference")}
    names |= {f"marked-{kind}" for kind in ("quote", "paraphrase")}
    names |= {f"rated-{rating}" for rating in get_args(Rating)}
    names |= {f"{on}-strength-{its}" for on in ("discord", "slack") for its in strengths}
    names |= {f"slack-button-{control}" for control in controls}
    names |= {f"discord-button-{control}" for control in controls - {"up", "down"}}
    names |= {
        f"discord-privacy-{action}" for action in ("show", "export", "opt-out", "opt-in", "delete")
    }
    names |= {f"discord-privacy-language-{its}" for its in (*LANGUAGES, "auto")}
    names |= {f"slack-home-{choice}" for choice in ("opt-out", "opt-in")}
    names |= {f"slack-home-own-names-{names}" for names in ("on", "off")}
    return names


def put_together() -> Iterator[tuple[str, str]]:
    """(file, pattern) of each name that the bots put together where they say it."""
    for path in sorted(BOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[0]
            if name in ("say", "_say", "phrase") and isinstance(first, ast.JoinedStr):
                parts = [getattr(its, "value", None) for its in first.values]
                yield (
                    path.name,
                    "".join(re.escape(its) if isinstance(its, str) else "[a-z-]+" for its in parts),
                )


def literals() -> set[str]:
    """Every plain string of the bots' code."""
    return {
        node.value
        for path in BOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def error_codes() -> set[str]:
    kinds, codes = [PersonaeError], set()
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        codes.add(kind.code)
    return codes


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_that_the_code_puts_together_are_there(language: str) -> None:
    say = speaker(language)
    assert sorted(name for name in made() if not say.knows(name)) == []
    patterns = list(put_together())
    assert len(patterns) > 8
    for file, pattern in patterns:
        assert any(re.fullmatch(pattern, name) for name in made()), f"{file}: {pattern}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_used(language: str) -> None:
    used = literals() | made() | {f"error-{code.replace('_', '-')}" for code in error_codes()}
    assert sorted(messages(language).keys() - used) == []
