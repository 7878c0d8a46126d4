"""`personae new` and `remove`, as a person types them, and as a script does."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from pathlib import Path

import pytest

from personae.config import load_config
from personae.persona import load_persona
from serving.jobs.jobs import Jobs
from tests.cli.test_cli import personae
from tests.conftest import REPOSITORY
from tests.fakes.character_cards import card, packed, png, text_chunk

RIGHTS = ("--owner", "Nobody", "--licence", "public domain", "--statement", "Letters.")


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    (tmp_path / "personae.toml").write_text(f'[personae]\ncast = "{REPOSITORY / "cast"}"\n')
    return ["--config", str(tmp_path / "personae.toml")]


async def test_options_alone_make_a_persona_and_a_second_one_is_refused(options, tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "tea.txt").write_text("Tea is a plant of hills. " * 40)
    (tmp_path / "one.txt").write_text("On coffee.")
    asked = (
        *options, "new", "ada", "--name", "Ada Lovelace", "--about", "Plain.", *RIGHTS, "--yes",
        "--no-prepare", "--writing", str(texts), "--writing", str(tmp_path / "one.txt"),
        "--writing", "https://example.org/",
    )  # fmt: skip
    code, out, err = await personae(*asked)
    assert code == 0, err
    path = tmp_path / "var" / "cast" / "ada" / "persona.toml"
    assert str(path) in out and "personae ask ada" in err
    persona = load_persona(path)
    assert [source.kind for source in persona.sources] == ["folder", "site", "folder"]
    assert persona.rights is not None and persona.rights.licence == "public domain"
    assert (path.parent / "writing" / "one.txt").read_text() == "On coffee."

    code, _, err = await personae(*asked)
    assert code == 1 and "taken" in err
    code, out, _ = await personae(*options, "remove", "ada", "--yes")
    assert code == 0 and "removed" in out and not path.exists()
    code, _, err = await personae(*options, "remove", "lincoln", "--yes")
    assert code == 1 and "was not made here" in err


async def test_a_persona_with_work_under_way_is_not_put_away(options, tmp_path):
    code, _, err = await personae(
        *options, "new", "ada", "--name", "Ada Lovelace", "--yes", "--no-prepare"
    )
    assert code == 0, err
    jobs = Jobs(load_config({}, folder=tmp_path))
    job = jobs.begin("ada", "ingest", [[sys.executable, "-c", "import time; time.sleep(600)"]])
    try:
        code, _, err = await personae(*options, "remove", "ada", "--yes")
        assert code == 1 and "work on ada under way" in err
    finally:
        jobs.stop(job.id)
        while jobs.one(job.id).ended_at is None:
            await asyncio.sleep(0.05)
    code, _, err = await personae(*options, "remove", "ada", "--yes")
    assert code == 0, err


async def test_every_problem_is_told_at_once(options, tmp_path):
    code, _, err = await personae(
        *options,
        "new",
        "Ada",
        "--disclosure",
        "me",
        "--name",
        "Ada",
        "--yes",
        "--description",
        "x" * 101,
    )
    assert code == 1
    assert all(field in err for field in ("id: ", "disclosure: ", "description: "))
    assert not (tmp_path / "var" / "cast").exists()
    code, _, err = await personae(*options, "new", "ada", "--yes")
    assert code == 1 and "--name" in err
    code, _, err = await personae(
        *options, "new", "ada", "--name", "Ada", "--yes", "--writing", str(tmp_path / "nowhere")
    )
    assert code == 1 and "There is nothing at" in err


async def test_a_card_becomes_a_persona_and_its_warnings_are_said(options, tmp_path):
    (tmp_path / "haru.png").write_bytes(png(text_chunk(b"chara", packed(card()))))
    code, out, err = await personae(
        *options,
        "new",
        "--from-card",
        str(tmp_path / "haru.png"),
        "--yes",
        "--no-prepare",
        "--json",
    )
    assert code == 0, err
    made = json.loads(out)
    assert made["id"] == "haru" and made["prepared"] is False
    assert "The card's maker says: Use with care." in err
    assert json.loads((Path(made["folder"]) / "card.json").read_text()) == card()


async def test_in_a_terminal_it_asks_for_what_has_no_good_default(options, tmp_path):
    answers = [
        ("How is it called", "Ada Lovelace"),
        ("What do people type for it [ada-lovelace]", "ada"),
        ("How does it write", "Plain and dry."),
        ("(nothing: later)", ""),
        ("Whose writing is it", "Nobody"),
        ("Under which licence", ""),
        ("who allowed it", "Her heirs, 2024, in a letter"),
        ("What is it, in a sentence", "Her letters."),
        ("Make ada?", "y"),
    ]
    code, said = await conversation(answers, *options, "new")
    assert code == 0, said
    assert "You are an imitation of Ada Lovelace." in said
    persona = load_persona(tmp_path / "var" / "cast" / "ada" / "persona.toml")
    assert persona.rights is not None and persona.rights.consent == "Her heirs, 2024, in a letter"
    assert "Plain and dry." in persona.ask.system


async def conversation(answers: list[tuple[str, str]], *arguments: str) -> tuple[int, str]:
    """Type each answer once its question was asked; (exit code, all that was seen)."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "personae.cli", *arguments,
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=REPOSITORY,
        env={k: v for k, v in os.environ.items() if not k.startswith("PERSONAE_")} | {"TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    seen = ""

    def read() -> str:
        try:
            return os.read(ours, 4096).decode()
        except OSError:  # the other end was closed
            return ""

    try:
        for question, answer in answers:
            place = len(seen)
            while question not in seen[place:]:
                piece = await asyncio.to_thread(read)
                assert piece, f"{question!r} was never asked: {seen}"
                seen += piece
            os.write(ours, f"{answer}\n".encode())
        while piece := await asyncio.to_thread(read):
            seen += piece
        return await process.wait(), seen
    finally:
        os.close(ours)
