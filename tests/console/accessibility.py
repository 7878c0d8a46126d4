"""axe-core on a page: what it finds wrong for people who don't see it, or use no mouse.

In: a page as it stands. Out: one line for each violation. axe-core is npm's, of the version in package.json
beside this; it is installed there the first time (`npm install`), and read from there afterwards.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

from playwright.async_api import Page

HERE = Path(__file__).parent
SCRIPT = HERE / "node_modules" / "axe-core" / "axe.min.js"
HOW_TO_GET_IT = "no npm here to install axe-core with: apt install npm"

# What WCAG 2.2 asks for at level AA, and what axe's makers hold for good practice.
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = f"async () => (await axe.run(document, {{runOnly: {json.dumps(_RULES)}}}))"


@cache
def axe_core() -> str | None:
    """The script, or None where there is no npm.

    Raises:
        subprocess.CalledProcessError: npm failed; its words are in the output.
    """
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]["axe-core"]
    if not SCRIPT.is_file() or f"axe v{wanted}" not in SCRIPT.read_text(encoding="utf-8")[:200]:
        npm = shutil.which("npm")
        if npm is None:
            return None
        flags = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run([npm, "install", *flags], cwd=HERE, check=True, timeout=100)
    return SCRIPT.read_text(encoding="utf-8")


async def violations(page: Page, script: str) -> list[str]:
    """One line each: the rule, what it wants, and where. Empty is what one wishes for."""
    await page.evaluate(script)
    told = await page.evaluate(_RUN)
    assert len(told["passes"]) > 10, f"axe looked at next to nothing: {len(told['passes'])} rules"
    return [
        f"{found['id']} ({found['impact']}): {found['help']}: {node['target']} {node['html'][:160]}"
        for found in told["violations"]
        for node in found["nodes"]
    ]
