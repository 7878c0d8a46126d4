"""A merged model as one GGUF file, for llama.cpp and what is built on it.

In: a folder of 16-bit safetensors. Out: a file of f16, bf16 or q8_0. Where llama.cpp's own converter is at
hand it does the work; else `training.release.gguf_llama` writes the models it can. Fewer than 8 bits are not
offered: a 4-bit export turned a voice to gibberish. Every file is read back with transformers and compared.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from personae.errors import ConfigError, ModelError
from personae.progress import Progress, silent
from personae.prompt import Message
from training.models.convert import quiet_transformers
from training.release.compare import TEXTS, difference, load, logits, prompt_ids
from training.release.gguf_llama import write_llama

GgufType = Literal["f16", "bf16", "q8_0"]

CONVERTERS = ("convert_hf_to_gguf.py", "convert-hf-to-gguf")
"""What llama.cpp and its packagers call the converter."""

_TOLERATED = {"f16": 2.0**-9, "bf16": 2.0**-9, "q8_0": 2.0**-3}
"""Most difference of a logit from the merged model's, as a share of the largest logit."""


def gguf_type(typed: str) -> GgufType:
    """ "Q8_0" → "q8_0".

    Raises:
        ConfigError: another type, with why and what instead.
    """
    found = typed.strip().lower()
    for known in get_args(GgufType):
        if found == known:
            return known
    raise ConfigError(
        f"GGUF of type {typed[:20]} is not written here: below 8 bits a small model's voice turns to "
        f"gibberish. Choose {', '.join(get_args(GgufType))}; llama.cpp's llama-quantize makes other "
        "types out of the f16 file, if you want to try."
    )


def find_converter(named: Path | None) -> Path | None:
    """llama.cpp's converter: the one named, or the one on PATH.

    Raises:
        ConfigError: the named one is no file.
    """
    if named is not None:
        if not named.is_file():
            raise ConfigError(
                f"There is no converter at {named}. It is convert_hf_to_gguf.py in llama.cpp's folder."
            )
        return named.absolute()
    for name in CONVERTERS:
        if found := shutil.which(name):
            return Path(found)
    return None


def write_gguf(
    merged: Path,
    target: Path,
    kind: GgufType,
    *,
    title: str,
    description: str,
    converter: Path | None = None,
    progress: Progress = silent,
) -> None:
    """Convert a merged model.

    Args:
        description: goes into the file's head; the disclosure, so that it can't be lost.

    Raises:
        ModelError: no converter, and a model this module can't write; or the converter failed.
    """
    if tool := find_converter(converter):
        _convert(tool, merged, target, kind, progress)
    else:
        write_llama(merged, target, kind, title=title, description=description, progress=progress)


def check_gguf(
    target: Path,
    merged: Path,
    kind: GgufType,
    messages: Sequence[Message],
    *,
    progress: Progress = silent,
) -> dict[str, float]:
    """Read the file back with transformers: same logits as the merged model, same tokens for texts.

    Raises:
        ModelError: they differ; says by how much.
    """
    from transformers import AutoTokenizer

    doing = f"reading {target.name} back"
    progress(doing, 0, 3)
    with quiet_transformers():
        own = AutoTokenizer.from_pretrained(merged, local_files_only=True)
        there = AutoTokenizer.from_pretrained(target.parent, gguf_file=target.name)
    for text in TEXTS:
        if own.encode(text, add_special_tokens=False) != there.encode(
            text, add_special_tokens=False
        ):
            raise ModelError(f"The tokenizer in {target.name} cuts {text!r} differently.")
    if own.chat_template != there.chat_template:
        raise ModelError(f"{target.name} has another chat template than the model.")
    progress(doing, 1, 3)
    ids = prompt_ids(merged, messages)
    expected = logits(load(merged), ids)
    progress(doing, 2, 3)
    found = logits(load(target.parent, target.name), ids)
    progress(doing, 3, 3)
    off, largest = difference(expected, found), float(expected.abs().max())
    if not off <= _TOLERATED[kind] * largest:
        raise ModelError(
            f"{target.name} does not say what the merged model says: a logit differs by {off:.2f} of "
            f"{largest:.1f}. Choose a finer type (f16), or name another --converter."
        )
    return {"largest_logit_difference_of_gguf": off}


def _convert(tool: Path, merged: Path, target: Path, kind: str, progress: Progress) -> None:
    """Run llama.cpp's converter; its last words are told when it fails."""
    start = [sys.executable, str(tool)] if tool.suffix == ".py" else [str(tool)]
    doing = f"converting with {tool.name}"
    weights = sum(path.stat().st_size for path in merged.glob("*.safetensors"))
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*start, str(merged), "--outfile", str(target), "--outtype", kind],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    size = target.stat().st_size if target.exists() else 0
                    progress(doing, min(size, weights), weights)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        words = said.read().decode("utf-8", "replace").strip().splitlines()
    if code != 0 or not target.is_file():
        last = words[-1][:300] if words else f"exit code {code}"
        raise ModelError(
            f"{tool} could not convert the model: {last}. It needs the packages of llama.cpp's "
            "requirements/requirements-convert_hf_to_gguf.txt; try it by hand on a --format merged export."
        )
    progress(doing, weights, weights)
