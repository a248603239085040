"""Measures what the words on the command line ask for, and tells it in Markdown. See README.md beside this file."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

import gauges
import results
from items import Items, Plan, say
from rounds import Row
from stage import Stage

ITEMS = ("static", "copied", "proxied", "upload", "requests")
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """From the words to the tables."""
    words = _words()
    # It leads to our own modules. A Glance would find one that is called as it is.
    os.environ.pop("PYTHONPATH", None)
    signal.signal(signal.SIGTERM, _end)
    begun, busy, own = time.monotonic(), gauges.busy_seconds(), gauges.own_seconds()
    state = Path(os.environ["PORTICO_INTEROP_DIR"])
    binary = Path(os.environ["PORTICO_BIN"])
    size = words.size or (32 if words.short else 1024)
    plan = Plan(
        time=words.time or (0.3 if words.short else 2.0),
        rounds=words.rounds or (1 if words.short else 5),
        streams=tuple(words.streams),
    )
    stage = Stage(state / "bench", state / "glance-venv", binary, Path(os.environ["LOAD_BIN"]), size)
    rows: list[Row] = []
    try:
        items = Items(stage, plan)
        for name in words.only:
            rows += getattr(items, name)()
    finally:
        stage.close()
    took = time.monotonic() - begun
    # All servers have ended, so what is ours is known.
    others = (gauges.busy_seconds() - busy - (gauges.own_seconds() - own)) / took
    say(f"measured in {took:.0f} s")
    text = results.markdown(rows, results.setting(binary, size, plan, others))
    print(text)
    if words.write:
        results.write(RESULTS, rows, text)
        say(f"written to {RESULTS}")


def _words() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("--only", type=_items, default=ITEMS, help=f"some of {','.join(ITEMS)}")
    parser.add_argument("--streams", type=_numbers, default=(1, 8, 64), help="how many downloads at once: 1,8,64")
    parser.add_argument("--short", action="store_true", help="small files, once: whether it works, not how fast it is")
    parser.add_argument("--rounds", type=int, help="how often each is measured: 5")
    parser.add_argument("--time", type=float, help="seconds of one measurement of downloads and requests: 2")
    parser.add_argument("--size", type=int, help="MiB of the file: 1024")
    parser.add_argument("--write", action="store_true", help="keeps tables and plot in tests/bench/results")
    return parser.parse_args()


def _items(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(ITEMS):
        raise argparse.ArgumentTypeError(f"no such items: {', '.join(sorted(unknown))}")
    return names


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(number) for number in text.split(","))
    if not all(0 < number <= 512 for number in numbers):
        raise argparse.ArgumentTypeError("numbers from 1 to 512")
    return numbers


def _end(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
