"""What is measured: files, files of somebody else, uploads, and small requests; each of Portico and of its peers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gauges
from processes import Process
from rounds import GIB, Row, Sample, alternate
from stage import SMALL, Stage, new_image
from wire import Wire

Measure = Callable[[], Sample]
# A name, who it is, and where the file is.
Server = tuple[str, Process, str]
VERIFIED = "Portico, verified"
HASHING = "SHA-512, one core"
CONNECTIONS = 8
# How many streams it takes until a client that copies has nothing left for the servers.
FEW = 8


@dataclass(frozen=True)
class Plan:
    """How much is measured: for how long each time, how often, and with how many streams."""

    time: float
    rounds: int
    streams: tuple[int, ...]


def say(text: str) -> None:
    """Tells how far it is."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


class Items:
    """The items, by the names that `--only` knows them by."""

    def __init__(self, stage: Stage, plan: Plan) -> None:
        self.stage = stage
        self.plan = plan

    def static(self) -> list[Row]:
        """A file of the server's own, from the page cache, to a client that has the kernel discard it."""
        return self._downloads("static", self._with_file(), self.plan.streams)

    def copied(self) -> list[Row]:
        """The same to a client that takes the bytes, and so leaves less of the machine to the servers."""
        few = tuple(streams for streams in self.plan.streams if streams <= FEW)
        return self._downloads("copied", self._with_file(), few, "--copy")

    def proxied(self) -> list[Row]:
        """A file of an upstream. What the upstream gives without anybody before it is the most there can be."""
        stage, path = self.stage, data_of(self.stage.image)
        servers: list[Server] = [
            ("nginx", stage.nginx, path),
            ("nginx, large buffers", stage.nginx, f"/large{path}"),
            ("HAProxy", stage.haproxy, path),
            ("HAProxy, spliced", stage.haproxy_spliced, path),
            ("Portico", stage.proxy, path),
            ("the upstream itself", stage.upstream, path),
        ]
        if stage.verifies:
            servers.insert(5, (VERIFIED, stage.proxy_verified, path))
        return self._downloads("proxied", servers, self.plan.streams)

    def upload(self) -> list[Row]:
        """A file on its way in, against what the disk and the hash allow, and against a Glance."""
        stage = self.stage
        portico = stage.local
        rows: list[tuple[str, Measure]] = [
            ("disk, written and synced", partial(self._disk, portico.directory)),
            (HASHING, self._hashing),
            ("Portico", partial(self._put, portico)),
            *((name, partial(self._put, glance)) for name, glance in stage.glances.items()),
        ]
        return self._turns("upload", 1, rows, min(self.plan.rounds, 3))

    def requests(self) -> list[Row]:
        """Answers of about 4 KiB on kept connections."""
        stage = self.stage
        found: list[Row] = []
        servers: dict[str, Process] = {"Portico": stage.local, **stage.glances}
        large = {name: stage.catalogue(server) for name, server in servers.items()}
        for what in ("show", "list"):
            rows: list[tuple[str, Measure]] = [
                ("nginx, a file", partial(self._get, stage.nginx, "/files/small", CONNECTIONS, SMALL))
            ]
            for name, server in servers.items():
                path = f"/v2/images/{large[name]}" if what == "show" else "/v2/images?limit=4&visibility=public"
                length = len(Wire(server.endpoint).get(path).expect(200).body)
                say(f"{what} of {name}: {length} bytes")
                rows.append((name, partial(self._get, server, path, CONNECTIONS)))
            found += self._turns(what, CONNECTIONS, rows, self.plan.rounds)
        return found

    def _with_file(self) -> list[Server]:
        stage = self.stage
        servers: list[Server] = [
            ("nginx", stage.nginx, "/files/image"),
            ("nginx, tuned", stage.nginx, "/tuned/image"),
            ("nginx, without sendfile", stage.nginx, "/read/image"),
            ("Portico", stage.local, data_of(stage.only_active(stage.local))),
        ]
        if stage.verifies:
            verified = stage.local_verified
            servers.append((VERIFIED, verified, data_of(stage.only_active(verified))))
        return servers

    def _downloads(self, item: str, servers: list[Server], many: tuple[int, ...], *words: str) -> list[Row]:
        for name, server, path in servers:
            self._hold_to_hash(name, server, path)
        found: list[Row] = []
        for streams in many:
            rows: list[tuple[str, Measure]] = [
                (name, partial(self._get, server, path, streams, self.stage.size, *words))
                for name, server, path in servers
            ]
            if any(name == VERIFIED for name, _ in rows) and streams == 1:
                rows.append((HASHING, self._hashing))
            found += self._turns(item, streams, rows, self.plan.rounds)
        return found

    def _turns(self, item: str, streams: int, rows: list[tuple[str, Measure]], rounds: int) -> list[Row]:
        say(f"{item}, {streams} at once: {', '.join(name for name, _ in rows)}")
        found = [Row(item, streams, name) for name, _ in rows]
        alternate(found, [measure for _, measure in rows], rounds)
        for row in found:
            say(f"  {row.server}: {[round(s.rate if item in ('show', 'list') else s.gib, 2) for s in row.samples]}")
        return found

    def _hold_to_hash(self, name: str, server: Process, path: str) -> None:
        """Takes the data once, outside of all timing, and lets nobody go on who gives other bytes than the others."""
        found = self.stage.load("digest", server, path)
        if (found["status"], found["sha512"]) != (200, self.stage.payload.sha512):
            raise RuntimeError(f"{name} gives other bytes than it was given: {found}")

    def _get(self, server: Process, path: str, streams: int, length: int | None = None, *more: str) -> Sample:
        words = [*more, "--streams", str(streams), "--time", str(int(self.plan.time * 1000))]
        if length is not None:
            words += ["--length", str(length)]
        return self._measured(server, "get", path, *words)

    def _put(self, server: Process) -> Sample:
        """Gives a new image its data, and deletes it. What others wrote before is safe on the disk by then."""
        wire = Wire(server.endpoint)
        image = new_image(wire)
        os.sync()
        path = f"/v2/images/{image}/file"
        sample = self._measured(server, "put", path, str(self.stage.payload.path))
        found = wire.show(image)
        if (found["status"], found["os_hash_value"]) != ("active", self.stage.payload.sha512):
            raise RuntimeError(f"{server.name} has other bytes than it was given: {found}")
        wire.forget(image)
        return sample

    def _disk(self, directory: Path) -> Sample:
        size = self.stage.size
        os.sync()
        return Sample(size / GIB / gauges.disk_gib(self.stage.payload.path, directory), size)

    def _hashing(self) -> Sample:
        return Sample(1 / gauges.sha512_gib(), GIB)

    def _measured(self, server: Process, what: str, *words: str) -> Sample:
        pids = gauges.family(server.pid)
        gauges.forget_peak(pids)
        before = gauges.processor_seconds(pids)
        found = self.stage.load(what, server, *words)
        cpu = gauges.processor_seconds(pids) - before
        return Sample(found["seconds"], found["bytes"], found["answers"], cpu, gauges.peak_mib(pids))


def data_of(image: str) -> str:
    """Where the data of an image is."""
    return f"/v2/images/{image}/file"
