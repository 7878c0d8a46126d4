"""The bench against TRL: both train the same samples, and the report says what came out."""

from __future__ import annotations

import pytest

from personae.errors import ConfigError
from personae.weights import model_folder
from tests.training.conftest import TINY
from training.bench.against_trl import TRL_ROWS, Sizes, run_training_bench
from training.bench.report import BEGIN, END, table, write_report
from training.tune.run_folder import TrainSettings

RUN = {"tokens_per_second": 400.0, "peak_memory_bytes": 2e9, "held_out_loss": 3.1}
RESULT = {
    "tokens_per_second_over_trl": 2.5,
    "peak_memory_over_trl": 0.8,
    "loss_difference": 0.01,
    "details": {
        "loss_difference_of_two_seeds": 0.02,
        "runs": {"ours": [RUN], "ours_other_seed": [RUN], **{name: [RUN] for name in TRL_ROWS}},
        "machine": {"processor": "a processor", "cores": 2},
        "versions": {"trl": "1.16.0"},
        "date": "2026-11-21",
        "base_model": "tiny",
        "command": "personae bench training",
        "steps": 4,
        "batch": 8,
    },
}


def test_the_table_has_every_key_and_every_run():
    shown = table(RESULT)
    for word in ("`tokens_per_second_over_trl` | 2.50", "`peak_memory_over_trl` | 0.80", "0.010"):
        assert word in shown
    assert shown.count("| 400 | 2.00 | 3.100 |") == 2 + len(TRL_ROWS)


def test_the_report_replaces_its_part_and_nothing_else(tmp_path):
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_report(RESULT, document)
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n")
    assert "old" not in text and "`loss_difference`" in text
    document.write_text("no marks")
    with pytest.raises(ConfigError, match="no place for the report"):
        write_report(RESULT, document)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_both_trainers_see_the_same_tokens_and_end_at_the_same_loss(lincoln, documents, models):
    result = run_training_bench(
        lincoln,
        documents,
        model_folder(models, TINY),
        sizes=Sizes(steps=3, rounds=1, held_out=4, batch=2),
        settings=TrainSettings(max_tokens=1024, learning_rate=5e-3),
    )
    runs = {name: found[0] for name, found in result["details"]["runs"].items()}
    assert set(runs) == {"ours", "ours_other_seed", *TRL_ROWS}
    # TRL also feeds the newline that the template writes behind the end of a turn.
    assert runs["ours"]["tokens"] == pytest.approx(runs["trl"]["tokens"], rel=0.01)
    assert len(runs["ours"]["losses"]) == len(runs["trl"]["losses"]) == 3
    assert result["loss_difference"] < 0.05
    assert result["tokens_per_second_over_trl"] > 0
    assert result["peak_memory_over_trl"] > 0
