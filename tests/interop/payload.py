"""Image data for the tests: made, not shipped, and the same in every run."""

from __future__ import annotations

import hashlib
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


def block(seed: int, size: int = MIB) -> bytes:
    """Bytes that neither compress nor look like the head of a disk image."""
    return b"payload\n" + random.Random(seed).randbytes(size - 8)


@dataclass(frozen=True)
class Payload:
    """A file on disk with its digests."""

    path: Path
    size: int
    md5: str
    sha512: str

    @staticmethod
    def write(path: Path, size: int) -> Payload:
        """Makes the file, a whole number of MiB, each different from its neighbours."""
        md5, sha512 = hashlib.md5(usedforsecurity=False), hashlib.sha512()
        with path.open("wb") as file:
            for number in range(size // MIB):
                data = block(number)
                md5.update(data)
                sha512.update(data)
                file.write(data)
        return Payload(path, size, md5.hexdigest(), sha512.hexdigest())

    def part(self, first: int, last: int) -> bytes:
        """The bytes from `first` to `last`, both included."""
        with self.path.open("rb") as file:
            file.seek(first)
            return file.read(last - first + 1)

    def equals(self, other: Path) -> bool:
        """Whether another file holds the same bytes."""
        digest = hashlib.sha512()
        with other.open("rb") as file:
            while data := file.read(MIB):
                digest.update(data)
        return digest.hexdigest() == self.sha512


def repeated(data: bytes, times: int) -> Iterator[bytes]:
    """The same block again and again: as long as one likes, and never more than one block in memory."""
    for _ in range(times):
        yield data


def empty_qcow2(size: int) -> bytes:
    """A qcow2 of version 3 whose disk has this many bytes, up to 512 MiB, none of them ever written."""
    cluster = 1 << 16
    refcount_table, refcount_block, mapping = (place * cluster for place in (1, 2, 3))
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        b"QFI\xfb", 3, 0, 0, cluster.bit_length() - 1, size, 0, 1, mapping, refcount_table, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    # One table that names one block, in which each of the four clusters is used once; and a mapping to nothing.
    contents = (header, struct.pack(">Q", refcount_block), struct.pack(">4H", 1, 1, 1, 1), b"")
    return b"".join(part.ljust(cluster, b"\0") for part in contents)
