"""The adapter manifest: what a version is made of, for what, and how to check it offline.

A version's folder is `adapters/<persona>/v<N>-<sha8>/`: peft files (safetensors only) and
`manifest.json`, written last. `verify_adapter` answers, without an engine, whether this folder may be
loaded for a given persona and base model. Nothing here writes into a version once it exists.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from personae.errors import AdapterError, ModelError
from personae.files import sha256_of
from personae.verdict import AliveVerdict
from personae.weights import read_safetensors_header

MANIFEST = "manifest.json"
ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

PASSED = "passed"
NOT_GATED = "not gated"
_FORCED = "forced: "

# vllm/config/lora.py (0.32): the maximum ranks an engine can be started with. A rank between them is
# served by the next larger; every version of a persona has to fit the rank the engine runs with.
VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
# vllm/lora/peft_helper.py (0.32): inits that leave the base model as it is, and kinds of LoRA it refuses.
_PLAIN_INITS = ("gaussian", "eva", "orthogonal", "mica", "lora_ga")
_UNSERVED = ("alora_invocation_tokens", "layer_replication", "use_bdlora", "use_qalora")

_LORA_TENSOR = re.compile(r"^base_model\.model\.(?P<module>.+)\.lora_(?P<half>[AB])\.weight$")


class BaseModelRef(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    weights_sha256: str


class ReferenceAnswer(BaseModel):
    """How an adapter begins its answer to a question of `personae.reference`, by greedy decoding."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str
    """Its name in `reference_prompts`."""
    tokens: list[str] = Field(min_length=1)
    log_probs: list[float]
    """Of each token under the adapter, in nats."""
    base_log_probs: list[float]
    """Of the same tokens, after the same words, under the base model alone."""

    @model_validator(mode="after")
    def _as_many_of_each(self) -> Self:
        if not len(self.tokens) == len(self.log_probs) == len(self.base_log_probs):
            raise ValueError("tokens, log_probs and base_log_probs differ in length")
        return self


class AdapterManifest(BaseModel):
    """`manifest.json` of an adapter version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = 1
    persona: str
    version: int = Field(ge=1)
    base_model: BaseModelRef
    prompt_fingerprint: str
    rank: int = Field(ge=1)
    recipe: dict[str, Any]
    """Hyper-parameters, library versions and the command that made this version."""
    dataset_fingerprint: str
    metrics: dict[str, float]
    gate: str
    """Verdict of the publishing gates: "passed", "forced: <reason> (failed: a, b)", or "not gated" for a
    version made before there were any."""
    files: dict[str, str]
    """File name → sha256 (hex) of every file of the folder but the manifest."""
    reference: list[ReferenceAnswer] | None = None
    """What training measured with transformers and peft; a canary compares. None: made before."""
    alive: AliveVerdict | None = None
    """How it did in a real engine before it was published. None: made before."""
    created_at: str

    @property
    def name(self) -> str:
        """As people type it: "v3"."""
        return f"v{self.version}"

    @property
    def forced_notice(self) -> str | None:
        """A sentence for whoever lets it speak, if it was published although gates failed."""
        if not self.gate.startswith(_FORCED):
            return None
        return f"{self.name} was published by force: {self.gate.removeprefix(_FORCED)}."

    @property
    def content_sha256(self) -> str:
        """One hash over all the files; its first 8 digits are in the folder's name."""
        return content_sha256(self.files)

    @property
    def folder_name(self) -> str:
        return f"v{self.version}-{self.content_sha256[:8]}"


def forced(reason: str, failed: Sequence[str]) -> str:
    """`AdapterManifest.gate` of a version that was published although gates failed.

    >>> forced("a demo", ["identity"])
    'forced: a demo (failed: identity)'
    """
    return f"{_FORCED}{reason} (failed: {', '.join(failed)})"


def content_sha256(files: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def hash_files(folder: Path) -> dict[str, str]:
    """{name: sha256} of the files of an adapter folder but its manifest."""
    return {
        path.name: sha256_of(path)
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest of a version's folder.

    Raises:
        AdapterError: missing (the version was never finished) or unreadable.
    """
    try:
        return AdapterManifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as err:
        raise AdapterError(
            f"{folder} has no {MANIFEST}: the version was never finished, or the folder is gone. "
            "Publish the adapter again."
        ) from err
    except ValidationError as err:
        problem = err.errors()[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise AdapterError(
            f"{folder / MANIFEST} can't be read ({place}: {problem['msg']}). "
            "Publish the adapter again."
        ) from err


def verify_adapter(
    folder: Path,
    *,
    persona: str,
    base_model: BaseModelRef,
    prompt_fingerprint: str,
    base_shapes: Mapping[str, tuple[int, int]] | None = None,
) -> AdapterManifest:
    """Everything about a version that can be checked without an engine.

    Args:
        base_shapes: matrices of the base model (`personae.weights.module_shapes`); None leaves out
            the check that every tensor of the adapter belongs to one of them.

    Raises:
        AdapterError: one sentence that says what does not fit and what to do.
    """
    manifest = read_manifest(folder)
    _check_files(folder, manifest)
    if manifest.persona != persona:
        raise AdapterError(
            f"{folder.name} was trained for {manifest.persona}, not for {persona}. "
            f"Train one with `personae train run {persona}`."
        )
    if manifest.base_model.id != base_model.id:
        raise AdapterError(
            f"{folder.name} was trained for the base model {manifest.base_model.id}, and this server "
            f"runs {base_model.id}. Train {persona} again for it: `personae train run {persona}`."
        )
    if manifest.base_model.weights_sha256 != base_model.weights_sha256:
        raise AdapterError(
            f"{folder.name} was trained on other weights of {base_model.id} than this server runs "
            f"({manifest.base_model.weights_sha256[:8]}, here {base_model.weights_sha256[:8]}). "
            f"Train {persona} again: `personae train run {persona}`."
        )
    if manifest.prompt_fingerprint != prompt_fingerprint:
        raise AdapterError(
            f"{folder.name} was trained with other prompts than persona.toml has now "
            f"({manifest.prompt_fingerprint[:8]}, now {prompt_fingerprint[:8]}). "
            f"Undo the change of its system prompts, or train {persona} again."
        )
    check_lora(folder, manifest.rank, base_shapes)
    return manifest


def lora_modules(folder: Path) -> list[str]:
    """Names of the base model's modules that an adapter changes.

    Raises:
        AdapterError: its weights can't be read.
    """
    return sorted({match["module"] for match in map(_LORA_TENSOR.match, _tensors(folder)) if match})


def check_lora(
    folder: Path, rank: int, base_shapes: Mapping[str, tuple[int, int]] | None = None
) -> None:
    """Whether a folder's peft files are what vLLM serves, and fit the base model; needs no manifest.

    Raises:
        AdapterError: one sentence that says what does not fit and what to do.
    """
    _check_peft(folder, rank)
    _check_tensors(folder, rank, base_shapes)


def _check_files(folder: Path, manifest: AdapterManifest) -> None:
    again = "Publish or copy the version again."
    found = {path.name for path in folder.iterdir() if path.name != MANIFEST}
    for name in sorted(found - manifest.files.keys()):
        raise AdapterError(f"{folder / name} is not in the manifest. {again}")
    for name, expected in manifest.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or path.is_symlink():
            raise AdapterError(f"{path} is missing or no plain file. {again}")
        if sha256_of(path) != expected:
            raise AdapterError(
                f"{path} differs from its manifest: it was damaged or edited. {again}"
            )
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if name not in manifest.files:
            raise AdapterError(f"{folder} has no {name}. {again}")
    for name in sorted(found):
        if name.endswith((".bin", ".pt", ".pth", ".pkl", ".py")):
            raise AdapterError(
                f"{folder / name} could run code when loaded; adapters are safetensors only. {again}"
            )


def _check_peft(folder: Path, rank: int) -> None:
    """What vLLM 0.32 takes: plain LoRA (vllm/lora/peft_helper.py, `_validate_features`)."""
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_bytes())
        if not isinstance(config, dict):
            raise ValueError("not a JSON object")
    except ValueError as err:
        raise AdapterError(f"{folder / ADAPTER_CONFIG} can't be read ({err}).") from err
    problems = []
    if config.get("peft_type") != "LORA":
        problems.append(f"peft_type is {config.get('peft_type')}, not LORA")
    if config.get("r") != rank:
        problems.append(f"r is {config.get('r')}, the manifest says {rank}")
    if rank > max(VLLM_RANKS):
        problems.append(f"rank {rank} is above vLLM's {max(VLLM_RANKS)}")
    if config.get("use_dora"):
        problems.append("DoRA")
    if config.get("bias", "none") != "none" or config.get("lora_bias"):
        problems.append("a trained bias")
    if config.get("modules_to_save"):
        problems.append(f"whole modules saved ({config['modules_to_save']})")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower() not in _PLAIN_INITS:
        problems.append(f"an init that changes the base model's weights ({init})")
    problems += [name for name in _UNSERVED if config.get(name)]
    if problems:
        raise AdapterError(
            f"{folder.name} can't be served by vLLM: {'; '.join(problems)}. "
            "Train a plain LoRA (the defaults of `personae train run`)."
        )


def _tensors(folder: Path) -> dict[str, dict[str, Any]]:
    try:
        return read_safetensors_header(folder / ADAPTER_WEIGHTS)[0]
    except ModelError as err:
        raise AdapterError(str(err)) from err


def _check_tensors(
    folder: Path, rank: int, base_shapes: Mapping[str, tuple[int, int]] | None
) -> None:
    """Every tensor is one half of a LoRA pair, and fits a matrix of the base model.

    vLLM loads an adapter that matches no module without a word, and it then speaks as the base.
    """
    header = _tensors(folder)
    again = "Train it again with `personae train run`."
    pairs: dict[str, dict[str, list[int]]] = {}
    for name, entry in header.items():
        match = _LORA_TENSOR.match(name)
        if match is None:
            raise AdapterError(f"{folder.name} holds {name}, which is no LoRA tensor. {again}")
        pairs.setdefault(match["module"], {})[match["half"]] = entry["shape"]
    if not pairs:
        raise AdapterError(f"{folder / ADAPTER_WEIGHTS} holds no LoRA tensors. {again}")
    for module, halves in pairs.items():
        if set(halves) != {"A", "B"}:
            raise AdapterError(f"{folder.name} has only one half of {module}. {again}")
        if base_shapes is None:
            continue
        if module not in base_shapes:
            raise AdapterError(
                f"{folder.name} adapts {module}, which the base model does not have. {again}"
            )
        d_out, d_in = base_shapes[module]
        if halves["A"] != [rank, d_in] or halves["B"] != [d_out, rank]:
            raise AdapterError(
                f"{folder.name}: {module} has the shapes {halves['A']} and {halves['B']}; the base "
                f"model needs {[rank, d_in]} and {[d_out, rank]}. {again}"
            )
