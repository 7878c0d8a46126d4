"""`personae bench … --report`: half an hour of measuring is not lost for want of a place to write it."""

from __future__ import annotations

import pytest

from serving.bench import report as serving_report
from tests.cli.test_cli import personae
from tests.conftest import REPOSITORY
from training.bench import report as training_report


@pytest.mark.parametrize("what", ["serving", "training"])
async def test_a_document_without_a_place_for_the_report_is_refused_before_anything_starts(
    what, tmp_path
):
    document = tmp_path / "benchmarks.md"
    document.write_text("nothing here")
    code, _out, err = await personae(
        "bench", what, "--report", str(document), PERSONAE_HOME=str(tmp_path)
    )
    assert code == 1
    assert "no place for the report" in err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("report", [serving_report, training_report], ids=["serving", "training"])
def test_our_own_page_has_a_place_for_each(report):
    report.require_place(REPOSITORY / "docs" / "benchmarks.md")
