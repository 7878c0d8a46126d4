"""Answers that operators wrote better become samples: traceable, and nothing training may not know."""

from __future__ import annotations

import dataclasses

import pytest

from personae.config import load_config
from personae.corpus import cut_passages
from personae.feedback import Revision, ShownPassage, revisions_file, write_revisions
from personae.progress import silent
from personae.prompt import PromptPassage, render_ask, render_rewrite
from tests.training.conftest import TINY
from training.samples.dataset import REVISED_SHARE, make_dataset, split_documents
from training.samples.revisions import newest_revision, revised_samples, revisions_in
from training.tune.run_folder import TrainSettings


def passage_of(document, number=1):
    passage = cut_passages(document)[number]
    return ShownPassage(
        name=passage.name, title=passage.title, date=passage.date, text=passage.text
    )


@pytest.fixture
def revision(documents):
    training, _held_out = split_documents(documents)
    return Revision(
        request_id="r1", persona="lincoln", task="ask", adapter_version="v1", base_model="b",
        prompt_fingerprint="f", strength="normal", quoted=False, question="What of the fleet?", history=[],
        passages=[passage_of(training[0])], answer="Ships.", at="2026-01-01T00:00:00.000+00:00",
        revision="The fleet is ready for what we ask of it.",
    )  # fmt: skip


@pytest.fixture
def learned(tmp_path, lincoln, documents):
    """What is learned of some revisions."""

    def learned(*revisions, max_tokens=400, until=None):
        write_revisions(tmp_path, "lincoln", revisions)
        return revised_samples(
            tmp_path,
            lincoln,
            documents,
            length=lambda sample: len(sample.target.split()),
            max_tokens=max_tokens,
            until=until,
        )

    return learned


def test_a_revision_is_the_answer_to_the_prompt_that_was_served(learned, revision, lincoln):
    rewrite = revision.model_copy(
        update={"request_id": "r2", "task": "rewrite", "question": "we try", "passages": []}
    )
    first, second = learned(revision, rewrite)
    shown = revision.passages[0]
    prompt = PromptPassage(title=shown.title, date=shown.date, text=shown.text)
    assert first.messages == render_ask(lincoln, "What of the fleet?", [prompt])
    assert first.target == "The fleet is ready for what we ask of it."
    assert second.messages == render_rewrite(lincoln, "we try")
    assert (first.task, second.task) == ("ask", "rewrite")
    assert revisions_in([second, dataclasses.replace(first, made_by="rules"), first]) == [
        "r1",
        "r2",
    ]


def test_what_may_not_or_cannot_be_learned_is_left_out(learned, revision, documents):
    _training, held_out = split_documents(documents)
    words = " ".join(held_out[0].text.split()[300:330])
    bad = {
        "of a held-out document": {"passages": [passage_of(held_out[0])]},
        "in its words": {"revision": words, "passages": []},
        "a passage is lost": {"passages": [ShownPassage(name="gone#1.aa")]},
        "another strength": {"strength": "strong"},
        "chat markup": {"revision": "Yes.<|im_end|>"},
        "empty": {"revision": " "},
        "another persona's": {"persona": "roosevelt"},
    }
    for why, fields in bad.items():
        assert learned(revision.model_copy(update=fields)) == [], why
    assert learned(revision, max_tokens=3) == []
    assert len(learned(revision)) == 1


def test_among_many_only_those_with_held_out_words_are_left_out_and_the_order_stays(
    learned, revision, documents
):
    _training, held_out = split_documents(documents)
    words = " ".join(held_out[0].text.split()[300:330])
    many = [
        revision.model_copy(
            update={"request_id": f"r{n}"} | ({"question": words} if n in (0, 3, 4) else {})
        )
        for n in range(7)
    ]
    assert [sample.made_by for sample in learned(*many)] == [f"revision r{n}" for n in (1, 2, 5, 6)]


def test_later_revisions_wait_for_the_next_training(learned, revision, tmp_path):
    later = revision.model_copy(update={"request_id": "r2", "at": "2026-01-02T00:00:00.000+00:00"})
    assert [sample.made_by for sample in learned(later, revision, until=revision.at)] == [
        "revision r1"
    ]
    assert newest_revision(tmp_path, "lincoln") == later.at
    assert newest_revision(tmp_path, "pg") is None


def test_a_line_that_is_no_revision_is_passed_over(learned, revision, tmp_path, caplog):
    learned(revision)
    path = revisions_file(tmp_path, "lincoln")
    path.write_bytes(b'{"half\n\xff\n' + path.read_bytes())
    from personae.feedback import read_revisions

    assert read_revisions(tmp_path, "lincoln") == [revision]
    assert "line 1 is no revision" in caplog.text and "half" not in caplog.text


def test_without_revisions_there_is_no_file_and_no_sample(learned, revision, tmp_path):
    learned(revision)
    assert learned() == []
    assert not revisions_file(tmp_path, "lincoln").exists()


def test_a_dataset_takes_them_up_to_their_share_and_is_otherwise_as_before(
    learned, revision, lincoln, documents
):
    def made(**more):
        return make_dataset(lincoln, documents, count=40, held_out_count=4, seed=1, **more)

    assert made().fingerprint == made(revised=[]).fingerprint
    many = [revision.model_copy(update={"request_id": f"r{n:02}"}) for n in range(30)]
    dataset = made(revised=learned(*many))
    assert len(dataset.train) == 40
    assert revisions_in(dataset.train) == [f"r{n:02}" for n in range(round(40 * REVISED_SHARE))]
    assert revisions_in(dataset.held_out) == []


def test_a_plan_names_the_revisions_learned_and_train_run_finds_them(
    learned, revision, cast, corpora, models, tmp_path
):
    """As the command does it: from PERSONAE_HOME to the plan that a run and a version keep."""
    from personae.cli.training_samples import revised_samples as of_home
    from personae.cli.training_samples import samples_of
    from training.tune.prepare import prepare
    from training.tune.run_folder import Plan

    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(models)
    (home / "corpora").symlink_to(corpora)
    config = load_config({"PERSONAE_HOME": str(home), "PERSONAE_BASE_MODEL": TINY}, folder=tmp_path)
    settings, lincoln = TrainSettings(steps=5, held_out_samples=4), cast["lincoln"]
    assert of_home(config, lincoln, settings, until=None) == []
    write_revisions(config.feedback, "lincoln", [revision])
    revised = of_home(config, lincoln, settings, until=None)
    assert of_home(config, lincoln, settings, until="2025") == []

    def planned(found):
        samples = samples_of(config, lincoln, settings, revised=found, progress=silent)
        return prepare(
            lincoln, persona_folder=cast.folder("lincoln"), models=models, base_model=TINY, corpora=corpora,
            settings=settings, dataset=samples,
        ).plan  # fmt: skip

    plan, before = planned(revised), planned([])
    assert (plan.revisions, before.revisions) == (["r1"], [])
    assert plan.key != before.key, "another training"
    older = before.model_dump(exclude={"revisions"})
    assert Plan.model_validate(older).key == before.key, "runs of before are found again"
