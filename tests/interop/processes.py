"""Child processes on loopback: started, awaited, stopped, and never left behind.

Every server of the suite is a `Process`. The suite stops only what it started, by process id, and asks the
kernel to end a child whose parent dies, so not even a killed test run leaves a server listening.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_given: set[int] = set()
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def wait_until(what: str, probe: Callable[[], T | None], within: float, every: float = 0.05) -> T:
    """Asks `probe` until it answers something true; gives up, with a reason, after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not within {within:g} s: {what}")
        time.sleep(every)


def free_port() -> int:
    """A loopback port nobody listens on nor was given before, from below the kernel's own range.

    A port of the ephemeral range could be lent to some client's outgoing connection while the server that
    owns it is switched off for a test, and then it could not come back.
    """
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(200):
        port = random.randrange(first_ephemeral // 2, first_ephemeral)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.add(port)
            return port
    raise RuntimeError("no free loopback port found in 200 tries")


def _end_with_parent() -> None:
    """Runs in the child before it becomes the server: the parent's death is to be its own."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Process:
    """One server: a command, a directory of its own with its log, and a loopback port."""

    def __init__(self, name: str, directory: Path, port: int) -> None:
        self.name = name
        self.directory = directory
        self.port = port
        self.log = directory / "log"
        self._child: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    @property
    def endpoint(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child.pid

    def command(self) -> Sequence[str]:
        """What to run."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What it needs in its environment beyond a path."""
        return {}

    def start(self, within: float = 180.0) -> None:
        """Starts it and returns once it answers its health check."""
        if self._child is not None:
            raise RuntimeError(f"{self.name} runs already")
        if self._healthy():
            raise RuntimeError(f"something else already answers at {self.endpoint}")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self.command(),
                cwd=self.directory,
                env={**inherited, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        try:
            wait_until(f"{self.name} answers {self.endpoint}/healthcheck", self._healthy, within)
        except BaseException:
            self.stop()
            raise

    def _healthy(self) -> bool:
        if self._child is not None and self._child.poll() is not None:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-25:])
            raise RuntimeError(f"{self.name} ended with {self._child.returncode}; its log:\n{tail}")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def freeze(self) -> None:
        """Halts it and its workers: the port still accepts, and nobody ever answers."""
        os.killpg(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen server go on."""
        os.killpg(self.pid, signal.SIGCONT)

    def stop(self, within: float = 15.0) -> None:
        """Ends it, kindly first; afterwards its port refuses connections. Harmless when it does not run."""
        child, self._child = self._child, None
        if child is None:
            return
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGCONT)
        try:
            child.wait(within)
        except subprocess.TimeoutExpired:
            # Its own session, so the group holds this server and its workers only.
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
