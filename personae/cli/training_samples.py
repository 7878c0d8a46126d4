"""What a training begins with, for `train plan` and `train run` alike: settings, and samples of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from personae.cli.terminal import say
from personae.config import Config
from personae.persona import Cast, Persona
from personae.progress import Progress
from personae.weights import model_folder

if TYPE_CHECKING:
    from training.samples.dataset import Dataset
    from training.samples.pairs import Sample
    from training.tune.run_folder import TrainSettings


def ensure_training_input(
    config: Config, cast: Cast, persona: Persona, *, progress: Progress
) -> None:
    """Base model, embedder and corpus, made where they are missing."""
    from personae.cli.prepare import ensure_corpus, ensure_model

    for model in (persona.base_model or config.engine.base_model, config.retrieval.embedder):
        ensure_model(config, model, progress=progress)
    ensure_corpus(config, cast, persona, progress=progress)


def recipe(
    config: Config, persona: Persona, *, steps: int | None = None, **changes: Any
) -> TrainSettings:
    """Settings for this machine, this base model and this persona; `changes` override fields."""
    from training.tune.profiles import gpus_here, parameters_of, profile_for, settings_for

    gpus, gpu_bytes = gpus_here()
    base_model = persona.base_model or config.engine.base_model
    return settings_for(
        profile_for(config.profile, gpus=gpus, gpu_bytes=gpu_bytes),
        persona,
        parameters=parameters_of(model_folder(config.models, base_model)),
        max_adapter_rank=adapter_rank(config, persona),
        steps=steps,
        **changes,
    )


def adapter_rank(config: Config, persona: Persona) -> int:
    """The largest rank that the persona's engine takes."""
    engine = config.engine_for(persona.base_model) or config.engine
    return engine.max_adapter_rank


def samples_of(
    config: Config,
    persona: Persona,
    settings: TrainSettings,
    *,
    synthesized: Sequence[Sample] = (),
    revised: Sequence[Sample] = (),
    progress: Progress,
) -> Dataset:
    """The samples of a persona's corpus, made by rules, those a model wrote and those operators revised.

    Raises:
        CorpusError: no corpus, or too small a one.
    """
    from personae.corpus import read_corpus
    from training.samples.dataset import make_dataset
    from training.samples.other_words import other_words

    _manifest, documents = read_corpus(config.corpora / persona.id)
    words = other_words(
        documents,
        model_folder(config.models, config.retrieval.embedder),
        config.runs / persona.id,
        language=persona.language,
        progress=progress,
    )
    progress("making samples", 0, None)
    return make_dataset(
        persona,
        documents,
        count=settings.samples,
        held_out_count=settings.held_out_samples,
        seed=settings.seed,
        words=words,
        synthesized=synthesized,
        revised=revised,
    )


def revised_samples(
    config: Config, persona: Persona, settings: TrainSettings, *, until: str | None
) -> list[Sample]:
    """What operators wrote better, as far as training may learn from it; says how much that is.

    Args:
        until: newer revisions are left for the next training.
    """
    from personae.corpus import read_corpus
    from personae.feedback import revisions_file
    from training.samples import revisions

    if not revisions_file(config.feedback, persona.id).is_file():
        return []
    _manifest, documents = read_corpus(config.corpora / persona.id)
    found = revisions.revised_samples(
        config.feedback,
        persona,
        documents,
        length=sample_length(config, persona.base_model or config.engine.base_model),
        max_tokens=settings.max_tokens,
        until=until,
    )
    say(f"Revised answers to learn from: {len(found)}.")
    return found


def sample_length(config: Config, base_model: str) -> Callable[[Sample], int]:
    """Tokens of a whole sample as the base model's chat template writes it."""
    from transformers import AutoTokenizer

    from training.tune.encode import encode

    tokenizer = AutoTokenizer.from_pretrained(model_folder(config.models, base_model))
    return lambda sample: len(encode([sample], tokenizer, max_tokens=1 << 30)[0].ids)
