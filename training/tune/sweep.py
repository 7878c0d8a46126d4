"""A small search for hyper-parameters, under a budget of minutes.

In: a prepared training and a function that trains with other settings. Out: the settings that won. Trials are
shorter trainings of their own, each in its own run folder, judged by held-out bits per byte. They are kept
by Optuna (https://arxiv.org/abs/1907.10902) in a SQLite file, so a killed sweep goes on: a trial that was
under way is asked again with the same settings, and finds its own run folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from personae.manifest import VLLM_RANKS
from personae.progress import Progress, silent
from training.tune.run_folder import TrainSettings, read_run

SWEEP = "sweep.sqlite"
_TRIAL_SHARE = 0.4
"""A trial's steps over those of the training it is for: order is seen long before the end."""
_RATE_SPAN = 4.0

Train = Callable[[TrainSettings], Path]


def sweep(
    train: Train,
    settings: TrainSettings,
    folder: Path,
    *,
    trials: int,
    minutes: float,
    max_adapter_rank: int,
    progress: Progress = silent,
) -> TrainSettings:
    """The best settings found; the given ones are the first trial.

    No trial begins after `minutes` of trials, those of an earlier, killed sweep included. `trials` counts
    finished ones.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="sweep",
        storage=f"sqlite:///{folder / SWEEP}",
        sampler=optuna.samplers.TPESampler(seed=settings.seed, n_startup_trials=4),
        load_if_exists=True,
    )
    ranks = [rank for rank in VLLM_RANKS if 8 <= rank <= min(32, max_adapter_rank)]
    ranks = ranks if settings.rank in ranks else [*ranks, settings.rank]
    _take_up(study)
    if not study.trials:
        study.enqueue_trial(
            {"learning_rate": settings.learning_rate, "rank": settings.rank, "steps_share": 1.0}
        )
    complete = optuna.trial.TrialState.COMPLETE
    while True:
        done = study.get_trials(deepcopy=False, states=[complete])
        spent = sum(float(trial.user_attrs["seconds"]) for trial in done)
        progress("trying settings", len(done), trials)
        if len(done) >= trials or (done and spent >= minutes * 60):
            break
        # A seed of its own for each trial: a resumed sweep asks what the uninterrupted one would have.
        study.sampler = optuna.samplers.TPESampler(
            seed=settings.seed + len(done), n_startup_trials=4
        )
        trial = study.ask()
        chosen = _chosen(trial, settings, ranks)
        started = time.monotonic()
        short = replace(chosen, steps=max(2, round(chosen.steps * _TRIAL_SHARE)))
        _plan, result = read_run(train(short))
        trial.set_user_attr("seconds", time.monotonic() - started)
        study.tell(trial, result.metrics["bits_per_byte_after"])
    return _of(study.best_params, settings)


def _take_up(study: object) -> None:
    """Trials that a killed sweep left under way are asked again."""
    import optuna

    assert isinstance(study, optuna.Study)
    waiting = {str(t.params) for t in study.trials if t.state == optuna.trial.TrialState.WAITING}
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        if trial.params and str(trial.params) not in waiting:
            study.enqueue_trial(trial.params)


def _chosen(trial: object, settings: TrainSettings, ranks: list[int]) -> TrainSettings:
    import optuna

    assert isinstance(trial, optuna.Trial)
    rate = settings.learning_rate
    params = {
        "learning_rate": trial.suggest_float(
            "learning_rate", rate / _RATE_SPAN, rate * _RATE_SPAN, log=True
        ),
        "rank": trial.suggest_categorical("rank", ranks),
        "steps_share": trial.suggest_float("steps_share", 0.5, 1.5),
    }
    return _of(params, settings)


def _of(params: dict[str, float], settings: TrainSettings) -> TrainSettings:
    rank = int(params["rank"])
    return replace(
        settings,
        learning_rate=params["learning_rate"],
        rank=rank,
        alpha=2 * rank,
        steps=max(2, round(settings.steps * params["steps_share"])),
    )
