"""Replies on disk: `replies-<speaker>.jsonl`, a line each, written as they are made.

In: probes and a model. Out: every reply of every speaker. A killed evaluation finds what was made and makes
the rest: batches are planned over all probes, and one that is complete on disk is not made again. A file
belongs to one model, one set of prompts and one seed; its first line says which, and a file of others is
begun anew. What the base model said is kept for the persona's next evaluation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from personae.files import disk_errors, write_atomic
from personae.persona import Persona
from training.evaluate.prompts import Probe, Speaker, messages_of, sampling_of, speakers_of
from training.evaluate.replies import Asked, Reply, plan_batches, replies, speaking

SPEAKERS: tuple[Speaker, ...] = get_args(Speaker)

BASE_TOKENS = 160
"""What is scored of a reply is about 100 tokens; the base model mostly goes on to the end, and costs the
most time."""


def asked_of(persona: Persona, probes: Sequence[Probe], speaker: Speaker) -> list[Asked]:
    """What this speaker is asked. The adapter's replies are cut where serving would cut them."""
    return [
        Asked(
            probe.id,
            messages_of(persona, probe, speaker),
            sampling_of(persona, probe),
            sampling_of(persona, probe).max_tokens
            if speaker == "adapter"
            else min(sampling_of(persona, probe).max_tokens, BASE_TOKENS),
        )
        for probe in probes
        if speaker in speakers_of(probe)
    ]


@dataclass(frozen=True)
class Teller:
    """Where replies are kept, and what they are made with."""

    folder: Path
    shared: Path
    """Complete replies of the speakers without an adapter, for the next evaluation."""
    load: Callable[[], tuple[Any, Any]]
    """Gives model and tokenizer; called only where a reply is missing."""
    base_sha256: str
    adapter_sha256: str
    seed: int

    def all_replies(
        self, persona: Persona, probes: Sequence[Probe], *, progress: Callable[[float, int], None]
    ) -> dict[Speaker, dict[str, Reply]]:
        """{speaker: {probe id: reply}}. `progress` is called with replies made and replies in all."""
        asked = {speaker: asked_of(persona, probes, speaker) for speaker in SPEAKERS}
        total = sum(map(len, asked.values()))
        told: dict[Speaker, dict[str, Reply]] = {}
        before = 0
        for speaker in SPEAKERS:

            def made(count: float, before: int = before) -> None:
                progress(before + count, total)

            told[speaker] = self._replies(speaker, asked[speaker], made)
            before += len(asked[speaker])
        return told

    def _replies(
        self, speaker: Speaker, asked: Sequence[Asked], progress: Callable[[float], None]
    ) -> dict[str, Reply]:
        adapted = speaker == "adapter"
        model = self.adapter_sha256 if adapted else ""
        key = _key(asked, self.seed, f"{self.base_sha256} {model}")
        path = self.folder / f"replies-{speaker}.jsonl"
        shared = self.shared / f"replies-{key[:16]}.jsonl"
        kept = (_read(shared, key) if not adapted else {}) or _read(path, key)
        progress(len(kept))
        if not {one.id for one in asked} <= set(kept):
            self._make(path, key, asked, kept, adapted, progress)
        found = {one.id: kept[one.id] for one in asked}
        if not adapted and not shared.is_file():
            write_atomic(shared, _head(key) + "".join(map(_line, found.values())))
        return found

    def _make(
        self,
        path: Path,
        key: str,
        asked: Sequence[Asked],
        kept: dict[str, Reply],
        adapted: bool,
        progress: Callable[[float], None],
    ) -> None:
        """The missing batches, into `kept` and onto the disk."""
        model, tokenizer = self.load()
        # What was kept is written again: a kill may have left half a line.
        write_atomic(path, _head(key) + "".join(map(_line, kept.values())))
        with disk_errors(path, "writing replies"), path.open("a", encoding="utf-8") as file:
            for batch in plan_batches(asked, tokenizer):
                if all(one.id in kept for one in batch):
                    continue

                def tick(share: float, size: int = len(batch)) -> None:
                    progress(len(kept) + share * size)

                with speaking(model, adapted=adapted):
                    made = replies(
                        model,
                        tokenizer,
                        batch,
                        seed=self.seed,
                        tick=tick,
                    )
                for reply in made:
                    if reply.id not in kept:
                        kept[reply.id] = reply
                        file.write(_line(reply))
                file.flush()
                progress(len(kept))


def _head(key: str) -> str:
    return json.dumps({"key": key}) + "\n"


def _line(reply: Reply) -> str:
    return json.dumps(asdict(reply)) + "\n"


def _read(path: Path, key: str) -> dict[str, Reply]:
    """What is there and belongs to this evaluation; a line that a kill cut short is left out."""
    if not path.is_file():
        return {}
    found: dict[str, Reply] = {}
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines()):
        try:
            row = json.loads(line)
            if number == 0:
                if row.get("key") != key:
                    return {}
                continue
            reply = Reply(**row)
        except (ValueError, TypeError, AttributeError):
            continue
        found[reply.id] = reply
    return found


def _key(asked: Sequence[Asked], seed: int, model: str) -> str:
    rows: list[Any] = [
        [one.id, list(one.messages), one.sampling.model_dump(), one.max_tokens] for one in asked
    ]
    return hashlib.sha256(json.dumps([rows, seed, model]).encode()).hexdigest()
