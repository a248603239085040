"""What a server costs: the time that its processes were on a processor, and the memory that they hold."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def processor_seconds(pids: list[int]) -> float:
    """User and system time of all threads these processes ever had.

    It is what utime and stime of /proc/PID/stat sum up to, by the same counter, but in nanoseconds: those are in steps
    of 10 ms, which is much for a measurement of two seconds.
    """
    # The number of another process's clock, as clock_getcpuclockid(3) makes it.
    return sum(time.clock_gettime_ns((~pid << 3) | 2) for pid in pids) / 1e9


def forget_peak(pids: list[int]) -> None:
    """Lets the kernel count the peak of resident memory anew."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pids: list[int]) -> float:
    """The sum of the peaks of resident memory (VmHWM), which is at least the peak of the sum."""
    kib = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                kib += int(line.split()[1])
    return kib / 1024


def busy_seconds() -> float:
    """How long the processors of this machine were busy since it was started, for whomever."""
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = Path("/proc/stat").read_text().split()[1:9]
    ticks = sum(int(part) for part in (user, nice, system, interrupts, soft, stolen))
    return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """How long this process was on a processor, and all below it that has ended."""
    return sum(os.times()[:4])


def sha512_gib() -> float:
    """How many GiB a second one core hashes with SHA-512, as OpenSSL does it."""
    command = ["openssl", "speed", "-seconds", "2", "-bytes", "16384", "sha512"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return openssl_gib(done.stdout)


def openssl_gib(table: str) -> float:
    """Reads the last line of the table that `openssl speed` prints, `sha512  715000.00k`, in units of 1000 bytes."""
    last = table.strip().splitlines()[-1].split()
    if last[0] != "sha512" or not last[-1].endswith("k"):
        raise ValueError(f"openssl speed printed something else than expected: {last}")
    return float(last[-1][:-1]) * 1000 / (1 << 30)


def disk_gib(source: Path, directory: Path) -> float:
    """How many GiB a second are copied into a new file in the directory and safe there."""
    target = directory / "probe"
    try:
        with source.open("rb") as reading, target.open("wb", buffering=0) as writing:
            begun = time.monotonic()
            size = 0
            while piece := reading.read(1 << 20):
                size += writing.write(piece)
            os.fsync(writing.fileno())
            return size / (1 << 30) / (time.monotonic() - begun)
    finally:
        target.unlink(missing_ok=True)
