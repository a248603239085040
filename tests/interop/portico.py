"""Portico itself, in front of the stores of one test run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from processes import Process, free_port


class Portico(Process):
    """One front door with a directory store, a memory store and any number of Glances behind it.

    `alone` leaves the directory and the memory away, and gives the Glances a minute: their speed is to be measured.
    `settings` stands in its configuration instead of all that.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        binary: Path,
        glances: Mapping[str, str],
        alone: bool = False,
        settings: str = "",
    ) -> None:
        super().__init__(directory.name if settings else "portico", directory, port)
        self.binary = binary
        self.admin_port = free_port()
        self.alone = alone
        self.configuration = directory / "portico.toml"
        self.configuration.write_text(self._listeners() + (settings or self._toml(glances)))
        check = subprocess.run(
            [str(binary), "check", "--config", str(self.configuration)], capture_output=True, text=True, timeout=30
        )
        if check.returncode != 0:
            raise RuntimeError(f"portico refuses its configuration:\n{check.stdout}{check.stderr}")

    def command(self) -> Sequence[str]:
        return [str(self.binary), "--config", str(self.configuration)]

    def _listeners(self) -> str:
        return f"""listen = "127.0.0.1:{self.port}"
[admin]
listen = "127.0.0.1:{self.admin_port}"
"""

    def _toml(self, glances: Mapping[str, str]) -> str:
        parts = [
            f"""[auth]
kind = "none"
[federation]
partial = "serve"
[placement]
default = "{next(iter(glances)) if self.alone else "local"}"
"""
        ]
        if not self.alone:
            data = self.directory / "data"
            data.mkdir(exist_ok=True)
            # TOML's basic strings are JSON's.
            parts.append(
                f"""[[backend]]
name = "local"
kind = "local"
options = {{ path = {json.dumps(str(data))} }}
[[backend]]
name = "scratch"
kind = "memory"
options = {{}}
"""
            )
        for name, endpoint in glances.items():
            parts.append(
                f"""[[backend]]
name = "{name}"
kind = "http"
deadline = "{"60s" if self.alone else "15s"}"
options = {{ dialect = "glance-v2", endpoint = "{endpoint}", auth = {{ kind = "none" }} }}
"""
            )
        return "".join(parts)

    @property
    def admin(self) -> str:
        """Where it tells its health and its metrics."""
        return f"http://127.0.0.1:{self.admin_port}"

    def memory(self) -> dict[str, int]:
        """Its memory figures in KiB, as the kernel counts them."""
        return memory_of(self.pid)

    def forget_peak(self) -> None:
        """Lets the kernel start its peak figure (VmHWM) anew."""
        forget_peak_of(self.pid)


def toml(value: Any) -> str:
    """A value as an inline TOML table has it. TOML's basic strings are JSON's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def memory_of(pid: int) -> dict[str, int]:
    """VmHWM, VmRSS and RssAnon of a process in KiB."""
    figures: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "VmRSS", "RssAnon"):
            figures[name] = int(value.split()[0])
    return figures


def forget_peak_of(pid: int) -> None:
    """Resets a process's VmHWM to what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
