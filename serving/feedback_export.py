"""Feedback as TRL trains on it: JSON Lines for KTOTrainer, DPOTrainer and SFTTrainer, conversational.

    kto   {"prompt": [messages], "completion": [message], "label": true}
    dpo   {"prompt": [messages], "chosen": [message], "rejected": [message]}
    sft   {"messages": [messages]}

In: a persona, its ratings and revisions, the newest first. Out: objects, the same for the same input.
(https://huggingface.co/docs/trl/dataset_formats.) Left out is what would teach nothing or something untrue:
answers whose prompt can't be rendered as it was, and those that no model wrote (passages word for word, and
the persona's fixed refusal). It knows no database and no library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from personae.feedback import Answered, Rated, Revision, lines_of
from personae.feedback_wire import FeedbackFormat
from personae.persona import Persona
from personae.prompt import Message
from serving.retrieval.words import tokens


def exported(
    format_: FeedbackFormat,
    persona: Persona,
    ratings: Sequence[Rated],
    revisions: Sequence[Revision],
) -> bytes:
    """The file of a format; "revisions" is the one that our own training reads."""
    if format_ == "revisions":
        return lines_of(revisions).encode()
    rows = {"kto": kto, "dpo": dpo, "sft": sft}[format_](persona, ratings, revisions)
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def kto(
    persona: Persona, ratings: Sequence[Rated], revisions: Sequence[Revision]
) -> Iterator[dict[str, Any]]:
    """Each answer once, by what most who rated it said; of those that got as many of both nothing.
    A revision is an answer that is liked."""
    for rated, liked in _verdicts(persona, ratings):
        yield {
            "prompt": rated.prompt(persona),
            "completion": _said(rated.answer),
            "label": liked,
        }
    for revision in filter(_teaches, revisions):
        yield {
            "prompt": revision.prompt(persona),
            "completion": _said(revision.revision),
            "label": True,
        }


def dpo(
    persona: Persona, ratings: Sequence[Rated], revisions: Sequence[Revision]
) -> Iterator[dict[str, Any]]:
    """Pairs: a revision and the answer it mends; a liked answer and the one it replaced; a liked and a
    disliked answer to the same question."""
    seen: set[str] = set()
    for answered, chosen, rejected in _pairs(persona, ratings, revisions):
        row = {
            "prompt": answered.prompt(persona),
            "chosen": _said(chosen),
            "rejected": _said(rejected),
        }
        key = json.dumps(row)
        if chosen.strip() and rejected.strip() and chosen != rejected and key not in seen:
            seen.add(key)
            yield row


def sft(
    persona: Persona, _ratings: Sequence[Rated], revisions: Sequence[Revision]
) -> Iterator[dict[str, Any]]:
    """Revisions as conversations."""
    for revision in filter(_teaches, revisions):
        yield {"messages": [*revision.prompt(persona), *_said(revision.revision)]}


def _pairs(
    persona: Persona, ratings: Sequence[Rated], revisions: Sequence[Revision]
) -> Iterator[tuple[Answered, str, str]]:
    """(what was asked, chosen, rejected)."""
    for revision in filter(_teaches, revisions):
        if _written(persona, revision):
            yield revision, revision.revision, revision.answer
    verdicts = list(_verdicts(persona, ratings))
    for rated, liked in verdicts:
        if liked and rated.rejected:
            yield rated, rated.answer, rated.rejected
    same: dict[str, tuple[list[Rated], list[Rated]]] = {}
    for rated, liked in verdicts:
        same.setdefault(_asked(rated), ([], []))[0 if liked else 1].append(rated)
    for good, bad in same.values():
        # As many pairs as there are of the more frequent kind: not each with each.
        for number in range(max(len(good), len(bad)) if good and bad else 0):
            chosen = good[number % len(good)]
            yield chosen, chosen.answer, bad[number % len(bad)].answer


def _verdicts(persona: Persona, ratings: Sequence[Rated]) -> Iterator[tuple[Rated, bool]]:
    """Every answer that teaches something, and whether it is liked."""
    votes: dict[str, int] = {}
    newest: dict[str, Rated] = {}
    for rated in ratings:
        votes[rated.request_id] = votes.get(rated.request_id, 0) + (
            1 if rated.rating == "up" else -1
        )
        kept = newest.setdefault(rated.request_id, rated)
        if rated.rejected and not kept.rejected:
            newest[rated.request_id] = rated
    for request_id, rated in newest.items():
        if votes[request_id] and _teaches(rated) and _written(persona, rated):
            yield rated, votes[request_id] > 0


def _teaches(answered: Answered) -> bool:
    return answered.can_teach and bool(answered.question.strip())


def _written(persona: Persona, answered: Answered) -> bool:
    """Whether a model wrote it."""
    answer = answered.answer.strip()
    return bool(answer) and not answered.quoted and answer != persona.refusal


def _asked(answered: Answered) -> str:
    """Equal for questions with the same words in the same conversation, and for the same text to rewrite."""
    text = answered.question.strip()
    if answered.task == "ask":
        text = " ".join(tokens(text))
    turns = [[turn.role, turn.content] for turn in answered.history]
    return json.dumps([answered.task, text, turns])


def _said(text: str) -> list[Message]:
    return [{"role": "assistant", "content": text.strip()}]
