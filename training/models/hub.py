"""Fetch a model's files from Hugging Face into a partial folder that a rerun goes on with.

In: a repository id. Out: its safetensors, tokenizer and configuration files, and its licence. The
foreign library's errors end here, as sentences that say what to do.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from personae.errors import ModelError
from personae.files import disk_errors, require_free_bytes
from personae.progress import Progress

WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def fetch_from_hub(
    model_id: str,
    partial: Path,
    *,
    progress: Progress,
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Fetch the files into `partial`; those that are there already are not fetched again.

    Args:
        endpoint: a mirror's address; None is Hugging Face itself, or HF_ENDPOINT.

    Returns:
        The licence as the model card names it, or where to read it.

    Raises:
        ModelError: no network, no such model, or a licence that was not accepted.
        DiskFull: said before the first byte where the sizes are known.
    """
    from fnmatch import fnmatch

    from huggingface_hub import HfApi, snapshot_download

    with hub_errors(model_id), disk_errors(partial, f"fetching {model_id}"):
        info = HfApi(endpoint, token=token).model_info(model_id, files_metadata=True, timeout=30)
        sizes = {
            file.rfilename: file.size or 0
            for file in info.siblings or ()
            if any(fnmatch(file.rfilename, pattern) for pattern in WANTED)
        }
        if not any(name.endswith(".safetensors") for name in sizes):
            raise ModelError(
                f"{model_id} has no safetensors weights. Choose a repository that has them."
            )
        there = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file())
        require_free_bytes(
            partial, max(0, sum(sizes.values()) - there), f"Fetching the model {model_id}"
        )
        snapshot_download(
            model_id,
            revision=info.sha,
            local_dir=partial,
            allow_patterns=list(WANTED),
            token=token,
            endpoint=endpoint,
            tqdm_class=_bar_for(progress, f"fetching {model_id}", sum(sizes.values())),
        )
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    card = info.card_data
    licence = getattr(card, "license", None) if card else None
    return str(licence) if licence else f"see https://huggingface.co/{model_id}"


@contextlib.contextmanager
def hub_errors(model_id: str) -> Iterator[None]:
    """Translate what huggingface_hub raises.

    Raises:
        ModelError: always a sentence with a way out.
    """
    import httpx2
    from huggingface_hub import errors

    again = f"Then run `personae models fetch {model_id}` again; it goes on where it stopped."
    try:
        yield
    except errors.GatedRepoError as err:
        raise ModelError(
            f"{model_id} is gated: accept its licence at https://huggingface.co/{model_id} and set "
            f"HF_TOKEN to a token of that account. {again}"
        ) from err
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as err:
        raise ModelError(
            f"Hugging Face has no model {model_id} that you may read. Check the spelling; for a "
            "private one set HF_TOKEN."
        ) from err
    except errors.LocalEntryNotFoundError as err:
        raise ModelError(
            f"{model_id} could not be fetched: Hugging Face can't be reached. Check the network. {again}"
        ) from err
    except errors.HfHubHTTPError as err:
        raise ModelError(f"Hugging Face refused {model_id}: {err}. {again}") from err
    except (errors.OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError, TimeoutError) as err:
        raise ModelError(
            f"{model_id} could not be fetched: Hugging Face can't be reached. Check the network, "
            f"and that HF_HUB_OFFLINE is not set. {again}"
        ) from err


def _bar_for(progress: Progress, doing: str, total_bytes: int) -> type:
    """A tqdm class that draws nothing and reports fetched bytes of all files together."""
    from huggingface_hub.utils import tqdm

    fetched = 0.0

    class Reported(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._counts_bytes = kwargs.get("unit") == "B"
            kwargs["disable"] = True
            kwargs.pop("name", None)
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal fetched
            if self._counts_bytes:
                fetched = min(fetched + (n or 0), total_bytes)
                progress(doing, fetched, total_bytes)
            return super().update(n)

    return Reported
