"""The engine of a configuration as an application of Ray Serve: the document that `serve deploy` takes.

In: `[engine]` of kind "ray", as the gateway reads it. Out: the same sizes in Ray's words, so that they stand
in one place. It imports nothing of Ray, and does not know how Ray was started: keys of the adapter store come
to Ray's workers by their nodes' environment, never by this document, which Ray shows to anybody who asks it.

Three of Ray's defaults would hurt here (docs/scaling.md):

    max_ongoing_requests     10⁹: a voice's questions would all queue at the replica that first fetched it
    stream_batching_interval 50 ms: every answer would come in lumps
    ingress replicas         two for each engine replica; one on a CPU, where they take the engine's cores
"""

from __future__ import annotations

import json
from typing import Any

from personae.config import EngineConfig
from personae.errors import ConfigError
from serving.adapter_slots import engine_arguments_for
from serving.engine_host import cpu_variables

APPLICATION = "personae"


def serve_config(
    engine: EngineConfig,
    *,
    personas: int,
    guests: int,
    replicas: int,
    most_replicas: int | None = None,
    model_source: str | None = None,
    on_cpu: bool = False,
    host: str = "0.0.0.0",  # noqa: S104 - gateways ask it from other machines
    port: int = 8000,
) -> dict[str, Any]:
    """What `serve deploy` takes.

    Args:
        personas, guests: how many voices it is to hold (`serving.adapter_slots`).
        replicas: of the engine, each with the whole model.
        most_replicas: Ray adds some up to this many while each has more to do than it can at once; None: the
            number is changed from outside (Ray's REST API), by people or by an autoscaler of theirs.
        model_source: a Hugging Face id, an `s3://` folder, or a path that every node has; None: the base
            model's name.
        on_cpu: replicas take cores, and use the plugin that makes LoRA right on them.
        host, port: where each node listens. Ray asks nobody for a key.

    Raises:
        ConfigError: the engine is of another kind, has arguments that can't be told to Ray, or the numbers of
            replicas don't fit together.
    """
    if engine.kind != "ray":
        raise ConfigError(
            'This configuration has no engine on Ray. Set [engine] kind = "ray", url and adapter_store.'
        )
    sizes = engine_arguments_for(personas, engine.adapter_slots, guests=guests)
    arguments: dict[str, Any] = {
        "dtype": engine.dtype,
        "max_model_len": engine.max_model_tokens,
        "max_num_seqs": engine.max_sequences,
        "enable_lora": True,
        "max_lora_rank": engine.max_adapter_rank,
        "max_loras": sizes["max_loras"],
        "max_cpu_loras": sizes["max_cpu_loras"],
        "generation_config": "vllm",  # the persona file decides about sampling
    }
    if engine.gpu_memory_utilization is not None and not on_cpu:
        arguments["gpu_memory_utilization"] = engine.gpu_memory_utilization
    if engine.tensor_parallel_size > 1:
        arguments["tensor_parallel_size"] = engine.tensor_parallel_size
    arguments |= _as_keywords(engine.extra_args)
    deployment: dict[str, Any] = {"max_ongoing_requests": engine.max_sequences}
    if most_replicas is not None and most_replicas < replicas:
        raise ConfigError(
            f"--most-replicas {most_replicas} is less than --replicas {replicas}. Give at least as many."
        )
    if most_replicas is None:
        deployment["num_replicas"] = replicas
    else:
        deployment["autoscaling_config"] = {
            "min_replicas": replicas,
            "max_replicas": most_replicas,
            "target_ongoing_requests": max(1, engine.max_sequences * 3 // 4),
        }
    variables = {"VLLM_NO_USAGE_STATS": "1"}
    if on_cpu:
        variables["VLLM_PLUGINS"] = "personae_cpu_lora"
        variables |= cpu_variables(engine)
    llm: dict[str, Any] = {
        "model_loading_config": {
            "model_id": engine.base_model,
            "model_source": model_source or engine.base_model,
        },
        "engine_kwargs": arguments,
        "lora_config": {
            "dynamic_lora_loading_path": engine.adapter_store,
            "max_num_adapters_per_replica": sizes["max_cpu_loras"],
        },
        "deployment_config": deployment,
        "experimental_configs": {"stream_batching_interval_ms": 0},
        "runtime_env": {"env_vars": variables},
    }
    arguments_of_app: dict[str, Any] = {"llm_configs": [llm]}
    if on_cpu:
        llm["accelerator_config"] = {"kind": "cpu"}
        llm["placement_group_config"] = {"bundles": [{"CPU": 1}]}
        arguments_of_app["ingress_deployment_config"] = {
            "num_replicas": 1,
            "ray_actor_options": {"num_cpus": 0},
        }
    application: dict[str, Any] = {
        "name": APPLICATION,
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": arguments_of_app,
    }
    if most_replicas is None:
        application["external_scaler_enabled"] = True
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": port},
        "applications": [application],
    }


def deployment_name(base_model: str) -> str:
    """What Ray calls the engine's deployment: "LLMServer:Qwen--Qwen2_5-7B-Instruct".

    >>> deployment_name("Qwen/Qwen2.5-7B-Instruct")
    'LLMServer:Qwen--Qwen2_5-7B-Instruct'
    """
    return "LLMServer:" + base_model.replace("/", "--").replace(".", "_")


def _as_keywords(arguments: list[str]) -> dict[str, Any]:
    """vLLM's command line as Ray wants it.

    >>> _as_keywords(["--enforce-eager", "--block-size", "32", "--kv-cache-dtype=fp8"])
    {'enforce_eager': True, 'block_size': 32, 'kv_cache_dtype': 'fp8'}
    >>> _as_keywords(["--no-enable-prefix-caching"])
    {'enable_prefix_caching': False}

    Raises:
        ConfigError: a value without a name.
    """
    found: dict[str, Any] = {}
    name = None
    for argument in arguments:
        if argument.startswith("--"):
            flag, has_value, value = argument[2:].partition("=")
            name = flag.replace("-", "_")
            if has_value:
                found[name], name = _value(value), None
            elif name.startswith("no_"):
                found[name.removeprefix("no_")], name = False, None
            else:
                found[name] = True
        elif name is not None:
            found[name], name = _value(argument), None
        else:
            raise ConfigError(f"[engine] extra_args: {argument[:40]!r} belongs to no --option.")
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
