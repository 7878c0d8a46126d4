"""A scratch home for a bench: a cast of eight personas and their adapters, made from real ones.

In: the configuration, the cast and its trained adapters. Out: a folder below the real home that holds
everything a gateway needs (models are linked), and vanishes when the block ends, however it ends. The
real home's pointers, versions and logs are never touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personae.config import Config
from personae.errors import AdapterError, ConfigError
from personae.manifest import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    AdapterManifest,
    BaseModelRef,
    hash_files,
    read_manifest,
)
from personae.persona import Cast, Persona, load_cast
from personae.prompt import fingerprint
from personae.registry import RegisteredVersion, Registry
from personae.weights import model_folder, read_model_manifest

PERSONAS = 8
_PREFIX = "bench-"

# Shares of the trained lora_alpha that make adapters differ in words and not in cost.
_SCALES = (1.0, 0.8, 1.25, 0.65)
_NEVER_SECONDS = 3600.0

Settings = Mapping[str, Mapping[str, Any]]
"""Section of personae.toml → key → value."""


@dataclass(frozen=True)
class _Voice:
    """A trained adapter that the bench's are made from."""

    persona: Persona
    folder: Path
    manifest: AdapterManifest


@dataclass(frozen=True)
class BenchHome:
    """The scratch home of one bench."""

    folder: Path
    config_file: Path
    url: str
    admin_key: str
    base_model: BaseModelRef
    cast: Cast
    registry: Registry
    voices: tuple[_Voice, ...]

    @property
    def personas(self) -> list[str]:
        return list(self.cast)

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def add_version(self, persona: str, *, voice: int, scale: float) -> RegisteredVersion:
        """Publish a version for a persona: a trained voice with its lora_alpha scaled."""
        source = self.voices[voice % len(self.voices)]
        with tempfile.TemporaryDirectory(dir=self.folder) as aside:
            files = Path(aside)
            shutil.copyfile(source.folder / ADAPTER_WEIGHTS, files / ADAPTER_WEIGHTS)
            config = json.loads((source.folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
            config["lora_alpha"] = config["lora_alpha"] * scale
            (files / ADAPTER_CONFIG).write_text(json.dumps(config), encoding="utf-8")
            manifest = AdapterManifest(
                persona=persona,
                version=self.registry.next_version(persona),
                base_model=self.base_model,
                prompt_fingerprint=fingerprint(self.cast[persona]),
                rank=source.manifest.rank,
                recipe={"command": "personae bench", "scaled": scale, "from": source.persona.id},
                dataset_fingerprint=source.manifest.dataset_fingerprint,
                metrics={},
                gate="not gated",
                files=hash_files(files),
                created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            return self.registry.add(files, manifest)


@contextlib.contextmanager
def bench_home(config: Config, *, settings: Settings) -> Iterator[BenchHome]:
    """A home with the cast of eight.

    Args:
        settings: sections of personae.toml whose values differ from the configuration's.

    Raises:
        ConfigError: the engine is not ours, or there is no adapter for its base model.
        ModelError: the base model is not there.
    """
    with _scratch(config) as folder:
        voices = _voices(config, _base_model(config))
        for number in range(PERSONAS):
            _write_persona(folder / "cast", f"bench{number + 1}", voices[number % len(voices)])
        # A heartbeat would join the batches that are compared.
        quiet = {"engine": {"heartbeat_seconds": _NEVER_SECONDS}, **settings}
        home = _home(config, folder, [folder / "cast"], voices, quiet)
        for number, persona in enumerate(home.personas):
            home.add_version(persona, voice=number, scale=_SCALES[number // len(voices) % 4])
        yield home


@contextlib.contextmanager
def served_home(config: Config) -> Iterator[BenchHome]:
    """A home with the configured cast: its corpora and indexes copied, its adapters as first shipped.

    Raises:
        ConfigError, ModelError: as `bench_home`.
    """
    with _scratch(config) as folder:
        for part in (config.corpora, config.indexes, config.adapters):
            if part.is_dir():
                shutil.copytree(part, folder / part.name, symlinks=True)
        yield _home(config, folder, config.cast, (), {})


@contextlib.contextmanager
def _scratch(config: Config) -> Iterator[Path]:
    """A folder below the home, with its models, until the block ends."""
    if config.engine.url is not None:
        raise ConfigError(
            "A bench starts its own engine, and this configuration names one that runs elsewhere. "
            "Remove [engine] url, or choose another profile."
        )
    config.home.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(config.home)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=config.home)).absolute()
    try:
        (folder / "models").symlink_to(config.models.absolute(), target_is_directory=True)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _home(
    config: Config,
    folder: Path,
    cast: Sequence[Path],
    voices: tuple[_Voice, ...],
    settings: Settings,
) -> BenchHome:
    port = _free_port()
    config_file = folder / "personae.toml"
    config_file.write_text(_toml(config, folder, port, cast, settings), encoding="utf-8")
    return BenchHome(
        folder=folder,
        config_file=config_file,
        url=f"http://127.0.0.1:{port}",
        admin_key=secrets.token_urlsafe(24),
        base_model=_base_model(config),
        cast=load_cast(cast),
        registry=Registry(folder / "adapters"),
        voices=voices,
    )


def _base_model(config: Config) -> BaseModelRef:
    base = read_model_manifest(model_folder(config.models, config.engine.base_model))
    return BaseModelRef(id=base.id, weights_sha256=base.weights_sha256)


def _voices(config: Config, base: BaseModelRef) -> tuple[_Voice, ...]:
    """Trained adapters of the configured cast for this base: shipped ones, or the registry's."""
    cast = load_cast(config.cast)
    found = []
    for persona_id, persona in cast.items():
        shipped = sorted((cast.folder(persona_id) / "adapters").glob("v*/"))
        folders = [*shipped, *(v.folder for v in Registry(config.adapters).versions(persona_id))]
        for folder in folders:
            with contextlib.suppress(AdapterError):
                manifest = read_manifest(folder)
                if manifest.base_model == base and (folder / ADAPTER_WEIGHTS).is_file():
                    found.append(_Voice(persona, folder, manifest))
                    break
    if not found:
        where = ", ".join(str(folder) for folder in config.cast)
        raise ConfigError(
            f"No persona in {where} has an adapter for {base.id}, and a bench needs one to make its "
            "own from. Train one with `personae train run <persona>`, or name another cast in "
            "[personae] cast."
        )
    return tuple(found[:2])


def _write_persona(cast: Path, persona_id: str, voice: _Voice) -> None:
    """A persona with a voice's prompts, nothing indexed, and greedy sampling without penalties."""
    source = voice.persona

    def words(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)  # a JSON string is a TOML string

    sampling = "sampling = { temperature = 0.0, top_p = 1.0, max_tokens = 64 }"
    text = f"""\
id = {words(persona_id)}
display_name = {words(f"{source.display_name} ({persona_id})")}
description = "A bench's copy"
disclosure = {words(source.disclosure)}
refusal = {words(source.refusal)}

[ask]
system = {words(source.ask.system)}
max_question_characters = 20000
{sampling}

[rewrite]
system = {words(source.rewrite.system)}
max_text_characters = 20000
{sampling}

[retrieval]
passages = 0

[[sources]]
kind = "site"
url = "https://example.org/nothing-is-fetched"

[rights]
owner = "nobody"
licence = "public domain"
statement = "A persona of a benchmark; it has no writing."
"""
    folder = cast / persona_id
    folder.mkdir(parents=True)
    (folder / "persona.toml").write_text(text, encoding="utf-8")


def _toml(config: Config, folder: Path, port: int, cast: Sequence[Path], settings: Settings) -> str:
    """The configuration as a file for the gateway under measurement."""
    sections: dict[str, dict[str, Any]] = {
        "personae": {
            "profile": config.profile,
            "home": str(folder),
            "cast": [str(path.absolute()) for path in cast],
        },
        "gateway": config.gateway.model_dump() | {"host": "127.0.0.1", "port": port},
        "engine": config.engine.model_dump(),
        "retrieval": config.retrieval.model_dump(),
        "deadlines": config.deadlines.model_dump(),
    }
    lines = []
    for section, values in sections.items():
        lines.append(f"[{section}]")
        for name, value in (values | dict(settings.get(section, {}))).items():
            if value is not None:
                lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _remove_leftovers(home: Path) -> None:
    """Scratch homes of benches that were killed; their folder's name tells their process."""
    for folder in home.glob(f"{_PREFIX}*-*"):
        process = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if process.isdigit() and not Path("/proc", process).exists():
            shutil.rmtree(folder, ignore_errors=True)
