"""The store that engines elsewhere fetch their adapters from: an S3 bucket, one folder a version.

In: a version's folder and its name in the engine. Out: `<prefix>/lincoln@v3/<file>`, the layout that Ray
Serve's LLM application reads (`dynamic_lora_loading_path`). A name never gets other weights, because
engines keep what they have fetched under it. `manifest.json` comes last: what has it is whole. A folder
without it is the beginning of a push, and is written again.

What stands here is for machines. Versions kept for people, with a hash in the folder's name, are
`training.release.stores`' business. Everything here blocks on the network: call it off the loop.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

from personae.errors import AdapterError, ConfigError
from personae.files import sha256_of
from personae.manifest import ADAPTER_CONFIG, MANIFEST
from personae.s3 import SHA256, head_of, s3_client, s3_errors, split_place

log = logging.getLogger(__name__)


class AdapterStore:
    """A store that one kind of engine reads.

    Args:
        client: boto3's.
        prefix: folder in the bucket; empty for the bucket itself.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @classmethod
    def at(cls, address: str) -> Self:
        """Of "s3://bucket/prefix".

        Raises:
            ConfigError: no such address, no keys, or no boto3 here.
        """
        if not address.startswith("s3://"):
            raise ConfigError(
                f'[engine] adapter_store = "{address[:80]}" is no S3 address. Ray fetches adapters from '
                'one: write "s3://bucket/prefix", and AWS_ENDPOINT_URL where the store is not Amazon\'s.'
            )
        bucket, prefix = split_place(address.removeprefix("s3://"))
        try:
            with s3_errors(address):
                return cls(s3_client(), bucket, prefix)
        except ImportError as err:
            raise ConfigError(
                "boto3 is missing, which speaks to the adapter store: pip install boto3"
            ) from err

    @property
    def name(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def publish(self, name: str, folder: Path) -> bool:
        """Put a version there under its name in the engine.

        Returns:
            False when it was there already, whole and the same.

        Raises:
            AdapterError: the name is taken by other files, or the folder is damaged.
            ConfigError: no such bucket, no permission, or it can't be reached.
        """
        files = _files(folder)
        with s3_errors(self.name):
            there = self._sha256_of_each(name, files)
            if MANIFEST in there:
                # Of one version there may be two spellings of the manifest; engines don't read it.
                different = sorted(
                    file
                    for file, sha256 in files.items()
                    if file in there and there[file] != sha256 and file != MANIFEST
                )
                if different:
                    raise AdapterError(
                        f"{self.name} holds {name} with other contents ({', '.join(different)}). Engines "
                        "keep what they fetched under a name, so it can't be replaced: publish yours under "
                        "the next number, or give this server a prefix of its own."
                    )
                if files.keys() <= there.keys():
                    return False
            for file in _in_order(files):
                if there.get(file) != files[file]:  # also one that somebody took away
                    self._client.upload_file(
                        str(folder / file),
                        self._bucket,
                        self._key(name, file),
                        ExtraArgs={"Metadata": {SHA256: files[file]}},
                    )
        log.info("%s published to %s", name, self.name)
        return True

    def close(self) -> None:
        self._client.close()

    def _key(self, name: str, file: str) -> str:
        return f"{self._prefix}{name}/{file}"

    def _sha256_of_each(self, name: str, files: dict[str, str]) -> dict[str, str | None]:
        """Of the files that are there, what their metadata says."""
        heads = {file: head_of(self._client, self._bucket, self._key(name, file)) for file in files}
        return {
            file: head.get("Metadata", {}).get(SHA256)
            for file, head in heads.items()
            if head is not None
        }


def _files(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of what a version's folder holds, its manifest included."""
    try:
        files = {path.name: sha256_of(path) for path in folder.iterdir() if path.is_file()}
    except OSError as err:
        raise AdapterError(f"{folder} can't be read ({err.strerror}).") from err
    missing = {ADAPTER_CONFIG, MANIFEST} - files.keys()
    if missing:
        raise AdapterError(
            f"{folder} has no {' and no '.join(sorted(missing))}. Publish the version again."
        )
    return files


def _in_order(files: dict[str, str]) -> list[str]:
    """The configuration first, because Ray remembers for half a minute that a folder has none; then the
    weights, and the manifest last.

    >>> _in_order({"manifest.json": "", "adapter_model.safetensors": "", "adapter_config.json": ""})
    ['adapter_config.json', 'adapter_model.safetensors', 'manifest.json']
    """
    return sorted(files, key=lambda name: (name == MANIFEST, name != ADAPTER_CONFIG, name))
