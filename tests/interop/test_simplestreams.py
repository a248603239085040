"""A mirror made by the real tools of simplestreams, behind Portico: what it lists, what it gives, what it refuses.

`simplestreams` itself writes and signs a tree, `sstream-mirror` copies it to a mirror and brings that up to date, and
`sstream-query` says what is in it. A plain server of files shows both.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from portico import Portico, toml
from processes import Process, free_port, wait_until
from report import tally
from wire import Reply, Wire

pytestmark = pytest.mark.portico_only("the catalogue is this project's backend")

HERE = Path(__file__).resolve().parent
STREAM = "com.example:released:download"
INDEX = "streams/v1/index.sjson"
PRODUCTS = f"streams/v1/{STREAM}.sjson"
PRODUCT = "com.example:server:24.04:amd64"
# How long Portico believes what it has read, in seconds, and how long it may then take to show what is new.
FRESH = 1
SEEN = 15


class Site(Process):
    """A directory behind HTTP, whose log tells each request."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__("site", directory, port)
        self.shown = directory / "shown"
        self.shown.mkdir(exist_ok=True)
        (self.shown / "healthcheck").write_text("OK\n")

    def command(self) -> Sequence[str]:
        where = ["--bind", "127.0.0.1", "--directory", str(self.shown)]
        return [sys.executable, "-u", "-m", "http.server", str(self.port), *where]

    def fetched(self, path: str) -> int:
        """How often a file was given out whole."""
        return sum(f'"GET /{path} ' in line and '" 200 ' in line for line in self.log.read_text().splitlines())


class Streams:
    """The tools, a key, and a place for trees."""

    def __init__(self, home: Path, venv: Path) -> None:
        self.venv = venv
        self.home = home
        self.site = Site(home / "site", free_port())
        self.keyring = home / "keyring.gpg"
        self._gnupg = home / "gnupg"
        self._gnupg.mkdir(mode=0o700)
        name = "Case <case@example.org>"
        self._gpg("--batch", "--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "1d")
        self._gpg("--batch", "--output", str(self.keyring), "--export", name)

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "GNUPGHOME": str(self._gnupg)}

    def _gpg(self, *arguments: str) -> None:
        subprocess.run(("gpg", *arguments), env=self._environment(), check=True, capture_output=True, timeout=60)

    def end(self) -> None:
        """Ends what was started, the agent that keeps the key too."""
        self.site.stop()
        command = ("gpgconf", "--kill", "gpg-agent")
        subprocess.run(command, env=self._environment(), check=True, capture_output=True, timeout=30)

    def _tool(self, *command: str, given: str | None = None) -> str:
        ran = subprocess.run(
            command, env=self._environment(), input=given, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0, f"{command[1]}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
        return ran.stdout

    def publish(self, tree: str, items: Sequence[Mapping[str, Any]]) -> None:
        """Makes a tree of these items, or makes it anew."""
        shutil.rmtree(self.tree(tree), ignore_errors=True)
        asked = {"directory": str(self.tree(tree)), "items": items, "updated": "Tue, 19 Mar 2024 09:48:38 +0000"}
        self._tool(f"{self.venv}/bin/python", str(HERE / "publish_streams.py"), given=json.dumps(asked))

    def mirror(self, source: str, target: str) -> None:
        """Brings a mirror up to date, and takes from it what the source has no more."""
        tool = f"{self.venv}/bin/sstream-mirror"
        self._tool(tool, f"--keyring={self.keyring}", f"{self.url(source)}/{INDEX}", str(self.tree(target)))

    def query(self, tree: str) -> list[dict[str, Any]]:
        """All items of a tree, as the tool lists them."""
        tool = f"{self.venv}/bin/sstream-query"
        return json.loads(self._tool(tool, "--json", f"--keyring={self.keyring}", f"{self.url(tree)}/{INDEX}"))

    def tree(self, name: str) -> Path:
        """Where a tree is on disk."""
        return self.site.shown / name

    def url(self, name: str) -> str:
        """Where it is shown."""
        return f"{self.site.endpoint}/{name}"


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streams]:
    """The tools, ready."""
    for program in ("gpg", "gpgv", "gpgconf"):
        if shutil.which(program) is None:
            tally.say(f"interop simplestreams: NOT TRIED, there is no {program}")
            pytest.skip(f"NOT TRIED, there is no {program}")
    # The sockets of GnuPG's agent have to fit into a hundred bytes.
    home = tmp_path_factory.mktemp("ss")
    made = Streams(home, Path(os.environ["PORTICO_INTEROP_DIR"]) / "simplestreams-venv")
    try:
        made.site.start()
        yield made
    finally:
        made.end()


def front(streams: Streams, name: str, tree: str) -> Portico:
    """A Portico with one tree behind it."""
    options = {
        "dialect": "simplestreams", "endpoint": streams.url(tree), "keyring": str(streams.keyring), "fresh": f"{FRESH}s",
    }  # fmt: skip
    settings = f"""[auth]
kind = "none"
[[backend]]
name = "mirror"
kind = "http"
options = {toml(options)}
"""
    binary = Path(os.environ["PORTICO_BIN"])
    return Portico(streams.home / name, free_port(), binary, {}, settings=settings)


def item(version: str, **more: Any) -> dict[str, Any]:
    """One disk image of the product, and what is said of it."""
    return {
        "content_id": STREAM, "product_name": PRODUCT, "version_name": version, "item_name": "disk1.img",
        "ftype": "disk1.img", "path": f"server/{version}/disk.img", "data": f"the disk of {version}",
        "os": "example", "version": "24.04", "arch": "amd64", "pubname": f"example-24.04-{version}", **more,
    }  # fmt: skip


def tarball(version: str) -> dict[str, Any]:
    """Beside it, what is no disk image."""
    return item(version, item_name="root", ftype="root.tar.xz", path=f"server/{version}/root.tar.xz", data="no disk")


def listed(wire: Wire) -> dict[str, dict[str, Any]]:
    """All images by their names."""
    images: list[dict[str, Any]] = []
    path = "/v2/images?limit=200"
    for _ in range(20):
        page = wire.get(path).expect(200).json()
        images += page["images"]
        if "next" not in page:
            break
        path = page["next"]
    by_name = {image["name"]: image for image in images}
    assert len(by_name) == len(images)
    return by_name


def check_like_the_tool(streams: Streams, tree: str, wire: Wire) -> int:
    """Whether the disk images of a tree are listed as the tool lists them."""
    disks = [found for found in streams.query(tree) if found["ftype"] == "disk1.img"]
    expected = {found["pubname"]: (int(found["size"]), found["sha256"], found["md5"]) for found in disks}
    images = listed(wire)
    told = {name: (image["size"], image["os_hash_value"], image["checksum"]) for name, image in images.items()}
    assert told == expected
    assert all(image["os_hash_algo"] == "sha256" and image["status"] == "active" for image in images.values())
    return len(told)


def download(wire: Wire, image: Mapping[str, Any]) -> Reply:
    """The data of an image, whole."""
    return wire.get(f"/v2/images/{image['id']}/file").expect(200)


def test_a_mirror_is_listed_and_read_as_the_tools_have_it_and_followed_when_it_changes(streams: Streams) -> None:
    first = ["20240423", "20240424", "20240425"]
    streams.publish("source", [make(version) for version in first for make in (item, tarball)])
    streams.mirror("source", "mirror")
    portico = front(streams, "followed", "mirror")
    portico.start()
    wire = Wire(portico.endpoint)
    try:
        assert check_like_the_tool(streams, "mirror", wire) == 3
        images = listed(wire)
        for image in images.values():
            data = download(wire, image).body
            assert hashlib.sha256(data).hexdigest() == image["os_hash_value"]

        second = ["20240424", "20240425", "20240426"]
        streams.publish("source", [make(version) for version in second for make in (item, tarball)])
        streams.mirror("source", "mirror")
        names = {f"example-24.04-{version}" for version in second}
        wait_until("the mirror's new version is shown", lambda: listed(wire).keys() == names, within=SEEN)
        assert check_like_the_tool(streams, "mirror", wire) == 3
        now = listed(wire)
        assert all(now[name]["id"] == images[name]["id"] for name in names & images.keys())
        gone = images["example-24.04-20240423"]
        wire.get(f"/v2/images/{gone['id']}").expect(404)
        wire.get(f"/v2/images/{gone['id']}/file").expect(404)
        assert download(wire, now["example-24.04-20240426"]).body == b"the disk of 20240426"
    finally:
        portico.stop()


def flip(file: Path, behind: bytes) -> None:
    """Changes one letter of a file, right behind the first place where this stands."""
    data = bytearray(file.read_bytes())
    data[data.index(behind) + len(behind)] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("document", "behind"),
    [(INDEX, b'"path": "'), (PRODUCTS, b'"pubname": "example-24.04-2024042')],
    ids=["the index", "the products"],
)
def test_a_byte_that_was_changed_in_a_document_is_refused(
    streams: Streams, tmp_path: Path, document: str, behind: bytes
) -> None:
    tree = tmp_path.name
    streams.publish(tree, [item(version) for version in ("20240423", "20240424")])
    running = front(streams, f"{tree}-running", tree)
    running.start()
    try:
        wire = Wire(running.endpoint)
        before = listed(wire)
        assert len(before) == 2
        flip(streams.tree(tree) / document, behind)

        def is_refused() -> bool:
            # What was good goes on, and nothing of what came is in it.
            assert listed(wire) == before
            return "a document is not signed by a key of the keyring" in running.log.read_text()

        wait_until("the change is refused", is_refused, within=SEEN)
    finally:
        running.stop()

    fresh = front(streams, f"{tree}-fresh", tree)
    fresh.start()
    try:
        refusal = Wire(fresh.endpoint).get("/v2/images").expect(503)
        assert b"mirror (error)" in refusal.body and b"2024042" not in refusal.body
    finally:
        fresh.stop()


def test_data_that_was_changed_on_the_mirror_never_looks_whole(streams: Streams) -> None:
    streams.publish("altered", [item("20240423"), item("20240424")])
    file = streams.tree("altered") / "server/20240423/disk.img"
    file.write_bytes(file.read_bytes().replace(b"disk", b"dusk"))
    portico = front(streams, "altered-front", "altered")
    portico.start()
    wire = Wire(portico.endpoint)
    try:
        images = listed(wire)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            download(wire, images["example-24.04-20240423"])
        assert download(wire, images["example-24.04-20240424"]).body == b"the disk of 20240424"
    finally:
        portico.stop()


def test_five_hundred_items_cost_one_fetch_of_each_document(streams: Streams) -> None:
    streams.publish("large", [item(f"2024{number:04}") for number in range(500)])
    items = len(streams.query("large"))
    before = [streams.site.fetched(f"large/{document}") for document in (INDEX, PRODUCTS)]
    portico = front(streams, "large-front", "large")
    portico.start()
    try:
        wire = Wire(portico.endpoint)
        assert len(listed(wire)) == items == 500
        assert len(listed(wire)) == 500
        after = [streams.site.fetched(f"large/{document}") for document in (INDEX, PRODUCTS)]
    finally:
        portico.stop()
    assert [then - now for then, now in zip(after, before, strict=True)] == [1, 1]
    assert streams.site.fetched("large/server") == 0
    tally.say(f"interop simplestreams: {items} items of the real tools listed with one fetch of each document")
