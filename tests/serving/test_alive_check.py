"""The alive check against an engine that is a fake on the wire: each way to fail is told apart."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from personae.config import EngineConfig
from personae.errors import EngineUnavailable
from personae.manifest import hash_files
from serving.alive_check import alive_check, try_in_engine
from serving.engine_client import EngineClient
from tests.conftest import REPOSITORY
from tests.fakes.artefacts import BASE, safetensors_bytes

MODULE = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def try_v2(stage, cast):
    """What the check makes of lincoln's v2 in the fake engine, as {check: passed}, and the verdict."""

    async def run(candidate=None, **options):
        found = candidate or stage.add(2, reference="true")
        async with EngineClient(stage.engine.url) as client:
            verdict = await try_in_engine(
                client, cast["lincoln"], found, base_model=BASE.id, **options
            )
        return {check.name: check.passed for check in verdict.checks}, verdict

    return run


async def test_a_sound_adapter_passes_everything(stage, try_v2, tmp_path):
    stage.engine.debug_log = tmp_path / "engine.log"
    checks, verdict = await try_v2(log_file=stage.engine.debug_log)
    assert checks == dict.fromkeys(["loaded", "tensors", "differs", "agrees", "stops"], True)
    assert verdict.outcome == "passed" and verdict.nats_off_reference == pytest.approx(0, abs=1e-3)
    assert verdict.engine == "vLLM 0.0.fake"
    (tensors,) = [check for check in verdict.checks if check.name == "tensors"]
    assert tensors.sentence == "The engine adapted all 1 modules."


async def test_an_engine_that_refuses_the_adapter_is_quoted(stage, try_v2):
    """What vLLM says of `modules_to_save`, DoRA and ranks comes through."""
    stage.engine.refuse_next_load = "vLLM only supports modules_to_save being either None"
    checks, verdict = await try_v2()
    assert checks == {"loaded": False} and verdict.outcome == "failed"
    assert "vLLM only supports modules_to_save" in verdict.sentence


async def test_an_adapter_unchanged_from_the_base_is_caught(stage, try_v2):
    stage.engine.deaf_to_adapters = True
    checks, verdict = await try_v2()
    assert checks["differs"] is False
    assert "speaks exactly like the base model" in verdict.sentence


async def test_an_adapter_without_words_is_caught(stage, try_v2):
    stage.engine.tag, stage.engine.words = False, [" "]
    checks, verdict = await try_v2()
    assert checks["differs"] is False and "said nothing" in verdict.sentence


async def test_a_chat_template_other_than_training_s_is_caught(stage, try_v2):
    stage.engine.template = "another template"
    checks, verdict = await try_v2()
    assert checks["agrees"] is False and checks["differs"] is True
    assert "another chat template" in verdict.sentence
    assert verdict.nats_off_reference > 0.1


async def test_weights_other_than_those_recorded_are_caught(stage, try_v2):
    checks, verdict = await try_v2(stage.add(2, reference="false"))
    assert [name for name, passed in checks.items() if not passed] == ["agrees"]
    assert verdict.outcome == "failed"


async def test_a_masked_end_token_is_caught_because_it_never_stops(stage, try_v2):
    stage.engine.words = ["We "] * 3000
    checks, verdict = await try_v2()
    assert checks["stops"] is False
    assert "Only 0 of 3 answers ended by themselves" in verdict.sentence


async def test_modules_that_the_engine_leaves_out_are_caught(stage, try_v2, tmp_path):
    """vLLM loads such an adapter without a word, and uses the rest of it."""
    stage.engine.debug_log = tmp_path / "engine.log"
    stage.engine.unserved_modules = ("gate",)
    found = with_module(stage.add(2, reference=None), "model.layers.0.mlp.gate")
    checks, verdict = await try_v2(found, log_file=stage.engine.debug_log)
    assert checks["tensors"] is False
    assert (
        "on 1 of its 2 modules; left out, for example: model.layers.0.mlp.gate" in verdict.sentence
    )


async def test_an_engine_that_goes_away_fails_no_adapter(stage, try_v2):
    stage.engine.full = True
    with pytest.raises(EngineUnavailable, match="busy"):
        await try_v2()


def with_module(version, module: str):
    """The candidate with a further module in its weights."""
    path = version.folder / "adapter_model.safetensors"
    names = [f"base_model.model.{name}" for name in (MODULE, module)]
    tensors = {}
    for name in names:
        tensors |= {
            f"{name}.lora_A.weight": [[1.0, 2.0]] * 8,
            f"{name}.lora_B.weight": [[1.0] * 8] * 2,
        }
    path.write_bytes(safetensors_bytes(tensors))
    manifest = version.manifest.model_copy(update={"files": hash_files(version.folder)})
    return replace(version, manifest=manifest)


# -- before an engine is started -------------------------------------------------------------------


@pytest.fixture
def model(tmp_path) -> Path:
    """A base model's folder as far as shapes go."""
    folder = tmp_path / "model"
    folder.mkdir()
    weights = {f"{MODULE}.weight": [[0.0, 0.0], [0.0, 0.0]]}
    (folder / "model.safetensors").write_bytes(safetensors_bytes(weights))
    return folder


OURS = EngineConfig(base_model=BASE.id)


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (None, r'none of this configuration serves smollm2-135m. Add \[engines."smollm2-135m"\]'),
        (EngineConfig(base_model=BASE.id, url="http://there:8000"), "is not ours to start"),
    ],
)
async def test_without_an_engine_of_ours_it_is_skipped_and_says_why(
    stage, cast, model, tmp_path, engine, why
):
    verdict = await alive_check(
        cast["lincoln"], stage.add(2), engine=engine, model=model, log_file=tmp_path / "log"
    )
    assert verdict.outcome == "skipped" and verdict.checks == []
    assert re.search(why, verdict.sentence)
    assert "A reload asks the version the same questions" in verdict.sentence


ILLEGAL = {
    "modules_to_save lm_head": ({"modules_to_save": ["lm_head"]}, "whole modules saved"),
    "DoRA": ({"use_dora": True}, "DoRA"),
    "bias": ({"bias": "lora_only"}, "a trained bias"),
    "another kind": ({"peft_type": "LOHA"}, "peft_type is LOHA"),
}


@pytest.mark.parametrize("name", ILLEGAL)
async def test_a_config_vllm_refuses_is_caught_before_the_engine_starts(
    stage, cast, model, tmp_path, name
):
    settings, why = ILLEGAL[name]
    verdict = await alive_check(
        cast["lincoln"],
        stage.add(2, config=settings),
        engine=OURS,
        model=model,
        log_file=tmp_path / "log",
    )
    assert verdict.outcome == "failed" and why in verdict.sentence
    assert not (tmp_path / "log").exists(), "no engine was started"


async def test_a_rank_above_the_engine_s_is_caught_before_it_starts(stage, cast, model, tmp_path):
    small = OURS.model_copy(update={"max_adapter_rank": 4})
    verdict = await alive_check(
        cast["lincoln"], stage.add(2), engine=small, model=model, log_file=tmp_path / "log"
    )
    assert verdict.outcome == "failed"
    assert "Its rank is 8, and the engine is started for 4 at most" in verdict.sentence


async def test_a_tensor_of_another_shape_is_caught_before_the_engine_starts(
    stage, cast, model, tmp_path
):
    weights = {f"{MODULE}.weight": [[0.0] * 3] * 3}
    (model / "model.safetensors").write_bytes(safetensors_bytes(weights))
    verdict = await alive_check(
        cast["lincoln"], stage.add(2), engine=OURS, model=model, log_file=tmp_path / "log"
    )
    assert verdict.outcome == "failed" and "base model needs" in verdict.sentence


# -- its own engine is gone afterwards -------------------------------------------------------------

# In place of vLLM's server, as a process of its own: the fake engine on the socket it is given.
SERVER = """
import asyncio, os, sys
from pathlib import Path
from tests.fakes.engine import FakeEngine

async def serve():
    engine = FakeEngine()
    engine.debug_log = Path(os.environ["FAKE_LOG"])
    if os.environ.get("FAKE_HANGS"):
        engine.hang_after = 0
    await engine.start(Path(sys.argv[sys.argv.index("--uds") + 1]))
    Path(os.environ["FAKE_PID"]).write_text(str(os.getpid()))
    await asyncio.Event().wait()

asyncio.run(serve())
"""

CHECK = """
import asyncio, json, sys
from pathlib import Path
from personae.config import EngineConfig
from personae.persona import load_cast
from personae.registry import Registry
from serving.alive_check import alive_check

registry, cast, model, log_file = (Path(argument) for argument in sys.argv[1:])
verdict = asyncio.run(
    alive_check(
        load_cast([cast])["lincoln"],
        Registry(registry).find("lincoln", 2),
        engine=EngineConfig(base_model="smollm2-135m"),
        model=model,
        log_file=log_file,
    )
)
print(verdict.model_dump_json())
"""


@pytest.fixture
def own_engine(stage, model, tmp_path):
    """Start the check as a program whose vLLM is the fake; gives (process, file with the engine's pid)."""
    stage.add(2, reference="true")
    package = tmp_path / "path" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    (package / "api_server.py").write_text(SERVER)
    for folder in (package, package.parent, package.parent.parent):
        (folder / "__init__.py").touch()
    log_file, pid_file = tmp_path / "engine.log", tmp_path / "pid"

    async def start(**environment: str):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHECK,
            *map(str, (stage.registry.root, REPOSITORY / "cast", model, log_file)),
            env=os.environ
            | {
                "PYTHONPATH": f"{tmp_path / 'path'}{os.pathsep}{REPOSITORY}",
                "FAKE_PID": str(pid_file),
                "FAKE_LOG": str(log_file),
            }
            | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return process, pid_file

    return start


async def test_the_engine_it_started_is_gone_when_it_is_done(own_engine):
    process, pid_file = await own_engine()
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    verdict = json.loads(out)
    assert verdict["outcome"] == "passed", verdict
    assert [check["sentence"] for check in verdict["checks"] if check["name"] == "tensors"] == [
        "The engine adapted all 1 modules."
    ]
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


async def test_ctrl_c_stops_the_engine_it_started(own_engine):
    process, pid_file = await own_engine(FAKE_HANGS="1")
    async with asyncio.timeout(60):
        while not pid_file.is_file() or not pid_file.read_text():
            assert process.returncode is None, await process.communicate()
            await asyncio.sleep(0.05)
    engine = Path(f"/proc/{pid_file.read_text()}")
    assert engine.exists()
    process.send_signal(signal.SIGINT)
    _out, err = await process.communicate()
    assert process.returncode != 0 and b"KeyboardInterrupt" in err
    assert not engine.exists()


async def test_an_engine_that_does_not_start_is_told_with_its_last_words(own_engine, tmp_path):
    process, _pid_file = await own_engine(FAKE_PID="/nowhere/pid")
    _out, err = await process.communicate()
    assert process.returncode != 0
    assert b"ended while it was starting" in err and b"No such file or directory" in err
