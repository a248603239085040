"""What walking a real Glance costs through Portico, against walking it directly.

A Glance of its own is filled straight into its database, and both ways are walked by `next`, one after the other
and several times over in one run, so that what else the machine does meets both. The figures are ratios, printed
after the run; nothing here asserts a time. Beside the time on the clock stands that of the processors, of Glance
and of Portico, which other work on a busy machine changes least. The short form, which every run includes, shows
that the measure works. The long form is the one to quote:

    PORTICO_INTEROP_WALK=10000 tests/interop/run test_walk_speed.py
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import walk
from glance import Glance
from portico import Portico
from processes import Process, free_port
from report import tally
from walk import NEWEST_FIRST
from wire import Wire
from world import World

pytestmark = pytest.mark.portico_only("compares Portico with the Glance behind it")

IMAGES = int(os.environ.get("PORTICO_INTEROP_WALK", "300"))
ROUNDS = int(os.environ.get("PORTICO_INTEROP_WALK_ROUNDS", "7" if IMAGES >= 1000 else "2"))
# A tenth of the images at a time, as ten thousand would come at Glance's largest page.
LIMIT = min(1000, max(1, IMAGES // 10))
PROPERTIES = 8


def _sow(database: Path) -> set[str]:
    """Images with properties, straight into a Glance's database: ten thousand requests would take minutes.

    Names have capitals here and there, as names have. Most stand alone in their second; every tenth stretch of forty
    shares one, as images do that a script made.
    Microseconds, which no answer shows, run against the order of the ids as often as with it.
    """
    ids = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))) for number in range(IMAGES)]
    second = datetime(2024, 1, 1)
    with sqlite3.connect(database) as connection:
        for number, image_id in enumerate(ids):
            crowded = number // 40 % 10 == 9
            if not crowded or number % 40 == 0:
                second += timedelta(seconds=7)
            made = (second + timedelta(microseconds=number % 40 * 20_000)).isoformat(sep=" ", timespec="microseconds")
            connection.execute(
                "INSERT INTO images (id, name, size, status, visibility, disk_format, container_format, checksum,"
                " os_hash_algo, os_hash_value, min_disk, min_ram, owner, protected, os_hidden, created_at, updated_at,"
                " deleted) VALUES (?, ?, 1000000, 'active', 'public', 'qcow2', 'bare', ?, 'sha512', ?, 1, 512, ?, 0,"
                " 0, ?, ?, 0)",
                (image_id, f"{'Image' if number % 9 == 4 else 'image'} {number:05d}", uuid.uuid4().hex, uuid.uuid4().hex * 4, "owner", made, made),
            )
            connection.executemany(
                "INSERT INTO image_properties (image_id, name, value, created_at, updated_at, deleted)"
                " VALUES (?, ?, ?, ?, ?, 0)",
                [(image_id, f"property_{n}", f"value {n} of {number}", made, made) for n in range(PROPERTIES)],
            )
    return set(ids)


@pytest.fixture(scope="module")
def servers(world: World) -> Iterator[tuple[Glance, Portico, set[str]]]:
    """One Glance full of images, and a Portico before it alone."""
    home = world.home / "walk"
    glance = Glance("walked", home / "glance", free_port(), world.glance_venv, "gunicorn")
    ids = _sow(glance.directory / "glance.db")
    assert world.binary is not None
    portico = Portico(home / "portico", free_port(), world.binary, {"walked": glance.endpoint}, alone=True)
    started: list[Process] = []
    try:
        for server in (glance, portico):
            server.start()
            started.append(server)
        yield glance, portico, ids
    finally:
        for server in reversed(started):
            server.stop()


def _processor_time(server: Process) -> float:
    """Seconds of processor that a server and its workers have used so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended meanwhile, and so is none of ours.
        # Behind the name: state, parent, process group, ... user and system time. A server's group has its number.
        if int(fields[2]) == server.pid:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("query", ["", "sort=name:asc"], ids=["newest first", "by name"])
def test_a_walk_through_portico_costs_about_what_a_direct_one_does(
    servers: tuple[Glance, Portico, set[str]], query: str
) -> None:
    glance, portico, ids = servers
    asked = [tuple(part.split("=")) for part in query.split("&") if part]
    order = walk.Order((("name", "asc"),)) if query else NEWEST_FIRST
    times: dict[str, list[float]] = {"direct": [], "portico": []}
    work: dict[str, list[tuple[float, float]]] = {"direct": [], "portico": []}
    pages: dict[str, int] = {}
    for round_ in range(-1, ROUNDS):
        # Whoever goes first meets other caches than whoever goes second, so they take turns.
        turns = [("direct", Wire(glance.endpoint), ("created_at",)), ("portico", Wire(portico.endpoint), ("created_at", "id"))]
        for name, wire, tie_keys in turns if round_ % 2 else reversed(turns):
            before = [_processor_time(server) for server in (glance, portico)]
            start = time.perf_counter()
            walked = walk.by_next(wire, [*asked, ("limit", str(LIMIT))])
            took = time.perf_counter() - start
            worked = [_processor_time(server) - then for server, then in zip((glance, portico), before, strict=True)]
            walked.check(ids, order, tie_keys)
            pages[name] = walked.pages
            # The first round warms connections and caches up.
            if round_ >= 0:
                times[name].append(took)
                work[name].append((worked[0], worked[1]))
    what = f"{IMAGES} images, {PROPERTIES} properties each, limit {LIMIT}, {query or 'newest first'}, {ROUNDS} rounds"
    tally.say(f"interop walk speed: {what}")
    for name, taken in times.items():
        used = [statistics.median(part) for part in zip(*work[name], strict=True)]
        tally.say(
            f"    {name:8} {pages[name]:3} pages  median {statistics.median(taken):7.3f} s"
            f" ({min(taken):.3f} to {max(taken):.3f})  processor: Glance {used[0]:.2f} s, Portico {used[1]:.2f} s"
        )
    by_clock = [through / direct for through, direct in zip(times["portico"], times["direct"], strict=True)]
    spent = {name: statistics.median(sum(parts) for parts in work[name]) for name in work}
    tally.say(
        f"    ratio    median {statistics.median(by_clock):.3f} by the clock ({min(by_clock):.3f} to"
        f" {max(by_clock):.3f}), {spent['portico'] / max(spent['direct'], 0.01):.3f} by processor time"
    )
