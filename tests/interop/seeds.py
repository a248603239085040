"""The images a run begins with: many, small, and different from each other in every way a listing can see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wire import Wire

WORDS = ("alpine", "Debian", "fedora", "Ubuntu", "twin", "émile", "arch, btw", "zeta")
VISIBILITIES = ("public", "private", "shared")
FORMATS = (("raw", "bare"), ("raw", "bare"), ("qcow2", "bare"), ("iso", None), (None, None), ("vmdk", "ovf"))


def attributes(index: int, origin: str) -> dict[str, Any]:
    """What the image number `index` of a store says of itself. Names repeat within and across stores."""
    disk_format, container_format = FORMATS[index % len(FORMATS)]
    image: dict[str, Any] = {
        "visibility": VISIBILITIES[index % 3],
        "tags": [tag for tag, every in (("linux", 3), ("lts", 4), (origin, 1)) if index % every == 0],
        "family": "mint" if index % 2 else "vanilla",
        "min_disk": index % 5,
    }
    if index % 11 != 5:
        word = WORDS[index % len(WORDS)]
        image["name"] = word if index % 5 == 0 else f"{word} {index:03d}"
    if disk_format:
        image["disk_format"] = disk_format
    if container_format:
        image["container_format"] = container_format
    if index % 20 == 9:
        image["visibility"] = "community"
    if index % 20 == 19:
        image["os_hidden"] = True
    if index % 13 == 7:
        image["protected"] = True
    return image


def sow(wire: Wire, count: int, origin: str, store: str | None = None) -> Iterator[str]:
    """Creates `count` images through `wire`, gives data to some, and yields their ids.

    Sizes repeat, and an image without data has none at all: both have misled paging code before.
    """
    for index in range(count):
        image = wire.create(attributes(index, origin), store)
        if image["disk_format"] == "raw" and image["container_format"] and index % 4:
            wire.upload(image["id"], b"seed\n" * (index % 7 * 20), store).expect(204)
        yield image["id"]
