"""Tempest against a target, which is raised for it; and what it found, held to what is expected."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from tempest_reports import compare, expected, judge, summary
from tempest_runs import configuration, run
from tempest_targets import ROUNDS, TARGETS, Round, Scene, Target, short

EXPECTED = Path(__file__).resolve().parent / "tempest-expected.toml"


def play(state: Path, target: Target, round_: Round, regex: str) -> list[str]:
    """Runs a round of a target, or a part of it, and tells what is not as expected."""
    name = f"{target}-{round_}"
    runs = [f"{one}-{other}" for one in TARGETS for other in ROUNDS]
    expectations = expected(EXPECTED.read_text(), name, runs)
    home = state / "tempest" / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    # The baseline is without it.
    binary = Path(os.environ.get("PORTICO_BIN", ""))
    scene = Scene(target, round_, home, state / "keystone-venv", state / "glance-venv", binary)
    started = time.monotonic()
    try:
        scene.start()
        results = run(state / "tempest-venv", scene.home, configuration(scene), regex)
    finally:
        scene.stop()
    told = summary(name, results, time.monotonic() - started)
    whole = regex == ROUNDS[round_]
    # Only what is told of a whole round is compared.
    report = home.with_name(f"{name}.txt" if whole else f"{name}-part.txt")
    report.write_text("\n".join([told, *sorted(result.line() for result in results)]) + "\n")
    wrong = [f"{name}: {line}" for line in judge(results, expectations, whole)]
    print("\n".join([*wrong, told]), flush=True)
    return wrong


def end_as_if_interrupted(*_: object) -> None:
    """A polite kill has to stop the servers too, as an interrupt does."""
    raise KeyboardInterrupt


def asked() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="tempest", description=__doc__)
    parser.add_argument("regex", nargs="?", help="only tests whose names have it")
    parser.add_argument("--target", choices=TARGETS, default="local")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--round", choices=list(ROUNDS), default="full")
    which.add_argument("--all-rounds", action="store_true")
    which.add_argument("--short", action="store_true", help="a part of the round `full`")
    which.add_argument("--compare", action="store_true", help="run nothing, compare the reports of all targets")
    arguments = parser.parse_args()
    if arguments.regex and (arguments.all_rounds or arguments.short or arguments.compare):
        parser.error("an expression goes with one round alone")
    return arguments


def main() -> int:
    arguments = asked()
    state = Path(os.environ["PORTICO_INTEROP_DIR"])
    if arguments.compare:
        others = [target for target in TARGETS if target != "baseline"]
        print("\n".join(compare(state / "tempest", "baseline", others, list(ROUNDS))))
        return 0
    signal.signal(signal.SIGTERM, end_as_if_interrupted)
    rounds: list[Round] = list(ROUNDS) if arguments.all_rounds else [arguments.round]
    wrong = []
    for round_ in rounds:
        regex = short(arguments.target) if arguments.short else arguments.regex or ROUNDS[round_]
        wrong += play(state, arguments.target, round_, regex)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
