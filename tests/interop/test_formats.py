"""Images that the real qemu-img makes: taken if they are what they are said to be, refused if they lead elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from wire import Wire

QEMU_IMG = shutil.which("qemu-img")

pytestmark = pytest.mark.skipif(QEMU_IMG is None, reason="NOT TRIED: there is no qemu-img on this machine")

# disk_format, what qemu-img calls it, its options
GOOD = {
    "raw": ("raw", "raw", ""),
    "qcow2": ("qcow2", "qcow2", ""),
    "qcow2 of old": ("qcow2", "qcow2", "compat=0.10"),
    "qcow2 with extended entries": ("qcow2", "qcow2", "extended_l2=on"),
    "vmdk": ("vmdk", "vmdk", "subformat=monolithicSparse"),
    "vmdk for streams": ("vmdk", "vmdk", "subformat=streamOptimized"),
    "vhd": ("vhd", "vpc", "subformat=dynamic"),
    "vhd of fixed size": ("vhd", "vpc", "subformat=fixed"),
    "vhdx": ("vhdx", "vhdx", ""),
    "vdi": ("vdi", "vdi", ""),
}

# What Glance 33 takes for neither: a feature that it does not know, and a format that it does not look for at the end.
NOT_FOR_GLANCE = {"qcow2 with extended entries", "vhd of fixed size"}

SIZE = 4 << 20


def make(file: Path, kind: str, options: str, *more: str) -> Path:
    """An empty disk of 4 MiB."""
    command = [str(QEMU_IMG), "create", "-q", "-f", kind, *(["-o", options] if options else []), *more, str(file)]
    subprocess.run([*command, str(SIZE)], check=True, timeout=60)
    return file


def virtual_size(file: Path, kind: str) -> int:
    """What qemu-img itself reads from the header."""
    told = subprocess.run(
        [str(QEMU_IMG), "info", "-f", kind, "--output=json", str(file)], check=True, capture_output=True, timeout=60
    )
    return int(json.loads(told.stdout)["virtual-size"])


def queued(front: Wire, disposable: Callable[[str], str], disk_format: str, store: str) -> str:
    image = front.create({"name": "of qemu", "disk_format": disk_format, "container_format": "bare"}, store)
    return disposable(image["id"])


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("store", ["local", "paris"])
def test_each_format_is_taken_with_the_size_of_its_disk(
    front: Wire, disposable: Callable[[str], str], tmp_path: Path, name: str, store: str
) -> None:
    disk_format, kind, options = GOOD[name]
    file = make(tmp_path / "disk", kind, options)
    image_id = queued(front, disposable, disk_format, store)
    reply = front.upload(image_id, file.read_bytes(), store)
    if store == "paris" and name in NOT_FOR_GLANCE:
        assert reply.status == 415, "it is the store behind that says so"
        return
    reply.expect(204)
    image = front.show(image_id)
    assert image["status"] == "active"
    # A vhdx keeps it far behind its beginning: only a Glance reads that far.
    if kind == "vhdx" and store == "local":
        assert image["virtual_size"] is None
    elif name != "vhd of fixed size":
        assert image["virtual_size"] == virtual_size(file, kind)


@pytest.mark.parametrize("name", GOOD)
def test_each_format_is_refused_as_another(
    front: Wire, disposable: Callable[[str], str], tmp_path: Path, name: str
) -> None:
    disk_format, kind, options = GOOD[name]
    # What has its mark at the end alone cannot be told from plain bytes, which only raw may be.
    others = {"raw", "qcow2", "vmdk", "vdi"} - {disk_format} - ({"raw"} if name == "vhd of fixed size" else set())
    data = make(tmp_path / "disk", kind, options).read_bytes()
    for other in sorted(others):
        image_id = queued(front, disposable, other, "local")
        reply = front.upload(image_id, data, "local")
        assert reply.status == 415, (other, reply.body)
        assert front.show(image_id)["status"] == "queued"


def leads_elsewhere(directory: Path) -> dict[str, tuple[str, Path]]:
    """Images that make whoever opens them open another file."""
    base = make(directory / "base", "qcow2", "")
    backed = directory / "backed"
    subprocess.run(
        [str(QEMU_IMG), "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(backed)],
        check=True,
        timeout=60,
    )
    return {
        "a backing file": ("qcow2", backed),
        "a data file": ("qcow2", make(directory / "outside", "qcow2", f"data_file={directory / 'data'}")),
        "a flat extent": ("vmdk", make(directory / "flat", "vmdk", "subformat=monolithicFlat")),
        "several extents": ("vmdk", make(directory / "split", "vmdk", "subformat=twoGbMaxExtentSparse")),
    }


@pytest.mark.parametrize("store", ["local", "scratch", "paris"])
def test_an_image_that_leads_to_another_file_is_refused_and_a_good_one_taken_after_it(
    front: Wire, disposable: Callable[[str], str], tmp_path: Path, store: str
) -> None:
    for name, (disk_format, file) in leads_elsewhere(tmp_path).items():
        image_id = queued(front, disposable, disk_format, store)
        reply = front.upload(image_id, file.read_bytes(), store)
        assert reply.status == 415, (name, reply.body)
        good = make(tmp_path / "good", *GOOD[disk_format][1:])
        front.upload(image_id, good.read_bytes(), store).expect(204)
        assert front.show(image_id)["status"] == "active"
