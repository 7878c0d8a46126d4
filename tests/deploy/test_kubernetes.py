"""Kubernetes manifests: valid by the API's own schemas, built by kustomize, and safe in what they ask for."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from personae.config import load_config
from personae.secret_files import SECRET_VARIABLES
from tests.conftest import REPOSITORY
from tests.deploy.promql import asked_by

FOLDER = REPOSITORY / "deploy" / "kubernetes"
OVERLAYS = ("cpu", "gpu")
VERSIONS = ("1.29", "1.32", "1.34")
KUSTOMIZE = {"Kustomization", "Component"}
OF_OPERATORS = {"ServiceMonitor"}
"""Kinds whose schemas come with an operator, not with Kubernetes."""
FILES = sorted(
    path
    for path in FOLDER.rglob("*.yaml")
    if path.name not in ("kustomization.yaml", "adapter-values.yaml")
)


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document]


@pytest.fixture(scope="module")
def built() -> dict[str, list[dict[str, Any]]]:
    """What each overlay makes."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is missing (its kustomize builds the overlays)")
    made = {}
    for overlay in OVERLAYS:
        done = subprocess.run(
            ["kubectl", "kustomize", FOLDER / "overlays" / overlay],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made[overlay] = documents(done.stdout)
    return made


def all_objects() -> list[dict[str, Any]]:
    return [document for path in FILES for document in documents(path.read_text())]


def pods_of(objects: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    kinds = ("Deployment", "StatefulSet")
    return [
        (o["metadata"]["name"], o["spec"]["template"]["spec"])
        for o in objects
        if o["kind"] in kinds
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid(version):
    """Each file by itself, so that this needs no kubectl. Unknown keys are errors."""
    objects = [o for o in all_objects() if o["kind"] not in KUSTOMIZE | OF_OPERATORS]
    assert len(objects) >= 11
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**objects[0], "colour": "red"}, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_an_overlay_makes_is_valid(built, overlay):
    for one in built[overlay]:
        kubernetes_validate.validate(one, "1.34", strict=True)
        assert one["metadata"]["namespace"] == "personae"
    names = {(o["kind"], o["metadata"]["name"]) for o in built[overlay]}
    assert {
        ("Deployment", "personae-gateway"),
        ("PodDisruptionBudget", "personae-gateway"),
    } <= names
    for one in built[overlay]:
        if one["kind"] == "Deployment":  # what the network policy of the database asks for
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "personae"
    for _, pod in pods_of(built[overlay]):
        for container in pod["containers"]:
            image = container["image"]
            assert re.search(r"(:[\w.-]+-\d|@sha256:[0-9a-f]{64})", image), f"not pinned: {image}"
    (mounted,) = {
        v["configMap"]["name"]
        for _, pod in pods_of(built[overlay])
        for v in pod["volumes"]
        if "configMap" in v
    }
    assert ("ConfigMap", mounted) in names and mounted != "personae-config", (
        "no rollout on a change"
    )


def test_every_pod_is_confined_probed_and_limited():
    pods = pods_of(all_objects())
    assert {name for name, _ in pods} == {
        "personae-gateway", "personae-discord", "personae-slack", "personae-postgres"
    }  # fmt: skip
    for name, pod in pods:
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert "memory" in container["resources"]["limits"], name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name
        assert "livenessProbe" in container, name
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
        assert mounts <= volumes and "tmp" in mounts, name


def test_the_gateways_probes_wait_for_a_model_and_its_end_for_the_answers():
    (pod,) = [pod for name, pod in pods_of(all_objects()) if name == "personae-gateway"]
    (container,) = pod["containers"]
    config = load_config({}, profile="gpu-80g")
    start = container["startupProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] >= config.engine.start_seconds
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] >= pause + config.deadlines.drain_seconds + 20 + 10


def test_secrets_are_files_of_secrets_and_in_no_manifest():
    found = 0
    for path in FOLDER.rglob("*.yaml"):
        for one in documents(path.read_text()):
            assert one["kind"] != "Secret" if "kind" in one else True, path
    for name, pod in pods_of(all_objects()):
        for container in pod["containers"]:
            for variable in container.get("env", []):
                assert variable["name"] not in SECRET_VARIABLES, name
        for volume in pod["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                keys = {item["key"] for item in source["secret"]["items"]}
                assert keys <= set(SECRET_VARIABLES), name
                assert all(item["key"] == item["path"] for item in source["secret"]["items"])
                found += 1
    assert found >= 6


def test_the_secret_that_the_docs_make_has_what_the_pods_wait_for():
    """A pod whose Secret lacks a key that is not optional never starts."""
    text = (REPOSITORY / "docs" / "operate.md").read_text()
    (command,) = re.findall(r"create secret generic personae-secrets((?:.*\\\n)*.*)", text)
    made = set(re.findall(r"--from-file=(\w+)", command))
    wanted = {
        item["key"]
        for _, pod in pods_of(all_objects())
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", [])
        if not source["secret"].get("optional")
        for item in source["secret"]["items"]
    }
    assert wanted and wanted <= made


def test_selectors_find_their_pods():
    objects = all_objects()
    labelled = [
        o["spec"]["template"]["metadata"]["labels"]
        for o in objects
        if o["kind"] in ("Deployment", "StatefulSet")
    ]
    looked_for = [o["spec"]["selector"] for o in objects if o["kind"] == "Service"]
    looked_for += [
        o["spec"]["selector"]["matchLabels"]
        for o in objects
        if o["kind"] in ("Deployment", "PodDisruptionBudget")
    ]
    looked_for += [
        o["spec"]["podSelector"]["matchLabels"] for o in objects if o["kind"] == "NetworkPolicy"
    ]
    assert len(looked_for) >= 8
    for wanted in looked_for:
        assert any(wanted.items() <= labels.items() for labels in labelled), wanted
    service = next(
        o for o in objects if o["kind"] == "Service" and o["metadata"]["name"] == "personae"
    )
    monitor = next(o for o in objects if o["kind"] == "ServiceMonitor")
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= ports


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_a_real_metric():
    folder = FOLDER / "components" / "autoscaling"
    (scaler,) = documents((folder / "autoscaler.yaml").read_text())
    (rule,) = yaml.safe_load((folder / "adapter-values.yaml").read_text())["rules"]["custom"]
    (metric,) = scaler["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    query = rule["metricsQuery"].replace("<<.GroupBy>>", "pod").replace("<<.LabelMatchers>>", "")
    (asked,) = asked_by(query)
    assert asked.metric == "personae_waiting"
    assert rule["seriesQuery"].startswith(asked.metric)


def test_the_configuration_loads():
    config = load_config({"PERSONAE_HOME": "/var/lib/personae"}, folder=FOLDER / "base")
    assert config.observability.log_to == "stderr" and config.logs == Path("/tmp/logs")
