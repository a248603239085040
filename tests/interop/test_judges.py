"""The judges judged: a check that cannot fail would let anything pass."""

from __future__ import annotations

import subprocess
import sys

import pytest

import portico
import report
import walk
from walk import NEWEST_FIRST, Order, Walk


def image(number: int, second: int, **other: object) -> walk.Image:
    return {"id": f"{number:03d}", "created_at": f"2026-01-01T00:00:{second:02d}Z", "name": "n", "size": None, **other}


IN_ORDER = [image(3, 9), image(2, 9), image(1, 9), image(7, 8)]


@pytest.fixture(autouse=True)
def a_tally_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """These walks are made up and must not count."""
    monkeypatch.setattr(walk, "tally", report.Tally())


def judged(images: list[walk.Image], expected: list[walk.Image], order: Order | None = NEWEST_FIRST) -> None:
    Walk(images, 1, "a made-up walk").check({one["id"] for one in expected}, order)


def test_a_good_walk_passes() -> None:
    judged(IN_ORDER, IN_ORDER)


def test_a_lost_image_is_noticed() -> None:
    with pytest.raises(AssertionError, match="1 lost, 0 doubled"):
        judged(IN_ORDER[:-1], IN_ORDER)


def test_a_doubled_image_is_noticed() -> None:
    with pytest.raises(AssertionError, match="0 lost, 1 doubled"):
        judged([*IN_ORDER, IN_ORDER[-1]], IN_ORDER)


def test_a_strange_image_is_noticed() -> None:
    with pytest.raises(AssertionError, match="1 not expected"):
        judged(IN_ORDER, IN_ORDER[1:])


@pytest.mark.parametrize("swapped", [(0, 1), (2, 3)], ids=["two of one second", "two of different seconds"])
def test_two_swapped_images_are_noticed(swapped: tuple[int, int]) -> None:
    images = IN_ORDER.copy()
    left, right = swapped
    images[left], images[right] = images[right], images[left]
    with pytest.raises(AssertionError, match="comes before"):
        judged(images, IN_ORDER)


def test_ties_may_run_either_way_after_two_directions_but_not_both_ways() -> None:
    order = Order((("name", "asc"), ("size", "desc")))
    up, down = [image(1, 1), image(2, 1), image(3, 1)], [image(3, 1), image(2, 1), image(1, 1)]
    judged(up, up, order)
    judged(down, up, order)
    with pytest.raises(AssertionError, match="comes before"):
        judged([up[1], up[0], up[2]], up, order)


def test_a_missing_value_sorts_before_every_other() -> None:
    images = [image(1, 1, size=None), image(2, 1, size=0), image(3, 1, size=5)]
    judged(images, images, Order((("size", "asc"),)))
    judged(images[::-1], images, Order((("size", "desc"),)))
    with pytest.raises(AssertionError, match="comes before"):
        judged([images[1], images[0], images[2]], images, Order((("size", "asc"),)))


def test_a_process_that_grows_is_seen_to_grow() -> None:
    grow = "import sys; sys.stdin.readline(); b = b'x' * (64 << 20); del b; print(flush=True); sys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", grow], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        portico.forget_peak_of(child.pid)
        before = portico.memory_of(child.pid)
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        grown = portico.memory_of(child.pid)["VmHWM"] - before["VmRSS"]
        child.stdin.close()
    assert grown > 60 * 1024
