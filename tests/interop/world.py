"""What a test run consists of: the endpoint under test, the stores behind it, and what was put there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import seeds
import walk
from glance import Glance, WsgiServer
from portico import Portico
from processes import Process, free_port
from wire import Wire

STORES = ("local", "scratch", "paris", "tokyo")
GLANCES = ("paris", "tokyo")
Target = Literal["portico", "glance"]


@dataclass
class World:
    """The servers of one run, and the ledger of the images in them."""

    target: Target
    home: Path
    glance_venv: Path
    binary: Path | None
    servers: list[Process] = field(default_factory=list)
    glances: dict[str, Glance] = field(default_factory=dict)
    portico: Portico | None = None
    ledger: dict[str, str] = field(default_factory=dict)
    _listed: set[str] = field(default_factory=set)

    @cached_property
    def front(self) -> Wire:
        """The endpoint under test, by hand."""
        return Wire(self.servers[-1].endpoint)

    def upstream(self, store: str) -> Wire:
        """Where to look behind the front: a store's own Glance; the front itself where there is none."""
        glance = self.glances.get(store)
        return Wire(glance.endpoint) if glance else self.front

    def raise_servers(self) -> None:
        """Starts everything from nothing."""
        shutil.rmtree(self.home, ignore_errors=True)
        if self.target == "glance":
            # One Glance with four file stores of the same names: all that can be said to a single service
            # can be tried on the real thing before Portico is held to it.
            self._add(self._glance("front", "gunicorn", stores=STORES))
            return
        self.glances["paris"] = self._glance("paris", self._uwsgi_if_built())
        self.glances["tokyo"] = self._glance("tokyo", "gunicorn", page_cap=7)
        for glance in self.glances.values():
            self._add(glance)
        assert self.binary is not None
        endpoints = {name: glance.endpoint for name, glance in self.glances.items()}
        self.portico = Portico(self.home / "portico", free_port(), self.binary, endpoints)
        self._add(self.portico)

    def _add(self, server: Process) -> None:
        self.servers.append(server)
        server.start()

    def _glance(self, name: str, server: WsgiServer, **options: Any) -> Glance:
        return Glance(name, self.home / name, free_port(), self.glance_venv, server, **options)

    def _uwsgi_if_built(self) -> WsgiServer:
        return "uwsgi" if (self.glance_venv / "bin" / "uwsgi").exists() else "gunicorn"

    def stop_servers(self) -> None:
        """Stops everything, the front first."""
        for server in reversed(self.servers):
            server.stop()

    def sow(self) -> None:
        """Fills the stores: the Glances mostly behind the front's back, the others through it."""
        for store, count in (("paris", 66), ("tokyo", 64)):
            direct = self.glances.get(store)
            wire = Wire(direct.endpoint) if direct else self.front
            self._note(seeds.sow(wire, count, store, None if direct else store), store)
        for store, count in (("local", 10), ("scratch", 8), ("paris", 2), ("tokyo", 2)):
            self._note(seeds.sow(self.front, count, f"{store}-by-front", store), store)

    def _note(self, image_ids: Any, store: str) -> None:
        for image_id in image_ids:
            self.ledger[image_id] = store

    @cached_property
    def catalogue(self) -> dict[str, dict[str, Any]]:
        """The seeds as their own stores show them, hidden ones and others' too. No test changes a seed."""
        return {image_id: self.upstream(store).show(image_id) for image_id, store in self.ledger.items()}

    def listed(self) -> set[str]:
        """The ids a plain listing of the front owes. Asked once: every test removes what it adds."""
        if not self._listed:
            self._listed = self.list_behind_the_front()
        return self._listed

    def list_behind_the_front(self) -> set[str]:
        """What each Glance lists at this moment, and the rest by the ledger."""
        expected: set[str] = set()
        for store in self.glances:
            images = walk.by_next(self.upstream(store)).images
            ids = {image["id"] for image in images}
            assert len(ids) == len(images) > 50, f"{store} itself lists {len(images)} images, {len(ids)} different"
            expected |= ids
        for image_id, store in self.ledger.items():
            image = self.catalogue[image_id]
            if store not in self.glances and not image["os_hidden"] and image["visibility"] != "community":
                expected.add(image_id)
        return expected
