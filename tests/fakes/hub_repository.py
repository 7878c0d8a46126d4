"""A Hugging Face hub on loopback that takes commits: one owner, repositories made on demand.

Speaks what huggingface_hub 2.4 asks for without xet (checked against its own client): repository info and
creation, tree, preupload, the LFS batch API with upload and verify, commits as ndjson, validate-yaml, and
resolve. As strict as the real one: writing needs the token, a private repository is hidden from strangers,
an LFS file must have been uploaded under its own sha256, a commit on an old parent is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_" + "t" * 34
OWNER = "owner"


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=lambda: ["0" * 40])


class Refused(Exception):
    def __init__(self, status: int, code: str = "") -> None:
        self.status, self.code = status, code


class FakeHubRepository:
    """`with FakeHubRepository() as hub: hub.url`"""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        """LFS objects by sha256; they outlive a commit that never came."""
        self.uploads: list[str] = []
        """sha256 of every object that was sent."""
        self.break_commits = False
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHubRepository:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(
        self, method: str, path: str, body: bytes, token: str
    ) -> tuple[int, bytes, dict[str, str]]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        may_write = token == f"Bearer {TOKEN}"
        if token and not may_write:
            raise Refused(401)
        if method == "POST" and path == "/api/validate-yaml":
            return self._validate(json.loads(body)["content"])
        if parts[0] == "lfs":
            return self._object(method, parts[1], body)
        if method == "POST" and not may_write:
            raise Refused(401)
        if method == "POST" and path == "/api/repos/create":
            return self._create(json.loads(body))
        name = "/".join(parts[2:4] if parts[0] == "api" else parts[:2]).removesuffix(".git")
        repository = self.repositories.get(name)
        if repository is None or (repository.private and not may_write):
            raise Refused(404 if may_write else 401, "RepoNotFound")
        if parts[0] != "api" and parts[2] == "info":
            return self._batch(json.loads(body))
        if parts[0] != "api":
            return self._resolve(repository, "/".join(parts[4:]))
        if len(parts) == 4:
            info = {"id": name, "sha": repository.commits[-1], "private": repository.private}
            return _json(info | {"siblings": [{"rfilename": key} for key in repository.files]})
        if parts[4] == "tree":
            return self._tree(repository, "/".join(parts[6:]))
        if parts[4] == "preupload":
            return self._preupload(json.loads(body))
        if parts[4] == "commit":
            return self._commit(repository, body)
        raise Refused(404)

    def _validate(self, content: str) -> tuple[int, bytes, dict[str, str]]:
        head = content.split("---\n")[1]
        try:
            metadata = yaml.safe_load(head)
        except yaml.YAMLError as err:
            return _json({"errors": [{"message": str(err)}], "warnings": []}, 400)
        assert isinstance(metadata["license"], str)
        return _json({"errors": [], "warnings": []})

    def _create(self, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        name = f"{asked.get('organization')}/{asked['name']}"
        if asked.get("organization") != OWNER:
            raise Refused(403)
        if name in self.repositories:
            return _json({"error": "exists", "url": f"{self.url}/{name}"}, 409)
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        self.repositories[name] = Repository(private)
        return _json({"url": f"{self.url}/{name}"})

    def _tree(self, repository: Repository, below: str) -> tuple[int, bytes, dict[str, str]]:
        entries: list[dict[str, Any]] = []
        for key, data in sorted(repository.files.items()):
            if below and not key.startswith(f"{below}/"):
                continue
            entry = {"type": "file", "path": key, "size": len(data), "oid": _git_id(data)}
            if key in repository.large:
                sha256 = hashlib.sha256(data).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 130}
            entries.append(entry)
        if below and not entries:
            raise Refused(404, "EntryNotFound")
        return _json(entries)

    def _preupload(self, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        return _json(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in asked["files"]
                ]
            }
        )

    def _batch(self, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        assert asked["operation"] == "upload"
        objects = []
        for wanted in asked["objects"]:
            found: dict[str, Any] = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.objects:
                href = f"{self.url}/lfs/{wanted['oid']}"
                found["actions"] = {"upload": {"href": href}, "verify": {"href": href}}
            objects.append(found)
        return _json({"transfer": "basic", "objects": objects})

    def _object(self, method: str, oid: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if method == "PUT":
            if hashlib.sha256(body).hexdigest() != oid:
                raise Refused(400)
            self.objects[oid] = body
            self.uploads.append(oid)
        elif oid not in self.objects:
            raise Refused(404)
        return _json({})

    def _commit(self, repository: Repository, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        if self.break_commits:
            raise Refused(400)
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[0]["key"] == "header"
        with self._lock:
            if lines[0]["value"].get("parentCommit") not in (None, repository.commits[-1]):
                raise Refused(412)
            files: dict[str, bytes] = {}
            large = set()
            for line in lines[1:]:
                value = line["value"]
                if line["key"] == "lfsFile":
                    if value["oid"] not in self.objects:
                        raise Refused(400)
                    files[value["path"]] = self.objects[value["oid"]]
                    large.add(value["path"])
                else:
                    assert line["key"] == "file"
                    files[value["path"]] = base64.b64decode(value["content"])
            repository.files |= files
            repository.large |= large
            commit = hashlib.sha1(body + repository.commits[-1].encode()).hexdigest()
            repository.commits.append(commit)
        return _json({"commitUrl": f"{self.url}/{OWNER}/x/commit/{commit}", "commitOid": commit})

    def _resolve(self, repository: Repository, key: str) -> tuple[int, bytes, dict[str, str]]:
        if key not in repository.files:
            raise Refused(404, "EntryNotFound")
        data = repository.files[key]
        headers = {"ETag": f'"{_git_id(data)}"', "X-Repo-Commit": repository.commits[-1]}
        return 200, data, headers

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def _do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    status, data, headers = hub.answer(
                        self.command,
                        urlsplit(self.path).path,
                        body,
                        self.headers.get("Authorization", ""),
                    )
                except Refused as refused:
                    status, data = refused.status, b'{"error": "refused"}'
                    headers = {"X-Error-Code": refused.code} if refused.code else {}
                begin = 0
                if status == 200 and (wanted := self.headers.get("Range")):
                    begin = int(wanted.removeprefix("bytes=").split("-")[0])
                    status = 206
                    headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data) - begin))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data[begin:])

            do_GET = do_HEAD = do_POST = do_PUT = _do

        return Handler


def _json(value: Any, status: int = 200) -> tuple[int, bytes, dict[str, str]]:
    return status, json.dumps(value).encode(), {}


def _git_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
