"""The suite's own servers do what the other tests rely on."""

from __future__ import annotations

from pathlib import Path

import pytest

from glance import Glance
from processes import Process, free_port
from wire import Wire
from world import World


def test_a_glance_goes_refuses_returns_and_remembers(world: World, tmp_path: Path) -> None:
    glance = Glance("spare", tmp_path, free_port(), world.glance_venv, "gunicorn", page_cap=2)
    wire = Wire(glance.endpoint)
    try:
        glance.start()
        kept = {wire.create({"name": name})["id"] for name in ("a", "b", "c")}
        assert len(wire.get("/v2/images?limit=3").json()["images"]) == 2
        glance.stop()
        with pytest.raises(ConnectionRefusedError):
            wire.get("/")
        glance.start()
        assert all(wire.show(image_id)["status"] == "queued" for image_id in kept)
        glance.freeze()
        wire.timeout = 1
        with pytest.raises(TimeoutError):
            wire.get("/v2/images")
        glance.thaw()
        wire.timeout = 30
        wire.get("/v2/images").expect(200)
    finally:
        glance.stop()


def test_a_server_whose_port_is_taken_does_not_start(world: World, tmp_path: Path) -> None:
    taken = Process("second", tmp_path, world.servers[-1].port)
    with pytest.raises(RuntimeError, match="something else already answers"):
        taken.start()


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    class Broken(Process):
        def command(self) -> list[str]:
            return ["sh", "-c", "echo the reason; exit 3"]

    with pytest.raises(RuntimeError, match="ended with 3; its log:\nthe reason"):
        Broken("broken", tmp_path, free_port()).start()
