"""An image's life, from its creation to its end, in every store and by every client."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from clients import CommandLine
from wire import Wire
from world import World

FORMATS = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def active(front: Wire, store: str, disposable: Any) -> str:
    """The id of an image with data, in each store in turn."""
    image = front.create({"name": "subject", **FORMATS}, store)
    front.upload(image["id"], b"the data of the subject", store).expect(204)
    return disposable(image["id"])


def test_what_is_said_on_creation_is_what_is_shown(front: Wire, store: str, disposable: Any, world: World) -> None:
    said = {
        "id": str(uuid.uuid4()),
        "name": "ünïcode & spaces",
        "visibility": "private",
        "tags": ["one", "two words"],
        "min_disk": 3,
        "min_ram": 512,
        "protected": False,
        "os_hidden": True,
        "os_distro": "debian",
        "a property": "of no schema",
        **FORMATS,
    }
    created = front.create(said, store)
    disposable(created["id"])
    for shown in (created, front.show(said["id"]), world.upstream(store).show(said["id"])):
        assert {**shown, "tags": sorted(shown["tags"])} | said == {**shown, "tags": sorted(shown["tags"])}
        assert (shown["status"], shown["size"], shown["checksum"]) == ("queued", None, None)
    assert created["self"] == f"/v2/images/{said['id']}"
    assert created["file"] == f"/v2/images/{said['id']}/file"


def test_glanceclient_creates_updates_and_deletes(front: Wire, glance: Any, store: str, disposable: Any) -> None:
    image = glance.images.create(name="first", tags=["a"], visibility="private", os_distro="x", mine="1", backend=store)
    disposable(image.id)
    changed = glance.images.update(image.id, remove_props=["mine"], name="second", theirs="2", os_distro="y")
    assert (changed.name, changed.theirs, changed.os_distro, "mine" in changed) == ("second", "2", "y", False)
    glance.image_tags.update(image.id, "b")
    glance.image_tags.delete(image.id, "a")
    assert front.show(image.id)["tags"] == ["b"]
    glance.images.delete(image.id)
    front.get(f"/v2/images/{image.id}").expect(404)


def test_openstacksdk_creates_updates_and_deletes(front: Wire, sdk: Any, disposable: Any) -> None:
    image = sdk.create_image("first", allow_duplicates=True, tags=["a"], visibility="private", mine="1", **FORMATS)
    disposable(image.id)
    changed = sdk.update_image(image.id, name="second", theirs="2")
    assert (changed.name, changed.properties["theirs"], changed.properties["mine"]) == ("second", "2", "1")
    sdk.add_tag(image.id, "b c")
    sdk.remove_tag(image.id, "a")
    assert sdk.get_image(image.id).tags == ["b c"]
    sdk.delete_image(image.id)
    front.get(f"/v2/images/{image.id}").expect(404)


def test_the_openstack_command_creates_sets_unsets_and_deletes(
    front: Wire, command_line: CommandLine, disposable: Any
) -> None:
    name = f"by-openstack-{uuid.uuid4()}"
    created = command_line.openstack_json(
        "image", "create", "--private", "--tag", "a", "--property", "mine=1", "--min-disk", "2", name
    )
    image_id = disposable(created["id"])
    assert (created["status"], created["visibility"], created["min_disk"]) == ("queued", "private", 2)
    command_line.openstack("image", "set", "--property", "theirs=2", "--tag", "b", "--name", f"{name}-2", name)
    command_line.openstack("image", "unset", "--property", "mine", "--tag", "a", image_id)
    shown = front.show(image_id)
    assert (shown["name"], shown["tags"], shown["theirs"], "mine" in shown) == (f"{name}-2", ["b"], "2", False)
    assert command_line.openstack_json("image", "show", f"{name}-2")["id"] == image_id
    command_line.openstack("image", "delete", f"{name}-2")
    front.get(f"/v2/images/{image_id}").expect(404)


def test_the_glance_command_creates_updates_and_deletes(
    front: Wire, command_line: CommandLine, disposable: Any
) -> None:
    shown = command_line.glance_table("image-create", "--name", "first", "--property", "mine=1", "--tags", "a")
    image_id = disposable(shown["id"])
    command_line.glance("image-update", "--name", "second", "--remove-property", "mine", image_id)
    command_line.glance("image-tag-update", image_id, "b")
    shown = command_line.glance_table("image-show", image_id)
    assert (shown["name"], "mine" in shown, shown["status"]) == ("second", False, "queued")
    command_line.glance("image-delete", image_id)
    front.get(f"/v2/images/{image_id}").expect(404)


def test_a_patch_sets_and_unsets_in_every_store(front: Wire, active: str, store: str, world: World) -> None:
    front.patch(
        active,
        {"op": "replace", "path": "/name", "value": None},
        {"op": "add", "path": "/colour", "value": "red"},
        {"op": "replace", "path": "/tags", "value": ["x", "y"]},
        {"op": "replace", "path": "/visibility", "value": "public"},
        {"op": "replace", "path": "/min_ram", "value": 7},
    ).expect(200)
    front.patch(active, {"op": "replace", "path": "/colour", "value": "blue"}).expect(200)
    for shown in (front.show(active), world.upstream(store).show(active)):
        assert (shown["name"], shown["colour"], sorted(shown["tags"])) == (None, "blue", ["x", "y"])
        assert (shown["visibility"], shown["min_ram"]) == ("public", 7)
    assert "colour" not in front.patch(active, {"op": "remove", "path": "/colour"}).expect(200).json()
    assert "colour" not in world.upstream(store).show(active)


def test_a_patch_that_fails_halfway_changes_nothing(front: Wire, active: str) -> None:
    before = front.show(active)
    front.patch(
        active,
        {"op": "replace", "path": "/name", "value": "half done"},
        {"op": "replace", "path": "/no_such_property", "value": "x"},
    ).expect(409)
    assert front.show(active) == before


def test_tags_come_and_go_in_every_store(front: Wire, active: str, store: str, world: World) -> None:
    for tag in ("plain", "two%20words", "%C3%A9"):
        front.request("PUT", f"/v2/images/{active}/tags/{tag}").expect(204)
    front.request("PUT", f"/v2/images/{active}/tags/plain").expect(204)
    assert {"plain", "two words"} <= set(front.show(active)["tags"])
    assert len(world.upstream(store).show(active)["tags"]) == 3
    front.request("DELETE", f"/v2/images/{active}/tags/two%20words").expect(204)
    front.request("DELETE", f"/v2/images/{active}/tags/two%20words").expect(404)
    assert "two words" not in world.upstream(store).show(active)["tags"]


def test_an_image_is_shared_with_a_project_by_glanceclient(
    front: Wire, glance: Any, active: str, store: str, world: World
) -> None:
    project = uuid.uuid4().hex
    assert front.show(active)["visibility"] == "shared"
    made = glance.image_members.create(active, project)
    assert (made.member_id, made.image_id, made.status) == (project, active, "pending")
    assert [member.member_id for member in glance.image_members.list(active)] == [project]
    glance.image_members.update(active, project, "accepted")
    for wire in (front, world.upstream(store)):
        member = wire.get(f"/v2/images/{active}/members/{project}").expect(200).json()
        assert (member["status"], member["schema"]) == ("accepted", "/v2/schemas/member")
    glance.image_members.delete(active, project)
    assert list(glance.image_members.list(active)) == []
    front.get(f"/v2/images/{active}/members/{project}").expect(404)


def test_an_image_is_shared_with_a_project_by_openstacksdk(sdk: Any, active: str) -> None:
    project = uuid.uuid4().hex
    assert sdk.add_member(active, member_id=project).status == "pending"
    assert sdk.update_member(project, active, status="rejected").status == "rejected"
    assert [member.member_id for member in sdk.members(active)] == [project]
    sdk.remove_member(project, active)
    assert list(sdk.members(active)) == []


def test_the_glance_command_manages_members(command_line: CommandLine, front: Wire, disposable: Any) -> None:
    image_id = disposable(front.create({"name": "to share"})["id"])
    project = uuid.uuid4().hex
    command_line.glance("member-create", image_id, project)
    command_line.glance("member-update", image_id, project, "accepted")
    listed = command_line.glance("member-list", "--image-id", image_id)
    assert project in listed and "accepted" in listed
    command_line.glance("member-delete", image_id, project)
    assert project not in command_line.glance("member-list", "--image-id", image_id)


def test_an_image_sleeps_and_wakes(front: Wire, glance: Any, sdk: Any, active: str, store: str, world: World) -> None:
    glance.images.deactivate(active)
    assert front.show(active)["status"] == "deactivated"
    assert world.upstream(store).show(active)["status"] == "deactivated"
    glance.images.deactivate(active)
    sdk.reactivate_image(active)
    assert world.upstream(store).show(active)["status"] == "active"
    assert front.get(f"/v2/images/{active}/file").expect(200).body == b"the data of the subject"


def test_a_deleted_image_is_gone_from_its_store_too(front: Wire, active: str, store: str, world: World) -> None:
    front.request("DELETE", f"/v2/images/{active}").expect(204)
    for wire in (front, world.upstream(store)):
        wire.get(f"/v2/images/{active}").expect(404)
        wire.get(f"/v2/images/{active}/file").expect(404)
    front.request("DELETE", f"/v2/images/{active}").expect(404)
