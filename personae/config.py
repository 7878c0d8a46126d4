"""Configuration: one optional `personae.toml`, the environment, and profiles with good defaults.

Read once, in `main`. Unknown keys are errors, and all problems are told at once. Secrets come from
the environment only, are kept in `SecretStr`, and never reach a log.

    [personae]          profile, home, cast
    [gateway]           host, port, limits
    [engine]            base_model, url (external), and what the engine is started with
    [engines."<base model>"]   the same for a further base model, served beside the first
    [retrieval]         embedder
    [deadlines]         how long a person waits at most
    [adapters]          how new versions go live and old ones go
    [observability]     traces, form of the log

Environment: PERSONAE_HOME, PERSONAE_PROFILE and PERSONAE_BASE_MODEL override the file;
PERSONAE_ADMIN_KEY, PERSONAE_API_KEY, PERSONAE_ENGINE_KEY, PERSONAE_DATABASE_URL, DISCORD_TOKEN,
SLACK_BOT_TOKEN and SLACK_APP_TOKEN are secrets (from files: personae/secret_files.py).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from personae.errors import ConfigError
from personae.logs import LogFormat

CONFIG_FILE = "personae.toml"
OWN_CAST = "cast"

ProfileName = Literal["cpu-demo", "gpu-24g", "gpu-80g", "external"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewayConfig(_Section):
    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65535)
    hosts: list[str] = []
    """Public names of the gateway, which it answers to without an API key too."""
    max_request_bytes: int = Field(1 << 20, ge=1024)
    max_answers_at_once: int = Field(16, ge=1)
    """Answers in one engine at a time, at most; fewer where it is measured to be too slow."""
    max_waiting: int = Field(256, ge=0)
    """People in line for one engine; a persona with less than its share of them may go over."""
    max_answers_per_user: int = Field(3, ge=1)
    """Answers under way for one person, those in line included."""
    min_tokens_per_second: float = Field(4.0, gt=0)
    """How fast an answer should grow at least; about the speed of reading."""
    quote_when_busy: bool = True
    """Whether a question gets passages word for word when the model can't answer."""


class EngineConfig(_Section):
    """The engine of the base model. `url` set means: not ours to start (any OpenAI-compatible one)."""

    base_model: str
    url: str | None = None
    kind: Literal["vllm", "ray"] = "vllm"
    """What answers at `url`: "vllm" takes adapters over HTTP, "ray" (Ray Serve's LLM application) from
    `adapter_store`."""
    adapter_store: str | None = None
    """Where Ray fetches adapters from, and versions are published to: "s3://bucket/prefix"."""
    dtype: str = "bfloat16"
    max_model_tokens: int = Field(4096, ge=256)
    max_sequences: int = Field(16, ge=1)
    max_adapter_rank: int = Field(16, ge=1)
    adapter_slots: int = Field(6, ge=2)
    """Adapters in one batch at most; one is kept free (see serving/vllm_plugin)."""
    kv_cache_gib: int | None = Field(None, ge=1)
    """CPU engine only: memory for the KV cache, in whole GiB (vLLM takes no others)."""
    gpu_memory_utilization: float | None = None
    tensor_parallel_size: int = Field(1, ge=1)
    can_phrase: bool = True
    """Whether the base model can put passages into words of its own without getting them wrong. Where it
    can't, a strict persona answers in quotations."""
    extra_args: list[str] = []
    start_seconds: float = Field(600, gt=0)
    heartbeat_seconds: float = Field(30, gt=0)

    @model_validator(mode="after")
    def _store_for_ray(self) -> Self:
        if self.kind == "ray" and (self.url is None or self.adapter_store is None):
            raise ValueError('kind = "ray" needs url and adapter_store ("s3://bucket/prefix")')
        if self.kind != "ray" and self.adapter_store is not None:
            raise ValueError('adapter_store belongs to kind = "ray"; give both or neither')
        return self


class RetrievalConfig(_Section):
    embedder: str = "minilm"
    reranker: str | None = None
    """A cross-encoder that puts the best twenty passages in order, for machines with time to spare."""
    keep_unanswered: bool = True
    """Whether questions that a persona has not written about are kept for the operator."""

    @property
    def models(self) -> list[str]:
        """Ids of the models the search needs."""
        return [self.embedder, *([self.reranker] if self.reranker else [])]


class DeadlineConfig(_Section):
    first_token_seconds: float = Field(60, gt=0)
    between_tokens_seconds: float = Field(30, gt=0)
    drain_seconds: float = Field(20, ge=0)


class AdaptersConfig(_Section):
    unload_grace_seconds: float = Field(30, ge=0)
    """How long a version that nobody needs any more stays loaded."""
    reconcile_seconds: float = Field(5, gt=0)
    """How often the engine is compared with the ledger."""
    watch: bool = False
    """Whether a new version in the registry goes live by itself."""
    guests: int = Field(4, ge=0)
    """Versions loaded beside the live ones: for conversations that began with them, and lighter or stronger
    rewrites."""


class ObservabilityConfig(_Section):
    traces: str | None = None
    """An OpenTelemetry collector (OTLP over HTTP), for example "http://collector:4318"."""
    log_format: LogFormat = "text"
    log_to: Literal["file", "stderr"] = "file"
    """Where the gateway's own log goes; containers log to where their platform reads it."""
    logs: Path | None = None
    """Folder of the log files; None means <home>/logs. Replicas that share a home need one each."""


class SynthesisConfig(_Section):
    """Samples written by a model: which one, and what they may cost. Without `url` none are."""

    url: str | None = None
    """Base address of an OpenAI-compatible API, such as "http://127.0.0.1:8000/v1"."""
    model: str | None = None
    requests_per_minute: int = Field(60, ge=1)
    tokens_per_minute: int = Field(60_000, ge=1000)
    requests_at_once: int = Field(4, ge=1, le=256)
    input_price: float = Field(0.0, ge=0.0)
    """Money for a million tokens read."""
    output_price: float = Field(0.0, ge=0.0)
    """Money for a million tokens written."""
    budget: float = Field(5.0, ge=0.0)
    """Money for one persona's samples; nothing is asked that could pass it."""
    token_budget: int = Field(5_000_000, ge=0)

    @model_validator(mode="after")
    def _model_named(self) -> Self:
        if (self.url is None) != (self.model is None):
            raise ValueError("url and model belong together; name both or neither")
        return self


class Secrets(_Section):
    admin_key: SecretStr | None = None
    api_key: SecretStr | None = None
    engine_key: SecretStr | None = None
    synthesis_key: SecretStr | None = None
    database_url: SecretStr | None = None
    discord_token: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    slack_app_token: SecretStr | None = None


class Config(_Section):
    profile: ProfileName
    folder: Path = Path()
    """What relative paths of the file count from."""
    file: Path | None = None
    """The configuration file that was read; None where there is none."""
    home: Path
    cast: list[Path]
    """Folders of personas; `own_cast` comes last."""
    gateway: GatewayConfig
    engine: EngineConfig
    engines: list[EngineConfig] = []
    """Engines of further base models, beside the default one."""
    retrieval: RetrievalConfig
    deadlines: DeadlineConfig
    adapter_changes: AdaptersConfig = Field(AdaptersConfig(), validation_alias="adapters")
    """The section [adapters]; `adapters` is their folder."""
    observability: ObservabilityConfig = ObservabilityConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    secrets: Secrets

    @property
    def all_engines(self) -> list[EngineConfig]:
        """The default engine first."""
        return [self.engine, *self.engines]

    def engine_for(self, base_model: str | None) -> EngineConfig | None:
        """The engine of a base model (None: the default one); None if no engine serves it."""
        if base_model is None:
            return self.engine
        return next((e for e in self.all_engines if e.base_model == base_model), None)

    @property
    def own_cast(self) -> Path:
        """Personas made by `personae new` and in the console."""
        return self.home / OWN_CAST

    @property
    def removed(self) -> Path:
        """What was left of personas that were removed; nothing reads it."""
        return self.home / "removed"

    @property
    def jobs(self) -> Path:
        """Long work that the console started: a state and a log each."""
        return self.home / "jobs"

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def corpora(self) -> Path:
        return self.home / "corpora"

    @property
    def indexes(self) -> Path:
        return self.home / "indexes"

    @property
    def adapters(self) -> Path:
        return self.home / "adapters"

    @property
    def variants(self) -> Path:
        """Adapters at other strengths, made from those when they are wanted."""
        return self.home / "variants"

    @property
    def runs(self) -> Path:
        return self.home / "runs"

    @property
    def feedback(self) -> Path:
        return self.home / "feedback"

    @property
    def logs(self) -> Path:
        named = self.observability.logs
        return self.folder / named if named is not None else self.home / "logs"

    @property
    def gateway_url(self) -> str:
        host = self.gateway.host
        reachable = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104
        return f"http://{f'[{reachable}]' if ':' in reachable else reachable}:{self.gateway.port}"


# What each profile changes in [engine]. Memory of the weights in bf16 is 2 bytes a parameter:
# 7.6B → 15 GB of 24; 14.8B → 30 GB of 80, the rest holds the KV cache of many streams.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "cpu-demo": {
        "base_model": "smollm2-135m",
        "can_phrase": False,
        "max_adapter_rank": 16,
        "max_model_tokens": 4096,
        "max_sequences": 16,
        "kv_cache_gib": 2,
        # Measured on 2 cores: start-up 38 s instead of 46 s, decoding as fast.
        "extra_args": ["--enforce-eager"],
    },
    "gpu-24g": {
        "base_model": "Qwen/Qwen2.5-7B-Instruct",
        "max_adapter_rank": 16,
        "max_model_tokens": 8192,
        "max_sequences": 64,
        "gpu_memory_utilization": 0.90,
    },
    "gpu-80g": {
        "base_model": "Qwen/Qwen2.5-14B-Instruct",
        "max_adapter_rank": 16,
        "max_model_tokens": 16384,
        "max_sequences": 128,
        "gpu_memory_utilization": 0.90,
    },
    "external": {"base_model": "default", "max_adapter_rank": 16},
}

_SECRET_VARIABLES = {
    "admin_key": "PERSONAE_ADMIN_KEY",
    "api_key": "PERSONAE_API_KEY",
    "engine_key": "PERSONAE_ENGINE_KEY",
    "synthesis_key": "PERSONAE_SYNTHESIS_KEY",
    "database_url": "PERSONAE_DATABASE_URL",
    "discord_token": "DISCORD_TOKEN",
    "slack_bot_token": "SLACK_BOT_TOKEN",
    "slack_app_token": "SLACK_APP_TOKEN",
}

_SECTIONS = (
    *("personae", "gateway", "engine", "engines", "retrieval", "deadlines"),
    "observability",
    "adapters",
    "synthesis",
)


def load_config(
    environment: Mapping[str, str],
    *,
    file: Path | None = None,
    profile: str | None = None,
    default_profile: str = "cpu-demo",
    folder: Path | None = None,
) -> Config:
    """Configuration from a file, the environment and a profile, in rising order of say:
    profile defaults, file, environment, the `profile` argument (the command line).

    Args:
        file: a configuration file that has to exist; None takes `personae.toml` of `folder` if there.
        default_profile: taken when nobody chose one (the command line looks for a GPU).
        folder: where the default file is, and what relative paths count from; None means the folder
            of `file`, or else the working folder.

    Raises:
        ConfigError: with every problem found.
    """
    if folder is None:
        folder = file.parent if file is not None else Path.cwd()
    path = file if file is not None else folder / CONFIG_FILE
    data = _read(path, required=file is not None)
    problems = [
        f"[{name}]: unknown section; the sections are {', '.join(_SECTIONS)}"
        for name in data
        if name not in _SECTIONS
    ]
    for name in [name for name in _SECTIONS if not isinstance(data.get(name, {}), dict)]:
        problems.append(f"{name}: must be a section, [{name}]")
        data[name] = {}
    top = dict(data.get("personae", {}))
    problems += [
        f"personae.{key}: unknown key; [personae] takes profile, home and cast"
        for key in top
        if key not in ("profile", "home", "cast")
    ]
    chosen = profile or environment.get("PERSONAE_PROFILE") or top.get("profile", default_profile)
    if chosen not in PROFILES:
        problems.append(f'profile: there is no "{chosen}"; choose one of {", ".join(PROFILES)}')
        chosen = "cpu-demo"
    engine = {**PROFILES[chosen], **data.get("engine", {})}
    if base_model := environment.get("PERSONAE_BASE_MODEL"):
        engine["base_model"] = base_model
    if chosen == "external" and not engine.get("url"):
        problems.append("engine.url: the external profile needs the address of the engine")
    further = _further_engines(chosen, data.get("engines", {}), engine["base_model"], problems)
    cast = top.get("cast", ["cast"])
    try:
        home = folder / (environment.get("PERSONAE_HOME") or top.get("home", "var"))
        config = Config.model_validate(
            {
                "profile": chosen,
                "folder": folder,
                "file": path if path.is_file() else None,
                "home": home,
                "cast": _cast_folders(folder, [cast] if isinstance(cast, str) else cast, home),
                "gateway": data.get("gateway", {}),
                "engine": engine,
                "engines": further,
                "retrieval": data.get("retrieval", {}),
                "deadlines": data.get("deadlines", {}),
                "adapters": data.get("adapters", {}),
                "observability": data.get("observability", {}),
                "synthesis": data.get("synthesis", {}),
                "secrets": {
                    name: environment.get(variable) or None
                    for name, variable in _SECRET_VARIABLES.items()
                },
            }
        )
    except (ValidationError, TypeError) as err:
        problems += _sentences(err)
        config = None
    if problems or config is None:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise ConfigError(f"The configuration can't be used:\n{lines}")
    return config


def _cast_folders(folder: Path, named: Sequence[str], home: Path) -> list[Path]:
    """Those that were named, and that of the personas made here, which is always one of them."""
    own = home / OWN_CAST
    paths = [folder / path for path in named]
    return [*(path for path in paths if path.absolute() != own.absolute()), own]


def _further_engines(
    profile: str, sections: Mapping[str, Any], default: str, problems: list[str]
) -> list[dict[str, Any]]:
    """`[engines."<base model>"]`: each begins with what the profile sets for an engine."""
    shared = {key: value for key, value in PROFILES[profile].items() if key != "base_model"}
    engines = []
    for base_model, section in sections.items():
        if not isinstance(section, dict):
            problems.append(f'engines.{base_model}: must be a section, [engines."{base_model}"]')
        elif base_model == default:
            problems.append(f"engines.{base_model}: that is the base model of [engine] already")
        elif "base_model" in section:
            problems.append(f"engines.{base_model}.base_model: the section's name says it already")
        else:
            engines.append({**shared, **section, "base_model": base_model})
    return engines


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as err:
        if required:
            raise ConfigError(f"The configuration file {path} does not exist.") from err
        return {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path} is not readable as TOML: {err}") from err


def _sentences(err: ValidationError | TypeError) -> list[str]:
    if isinstance(err, TypeError):
        return ["personae.home and personae.cast must be paths in quotes"]
    lines = []
    for problem in err.errors(include_input=False):  # the input may be a secret
        place = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "extra_forbidden"
        lines.append(f"{place}: {'unknown key' if unknown else problem['msg']}")
    return lines
