"""The compose file against compose's own schema, and what it promises: no open door, nothing unpinned."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from personae.config import load_config
from personae.secret_files import SECRET_VARIABLES, secrets_of_files
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "compose"
OWN = ("gateway-cpu", "gateway-gpu", "discord", "slack")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    assert set(OWN) < set(compose["services"])
    return compose["services"]


def test_it_is_valid(compose):
    package = find_spec("check_jsonschema")  # carries the schema; its code is not needed
    assert package and package.origin
    carried = Path(package.origin).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(carried.read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [f"{list(e.path)}: {e.message}" for e in validator.iter_errors(compose)] == []
    wrong = compose | {"services": {"gateway-cpu": {"ports": 8420, "colour": "red"}}}
    assert list(validator.iter_errors(wrong)), "the schema refuses nothing"


def test_every_container_is_confined(services):
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        if name != "postgres":
            assert re.fullmatch(r"\d+:\d+", service["user"]) and not service["user"].startswith(
                "0"
            ), name
        assert "privileged" not in service and service.get("network_mode") != "host", name


def test_images_of_others_are_pinned_by_digest(services):
    others = {name: s["image"] for name, s in services.items() if "build" not in s}
    assert set(others) == {"postgres", "prometheus", "grafana", "backup", "restore"}
    for name, image in others.items():
        assert re.fullmatch(r"docker\.io/[\w/]+:[\w.-]+@sha256:[0-9a-f]{64}", image), name
    for name in ("backup", "restore"):
        assert others[name] == others["postgres"], "a dump needs the server's own pg_dump"


def test_ports_are_open_to_this_machine_alone(services):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) >= 3 and all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_has_a_default_or_stands_in_the_environment(compose, services):
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            assert variable not in SECRET_VARIABLES, f"{name}: {variable}"
            if re.search("PASSWORD|SECRET|TOKEN|KEY", variable):
                assert str(value).startswith("/run/secrets"), f"{name}: {variable}"
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
    for name, secret in compose["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    ignored = (REPOSITORY / ".gitignore").read_text().splitlines()
    assert "/deploy/compose/secrets/" in ignored


def test_what_is_mounted_and_built_exists(services):
    found = 0
    for service in services.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith(".."):
                assert (FOLDER / source).exists(), source
                found += 1
        if build := service.get("build"):
            assert (FOLDER / build["context"] / build["dockerfile"]).is_file()
    assert found >= 4
    config = load_config({}, folder=FOLDER)
    assert config.observability.log_to == "stderr"


def test_state_lies_on_named_volumes(compose, services):
    for name in ("gateway-cpu", "gateway-gpu"):
        assert "state:/var/lib/personae" in services[name]["volumes"]
    used = {
        volume.partition(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "$"))
    }
    assert used == set(compose["volumes"])


def test_a_backup_sees_the_gateways_state_and_settings_and_a_restore_may_write(services):
    backup, restore = services["backup"], services["restore"]
    options = dict(zip(backup["command"][::2], backup["command"][1::2], strict=True))
    assert f"state:{options['--home']}:ro" in backup["volumes"]
    assert f"./personae.toml:{options['--config']}:ro" in backup["volumes"]
    (backups,) = (v for v in backup["volumes"] if v.endswith(f":{options['--to']}"))
    assert f"{backups}:ro" in restore["volumes"]
    assert f"state:{restore['environment']['PERSONAE_HOME']}" in restore["volumes"]


def test_a_stop_leaves_time_for_answers_and_the_engine(services):
    seconds = int(services["gateway-gpu"]["stop_grace_period"].removesuffix("s"))
    assert seconds >= load_config({}).deadlines.drain_seconds + 20 + 10


def test_the_script_makes_the_secrets_that_compose_and_the_gateway_want(tmp_path, compose):
    shutil.copy(FOLDER / "secrets.sh", tmp_path)
    run = ["sh", str(tmp_path / "secrets.sh")]
    subprocess.run(run, check=True, capture_output=True, cwd="/")
    made = tmp_path / "secrets"
    assert made.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in made.iterdir()} == set(compose["secrets"])
    first = {path.name: path.read_text() for path in made.iterdir()}
    again = subprocess.run(run, check=True, capture_output=True, text=True, cwd="/")
    assert again.stdout == "" and first == {path.name: path.read_text() for path in made.iterdir()}
    secrets = secrets_of_files({"PERSONAE_SECRETS": str(made)})
    assert len(secrets["PERSONAE_ADMIN_KEY"]) == 43
    assert secrets["PERSONAE_ADMIN_KEY"] != secrets["PERSONAE_API_KEY"]
    assert re.fullmatch(
        rf"postgresql://personae:{first['POSTGRES_PASSWORD'].strip()}@postgres:5432/personae",
        secrets["PERSONAE_DATABASE_URL"],
    )
    assert "DISCORD_TOKEN" not in secrets, "an empty file is no token"


def test_a_key_of_the_environment_file_is_one_of_the_compose_file():
    used = set(re.findall(r"\$\{(\w+)", (FOLDER / "compose.yaml").read_text()))
    text = Path(REPOSITORY / "docs" / "operate.md").read_text()
    assert [name for name in sorted(used) if f"`{name}`" not in text] == []
