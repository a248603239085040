"""The bars: how Portico must compare with its peers, and how it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from items import HASHING, VERIFIED
from rounds import Figure, Row, Sample, at_once, cost, peak, ratio, speed


@dataclass(frozen=True)
class Bar:
    """How Portico must compare, and how it does."""

    what: str
    found: float
    bound: float
    least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it does."""
        return self.found >= self.bound if self.least else self.found <= self.bound

    def line(self) -> str:
        """As a line of a table."""
        sign, digits = "≥" if self.least else "≤", 0 if self.unit else 2
        found = f"{self.found:.{digits}f}{self.unit}"
        return f"| {self.what} | {sign} {self.bound:g}{self.unit} | {found} | {'met' if self.met else '**not met**'} |"


def of(rows: list[Row]) -> list[Bar]:
    """All bars that these rows say something about."""
    found: list[Bar] = []
    for item, streams in dict.fromkeys((row.item, row.streams) for row in rows):
        group = {row.server: row for row in rows if (row.item, row.streams) == (item, streams)}
        if item in ("static", "copied"):
            found += _static(item, group, streams)
        elif item == "proxied":
            found += _proxied(group, streams)
        elif item == "upload":
            found += _upload(group)
    return found


def _static(item: str, group: dict[str, Row], streams: int) -> Iterable[Bar]:
    where = f"{item}, {at_once(streams)}"
    peer = _fastest(group, "nginx")
    if streams <= 8:
        yield from _least(f"{where}: speed by that of {peer}", group, "Portico", peer, speed, 1.0)
        spent = ratio(group["Portico"], group[peer], cost)
        if spent is not None:
            yield Bar(f"{where}: processor time per GiB by that of {peer}", spent, 1.1, least=False)
    yield from _least(f"{where}, verified: speed by SHA-512 on one core", group, VERIFIED, HASHING, speed, 0.9)
    yield from _memory(where, group, streams)


def _proxied(group: dict[str, Row], streams: int) -> Iterable[Bar]:
    where = f"proxied, {at_once(streams)}"
    peer = _fastest(group, "nginx")
    yield from _least(f"{where}: speed by that of {peer}", group, "Portico", peer, speed, 1.0)
    yield from _least(f"{where}, verified: speed by SHA-512 on one core", group, VERIFIED, HASHING, speed, 0.9)
    yield from _memory(where, group, streams)


def _upload(group: dict[str, Row]) -> Iterable[Bar]:
    disk = group["disk, written and synced"]
    limits = [_slower(*pair) for pair in zip(disk.samples, group[HASHING].samples, strict=True)]
    limit = Row("upload", 1, "limit", limits)
    slower = "the disk" if (disk.of(speed) or 0) < (group[HASHING].of(speed) or 0) else "SHA-512"
    group = {**group, "limit": limit}
    yield from _least(
        f"upload: speed by that of {slower}, the slower of disk and SHA-512", group, "Portico", "limit", speed, 0.85
    )
    glance = _fastest(group, "Glance")
    yield from _least(f"upload: speed by that of {glance}", group, "Portico", glance, speed, 3.0)


def _fastest(group: dict[str, Row], peer: str) -> str:
    """Which of the ways to set up a peer is the one to compare with: whichever is fastest under this load."""
    return max((name for name in group if name.startswith(peer)), key=lambda name: group[name].of(speed) or 0)


def _slower(one: Sample, other: Sample) -> Sample:
    return min(one, other, key=speed)


def _memory(where: str, group: dict[str, Row], streams: int) -> Iterable[Bar]:
    for name in ("Portico", VERIFIED):
        held = group[name].most(peak) if name in group else None
        if streams >= 64 and held is not None:
            verified = ", verified" if name == VERIFIED else ""
            yield Bar(f"{where}{verified}: resident memory at most", held, 128, least=False, unit=" MiB")


def _least(what: str, group: dict[str, Row], ours: str, theirs: str, figure: Figure, bound: float) -> Iterable[Bar]:
    if ours in group and theirs in group and (found := ratio(group[ours], group[theirs], figure)) is not None:
        yield Bar(what, found, bound, least=True)
