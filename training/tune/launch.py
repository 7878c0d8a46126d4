"""One training over several GPUs: what every process that `torchrun` starts runs.

In: the configuration and a persona's id, as `personae train run` takes them. Out: the same run folder as one
process would leave. Models and corpora must be there; `personae train plan` fetches them.

Run as: torchrun --nproc-per-node 8 -m training.tune.launch lincoln
        accelerate launch --num_processes 8 -m training.tune.launch lincoln
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from personae.config import load_config
from personae.persona import load_cast
from training.tune.run_folder import TrainSettings
from training.tune.train import train_adapter
from training.tune.world import joined


def launch(persona: str, settings: Path, *, processes: int, config: Path | None = None) -> None:
    """Start the processes and wait for them.

    Raises:
        subprocess.CalledProcessError: one of them failed; torchrun has stopped the others.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(processes), "-m", "training.tune.launch"]
    command += [persona, "--settings", str(settings)]
    if config is not None:
        command += ["--config", str(config)]
    path = os.pathsep.join(path for path in sys.path if path)
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description="One process of a training over several.")
    parser.add_argument("persona")
    parser.add_argument("--settings", type=Path, help="JSON with the fields of TrainSettings.")
    parser.add_argument("--config", type=Path, help="personae.toml")
    parser.add_argument("--base-model", help="Instead of the configured one.")
    given = parser.parse_args(arguments)
    config = load_config(os.environ, file=given.config)
    cast = load_cast(config.cast)
    persona = cast[given.persona]
    engine = config.engine_for(persona.base_model) or config.engine
    settings = TrainSettings(**json.loads(given.settings.read_bytes())) if given.settings else None
    with joined() as world:
        run = train_adapter(
            persona,
            persona_folder=cast.folder(persona.id),
            models=config.models,
            base_model=given.base_model or engine.base_model,
            corpora=config.corpora,
            runs=config.runs,
            settings=settings,
            max_adapter_rank=engine.max_adapter_rank,
            world=world,
        )
        if world.is_first:
            print(run)  # noqa: T201 - what this command gives


if __name__ == "__main__":
    main(sys.argv[1:])
