"""What people think of answers, and operators' better ones, on their way to the gateway. Pure.

In: records of answers. Out: the gateway's requests, with all that training needs to see the same prompt
again: version, prompt fingerprint, earlier turns and every passage that was shown.
"""

from __future__ import annotations

from typing import Any

from bot.core.people import Person
from bot.state.records import AnswerRecord, Rating
from personae.feedback_wire import FeedbackRequest, RevisionRequest


def rating_request(
    record: AnswerRecord,
    person: Person,
    rating: Rating | None,
    reason: str,
    replaced: AnswerRecord | None,
) -> FeedbackRequest:
    """`replaced`: the answer this one is another try of, which a good rating makes the worse of a pair."""
    rejected = ""
    if rating == "up" and replaced is not None and _comparable(record, replaced):
        rejected = replaced.text.strip()
    return FeedbackRequest(
        **_told(record, person), rating=rating, reason=reason.strip()[:2000], rejected=rejected
    )


def revision_request(record: AnswerRecord, person: Person, text: str) -> RevisionRequest:
    return RevisionRequest(**_told(record, person), revision=text.strip(), actor=person.key)


def _comparable(record: AnswerRecord, replaced: AnswerRecord) -> bool:
    """Whether both answered the same prompt: a pair teaches nothing else."""
    return (
        record.persona == replaced.persona
        and record.task == replaced.task
        and record.question == replaced.question
        and record.strength == replaced.strength
        and record.history == replaced.history
        and replaced.text.strip() not in ("", record.text.strip())
    )


def _told(record: AnswerRecord, person: Person) -> dict[str, Any]:
    return {
        "request_id": record.request_id,
        "persona": record.persona,
        "task": record.task,
        "adapter_version": record.adapter_version,
        "base_model": record.base_model,
        "prompt_fingerprint": record.prompt_fingerprint,
        "strength": record.strength or "normal",
        "quoted": bool(record.details.get("quoted")),
        "question": record.question,
        "history": record.history,
        "answer": record.text.strip(),
        "passages": [its.get("passage", "") for its in record.citations],
        "user": person.key,
        "asked_by": record.person_key if record.person_key != person.key else None,
        "surface": record.platform,
    }
