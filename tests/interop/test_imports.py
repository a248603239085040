"""Data that comes by other ways than one upload, with each client, and to real Glances behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients import CommandLine
from payload import MIB, Payload, block
from wire import Wire
from world import GLANCES, World

pytestmark = pytest.mark.portico_only("a plain Glance without Keystone cannot import")

RECORD = {"disk_format": "raw", "container_format": "bare"}


def _settled(front: Wire, image_id: str, within: float = 60.0) -> dict[str, Any]:
    """The image once nothing is at work on it any more."""
    end = time.monotonic() + within
    while True:
        image = front.show(image_id)
        if "os_glance_import_task" not in image:
            return image
        assert time.monotonic() < end, f"an import does not end: {image}"
        time.sleep(0.1)


def test_staged_with_one_command_and_imported_with_the_next(
    world: World, front: Wire, command_line: CommandLine, disposable: Callable[[str], str], tmp_path: Path
) -> None:
    payload = Payload.write(tmp_path / "disk.raw", 3 * MIB)
    create = ("image", "create", "--disk-format", "raw", "--container-format", "bare", "staged")
    image_id = disposable(command_line.openstack_json(*create)["id"])
    command_line.openstack("image", "stage", "--file", str(payload.path), image_id)
    shown = front.show(image_id)
    assert (shown["status"], shown["size"]) == ("uploading", 3 * MIB)
    method = ("--method", "glance-direct")
    command_line.openstack("image", "import", image_id, *method, "--store", "scratch", "paris")
    assert _settled(front, image_id)["stores"] == "scratch,paris"
    # What the Glance behind has of it is the image, by its own id.
    behind = world.upstream("paris").get(f"/v2/images/{image_id}/file").expect(200)
    assert behind.body == payload.path.read_bytes()
    copy = tmp_path / "copy.raw"
    command_line.openstack("image", "save", "--file", str(copy), image_id)
    assert payload.equals(copy)
    tasks = command_line.openstack_json("image", "task", "list")
    assert [task["Status"] for task in tasks if task["Type"] == "api_image_import"][:1] == ["success"]


def test_the_old_client_creates_by_importing(
    front: Wire, command_line: CommandLine, disposable: Callable[[str], str], tmp_path: Path
) -> None:
    payload = Payload.write(tmp_path / "disk.raw", MIB)
    told = command_line.glance_table(
        "image-create-via-import", "--disk-format", "raw", "--container-format", "bare", "--name", "imported",
        "--import-method", "glance-direct", "--file", str(payload.path), "--stores", "local,tokyo",
    )  # fmt: skip
    image = _settled(front, disposable(told["id"]))
    assert (image["status"], image["stores"], image["size"]) == ("active", "local,tokyo", MIB)


def test_a_copy_in_a_glance_is_the_image_and_one_that_is_away_is_told(
    world: World, front: Wire, glance: Any, disposable: Callable[[str], str]
) -> None:
    data = block(5)
    image_id = disposable(front.create({**RECORD, "name": "copied"}, store="scratch")["id"])
    front.upload(image_id, data).expect(204)
    glance.images.image_import(image_id, method="copy-image", stores=["tokyo"])
    image = _settled(front, image_id)
    assert (image["stores"], image["os_glance_failed_import"]) == ("scratch,tokyo", "")
    tokyo = world.upstream("tokyo")
    behind = tokyo.show(image_id)
    assert {key: behind[key] for key in ("name", "size", "os_hash_value", "checksum")} == {
        key: image[key] for key in ("name", "size", "os_hash_value", "checksum")
    }
    assert tokyo.get(f"/v2/images/{image_id}/file").body == data
    away = world.glances["paris"]
    away.stop()
    try:
        glance.images.image_import(image_id, method="copy-image", stores=["paris", "local"], allow_failure=True)
        image = _settled(front, image_id)
    finally:
        away.start()
    assert image["os_glance_failed_import"] == "paris"
    assert set(image["stores"].split(",")) >= {"local", "scratch"}
    tasks = front.get(f"/v2/images/{image_id}/tasks").expect(200).json()["tasks"]
    assert [task["status"] for task in tasks] == ["success", "success"]


def test_the_library_imports_and_a_url_that_is_not_public_is_refused(
    front: Wire, sdk: Any, disposable: Callable[[str], str]
) -> None:
    image = sdk.create_image("library", **RECORD, allow_duplicates=True, use_import=False)
    image_id = disposable(image.id)
    assert "web-download" in front.get("/v2/info/import").json()["import-methods"]["value"]
    for url in ("http://127.0.0.1/x", "http://169.254.169.254/latest", "http://[::1]/x", "http://0177.0.0.1/x"):
        body = {"method": {"name": "web-download", "uri": url}}
        refused = front.request("POST", f"/v2/images/{image_id}/import", json_body=body)
        assert refused.status == 400 and "does not pass filtering" in refused.body.decode()
    sdk.stage_image(image, data=block(6))
    sdk.import_image(image, method="glance-direct", all_stores=True)
    image = _settled(front, image_id)
    assert image["stores"].split(",") == ["local", "scratch", *GLANCES]
