"""Publishing: only what has rights and passed its gates, once, whole, and with its evidence."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from personae.errors import AdapterError, ModelError
from personae.manifest import BaseModelRef, verify_adapter
from personae.persona import Rights
from personae.prompt import fingerprint
from personae.reference import REFERENCE_TOKENS, reference_prompts
from personae.registry import Registry
from personae.weights import MODEL_MANIFEST, model_folder, read_model_manifest
from tests.conftest import REPOSITORY
from tests.training.conftest import TINY
from tests.training.release.runs import alive, change_config, evaluate, files_below, write_run
from training.evaluate.evaluation import EVALUATION, REPORT
from training.release.candidate import candidate
from training.release.publish import judge_run, publish, ship
from training.release.reference import reference_answers


@pytest.fixture(scope="module")
def finished(lincoln, models, tmp_path_factory) -> Path:
    """A run whose reference answers are recorded, so that each test need not ask the model again."""
    run = write_run(tmp_path_factory.mktemp("runs"), lincoln, models, TINY)
    candidate(run, lincoln, models=models, registry=Registry(run.parent / "none"))
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    copy = tmp_path / "runs" / "lincoln" / finished.name
    shutil.copytree(finished, copy)
    return copy


@pytest.fixture
def registry(tmp_path) -> Registry:
    return Registry(tmp_path / "adapters")


@pytest.fixture(scope="module")
def fits(models, lincoln) -> dict[str, object]:
    base = read_model_manifest(model_folder(models, TINY))
    return {
        "persona": "lincoln",
        "base_model": BaseModelRef(id=base.id, weights_sha256=base.weights_sha256),
        "prompt_fingerprint": fingerprint(lincoln),
    }


def test_a_version_that_passed_carries_its_figures_its_evidence_and_its_verdicts(
    run, lincoln, models, registry, fits
):
    evaluate(run, lincoln)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    manifest = verify_adapter(version.folder, **fits)
    assert version.engine_name == "lincoln@v1"
    assert manifest.gate == "passed" and manifest.forced_notice is None
    assert manifest.alive == alive(run)
    assert set(manifest.files) == {
        "adapter_config.json", "adapter_model.safetensors", EVALUATION, REPORT
    }  # fmt: skip
    assert manifest.metrics["steps"] == 6
    assert manifest.metrics["identity"] == 0.95
    assert (manifest.metrics["identity_low"], manifest.metrics["identity_high"]) == (0.94, 0.96)
    assert manifest.recipe["settings"]["rank"] == 8
    assert manifest.recipe["held_out_documents"] == ["1864-lincoln-1"]
    assert not [name for name in ("/tmp", "/home", "/work") if name in manifest.model_dump_json()]


def test_the_same_run_with_the_same_verdict_is_one_version(run, lincoln, models, registry):
    evaluate(run, lincoln)
    publishing = {"models": models, "registry": registry, "alive": alive(run)}
    version = publish(run, lincoln, **publishing)
    evaluate(run, lincoln, created_at="2026-02-01T00:00:00+00:00")
    assert publish(run, lincoln, **publishing) == version
    assert [known.name for known in registry.versions("lincoln")] == ["v1"]


@pytest.mark.parametrize("name", [EVALUATION, REPORT])
def test_evidence_that_was_edited_afterwards_is_found_out(
    run, lincoln, models, registry, fits, name
):
    evaluate(run, lincoln)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    path = version.folder / name
    path.write_text(path.read_text().replace("0.95", "0.99") + " ")
    with pytest.raises(AdapterError, match=f"{name} differs from its manifest"):
        verify_adapter(version.folder, **fits)
    path.unlink()
    with pytest.raises(AdapterError, match=f"{name} is missing"):
        verify_adapter(version.folder, **fits)


def test_failed_gates_block_and_are_all_explained_at_once(run, lincoln, models, registry):
    evaluate(run, lincoln, {"identity": 0.4, "copied_words": 90.0})
    before = files_below(run)
    with pytest.raises(AdapterError) as refused:
        publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    said = str(refused.value)
    assert "it failed 2 gates. Nothing was changed." in said
    assert "- identity: the share of identity questions answered rightly is 0.4" in said
    assert "- copied_words: replies copy the training text" in said
    assert "at most 40 is wanted. Try this: train for fewer steps, or give it more text" in said
    assert registry.versions("lincoln") == [] and files_below(registry.root) == {}
    assert files_below(run) == before


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (None, "It was not tried in an engine"),
        ({"outcome": "failed", "sentence": "It is mute."}, "- alive: It is mute."),
        ({"adapter_sha256": "00" * 32}, "Another adapter was tried"),
    ],
)
def test_what_is_not_alive_is_not_published(run, lincoln, models, registry, verdict, why):
    evaluate(run, lincoln)
    found = None if verdict is None else alive(run, **verdict)
    with pytest.raises(AdapterError, match=why):
        publish(run, lincoln, models=models, registry=registry, alive=found)


def test_a_check_that_was_skipped_passes_and_is_on_record(run, lincoln, models, registry):
    evaluate(run, lincoln)
    skipped = alive(run, outcome="skipped", sentence="The engine is not ours.")
    version = publish(run, lincoln, models=models, registry=registry, alive=skipped)
    assert version.manifest.gate == "passed"
    assert version.manifest.alive.outcome == "skipped"


def test_a_version_worse_than_the_live_one_is_blocked(run, lincoln, models, registry):
    live = evaluate(run, lincoln, {"identity": 1.0})
    evaluate(run, lincoln, {"identity": 0.95})
    with pytest.raises(AdapterError, match=r"identity v live: .* worse than what speaks now"):
        publish(run, lincoln, models=models, registry=registry, alive=alive(run), live=live)


def test_forcing_needs_a_reason_and_leaves_a_mark(run, lincoln, models, registry, fits):
    evaluate(run, lincoln, {"identity": 0.4, "loops": 0.9})
    publishing = {"models": models, "registry": registry, "alive": alive(run, outcome="failed")}
    for reason in ("", " \n", "x" * 201):
        with pytest.raises(AdapterError, match="needs a reason"):
            publish(run, lincoln, **publishing, force_reason=reason)
    version = publish(run, lincoln, **publishing, force_reason="a demo\nfor friends")
    gate = "forced: a demo for friends (failed: alive, loops_above_base, identity)"
    assert verify_adapter(version.folder, **fits).gate == gate
    assert version.manifest.forced_notice == (
        "v1 was published by force: a demo for friends (failed: alive, loops_above_base, identity)."
    )


def test_forcing_what_passes_leaves_no_mark(run, lincoln, models, registry):
    evaluate(run, lincoln)
    version = publish(
        run, lincoln, models=models, registry=registry, alive=alive(run), force_reason="to be sure"
    )
    assert version.manifest.gate == "passed"


def test_a_forced_version_that_passes_later_is_a_version_of_its_own(run, lincoln, models, registry):
    """Nothing that is published is ever changed."""
    evaluate(run, lincoln, {"identity": 0.4})
    publishing = {"models": models, "registry": registry, "alive": alive(run)}
    publish(run, lincoln, **publishing, force_reason="a demo")
    evaluate(run, lincoln)
    publish(run, lincoln, **publishing)
    gates = [version.manifest.gate for version in registry.versions("lincoln")]
    assert gates == ["forced: a demo (failed: identity)", "passed"]


def test_rights_are_asked_first_and_cannot_be_forced(run, lincoln, models, registry):
    evaluate(run, lincoln)
    without = lincoln.model_copy(update={"rights": Rights(owner="A", statement="S")})
    with pytest.raises(AdapterError, match=r"licence or consent .this can't be forced"):
        publish(
            run, without, models=models, registry=registry, alive=alive(run), force_reason="please"
        )
    assert registry.versions("lincoln") == []


def test_what_was_not_measured_is_not_published_even_by_force(run, lincoln, models, registry):
    publishing = {"models": models, "registry": registry, "alive": alive(run), "force_reason": "x"}
    with pytest.raises(AdapterError, match="There is no evaluation"):
        publish(run, lincoln, **publishing)
    evaluate(run, lincoln, adapter_sha256="00" * 32)
    with pytest.raises(AdapterError, match="of another adapter than it holds"):
        publish(run, lincoln, **publishing)
    evaluate(run, lincoln, prompt_fingerprint="00" * 32)
    with pytest.raises(AdapterError, match=r"were changed after .* was measured"):
        publish(run, lincoln, **publishing)
    evaluate(run, lincoln, persona="roosevelt")
    with pytest.raises(AdapterError, match="is of roosevelt, not of lincoln"):
        publish(run, lincoln, **publishing)


def test_a_report_too_large_to_ship_stays_behind_and_an_evaluation_too_large_is_refused(
    run, lincoln, models, registry
):
    evaluate(run, lincoln)
    (run / "evaluation" / REPORT).write_bytes(b"x" * 500_000)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    assert not (version.folder / REPORT).exists() and (version.folder / EVALUATION).is_file()
    long = [{"task": "ask", "prompt": "Who?", "adapter": "I " * 300_000}]
    evaluate(run, lincoln, {"identity": 0.96}, samples=long)
    with pytest.raises(AdapterError, match="fewer samples shown"):
        publish(run, lincoln, models=models, registry=Registry(run / "other"), alive=alive(run))


# -- what made earlier attempts fail, caught here --------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"modules_to_save": ["lm_head"]}, r"whole modules saved \(\['lm_head'\]\)"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "a trained bias"),
        ({"lora_bias": True}, "a trained bias"),
        ({"r": 16}, "r is 16, the manifest says 8"),
        ({"peft_type": "IA3"}, "peft_type is IA3"),
        ({"init_lora_weights": "pissa"}, "changes the base model's weights"),
        ({"use_qalora": True}, "use_qalora"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
    ],
)
def test_a_config_that_vllm_refuses_is_caught_before_publishing(
    run, lincoln, models, registry, settings, why
):
    change_config(run, **settings)
    evaluate(run, lincoln)
    with pytest.raises(AdapterError, match=why):
        publish(
            run, lincoln, models=models, registry=registry, alive=alive(run), force_reason="please"
        )


def test_prompts_changed_since_training_are_caught_before_publishing(
    run, lincoln, models, registry
):
    evaluate(run, lincoln)
    changed = lincoln.model_copy(
        update={"ask": lincoln.ask.model_copy(update={"system": "You are somebody else."})}
    )
    with pytest.raises(AdapterError, match="The prompts of lincoln were changed after"):
        publish(run, changed, models=models, registry=registry, alive=alive(run))


def test_a_chat_template_changed_since_training_is_caught(run, lincoln, models, registry, tmp_path):
    """The hash of the weights does not cover it: preflight wrote its own."""
    evaluate(run, lincoln)
    shutil.copytree(models, tmp_path / "models")
    template = tmp_path / "models" / TINY / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>assistant", "<|im_start|>bot"))
    with pytest.raises(AdapterError, match=r"chat template of tiny was changed after"):
        publish(run, lincoln, models=tmp_path / "models", registry=registry, alive=alive(run))


def test_another_persona_s_run_is_not_published(run, cast, models, registry):
    with pytest.raises(AdapterError, match="a run of lincoln, not of roosevelt"):
        publish(run, cast["roosevelt"], models=models, registry=registry)


def test_a_base_model_of_other_weights_is_caught(run, lincoln, models, registry, tmp_path):
    evaluate(run, lincoln)
    shutil.copytree(models, tmp_path / "models")
    path = tmp_path / "models" / TINY / MODEL_MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights_sha256": "00" * 32}))
    publishing = {"registry": registry, "alive": alive(run)}
    with pytest.raises(AdapterError, match="was trained on other weights of tiny"):
        publish(run, lincoln, models=tmp_path / "models", **publishing)
    path.unlink()
    with pytest.raises(ModelError, match="personae models fetch"):
        publish(run, lincoln, models=tmp_path / "models", **publishing)


# -- reference answers, shipping, kills ------------------------------------------------------------


def test_a_published_version_holds_what_it_says_and_how_the_base_differs(
    run, lincoln, models, registry
):
    """Reference answers: greedy, every token with its log-probability with and without the adapter."""
    evaluate(run, lincoln)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    prompts = reference_prompts(lincoln)
    assert version.manifest.reference
    for answer in version.manifest.reference:
        assert answer.prompt in prompts
        assert 1 <= len(answer.tokens) <= REFERENCE_TOKENS
        assert all(value < 0 for value in [*answer.log_probs, *answer.base_log_probs])
        assert answer.log_probs != answer.base_log_probs
    assert reference_answers(lincoln, models / TINY, version.folder) == version.manifest.reference


def test_versions_that_do_not_fit_a_server_are_refused_with_a_reason(
    run, lincoln, models, registry, fits
):
    evaluate(run, lincoln)
    folder = publish(run, lincoln, models=models, registry=registry, alive=alive(run)).folder
    with pytest.raises(AdapterError, match="was trained for lincoln, not for roosevelt"):
        verify_adapter(folder, **(fits | {"persona": "roosevelt"}))
    with pytest.raises(AdapterError, match="trained on other weights of tiny"):
        other = BaseModelRef(id=TINY, weights_sha256="00" * 32)
        verify_adapter(folder, **(fits | {"base_model": other}))
    with pytest.raises(AdapterError, match="train lincoln again"):
        verify_adapter(folder, **(fits | {"prompt_fingerprint": "00" * 32}))
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(AdapterError, match="damaged or edited"):
        verify_adapter(folder, **fits)


def test_reference_answers_of_another_adapter_are_made_again(run, lincoln, models, registry):
    before = candidate(run, lincoln, models=models, registry=registry).manifest.reference
    recorded = json.loads((run / "reference.json").read_text())
    wrong = recorded | {"adapter_sha256": "00" * 32, "answers": recorded["answers"][:1]}
    for damaged in (json.dumps(wrong), "{"):
        (run / "reference.json").write_text(damaged)
        again = candidate(run, lincoln, models=models, registry=registry).manifest.reference
        assert again == before and len(again) > 1


def test_a_shipped_version_is_imported_on_another_machine_with_its_evidence(
    run, lincoln, models, registry, tmp_path
):
    evaluate(run, lincoln)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    shipped = ship(version, tmp_path / "cast" / "lincoln")
    assert ship(version, tmp_path / "cast" / "lincoln") == shipped
    there = Registry(tmp_path / "there")
    (imported,) = there.import_shipped("lincoln", tmp_path / "cast" / "lincoln")
    assert imported.manifest == version.manifest
    assert (imported.folder / REPORT).is_file()
    assert there.import_shipped("lincoln", tmp_path / "cast" / "lincoln") == []
    shutil.copytree(shipped, tmp_path / "cast" / "other" / "adapters" / shipped.name)
    damaged = tmp_path / "cast" / "other" / "adapters" / shipped.name / "adapter_config.json"
    damaged.write_text(damaged.read_text() + " ")
    with pytest.raises(AdapterError, match="differ from their manifest"):
        Registry(tmp_path / "elsewhere").import_shipped("lincoln", tmp_path / "cast" / "other")


def test_a_manifest_from_before_there_were_gates_still_reads(run, lincoln, models, registry, fits):
    evaluate(run, lincoln)
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    path = version.folder / "manifest.json"
    old = json.loads(path.read_text()) | {"gate": "not gated"}
    del old["alive"]
    path.write_text(json.dumps(old))
    manifest = verify_adapter(version.folder, **fits)
    assert manifest.gate == "not gated" and manifest.alive is None and not manifest.forced_notice


_PUBLISH = """
import os, shutil, signal, sys
from pathlib import Path
from personae.persona import load_cast
from personae.registry import Registry
from tests.training.release.runs import alive
from training.release.publish import publish

run, models, root, cast, kill_at = sys.argv[1:]
copied = 0

def audit(event, arguments):
    global copied
    if event == "shutil.copyfile":
        copied += 1
        if copied == int(kill_at):
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(audit)
publish(
    Path(run), load_cast([Path(cast)])["lincoln"], models=Path(models), registry=Registry(Path(root)),
    alive=alive(Path(run)),
)
"""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kill_at", [2, 5, 8])
def test_killed_in_the_middle_nothing_is_published_and_a_rerun_publishes_it_whole(
    run, lincoln, models, registry, fits, kill_at
):
    """SIGKILL at a file being copied: into the scratch folder (1 to 4), into the registry (5 to 8)."""
    evaluate(run, lincoln)
    arguments = [str(run), str(models), str(registry.root), str(REPOSITORY / "cast"), str(kill_at)]
    killed = subprocess.run(
        [sys.executable, "-c", _PUBLISH, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert registry.versions("lincoln") == []
    version = publish(run, lincoln, models=models, registry=registry, alive=alive(run))
    assert version.name == "v1" and verify_adapter(version.folder, **fits)
    names = {path.name for path in (registry.root / "lincoln").iterdir()}
    assert names == {version.folder.name, ".publishing"}, "nothing half-written is left"
    assert not list(run.glob(".*writing*"))


def test_rows_are_given_without_publishing(run, lincoln):
    evaluate(run, lincoln, {"identity": 0.4})
    rows = judge_run(run, lincoln, alive=alive(run), live=None)
    assert [row.name for row in rows if not row.passed] == ["identity"]
    assert rows[0].name == "alive" and rows[0].value == 0.01
