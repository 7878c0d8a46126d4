"""The pages of training: what runs, what ran, curves and gates of a run, and the log of a job."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import expect

from personae.evaluation import EVALUATION, Evaluation, Figure, SampleRow
from personae.manifest import BaseModelRef
from personae.training_run import EVALUATIONS, GATES, METRICS, PLAN, RESULT, Plan, Result
from personae.verdict import GateRow
from serving.jobs.record import JobRecord, job_path, log_of, write_record
from tests.console.accessibility import HOW_TO_GET_IT, axe_core, violations

STEPS = 12


def write_run(runs: Path, key: str, *, done: bool) -> None:
    """A run of lincoln as training leaves it; unfinished ones were stopped halfway."""
    folder = runs / "lincoln" / key
    (folder / EVALUATIONS).mkdir(parents=True)
    plan = Plan(
        persona="lincoln",
        persona_file_sha256="00" * 32,
        base_model=BaseModelRef(id="smollm2-135m", weights_sha256="ab" * 32),
        prompt_fingerprint="00" * 32,
        corpus_sha256="00" * 32,
        dataset_fingerprint="00" * 32,
        held_out_documents=["1864-lincoln"],
        samples={"ask": 40, "rewrite": 24},
        settings={"steps": STEPS, "learning_rate": 0.0007},
        libraries={},
    )
    (folder / PLAN).write_text(plan.model_dump_json())
    rows: list[dict[str, float]] = [{"step": 0, "held_out_loss": 2.0, "copied_words": 0}]
    last = STEPS if done else STEPS // 2
    for step in range(1, last + 1):
        rows.append({"step": step, "loss": 2.5 - step / 10, "tokens": 1200, "seconds": 4.0})
    rows.append({"step": last, "held_out_loss": 1.25, "copied_words": 9})
    (folder / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    if not done:
        return
    finished = Result(metrics={"steps": float(STEPS)}, finished_at="2026-11-20T10:00:00+00:00")
    (folder / RESULT).write_text(finished.model_dump_json())
    evaluation = Evaluation(
        persona="lincoln",
        base_model="smollm2-135m",
        adapter_sha256="cd" * 32,
        prompt_fingerprint="00" * 32,
        held_out_documents=["1864-lincoln"],
        others=["roosevelt"],
        seed=17,
        figures={"identity": Figure(value=0.9, low=0.8, high=0.97, n=40)},
        samples=[
            SampleRow(
                task="voice",
                prompt="What of labor?",
                author="Labor is prior.",
                base="Hm.",
                adapter="Labor stands.",
            ),
            SampleRow(
                task="rewrite",
                prompt="The bill passed.",
                base="It passed.",
                adapter="The measure prevailed.",
            ),
        ],
        seconds=60.0,
        created_at="2026-11-20T10:05:00+00:00",
    )
    (folder / EVALUATIONS / EVALUATION).write_text(evaluation.model_dump_json())
    gates = [
        GateRow(
            name="identity",
            against="threshold",
            value=0.9,
            low=0.8,
            high=0.97,
            threshold=0.7,
            passed=True,
            sentence="identity: 0.90.",
        ),
        GateRow(
            name="copied_words",
            against="threshold",
            value=61,
            threshold=40,
            at_least=False,
            passed=False,
            sentence="copied_words: 61 words; train for fewer steps.",
        ),
    ]
    (folder / GATES).write_text(json.dumps([row.model_dump() for row in gates]))


@pytest.fixture
def runs(gateway) -> Path:
    write_run(gateway.config.runs, "aaaa11112222", done=True)
    write_run(gateway.config.runs, "bbbb11112222", done=False)
    folder: Path = gateway.config.runs
    return folder


async def test_runs_are_listed_with_how_they_stand(visitor, runs):
    page = await visitor.open("#/training")
    table = page.get_by_role("region", name="Training runs")
    finished = table.get_by_role("row").filter(has_text="aaaa111")
    await expect(finished).to_contain_text("gates failed")
    await expect(finished).to_contain_text("12/12")
    await finished.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Training of lincoln")


async def test_a_run_shows_its_curves_gates_and_samples(visitor, runs):
    """Each drawing has its numbers as a table; each failed gate its sentence."""
    page = await visitor.open("#/training/lincoln/aaaa11112222")
    loss = page.get_by_role("figure", name="Loss")
    await expect(loss.get_by_role("img")).to_be_visible()
    await loss.get_by_text("The numbers as a table").click()
    last = loss.get_by_role("row").last
    await expect(last).to_contain_text("12")
    await expect(last).to_contain_text("1.25")
    await expect(page.get_by_role("figure", name="Memorization").get_by_role("img")).to_be_visible()
    gates = page.get_by_role("region", name="Gates: what was measured")
    await expect(gates.get_by_role("row").filter(has_text="identity")).to_contain_text("passed")
    await expect(gates.get_by_role("row").filter(has_text="copied words")).to_contain_text("≤ 40")
    await expect(page.get_by_text("train for fewer steps")).to_be_visible()
    samples = page.get_by_role("region", name="Side by side")
    await expect(samples).to_contain_text("Labor is prior.")
    await samples.get_by_role("radio", name="Rewriting").check()
    await expect(samples).to_contain_text("The measure prevailed.")
    await expect(samples).not_to_contain_text("Labor is prior.")


async def test_a_run_is_for_everybody(visitor, runs):
    """axe-core finds nothing in the drawings, their tables and the samples."""
    script = axe_core()
    if script is None:
        pytest.skip(HOW_TO_GET_IT)
    page = await visitor.open("#/training/lincoln/aaaa11112222")
    await page.get_by_role("heading", name="All figures").click()
    await page.get_by_role("figure", name="Loss").get_by_text("The numbers as a table").click()
    assert await violations(page, script) == []


async def test_a_run_is_followed_while_it_goes_on(visitor, runs):
    page = await visitor.open("#/training/lincoln/bbbb11112222")
    main = page.get_by_role("main")
    await expect(main).to_contain_text("step 6 of 12")
    with (runs / "lincoln" / "bbbb11112222" / METRICS).open("a") as file:
        file.write(json.dumps({"step": 7, "loss": 1.5, "tokens": 1200, "seconds": 4.0}) + "\n")
    await expect(main).to_contain_text("step 7 of 12")


async def test_the_log_of_work_that_ended_can_be_read(visitor, gateway):
    """It stays: looking at it is no end of the work, which would draw the page anew."""
    record = JobRecord(
        id="lincoln-prepare-20261121T204500-1f3a",
        persona="lincoln",
        kind="prepare",
        state="done",
        started_at="2026-11-21T20:45:00+00:00",
        ended_at="2026-11-21T20:46:00+00:00",
        message="Read and indexed.",
        commands=[],
        folder=str(gateway.config.home),
    )
    path = job_path(gateway.config.jobs, record.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, record)
    log_of(path).write_text("2 documents read.\n")
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Its log").click()
    job = page.get_by_role("region", name="Reading and indexing")
    await expect(job.locator("pre")).to_contain_text("2 documents read.")
    await expect(job.get_by_role("status")).to_contain_text("Read and indexed.")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_job_is_begun_watched_and_stopped(visitor, gateway):
    """It is a process of its own: its log grows on the page, and it ends when somebody stops it."""
    page = await visitor.open("#/personas/lincoln")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Plan a training").click()
    await page.get_by_role("link", name="Training", exact=True).click()
    job = page.get_by_role("region", name="Planning a training")
    await expect(job.locator("pre")).to_contain_text("train plan lincoln", timeout=90_000)
    await job.get_by_role("button", name="Stop it").click()
    await page.get_by_role("dialog").get_by_role("button", name="Stop it").click()
    await expect(job.get_by_text("stopped", exact=True)).to_be_visible(timeout=90_000)
    jobs = page.get_by_role("region", name="Jobs of this gateway")
    await expect(jobs.get_by_role("row").filter(has_text="lincoln")).to_contain_text("stopped")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_work_that_fails_says_why(visitor, gateway):
    """In the words of the command that failed: here, that there is nothing to read."""
    headers = {"Authorization": f"Bearer {gateway.admin_key}"}
    draft = {"id": "ada", "display_name": "Ada Lovelace"}
    async with (
        aiohttp.ClientSession(gateway.url, headers=headers) as http,
        http.post("/admin/personas", json=draft) as made,
    ):
        assert made.status == 201, await made.text()
    page = await visitor.open("#/personas/ada")
    await visitor.sign_in(gateway.admin_key)
    await page.get_by_role("button", name="Read and index").click()
    job = page.get_by_role("region", name="Reading and indexing")
    await expect(job.get_by_text("failed", exact=True)).to_be_visible(timeout=120_000)
    await expect(job.get_by_role("alert")).to_contain_text("ada")
    await expect(page.get_by_role("button", name="Read and index")).to_be_enabled()


async def test_a_run_that_is_not_there(visitor):
    page = await visitor.open("#/training/lincoln/nothing")
    await expect(page.get_by_role("alert")).to_contain_text("no such training run")
