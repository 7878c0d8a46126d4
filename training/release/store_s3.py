"""A store in an S3 bucket, Amazon's or a compatible one's.

Keys come from the AWS chain (environment, profile, instance role) and from nowhere else; so does the
address of a compatible store (AWS_ENDPOINT_URL), which is then asked with the bucket in the path. Foreign
errors end here as sentences that hold a code and never a key, a signature or a request.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from personae.errors import AdapterError, ConfigError
from personae.progress import Progress
from training.release.card import CARD
from training.release.store import Parcel, Report

log = logging.getLogger(__name__)

_BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
_CHUNK_BYTES = 1 << 20
_TRIES = 4
_SHA256 = "sha256"
"""Name of the hash in an object's metadata."""
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
        bucket, _, prefix = place.partition("/")
        if not _BUCKET.match(bucket):
            raise ConfigError(f's3://{place[:80]} names no bucket. Write "s3://bucket/prefix".')
        with s3_errors(f"s3://{place}"):
            return cls(_client(), bucket, prefix.strip("/"))

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
                _only_if_unknown(err)
            try:
                grants = self._client.get_bucket_acl(Bucket=self._bucket).get("Grants", [])
            except ClientError as err:
                _only_if_unknown(err)
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
                if _code(err) == "NoSuchKey":
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
                    ExtraArgs={"Metadata": {_SHA256: sha256}},
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
                if _code(err) in ("PreconditionFailed", "ConditionalRequestConflict", "412"):
                    return  # another push was faster; `stores.push` looks whose it is
                if _code(err) not in ("NotImplemented", "501"):
                    raise
                self._client.put_object(**last)

    def _has(self, key: str, size: int, sha256: str) -> bool:
        from botocore.exceptions import ClientError

        try:
            head = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except ClientError as err:
            # Without the right to list, S3 answers 403 for what is not there.
            if _code(err) in ("404", "NoSuchKey", "403"):
                return False
            raise
        return head["ContentLength"] == size and head.get("Metadata", {}).get(_SHA256) == sha256

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
            _only_if_unknown(err)
            log.info("unfinished uploads of %s can't be listed", self.name)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.Session()
    settings: dict[str, Any] = {
        "connect_timeout": 10,
        "read_timeout": 60,
        "retries": {"mode": "standard", "max_attempts": 5},
    }
    client = session.client("s3", config=Config(**settings))
    if ".amazonaws.com" in client.meta.endpoint_url:
        return client
    client.close()
    # Compatible stores seldom have a host name for each bucket, nor the newer checksums.
    settings |= {
        "s3": {"addressing_style": "path"},
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    return session.client("s3", config=Config(**settings))


def _code(err: Any) -> str:
    return str(err.response.get("Error", {}).get("Code", ""))


def _only_if_unknown(err: Any) -> None:
    """Go on where a question is not allowed, not known to this store, or has no answer."""
    status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if _code(err) in ("NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
        raise err
    if status not in (403, 404, 405, 501):
        raise err


@contextlib.contextmanager
def s3_errors(where: str) -> Iterator[None]:
    """Translate what boto3 raises.

    Raises:
        ConfigError: a sentence with a way out, without a key in it.
    """
    from boto3.exceptions import S3UploadFailedError
    from botocore import exceptions

    again = "Then run it again; it goes on where it stopped."
    try:
        yield
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as err:
        raise ConfigError(
            f"There are no keys for {where}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE."
        ) from err
    except exceptions.ProfileNotFound as err:
        raise ConfigError("AWS_PROFILE names a profile that does not exist.") from err
    except exceptions.ClientError as err:
        raise ConfigError(_refusal(_code(err), where, again)) from err
    except S3UploadFailedError as err:
        cause = err.__cause__ or err.__context__
        code = _code(cause) if isinstance(cause, exceptions.ClientError) else "upload failed"
        raise ConfigError(_refusal(code, where, again)) from err
    except (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.ResponseStreamingError,
    ) as err:
        raise ConfigError(
            f"{where} can't be reached, or broke off. Check the network, and AWS_ENDPOINT_URL where the "
            f"store is not Amazon's. {again}"
        ) from err
    except exceptions.BotoCoreError as err:
        raise ConfigError(
            f"{where} can't be used ({type(err).__name__}). Check the AWS_… variables."
        ) from err


def _refusal(code: str, where: str, again: str) -> str:
    if code == "NoSuchBucket":
        return f"There is no bucket for {where}. Check the spelling, or make the bucket."
    if code in ("AccessDenied", "403", "Forbidden", "AllAccessDisabled"):
        return f"The keys in use may not do this in {where}. Ask its owner for permission. {again}"
    if code in ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"):
        return f"{where} does not accept the keys in use ({code}). Check AWS_ACCESS_KEY_ID. {again}"
    return f"{where} refused ({code[:60]}). {again}"
