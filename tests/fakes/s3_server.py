"""A real S3 server on loopback (moto), and empty buckets that the product finds by AWS's variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def empty_bucket(
    url: str, name: str, *, monkeypatch: pytest.MonkeyPatch, folder: Path, secret: str = "secret"
) -> Iterator[Any]:
    """boto3's client as the code under test will make one; the bucket and all in it go at the end.

    Args:
        folder: one without files of AWS's, so that the machine's own keys are not looked at.
    """
    import boto3

    for variable, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(folder / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(variable, value)
    with contextlib.closing(boto3.client("s3")) as client:
        client.create_bucket(Bucket=name)
        yield client
        for entry in client.list_objects_v2(Bucket=name).get("Contents", ()):
            client.delete_object(Bucket=name, Key=entry["Key"])
        client.delete_bucket(Bucket=name)
