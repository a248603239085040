"""One id in two real Glances: one image if the data is the same, two if it is not. And walks that lose their place."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from portico import Portico
from processes import free_port
from wire import Wire
from world import GLANCES, World

pytestmark = pytest.mark.portico_only("one Glance has each id once")

CONFLICTS_WITH = "portico_conflicts_with"
SAME = [str(uuid.uuid4()) for _ in range(6)]
OTHER = str(uuid.uuid4())
DERIVED = str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "tokyo"), OTHER))


def _put(glance: Wire, image_id: str, name: str, data: bytes) -> None:
    glance.create(
        {"id": image_id, "name": name, "disk_format": "raw", "container_format": "bare", "tags": ["copied"]}
    )
    glance.upload(image_id, data).expect(204)


@pytest.fixture(scope="module")
def copied(world: World) -> Iterator[Wire]:
    """A Portico before both Glances, which hold the same ids: names and times differ, and once the data too."""
    paris, tokyo = (world.upstream(name) for name in GLANCES)
    assert world.binary is not None
    home = world.home / "copies"
    endpoints = {name: glance.endpoint for name, glance in world.glances.items()}
    try:
        # In tokyo the other way round, so that by time and by name each copy is far from its home.
        for number, image_id in enumerate(SAME):
            _put(paris, image_id, f"copied {number}", b"the same")
        _put(paris, OTHER, "owner", b"of paris")
        time.sleep(1.1)  # Times are told in whole seconds.
        _put(tokyo, OTHER, "other", b"of tokyo")
        for number, image_id in reversed(list(enumerate(SAME))):
            _put(tokyo, image_id, f"copied {9 - number}", b"the same")
        portico = Portico(home, free_port(), world.binary, endpoints, alone=True)
        portico.start()
        try:
            yield Wire(portico.endpoint)
        finally:
            portico.stop()
    finally:
        for glance in (paris, tokyo):
            for image_id in [*SAME, OTHER]:
                glance.forget(image_id)


def _walk(front: Wire, query: str) -> list[dict[str, object]]:
    walked: list[dict[str, object]] = []
    path = f"/v2/images?tag=copied&{query}"
    for _ in range(100):
        page = front.get(path).expect(200).json()
        walked.extend(page["images"])
        if "next" not in page:
            return walked
        path = page["next"]
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("sort", ["created_at:desc", "created_at:asc", "name:asc", "name:desc", "size:asc,name:asc", "id:asc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 25])
def test_copies_are_listed_once_as_their_home_has_them(copied: Wire, sort: str, limit: int) -> None:
    walked = _walk(copied, f"sort={sort}&limit={limit}")
    assert sorted(str(image["id"]) for image in walked) == sorted([*SAME, OTHER, DERIVED])
    by_id = {str(image["id"]): image for image in walked}
    for number, image_id in enumerate(SAME):
        assert by_id[image_id]["name"] == f"copied {number}"
        assert by_id[image_id]["stores"] == "paris,tokyo"
    key, _, direction = sort.split(",")[0].partition(":")
    values = [str(image[key]) for image in walked]
    if key != "id":  # Among equals, what has a derived id stands where its own id would.
        assert values == sorted(values, reverse=direction == "desc")


def test_other_data_under_one_id_is_another_image(copied: Wire) -> None:
    owner, other = copied.show(OTHER), copied.show(DERIVED)
    assert (owner["name"], other["name"]) == ("owner", "other")
    assert other[CONFLICTS_WITH] == OTHER and CONFLICTS_WITH not in owner
    for image_id, data in ((OTHER, b"of paris"), (DERIVED, b"of tokyo")):
        assert copied.get(f"/v2/images/{image_id}/file").expect(200).body == data


def test_a_change_of_one_leaves_the_other_alone(copied: Wire, world: World) -> None:
    copied.patch(DERIVED, {"op": "replace", "path": "/name", "value": "changed"}).expect(200)
    assert [world.upstream(name).show(OTHER)["name"] for name in GLANCES] == ["owner", "changed"]
    copied.patch(DERIVED, {"op": "replace", "path": "/name", "value": "other"}).expect(200)


def test_a_walk_goes_on_when_the_image_at_the_border_is_deleted(front: Wire, world: World) -> None:
    paris = world.upstream("paris")
    made = [paris.create({"name": f"border {number}", "tags": ["border"]})["id"] for number in range(4)]
    try:
        for by_marker in (True, False):
            first = front.get("/v2/images?tag=border&sort=name:asc&limit=2").expect(200).json()
            border = first["images"][-1]["id"]
            rest = f"/v2/images?tag=border&sort=name:asc&limit=2&marker={border}" if by_marker else first["next"]
            paris.forget(border)
            names = [image["name"] for image in front.get(rest).expect(200).json()["images"]]
            assert names == ["border 2", "border 3"][-len(names) :] and names
        front.get(f"/v2/images?marker={uuid.uuid4()}").expect(400)
    finally:
        for image_id in made:
            paris.forget(image_id)


def test_a_cursor_that_somebody_made_up_is_refused(front: Wire) -> None:
    following = front.get("/v2/images?limit=1").expect(200).json()["next"]
    (cursor,) = parse_qs(urlsplit(following).query)["cursor"]
    front.get(f"/v2/images?limit=1&cursor={cursor}").expect(200)
    forged = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    reply = front.get(f"/v2/images?limit=1&cursor={forged}").expect(400)
    assert b"cursor" in reply.body
