"""A persona with a folder of writing that has every kind of dirt, as people's folders have."""

from __future__ import annotations

from pathlib import Path

from tests.training.clean.texts import PLAIN, essay

PERSONA = """
id = "ada"
display_name = "Ada Reed"
description = "Essays on rivers and bread"
disclosure = "An imitation of Ada Reed, not the person."
refusal = "I wrote nothing on that."
[ask]
system = "You are Ada."
[rewrite]
system = "You are Ada."
[[sources]]
kind = "folder"
path = "writing"
{cleaning}
"""
SECRETS = ("ada@example.org", "555-0134", "4111 1111 1111 1111")
_MENU = "Home\n\nAbout\n\nArchive"
_FOOT = "Thanks for reading! Subscribe to my letter."
_GERMAN = (
    "Der Fluss war seit Juni niedrig, und die Jungen, die von der Mauer der Mühle sprangen, kamen "
    "mit Schlamm an den Knien herauf. Die alte Marta nannte es eine Strafe, und alle lachten laut, "
    "denn jeder wusste, wem das Wasser fehlte."
)


def page(text: str) -> str:
    return f"{_MENU}\n\n{text}\n\n{_FOOT}\n"


FILES = {
    "2019-river.md": page(PLAIN[0]),
    "2020-bread.md": page(f"{PLAIN[1]}\n\nWrite to {SECRETS[0]} or call me at {SECRETS[1]}."),
    "2021-bees.md": page(f"{PLAIN[2]}\n\n> Bees are small.\n\n— Old Marta"),
    "2023-bees-again.md": page(PLAIN[2]),
    "2022-clock.txt": page(f"{PLAIN[3]}\n\nvar x = 1;\nshow(x);\nx.close();"),
    "frost.txt": page(f"{PLAIN[4]} My card is {SECRETS[2]}.\n\n{_GERMAN}"),
    "wasser.md": page(f"{_GERMAN}\n\n{_GERMAN}"),
    "teas.txt": page("\n".join(f"- Tea of the {n} kind, black or green" for n in range(9))),
    "note.txt": page("Back on Monday."),
    "ferry.txt": page(essay(3)),
}
CLEAN = {
    "2019-river.md": PLAIN[0],
    "2020-bread.md": f"{PLAIN[1]}\n\nWrite to [e-mail] or call me at [phone].",
    "2021-bees.md": PLAIN[2],
    "2022-clock.txt": PLAIN[3],
    "ferry.txt": essay(3),
    "frost.txt": f"{PLAIN[4]} My card is [card].",
}
"""What is left of it, by document id."""
REMOVED = {
    "2023-bees-again.md": "duplicates",
    "note.txt": "short",
    "teas.txt": "lists",
    "wasser.md": "language",
}


def write_dirty_cast(folder: Path, cleaning: str = "") -> Path:
    """A cast folder with this one persona; `cleaning` are lines for its persona.toml."""
    writing = folder / "ada" / "writing"
    writing.mkdir(parents=True)
    (folder / "ada" / "persona.toml").write_text(PERSONA.format(cleaning=cleaning))
    for name, text in FILES.items():
        (writing / name).write_text(text)
    return folder
