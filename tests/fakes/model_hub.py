"""A Hugging Face hub on loopback: one repository, its files by range, and the errors it answers with.

Speaks what huggingface_hub 2.4 asks for (checked against its own client): `/api/models/<id>` and
`/revision/<sha>`, `/<id>/resolve/<sha>/<file>` with ETag and X-Repo-Commit, X-Error-Code on refusals.
"""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

COMMIT = "1" * 40


class FakeHub:
    """`with FakeHub({"config.json": b"{}"}) as hub: hub.url`"""

    def __init__(self, files: dict[str, bytes], *, licence: str | None = "apache-2.0") -> None:
        self.files = files
        self.licence = licence
        self.refuse_with: tuple[int, str] | None = None
        """(HTTP status, X-Error-Code) of every answer."""
        self.withheld: set[str] = set()
        """Files that are answered with 403."""
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeHub:
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

    def _info(self) -> bytes:
        siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
        info = {"id": "owner/name", "sha": COMMIT, "siblings": siblings, "private": False}
        if self.licence:
            info["cardData"] = {"license": self.licence}
        return json.dumps(info).encode()

    def _handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                hub.asked.append(f"{self.command} {self.path}")
                if hub.refuse_with:
                    status, code = hub.refuse_with
                    self._send(status, b'{"error": "refused"}', body, {"X-Error-Code": code})
                elif self.path.startswith("/api/models/owner/name/tree/"):
                    tree = [
                        {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                        for name, data in hub.files.items()
                    ]
                    self._send(200, json.dumps(tree).encode(), body, {})
                elif self.path.startswith("/api/models/owner/name"):
                    self._send(200, hub._info(), body, {})
                else:
                    name = self.path.partition(f"/resolve/{COMMIT}/")[2]
                    if name in hub.withheld:
                        self._send(403, b"", body, {})
                        return
                    data = hub.files[name]
                    headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT}
                    self._send(200, data, body, headers)

            def _send(self, status: int, data: bytes, body: bool, headers: dict[str, str]) -> None:
                begin = 0
                if wanted := self.headers.get("Range"):
                    begin = int(wanted.removeprefix("bytes=").split("-")[0])
                    status = 206
                    headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data) - begin))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if body:
                    self.wfile.write(data[begin:])

        return Handler


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()
