"""What is told of a persona to whoever asks: its card, and why it is less than it could be.

In: the running parts. Out: `wire.PersonaCard`.
"""

from __future__ import annotations

from collections.abc import Callable

from personae.persona import Cast
from personae.wire import PersonaCard
from serving.answers import Answerer
from serving.bases import Bases
from serving.retrieval.retriever import Retriever


class PersonaCards:
    """
    Args:
        file_problem: what is wrong with a persona's file, by id; None where nothing is.
    """

    def __init__(
        self,
        *,
        cast: Cast,
        answerer: Answerer,
        bases: Bases,
        retriever: Retriever,
        file_problem: Callable[[str], str | None] = lambda persona: None,
    ) -> None:
        self._cast = cast
        self._answerer = answerer
        self._bases = bases
        self._retriever = retriever
        self._file_problem = file_problem

    def all(self) -> list[PersonaCard]:
        return [self.of(persona) for persona in self._cast]

    def of(self, persona_id: str) -> PersonaCard:
        """Raises UnknownPersona: there is none of that name."""
        persona = self._cast[persona_id]
        base = self._bases.of(persona.id)
        version = base.adapters.live_version(persona.id)
        sentences = [
            self._answerer.notice(persona, version),
            base.adapters.forced_notice(persona.id),
            self.problem(persona.id),
        ]
        return PersonaCard(
            id=persona.id,
            display_name=persona.display_name,
            description=persona.description,
            disclosure=persona.disclosure,
            base_model=base.model.id,
            adapter_version=version,
            passages=self._retriever.passages(persona.id),
            notice=_joined(sentences),
            max_question_characters=persona.ask.max_question_characters,
            max_text_characters=persona.rewrite.max_text_characters,
            picture=persona.picture,
        )

    def problem(self, persona_id: str) -> str | None:
        """What an operator should mend."""
        return _joined(
            [
                self._file_problem(persona_id),
                self._bases.problem(persona_id),
                self._retriever.problem(persona_id),
            ]
        )


def _joined(sentences: list[str | None]) -> str | None:
    return " ".join(sentence for sentence in sentences if sentence) or None
