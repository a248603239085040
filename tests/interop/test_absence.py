"""One Glance goes away and comes back: the rest is served, the absence is told, and nothing is forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import walk
from processes import wait_until
from walk import Walk
from wire import Wire
from world import GLANCES, STORES, World

pytestmark = pytest.mark.portico_only("a single Glance has no backend to miss")


def states(headers: Any) -> dict[str, str]:
    """The header `Portico-Backends`, a dictionary of tokens, as a dictionary."""
    told: dict[str, str] = {}
    for member in (headers["Portico-Backends"] or "").split(","):
        name, _, state = member.strip().partition("=")
        if name:
            told[name] = state.partition(";")[0]
    return told


def all_back(world: World) -> bool:
    """Whether the listing is whole again: nobody is named absent, and each image is there."""
    reply = world.front.get("/v2/images?limit=1000")
    if reply.status != 200 or set(states(reply.headers).values()) - {"ok"}:
        return False
    return {image["id"] for image in walk.by_next(world.front, [("limit", "50")]).images} == world.listed()


@contextmanager
def without(world: World, store: str, leave: Callable[[], None], come_back: Callable[[], None]) -> Iterator[set[str]]:
    """The time in which a Glance is away; gives the ids the others list. Afterwards all must be back."""
    others = world.listed() - ids_of(world, store)
    leave()
    try:
        yield others
    finally:
        come_back()
    wait_until(f"{store} is back in the listing", lambda: all_back(world), within=60, every=0.25)


def ids_of(world: World, store: str) -> set[str]:
    return {image["id"] for image in walk.by_next(world.upstream(store)).images}


@pytest.fixture(params=GLANCES)
def away(request: pytest.FixtureRequest, world: World) -> Iterator[tuple[str, set[str]]]:
    """A Glance that is switched off, each in turn, and the ids the other stores list."""
    glance = world.glances[request.param]
    with without(world, request.param, glance.stop, glance.start) as others:
        yield request.param, others


def test_a_whole_answer_names_nobody_absent(front: Wire) -> None:
    assert set(states(front.get("/v2/images").headers).values()) <= {"ok"}


def test_the_others_are_listed_and_the_absent_one_is_named(world: World, front: Wire, away: Any) -> None:
    store, others = away
    for limit in (4, 100):
        walk.by_next(front, [("limit", str(limit))]).check(others, walk.NEWEST_FIRST)
    told = states(front.get("/v2/images").expect(200).headers)
    assert set(told) == set(STORES)
    assert {name for name, state in told.items() if state != "ok"} == {store}


def test_the_first_to_ask_is_told_that_the_door_was_shut(world: World, front: Wire) -> None:
    tokyo = world.glances["tokyo"]
    with without(world, "tokyo", tokyo.stop, tokyo.start):
        reply = front.get("/v2/images").expect(200)
        assert states(reply.headers) == {"local": "ok", "scratch": "ok", "paris": "ok", "tokyo": "refused"}


def test_a_client_that_wants_all_or_nothing_gets_nothing(front: Wire, away: Any) -> None:
    front.get("/v2/images", {"Portico-Partial": "refuse"}).expect(503)
    front.get("/v2/images").expect(200)


def test_clients_list_what_is_left(glance: Any, sdk: Any, away: Any) -> None:
    _, others = away
    Walk([{"id": image.id} for image in glance.images.list(page_size=20)], 1, "glanceclient").check(others, None)
    Walk([{"id": image.id} for image in sdk.images(limit=20)], 1, "openstacksdk").check(others, None)


def test_what_cannot_be_asked_for_is_not_called_missing(world: World, front: Wire, away: Any) -> None:
    store, _ = away
    absent = next(image_id for image_id, home in world.ledger.items() if home == store)
    front.get(f"/v2/images/{absent}").expect(503)
    front.get(f"/v2/images/{absent}/file").expect(503)
    front.get("/v2/images/00000000-0000-4000-8000-000000000000").expect(503)
    present = next(image_id for image_id, home in world.ledger.items() if home == "local")
    front.get(f"/v2/images/{present}").expect(200)


def test_a_write_for_an_absent_store_is_refused_and_spills_nowhere(world: World, front: Wire, away: Any) -> None:
    store, others = away
    headers = {"X-Image-Meta-Store": store}
    front.request("POST", "/v2/images", headers, json_body={"name": "homeless"}).expect(503)
    walk.by_next(front, [("limit", "100")]).check(others, None)


def test_a_glance_that_hangs_does_not_hang_the_rest(world: World, front: Wire) -> None:
    paris = world.glances["paris"]
    with without(world, "paris", paris.freeze, paris.thaw) as others:
        begun = time.monotonic()
        reply = front.get("/v2/images").expect(200)
        took = time.monotonic() - begun
        assert states(reply.headers)["paris"] != "ok"
        assert took < 30, f"a deadline of 15 s let the answer take {took:.1f} s"
        walk.by_next(front, [("limit", "100")]).check(others, walk.NEWEST_FIRST)
