"""A client of an S3-compatible store, and its errors as sentences. Importing it opens nothing.

Keys come from the AWS chain (environment, profile, instance role) and from nowhere else; so does the
address of a store that is not Amazon's (AWS_ENDPOINT_URL), which is then asked with the bucket in the path.
Sentences hold a code and never a key, a signature or a request. boto3 is only needed where this is used:
by versions kept in a store (`training.release.store_s3`) and by engines that fetch theirs from one
(`serving.adapter_store`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from personae.errors import ConfigError

_BUCKET = re.compile(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
SHA256 = "sha256"
"""Name of a file's hash in the metadata of its object."""


def split_place(place: str) -> tuple[str, str]:
    """ "bucket/some/prefix/" → ("bucket", "some/prefix").

    Raises:
        ConfigError: no such bucket name.
    """
    bucket, _, prefix = place.partition("/")
    if not _BUCKET.match(bucket):
        raise ConfigError(f's3://{place[:80]} names no bucket. Write "s3://bucket/prefix".')
    return bucket, prefix.strip("/")


def s3_client() -> Any:
    """A boto3 client. Raises what `s3_errors` translates."""
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


def error_code(err: Any) -> str:
    """Of a botocore ClientError: "NoSuchKey"."""
    return str(err.response.get("Error", {}).get("Code", ""))


def head_of(client: Any, bucket: str, key: str) -> dict[str, Any] | None:
    """What the store tells of an object; None where there is none. Raises what `s3_errors` translates."""
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = client.head_object(Bucket=bucket, Key=key)
    except ClientError as err:
        # Without the right to list, S3 answers 403 for what is not there.
        if error_code(err) in ("404", "NoSuchKey", "403"):
            return None
        raise
    return found


def only_if_unknown(err: Any) -> None:
    """Go on where a question is not allowed, not known to this store, or has no answer."""
    status = err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if error_code(err) in ("NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
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
        raise ConfigError(_refusal(error_code(err), where, again)) from err
    except S3UploadFailedError as err:
        cause = err.__cause__ or err.__context__
        code = error_code(cause) if isinstance(cause, exceptions.ClientError) else "upload failed"
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
