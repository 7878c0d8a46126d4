"""S3 as a store, with boto3's own client against a real S3 server on loopback (moto)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from personae.errors import AdapterError, ConfigError
from personae.manifest import MANIFEST
from personae.registry import Registry
from tests.fakes.artefacts import add_adapter
from tests.fakes.s3_server import empty_bucket, s3_server
from training.release.pull import pull
from training.release.stores import open_store, push, versions_in

SECRET = "s" * 40


@pytest.fixture(scope="module")
def server():
    with s3_server() as url:
        yield url


@pytest.fixture
def client(server, monkeypatch, tmp_path):
    """boto3 as the code under test will find it, and an empty bucket "voices"."""
    with empty_bucket(
        server, "voices", monkeypatch=monkeypatch, folder=tmp_path, secret=SECRET
    ) as client:
        yield client


@pytest.fixture
def version(cast, tmp_path):
    return add_adapter(Registry(tmp_path / "here"), cast["lincoln"], 1, tmp_path / "scratch")


def keys(client) -> dict[str, object]:
    listed = client.list_objects_v2(Bucket="voices").get("Contents", ())
    return {entry["Key"]: entry["LastModified"] for entry in listed}


def test_there_and_back_again(client, cast, version, tmp_path):
    store = open_store("s3://voices/team/a")
    assert push(version, cast["lincoln"], store, card="a card")
    below = f"team/a/lincoln/{version.folder.name}"
    assert set(keys(client)) == {
        "team/a/lincoln/README.md",
        f"{below}/adapter_config.json",
        f"{below}/adapter_model.safetensors",
        f"{below}/{MANIFEST}",
    }
    other = Registry(tmp_path / "there")
    found = pull("lincoln", None, store, other)
    assert found.manifest == version.manifest
    assert not push(found, cast["lincoln"], store, card="")
    assert [listed.version for listed in versions_in(store)] == [1]
    assert versions_in(open_store("s3://voices")) == [], "another prefix is another store"


def test_a_push_killed_after_its_first_file_is_taken_up_again(client, cast, version):
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from personae.persona import load_persona
        from personae.registry import Registry
        from training.release.stores import open_store, push

        def stop(doing, done, total):
            if done < total:  # the first file is on its way or there
                print("sent", flush=True)
            else:
                time.sleep(60)

        version = Registry(Path({str(version.folder.parent.parent)!r})).find("lincoln")
        persona = load_persona(Path({str(cast.folder("lincoln") / "persona.toml")!r}))
        push(version, persona, open_store("s3://voices"), card="", progress=stop)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"sent\n"
    store = open_store("s3://voices")
    first = f"lincoln/{version.folder.name}/adapter_config.json"
    while first not in store.keys("lincoln/"):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    before = keys(client)
    assert not any(found.complete for found in versions_in(store))
    assert push(version, cast["lincoln"], store, card="")
    assert keys(client)[first] == before[first], "it was not sent again"
    assert [found.complete for found in versions_in(store)] == [True]


def test_a_file_of_the_same_size_and_other_content_is_sent_again(client, cast, version):
    key = f"lincoln/{version.folder.name}/adapter_config.json"
    size = (version.folder / "adapter_config.json").stat().st_size
    client.put_object(Bucket="voices", Key=key, Body=b"?" * size)
    push(version, cast["lincoln"], open_store("s3://voices"), card="")
    sent = client.get_object(Bucket="voices", Key=key)["Body"].read()
    assert sent == (version.folder / "adapter_config.json").read_bytes()


def test_large_files_go_in_parts_and_what_a_killed_push_left_of_them_is_dropped(
    client, cast, version, tmp_path
):
    folder = tmp_path / "large"
    registry = Registry(tmp_path / "r")
    big = add_adapter(registry, cast["lincoln"], 3, folder, config={"comment": "x" * (9 << 20)})
    key = f"lincoln/{big.folder.name}/adapter_config.json"
    client.create_multipart_upload(Bucket="voices", Key=key)
    other = client.create_multipart_upload(Bucket="voices", Key="somebody/else")
    store = open_store("s3://voices")
    push(big, cast["lincoln"], store, card="")
    left = client.list_multipart_uploads(Bucket="voices").get("Uploads", ())
    assert [upload["Key"] for upload in left] == ["somebody/else"]
    client.abort_multipart_upload(Bucket="voices", Key="somebody/else", UploadId=other["UploadId"])
    told = []
    pull("lincoln", None, store, Registry(tmp_path / "t"), progress=lambda *all: told.append(all))
    assert told[-1][1] == told[-1][2] > 9 << 20


def test_an_object_that_was_exchanged_is_found_out(client, cast, version, tmp_path):
    store = open_store("s3://voices")
    push(version, cast["lincoln"], store, card="")
    key = f"lincoln/{version.folder.name}/adapter_model.safetensors"
    size = (version.folder / "adapter_model.safetensors").stat().st_size
    client.put_object(Bucket="voices", Key=key, Body=b"?" * size)
    registry = Registry(tmp_path / "there")
    with pytest.raises(AdapterError, match="differs from its manifest"):
        pull("lincoln", None, store, registry)
    assert registry.versions("lincoln") == []


def test_a_bucket_that_everyone_can_read_wants_rights(client, cast, version):
    client.put_bucket_acl(Bucket="voices", ACL="public-read")
    store = open_store("s3://voices")
    without = cast["lincoln"].model_copy(update={"rights": None})
    with pytest.raises(AdapterError, match=r"\[rights\] owner"):
        push(version, without, store, card="")
    assert keys(client) == {}
    client.put_bucket_acl(Bucket="voices", ACL="private")
    assert push(version, without, store, card="")


def test_a_manifest_that_came_first_is_not_written_over(client, cast, version):
    """`IfNoneMatch`: between looking and writing somebody else finished."""
    from training.release.store import Parcel

    store = open_store("s3://voices")
    client.put_object(Bucket="voices", Key="lincoln/v1-x/manifest.json", Body=b"theirs")
    last = ("lincoln/v1-x/manifest.json", b"ours")
    store.send(Parcel({}, last, "lincoln", "", "Add"), lambda *all: None)
    found = client.get_object(Bucket="voices", Key=last[0])["Body"].read()
    assert found == b"theirs"


def test_no_keys_is_a_sentence(client, cast, version, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigError, match=r"no keys for s3://voices. Set AWS_ACCESS_KEY_ID"):
        push(version, cast["lincoln"], open_store("s3://voices"), card="")


def test_no_bucket_is_a_sentence(client, cast, version):
    with pytest.raises(ConfigError, match="no bucket for s3://missing"):
        push(version, cast["lincoln"], open_store("s3://missing"), card="")


def test_nobody_there_is_a_sentence(client, cast, version, monkeypatch):
    """Port 9 (discard) of loopback answers nobody."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ConfigError, match=r"can't be reached.*AWS_ENDPOINT_URL"):
        versions_in(open_store("s3://voices"))


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDenied", "may not do this in s3://voices"),
        ("SignatureDoesNotMatch", "does not accept the keys"),
        ("SlowDown", r"refused \(SlowDown\)"),
    ],
)
def test_a_refusal_is_a_sentence_without_what_the_server_echoed(code, sentence):
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError

    from personae.s3 import s3_errors

    echoed = {"Error": {"Code": code, "Message": f"StringToSign {SECRET}"}}
    with (
        pytest.raises(ConfigError, match=sentence) as refused,
        s3_errors("s3://voices"),
    ):
        raise ClientError(echoed, "PutObject")
    assert SECRET not in str(refused.value)
    with pytest.raises(ConfigError, match=sentence), s3_errors("s3://voices"):
        try:
            raise ClientError(echoed, "PutObject")
        except ClientError as err:
            raise S3UploadFailedError(str(err)) from err


@pytest.mark.parametrize("typed", ["s3://", "s3://UPPER/x", "s3://a", "s3://../x"])
def test_what_is_no_bucket_is_said(typed):
    with pytest.raises(ConfigError, match="names no bucket"):
        open_store(typed)


def test_keys_come_from_the_environment_only(client):
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in repr(vars(open_store("s3://voices")))
