"""The clients people have: two command lines and two libraries, pointed at one endpoint without Keystone."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import glanceclient
import openstack
import openstack.connection


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


class CommandLine:
    """Runs `openstack` and `glance` like a user at a terminal with a home directory of their own.

    Both read image data from their input whenever that is not a terminal, so it is one. The old client keeps
    schemas in the home directory, and those of an earlier run must not speak for this one's server.
    """

    def __init__(self, bin_directory: Path, home: Path, endpoint: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._bin = bin_directory
        self._endpoint = endpoint
        self._home = home
        kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("OS_")}
        self._environment = {**kept, "HOME": str(home), "NO_PROXY": "127.0.0.1", "COLUMNS": "200"}

    def try_openstack(self, *words: str) -> Ran:
        """`openstack …`, however it ends."""
        return self._run("openstack", "--os-auth-type", "none", "--os-endpoint", self._endpoint, *words)

    def openstack(self, *words: str) -> str:
        """What `openstack …` prints, having succeeded."""
        return self._succeeded(self.try_openstack(*words), words)

    def openstack_json(self, *words: str) -> Any:
        """What `openstack … -f json` prints, decoded."""
        return json.loads(self.openstack(*words, "-f", "json"))

    def try_glance(self, *words: str) -> Ran:
        """`glance …`, however it ends. It insists on a token; any will do where nobody asks for one."""
        return self._run("glance", "--os-image-url", self._endpoint, "--os-auth-token", "unused", *words)

    def glance(self, *words: str) -> str:
        """What `glance …` prints, having succeeded."""
        return self._succeeded(self.try_glance(*words), words)

    def glance_table(self, *words: str) -> dict[str, str]:
        """The two-column table that `glance …` prints for one image."""
        rows = [line.split("|") for line in self.glance(*words).splitlines() if line.startswith("|")]
        return {cells[1].strip(): cells[2].strip() for cells in rows if cells[1].strip() not in ("", "Property")}

    def _succeeded(self, ran: Ran, words: tuple[str, ...]) -> str:
        assert ran.code == 0, f"{' '.join(words)}: exit {ran.code}\n{ran.out}{ran.err}"
        return ran.out

    def _run(self, program: str, *words: str) -> Ran:
        terminal, its_end = os.openpty()
        try:
            done = subprocess.run(
                [str(self._bin / program), *words],
                stdin=its_end,
                capture_output=True,
                text=True,
                cwd=self._home,
                env=self._environment,
                timeout=180,
            )
        finally:
            os.close(its_end)
            os.close(terminal)
        return Ran(done.returncode, done.stdout, done.stderr)


def glance_library(endpoint: str) -> Any:
    """python-glanceclient's v2 client."""
    return glanceclient.Client("2", endpoint=endpoint)


def sdk_connection(endpoint: str) -> openstack.connection.Connection:
    """An openstacksdk connection."""
    return openstack.connection.Connection(auth_type="none", auth={"endpoint": endpoint})
