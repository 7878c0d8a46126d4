"""A store in an S3 bucket, Amazon's or a compatible one's.

Where keys and the address of a compatible store come from, and how foreign errors end as sentences:
`personae.s3`.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

from personae.errors import AdapterError
from personae.progress import Progress
from personae.s3 import (
    SHA256,
    error_code,
    head_of,
    only_if_unknown,
    s3_client,
    s3_errors,
    split_place,
)
from training.release.card import CARD
from training.release.store import Parcel, Report

log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_TRIES = 4
_EVERYONE = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)


class S3Store:
    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""

    @classmethod
    def at(cls, place: str) -> S3Store:
        """Of "bucket/prefix".

        Raises:
            ConfigError: no such bucket name, or an AWS profile that does not exist.
        """
        bucket, prefix = split_place(place)
        with s3_errors(f"s3://{place}"):
            return cls(s3_client(), bucket, prefix)

    @property
    def name(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def public(self) -> bool:
        """Whether the bucket's policy or access list lets everyone read.

        Keys that may write and not look at these are usual; then the bucket is taken for private.
        """
        from botocore.exceptions import ClientError

        with s3_errors(self.name):
            try:
                policy = self._client.get_bucket_policy_status(Bucket=self._bucket)
                if policy.get("PolicyStatus", {}).get("IsPublic"):
                    return True
            except ClientError as err:
                only_if_unknown(err)
            try:
                grants = self._client.get_bucket_acl(Bucket=self._bucket).get("Grants", [])
            except ClientError as err:
                only_if_unknown(err)
                return False
        return any(grant.get("Grantee", {}).get("URI") in _EVERYONE for grant in grants)

    def keys(self, below: str) -> dict[str, int]:
        found = {}
        with s3_errors(self.name):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + below
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    found[entry["Key"].removeprefix(self._prefix)] = int(entry["Size"])
        return found

    def read(self, key: str, limit_bytes: int) -> bytes | None:
        from botocore.exceptions import ClientError

        with s3_errors(self.name):
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
            except ClientError as err:
                if error_code(err) == "NoSuchKey":
                    return None
                raise
            with contextlib.closing(body):
                found = bytes(body.read(limit_bytes + 1))
        if len(found) > limit_bytes:
            raise AdapterError(f"{key} in {self.name} is larger than {limit_bytes / 1e6:.0f} MB.")
        return found

    def fetch(self, key: str, target: Path, size_bytes: int, report: Report) -> None:
        from botocore.exceptions import HTTPClientError, ResponseStreamingError

        with s3_errors(self.name):
            for left in reversed(range(_TRIES)):
                have = target.stat().st_size if target.exists() else 0
                if have == size_bytes and have:
                    return
                try:
                    self._fetch_from(have, key, target, size_bytes, report)
                    return
                except (HTTPClientError, ResponseStreamingError):
                    # The line broke in the middle of a file; what came is kept.
                    if not left:
                        raise

    def _fetch_from(
        self, begin: int, key: str, target: Path, size_bytes: int, report: Report
    ) -> None:
        wanted = {"Range": f"bytes={begin}-"} if begin else {}
        body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **wanted)[
            "Body"
        ]
        with contextlib.closing(body), target.open("ab") as out:
            for chunk in body.iter_chunks(_CHUNK_BYTES):
                begin += len(chunk)
                if begin > size_bytes:
                    raise AdapterError(f"{key} in {self.name} is longer than listed.")
                out.write(chunk)
                report(len(chunk))

    def send(self, parcel: Parcel, progress: Progress) -> None:
        from boto3.s3.transfer import TransferConfig
        from botocore.exceptions import ClientError

        report = Report(progress, f"pushing to {self.name}", parcel.total_bytes)
        key, content = parcel.last
        with s3_errors(self.name):
            self._drop_unfinished(key.rpartition("/")[0])
            for name, (path, sha256) in parcel.files.items():
                size = path.stat().st_size
                if self._has(name, size, sha256):
                    report(size)
                    continue
                self._client.upload_file(
                    str(path),
                    self._bucket,
                    self._prefix + name,
                    ExtraArgs={"Metadata": {SHA256: sha256}},
                    Callback=report,
                    Config=TransferConfig(max_concurrency=4),
                )
            card = f"{self._prefix}{parcel.persona}/{CARD}"
            body = parcel.card.encode()
            self._client.put_object(Bucket=self._bucket, Key=card, Body=body)
            last = {"Bucket": self._bucket, "Key": self._prefix + key, "Body": content}
            try:
                self._client.put_object(**last, IfNoneMatch="*")
            except ClientError as err:
                if error_code(err) in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                    return  # another push was faster; `stores.push` looks whose it is
                if error_code(err) not in ("NotImplemented", "501"):
                    raise
                self._client.put_object(**last)

    def _has(self, key: str, size: int, sha256: str) -> bool:
        head = head_of(self._client, self._bucket, self._prefix + key)
        if head is None:
            return False
        return head["ContentLength"] == size and head.get("Metadata", {}).get(SHA256) == sha256

    def _drop_unfinished(self, below: str) -> None:
        """Parts of large files that a killed push left are invisible, and paid for until aborted."""
        from botocore.exceptions import ClientError

        try:
            listed = self._client.list_multipart_uploads(
                Bucket=self._bucket, Prefix=f"{self._prefix}{below}/"
            )
            for upload in listed.get("Uploads", ()):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )
        except ClientError as err:
            only_if_unknown(err)
            log.info("unfinished uploads of %s can't be listed", self.name)
