"""What Tempest found: written down, held to what is expected, and compared between targets."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STATUSES = ("success", "fail", "skip")


@dataclass(frozen=True)
class Result:
    """What came of one test. `status` is one of STATUSES, and `why` what Tempest says if it is not the first."""

    name: str
    status: str
    why: str = ""

    def line(self) -> str:
        """One line of a report."""
        last = self.why.splitlines()[-1] if self.why else ""
        return f"{self.status:8} {self.name}" + (f"    # {last}" if self.status != "success" and last else "")

    @staticmethod
    def of_line(line: str) -> Result:
        """What a line of a report says."""
        told, _, why = line.partition("    # ")
        status, _, name = told.partition(" ")
        return Result(name.strip(), status, why)


def counted(results: Iterable[Result]) -> dict[str, int]:
    """How many there are of each status."""
    count = Counter(result.status for result in results)
    return {status: count[status] for status in STATUSES}


def summary(title: str, results: Sequence[Result], seconds: float) -> str:
    """One line about a run."""
    count = counted(results)
    return (
        f"tempest {title}: {len(results)} tests, {count['success']} passed, {count['fail']} failed, "
        f"{count['skip']} skipped in {seconds:.0f} s"
    )


@dataclass(frozen=True)
class Expectation:
    """That some tests, or all tests of some classes, do not pass in one round of a target."""

    names: frozenset[str]
    outcome: str
    why: str


def expected(text: str, run: str, runs: Collection[str]) -> list[Expectation]:
    """What is expected not to pass in a run, one of all `runs` there are."""
    entries = tomllib.loads(text)["unmet"]
    for one in entries:
        if not one["why"] or one["outcome"] not in ("fail", "skip") or not set(one["in"]) <= set(runs):
            raise SystemExit(f"no such expectation can be met: {one}")
    return [Expectation(frozenset(one["tests"]), one["outcome"], one["why"]) for one in entries if run in one["in"]]


def judge(results: Sequence[Result], expectations: Sequence[Expectation], whole: bool) -> list[str]:
    """What is not as expected. After a `whole` round nothing that is expected may have been missing."""
    wrong, met = [], set()
    for result in results:
        names = {result.name, result.name.rpartition(".")[0]}
        there = [one for one in expectations if not one.names.isdisjoint(names)]
        met |= names
        if result.status == "success" and there:
            wrong.append(f"passes, and is expected not to ({there[0].why}): {result.name}")
        if result.status != "success" and result.status not in (one.outcome for one in there):
            wrong.append(f"does not pass: {result.line()}")
    if whole:
        stale = {name for one in expectations for name in one.names} - met
        wrong += [f"is expected not to pass, and is not there: {name}" for name in sorted(stale)]
    return wrong


def read(reports: Path, target: str, rounds: Iterable[str]) -> dict[str, Result]:
    """What all rounds of a target say of each test: it passes if it does in one of them, and fails in none."""
    rank = {"skip": 0, "success": 1, "fail": 2}
    best: dict[str, Result] = {}
    for round_ in rounds:
        file = reports / f"{target}-{round_}.txt"
        if not file.exists():
            continue
        for line in file.read_text().splitlines():
            if not line.startswith(STATUSES):
                continue
            result = Result.of_line(line)
            if result.name not in best or rank[result.status] > rank[best[result.name].status]:
                best[result.name] = result
    return best


def compare(reports: Path, base: str, others: Sequence[str], rounds: Sequence[str]) -> list[str]:
    """How far the others come of what passes at the base, from the reports that are there."""
    found = {target: read(reports, target, rounds) for target in (base, *others)}
    absent = [f"{t}-{r}" for t in found for r in rounds if not (reports / f"{t}-{r}.txt").exists()]
    lines = [f"no report of {', '.join(absent)}: what only they tell of is left out"] if absent else []
    lines.append(f"{'':10}{'tests':>8}{'passed':>8}{'failed':>8}{'skipped':>8}")
    for target, results in found.items():
        figures = "".join(f"{number:8}" for number in (len(results), *counted(results.values()).values()))
        lines.append(f"{target:10}{figures}")
    passing = [name for name, result in sorted(found[base].items()) if result.status == "success"]
    if not passing:
        raise SystemExit(f"nothing is known to pass at {base}: run that first")
    for target in others:
        lines += _shortfall(base, passing, target, found[target])
    return lines


def _shortfall(base: str, passing: Sequence[str], target: str, results: Mapping[str, Result]) -> list[str]:
    """How many of what passes elsewhere pass at a target, and what does not."""
    short = [name for name in passing if name not in results or results[name].status != "success"]
    here = len(passing) - len(short)
    lines = [f"of {len(passing)} that pass at {base}, {here} pass at {target}: {100 * here / len(passing):.1f} %"]
    for name in short:
        result = results.get(name, Result(name, "not run"))
        lines.append("    " + re.sub(r"\s+# ", "  # ", result.line()))
    return lines
