"""Configuration: file, environment and profile in order; every problem at once; no secret told."""

from __future__ import annotations

import pytest

from personae.config import PROFILES, load_config
from personae.errors import ConfigError
from personae.keys import KEY_FILE, ensure_admin_key, read_admin_key


def test_defaults_are_the_cpu_demo(tmp_path):
    config = load_config({}, folder=tmp_path)
    assert config.profile == "cpu-demo"
    assert config.home == tmp_path / "var"
    assert config.engine.base_model == "smollm2-135m"
    assert config.gateway.host == "127.0.0.1"
    assert config.gateway_url == "http://127.0.0.1:8420"


@pytest.mark.parametrize("profile", [name for name in PROFILES if name != "external"])
def test_every_profile_loads(tmp_path, profile):
    assert load_config({}, profile=profile, folder=tmp_path).engine.base_model


def test_file_then_environment_then_argument(tmp_path):
    (tmp_path / "personae.toml").write_text(
        '[personae]\nprofile = "gpu-24g"\nhome = "there"\n[engine]\nbase_model = "a/b"\n'
    )
    config = load_config({}, folder=tmp_path)
    assert (config.profile, config.engine.base_model) == ("gpu-24g", "a/b")
    environment = {"PERSONAE_BASE_MODEL": "c/d", "PERSONAE_HOME": "/elsewhere"}
    config = load_config(environment, profile="gpu-80g", folder=tmp_path)
    assert (config.profile, config.engine.base_model) == ("gpu-80g", "c/d")
    assert str(config.home) == "/elsewhere"


def test_every_problem_is_told_and_secrets_are_not(tmp_path):
    (tmp_path / "personae.toml").write_text(
        '[personae]\nprofile = "cloud"\ncolour = 1\n[gateway]\nport = 99999\n[kitchen]\nsink = 1\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_config({"DISCORD_TOKEN": "very-secret"}, folder=tmp_path)
    text = str(caught.value)
    for expected in ("cloud", "personae.colour", "gateway.port", "[kitchen]"):
        assert expected in text
    assert "very-secret" not in text


def test_secrets_do_not_show(tmp_path):
    config = load_config({"PERSONAE_ADMIN_KEY": "very-secret"}, folder=tmp_path)
    assert "very-secret" not in repr(config)
    assert config.secrets.admin_key.get_secret_value() == "very-secret"


def test_a_named_file_must_exist_and_parse(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config({}, file=tmp_path / "no.toml")
    (tmp_path / "broken.toml").write_text("[personae")
    with pytest.raises(ConfigError, match="TOML"):
        load_config({}, file=tmp_path / "broken.toml")


def test_external_needs_an_address(tmp_path):
    with pytest.raises(ConfigError, match=r"engine\.url"):
        load_config({}, profile="external", folder=tmp_path)


def test_an_admin_key_is_made_once_and_kept_private(tmp_path):
    config = load_config({}, folder=tmp_path)
    assert read_admin_key(config) is None
    first, path = ensure_admin_key(config)
    second, _ = ensure_admin_key(config)
    assert path == config.home / KEY_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.secrets.admin_key == second.secrets.admin_key == read_admin_key(config)


def test_a_key_of_the_environment_wins(tmp_path):
    config = load_config({"PERSONAE_ADMIN_KEY": "mine"}, folder=tmp_path)
    kept, path = ensure_admin_key(config)
    assert path is None and kept.secrets.admin_key.get_secret_value() == "mine"
    assert not (config.home / KEY_FILE).exists()


def test_further_engines_begin_with_the_profile_and_are_found_by_base_model(tmp_path):
    (tmp_path / "personae.toml").write_text(
        '[personae]\nprofile = "cpu-demo"\n[engines."big/model"]\nmax_sequences = 4\n'
    )
    config = load_config({}, folder=tmp_path)
    further = config.engine_for("big/model")
    assert further is not None and further.max_sequences == 4
    assert further.max_adapter_rank == config.engine.max_adapter_rank
    assert config.engine_for(None) is config.engine
    assert config.engine_for("smollm2-135m") is config.engine
    assert config.engine_for("unknown") is None


def test_an_engine_for_the_base_there_already_is_refused(tmp_path):
    (tmp_path / "personae.toml").write_text(
        '[personae]\nprofile = "cpu-demo"\n[engines.smollm2-135m]\n[engines.other]\nbase_model = "x"\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_config({}, folder=tmp_path)
    assert "engines.smollm2-135m: that is the base model of [engine] already" in str(caught.value)
    assert "engines.other.base_model" in str(caught.value)
