"""Secrets from files: what containers, Kubernetes and systemd hand to a program instead of variables.

    PERSONAE_ADMIN_KEY_FILE=/run/secrets/admin     one secret, one file
    PERSONAE_SECRETS=/run/secrets                  a folder; /run/secrets/DISCORD_TOKEN is DISCORD_TOKEN

In order of say: the variable itself, `<name>_FILE`, the folder. An empty file counts as no secret. Called
once by each program's `main`; everything else reads the environment as ever. No secret is part of a message.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path

from personae.errors import ConfigError

SECRETS_FOLDER = "PERSONAE_SECRETS"
SECRET_VARIABLES = (
    "PERSONAE_ADMIN_KEY",
    "PERSONAE_API_KEY",
    "PERSONAE_ENGINE_KEY",
    "PERSONAE_SYNTHESIS_KEY",
    "PERSONAE_DATABASE_URL",
    "DISCORD_TOKEN",
    "SLACK_BOT_TOKEN",
    "SLACK_APP_TOKEN",
    "SLACK_SIGNING_SECRET",
    "SLACK_CLIENT_ID",
    "SLACK_CLIENT_SECRET",
    "HF_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
_MOST_BYTES = 64 << 10


def take_up_secret_files(environment: MutableMapping[str, str]) -> None:
    """Put into the environment what its secret files hold.

    Raises:
        ConfigError: with every file that is named and can't be read.
    """
    environment.update(secrets_of_files(environment))


def secrets_of_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Secrets that the environment names by file and does not hold itself. Raises ConfigError."""
    found: dict[str, str] = {}
    problems: list[str] = []
    folder = environment.get(SECRETS_FOLDER)
    if folder and not Path(folder).is_dir():
        problems.append(f"{SECRETS_FOLDER} names {folder}, which is no folder that can be read.")
        folder = None
    for name in SECRET_VARIABLES:
        if environment.get(name):
            continue
        named = environment.get(f"{name}_FILE")
        path = Path(named) if named else Path(folder) / name if folder else None
        if path is None:
            continue
        try:
            secret = _read(path)
        except FileNotFoundError:
            if named:
                problems.append(f"{name}_FILE names {path}, which does not exist.")
            continue
        except (OSError, ValueError) as err:
            reason = err.strerror if isinstance(err, OSError) else str(err)
            problems.append(f"The secret {name} can't be read from {path} ({reason}).")
            continue
        if secret:
            found[name] = secret
    if problems:
        raise ConfigError(" ".join(problems))
    return found


def _read(path: Path) -> str:
    with path.open("rb") as file:
        raw = file.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise ValueError("it is too large for a secret")
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    if "\0" in text or "\n" in text:
        raise ValueError("it holds more than one line")
    return text
