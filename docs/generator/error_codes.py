"""The table of error codes for docs/faq.md, from `personae.errors`."""

from __future__ import annotations

import re

from docs.generator.blocks import cell
from personae import errors


def blocks() -> dict[str, str]:
    said = meanings()
    lines = ["| code | HTTP | |", "|---|---|---|"]
    for kind in errors.all_errors():
        code = kind.code
        lines.append(f"| [`{code}`](#{code}) | {kind.http_status} | {cell(said.get(code, ''))} |")
    return {"codes": "\n".join(lines)}


def meanings() -> dict[str, str]:
    """By code, what the tree at the top of `personae.errors` says of it."""
    tree = re.findall(r"── \w+ +(\w+)(?: +(\S.*))?$", errors.__doc__ or "", flags=re.MULTILINE)
    return {code: said.strip() for code, said in tree}
