"""`personae new` and `personae remove`: personas that need no file to be edited.

In a terminal `new` asks only for what has no good default; every answer is an option too, and `--yes` asks
nothing. The draft and its templates are `personae.persona_draft`'s, the same as the console's.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import BaseModel

from personae.character_card import read_card
from personae.cli.corpus import corpus_ingest
from personae.cli.index import index_build
from personae.cli.prepare import ensure_model
from personae.cli.terminal import print_json, say, shown_progress
from personae.config import Config
from personae.errors import DraftInvalid, UploadRefused
from personae.own_cast import OwnCast
from personae.own_writing import OwnWriting
from personae.persona import RetrievalMode
from personae.persona_draft import PersonaDraft, drafted, suggested_id
from personae.uploads import READABLE

if TYPE_CHECKING:
    from personae.cli import Context

_WEB = ("https://", "http://")


class MadePersona(BaseModel):
    """What `new --json` prints."""

    id: str
    folder: str
    warnings: list[str]
    taken: list[str]
    refused: list[tuple[str, str]]
    prepared: bool


@click.command()
@click.argument("persona", metavar="ID", required=False)
@click.option("--name", "display_name", help="How it is called.")
@click.option("--about", help="Manner and subjects, in a sentence or two.")
@click.option(
    "--writing",
    multiple=True,
    metavar="PATH|URL",
    help="A folder (read where it is), a file or an export (copied), or a site. May be repeated.",
)
@click.option("--user", default="", help="Whose messages, of exports that hold everybody's.")
@click.option("--owner", help="Whose writing it is.")
@click.option("--licence", help="Under which licence you use it.")
@click.option("--consent", help="Or: who allowed it, when, and where that is written down.")
@click.option("--statement", help="What the writing is, and on what ground you use it.")
@click.option("--character", is_flag=True, help="Somebody made up, not somebody who wrote.")
@click.option(
    "--from-card",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Begin with a character card (PNG, JSON or CHARX).",
)
@click.option("--description", help="One line for lists, at most 100 characters.")
@click.option("--disclosure", help='Stands under every answer; has to say "imitation".')
@click.option("--refusal", help="What it says of what it never wrote about.")
@click.option("--language", help="Its language, such as de (default: en).")
@click.option(
    "--mode", type=click.Choice(get_args(RetrievalMode)), help="What answers owe sources."
)
@click.option("--yes", is_flag=True, help="Ask nothing; take what is given, and defaults.")
@click.option(
    "--prepare/--no-prepare",
    default=None,
    help="Read and index the writing now (default: ask, or do).",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
@click.pass_context
def new(
    click_context: click.Context,
    persona: str | None,
    writing: tuple[str, ...],
    user: str,
    character: bool,
    from_card: Path | None,
    yes: bool,
    prepare: bool | None,
    as_json: bool,
    **given: str | None,
) -> None:
    """Make a persona ID: it answers by prompt at once, with sources once its writing is indexed.

    Without options it asks. A running server takes the new persona up by itself.
    """
    context: Context = click_context.obj
    config = context.config()
    asking = not yes and not as_json and sys.stdin.isatty()
    draft = _draft(persona, from_card, character, given)
    if asking:
        draft, writing = _asked(draft, writing, from_card is not None)
    if not draft.id:
        draft = draft.model_copy(update={"id": suggested_id(draft.display_name)})
    sources, files = _read_where(writing)
    draft = draft.model_copy(update={"sources": [*draft.sources, *sources]})
    if not draft.display_name.strip() and not asking:
        raise DraftInvalid([("name", "How is it called? Give --name, or call this in a terminal.")])
    made = drafted(draft)
    made.checked()
    if asking:
        _show(made.texts)
        click.confirm(f"Make {draft.id}?", default=True, abort=True)
    own = OwnCast(config)
    folder = own.create(draft)
    taken, refused = _handed_over(config, own, draft.id, files, user)
    for warning in made.warnings:
        say(f"Note: {warning}")
    for name, why in refused:
        say(f"Not taken: {name}: {why}")
    wanted = _wants_reading(draft, taken, prepare, asking)
    if wanted:
        # What these commands print is no part of the JSON.
        with contextlib.redirect_stdout(sys.stderr if as_json else sys.stdout):
            _prepare(click_context, config, draft.id)
    if as_json:
        print_json(
            MadePersona(
                id=draft.id,
                folder=str(folder),
                warnings=made.warnings,
                taken=taken,
                refused=refused,
                prepared=wanted,
            )
        )
        return
    click.echo(f"{draft.id}: {folder / 'persona.toml'}")
    _say_what_next(draft.id, folder, prepared=wanted)


@click.command()
@click.argument("persona", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(context: Context, persona: str, yes: bool) -> None:
    """Put the persona ID away, with all that was made for it. Only personas made here."""
    from serving.jobs.jobs import Jobs

    config = context.config()
    own = OwnCast(config)
    folder = own.folder(persona)
    if not yes:
        click.confirm(f"Put {persona} ({folder}) away?", abort=True)
    Jobs(config).require_none(persona)
    click.echo(f"{persona} and what was made for it are kept in {own.remove(persona)}")


# ---- the draft -------------------------------------------------------------------------------------------


def _draft(
    persona: str | None, card_file: Path | None, character: bool, given: dict[str, str | None]
) -> PersonaDraft:
    """From a card, if there is one, and the options, which win."""
    draft = PersonaDraft()
    if card_file is not None:
        card = read_card(card_file.read_bytes())
        draft = card.draft
        for warning in card.warnings:
            say(f"Card: {warning}")
    changes: dict[str, Any] = {
        name: given[name]
        for name in (
            "display_name",
            "about",
            "description",
            "disclosure",
            "refusal",
            "language",
            "mode",
        )
        if given[name] is not None
    }
    if persona is not None:
        changes["id"] = persona
    if character:
        changes["kind"] = "character"
    rights = {
        name: text for name in ("owner", "licence", "consent", "statement") if (text := given[name])
    }
    if rights:
        changes["rights"] = rights
    fields = draft.model_dump() | changes
    return PersonaDraft.model_validate(fields)


def _asked(
    draft: PersonaDraft, writing: tuple[str, ...], from_card: bool
) -> tuple[PersonaDraft, tuple[str, ...]]:
    """The draft with answers to what was not given."""
    answers: dict[str, Any] = {}
    if not draft.display_name:
        answers["display_name"] = click.prompt("How is it called (such as Ada Lovelace)")
    name = answers.get("display_name") or draft.display_name
    if not draft.id:
        answers["id"] = click.prompt(
            "What do people type for it", default=suggested_id(name) or None
        )
    if not draft.about and not draft.ask_system:
        answers["about"] = _line("How does it write, and of what (a sentence or two)")
    if not writing and not from_card:
        say("Where is its writing? A folder, a file, an export, or the address of a site.")
        while place := _line("  (nothing: go on)" if writing else "  (nothing: later)"):
            writing = (*writing, place)
    if draft.rights is None and not from_card:
        say(
            "On what ground do you use the writing? Without that a trained voice can't be published."
        )
        rights = {
            "owner": _line("  Whose writing is it"),
            "licence": _line("  Under which licence (public domain, CC BY 4.0, your own …)"),
        }
        if not rights["licence"]:
            rights["consent"] = _line("  Or who allowed it, when, and where is that written down")
        if any(rights.values()):
            rights["statement"] = _line("  What is it, in a sentence")
            answers["rights"] = rights
    return PersonaDraft.model_validate(draft.model_dump() | answers), writing


def _line(question: str) -> str:
    answer: str = click.prompt(question, default="", show_default=False)
    return answer.strip()


def _show(texts: dict[str, str] | Any) -> None:
    click.echo("")
    for field, title in (
        ("disclosure", "Under every answer"),
        ("refusal", "Of what it never wrote about"),
        ("ask_system", "Prompt of questions"),
        ("rewrite_system", "Prompt of rewrites"),
    ):
        click.echo(f"{title}:\n  {texts[field]}")
    click.echo("")


# ---- its writing -----------------------------------------------------------------------------------------


def _read_where(writing: Sequence[str]) -> tuple[list[dict[str, Any]], list[Path]]:
    """(sources to name, files to take over) of what `--writing` said.

    Raises:
        UploadRefused: there is no such path.
    """
    sources: list[dict[str, Any]] = []
    files: list[Path] = []
    for place in writing:
        path = Path(place).expanduser()
        if place.startswith(_WEB):
            sources.append({"kind": "site", "url": place})
        elif path.is_dir():
            sources.append({"kind": "folder", "path": str(path.absolute())})
        elif path.is_file():
            files.append(path)
        else:
            raise UploadRefused(
                f"There is nothing at {place}. Name a folder, a file ({', '.join(sorted(READABLE))}, .zip, "
                ".xml), or an address that begins with https://."
            )
    return sources, files


def _handed_over(
    config: Config, own: OwnCast, persona: str, files: Sequence[Path], user: str
) -> tuple[list[str], list[tuple[str, str]]]:
    """Copies of files, taken over; (taken, refused)."""
    if not files:
        return [], []
    with tempfile.TemporaryDirectory(dir=config.home, prefix=".upload-") as scratch:
        copies = []
        for number, path in enumerate(files):
            copy = Path(scratch) / str(number)
            shutil.copyfile(path, copy)
            copies.append((path.name, copy))
        outcome = OwnWriting(own).take(persona, copies, user=user)
    for note in outcome.notes:
        say(f"Note: {note}")
    return outcome.taken, outcome.refused


def _wants_reading(
    draft: PersonaDraft, taken: Sequence[str], prepare: bool | None, asking: bool
) -> bool:
    if not (draft.sources or taken or draft.background.strip()):
        return False
    if prepare is not None:
        return prepare
    return click.confirm("Read and index its writing now?", default=True) if asking else True


def _prepare(click_context: click.Context, config: Config, persona: str) -> None:
    with shown_progress() as progress:
        ensure_model(config, config.retrieval.embedder, progress=progress)
    click_context.invoke(corpus_ingest, persona=persona, as_json=False)
    click_context.invoke(index_build, persona=persona, as_json=False)


def _say_what_next(persona: str, folder: Path, *, prepared: bool) -> None:
    if not prepared:
        say(
            f"It answers by its prompt. Put writing into {folder / 'writing'}, then: "
            f"personae corpus ingest {persona} && personae index build {persona}"
        )
    say(
        f'Ask it: personae ask {persona} "…"   (a running server knows it already; else: personae up)'
    )
    say(f"Train its voice: personae train plan {persona}, then personae train run {persona}")
