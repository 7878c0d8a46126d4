"""Names in guides are names in the code: files, variables, metrics, addresses; and variables are all told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generator.routes import all_routes
from personae.secret_files import SECRET_VARIABLES
from serving.metrics import Metrics
from tests.conftest import REPOSITORY
from tests.docs.guides import LIVING, blocks, inline_code, name, text_of

ROOMS = ("personae", "bot", "serving", "training", "deploy", "requirements")
_VARIABLE = re.compile(r"\b(?:PERSONAE|DISCORD|SLACK)_[A-Z][A-Z_]*[A-Z]\b")
_SECRET_FILES = {f"{variable}_FILE" for variable in SECRET_VARIABLES}


def _sources() -> str:
    files = [path for room in ROOMS for path in (REPOSITORY / room).rglob("*") if path.is_file()]
    kinds = (".py", ".sh", ".yaml", ".toml", ".service", ".container", ".env", "")
    return "\n".join(
        path.read_text(encoding="utf-8", errors="ignore") for path in files if path.suffix in kinds
    )


@pytest.fixture(scope="module")
def sources() -> str:
    return _sources()


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_variables_are_read_somewhere(guide, sources):
    for variable in set(_VARIABLE.findall(text_of(guide))) - _SECRET_FILES:
        assert variable in sources, f"{name(guide)}: {variable}"


def test_every_variable_of_the_programs_is_told():
    """In the settings of configuration, Discord or Slack."""
    told = "\n".join(
        text_of(REPOSITORY / "docs" / page)
        for page in ("configuration.md", "discord.md", "slack.md")
    )
    read = set()
    for room in ("personae", "bot", "serving"):
        for path in (REPOSITORY / room).rglob("*.py"):
            read |= set(
                re.findall(rf"[\"']({_VARIABLE.pattern})[\"']", path.read_text(encoding="utf-8"))
            )
    assert read
    assert {variable for variable in read if f"`{variable}`" not in told} == set()


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_metrics_exist(guide):
    known = set(re.findall(r"^# TYPE (\w+)", Metrics().render().decode(), flags=re.MULTILINE))
    suffixes = ("_bucket", "_sum", "_count", "_created")
    for code in [*inline_code(guide), *blocks(guide)]:
        for metric in re.findall(r"\bpersonae_[a-z_]+\b", code):
            plain = next((metric.removesuffix(s) for s in suffixes if metric.endswith(s)), metric)
            if metric in ("personae_cpu_lora", "personae_session"):
                continue  # vLLM's name of our plugin; the console's cookie
            assert {metric, plain} & known, f"{name(guide)}: {metric}"


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_addresses_are_routes(guide):
    patterns = [re.sub(r"\{\w+\}", r"[^/\\s?]+", route.path) for route in all_routes()]
    engines = {
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/v1/completions",
        "/v1/embeddings",
    }
    for code in inline_code(guide):
        found = re.match(r"(?:(?:GET|POST|PUT|DELETE) )?(/(?:v1|admin|console)/[^\s`]*)", code)
        if found is None or "…" in found[1]:
            continue
        path = re.sub(r"[<{]\w+[>}]", "x", found[1]).partition("?")[0].rstrip("/,.")
        if path in engines or any(pattern.startswith(f"{path}/") for pattern in patterns):
            continue  # an engine's; the beginning of ours
        assert any(re.fullmatch(pattern, path) for pattern in patterns), f"{name(guide)}: {path}"


@pytest.mark.parametrize("guide", LIVING, ids=name)
def test_files_that_are_named_exist(guide):
    tops = (*ROOMS, "docs", "tests", "cast")
    for code in inline_code(guide):
        if not re.fullmatch(rf"(?:{'|'.join(tops)})/[\w./-]*", code):
            continue
        path = code.rstrip("/.")
        places = [REPOSITORY / path, guide.parent / path]
        assert any(Path(place).exists() for place in places), f"{name(guide)}: {code}"
