"""TRL takes what the gateway exports: its own trainers prepare the files and learn from them."""

from __future__ import annotations

import json

import pytest

from personae.feedback import Rated, Revision, ShownPassage
from serving.feedback_export import exported
from tests.training.conftest import TINY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def answered(number, **fields):
    told = {
        "request_id": f"r{number}", "persona": "lincoln", "task": "ask", "adapter_version": "v1",
        "base_model": "b", "prompt_fingerprint": "", "strength": "normal", "quoted": False,
        "question": f"What of law {number}?", "answer": f"Law {number} is kept “so”.", "at": "",
        "history": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}],
        "passages": [ShownPassage(name=f"d#{number}.aa", title="T", date="1862", text="Laws\nhold.")],
    }  # fmt: skip
    return told | fields


RATINGS = [
    Rated(
        **answered(number, question=f"What of law {number // 2}?"),
        rating="up" if number % 2 else "down",
        reason="",
        rejected="No." if number % 4 == 1 else "",
    )
    for number in range(8)
]
REVISIONS = [
    Revision(
        **answered(20 + number, task=task, history=[] if task == "rewrite" else answered(0)["history"]),
        revision=f"Keep it, and mend it: {number}.",
    )
    for number, task in enumerate(("ask", "rewrite"))
]  # fmt: skip


@pytest.fixture
def prepared(tmp_path, lincoln, models):
    """Rows of a format as a trainer of TRL has prepared them, after it learned from them for two steps."""
    import torch
    import trl
    from datasets import disable_progress_bars, load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    disable_progress_bars()

    def prepared(format_, trainer, settings):
        file = tmp_path / f"{format_}.jsonl"
        file.write_bytes(exported(format_, lincoln, RATINGS, REVISIONS))
        lines = [json.loads(line) for line in file.read_bytes().splitlines()]
        dataset = load_dataset(
            "json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert dataset.to_list() == lines, "the columns have one type each"
        tokenizer = AutoTokenizer.from_pretrained(models / TINY)
        model = AutoModelForCausalLM.from_pretrained(models / TINY, dtype=torch.float32)
        arguments = getattr(trl, settings)(
            output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=2, use_cpu=True,
            bf16=False, report_to=[], save_strategy="no", logging_steps=1, disable_tqdm=True, max_length=None,
            gradient_checkpointing=False,
        )  # fmt: skip
        learning = getattr(trl, trainer)(
            model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer
        )
        rows = learning.train_dataset
        assert len(rows) == len(lines), "TRL dropped none"
        losses = [
            step["loss"]
            for step in (learning.train(), learning.state.log_history)[1]
            if "loss" in step
        ]
        assert len(losses) == 2 and all(torch.isfinite(torch.tensor(loss)) for loss in losses)
        return rows, lines, tokenizer

    return prepared


def rendered(tokenizer, messages, *, prompt=False):
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=prompt)


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_kto_trainer_takes_ratings_and_revisions(prepared):
    rows, lines, tokenizer = prepared("kto", "KTOTrainer", "KTOConfig")
    assert sum(line["label"] for line in lines) == 4 + len(REVISIONS)
    for row, line in zip(rows, lines, strict=True):
        assert tokenizer.decode(row["prompt_ids"]) == rendered(
            tokenizer, line["prompt"], prompt=True
        )
        whole = rendered(tokenizer, line["prompt"] + line["completion"])
        assert tokenizer.decode(row["prompt_ids"] + row["completion_ids"]) == whole
        assert row["label"] is line["label"]


@pytest.mark.filterwarnings("ignore")
def test_dpo_trainer_takes_pairs_of_all_three_kinds(prepared):
    rows, lines, tokenizer = prepared("dpo", "DPOTrainer", "DPOConfig")
    assert len(lines) == len(REVISIONS) + 2 + 4, "revisions, second tries, opposite ratings"
    for row, line in zip(rows, lines, strict=True):
        for side in ("chosen", "rejected"):
            whole = rendered(tokenizer, line["prompt"] + line[side])
            assert tokenizer.decode(row["prompt_ids"] + row[f"{side}_ids"]) == whole


@pytest.mark.filterwarnings("ignore")
def test_sft_trainer_takes_revisions(prepared):
    rows, lines, tokenizer = prepared("sft", "SFTTrainer", "SFTConfig")
    for row, line in zip(rows, lines, strict=True):
        assert tokenizer.decode(row["input_ids"]) == rendered(tokenizer, line["messages"])
