"""Prometheus and Grafana: valid by their own tools, and about numbers that a running gateway really has."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from personae.errors import PersonaeError
from serving.change_log import Action
from tests.conftest import ADMIN_KEY, REPOSITORY, gateway_over
from tests.deploy.promql import asked_by

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "dashboard.json"
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""
OF_PROMETHEUS = {"up"}


def promtool() -> str | None:
    beside = Path(sys.executable).with_name("promtool")
    return str(beside) if beside.exists() else shutil.which("promtool")


with_promtool = pytest.mark.skipif(
    promtool() is None, reason="promtool is missing (python3 requirements/system.py)"
)


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return json.loads(DASHBOARD.read_text())


def panels_of(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@with_promtool
@pytest.mark.parametrize(
    "command",
    ["check config prometheus.yml", "check rules alerts.yml", "test rules alerts.test.yml"],
)
def test_promtool_accepts(command):
    tool = promtool()
    assert tool
    done = subprocess.run(
        [tool, *command.split()], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case_and_a_place_in_the_runbook():
    cases = (PROMETHEUS / "alerts.test.yml").read_text()
    runbook = (REPOSITORY / "docs" / "operate.md").read_text()
    assert rules()
    for rule in rules():
        assert f"alertname: {rule['alert']}" in cases, rule["alert"]
        (heading,) = re.findall(r'docs/operate\.md, "([^"]+)"', rule["annotations"]["description"])
        assert re.search(rf"^### {re.escape(heading)}$", runbook, flags=re.MULTILINE), heading


async def measured(gateway: Any) -> dict[str, set[str]]:
    """Labels of the metrics of a gateway that answered, refused, queued, mended, was judged and reloaded."""
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    gateway.engine.words = ["As", " I", " said", " [9]", ",", " no", "."]
    gateway.engine.seconds_between = 0.05
    async with aiohttp.ClientSession(gateway.url) as session:

        async def post(path: str, body: dict[str, Any], **more: Any) -> tuple[int, Any]:
            async with session.post(path, json=body, **more) as response:
                return response.status, await response.json()

        def ask(user: str) -> Any:
            question = {"persona": "lincoln", "question": "What of labor?", "stream": False}
            return post("/v1/ask", question | {"user": user, "surface": "discord"})

        answers = await asyncio.gather(*(ask(user) for user in ("a", "a", "a", "b", "c")))
        statuses = [status for status, _ in answers]
        assert statuses.count(200) >= 3 and 429 in statuses
        text = {"persona": "roosevelt", "text": "Big companies are useful.", "stream": False}
        assert (await post("/v1/rewrite", text | {"user": "d"}))[0] == 200
        answered = next(body for status, body in answers if status == 200)
        vote = {
            "request_id": answered["meta"]["request_id"], "persona": "lincoln", "task": "ask",
            "adapter_version": answered["meta"]["adapter_version"],
            "base_model": answered["meta"]["base_model"], "question": "What of labor?",
            "answer": answered["text"], "rating": "up", "user": "a", "surface": "discord",
        }  # fmt: skip
        status, told = await post("/v1/feedback", vote)
        assert status == 200, told
        status, told = await post("/admin/adapters/lincoln/reload", {}, headers=admin)
        assert status == 200, told
        async with session.get("/metrics") as response:
            text_of_metrics = await response.text()
    labels: dict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(text_of_metrics):
        for sample in family.samples:
            labels[sample.name] |= set(sample.labels)
    return labels


@pytest.mark.slow
async def test_panels_and_alerts_ask_for_what_a_gateway_measures(tmp_path, cast, engine, dashboard):
    """No panel and no alert without a metric, and none that chooses by a label which the metric has not."""
    settings = {
        "gateway": "max_answers_at_once = 1\nmax_answers_per_user = 2",
        "deadlines": "first_token_seconds = 60",
    }
    async with gateway_over(engine, cast, tmp_path, **settings) as gateway:
        there = await measured(gateway)
    expressions = {rule["alert"]: [rule["expr"]] for rule in rules()}
    for panel in panels_of(dashboard):
        expressions[f"panel {panel['title']}"] = [t["expr"] for t in panel["targets"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.findall(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])[
                0
            ]
            expressions[f"variable {variable['name']}"] = [f"sum by ({label}) ({metric})"]
    assert len(expressions) >= 30
    for place, texts in expressions.items():
        assert texts, place
        for asked in (asked for text in texts for asked in asked_by(text)):
            if asked.metric in OF_PROMETHEUS:
                continue
            assert asked.metric in there, f"{place}: {asked.metric} is no metric of the gateway"
            missing = asked.labels - there[asked.metric] - SCRAPED
            assert not missing, f"{place}: {asked.metric} has no label {missing}"
    shown = {
        asked.metric for texts in expressions.values() for text in texts for asked in asked_by(text)
    }
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in there}
    unseen = {f for f in families if f.startswith("personae_")} - {
        re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown
    }
    assert not unseen, f"measured and shown nowhere: {unseen}"


def test_values_that_are_chosen_by_exist():
    """Outcomes, actions and kinds in the expressions are words of the program."""
    codes = {kind.code for kind in _errors(PersonaeError)}
    known = {
        "outcome": codes | {"stop", "length", "quoted", "abstained", "cancelled"},
        "action": set(get_args(Action)),
        "kind": {"up", "down"},
        "job": {"personae"},
    }
    texts = [rule["expr"] for rule in rules()]
    dashboard = json.loads(DASHBOARD.read_text())
    texts += [t["expr"] for panel in panels_of(dashboard) for t in panel["targets"]]
    checked = 0
    for asked in (asked for text in texts for asked in asked_by(text)):
        for label, pattern in asked.matched:
            if pattern != ".*":
                assert set(pattern.split("|")) <= known[label], f"{asked.metric}: {label}"
                checked += 1
    assert checked >= 5


def _errors(kind: type[PersonaeError]) -> set[type[PersonaeError]]:
    return {kind}.union(*(_errors(below) for below in kind.__subclasses__()))


def test_the_dashboard_is_whole(dashboard):
    """What Grafana would stumble over: doubled ids, panels over one another, a source that is not chosen."""
    assert dashboard["uid"] == "personae" and dashboard["schemaVersion"] >= 39
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24 and not cells & taken, panel["title"]
        taken |= cells
    for panel in panels_of(dashboard):
        assert panel["title"] and panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${source}"}


def test_grafana_finds_the_dashboard_and_its_source():
    compose = yaml.safe_load((REPOSITORY / "deploy" / "compose" / "compose.yaml").read_text())
    folder = REPOSITORY / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in compose["services"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "personae.yml").read_text())["providers"]
    mounts = compose["services"]["grafana"]["volumes"]
    assert any(f":{provider['options']['path']}/" in mount for mount in mounts)
