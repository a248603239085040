"""Walking a listing to its end, and judging what came: lost, doubled, strange, out of order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from report import tally
from wire import Wire

Image = dict[str, Any]
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Order:
    """Sort keys, each with its direction. What ties on all of them goes on by created_at, then id.

    Several directions in one request leave open which way the ties run, so then either way will do, but only
    one way throughout.
    """

    keys: tuple[tuple[str, str], ...]

    def readings(self, tie_keys: Sequence[str]) -> list[list[tuple[str, str]]]:
        """The full orders this can mean."""
        one_way = len({direction for _, direction in self.keys}) == 1 and len(self.keys) == 1
        tie_directions = [self.keys[0][1]] if one_way else ["asc", "desc"]
        named = [key for key, _ in self.keys]
        ties = [key for key in tie_keys if key not in named]
        return [[*self.keys, *((key, direction) for key in ties)] for direction in tie_directions]


NEWEST_FIRST = Order((("created_at", "desc"),))


def _rank(image: Image, key: str) -> tuple[bool, Any]:
    """How a value sorts: null before everything, the rest by value; text by code point."""
    value = image[key]
    return (value is not None, value if value is not None else 0)


def _first_break(images: Sequence[Image], reading: Sequence[tuple[str, str]]) -> str | None:
    for before, after in zip(images, images[1:]):
        for key, direction in reading:
            left, right = _rank(before, key), _rank(after, key)
            if left == right:
                continue
            if (left < right) != (direction == "asc"):
                pair = [(image["id"], image[key]) for image in (before, after)]
                return f"{pair[0]} comes before {pair[1]} by {key} {direction} of {reading}"
            break
    return None


def disorder(images: Sequence[Image], order: Order, tie_keys: Sequence[str]) -> str | None:
    """What is out of order, or nothing."""
    breaks = [_first_break(images, reading) for reading in order.readings(tie_keys)]
    return None if None in breaks else breaks[0]


@dataclass(frozen=True)
class Walk:
    """What a whole walk brought."""

    images: list[Image]
    pages: int
    asked: str

    def check(self, expected: Iterable[str], order: Order | None, tie_keys: Sequence[str] = ("created_at", "id")) -> None:
        """Fails unless each expected image came exactly once, nothing else did, and the order holds."""
        wanted = set(expected)
        seen = Counter(image["id"] for image in self.images)
        lost = wanted - set(seen)
        doubled = {image_id for image_id, times in seen.items() if times > 1}
        strangers = set(seen) - wanted
        tally.walked(len(wanted), self.pages, len(lost), len(doubled))
        assert not (lost or doubled or strangers), (
            f"{self.asked}: of {len(wanted)} images {len(lost)} lost, {len(doubled)} doubled, "
            f"{len(strangers)} not expected: {sorted(lost | doubled | strangers)[:5]}"
        )
        if order is not None:
            fault = disorder(self.images, order, tie_keys)
            assert fault is None, f"{self.asked}: {fault}"


def _walk(wire: Wire, first: str, following: Callable[[dict[str, Any]], str | None]) -> Walk:
    """Pages from `first` on. Bounded: a server that never ends its listing fails rather than hangs."""
    images: list[Image] = []
    path, pages = first, 0
    while path:
        page = wire.get(path).expect(200).json()
        pages += 1
        images += page["images"]
        assert pages <= 2000, f"{first}: no end after {pages} pages and {len(images)} images"
        path = following(page) or ""
    return Walk(images, pages, first)


def by_next(wire: Wire, query: Query = ()) -> Walk:
    """The walk of a client that follows `next` until there is none."""

    def following(page: dict[str, Any]) -> str | None:
        link = page.get("next")
        assert link is None or link.startswith("/v2/images?"), f"next is not a path: {link}"
        return link

    return _walk(wire, "/v2/images" + ("?" + urlencode(query) if query else ""), following)


def by_marker(wire: Wire, query: Query = ()) -> Walk:
    """The walk of a client that names the last image it has seen until a page comes empty."""

    def following(page: dict[str, Any]) -> str | None:
        if not page["images"]:
            return None
        return "/v2/images?" + urlencode([*query, ("marker", page["images"][-1]["id"])])

    return _walk(wire, "/v2/images?" + urlencode(query), following)
