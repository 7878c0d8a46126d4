"""systemd's own judgement of the units: they are sound, and no more open than they have to be."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from personae.config import load_config
from personae.secret_files import SECRET_VARIABLES
from tests.conftest import REPOSITORY
from tests.deploy.unit_filter import allowed_by

FOLDER = REPOSITORY / "deploy" / "systemd"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
MOST_EXPOSED = 20
"""Tenths of systemd's scale of 0 to 10; up to 20 counts as safe there."""

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is missing (apt install systemd)",
)


def lines_of(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), flags=re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> list[Path]:
    """The units with the places of this checkout, where their programs exist."""
    copies = []
    for unit in UNITS:
        text = unit.read_text().replace("/opt/personae/.venv/bin", str(Path(sys.executable).parent))
        copy = tmp_path / unit.name
        copy.write_text(text.replace("/opt/personae/deploy", str(REPOSITORY / "deploy")))
        copies.append(copy)
    return copies


def test_there_is_a_unit_for_each_process():
    assert {unit.name for unit in UNITS} == {
        "personae.service",
        "personae-discord.service",
        "personae-slack.service",
        "personae-backup.service",
        "personae-backup.timer",
    }


@with_systemd
def test_systemd_verifies_the_units(installed):
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *installed],
        capture_output=True,
        text=True,
        check=False,
    )
    mine = [line for line in (done.stdout + done.stderr).splitlines() if "personae" in line]
    assert (done.returncode, mine) == (0, [])


@with_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_no_service_is_more_exposed_than_safe(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_secrets_come_as_credentials_that_the_program_looks_for(unit):
    names = [line.partition(":")[0] for line in lines_of(unit, "LoadCredential")]
    assert names and set(names) <= set(SECRET_VARIABLES)
    assert "PERSONAE_SECRETS=%d" in lines_of(unit, "Environment")
    assert all(
        line == f"{n}:personae.{n}"
        for n, line in zip(names, lines_of(unit, "LoadCredential"), strict=True)
    )
    set_here = " ".join(lines_of(unit, "Environment"))
    assert not any(f"{name}=" in set_here for name in SECRET_VARIABLES)


def test_the_gateways_unit_hands_over_every_secret_that_the_gateway_takes():
    """By the table of docs/operate.md."""
    text = (REPOSITORY / "docs" / "operate.md").read_text()
    rows = re.findall(r"^\| (`[A-Z].*?) \| gateway", text, flags=re.MULTILINE)
    taken = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(taken) >= 8 and taken <= set(SECRET_VARIABLES)
    lines = lines_of(FOLDER / "personae.service", "LoadCredential")
    assert taken <= {line.partition(":")[0] for line in lines}


def test_what_the_backups_settings_file_may_say_is_no_argument():
    """An argument has more say than a variable, which then would change nothing."""
    unit = FOLDER / "personae-backup.service"
    script = (REPOSITORY / "deploy" / "backup" / "backup.sh").read_text()
    options = re.findall(r"^(\w+)=\$\{(BACKUP_\w+)", script, flags=re.MULTILINE)
    told = [(option, variable) for option, variable in options if variable in unit.read_text()]
    assert {variable for _, variable in told} >= {"BACKUP_KEEP", "BACKUP_FOLDER"}
    (command,) = lines_of(unit, "ExecStart")
    assert [variable for option, variable in told if f"--{option}" in command.split()] == []
    assert "BACKUP_FOLDER=%S/personae-backups" in lines_of(unit, "Environment")
    assert "personae-backups" in lines_of(unit, "StateDirectory")[0].split()


@with_systemd
def test_what_a_bots_unit_does_not_allow_is_refused_and_the_bot_runs():
    """The real program under the real filter, and a filter that was put in place at all."""
    allowed = json.dumps(allowed_by(FOLDER / "personae-discord.service"))
    filtered = [sys.executable, REPOSITORY / "tests" / "deploy" / "unit_filter.py", allowed]
    for command, said in (
        ([sys.executable, "-m", "bot.on_discord"], "DISCORD_TOKEN is missing"),
        (["unshare", "--mount", "true"], "Operation not permitted"),
    ):
        environment = {k: v for k, v in os.environ.items() if k not in SECRET_VARIABLES}
        done = subprocess.run(
            [*filtered, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0 and said in done.stderr, done.stderr


def test_a_stop_waits_for_the_answers_and_the_engine():
    """TimeoutStopSec has room for draining (20 s by default) and for vLLM's own end (20 s)."""
    (seconds,) = lines_of(FOLDER / "personae.service", "TimeoutStopSec")
    assert int(seconds.removesuffix("s")) >= load_config({}).deadlines.drain_seconds + 20 + 10


def test_the_example_configuration_loads(tmp_path):
    shutil.copy(FOLDER / "personae.toml", tmp_path / "personae.toml")
    config = load_config({"PERSONAE_HOME": str(tmp_path)}, folder=tmp_path)
    assert config.observability.log_to == "stderr"
    assert str(config.cast[0]) == "/opt/personae/cast"


def test_what_a_timer_starts_exists():
    for unit in (unit for unit in UNITS if unit.suffix == ".timer"):
        assert unit.with_suffix(".service").exists()
        parsed = configparser.ConfigParser(strict=False, interpolation=None)
        parsed.read_string(unit.read_text())
        assert parsed["Timer"]["Persistent"] == "yes"
