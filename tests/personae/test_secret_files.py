"""Secrets in files: where they are looked for, what wins, and that no message holds one."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from personae.config import _SECRET_VARIABLES
from personae.errors import ConfigError
from personae.secret_files import SECRET_VARIABLES, secrets_of_files, take_up_secret_files


def test_a_variable_wins_over_its_file_and_its_file_over_the_folder(tmp_path):
    for name in ("PERSONAE_ADMIN_KEY", "PERSONAE_API_KEY", "DISCORD_TOKEN"):
        (tmp_path / name).write_text("of the folder\n")
    (tmp_path / "elsewhere").write_text("of the file\n")
    environment = {
        "PERSONAE_SECRETS": str(tmp_path),
        "PERSONAE_ADMIN_KEY": "of the variable",
        "PERSONAE_API_KEY_FILE": str(tmp_path / "elsewhere"),
    }
    take_up_secret_files(environment)
    assert environment["PERSONAE_ADMIN_KEY"] == "of the variable"
    assert environment["PERSONAE_API_KEY"] == "of the file"
    assert environment["DISCORD_TOKEN"] == "of the folder"
    assert "SLACK_BOT_TOKEN" not in environment


def test_without_any_nothing_changes(tmp_path):
    assert secrets_of_files({"PATH": "/bin"}) == {}
    (tmp_path / "HF_TOKEN").write_text("\n")
    assert secrets_of_files({"PERSONAE_SECRETS": str(tmp_path)}) == {}


def test_every_problem_is_told_at_once_and_no_secret(tmp_path):
    (tmp_path / "two-lines").write_text("very\nsecret\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfevery-secret")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError) as caught:
        secrets_of_files(
            {
                "PERSONAE_SECRETS": str(tmp_path / "not-there"),
                "PERSONAE_ADMIN_KEY_FILE": str(tmp_path / "missing"),
                "PERSONAE_API_KEY_FILE": str(tmp_path / "two-lines"),
                "DISCORD_TOKEN_FILE": str(tmp_path / "binary"),
                "HF_TOKEN_FILE": str(tmp_path / "folder"),
            }
        )
    text = str(caught.value)
    for expected in ("not-there", "ADMIN_KEY_FILE", "more than one line", "no text", "HF_TOKEN"):
        assert expected in text
    assert "secret" not in text.replace("The secret", "").replace("PERSONAE_SECRETS", "")


def test_every_secret_of_the_configuration_may_be_a_file():
    assert set(_SECRET_VARIABLES.values()) <= set(SECRET_VARIABLES)


def test_a_bot_takes_up_its_token_from_a_folder(tmp_path):
    """The real program: its complaint is about the token that only the file holds."""
    (tmp_path / "DISCORD_TOKEN").write_text("no token at all")
    environment = {name: value for name, value in os.environ.items() if "TOKEN" not in name}
    environment |= {"PERSONAE_SECRETS": str(tmp_path), "PERSONAE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "bot.on_discord"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "holds characters that no token has" in done.stderr
    assert "no token at all" not in done.stderr
