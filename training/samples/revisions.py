"""Answers that operators wrote better, as samples.

In: the file the gateway lays down (`personae.feedback`), a persona and its documents. Out: samples whose
`made_by` names the revision, the newest first; their prompts are rendered as all others are. Left out is what
no training may know (held-out documents, as a source or in the words) and what can't be trained on: other
strengths, lost passages, chat markup, too many tokens.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from personae.corpus import Document, document_of
from personae.feedback import Revision, read_revisions
from personae.persona import Persona
from personae.prompt import holds_special_tokens, inert
from training.samples.dataset import split_documents
from training.samples.pairs import Sample
from training.tune.leakage import HeldOutText

log = logging.getLogger(__name__)

REVISED = "revision "
"""A sample's `made_by` is this and the id of the answer that was revised."""


def revised_samples(
    feedback: Path,
    persona: Persona,
    documents: Sequence[Document],
    *,
    length: Callable[[Sample], int],
    max_tokens: int,
    until: str | None = None,
) -> list[Sample]:
    """
    Args:
        length: tokens of a whole sample as the base model reads it.
        until: newer ones are not taken (`Revision.at`); None takes all.

    Raises:
        CorpusError: fewer than two documents.
    """
    revisions = [
        revision
        for revision in read_revisions(feedback, persona.id)
        if until is None or revision.at <= until
    ]
    if not revisions:
        return []
    training, held_out = split_documents(documents)
    away = {document.id for document in held_out}
    known = HeldOutText(training, held_out)
    samples = []
    for revision in revisions:
        if not revision.can_teach or holds_special_tokens(revision.revision):
            continue
        if away & {document_of(passage.name) for passage in revision.passages}:
            continue
        sample = _sample(persona, revision)
        if not sample.target or length(sample) > max_tokens or known.documents_in(sample.text):
            continue
        samples.append(sample)
    log.info("%s: %d of %d revisions can be learned", persona.id, len(samples), len(revisions))
    return samples


def newest_revision(feedback: Path, persona: str) -> str | None:
    """When the newest was made: with it as `until`, later ones change nothing."""
    return max((revision.at for revision in read_revisions(feedback, persona)), default=None)


def revisions_in(samples: Sequence[Sample]) -> list[str]:
    """Ids of the answers whose revisions are among them, sorted."""
    return sorted(
        sample.made_by.removeprefix(REVISED)
        for sample in samples
        if sample.made_by.startswith(REVISED)
    )


def _sample(persona: Persona, revision: Revision) -> Sample:
    return Sample(
        task=revision.task,
        messages=revision.prompt(persona),
        target=inert(revision.revision).strip(),
        document_id="",
        made_by=f"{REVISED}{revision.request_id}",
    )
