"""The judges judged: a check that cannot fail would let anything pass."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import portico
import report
import tempest_reports
import walk
from tempest_reports import Result
from tempest_runs import one_for_each
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


EXPECTATIONS = """
[[unmet]]
why = "there is none yet"
in = ["local-full"]
outcome = "skip"
tests = ["a.Cache", "a.Other.test_one"]
"""
AS_EXPECTED = [
    Result("a.Cache.test_one", "skip"),
    Result("a.Other.test_one", "skip"),
    Result("a.Other.test_two", "success"),
]


@pytest.mark.parametrize(
    ("results", "complaint"),
    [
        (AS_EXPECTED, None),
        ([*AS_EXPECTED, Result("a.New.test_one", "fail", "Traceback\nTimeout")], "does not pass: .*a.New.*# Timeout"),
        ([*AS_EXPECTED, Result("a.New.test_one", "skip")], "does not pass: skip .*a.New"),
        ([*AS_EXPECTED, Result("tearDownClass (a.Cache)", "fail")], r"does not pass: fail .*tearDownClass \(a.Cache"),
        ([Result("a.Cache.test_one", "success"), *AS_EXPECTED[1:]], r"passes, .*none yet\): a.Cache.test_one"),
        ([Result("a.Cache.test_one", "fail"), *AS_EXPECTED[1:]], "does not pass: fail .*a.Cache.test_one"),
        (AS_EXPECTED[1:], "is not there: a.Cache"),
    ],
)
def test_a_run_of_tempest_is_held_to_what_is_expected(results: list[Result], complaint: str | None) -> None:
    expectations = tempest_reports.expected(EXPECTATIONS, "local-full", ["local-full"])
    told = tempest_reports.judge(results, expectations, whole=True)
    assert not told if complaint is None else len(told) == 1 and re.search(complaint, told[0]), told


def test_a_part_of_a_run_of_tempest_need_not_have_everything() -> None:
    expectations = tempest_reports.expected(EXPECTATIONS, "local-full", ["local-full"])
    assert not tempest_reports.judge(AS_EXPECTED[2:], expectations, whole=False)


def test_an_expectation_of_a_run_that_there_is_not_is_refused() -> None:
    with pytest.raises(SystemExit, match="no such expectation"):
        tempest_reports.expected(EXPECTATIONS, "local-full", ["local-lax"])


def test_a_class_that_tempest_skips_counts_as_its_tests_and_silence_as_nothing() -> None:
    names = ["a.Cache.test_one", "a.Cache.test_two", "a.Other.test_one"]
    told = [Result("setUpClass (a.Cache)", "skip", "no cache"), Result("a.Other.test_one", "success")]
    results = one_for_each(names, told, Path("log"))
    assert [(one.name, one.status) for one in results] == [*zip(names, ["skip", "skip", "success"])]
    with pytest.raises(SystemExit, match="of 3 tests nothing is told of 1"):
        one_for_each(names, told[:1], Path("log"))


def test_reports_of_tempest_are_compared_by_test_over_all_rounds(tmp_path: Path) -> None:
    def report_of(name: str, *results: Result) -> None:
        (tmp_path / f"{name}.txt").write_text("\n".join(["tempest: about it", *(one.line() for one in results)]) + "\n")

    a, b, c = "a.One.test", "a.Two.test", "a.Three.test"
    report_of("baseline-full", Result(a, "success"), Result(b, "skip", "lax"), Result(c, "success"))
    report_of("baseline-lax", Result(b, "success"))
    report_of("local-full", Result(a, "success"), Result(b, "skip"), Result(c, "fail", "Traceback\nBadRequest"))
    report_of("local-lax", Result(b, "success"))
    report_of("glance-full", Result(a, "success"), Result(b, "skip", "lax"))
    lines = tempest_reports.compare(tmp_path, "baseline", ("local", "glance"), ("full", "lax"))
    assert lines[0] == "no report of glance-lax: what only they tell of is left out"
    assert [line.split() for line in lines[2:5]] == [
        ["baseline", "3", "3", "0", "0"],
        ["local", "3", "2", "1", "0"],
        ["glance", "2", "1", "0", "1"],
    ]
    assert lines[5:] == [
        "of 3 that pass at baseline, 2 pass at local: 66.7 %",
        f"    fail     {c}  # BadRequest",
        "of 3 that pass at baseline, 1 pass at glance: 33.3 %",
        f"    not run  {c}",
        f"    skip     {b}  # lax",
    ]
