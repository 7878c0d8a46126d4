"""Every command that a guide tells people to type is one that there is, with the options it has."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from personae.cli import cli
from tests.conftest import REPOSITORY
from tests.docs.guides import LIVING, blocks, inline_code, name

_PLACEHOLDER = re.compile(r"^(?:…|\.\.\.|<.*|\[.*|[A-Z_]+)$")


def _lines(guide: Path) -> Iterator[str]:
    """What can be typed: commands of fences, one by one, and code in sentences."""
    for block in blocks(guide):
        for line in block.replace("\\\n", " ").splitlines():
            line = re.sub(r"(?:^|\s)#.*$", "", line)
            yield from (part.strip().removeprefix("$ ").strip() for part in re.split(r"&&|;", line))
    yield from inline_code(guide)


def _calls(guide: Path, program: str) -> list[list[str]]:
    """The arguments of every call, by white space (quotations don't matter here)."""
    found = []
    for line in _lines(guide):
        if re.match(rf"(?:[A-Z_]+=\S+ )*(?:\S+/)?{re.escape(program)}(?: |$)", line):
            found.append(line.partition(f"{program}")[2].split())
    return found


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_commands_of_personae_exist_with_their_options(guide):
    for arguments in _calls(guide, "personae"):
        _check(cli, arguments, f"{name(guide)}: personae {' '.join(arguments)}")


def _check(command: click.Command, arguments: list[str], told: str) -> None:
    options = {
        option: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help": None, "-h": None}
    rest = list(arguments)
    while rest:
        word = rest.pop(0).strip("[](),")
        if word in ("|", ">", "<", "2>&1"):
            return
        if word.startswith("-") and len(word) > 1:
            for option in word.partition("=")[0].split("/"):
                assert option in options, f"{told}: no {option}"
            parameter = options[word.partition("=")[0].split("/")[0]]
            takes_a_value = parameter is not None and not parameter.is_flag and "=" not in word
            if isinstance(command, click.Group) and takes_a_value:
                rest = rest[1:]
        elif isinstance(command, click.Group):
            if _PLACEHOLDER.match(word):
                return
            for alternative in word.split("|"):
                assert alternative in command.commands, f"{told}: no {alternative}"
                if alternative == word.split("|")[-1]:
                    _check(command.commands[alternative], rest, told)
            return


def test_the_check_finds_what_is_wrong():
    _check(cli, ["--profile", "gpu-24g", "adapters", "reload", "ada", "v1", "--reason", "x"], "")
    for wrong in (["adaptors", "list"], ["adapters", "relode"], ["ask", "ada", "--loud"]):
        with pytest.raises(AssertionError):
            _check(cli, wrong, "")


def test_something_is_checked():
    assert sum(len(_calls(guide, "personae")) for guide in LIVING) > 100


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_make_targets_and_modules_exist(guide):
    targets = set(
        re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
    )
    for arguments in _calls(guide, "make"):
        for word in arguments:
            if re.fullmatch(r"[a-z-]+", word):
                assert word in targets, f"{name(guide)}: make {word}"
    for line in _lines(guide):
        for module in re.findall(r"\bpython3? -m ([\w.]+)", line):
            if module.split(".")[0] in ("bot", "docs", "personae", "serving", "tests", "training"):
                assert importlib.util.find_spec(module), f"{name(guide)}: python -m {module}"
