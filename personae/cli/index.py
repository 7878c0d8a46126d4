"""`personae index`: the passages a persona cites, built, looked at and rolled back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import BaseModel

from personae.cli.prepare import ensure_model
from personae.cli.terminal import print_json, say, shown_progress
from personae.errors import CorpusError
from personae.persona import load_cast
from personae.weights import model_folder

if TYPE_CHECKING:
    from personae.cli import Context
    from serving.retrieval.snapshot import IndexManifest

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_existing_file = click.Path(path_type=Path, dir_okay=False, exists=True)


class KeptIndex(BaseModel):
    """One snapshot as `index show` gives it. A damaged one has a problem, and perhaps no manifest."""

    persona: str
    name: str
    in_use: bool
    bytes: int
    kind: str
    problem: str | None
    manifest: dict[str, object] | None


@click.group()
def index() -> None:
    """The passages a persona cites."""


@index.command("build")
@click.argument("persona")
@_json_option
@click.pass_obj
def index_build(context: Context, persona: str, as_json: bool) -> None:
    """Index the corpus of PERSONA. What was embedded before is not embedded again."""
    from serving.retrieval.build import build_index
    from serving.retrieval.embedder import Embedder

    config = context.config()
    member = load_cast(config.cast)[persona]
    embedder = Embedder(model_folder(config.models, config.retrieval.embedder), threads=2)
    with shown_progress() as progress:
        manifest = build_index(
            persona,
            config.corpora / persona,
            config.indexes,
            embedder,
            language=member.language,
            progress=progress,
        )
    if as_json:
        print_json(manifest)
    else:
        click.echo(f"{persona}: {_counted(manifest)} indexed.")


@index.command("show")
@click.argument("persona", required=False)
@click.option("--verify", is_flag=True, help="Read every file and compare its hash.")
@_json_option
@click.pass_obj
def index_show(context: Context, persona: str | None, verify: bool, as_json: bool) -> int:
    """The kept indexes of PERSONA (default: of all), newest first. Exit code 1 if one is damaged."""
    config = context.config()
    cast = load_cast(config.cast)
    wanted = [cast[persona].id] if persona is not None else list(cast)
    kept = [shown for each in wanted for shown in _kept(config.indexes, each, verify=verify)]
    if as_json:
        print_json(kept)
    else:
        for each in wanted:
            of_this = [shown for shown in kept if shown.persona == each]
            if not of_this:
                say(f"{each}: no index. Build one with `personae index build {each}`.")
            for shown in of_this:
                _print(shown)
    return 1 if any(shown.problem for shown in kept) else 0


@index.command("rollback")
@click.argument("persona")
@_json_option
@click.pass_obj
def index_rollback(context: Context, persona: str, as_json: bool) -> None:
    """Let PERSONA cite the index before. A running gateway takes it up by itself."""
    from serving.retrieval.build import roll_back

    config = context.config()
    manifest = roll_back(config.indexes, load_cast(config.cast)[persona].id)
    if as_json:
        print_json(manifest)
    else:
        click.echo(f"{persona}: the index of {manifest.created_at} ({_counted(manifest)}).")


def _kept(indexes: Path, persona: str, *, verify: bool) -> list[KeptIndex]:
    from serving.retrieval.snapshot import (
        current_snapshot,
        read_index_manifest,
        snapshot_folders,
        verify_snapshot,
    )

    in_use = current_snapshot(indexes, persona)
    kept = []
    for folder in reversed(snapshot_folders(indexes, persona)):
        manifest, problem = None, None
        try:
            manifest = read_index_manifest(folder)
            if verify:
                verify_snapshot(folder)
        except CorpusError as err:
            problem = str(err)
        kept.append(
            KeptIndex(
                persona=persona,
                name=folder.name,
                in_use=folder == in_use,
                bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
                kind="" if manifest is None else manifest.vectors.explained(manifest.passages),
                problem=problem,
                manifest=None if manifest is None else manifest.model_dump(mode="json"),
            )
        )
    return kept


def _print(shown: KeptIndex) -> None:
    mark = "in use" if shown.in_use else "kept"
    click.echo(f"{shown.persona} {shown.name}  {mark}  {shown.bytes / 1e6:,.1f} MB")
    if shown.problem is not None:
        click.echo(f"  {shown.problem}")
    if shown.manifest is None:
        return
    from serving.retrieval.snapshot import IndexManifest

    manifest = IndexManifest.model_validate(shown.manifest)
    settings = manifest.settings
    click.echo(f"  {_counted(manifest)}, made {manifest.created_at}")
    click.echo(f"  {shown.kind}")
    click.echo(
        f"  embedder {settings.embedder} ({settings.embedder_weights_sha256[:8]}), "
        f"{manifest.dimensions} numbers, {settings.pooling}, at most {settings.max_tokens} tokens; "
        f"chunker {settings.chunker_version}; stems {settings.language}; "
        f"corpus {manifest.corpus_sha256[:8]}"
    )
    if settings.query_prefix or settings.passage_prefix:
        click.echo(
            f'  before a question "{settings.query_prefix}", '
            f'before a passage "{settings.passage_prefix}"'
        )


def _counted(manifest: IndexManifest) -> str:
    return (
        f"{manifest.documents:,} documents, {manifest.passages:,} passages, "
        f"{manifest.sentences:,} sentences"
    )


@index.command("eval")
@click.option("--passages", type=_existing_file, required=True, help="JSON lines of id and text.")
@click.option(
    "--questions",
    type=_existing_file,
    required=True,
    help="JSON lines of question and passage_id.",
)
@click.option(
    "--outside",
    type=_existing_file,
    help="Questions the passages do not answer, one a line: how many would be refused?",
)
@_json_option
@click.pass_obj
def index_eval(
    context: Context, passages: Path, questions: Path, outside: Path | None, as_json: bool
) -> None:
    """How often the search finds the right passage, with the settings as shipped."""
    from serving.retrieval.embedder import Embedder
    from serving.retrieval.evaluate import (
        TemporarySnapshot,
        evaluate,
        read_outside_questions,
        read_passages,
        read_questions,
    )
    from serving.retrieval.reranker import CrossEncoderReranker

    config = context.config()
    asked, documents = read_questions(questions), read_passages(passages)
    foreign = read_outside_questions(outside) if outside is not None else []
    with shown_progress() as progress:
        for model_id in config.retrieval.models:
            ensure_model(config, model_id, progress=progress)
        embedder = Embedder(model_folder(config.models, config.retrieval.embedder))
        named = config.retrieval.reranker
        reranker = CrossEncoderReranker(model_folder(config.models, named)) if named else None
        with TemporarySnapshot(documents, embedder, progress) as snapshot:
            result = evaluate(
                snapshot, asked, embedder, outside=foreign, reranker=reranker, progress=progress
            )
    if as_json:
        click.echo(json.dumps(result))
        return
    recall = "  ".join(f"recall@{cut} {share:.3f}" for cut, share in result["recall"].items())
    click.echo(f"{recall}  MRR {result['mrr']:.3f}  median {result['p50_ms']:.1f} ms a search")
    if foreign:
        click.echo(
            f"Refused: {result['abstained_outside']:.1%} of the questions outside, "
            f"{result['abstained_inside']:.1%} of those inside."
        )
