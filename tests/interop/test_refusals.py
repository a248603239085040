"""What cannot be done is refused with the status, and so the exception, that each client knows."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from glanceclient import exc as glance_errors
from openstack import exceptions as sdk_errors

from clients import CommandLine
from wire import Wire
from world import GLANCES

FORMATS = {"disk_format": "raw", "container_format": "bare"}
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def active(front: Wire, store: str, disposable: Any) -> str:
    """The id of an image with data, in each store in turn."""
    image = front.create({"name": "taken", **FORMATS}, store)
    disposable(image["id"])
    front.upload(image["id"], b"there first", store).expect(204)
    return image["id"]


@pytest.fixture
def protected(front: Wire, store: str, disposable: Any) -> str:
    """The id of a protected image, in each store in turn."""
    return disposable(front.create({"name": "kept", "protected": True}, store)["id"])


@pytest.mark.parametrize("image_id", [NOBODY, "not-an-id", "a%20b", "%C3%A9"])
def test_an_image_that_is_not_there_is_not_found(front: Wire, image_id: str) -> None:
    front.get(f"/v2/images/{image_id}").expect(404)
    front.get(f"/v2/images/{image_id}/file").expect(404)
    front.patch(image_id, {"op": "replace", "path": "/name", "value": "x"}).expect(404)
    front.request("DELETE", f"/v2/images/{image_id}").expect(404)
    front.get(f"/v2/images/{image_id}/members").expect(404)
    front.request("PUT", f"/v2/images/{image_id}/tags/x").expect(404)
    front.request("POST", f"/v2/images/{image_id}/actions/deactivate").expect(404)
    front.upload(image_id, b"to nowhere").expect(404)


def test_glanceclient_finds_nothing(glance: Any) -> None:
    for attempt in (
        lambda: glance.images.get(NOBODY),
        lambda: glance.images.data(NOBODY),
        lambda: glance.images.update(NOBODY, name="x"),
        lambda: glance.images.delete(NOBODY),
        lambda: glance.images.deactivate(NOBODY),
        lambda: glance.image_tags.update(NOBODY, "x"),
        lambda: glance.image_members.create(NOBODY, "p"),
        lambda: list(glance.image_members.list(NOBODY)),
    ):
        with pytest.raises(glance_errors.HTTPNotFound):
            attempt()


def test_openstacksdk_finds_nothing(sdk: Any) -> None:
    for attempt in (
        lambda: sdk.get_image(NOBODY),
        lambda: sdk.download_image(NOBODY),
        lambda: sdk.delete_image(NOBODY, ignore_missing=False),
        lambda: sdk.add_member(NOBODY, member_id="p"),
    ):
        with pytest.raises(sdk_errors.NotFoundException):
            attempt()
    assert sdk.find_image(NOBODY) is None


def test_the_commands_find_nothing(command_line: CommandLine) -> None:
    # Its word for a missing image on deletion, about stores, has nothing to do with the answer it got.
    words_for = {"show": "No Image found", "save": "No Image found", "set": "No Image found", "delete": ""}
    for verb, said in words_for.items():
        options = {"save": ["--file", "nothing"], "set": ["--name", "x"]}.get(verb, [])
        ran = command_line.try_openstack("image", verb, *options, NOBODY)
        assert ran.code != 0 and said in ran.err, ran
    for words in (("image-show",), ("image-download", "--file", "nothing"), ("image-delete",)):
        ran = command_line.try_glance(*words, NOBODY)
        assert ran.code != 0 and ("404" in ran.err or NOBODY in ran.err), ran


def test_an_id_that_is_taken_is_refused_whatever_store_is_named(
    front: Wire, glance: Any, sdk: Any, active: str
) -> None:
    for other in ("local", "scratch", "paris", "tokyo"):
        headers = {"X-Image-Meta-Store": other}
        front.request("POST", "/v2/images", headers, json_body={"id": active, "name": "second"}).expect(409)
    with pytest.raises(glance_errors.HTTPConflict):
        glance.images.create(id=active, name="second")
    with pytest.raises(sdk_errors.ConflictException):
        sdk.create_image("second", id=active, allow_duplicates=True)
    assert front.show(active)["name"] == "taken"


@pytest.mark.parametrize("store", GLANCES)
def test_an_id_a_glance_has_deleted_is_never_given_again_there(front: Wire, store: str) -> None:
    image_id = front.create({"id": str(uuid.uuid4())}, store)["id"]
    front.request("DELETE", f"/v2/images/{image_id}").expect(204)
    headers = {"X-Image-Meta-Store": store}
    front.request("POST", "/v2/images", headers, json_body={"id": image_id}).expect(409)


def test_data_is_given_once(front: Wire, glance: Any, active: str, store: str) -> None:
    front.upload(active, b"second", store).expect(409)
    front.upload(active, b"second").expect(409)
    with pytest.raises(glance_errors.HTTPConflict):
        glance.images.upload(active, b"second".decode())
    assert front.get(f"/v2/images/{active}/file").expect(200).body == b"there first"


def test_only_a_property_that_is_there_is_replaced_or_removed(front: Wire, active: str) -> None:
    front.patch(active, {"op": "replace", "path": "/absent", "value": "x"}).expect(409)
    front.patch(active, {"op": "remove", "path": "/absent"}).expect(409)


@pytest.mark.parametrize("path", ["/id", "/status", "/size", "/checksum", "/created_at", "/self", "/os_hash_value"])
def test_what_only_the_service_says_is_not_changed(front: Wire, active: str, path: str) -> None:
    front.patch(active, {"op": "replace", "path": path, "value": "x"}).expect(403)


def test_a_protected_image_is_not_deleted_by_anyone(
    front: Wire, glance: Any, sdk: Any, command_line: CommandLine, protected: str
) -> None:
    front.request("DELETE", f"/v2/images/{protected}").expect(403)
    with pytest.raises(glance_errors.HTTPForbidden):
        glance.images.delete(protected)
    with pytest.raises(sdk_errors.ForbiddenException):
        sdk.delete_image(protected)
    assert command_line.try_glance("image-delete", protected).code != 0
    assert front.show(protected)["protected"] is True


def test_an_image_without_formats_takes_no_data(front: Wire, store: str, disposable: Any) -> None:
    image_id = disposable(front.create({"name": "formless"}, store)["id"])
    front.upload(image_id, b"x", store).expect(400)
    front.patch(
        image_id,
        {"op": "add", "path": "/disk_format", "value": "raw"},
        {"op": "add", "path": "/container_format", "value": "bare"},
    ).expect(200)
    front.upload(image_id, b"x", store).expect(204)


def test_an_upload_of_another_length_than_announced_can_be_tried_again(
    front: Wire, store: str, disposable: Any
) -> None:
    image_id = disposable(front.create({"name": "short", **FORMATS}, store)["id"])
    headers = {
        "Content-Type": "application/octet-stream",
        "X-OpenStack-Image-Size": "100",
        "X-Image-Meta-Store": store,
    }
    front.request("PUT", f"/v2/images/{image_id}/file", headers, body=b"too short").expect(400)
    shown = front.show(image_id)
    assert (shown["status"], shown["size"]) == ("queued", None)
    front.upload(image_id, b"long enough", store).expect(204)


def test_a_store_nobody_has_is_refused(front: Wire, command_line: CommandLine, disposable: Any, world: Any) -> None:
    image_id = disposable(front.create({"name": "lost", **FORMATS})["id"])
    front.upload(image_id, b"x", "atlantis").expect(400)
    assert front.show(image_id)["status"] == "queued"
    data = world.home / "one-byte"
    data.write_bytes(b"x")
    formats = ("--disk-format", "raw", "--container-format", "bare")
    ran = command_line.try_glance("image-create", *formats, "--store", "atlantis", "--file", str(data))
    assert ran.code != 0 and "not valid for this cloud" in ran.err


@pytest.mark.parametrize(
    "image",
    [
        {"name": "n" * 256},
        {"disk_format": "floppy"},
        {"visibility": "open"},
        {"min_disk": -1},
        {"protected": "yes"},
        {"custom": 5},
        {"id": "not-a-uuid"},
        {"tags": "one"},
    ],
    ids=lambda image: next(iter(image)),
)
def test_a_senseless_image_is_not_created(front: Wire, image: Any) -> None:
    front.request("POST", "/v2/images", json_body=image).expect(400)


def test_an_image_that_is_not_shared_has_no_members(front: Wire, store: str, disposable: Any) -> None:
    image_id = disposable(front.create({"visibility": "private"}, store)["id"])
    front.request("POST", f"/v2/images/{image_id}/members", json_body={"member": "p"}).expect(403)
    front.patch(image_id, {"op": "replace", "path": "/visibility", "value": "shared"}).expect(200)
    front.request("POST", f"/v2/images/{image_id}/members", json_body={"member": "p"}).expect(200)
    front.request("POST", f"/v2/images/{image_id}/members", json_body={"member": "p"}).expect(409)
    front.request("PUT", f"/v2/images/{image_id}/members/p", json_body={"status": "maybe"}).expect(400)
