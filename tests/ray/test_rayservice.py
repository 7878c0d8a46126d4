"""The Kubernetes manifest of engines on Ray: its parts by their schemas, its application by its command."""

from __future__ import annotations

import subprocess
import sys
from importlib import util
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from personae.config import load_config
from personae.errors import ConfigError
from serving.ray_app import serve_config
from tests.conftest import REPOSITORY
from tests.ray.cluster import RAY

FOLDER = REPOSITORY / "deploy" / "ray"
COMMAND = "ray app --replicas 2 --most-replicas 4 --personas 4"


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    found = yaml.safe_load_all((FOLDER / "rayservice.yaml").read_text())
    return {document["kind"]: document for document in found}


@pytest.fixture(scope="module")
def groups(documents) -> list[dict[str, Any]]:
    cluster = documents["RayService"]["spec"]["rayClusterConfig"]
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def test_the_application_in_the_manifest_is_the_one_the_command_writes(documents):
    text = (FOLDER / "rayservice.yaml").read_text()
    assert f"personae --config deploy/ray/personae.toml {COMMAND}" in text
    config = load_config({}, file=FOLDER / "personae.toml")
    written = serve_config(
        config.engine,
        personas=4,
        guests=config.adapter_changes.guests,
        replicas=2,
        most_replicas=4,
    )
    assert yaml.safe_load(documents["RayService"]["spec"]["serveConfigV2"]) == written


def test_pods_and_policy_are_what_kubernetes_knows(documents, groups):
    version = kubernetes_validate.latest_version()
    assert len(groups) == 2
    for group in groups:
        template = group["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", **template["metadata"]},
            "spec": template["spec"],
        }
        kubernetes_validate.validate(pod, version, strict=True)
    policy = documents["NetworkPolicy"]
    kubernetes_validate.validate(policy, version, strict=True)
    gateway = yaml.safe_load((REPOSITORY / "deploy/kubernetes/base/service.yaml").read_text())
    allowed = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert allowed == gateway["spec"]["selector"], "the gateway's own label"


def test_nodes_run_as_nobody_special_and_hold_no_secret(groups):
    for group in groups:
        spec = group["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["limits"]["memory"]
            assert "env" not in container, "keys come from the secret"
            assert not container["image"].endswith(":latest") and ":" in container["image"]


def test_versions_of_ray_agree(documents):
    """Lock, manifest and image: one version."""
    lock = dict(
        line.split("==") for line in (REPOSITORY / "requirements" / "ray.txt").read_text().split()
    )
    assert documents["RayService"]["spec"]["rayClusterConfig"]["rayVersion"] == lock["ray"]
    assert f"ray[serve]=={lock['ray']}" in (REPOSITORY / "requirements" / "ray.in").read_text()
    assert "requirements/ray.txt" in (FOLDER / "Containerfile").read_text()


@pytest.mark.parametrize("further", [[], ["--most-replicas", "4"], ["--cpu"]])
def test_ray_takes_what_the_command_writes(further):
    """By Ray's own schema of `serve deploy`, where its environment is there."""
    if not (RAY / "python").exists() or util.find_spec("vllm") is None:
        pytest.skip("Ray's environment is not there: python requirements/install.py --ray")
    written = subprocess.run(
        [
            sys.executable,
            "-m",
            "personae.cli",
            "--config",
            str(FOLDER / "personae.toml"),
            "ray",
            "app",
            "--personas",
            "4",
            *further,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    ).stdout
    program = (
        "import sys, yaml\n"
        "from ray.serve.schema import ServeDeploySchema\n"
        "ServeDeploySchema.model_validate(yaml.safe_load(sys.stdin))\n"
    )
    done = subprocess.run(
        [str(RAY / "python"), "-c", program],
        input=written,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_an_engine_that_is_not_rays_is_refused_and_arguments_are_translated():
    config = load_config({}, profile="cpu-demo", folder=Path("/nowhere"))
    with pytest.raises(ConfigError, match='kind = "ray"'):
        serve_config(config.engine, personas=1, guests=0, replicas=1)
    engine = load_config({}, file=FOLDER / "personae.toml").engine
    odd = engine.model_copy(
        update={
            "extra_args": ["--enforce-eager", "--block-size", "32", "--no-enable-prefix-caching"],
            "kv_cache_gib": 3,
        }
    )
    written = serve_config(odd, personas=1, guests=0, replicas=1, on_cpu=True)
    llm = written["applications"][0]["args"]["llm_configs"][0]
    assert llm["engine_kwargs"]["enforce_eager"] is True
    assert llm["engine_kwargs"]["block_size"] == 32
    assert llm["engine_kwargs"]["enable_prefix_caching"] is False
    assert "gpu_memory_utilization" not in llm["engine_kwargs"]
    variables = llm["runtime_env"]["env_vars"]
    assert variables["VLLM_PLUGINS"] == "personae_cpu_lora"
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "3" and variables["TORCHDYNAMO_DISABLE"] == "1"
    wrong = engine.model_copy(update={"extra_args": ["32"]})
    with pytest.raises(ConfigError, match="belongs to no --option"):
        serve_config(wrong, personas=1, guests=0, replicas=1)
