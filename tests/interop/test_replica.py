"""What a real Glance has is copied into a directory, and from there into another real Glance, killed on the way."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from glance import Glance
from portico import toml
from processes import free_port
from report import tally
from wire import Wire
from world import World

pytestmark = pytest.mark.portico_only("it is about the program's own commands")

COUNT = int(os.environ.get("PORTICO_INTEROP_COPIES", "200"))
SEED = 20
# What a directory may tell after a kill: uploads that were under way were put right, and nothing else is wrong.
PUT_RIGHT = re.compile(
    r"\S+ +WARN portico_local::recovery: the store was not closed in order, or has been changed by others"
    r" incoming=\d+ saving=\d+ orphans=\d+ damaged=0 strangers=0\n"
)


def _id(number: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"replica {number}"))


def _data(number: int) -> bytes:
    """Data of its own for each image; some have a few hundred KiB, and one has none at all."""
    size = 300_000 if number % 50 == 7 else number % 97
    return random.Random(number).randbytes(size)


def _attributes(number: int) -> dict[str, Any]:
    image: dict[str, Any] = {
        "id": _id(number),
        "name": f"replica {number % 400}",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": ("public", "private", "shared", "community")[number % 4],
        "owner": f"project{number % 3}",
        "min_ram": number % 5,
        "protected": number % 10 == 3,
        "tags": [f"tag{tag}" for tag in range(number % 3)],
        "family": "mint" if number % 2 else "vanilla",
    }
    if number % 20 == 19:
        image["os_hidden"] = True
    return image


def _sow(wire: Wire, number: int) -> None:
    image = wire.create(_attributes(number))
    wire.upload(image["id"], _data(number)).expect(204)
    if image["visibility"] == "shared" and number % 8 == 2:
        wire.request("POST", f"/v2/images/{image['id']}/members", json_body={"member": "neighbour"}).expect(200)


class Copier:
    """The program over two Glances and a directory."""

    def __init__(self, binary: Path, home: Path, glances: dict[str, Glance]) -> None:
        self.binary = binary
        self.home = home
        # What is only read is not made.
        (home / "disk").mkdir(parents=True, exist_ok=True)
        backends = {"disk": ("local", {"path": str(home / "disk")})}
        for name, glance in glances.items():
            options = {"dialect": "glance-v2", "endpoint": glance.endpoint, "auth": {"kind": "none"}}
            backends[name] = ("http", options)
        self.configuration = home / "portico.toml"
        self.configuration.write_text(
            "".join(
                f'[[backend]]\nname = "{name}"\nkind = "{kind}"\noptions = {toml(options)}\n'
                for name, (kind, options) in backends.items()
            )
        )

    def begin(self, *words: str) -> subprocess.Popen[str]:
        command = [str(self.binary), *words, "--config", str(self.configuration)]
        return subprocess.Popen(command, cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str) -> tuple[int, str, str]:
        child = self.begin(*words)
        output, errors = child.communicate(timeout=600)
        return child.returncode, output, errors

    def kill_after(self, lines: int, *words: str) -> None:
        """Kills it when so many images have been told of."""
        child = self.begin(*words)
        assert child.stdout is not None
        for _ in range(lines):
            line = child.stdout.readline()
            assert line.startswith(("copied ", "resumed ")), line + child.stderr.read()  # type: ignore[union-attr]
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)

    def differences(self, a: str, b: str, *which: str) -> tuple[int, dict[str, Any]]:
        code, output, errors = self.run("compare", a, b, "--both", "--format", "json", *which)
        assert code in (0, 1), errors
        return code, json.loads(output)


@pytest.fixture(scope="module")
def glances(world: World) -> Iterator[dict[str, Glance]]:
    """Two Glances of this test's own: one full of images, and one empty."""
    made = {
        name: Glance(name, world.home / name, free_port(), world.glance_venv, "gunicorn")
        for name in ("source", "target")
    }
    try:
        for glance in made.values():
            glance.start()
        wire = Wire(made["source"].endpoint)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: _sow(wire, number), range(COUNT)))
        yield made
    finally:
        for glance in made.values():
            glance.stop()


def _members(endpoint: str) -> list[str]:
    wire = Wire(endpoint)
    numbers = (number for number in range(COUNT) if number % 8 == 2)
    told = (wire.get(f"/v2/images/{_id(number)}/members").expect(200).json()["members"] for number in numbers)
    return [",".join(f"{member['member_id']}:{member['status']}" for member in members) for members in told]


def test_all_images_arrive_complete_and_equal_though_it_is_killed_twice_each_way(
    world: World, glances: dict[str, Glance]
) -> None:
    assert world.binary is not None
    copier = Copier(world.binary, world.home / "copier", glances)
    chance = random.Random(SEED)
    for a, b in (("source", "disk"), ("disk", "target")):
        began = time.monotonic()
        assert copier.run("compare", a, b)[0] == 1
        code, output, errors = copier.run("copy", a, b, "--dry-run")
        assert (code, errors) == (1, "") and output.count("would be copied ") == COUNT + 1
        for _ in range(2):
            copier.kill_after(chance.randrange(COUNT // 20, COUNT // 3), "copy", a, b, "--jobs", "4")
        code, output, errors = copier.run("copy", a, b, "--jobs", "4")
        assert code == 0 and (errors == "" or PUT_RIGHT.fullmatch(errors)), output[-2000:] + errors
        code, told = copier.differences(a, b)
        assert (code, told["verdict"], told["differences"]) == (0, "equal", []), told["counts"]
        assert told["counts"]["in_both"] == told["counts"]["images_in_b"] == COUNT
        tally.say(f"interop copy: {COUNT} images {a} -> {b} in {time.monotonic() - began:.1f} s, killed twice")
    # What the second Glance gives out, by its own word and byte for byte.
    source, target = (Wire(glances[name].endpoint) for name in ("source", "target"))
    for number in range(0, COUNT, 37):
        image, there = source.show(_id(number)), target.show(_id(number))
        for key in ("created_at", "updated_at"):
            image.pop(key), there.pop(key)
        # Tags are a set, and a Glance tells them in whatever order its database does.
        for told in (image, there):
            told["tags"].sort()
        assert image == there
        assert target.get(f"/v2/images/{_id(number)}/file").body == _data(number)
    assert _members(glances["target"].endpoint) == _members(glances["source"].endpoint)


def test_an_id_that_glance_has_deleted_is_told_and_other_data_is_left_alone(
    world: World, glances: dict[str, Glance]
) -> None:
    assert world.binary is not None
    copier = Copier(world.binary, world.home / "copier", glances)
    source, target = (Wire(glances[name].endpoint) for name in ("source", "target"))
    gone, other = str(uuid.uuid4()), str(uuid.uuid4())
    for wire, data in ((source, b"ours"), (target, b"theirs")):
        for image in (gone, other):
            wire.create({"id": image, "name": "at odds", "disk_format": "raw", "container_format": "bare"})
            wire.upload(image, data).expect(204)
    target.forget(gone)
    which = ("--name", "at odds")
    code, output, errors = copier.run("copy", "source", "target", *which)
    assert (code, errors) == (1, ""), errors
    assert f"failed {gone}" in output and "deleted there" in output
    assert f"not copied {other}" in output and "other data there" in output
    assert target.get(f"/v2/images/{other}/file").body == b"theirs"
    code, told = copier.differences("source", "target", *which)
    assert code == 1 and sorted(one["kind"] for one in told["differences"]) == ["content", "missing"]
