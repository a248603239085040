"""Directories that a real nginx and a real Apache list, in each look that they have for one, read through Portico."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

import walk
from portico import Portico
from processes import Process, free_port, wait_until
from report import tally
from walk import Order
from web_servers import Apache, Nginx, program
from wire import Wire

pytestmark = pytest.mark.portico_only("a Glance reads no directories")

STEM = "a-name-so-long-that-no-look-of-a-directory-shows-all-of-it"
NAMES = (
    "debian-12-generic-amd64.qcow2", "Fedora-Cloud-41.aarch64.img", "with space.img", "plus+sign.raw", "hash#tag.qcow2",
    "größe-ü.qcow2", "100%.vmdk", "amp&lt<q>'quote\".iso", "colon:name.vdi", "question?mark.vhd", f"{STEM}-1.qcow2",
    f"{STEM}-2.qcow2", "12/nested one.qcow2", "12/deep/nested two.img",
)  # fmt: skip
BIG = "big.raw"
OTHERS = ("README.txt", "packed.qcow2.xz", "12/notes.html")
LOOKS = tuple(f"{server.__name__.lower()}-{look}" for server in (Nginx, Apache) for look in server.looks)


class Mirror:
    """A directory of images, the servers that list it, and Portico before them with one backend for each look."""

    def __init__(self, home: Path, binary: Path) -> None:
        self.home = home
        self.files = home / "files"
        self.random = random.Random(5)
        for name in (*NAMES, *OTHERS):
            self.write(name, self.random.randbytes(self.random.randrange(1, 90_000)), age=self.random.randrange(10**3, 10**8))
        self.write(BIG, self.random.randbytes(24 << 20), age=0)
        self.publish()
        nginx = Nginx(home / "nginx", free_port(), self.files)
        apache = Apache(home / "apache", free_port(), self.files)
        self.servers: list[Process] = [nginx, apache]
        settings = '[auth]\nkind = "none"\n'
        for server in (nginx, apache):
            for look in server.looks:
                settings += f"""[[backend]]
name = "{server.name}-{look}"
kind = "http"
deadline = "10s"
options = {{ dialect = "directory", endpoint = "{server.endpoint}/{look}", depth = 2, fresh = "1s" }}
"""
        self.portico = Portico(home / "front", free_port(), binary, {}, settings=settings)
        self.servers.append(self.portico)
        self.front = Wire(self.portico.endpoint)

    def start(self) -> None:
        for server in self.servers:
            server.start()

    def stop(self) -> None:
        for server in reversed(self.servers):
            server.stop()

    def write(self, name: str, data: bytes, age: int) -> None:
        """Puts a file there as one: nobody sees a part of it."""
        path = self.files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(path.name + ".new")
        beside.write_bytes(data)
        changed = beside.stat().st_mtime - age
        os.utime(beside, (changed, changed))
        beside.replace(path)

    def images(self) -> dict[str, bytes]:
        return {name: (self.files / name).read_bytes() for name in (*NAMES, BIG)}

    def publish(self, wrong: str | None = None) -> None:
        """Writes `SHA256SUMS`, and the checksums of one directory below as BSD writes them."""
        lines, below = [], []
        for name, data in self.images().items():
            digest = hashlib.sha256(data if name != wrong else b"something else").hexdigest()
            if name.startswith("12/"):
                below.append(f"SHA256 ({name.removeprefix('12/')}) = {digest}\n")
            else:
                lines.append(f"{digest} *{name}\n")
        self.write("SHA256SUMS", "".join(lines).encode(), age=0)
        self.write("12/CHECKSUM", "".join(["# made by hand\n", *below]).encode(), age=0)

    def listed(self, look: str) -> dict[str, dict[str, Any]]:
        """The images of one look, by their paths."""
        images = walk.by_next(self.front, [("limit", "40")]).images
        return {image["directory_path"]: image for image in images if image["stores"] == look}

    def data(self, image: dict[str, Any]) -> bytes:
        return self.front.get(f"/v2/images/{image['id']}/file").expect(200).body


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    for name in ("nginx", "apache2"):
        if program(name) is None:
            tally.say(f"interop directory: NOT TRIED, there is no {name} on this machine")
            pytest.skip(f"NOT TRIED, there is no {name} on this machine")
    # Apache serves as nobody, who may look in here.
    home = Path(tempfile.mkdtemp(prefix="portico-directory-"))
    home.chmod(0o755)
    built = Mirror(home, Path(os.environ["PORTICO_BIN"]))
    try:
        built.start()
        yield built
    finally:
        built.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=LOOKS)
def look(request: pytest.FixtureRequest) -> str:
    """Each look of each server in turn."""
    return request.param


def test_every_image_of_every_look_is_listed_as_its_file_is(mirror: Mirror, look: str) -> None:
    listed, images = mirror.listed(look), mirror.images()
    assert set(listed) == set(images)
    for path, image in listed.items():
        changed = int((mirror.files / path).stat().st_mtime)
        assert image["name"] == path.rpartition("/")[2]
        assert image["size"] == len(images[path]), path
        assert image["os_hash_value"] == hashlib.sha256(images[path]).hexdigest(), path
        assert image["updated_at"] == image["created_at"] == _as_written(changed), path
    assert listed["debian-12-generic-amd64.qcow2"]["architecture"] == "x86_64"
    formats = {path: image["disk_format"] for path, image in listed.items() if path.startswith(("10", "plus", "with"))}
    assert formats == {"100%.vmdk": "vmdk", "plus+sign.raw": "raw", "with space.img": "qcow2"}


def _as_written(seconds: int) -> str:
    """A time as the Image API writes it."""
    day, month, year, time = formatdate(seconds, usegmt=True).split()[1:5]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{year}-{months.index(month) + 1:02}-{day}T{time}Z"


def test_the_data_of_every_image_comes_whole_and_in_parts(mirror: Mirror, look: str) -> None:
    images = mirror.images()
    for path, image in mirror.listed(look).items():
        assert mirror.data(image) == images[path], path
        last = len(images[path]) - 1
        first = last // 2
        part = mirror.front.get(f"/v2/images/{image['id']}/file", {"Range": f"bytes={first}-{last}"}).expect(206)
        assert part.body == images[path][first:], path


@pytest.mark.parametrize("key", ["name", "size", "created_at", "updated_at", "disk_format", "id"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_lists_are_in_order_by_what_a_page_tells_and_by_what_it_does_not(mirror: Mirror, key: str, direction: str) -> None:
    expected = [image["id"] for look in LOOKS for image in mirror.listed(look).values()]
    assert len(expected) == len(LOOKS) * (len(NAMES) + 1)
    query = [("limit", "7"), ("sort_key", key), ("sort_dir", direction)]
    walk.by_next(mirror.front, query).check(expected, Order(((key, direction),)))
    walk.by_marker(mirror.front, query).check(expected, Order(((key, direction),)))


def test_filters_on_what_only_the_files_tell_find_what_they_name(mirror: Mirror) -> None:
    images = [image for look in LOOKS for image in mirror.listed(look).values()]
    middle = sorted(image["size"] for image in images)[len(images) // 2]
    large = {image["id"] for image in images if image["size"] >= middle}
    assert 0 < len(large) < len(images)
    walk.by_next(mirror.front, [("size_min", str(middle)), ("limit", "7")]).check(large, None)
    moment = sorted(image["updated_at"] for image in images)[len(images) // 2]
    later = {image["id"] for image in images if image["updated_at"] >= moment}
    walk.by_next(mirror.front, [("updated_at", f"gte:{moment}"), ("limit", "7")]).check(later, None)


def test_a_changed_file_is_another_image_in_every_look(mirror: Mirror) -> None:
    name = "with space.img"
    before = {look: mirror.listed(look)[name] for look in LOOKS}
    data = mirror.random.randbytes(before[LOOKS[0]]["size"])
    mirror.write(name, data, age=0)
    mirror.publish()

    def is_seen() -> bool:
        after = {look: mirror.listed(look).get(name) for look in LOOKS}
        return all(image and image["id"] != before[look]["id"] for look, image in after.items())

    wait_until("the changed file is seen in every look", is_seen, within=60, every=0.5)
    for look in LOOKS:
        image = mirror.listed(look)[name]
        assert mirror.data(image) == data
        assert image["updated_at"] == _as_written(int((mirror.files / name).stat().st_mtime))
        mirror.front.get(f"/v2/images/{before[look]['id']}").expect(404)


def test_a_wrong_checksum_breaks_the_download(mirror: Mirror) -> None:
    name = BIG
    good = {look: mirror.listed(look)[name]["id"] for look in LOOKS}
    mirror.publish(wrong=name)
    try:

        def is_seen() -> bool:
            return all(mirror.listed(look).get(name, {}).get("id") not in (None, good[look]) for look in LOOKS)

        wait_until("the wrong checksum is seen in every look", is_seen, within=60, every=0.5)
        for look in LOOKS:
            image = mirror.listed(look)[name]
            with pytest.raises(http.client.IncompleteRead):
                mirror.data(image)
            mirror.front.get(f"/v2/images/{good[look]}").expect(404)
    finally:
        mirror.publish()


def test_a_file_that_goes_is_gone_and_one_that_comes_is_there(mirror: Mirror) -> None:
    name, new = "colon:name.vdi", "12/deep/colon:name.vdi"
    (mirror.files / name).rename(mirror.files / new)
    digest = hashlib.sha256((mirror.files / new).read_bytes()).hexdigest()
    mirror.write("12/deep/SHA256SUMS", f"{digest}  colon:name.vdi\n".encode(), age=0)
    try:

        def is_seen() -> bool:
            return all(new in (paths := mirror.listed(look)) and name not in paths for look in LOOKS)

        wait_until("the file has moved in every look", is_seen, within=60, every=0.5)
    finally:
        (mirror.files / new).rename(mirror.files / name)
        (mirror.files / "12/deep/SHA256SUMS").unlink()


def test_that_is_what_was_tried(mirror: Mirror) -> None:
    count = len(NAMES) + 1
    tally.say(f"interop directory: {count} images in each of {len(LOOKS)} looks, of nginx and Apache: {', '.join(LOOKS)}")
