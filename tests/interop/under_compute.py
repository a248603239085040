"""The images of the Compute API, as Tempest finds them at a real Nova and at Portico."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from keystone import REGION, Keystone
from nova import Nova
from portico import Portico, toml
from processes import Process, free_port
from tempest_reports import Result, counted, summary
from tempest_runs import run
from wire import Wire

# All there is in Tempest 47.0.0, in two rounds, each with whether images can be taken of servers. They cannot, as there
# is no hypervisor, and so most tests go without. Those of the second round make none, but are there only if they could.
ROUNDS = {
    r"tempest\.api\.compute\.images\.(?!.*ImagesDeleteNegative)": False,
    r"tempest\.api\.compute\.images\..*ImagesDeleteNegative": True,
}
COUNT = 51
# How many of them want no servers.
PASSING = 30


class Scene:
    """A Keystone, Portico with a directory, and a Nova whose images are Portico's."""

    def __init__(self, home: Path, state: Path, binary: Path) -> None:
        self.home = home
        self.state = state
        self.binary = binary
        self.servers: list[Process] = []
        self.keystone = Keystone(home / "keystone", free_port(), state / "keystone-venv")

    def start(self) -> None:
        """Raises everything, and makes an image for everybody."""
        self._add(self.keystone)
        self.portico = Portico(self.home / "portico", free_port(), self.binary, {}, settings=self._settings())
        self._add(self.portico)
        self.keystone.catalogue("image", self.portico.endpoint, "glance")
        self.nova = Nova(self.home / "nova", free_port(), self.state / "nova-venv", self.keystone)
        self._add(self.nova)
        self.image = self._public_image()

    def stop(self) -> None:
        """Stops everything."""
        for server in reversed(self.servers):
            server.stop()

    def _add(self, server: Process) -> None:
        self.servers.append(server)
        server.start()

    def _settings(self) -> str:
        asking = {"url": self.keystone.url, "credential": self.keystone.service.credential()}
        return f"""[api]
compute = true
[auth]
kind = "keystone"
keystone = {toml(asking)}
[[backend]]
name = "local"
kind = "local"
options = {toml({"path": str(self.home / "portico" / "local")})}
"""

    def _public_image(self) -> str:
        headers = {"X-Auth-Token": self.keystone.token(self.keystone.admin)}
        image = {"name": "base", "disk_format": "raw", "container_format": "bare", "visibility": "public"}
        wire = Wire(self.portico.endpoint)
        image_id: str = wire.request("POST", "/v2/images", headers, json_body=image).expect(201).json()["id"]
        headers["Content-Type"] = "application/octet-stream"
        wire.request("PUT", f"/v2/images/{image_id}/file", headers, body=b"base").expect(204)
        return image_id


def configuration(scene: Scene, home: Path, snapshot: bool) -> str:
    """Tempest's own configuration."""
    admin = scene.keystone.admin
    return f"""[DEFAULT]
log_file = tempest.log
log_dir = {home}
[oslo_concurrency]
lock_path = {home}/lock
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = {admin.name}
admin_password = {admin.password}
admin_project_name = {admin.project}
admin_domain_name = Default
[identity]
auth_version = v3
uri_v3 = {scene.keystone.url}
region = {REGION}
[service_available]
glance = true
nova = true
cinder = false
neutron = false
swift = false
horizon = false
[compute]
region = {REGION}
image_ref = {scene.image}
image_ref_alt = {scene.image}
[compute-feature-enabled]
snapshot = {str(snapshot).lower()}
[image]
region = {REGION}
"""


def play(state: Path) -> list[str]:
    """Runs the tests at both, and tells what is wrong."""
    home = state / "compute"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    scene = Scene(home, state, Path(os.environ["PORTICO_BIN"]))
    try:
        scene.start()
        found = {name: tried(scene, name) for name in ("nova", "portico")}
    finally:
        scene.stop()
    return judged(found["nova"], found["portico"])


def tried(scene: Scene, name: str) -> list[Result]:
    """What comes of all rounds at one of the two."""
    server = {"nova": scene.nova, "portico": scene.portico}[name]
    scene.keystone.catalogue("compute", f"{server.endpoint}/v2.1", "nova")
    results: list[Result] = []
    started = time.monotonic()
    for number, (regex, snapshot) in enumerate(ROUNDS.items()):
        place = scene.home / f"at-{name}-{number}"
        place.mkdir()
        results += run(scene.state / "tempest-venv", place, configuration(scene, place, snapshot), regex)
    line = summary(f"compute at {name}", results, time.monotonic() - started)
    report = [line, *sorted(result.line() for result in results)]
    (scene.home / f"{name}.txt").write_text("\n".join(report) + "\n")
    print(line, flush=True)
    return results


def judged(nova: list[Result], here: list[Result]) -> list[str]:
    """What does not come out here as it does at Nova, fails at both, or is missing."""
    there = {result.name: result for result in nova}
    ours = {result.name: result for result in here}
    wrong = [f"is told of by one alone: {name}" for name in sorted(there.keys() ^ ours.keys())]
    for name in sorted(there.keys() & ours.keys()):
        if there[name].status != ours[name].status:
            wrong.append(f"at Nova {there[name].line()}\nhere    {ours[name].line()}")
        elif ours[name].status == "fail":
            wrong.append(f"fails at both: {ours[name].line()}")
    if len(ours) != COUNT or counted(here)["success"] != PASSING:
        wrong.append(f"of {COUNT} tests {PASSING} are to pass; of {len(ours)} there passed {counted(here)['success']}")
    return wrong


def end_as_if_interrupted(*_: object) -> None:
    """A polite kill has to stop the servers too, as an interrupt does."""
    raise KeyboardInterrupt


def main() -> int:
    signal.signal(signal.SIGTERM, end_as_if_interrupted)
    wrong = play(Path(os.environ["PORTICO_INTEROP_DIR"]))
    print("\n".join(wrong), end="\n" if wrong else "", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
