"""The front door: `personae <command>`. It alone imports all the rooms, and only when a command needs one.

    up                          prepare what is missing, start everything, stay
    new · remove                make a persona by answering questions; put one away
    ask · rewrite · personas    talk to a running gateway
    adapters · index · corpus · models · train     manage what it serves
    bench                       measure this machine
    ray                         engines on a Ray cluster
    unanswered                  what people asked that a persona has not written about
    feedback                    what people think of answers, also as files to train on
    doctor                      say what is missing

Every command that prints a result takes `--json`. Errors are one sentence on stderr and exit code 1
(2 for a command line that can't be read); Ctrl-C is 130, and a rerun resumes.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from personae import __version__
from personae.cli import (
    adapters,
    bench,
    corpus,
    doctor,
    feedback,
    index,
    models,
    new,
    ray_app,
    talk,
    train,
    unanswered,
    up,
)
from personae.config import Config, load_config
from personae.errors import GatewayUnreachable, PersonaeError
from personae.secret_files import take_up_secret_files


class Context:
    """What every command gets: how to read the configuration, once it is needed."""

    def __init__(self, file: Path | None, profile: str | None) -> None:
        self._file = file
        self._profile = profile

    def config(self) -> Config:
        """Raises ConfigError with every problem found."""
        return load_config(
            os.environ,
            file=self._file,
            profile=self._profile,
            default_profile=profile_for_this_machine(),
        )


def profile_for_this_machine() -> str:
    """The profile that fits the largest NVIDIA GPU here, "cpu-demo" without one.

    A GPU too small for the smallest real base model runs the demo's model.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "cpu-demo"
    asked = subprocess.run(
        [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
    )
    mebibytes = [int(line) for line in asked.stdout.split() if line.isdigit()]
    largest = max(mebibytes, default=0)
    if largest >= 75_000:
        return "gpu-80g"
    return "gpu-24g" if largest >= 22_000 else "cpu-demo"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="personae")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Configuration file (default: personae.toml here, if there is one).",
)
@click.option("--profile", help="cpu-demo, gpu-24g, gpu-80g or external.")
@click.option("-v", "--verbose", is_flag=True, help="Show what happens inside.")
@click.pass_context
def cli(
    context: click.Context, config_file: Path | None, profile: str | None, verbose: bool
) -> None:
    """A writer's voice in your chat server."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for chatty in ("httpx", "sentence_transformers", "transformers", "faiss", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    context.obj = Context(config_file, profile)


cli.add_command(up.up)
cli.add_command(new.new)
cli.add_command(new.remove)
cli.add_command(talk.ask)
cli.add_command(talk.rewrite)
cli.add_command(talk.personas)
cli.add_command(adapters.adapters)
cli.add_command(models.models)
cli.add_command(corpus.corpus)
cli.add_command(index.index)
cli.add_command(train.train)
cli.add_command(unanswered.unanswered)
cli.add_command(feedback.feedback)
cli.add_command(bench.bench)
cli.add_command(ray_app.ray)
cli.add_command(doctor.doctor)


def main() -> None:
    """Entry point of the console script."""
    try:
        take_up_secret_files(os.environ)
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as err:
        err.show()
        sys.exit(2)
    except PersonaeError as err:
        click.echo(f"Error: {err}", err=True)
        if isinstance(err, GatewayUnreachable):
            click.echo("Is `personae up` running here? Another address: --url.", err=True)
        if err.retry_after_seconds:
            click.echo(f"(Try again in about {err.retry_after_seconds:.0f} s.)", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        click.echo("\nStopped. Nothing half-written was left; run it again to go on.", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)
