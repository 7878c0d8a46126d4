"""What is shown of an answer at each moment: answers and records in, `View`s out. Pure.

Whatever happened to an answer, its ended view carries the disclosure as soon as the persona said a word.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.answer import Answer
from bot.core.order import Order
from bot.core.sentences import Say
from bot.core.surface import Control, Phase, Speaker, View
from bot.state.records import AnswerRecord
from personae.wire import Citation, PersonaCard, Span

_QUESTION_CHARACTERS = 300
_MARKED_CHARACTERS = 6_000

GROWING: tuple[Control, ...] = ("stop",)


def refusal(sentence: str, say: Say) -> View:
    """For the person who asked only: why there is no answer."""
    return View(answer_id="", phase="failed", text=sentence, private=True, locale=say.locale)


def heading(order: Order, card: PersonaCard, say: Say) -> str:
    """The line above an answer whose question people can't see."""
    if not order.shows_question or order.private:
        return ""
    question = one_line(order.text, _QUESTION_CHARACTERS)
    return say("asked", who=order.person.name, persona=card.display_name, question=question)


def speaker_of(card: PersonaCard, say: Say) -> Speaker:
    return Speaker(name=say("imitation-name", name=card.display_name), picture=card.picture)


def phase_of(answer: Answer) -> Phase:
    """The phase of an answer as far as its stream tells."""
    if answer.done is not None:
        return "finished"
    if answer.error is not None or answer.ending:
        return "failed"
    if answer.said or answer.shows_void:
        return "growing"
    return "queued" if answer.queued is not None and answer.meta is None else "waiting"


def controls_of(
    task: str,
    *,
    finished: bool,
    private: bool,
    kept: bool,
    strength: str = "normal",
    others: bool = True,
    operator: bool = False,
) -> tuple[Control, ...]:
    """Buttons below an answer that has ended.

    Args:
        finished: to its last word; not failed or stopped.
        kept: whether question and answer are kept; without them there is nothing to ask again or rate.
        others: whether another persona could answer instead.
    """
    if not kept:
        return () if private else ("delete",)
    if not finished:
        return ("again",) if private else ("again", "delete")
    if task == "rewrite" and private:
        controls: list[Control] = ["share", "copy", "again"]
        controls += ["lighter"] if strength != "light" else []
        return (*controls, "stronger") if strength != "strong" else tuple(controls)
    controls = ["up", "down", "again"]
    controls += ["other"] if others else []
    controls += ["sources"] if task == "ask" else []
    controls += ["revise"] if operator else []
    return (*controls, "delete")


def sources(record: AnswerRecord, say: Say) -> View:
    """What an answer leans on, for one person: its sources, its version, and what each part of it is."""
    details = record.details
    name = str(details.get("name") or record.persona)
    if record.adapter_version:
        line = say(
            "version-line", persona=name, version=record.adapter_version, model=record.base_model
        )
    else:
        line = say("version-line-prompt-only", persona=name, model=record.base_model)
    spans = [Span.model_validate(span) for span in details.get("provenance", [])]
    shown = used_citations(record)
    parts = [line]
    if spans:
        parts.append("\n".join(f"- {counted}" for counted in _counts(spans, say)))
        if len(record.text) <= _MARKED_CHARACTERS:
            parts += [marked(record.text, spans, say), say("legend")]
    if not shown:
        parts.append(say("no-sources"))
    return View(
        answer_id=record.id,
        phase="finished",
        text="\n\n".join(parts),
        sources=shown,
        footnotes=disclosure(record, say),
        private=True,
        locale=say.locale,
    )


def used_citations(record: AnswerRecord) -> list[Citation]:
    """As below the answer itself: those the text names, or all where it names none."""
    citations = [Citation.model_validate(its) for its in record.citations]
    used = set(record.details.get("used", []))
    return [its for its in citations if not used or its.number in used]


def disclosure(record: AnswerRecord, say: Say) -> list[str]:
    line = str(record.details.get("disclosure") or "")
    return [say("disclosure", line=line)] if line else []


def marked(text: str, spans: Sequence[Span], say: Say) -> str:
    """The answer with a mark behind each stretch that says where it comes from."""
    parts: list[str] = []
    at = 0
    for span in spans:
        if span.start < at or span.end > len(text):
            continue  # not of this text
        stretch = text[span.start : span.end]
        number = span.citation or 0
        mark = say(f"marked-{span.kind}", number=number) if number else say("marked-inference")
        tail = stretch[len(stretch.rstrip()) :]
        parts += [text[at : span.start], stretch.rstrip(), f" *{mark}*", tail]
        at = span.end
    return "".join([*parts, text[at:]]).strip()


def shared(record: AnswerRecord, say: Say, speaker: Speaker | None) -> View:
    """The public form of a private draft."""
    name = str(record.details.get("name") or record.persona)
    notice = str(record.details.get("notice") or "")
    return View(
        answer_id=record.id,
        phase="finished",
        text=record.text.strip(),
        heading=say("shared-rewrite", who=record.person_name, persona=name)
        if record.task == "rewrite"
        else "",
        sources=used_citations(record) if record.task == "ask" else [],
        footnotes=([notice] if notice else []) + disclosure(record, say),
        controls=("up", "down", "delete"),
        speaker=speaker,
        locale=say.locale,
    )


def recovered(record: AnswerRecord, say: Say) -> View:
    """What is said of an answer whose bot was restarted before its end."""
    kept = bool(record.question)
    return View(
        answer_id=record.id,
        phase="failed",
        text=say("was-restarted" if kept else "was-restarted-plain"),
        controls=("again",) if kept else (),
        private=record.private,
        locale=say.locale,
    )


def one_line(text: str, most: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _counts(spans: Sequence[Span], say: Say) -> list[str]:
    counts = {"quote": 0, "paraphrase": 0, "inference": 0}
    for span in spans:
        counts[span.kind] += 1
    return [say(f"kind-{kind}", count=count) for kind, count in counts.items() if count]
