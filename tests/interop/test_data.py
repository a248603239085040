"""Data goes into every store and comes out of it whole, and the clients' own checks agree."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from clients import CommandLine
from payload import MIB, Payload
from wire import Wire
from world import STORES, World

SIZE = 64 * MIB


@pytest.fixture(scope="module")
def payload(world: World) -> Payload:
    """64 MiB that look like no disk format anybody knows."""
    return Payload.write(world.home / "payload.raw", SIZE)


@pytest.fixture(scope="module")
def stocked(world: World, command_line: CommandLine, payload: Payload) -> Any:
    """One image of 64 MiB in each store, put there by the `glance` command with the store's name."""
    shown = {
        store: command_line.glance_table(
            "image-create", "--name", f"stocked {store}", "--disk-format", "raw", "--container-format", "bare",
            "--store", store, "--file", str(payload.path),
        )
        for store in STORES
    }  # fmt: skip
    yield shown
    for image in shown.values():
        world.front.forget(image["id"])


def test_an_upload_into_a_named_store_is_whole_and_there(
    world: World, front: Wire, stocked: Any, payload: Payload, store: str
) -> None:
    shown = stocked[store]
    assert shown["status"] == "active"
    assert shown["size"] == str(SIZE)
    assert shown["checksum"] == payload.md5
    assert shown["stores"] == store
    image = front.show(shown["id"])
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", payload.sha512)
    behind = world.upstream(store).show(shown["id"])
    assert (behind["checksum"], behind["os_hash_value"], behind["status"]) == (payload.md5, payload.sha512, "active")


@pytest.mark.portico_only("a single Glance has all stores to itself")
def test_an_image_is_in_its_named_store_and_in_no_other(world: World, stocked: Any, store: str) -> None:
    for glance in world.glances:
        world.upstream(glance).get(f"/v2/images/{stocked[store]['id']}").expect(200 if glance == store else 404)


def test_glanceclient_downloads_and_verifies(glance: Any, stocked: Any, payload: Payload, store: str) -> None:
    digest = hashlib.sha512()
    body = glance.images.data(stocked[store]["id"], do_checksum=True)
    assert len(body) == SIZE
    for chunk in body:
        digest.update(chunk)
    assert digest.hexdigest() == payload.sha512


def test_openstacksdk_downloads_and_verifies(
    sdk: Any, stocked: Any, payload: Payload, store: str, tmp_path: Path
) -> None:
    sdk.download_image(stocked[store]["id"], output=str(tmp_path / "image"))
    assert payload.equals(tmp_path / "image")


def test_the_openstack_command_saves(
    command_line: CommandLine, stocked: Any, payload: Payload, store: str, tmp_path: Path
) -> None:
    command_line.openstack("image", "save", "--file", str(tmp_path / "image"), stocked[store]["id"])
    assert payload.equals(tmp_path / "image")


def test_the_glance_command_downloads(
    command_line: CommandLine, stocked: Any, payload: Payload, store: str, tmp_path: Path
) -> None:
    command_line.glance("image-download", "--file", str(tmp_path / "image"), stocked[store]["id"])
    assert payload.equals(tmp_path / "image")


def test_the_openstack_command_uploads_into_the_default_store(
    front: Wire, command_line: CommandLine, payload: Payload, disposable: Any
) -> None:
    image = command_line.openstack_json("image", "create", "--file", str(payload.path), "by openstack")
    front.show(disposable(image["id"]))
    assert (image["status"], image["checksum"], image["size"]) == ("active", payload.md5, SIZE)
    assert image["properties"]["os_hash_value"] == payload.sha512
    assert image["properties"]["stores"] == "local"


def test_openstacksdk_uploads_into_the_default_store(front: Wire, sdk: Any, payload: Payload, disposable: Any) -> None:
    created = sdk.create_image("by sdk", filename=str(payload.path), disk_format="raw", allow_duplicates=True)
    image = front.show(disposable(created.id))
    assert (image["status"], image["checksum"], image["os_hash_value"]) == ("active", payload.md5, payload.sha512)
    assert image["stores"] == "local"


def test_glanceclient_names_the_store_on_creation_too(
    front: Wire, glance: Any, store: str, disposable: Any, tmp_path: Path
) -> None:
    image = glance.images.create(name="placed", disk_format="raw", container_format="bare", backend=store)
    disposable(image.id)
    data = tmp_path / "small"
    data.write_bytes(b"small as it is " * 1000)
    with data.open("rb") as stream:
        glance.images.upload(image.id, stream, backend=store)
    shown = front.show(image.id)
    assert (shown["status"], shown["size"], shown["stores"]) == ("active", 15000, store)


def test_an_image_created_for_a_store_stays_there_when_the_upload_names_none(
    front: Wire, store: str, disposable: Any, world: World
) -> None:
    if world.target == "glance":
        pytest.skip("NOT TRIED, the target is a plain Glance, which looks for a store's name on the upload only")
    image = front.create({"disk_format": "raw", "container_format": "bare"}, store)
    disposable(image["id"])
    front.upload(image["id"], b"stay").expect(204)
    assert front.show(image["id"])["stores"] == store


def test_an_image_without_data_downloads_as_nothing(front: Wire, glance: Any, disposable: Any, store: str) -> None:
    image = front.create({"name": "empty-handed"}, store)
    disposable(image["id"])
    front.get(f"/v2/images/{image['id']}/file").expect(204)
    assert glance.images.data(image["id"]).wrapped is None


def test_an_image_of_no_bytes_is_an_image(front: Wire, disposable: Any, store: str) -> None:
    image = front.create({"disk_format": "raw", "container_format": "bare"}, store)
    disposable(image["id"])
    front.upload(image["id"], b"", store).expect(204)
    shown = front.show(image["id"])
    assert (shown["status"], shown["size"]) == ("active", 0)
    assert shown["checksum"] == hashlib.md5(b"", usedforsecurity=False).hexdigest()


def range_of(front: Wire, image_id: str, asked: str) -> Any:
    return front.get(f"/v2/images/{image_id}/file", {"Range": asked})


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        (f"bytes={5 * MIB - 3}-{6 * MIB + 2}", 5 * MIB - 3, 6 * MIB + 2),
        (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE - 1),
        (f"bytes={SIZE - 10}-", SIZE - 10, SIZE - 1),
        ("bytes=-17", SIZE - 17, SIZE - 1),
        (f"bytes={SIZE - 5}-{SIZE + 500}", SIZE - 5, SIZE - 1),
    ],
)
def test_a_part_of_an_image_is_that_part(
    front: Wire, stocked: Any, payload: Payload, store: str, asked: str, first: int, last: int
) -> None:
    part = range_of(front, stocked[store]["id"], asked).expect(206)
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert int(part.headers["Content-Length"]) == last - first + 1
    assert part.body == payload.part(first, last)


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=9-3"])
def test_a_part_that_is_not_there_is_refused(front: Wire, stocked: Any, store: str, asked: str) -> None:
    range_of(front, stocked[store]["id"], asked).expect(416)


def test_a_whole_download_says_how_long_it_is_and_what_it_hashes_to(
    front: Wire, stocked: Any, payload: Payload, store: str
) -> None:
    whole = front.get(f"/v2/images/{stocked[store]['id']}/file").expect(200)
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert int(whole.headers["Content-Length"]) == SIZE
    assert whole.headers["Content-MD5"] == payload.md5
    assert hashlib.sha512(whole.body).hexdigest() == payload.sha512
