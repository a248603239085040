"""Filters find exactly the images they name, over all stores, for each client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest

import walk
from clients import CommandLine
from walk import Image, Walk
from world import World

Test = Callable[[Image], bool]


def plain(image: Image) -> bool:
    """Whether a listing shows the image when nothing else is asked for."""
    return not image["os_hidden"] and image["visibility"] != "community"


FILTERS: dict[str, Test] = {
    "name=twin": lambda i: i["name"] == "twin",
    "name=%C3%A9mile": lambda i: i["name"] == "émile",
    "name=in:twin,zeta": lambda i: i["name"] in ("twin", "zeta"),
    'name=in:"arch, btw",Debian': lambda i: i["name"] in ("arch, btw", "Debian"),
    "name=eq:twin": lambda i: i["name"] == "twin",
    "status=queued": lambda i: i["status"] == "queued",
    "status=in:active,saving": lambda i: i["status"] == "active",
    "visibility=public": lambda i: i["visibility"] == "public",
    "visibility=private": lambda i: i["visibility"] == "private",
    "visibility=shared&member_status=all": lambda i: i["visibility"] == "shared",
    "tag=linux": lambda i: "linux" in i["tags"],
    "tag=linux&tag=lts": lambda i: {"linux", "lts"} <= set(i["tags"]),
    "size_min=300": lambda i: i["size"] is not None and i["size"] >= 300,
    "size_min=100&size_max=400": lambda i: i["size"] is not None and 100 <= i["size"] <= 400,
    "disk_format=in:iso,vmdk": lambda i: i["disk_format"] in ("iso", "vmdk"),
    "container_format=ovf": lambda i: i["container_format"] == "ovf",
    "family=mint": lambda i: i["family"] == "mint",
    "family=mint&tag=linux": lambda i: i["family"] == "mint" and "linux" in i["tags"],
    "min_disk=3": lambda i: i["min_disk"] == 3,
    "protected=true": lambda i: i["protected"],
    "status=active&size_min=1&sort=size:asc": lambda i: i["status"] == "active" and i["size"] >= 1,
}
UNLISTED: dict[str, Test] = {
    "visibility=community": lambda i: i["visibility"] == "community" and not i["os_hidden"],
    "os_hidden=true": lambda i: i["os_hidden"] and i["visibility"] != "community",
    "os_hidden=True": lambda i: i["os_hidden"] and i["visibility"] != "community",
    "visibility=all": lambda i: not i["os_hidden"],
}


def found_by(world: World, test: Test) -> set[str]:
    """The ids of the seeds a filter must find: some, from several stores, and not all."""
    found = {image_id for image_id, image in world.catalogue.items() if test(image)}
    assert 0 < len(found) < len(world.catalogue), "a filter that finds nothing or everything tests nothing"
    assert len({world.ledger[image_id] for image_id in found}) >= 2
    return found


@pytest.mark.parametrize("limit", ["3", "100"])
@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_finds_all_it_names_and_nothing_else(world: World, query: str, limit: str) -> None:
    if world.target == "glance" and limit == "3" and query.count("tag=") > 1:
        pytest.skip("NOT TRIED, the target is a plain Glance, whose next link keeps only the last of two tags")
    found = found_by(world, lambda image: plain(image) and FILTERS[query](image))
    walk.by_next(world.front, [*parse_qsl(query), ("limit", limit)]).check(found, None)


@pytest.mark.parametrize("query", UNLISTED)
def test_images_a_plain_listing_leaves_out_are_found_when_asked_for(world: World, query: str) -> None:
    walk.by_next(world.front, [*parse_qsl(query), ("limit", "7")]).check(found_by(world, UNLISTED[query]), None)


@pytest.mark.parametrize("query", ["name=nobody", "family=salt", "no_such_property=x", "tag=none", "status=unheard-of"])
def test_a_filter_that_fits_nothing_finds_nothing(world: World, query: str) -> None:
    walk.by_next(world.front, parse_qsl(query)).check([], None)


def test_the_time_of_creation_splits_the_images_without_a_gap(world: World) -> None:
    times = sorted(image["created_at"] for image in world.catalogue.values())
    middle = times[len(times) // 2]
    before = walk.by_next(world.front, [("created_at", f"lt:{middle}")])
    after = walk.by_next(world.front, [("created_at", f"gte:{middle}")])
    listed = {image_id for image_id, image in world.catalogue.items() if plain(image)}
    Walk([*before.images, *after.images], before.pages + after.pages, f"around {middle}").check(listed, None)
    assert all(image["created_at"] < middle for image in before.images)


def test_glanceclient_filters_by_tags_and_a_property(world: World, glance: Any) -> None:
    found = found_by(world, lambda i: plain(i) and {"linux", "lts"} <= set(i["tags"]) and i["family"] == "vanilla")
    images = glance.images.list(filters={"tag": ["linux", "lts"], "family": "vanilla"})
    Walk([{"id": image.id} for image in images], 1, "glanceclient by tags and property").check(found, None)


def test_openstacksdk_filters_by_name_and_status(world: World, sdk: Any) -> None:
    found = found_by(world, lambda i: plain(i) and i["name"] == "twin" and i["status"] == "queued")
    images = sdk.images(name="twin", status="queued", limit=2)
    Walk([{"id": image.id} for image in images], 1, "openstacksdk by name and status").check(found, None)


def test_openstacksdk_finds_a_hidden_image_by_its_id_and_no_image_by_no_name(world: World, sdk: Any) -> None:
    hidden = next(image_id for image_id, image in world.catalogue.items() if image["os_hidden"])
    assert sdk.find_image(hidden).id == hidden
    assert sdk.find_image("a name nobody has") is None


def test_the_openstack_command_filters(world: World, command_line: CommandLine) -> None:
    found = found_by(world, lambda i: plain(i) and "lts" in i["tags"] and i["visibility"] == "public")
    listed = command_line.openstack_json("image", "list", "--tag", "lts", "--public")
    Walk([{"id": image["ID"]} for image in listed], 1, "openstack image list --tag").check(found, None)
    found = found_by(world, lambda i: plain(i) and i["family"] == "mint" and i["status"] == "active")
    listed = command_line.openstack_json("image", "list", "--property", "family=mint", "--status", "active")
    Walk([{"id": image["ID"]} for image in listed], 1, "openstack image list --property").check(found, None)


def test_the_glance_command_filters(world: World, command_line: CommandLine) -> None:
    found = found_by(world, lambda i: plain(i) and "linux" in i["tags"] and i["family"] == "mint")
    table = command_line.glance("image-list", "--tag", "linux", "--property-filter", "family=mint").splitlines()
    rows = [{"id": row.split("|")[1].strip()} for row in table if row.startswith("|")][1:]
    Walk(rows, 1, "glance image-list --property-filter").check(found, None)
