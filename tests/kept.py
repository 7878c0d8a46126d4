"""What is costly to make and never changes, kept between runs and shared by all tests that need it.

In: nothing but the repository. Out, under `var/test-home`: packaged models, the shipped cast's corpora and
indexes; made by whoever asks first.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from personae.progress import silent
from tests.conftest import REPOSITORY

HOME = REPOSITORY / "var" / "test-home"
MODELS = HOME / "models"


def kept_model(model_id: str) -> Path:
    from training.models.fetch import fetch_model

    return fetch_model(model_id, MODELS, progress=silent)


def furnish(home: Path) -> None:
    """Bring a home to where a first `make run` ends: models (linked), corpora and indexes (copied)."""
    from personae.cli.prepare import prepare
    from personae.config import load_config
    from personae.persona import load_cast

    config = load_config({"PERSONAE_HOME": str(HOME)}, profile="cpu-demo", folder=REPOSITORY)
    prepare(config, load_cast([REPOSITORY / "cast"]), progress=silent)
    home.mkdir(exist_ok=True)
    (home / "models").symlink_to(MODELS, target_is_directory=True)
    for made in (config.corpora, config.indexes):
        shutil.copytree(made, home / made.name, symlinks=True)
