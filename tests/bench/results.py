"""What was found, for people: a document with tables, and a plot."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from dataclasses import asdict
from pathlib import Path

import bars
import peers
import plot
from items import Plan
from rounds import Row, Sample, cost, peak, speed

DOWNLOADS = ("static", "copied", "proxied")
REQUESTS = ("show", "list")
TITLES = {
    "static": "A file of its own, to a client that discards it",
    "copied": "A file of its own, to a client that copies it",
    "proxied": "A file of an upstream, to a client that discards it",
    "upload": "An upload",
    "show": "One image, 4 KiB",
    "list": "A list, 4 KiB",
}


def markdown(rows: list[Row], setting: str) -> str:
    """Everything, as a document."""
    parts = ["# What was measured", setting, "## Bars"]
    parts += ["\n".join(["| Portico | bar | found | |", "|---|---|---|---|", *(bar.line() for bar in bars.of(rows))])]
    if any(row.item in DOWNLOADS for row in rows):
        parts.append("![Speed and cost of downloads](downloads.svg)")
    for item in dict.fromkeys(row.item for row in rows):
        parts += [f"## {TITLES[item]}", _table([row for row in rows if row.item == item])]
    parts += ["## Configurations of the peers", *(_code(text) for text in peers.configurations())]
    return "\n\n".join(parts) + "\n"


def _table(rows: list[Row]) -> str:
    small = rows[0].item in REQUESTS
    units = ("answers/s", "CPU ms per answer") if small else ("GiB/s", "CPU s per GiB")
    lines = [
        f"| at once | server | {units[0]} | lowest, highest | {units[1]} | memory, MiB |",
        "|---|---|---|---|---|---|",
    ]
    fast, spent, digits = (_rate, _milliseconds, 0) if small else (speed, cost, 2)
    for row in rows:
        figures = [fast(sample) for sample in row.samples]
        lines.append(
            f"| {row.streams} | {row.server} | {_number(row.of(fast), digits)} | {min(figures):.{digits}f}, "
            f"{max(figures):.{digits}f} | {_number(row.of(spent), 3)} | {_number(row.most(peak), 0)} |"
        )
    return "\n".join(lines)


def _rate(sample: Sample) -> float:
    return sample.rate


def _milliseconds(sample: Sample) -> float | None:
    return None if sample.cpu_per_answer is None else sample.cpu_per_answer * 1000


def _number(figure: float | None, digits: int) -> str:
    return "" if figure is None else f"{figure:.{digits}f}"


def _code(text: str) -> str:
    return f"```\n{text.strip()}\n```"


def setting(binary: Path, size_mib: int, plan: Plan, others: float) -> str:
    """On what machine, of which versions, and how it was measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    version = subprocess.run([str(binary), "--version"], capture_output=True, text=True, timeout=10).stdout.strip()
    versions = ", ".join(f"{name} {found}" for name, found in peers.versions().items())
    return "\n".join(
        [
            f"* {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; Linux {platform.release()}; {model}, "
            f"{os.cpu_count()} cores, of which others took {max(others, 0):.1f} in the mean",
            f"* {version}, {os.environ.get('BENCH_PROGRAM', 'built elsewhere')}; {versions}; Glance {_glance()} with "
            "a worker of 8 threads for each core and a file store",
            f"* A file of {size_mib} MiB in the page cache; {plan.rounds} rounds (uploads at most 3) of "
            f"{plan.time:g} s",
            "* Ratios are medians of the ratios within each round; other figures are medians, memory is the most seen.",
        ]
    )


def _glance() -> str:
    pins = (Path(__file__).parent.parent / "interop" / "requirements-glance.txt").read_text().splitlines()
    return next((pin.partition("==")[2] for pin in pins if pin.startswith("glance==")), "unknown")


def write(directory: Path, rows: list[Row], text: str) -> None:
    """Keeps the document, the plot, and the samples that both are made of."""
    directory.mkdir(exist_ok=True)
    (directory / "README.md").write_text(text)
    (directory / "samples.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    if downloads := [row for row in rows if row.item in DOWNLOADS]:
        (directory / "downloads.svg").write_text(plot.downloads(downloads))
