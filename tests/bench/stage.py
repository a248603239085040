"""The stage: the bytes, and the servers that have them, each started when it is first wanted and stopped at the end."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from glance import WsgiServer
from payload import MIB, Payload
from peers import HAProxy, Nginx, WideGlance
from portico import Portico
from processes import Process, free_port
from wire import Wire

P = TypeVar("P", bound=Process)
SMALL = 4096
# How many images a catalogue has. One of them has data, the others have records of 1 KiB, and one has one of 4 KiB.
IMAGES = 25


class Stage:
    """Where all that is measured stands: a directory of its own, on 127.0.0.1."""

    def __init__(self, home: Path, venv: Path, binary: Path, client: Path, size_mib: int) -> None:
        shutil.rmtree(home, ignore_errors=True)
        self.home = home
        self.venv = venv
        self.binary = binary
        self.client = client
        self.size = size_mib * MIB
        self.upstream_port = free_port()
        self.servers: list[Process] = []

    def close(self) -> None:
        """Stops everything. The data goes, it is large; the logs and the configurations stay."""
        for server in reversed(self.servers):
            server.stop()
        for folder in ("files", *(f"{server.directory.name}/{data}" for server in self.servers for data in DATA)):
            shutil.rmtree(self.home / folder, ignore_errors=True)

    @cached_property
    def payload(self) -> Payload:
        """The file that all of them give out."""
        files = self.home / "files"
        files.mkdir(parents=True)
        (files / "small").write_bytes(b"x" * SMALL)
        return Payload.write(files / "image", self.size)

    @cached_property
    def verifies(self) -> bool:
        """Whether this Portico can be told to verify what it gives out, or not to."""
        try:
            self._portico("probe", _local(self.home / "probe", "verify = true\n"))
        except RuntimeError as refusal:
            if "verify" in str(refusal):
                return False
            raise
        return True

    @cached_property
    def local(self) -> Portico:
        """Portico with a directory, which gives out what it has as it is."""
        return self._started_with_data("portico-local", "verify = false\n" if self.verifies else "")

    @cached_property
    def local_verified(self) -> Portico:
        """Portico with a directory, which holds what it gives out to its hash."""
        return self._started_with_data("portico-local-verified", "verify = true\n")

    @cached_property
    def upstream(self) -> Portico:
        """The image service that the proxies stand before."""
        entry = "verify = false\n" if self.verifies else ""
        return self._started_with_data("portico-upstream", entry, self.upstream_port)

    @cached_property
    def proxy(self) -> Portico:
        """Portico before the upstream, which passes on what comes."""
        return self._before_upstream("portico-proxy", "verify = false\n" if self.verifies else "")

    @cached_property
    def proxy_verified(self) -> Portico:
        """Portico before the upstream, which holds what it passes on to its hash."""
        return self._before_upstream("portico-proxy-verified", "verify = true\n")

    @cached_property
    def nginx(self) -> Nginx:
        """nginx, both with the file and before the upstream, which need not run yet."""
        return self._start(Nginx(self.home / "nginx", free_port(), self.payload.path.parent, self.upstream_port))

    @cached_property
    def haproxy(self) -> HAProxy:
        """HAProxy as it is by default, before the upstream."""
        return self._haproxy("haproxy", splice=False)

    @cached_property
    def haproxy_spliced(self) -> HAProxy:
        """HAProxy that lets the kernel move the bytes, before the upstream."""
        return self._haproxy("haproxy-spliced", splice=True)

    @cached_property
    def glances(self) -> dict[str, Process]:
        """Real Glances with a file store: one server keeps connections, and the other is faster with data."""
        found: dict[str, Process] = {}
        servers: tuple[tuple[str, WsgiServer], ...] = (("Glance, gunicorn", "gunicorn"), ("Glance, uWSGI", "uwsgi"))
        for name, server in servers:
            # Without Python's headers there is no uWSGI.
            if (self.venv / "bin" / server).exists():
                found[name] = self._glance(server)
        return found

    @cached_property
    def image(self) -> str:
        """The id that the image has in the upstream."""
        return self.only_active(self.upstream)

    def only_active(self, server: Process) -> str:
        """The id of the one image that has data."""
        return Wire(server.endpoint).get("/v2/images?status=active").expect(200).json()["images"][0]["id"]

    def load(self, what: str, server: Process, path: str, *words: str) -> dict[str, Any]:
        """Has the client do something with a server, and answers what it found."""
        command = [str(self.client), what, f"127.0.0.1:{server.port}", path, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"{server.name}: {what} {path}: {done.stderr}")
        return json.loads(done.stdout)

    def catalogue(self, server: Process) -> str:
        """Makes images without data, and answers the id of the one whose record has about 4 KiB."""
        wire = Wire(server.endpoint)
        for number in range(IMAGES):
            wire.create({"name": f"image-{number}", "visibility": "public", "note": "x" * 300})
        notes = {f"note_{number}": "x" * 100 for number in range(28)}
        return wire.create({"name": "large", "visibility": "private", **notes})["id"]

    def _started_with_data(self, name: str, entry: str, port: int | None = None) -> Portico:
        portico = self._start(self._portico(name, _local(self.home / name, entry), port))
        image = new_image(Wire(portico.endpoint))
        self.load("put", portico, f"/v2/images/{image}/file", str(self.payload.path))
        return portico

    def _glance(self, server: WsgiServer) -> WideGlance:
        return self._start(
            WideGlance(f"glance-{server}", self.home / f"glance-{server}", free_port(), self.venv, server)
        )

    def _haproxy(self, name: str, splice: bool) -> HAProxy:
        return self._start(HAProxy(name, self.home / name, free_port(), self.upstream_port, splice))

    def _before_upstream(self, name: str, entry: str) -> Portico:
        options = f'{{ dialect = "glance-v2", endpoint = "{self.upstream.endpoint}", auth = {{ kind = "none" }} }}'
        return self._start(self._portico(name, _settings(self.home / name, "http", entry, options)))

    def _portico(self, name: str, settings: str, port: int | None = None) -> Portico:
        return Portico(self.home / name, port or free_port(), self.binary, {}, settings=settings)

    def _start(self, server: P) -> P:
        self.servers.append(server)
        server.start()
        return server


# Where the servers keep data, in their directories.
DATA = ("data", "store-only")


def new_image(wire: Wire) -> str:
    """Makes an image that waits for data, and answers its id."""
    return wire.create({"name": "bench", "disk_format": "raw", "container_format": "bare"})["id"]


def _local(directory: Path, entry: str) -> str:
    return _settings(directory, "local", entry, f"{{ path = {json.dumps(str(directory / 'data'))} }}")


def _settings(directory: Path, kind: str, entry: str, options: str) -> str:
    # As it is by default, but that more downloads are let through than the 32 that one backend gives at once.
    return f"""[auth]
kind = "none"
[state]
directory = {json.dumps(str(directory / "state"))}
[guard]
streams = 128
[[backend]]
name = "{kind}"
kind = "{kind}"
deadline = "10s"
{entry}options = {options}
"""
