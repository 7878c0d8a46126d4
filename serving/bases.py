"""The base models being served, and which of them each persona speaks on.

One engine per base model, each with the adapters of its own personas. A persona that names no base
speaks on the first. Everything else of the gateway asks here and never counts engines itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personae.manifest import BaseModelRef
from personae.persona import Cast, Persona
from serving.adapters import Adapters
from serving.admission import Admission
from serving.engine_host import EngineHost

if TYPE_CHECKING:
    from serving.token_budget import TokenBudget


@dataclass(frozen=True)
class Base:
    """One base model in service."""

    model: BaseModelRef
    engine: EngineHost
    adapters: Adapters
    admission: Admission
    budget: TokenBudget
    can_phrase: bool = True


class Bases:
    """All base models in service.

    Args:
        bases: the first is the default.
        number_of: a persona's place in `bases`.
    """

    def __init__(
        self, cast: Cast, bases: Sequence[Base], number_of: Callable[[Persona], int]
    ) -> None:
        self._cast = cast
        self._bases = list(bases)
        self._number_of = number_of

    def of(self, persona: str) -> Base:
        """Raises UnknownPersona: there is none of that name."""
        return self.for_persona(self._cast[persona])

    def for_persona(self, persona: Persona) -> Base:
        """The one that a persona speaks on, whether it is in the cast or not."""
        return self._bases[self._number_of(persona)]

    def problem(self, persona: str) -> str | None:
        """Why a persona does not speak as it should; None when it does."""
        base = self.of(persona)
        wanted = self._cast[persona].base_model
        sentences = [base.adapters.problem(persona)]
        if wanted is not None and wanted != base.model.id:
            sentences.insert(0, no_engine_for(persona, wanted, instead=base.model.id))
        return " ".join(sentence for sentence in sentences if sentence) or None

    def __iter__(self) -> Iterator[Base]:
        return iter(self._bases)

    @property
    def ready(self) -> bool:
        """Whether every persona can be answered."""
        return all(base.engine.ready for base in self._bases)

    def require_ready(self) -> None:
        """Raises EngineUnavailable, with a time to retry, while an engine is not usable."""
        for base in self._bases:
            base.engine.require_ready()


def no_engine_for(persona: str, wanted: str, *, instead: str) -> str:
    """What to tell of a persona whose base model nobody serves."""
    return (
        f"{persona} wants the base model {wanted}, which no engine serves, and speaks on {instead}. "
        f'Add [engines."{wanted}"] to personae.toml.'
    )
