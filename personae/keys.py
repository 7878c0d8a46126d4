"""The admin key of a server that was given none: made once, kept in PERSONAE_HOME, readable by its owner.

Whoever may read the file may already replace the adapters, so it grants nothing new; it spares the
first run a step. A key in the environment always wins.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from pydantic import SecretStr

from personae.config import Config
from personae.files import write_atomic

KEY_FILE = "admin.key"


def read_admin_key(config: Config) -> SecretStr | None:
    """The key of the environment, else of the file, else None."""
    if config.secrets.admin_key is not None:
        return config.secrets.admin_key
    path = config.home / KEY_FILE
    try:
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    return SecretStr(key) if key else None


def ensure_admin_key(config: Config) -> tuple[Config, Path | None]:
    """A configuration that has an admin key, and the file it came from (None: the environment)."""
    if config.secrets.admin_key is not None:
        return config, None
    path: Path = config.home / KEY_FILE
    key = read_admin_key(config)
    if key is None:
        key = SecretStr(secrets.token_urlsafe(32))
        write_atomic(path, key.get_secret_value() + "\n", mode=0o600)
    kept = config.secrets.model_copy(update={"admin_key": key})
    return config.model_copy(update={"secrets": kept}), path
