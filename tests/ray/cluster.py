"""A Ray cluster of two nodes and an S3 server, all processes of this machine, for the length of a block.

Ray's own programs start them (`ray start`, `serve deploy`), from the environment that
`requirements/install.py --ray` makes beside the product's. Nothing outlives the block: the processes are
ended one by one, never by name, because another Ray may run here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

RAY = Path(os.environ.get("PERSONAE_RAY_ENVIRONMENT", REPOSITORY / ".venv-ray")) / "bin"
BUCKET = "voices"
_PR_SET_PDEATHSIG = 1


@dataclass
class Cluster:
    """A running cluster; `python` is one that can import ray."""

    url: str
    dashboard: str
    environment: dict[str, str]
    folder: Path
    nodes: list[subprocess.Popen[bytes]]

    def applications(self) -> dict[str, Any]:
        """Ray's report of what it serves."""
        with urllib.request.urlopen(f"{self.dashboard}/api/serve/applications/", timeout=20) as got:
            found = json.load(got)["applications"]
        return dict(found)

    def replicas(self) -> list[dict[str, Any]]:
        """Those of the engine: {"replica_id", "state", "pid", "node_id", …}."""
        deployments = self.applications().get("personae", {}).get("deployments", {})
        for name, deployment in deployments.items():
            if name.startswith("LLMServer:"):
                return list(deployment["replicas"])
        return []

    def running(self) -> list[dict[str, Any]]:
        return [replica for replica in self.replicas() if replica["state"] == "RUNNING"]

    def wait_for_replicas(
        self, number: int, *, without: int | None = None, seconds: float = 240
    ) -> float:
        """Until so many run, none of them with the process id `without`; gives how long that took."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                pids = [replica.get("pid") for replica in self.running()]
                if len(pids) == len(self.replicas()) == number and without not in pids:
                    return time.monotonic() - began
            assert time.monotonic() - began < seconds, self.what_happened()
            with contextlib.suppress(OSError):
                state = self.applications().get("personae", {}).get("status")
                assert state != "DEPLOY_FAILED", self.what_happened()
            for node in self.nodes:
                assert node.poll() is None, self.what_happened()
            time.sleep(0.5)

    def deploy(self, document: str) -> None:
        file = self.folder / "serve.yaml"
        file.write_text(document)
        self._program("serve", "deploy", "--address", self.dashboard, str(file))

    def scale(self, number: int, deployment: str) -> None:
        """As an autoscaler outside would: Ray's REST API."""
        request = urllib.request.Request(
            f"{self.dashboard}/api/v1/applications/personae/deployments/{deployment}/scale",
            data=json.dumps({"target_num_replicas": number}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 200

    def what_happened(self) -> str:
        """The end of what Ray wrote, for a failed assertion."""
        parts = []
        with contextlib.suppress(OSError):
            parts.append(json.dumps(self.applications(), indent=1)[-3000:])
        logs = sorted(self.folder.glob("tmp/session_*/logs/serve/replica_*.log"))
        for log in [*sorted(self.folder.glob("*.log")), *logs]:
            parts.append(f"--- {log.name}\n{log.read_text(errors='replace')[-2000:]}")
        return "\n".join(parts)

    def _program(self, *command: str) -> None:
        done = subprocess.run(
            [str(RAY / command[0]), *command[1:]],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def local_cluster(folder: Path, *, port: int) -> Iterator[Cluster]:
    """Two nodes with room for one engine each (Ray books two cores for it), and an empty bucket.

    Each node's processes keep to their half of the machine's real cores, as if it were a machine. Without
    that vLLM binds every engine's threads to the same core (all it sees but one, which it leaves to others),
    and an engine does not get started beside one that answers.

    Args:
        folder: for logs; its path must be short, because Ray puts sockets below it.
        port: where Ray Serve will listen.
    """
    with contextlib.ExitStack() as stack:
        storage = free_port()
        head, dashboard = free_port(), free_port()
        environment = (
            {
                name: value
                for name, value in os.environ.items()
                if not name.startswith(
                    ("PERSONAE_", "DISCORD_", "SLACK_", "AWS_", "RAY_", "PYTEST_")
                )
            }
            | {
                "PATH": f"{RAY}{os.pathsep}{os.environ['PATH']}",
                "AWS_ENDPOINT_URL": f"http://127.0.0.1:{storage}",
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true",
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_worker_niceness": "0",  # 15, Ray's own, starves engines on a machine with other work
                # Five seconds are little for processes that import vLLM on two cores.
                "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
                "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
                "RAY_ADDRESS": f"127.0.0.1:{head}",
                "HF_HUB_OFFLINE": "1",
            }
        )
        stack.enter_context(
            _process(
                [sys.executable, "-m", "moto.server", "-p", str(storage)],
                environment,
                folder / "s3.log",
            )
        )
        _wait_for_port(storage)
        _make_bucket(environment)
        first = [str(RAY / "ray"), "start", "--head", "--port", str(head)]
        first += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)]
        first += ["--temp-dir", str(folder / "tmp")]
        second = [str(RAY / "ray"), "start", "--address", f"127.0.0.1:{head}"]
        nodes = []
        halves = _halves(sorted(os.sched_getaffinity(0)))
        for number, (command, cores) in enumerate(zip((first, second), halves, strict=True)):
            command += ["--node-ip-address", "127.0.0.1", "--num-cpus", "2", "--block"]
            command += ["--object-store-memory", str(100 << 20), "--disable-usage-stats"]
            command += ["--dashboard-agent-listen-port", str(free_port())]
            log = folder / f"node{number + 1}.log"
            node = _process(command, environment, log, cores=cores)
            nodes.append(stack.enter_context(node))
            if number == 0:
                _wait_for_port(head)
                _wait_for_port(dashboard)
        yield Cluster(
            url=f"http://127.0.0.1:{port}",
            dashboard=f"http://127.0.0.1:{dashboard}",
            environment=environment,
            folder=folder,
            nodes=nodes,
        )


def _halves(cores: list[int]) -> tuple[list[int], list[int]]:
    """A machine's cores for two nodes; of one core both have it."""
    half = max(1, len(cores) // 2)
    return cores[:half], cores[half:] or cores


def _make_bucket(environment: dict[str, str]) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()


@contextlib.contextmanager
def _process(
    command: list[str],
    environment: dict[str, str],
    log: Path,
    *,
    cores: list[int] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own, which ends with the block, and all of the group with it.

    `cores`: those that it and what it starts may use.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # it goes when this process goes, however that went
            command,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(_in_child, cores),
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _in_child(cores: list[int] | None) -> None:
    """Runs in the child, which keeps to its cores, and which Linux tells to end when we are gone."""
    if cores is not None:
        os.sched_setaffinity(0, cores)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for_port(port: int, *, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens on port {port}")
