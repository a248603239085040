"""Rounds: who is measured takes turns, and what is compared was measured side by side.

The speed of a machine changes within seconds when others use it too. A ratio is therefore taken within each round, and
of those the median; medians of speeds are shown, but nothing is decided by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

GIB = 1 << 30
Figure = Callable[["Sample"], float | None]


@dataclass(frozen=True)
class Sample:
    """One measurement of one server. `cpu` is in seconds, `peak` in MiB; a limit that is no server has neither."""

    seconds: float
    size: int
    answers: int = 0
    cpu: float | None = None
    peak: float | None = None

    @property
    def gib(self) -> float:
        """GiB per second."""
        return self.size / GIB / self.seconds

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds

    @property
    def cpu_per_gib(self) -> float | None:
        """Seconds on a processor per GiB."""
        return None if self.cpu is None or not self.size else self.cpu / (self.size / GIB)

    @property
    def cpu_per_answer(self) -> float | None:
        """Seconds on a processor per answer."""
        return None if self.cpu is None or not self.answers else self.cpu / self.answers


def speed(sample: Sample) -> float:
    """GiB per second, as a figure to ask a row for."""
    return sample.gib


def cost(sample: Sample) -> float | None:
    """Seconds on a processor per GiB."""
    return sample.cpu_per_gib


def peak(sample: Sample) -> float | None:
    """Resident memory in MiB."""
    return sample.peak


def at_once(streams: int) -> str:
    """How many streams, in words."""
    return "1 stream" if streams == 1 else f"{streams} streams"


@dataclass
class Row:
    """What was measured of one server under one load, a sample for each round."""

    item: str
    streams: int
    server: str
    samples: list[Sample] = field(default_factory=list)

    def of(self, what: Figure) -> float | None:
        """The median of a figure, if there is one."""
        figures = [figure for sample in self.samples if (figure := what(sample)) is not None]
        return median(figures) if figures else None

    def most(self, what: Figure) -> float | None:
        """The largest of a figure, if there is one."""
        return max((figure for sample in self.samples if (figure := what(sample)) is not None), default=None)


def order(count: int, number: int) -> list[int]:
    """In which order `count` servers have their turns in a round: forth and back, and each time another one first.

    Who comes after whom, and when, would otherwise be the same each time, and count for or against somebody.
    """
    turns = [(number // 2 + place) % count for place in range(count)]
    return turns if number % 2 == 0 else turns[::-1]


def alternate(rows: Sequence[Row], measures: Sequence[Callable[[], Sample]], rounds: int) -> None:
    """Measures each server once in every round."""
    for number in range(rounds):
        for turn in order(len(rows), number):
            rows[turn].samples.append(measures[turn]())


def ratio(ours: Row, theirs: Row, what: Figure) -> float | None:
    """The median over the rounds of our figure by theirs."""
    ratios = []
    for our, their in zip(ours.samples, theirs.samples, strict=True):
        above, below = what(our), what(their)
        if above is None or not below:
            return None
        ratios.append(above / below)
    return median(ratios) if ratios else None
