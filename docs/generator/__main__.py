"""Run as: `python -m docs.generator [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import click

from docs.generator import api, command_line, error_codes, settings
from docs.generator.blocks import filled

DOCS = Path(__file__).parent.parent


def pages() -> dict[Path, str]:
    """Every page with generated parts, as it should read."""
    marked = {
        "api.md": api.blocks(),
        "command-line.md": command_line.blocks(),
        "faq.md": error_codes.blocks(),
    }
    made = {}
    for name, blocks in marked.items():
        path = DOCS / name
        try:
            made[path] = filled(path.read_text(encoding="utf-8"), blocks)
        except ValueError as err:
            raise SystemExit(f"{path}: {err}") from err
    path = DOCS / "configuration.md"
    made[path] = settings.refreshed(path.read_text(encoding="utf-8"))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.generator", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a page is stale"
    )
    check = parser.parse_args().check
    stale = []
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if not check:
                path.write_text(text, encoding="utf-8")
    if check and stale:
        sys.exit(f"Not what the code says: {', '.join(stale)}. Run `python -m docs.generator`.")
    click.echo(
        f"{'Written' if stale else 'Nothing to do'}: {', '.join(stale) or 'all pages are right'}"
    )


if __name__ == "__main__":
    main()
