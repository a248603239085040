"""Gigabytes pass through, and the memory of Portico stays flat."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from payload import MIB, block, repeated
from portico import Portico
from processes import free_port
from report import tally
from wire import Wire
from world import World

pytestmark = pytest.mark.portico_only("measures the process of Portico")

ALLOWED = 16 * 1024  # KiB
BIG = int(os.environ.get("PORTICO_INTEROP_BIG_MIB", "2048"))
BLOCK = block(7)


@pytest.fixture(scope="module")
def lean(world: World) -> Iterator[Portico]:
    """A Portico of its own: one that has served other tests holds memory it could quietly reuse."""
    assert world.binary is not None
    endpoints = {name: glance.endpoint for name, glance in world.glances.items()}
    front = Portico(world.home / "lean", free_port(), world.binary, endpoints)
    front.start()
    yield front
    front.stop()
    shutil.rmtree(front.directory / "data", ignore_errors=True)


class Meter:
    """Measures by how much a process grows while something goes on."""

    def __init__(self, process: Portico) -> None:
        self._process = process
        self.peak_growth = 0
        self.anonymous_growth = 0
        self.seconds = 0.0

    def __enter__(self) -> Meter:
        self._process.forget_peak()
        self._before = self._process.memory()
        self._most_anonymous = self._before["RssAnon"]
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._begun = time.monotonic()
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self._most_anonymous = max(self._most_anonymous, self._process.memory()["RssAnon"])

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._begun
        self._over.set()
        self._watcher.join()
        self.peak_growth = self._process.memory()["VmHWM"] - self._before["VmRSS"]
        self.anonymous_growth = self._most_anonymous - self._before["RssAnon"]

    def judge(self, what: str, mebibytes: int) -> None:
        """Tells the figures, and fails if the process grew."""
        tally.say(
            f"interop memory: {what}, {mebibytes} MiB in {self.seconds:.0f} s: "
            f"peak +{self.peak_growth / 1024:.1f} MiB, anonymous +{self.anonymous_growth / 1024:.1f} MiB"
        )
        assert self.peak_growth < ALLOWED and self.anonymous_growth < ALLOWED


def upload(wire: Wire, image_id: str, mebibytes: int) -> None:
    """Streams blocks with a stated length."""
    connection = wire.connect()
    connection.timeout = 300
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(mebibytes * MIB)}
    connection.request("PUT", f"/v2/images/{image_id}/file", body=repeated(BLOCK, mebibytes), headers=headers)
    answer = connection.getresponse()
    assert answer.status == 204, answer.read()[:300]
    connection.close()


def download(wire: Wire, image_id: str, mebibytes: int) -> None:
    """Reads it all and compares each block, keeping one."""
    connection = wire.connect()
    connection.timeout = 300
    connection.request("GET", f"/v2/images/{image_id}/file")
    answer = connection.getresponse()
    assert answer.status == 200 and int(answer.headers["Content-Length"]) == mebibytes * MIB
    for number in range(mebibytes):
        assert answer.read(MIB) == BLOCK, f"MiB {number} is not what was sent"
    assert answer.read(1) == b""
    connection.close()


def new_image(wire: Wire, store: str) -> str:
    return wire.create({"name": "big", "disk_format": "raw", "container_format": "bare"}, store)["id"]


@pytest.fixture
def warm(lean: Portico) -> Callable[[str], Wire]:
    """Lets some data pass both ways first, so that what is measured is growth and not the first use."""

    def by(store: str) -> Wire:
        wire = Wire(lean.endpoint)
        image_id = new_image(wire, store)
        upload(wire, image_id, 64)
        download(wire, image_id, 64)
        wire.forget(image_id)
        return wire

    return by


def room_for(world: World, mebibytes: int) -> None:
    free = shutil.disk_usage(world.home).free // MIB
    if free < mebibytes + 1024:
        pytest.skip(f"NOT TRIED: {free} MiB free on disk, {mebibytes + 1024} wanted")


@pytest.mark.parametrize(("store", "mebibytes"), [("local", BIG), ("tokyo", BIG // 2), ("paris", BIG // 4)])
def test_memory_stays_flat(
    world: World, lean: Portico, warm: Callable[[str], Wire], store: str, mebibytes: int
) -> None:
    room_for(world, mebibytes)
    wire = warm(store)
    image_id = new_image(wire, store)
    try:
        with Meter(lean) as up:
            upload(wire, image_id, mebibytes)
        with Meter(lean) as down:
            download(wire, image_id, mebibytes)
    finally:
        wire.forget(image_id)
    up.judge(f"upload to {store}", mebibytes)
    down.judge(f"download from {store}", mebibytes)


@pytest.mark.parametrize("readers", [16])
def test_many_downloads_at_once_stay_within_a_few_buffers_each(
    lean: Portico, warm: Callable[[str], Wire], readers: int, world: World
) -> None:
    wire = warm("local")
    image_id = new_image(wire, "local")
    upload(wire, image_id, 32)
    faults: list[Any] = []

    def read() -> None:
        try:
            download(wire, image_id, 32)
        except BaseException as fault:  # told to the test, which fails by it
            faults.append(fault)

    with Meter(lean) as meter:
        threads = [threading.Thread(target=read) for _ in range(readers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    wire.forget(image_id)
    assert not faults, faults[0]
    tally.say(f"interop memory: {readers} downloads of 32 MiB at once: peak +{meter.peak_growth / 1024:.1f} MiB")
    assert meter.peak_growth < readers * 4 * 1024
