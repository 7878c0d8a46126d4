"""A store on the Hugging Face hub: one model repository, private unless asked otherwise.

A version goes up in one commit, manifest and all, so it is there whole or not at all; large files that were
uploaded before a push was killed are recognised by their hash and not sent again. The token comes from
HF_TOKEN or `hf auth login`, the address from HF_ENDPOINT; neither appears in a message.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from personae.errors import AdapterError, ConfigError
from personae.progress import Progress
from training.release.card import CARD
from training.release.store import Parcel, Report

_REPOSITORY = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")


class HubStore:
    def __init__(
        self, repository: str, *, public: bool = False, endpoint: str | None = None
    ) -> None:
        """
        Args:
            public: where there is no repository yet, make one that everyone can read.
            endpoint: another hub's address; None is HF_ENDPOINT or Hugging Face itself.
        """
        from huggingface_hub import HfApi

        self._repository = repository
        self._make_public = public
        self._api = HfApi(endpoint)
        self._endpoint = endpoint

    @classmethod
    def at(cls, place: str, *, public: bool = False) -> HubStore:
        """Of "owner/name".

        Raises:
            ConfigError: it is no repository's name.
        """
        if not _REPOSITORY.match(place):
            raise ConfigError(f'hf://{place[:80]} is no repository. Write "hf://owner/name".')
        return cls(place, public=public)

    @property
    def name(self) -> str:
        return f"hf://{self._repository}"

    def public(self) -> bool:
        info = self._info()
        if info is None:
            return self._make_public
        if not info.private and not self._make_public:
            raise AdapterError(
                f"{self.name} is public: everyone can read what is pushed there. Make the repository "
                "private, or push with --public."
            )
        return not info.private

    def _info(self) -> Any:
        """What the hub says of the repository; None where there is none that we may read."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with hub_errors(self.name):
            try:
                return self._api.repo_info(self._repository, timeout=30)
            except RepositoryNotFoundError:
                return None

    def keys(self, below: str) -> dict[str, int]:
        from huggingface_hub import RepoFile
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError

        with hub_errors(self.name):
            try:
                tree = self._api.list_repo_tree(
                    self._repository, below.strip("/") or None, recursive=True
                )
                return {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
            except (RepositoryNotFoundError, EntryNotFoundError):
                return {}

    def read(self, key: str, limit_bytes: int) -> bytes | None:
        size = self.keys(key.rpartition("/")[0]).get(key)
        if size is None:
            return None
        if size > limit_bytes:
            raise AdapterError(f"{key} in {self.name} is larger than {limit_bytes / 1e6:.0f} MB.")
        with tempfile.TemporaryDirectory() as scratch:
            return self._download(key, Path(scratch)).read_bytes()

    def fetch(self, key: str, target: Path, size_bytes: int, report: Report) -> None:
        scratch = target.parent / f".{target.name}.fetching"
        scratch.mkdir(exist_ok=True)
        came = self._download(key, scratch)
        if came.stat().st_size != size_bytes:
            raise AdapterError(f"{key} in {self.name} is not as long as listed. Pull it again.")
        came.replace(target)
        shutil.rmtree(scratch)
        report(size_bytes)

    def _download(self, key: str, scratch: Path) -> Path:
        """Into `scratch`, where a file that broke off is gone on with."""
        from huggingface_hub import hf_hub_download

        with hub_errors(self.name), _no_bars():
            found = Path(
                hf_hub_download(self._repository, key, local_dir=scratch, endpoint=self._endpoint)
            )
        if found.is_symlink() or scratch.resolve() not in found.resolve().parents:
            raise AdapterError(f"{key} in {self.name} is no plain file.")
        return found

    def send(self, parcel: Parcel, progress: Progress) -> None:
        from huggingface_hub import CommitOperationAdd

        doing = f"pushing to {self.name}"
        total = parcel.total_bytes
        progress(doing, 0, total)
        manifest_key, manifest = parcel.last
        operations = [
            CommitOperationAdd(key, str(path)) for key, (path, _sha256) in parcel.files.items()
        ]
        operations += [
            CommitOperationAdd(manifest_key, manifest),
            CommitOperationAdd(CARD, parcel.card.encode()),
        ]
        with hub_errors(self.name), _no_bars():
            self._api.create_repo(self._repository, private=not self._make_public, exist_ok=True)
            head = self._api.repo_info(self._repository, timeout=30).sha
            self._api.create_commit(
                self._repository,
                operations,
                commit_message=parcel.title,
                # Refused when somebody else committed since we looked: two pushes can't cross.
                parent_commit=head,
            )
        progress(doing, total, total)


@contextlib.contextmanager
def _no_bars() -> Iterator[None]:
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    if are_progress_bars_disabled():
        yield
        return
    before = logging.get_verbosity()
    disable_progress_bars()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        enable_progress_bars()


@contextlib.contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """Translate what huggingface_hub raises; `RepositoryNotFoundError` inside a body's own `try` wins.

    Raises:
        ConfigError: a sentence with a way out, without a token in it.
    """
    import httpx2
    from huggingface_hub import errors

    again = "Then run it again; it goes on where it stopped."
    try:
        yield
    except (errors.LocalTokenNotFoundError, errors.GatedRepoError) as err:
        raise ConfigError(f"{where} wants a token. Set HF_TOKEN to one of its account.") from err
    except errors.RepositoryNotFoundError as err:
        raise ConfigError(
            f"The hub has no {where} that you may use. Check the spelling, and that HF_TOKEN is a token "
            "of its account."
        ) from err
    except errors.HfHubHTTPError as err:
        status = err.response.status_code if err.response is not None else 0
        if status in (401, 403):
            raise ConfigError(
                f"The hub does not let this token do that in {where} ({status}). Set HF_TOKEN to one that "
                "may write there."
            ) from err
        if status == 412:
            raise ConfigError(f"Somebody else changed {where} meanwhile. Run it again.") from err
        raise ConfigError(f"The hub refused {where} ({status}). {again}") from err
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as err:
        raise ConfigError(f"{where} can't be reached. Check the network. {again}") from err
    except (httpx2.HTTPError, ConnectionError, TimeoutError) as err:
        raise ConfigError(f"{where} can't be reached. Check the network. {again}") from err
    except (RuntimeError, ValueError) as err:
        # How huggingface_hub and hf_xet tell that an upload failed, or that a server is no hub.
        raise ConfigError(f"The upload to {where} broke off. {again}") from err
