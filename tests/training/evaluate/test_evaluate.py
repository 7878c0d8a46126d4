"""A whole evaluation of a two-layer model: every figure measured, killed and resumed, none twice."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from personae.errors import AdapterError, CorpusError, ModelError
from personae.manifest import read_manifest
from tests.training.conftest import TINY
from tests.training.evaluate.conftest import EMBEDDER, write_run
from training.evaluate.evaluate import FOLDER, SHARED, EvaluationSettings, evaluate_run
from training.evaluate.evaluation import EVALUATION, FIGURES, REPORT, Evaluation, read_evaluation
from training.evaluate.evidence import EVIDENCE
from training.evaluate.made_of import made_of_version
from training.evaluate.prompts import Counts

SETTINGS = EvaluationSettings(
    counts=Counts(voice=6, rewrites=2, modern=2, identity=2, grounded=2, outside=2),
    author_stretches=3,
    others_stretches=3,
)


class Killed(BaseException):
    """Like a kill: nothing catches it."""


@pytest.fixture(scope="module")
def evaluate(tiny_persona, cast, corpora, tiny_models):
    def run(run: Path, **changes) -> Evaluation:
        return evaluate_run(
            changes.pop("persona", tiny_persona),
            run,
            persona_folder=cast.folder("lincoln"),
            models=tiny_models,
            **(
                {
                    "corpora": corpora,
                    "base_model": TINY,
                    "embedder": EMBEDDER,
                    "settings": SETTINGS,
                }
                | changes
            ),
        )

    return run


@pytest.fixture(scope="module")
def fresh(tiny_persona, corpora, tiny_models, tmp_path_factory) -> Path:
    """A run nobody has measured yet; copy it."""
    run = tmp_path_factory.mktemp("fresh") / "run"
    write_run(run, tiny_persona, corpora, tiny_models, scale=0.5)
    return run


@pytest.fixture(scope="module")
def measured(evaluate, fresh, tmp_path_factory) -> tuple[Path, Evaluation]:
    run = tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(fresh, run)
    return run, evaluate(run)


def test_every_figure_is_measured_and_known(measured) -> None:
    _run, evaluation = measured
    # A model of random weights may answer no grounded question at all.
    assert set(FIGURES) - set(evaluation.figures) <= {"grounded", "memorized"}
    assert set(evaluation.figures) <= set(FIGURES)
    for name, figure in evaluation.figures.items():
        assert figure.low <= figure.value <= figure.high, name


def test_what_is_written_is_what_was_returned(measured) -> None:
    run, evaluation = measured
    assert read_evaluation(run / FOLDER) == evaluation
    assert (run / FOLDER / REPORT).stat().st_size < 400_000
    assert len(evaluation.others) == 8
    assert "Abraham Lincoln" not in evaluation.others


def test_a_finished_evaluation_is_read_and_not_measured_again(measured, evaluate) -> None:
    run, evaluation = measured
    told = []
    assert evaluate(run, progress=lambda *said: told.append(said)) == evaluation
    assert told == []


def test_other_settings_are_another_evaluation(measured, evaluate, tmp_path) -> None:
    run, evaluation = measured
    shutil.copytree(run, tmp_path / "run")
    again = evaluate(tmp_path / "run", settings=EvaluationSettings(SETTINGS.counts, 3, 3, seed=18))
    assert again.samples != evaluation.samples


@pytest.mark.parametrize("after", [2, 9, 14])
def test_killed_and_run_again_it_makes_no_reply_twice_and_ends_the_same(
    after: int, fresh, measured, evaluate, tmp_path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(fresh, run)
    calls = 0

    def kill_later(_doing: str, _done: float, _total: float | None) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Killed

    with pytest.raises(Killed):
        evaluate(run, progress=kill_later)
    assert not (run / FOLDER / EVALUATION).exists()
    before = {path.name: path.read_text() for path in (run / FOLDER).glob("replies-*")}
    for path in (run / FOLDER).glob("replies-*"):
        # The kill also cut the last line short.
        path.write_text(path.read_text() + '{"id": "voice-')
    evaluation = evaluate(run)
    for name, text in before.items():
        assert (run / FOLDER / name).read_text().startswith(text)
    same = {"seconds": 0.0, "created_at": ""}
    assert evaluation.model_copy(update=same) == measured[1].model_copy(update=same)


def test_replies_cut_in_the_middle_of_a_batch_are_completed(
    measured, evaluate, fresh, tmp_path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(fresh, run)
    (run / FOLDER).mkdir()
    whole = (measured[0] / FOLDER / "replies-adapter.jsonl").read_text().splitlines()
    (run / FOLDER / "replies-adapter.jsonl").write_text("\n".join(whole[:5]))
    assert evaluate(run).figures == measured[1].figures


def test_what_the_base_model_said_is_kept_for_the_next_run(
    measured, evaluate, tiny_persona, corpora, tiny_models, tmp_path
) -> None:
    shutil.copytree(measured[0].parent / SHARED, tmp_path / SHARED)
    write_run(tmp_path / "run", tiny_persona, corpora, tiny_models, scale=0.2)
    evaluation = evaluate(tmp_path / "run")
    assert not list((tmp_path / "run" / FOLDER).glob("replies-*base*"))
    same = "attribution_auc_prompted_base"
    assert evaluation.figures[same] == measured[1].figures[same]
    assert [row.base for row in evaluation.samples] == [row.base for row in measured[1].samples]


def test_a_seeds_failure_an_adapter_that_changes_nothing_shows(
    evaluate, tiny_persona, corpora, tiny_models, tmp_path
) -> None:
    write_run(tmp_path / "run", tiny_persona, corpora, tiny_models, scale=0.0)
    figures = evaluate(tmp_path / "run").figures
    assert figures["bits_per_byte_drop"].value == 0.0
    assert figures["bits_per_byte_drop"].high == 0.0
    assert figures["forgetting"].value == 0.0


def test_prompts_changed_after_the_training_are_refused(evaluate, fresh, tiny_persona) -> None:
    ask = tiny_persona.ask.model_copy(update={"system": "Be brief."})
    with pytest.raises(AdapterError, match="prompts of lincoln were changed"):
        evaluate(fresh, persona=tiny_persona.model_copy(update={"ask": ask}))


def test_another_base_model_is_refused(evaluate, fresh) -> None:
    with pytest.raises(AdapterError, match="was trained on tiny"):
        evaluate(fresh, base_model="other")


def test_a_corpus_that_was_ingested_anew_is_refused(evaluate, fresh, corpora, tmp_path) -> None:
    from personae.corpus import read_corpus, write_corpus

    documents = read_corpus(corpora / "lincoln")[1]
    write_corpus(
        tmp_path / "lincoln", "lincoln", documents[1:], sources=[], created_at="2026-01-01"
    )
    with pytest.raises(CorpusError, match="another than this adapter was trained on"):
        evaluate(fresh, corpora=tmp_path)


def test_a_missing_embedder_is_told_before_anything_is_measured(evaluate, fresh) -> None:
    with pytest.raises(ModelError, match="personae models fetch nowhere"):
        evaluate(fresh, embedder="nowhere")
    assert not (fresh / FOLDER).exists()


def test_an_unfinished_run_is_refused(evaluate, fresh, tmp_path) -> None:
    with pytest.raises(AdapterError, match="no training run"):
        evaluate(tmp_path)
    shutil.copy(fresh / "plan.json", tmp_path)
    with pytest.raises(AdapterError, match="no adapter yet"):
        evaluate(tmp_path)


def test_a_shipped_version_is_measured_on_what_its_manifest_says_was_held_out(
    cast, corpora
) -> None:
    (folder,) = (cast.folder("lincoln") / "adapters").glob("v*-*")
    made_of = made_of_version(read_manifest(folder), corpora / "lincoln")
    assert made_of.held_out_documents == ["1864-lincoln-1"]
    assert re.fullmatch(r"[0-9a-f]{64}", made_of.corpus_sha256)
    silent = read_manifest(folder).model_copy(update={"recipe": {}})
    with pytest.raises(AdapterError, match="does not say which documents were held out"):
        made_of_version(silent, corpora / "lincoln")


def test_evidence_says_what_it_was_made_of(measured) -> None:
    from training.evaluate.evidence import read_evidence

    run, _evaluation = measured
    evidence = read_evidence(run / FOLDER)
    assert [row.held_out for row in evidence.documents] == [False, False, False, True]
    assert [point.step for point in evidence.losses] == [0, 1, 2]
    assert (run / FOLDER / EVIDENCE).is_file()
    assert evidence.counts == {"voice": 6, "rewrite": 4, "identity": 4, "grounded": 2, "outside": 2}
