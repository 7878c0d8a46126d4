"""`personae ray app` and `personae adapters publish` as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from personae.cli import Context
from personae.cli.adapters import adapters_publish
from personae.cli.ray_app import ray_app
from personae.errors import ConfigError, UnknownVersion
from tests.conftest import REPOSITORY
from tests.fakes.s3_server import empty_bucket, s3_server

RAY = (
    'profile = "external"\n[engine]\nkind = "ray"\n'
    'url = "http://nowhere:8000"\nbase_model = "smollm2-135m"\n'
)
BUCKET = "shelf"


@pytest.fixture
def typed(tmp_path):
    """Run a command in an empty home; gives what it printed on stdout."""
    cast = tmp_path / "cast"
    shutil.copytree(REPOSITORY / "cast" / "lincoln", cast / "lincoln")

    def run(command: click.Command, *arguments: str, engine: str) -> str:
        file = tmp_path / "personae.toml"
        file.write_text(f'[personae]\nhome = "{tmp_path / "home"}"\ncast = ["{cast}"]\n{engine}')
        result = CliRunner().invoke(
            command, list(arguments), obj=Context(file, None), standalone_mode=False
        )
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    with (
        s3_server() as url,
        empty_bucket(url, BUCKET, monkeypatch=monkeypatch, folder=tmp_path) as client,
    ):
        yield client


def test_the_application_is_yaml_with_the_engines_sizes(typed):
    engine = RAY + f'adapter_store = "s3://{BUCKET}/loras"\nmax_sequences = 32\n'
    written = yaml.safe_load(typed(ray_app, "--replicas", "3", engine=engine))
    (application,) = written["applications"]
    (llm,) = application["args"]["llm_configs"]
    assert llm["deployment_config"] == {"max_ongoing_requests": 32, "num_replicas": 3}
    assert application["external_scaler_enabled"] is True
    with pytest.raises(ConfigError, match="no engine on Ray"):
        typed(ray_app, engine="")
    with pytest.raises(ConfigError, match="less than --replicas 3"):
        typed(ray_app, "--replicas", "3", "--most-replicas", "2", engine=engine)


def test_a_shipped_voice_is_published_once(typed, bucket):
    engine = RAY + f'adapter_store = "s3://{BUCKET}/loras"\n'
    assert "is in s3://shelf/loras" in typed(adapters_publish, "lincoln", engine=engine)
    listed = bucket.list_objects_v2(Bucket=BUCKET)["Contents"]
    names = {Path(entry["Key"]).name for entry in listed}
    assert {"adapter_config.json", "adapter_model.safetensors", "manifest.json"} <= names
    again = json.loads(typed(adapters_publish, "lincoln", "--json", engine=engine))
    assert again["changed"] is False and again["store"] == "s3://shelf/loras"
    with pytest.raises(UnknownVersion):
        typed(adapters_publish, "lincoln", "99", engine=engine)


def test_an_engine_that_reads_this_machines_files_has_no_store(typed):
    engine = '[engine]\nbase_model = "smollm2-135m"\nurl = "http://nowhere:8000"\n'
    with pytest.raises(ConfigError, match="nowhere to publish to"):
        typed(adapters_publish, "lincoln", engine=engine)
    with pytest.raises(ConfigError, match='kind = "ray" needs url and adapter_store'):
        typed(adapters_publish, "lincoln", engine=RAY)
