"""Imports run one way: bot | serving | training → personae. Only personae.cli may use the rooms."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOMS = ("bot", "serving", "training")
HEAVY = {"torch", "transformers", "peft", "sentence_transformers", "trl", "datasets", "vllm"}
NETWORK = {"aiohttp", "httpx", "requests", "huggingface_hub", "discord", "slack_bolt", "slack_sdk"}


def modules(room: str) -> list[Path]:
    found = sorted((REPOSITORY / room).rglob("*.py"))
    assert found, f"no modules found in {room}"
    return found


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """(module imported, whether at the top level of the file) of every import statement."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or "", id(node) in top


def is_front_door(path: Path) -> bool:
    return path.is_relative_to(REPOSITORY / "personae" / "cli")


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_do_not_import_each_other(room):
    others = {*ROOMS, "tests"} - {room}
    for path in modules(room):
        for name, _top in imports(path):
            assert name.split(".")[0] not in others, f"{path} imports {name}"
            assert not name.startswith("personae.cli"), f"{path} imports the front door"


def test_the_shared_nouns_import_no_room_no_torch_and_no_network():
    for path in modules("personae"):
        if is_front_door(path):
            continue
        for name, _top in imports(path):
            root = name.split(".")[0]
            assert root not in {*ROOMS, "tests"} | HEAVY | NETWORK, f"{path} imports {name}"


def test_the_front_door_imports_rooms_only_when_a_command_runs():
    """At the top of a file a room may stand only under `if TYPE_CHECKING`, which `ast` nests."""
    seen = 0
    for path in modules("personae"):
        if not is_front_door(path):
            continue
        for name, top in imports(path):
            if name.split(".")[0] in ROOMS:
                seen += 1
                assert not top, f"{path} imports {name} before any command was chosen"
    assert seen > 5


def test_serving_keeps_torch_to_the_search_models_and_the_plugin():
    for path in modules("serving"):
        allowed = path.name in ("embedder.py", "reranker.py") or path.parent.name == "vllm_plugin"
        for name, _top in imports(path):
            assert allowed or name.split(".")[0] not in HEAVY, f"{path} imports {name}"


def test_no_module_hides_a_library():
    for room in ("personae", *ROOMS, "tests"):
        for path in modules(room):
            assert path.stem not in {"discord", "slack", "vllm", "utils", "helpers", "common"}, path
