"""Files that services under test fetch by HTTP, on loopback."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import Process


class Files(Process):
    """One server of files that never change; `contents` are their bytes by name."""

    def __init__(self, directory: Path, port: int, contents: Mapping[str, bytes]) -> None:
        super().__init__("files", directory, port)
        self._shown = directory / "shown"
        self._shown.mkdir(exist_ok=True)
        # The last is what every server of the suite is asked for when it starts.
        for name, data in {**contents, "healthcheck": b"OK\n"}.items():
            (self._shown / name).write_bytes(data)

    def command(self) -> Sequence[str]:
        where = ["--bind", "127.0.0.1", "--directory", str(self._shown)]
        return [sys.executable, "-u", "-m", "http.server", str(self.port), *where]

    def url(self, name: str) -> str:
        """Where one file is."""
        return f"{self.endpoint}/{name}"
