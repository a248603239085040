"""The Image API v1, as the last Tempest that tests it and the client of its time find it."""

from __future__ import annotations

import argparse
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from files import Files
from keystone import REGION, Keystone, User
from payload import MIB, block
from portico import Portico, toml
from processes import Process, free_port, wait_until
from tempest_reports import Result, summary

# What there is in Tempest 16.1.0.
ALL = r"tempest\.api\.image\.v1"
COUNT = 27
# A run takes a minute; one that takes longer than this, in seconds, hangs.
LONGEST = 900
# A line of Tempest about one test.
LINE = re.compile(r"^\{\d\} (?P<name>setUpClass \([\w.]+\)|[\w.]+)(\[.*\])? (\[[\d.]+s\] )?\.\.\. (?P<outcome>\w+)")
OUTCOMES = {"ok": "success", "FAILED": "fail", "SKIPPED": "skip"}


class Scene:
    """A Keystone, files to fetch, and Portico with v1 and a store of each kind that v1 can use."""

    def __init__(self, home: Path, keystone_venv: Path, binary: Path) -> None:
        self.home = home
        self.servers: list[Process] = []
        self.keystone = Keystone(home / "keystone", free_port(), keystone_venv)
        self.files = Files(home / "files", free_port(), {"disk.raw": block(0, MIB)})
        self.binary = binary

    def start(self) -> None:
        """Raises everything."""
        for server in (self.keystone, self.files):
            self._add(server)
        self.portico = Portico(self.home / "portico", free_port(), self.binary, {}, settings=self._settings())
        self.keystone.catalogue("image", self.portico.endpoint, "glance")
        self._add(self.portico)

    def stop(self) -> None:
        """Stops everything, the front first."""
        for server in reversed(self.servers):
            server.stop()

    def _add(self, server: Process) -> None:
        self.servers.append(server)
        server.start()

    def _settings(self) -> str:
        place = self.home / "portico"
        asking = {"url": self.keystone.url, "credential": self.keystone.service.credential()}
        fetch = {"ports": [self.files.port], "allow_networks": ["127.0.0.0/8"]}
        return f"""[api]
v1 = true
[auth]
kind = "keystone"
keystone = {toml(asking)}
[state]
directory = {toml(str(place / "state"))}
[imports]
web = {toml(fetch)}
[[backend]]
name = "local"
kind = "local"
options = {toml({"path": str(place / "local")})}
[[backend]]
name = "web"
kind = "web"
options = {toml({"path": str(place / "web"), "fetch": fetch})}
"""


def configuration(scene: Scene) -> str:
    """Tempest's own configuration, in the words of its time."""
    admin = scene.keystone.admin
    return f"""[DEFAULT]
log_file = tempest.log
log_dir = {scene.home}
[oslo_concurrency]
lock_path = {scene.home}/lock
[auth]
use_dynamic_credentials = true
create_isolated_networks = false
admin_username = {admin.name}
admin_password = {admin.password}
admin_project_name = {admin.project}
admin_domain_name = Default
default_credentials_domain_name = Default
tempest_roles = member
[identity]
auth_version = v3
uri_v3 = {scene.keystone.url}
region = {REGION}
[identity-feature-enabled]
api_v2 = false
api_v3 = true
[service_available]
glance = true
nova = false
cinder = false
neutron = false
swift = false
[image]
http_image = {scene.files.url("disk.raw")}
region = {REGION}
build_timeout = 120
[image-feature-enabled]
api_v1 = true
api_v2 = true
deactivate_image = true
"""


def tempest(venv: Path, scene: Scene, regex: str) -> list[Result]:
    """Runs the tests whose names have the expression."""
    work, log = scene.home / "workspace", scene.home / "output"
    environment = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    # It names the cache of the other Python.
    environment.pop("PYTHONPYCACHEPREFIX", None)
    begin = ["tempest", "init", "--workspace-path", str(scene.home / "workspaces.yaml"), str(work)]
    subprocess.run(begin, cwd=scene.home, env=environment, check=True, capture_output=True, timeout=120)
    (scene.home / "lock").mkdir()
    (work / "etc" / "tempest.conf").write_text(configuration(scene))
    command = ["tempest", "run", "--regex", regex, "--serial"]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            child.wait(LONGEST)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    results = told(log.read_text(errors="replace"))
    if not results:
        raise SystemExit(f"Tempest tells of no test; see {log}")
    return results


def told(output: str) -> list[Result]:
    """What Tempest says of each test."""
    lines = [LINE.match(line) for line in output.splitlines()]
    return [Result(line["name"], OUTCOMES.get(line["outcome"], "fail")) for line in lines if line]


class Client:
    """`glance --os-image-api-version 1`, as one user."""

    def __init__(self, venv: Path, scene: Scene, user: User) -> None:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
        self._environment = {**inherited, **user.environment(scene.keystone.url), "PYTHONDONTWRITEBYTECODE": "1"}
        self._program = str(venv / "bin" / "glance")

    def __call__(self, *arguments: str) -> str:
        """Runs it, and gives what it says."""
        command = [self._program, "--os-image-api-version", "1", *arguments]
        # It takes whatever is no terminal for image data.
        ours, terminal = pty.openpty()
        try:
            ended = subprocess.run(
                command, env=self._environment, stdin=terminal, capture_output=True, text=True, timeout=120
            )
        finally:
            os.close(ours)
            os.close(terminal)
        if ended.returncode != 0:
            raise AssertionError(f"glance {' '.join(arguments)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def image(self, *arguments: str) -> dict[str, str]:
        """The table that it shows of an image."""
        rows = [line.strip("|").split("|") for line in self(*arguments).splitlines() if line.startswith("|")]
        return {row[0].strip(): row[1].strip() for row in rows if len(row) == 2}

    def refuses(self, *arguments: str) -> str:
        """What it says of something that must not succeed."""
        try:
            said = self(*arguments)
        except AssertionError as refusal:
            return str(refusal)
        raise AssertionError(f"glance {' '.join(arguments)} succeeds: {said}")


FORMATS = ("--disk-format", "raw", "--container-format", "bare")


def client(venv: Path, scene: Scene) -> None:
    """The life of some images, as the client of the time leads it."""
    alice, bob = (scene.keystone.user(name, project, "member") for name, project in (("alice", "red"), ("bob", "blue")))
    glance, other = Client(venv, scene, alice), Client(venv, scene, bob)
    source, copy = scene.home / "source.raw", scene.home / "copy.raw"
    source.write_bytes(block(7, 3 * MIB))

    made = glance.image("image-create", "--name", "first", *FORMATS, "--property", "colour=red", "--file", str(source))
    assert (made["status"], made["size"], made["is_public"]) == ("active", str(3 * MIB), "False"), made
    assert made["Property 'colour'"] == "red", made
    glance("image-download", "--file", str(copy), made["id"])
    assert copy.read_bytes() == source.read_bytes()
    assert made["id"] in glance("image-list") and made["id"] not in other("image-list")
    assert "No image" in other.refuses("image-show", made["id"])

    glance("member-create", made["id"], bob.project_id)
    assert bob.project_id in glance("member-list", "--image-id", made["id"])
    assert made["id"] in other("member-list", "--tenant-id", bob.project_id)
    assert made["id"] in other("image-list")
    glance("member-delete", made["id"], bob.project_id)
    assert made["id"] not in other("image-list")

    changed = glance.image("image-update", made["id"], "--name", "renamed", "--property", "size_of=big")
    assert changed["name"] == "renamed" and changed["Property 'colour'"] == "red", changed
    purged = glance.image("image-update", made["id"], "--purge-props", "--property", "only=this")
    assert "Property 'colour'" not in purged and purged["Property 'only'"] == "this", purged

    fetched = glance.image("image-create", "--name", "copied", *FORMATS, "--copy-from", scene.files.url("disk.raw"))
    shown = ("image-show", fetched["id"])
    wait_until("the copied image is active", lambda: glance.image(*shown)["status"] == "active", 30.0)
    there = glance.image("image-create", "--name", "there", *FORMATS, "--location", scene.files.url("disk.raw"))
    assert there["status"] == "active" and there["size"] == str(MIB), there
    for image in (fetched, there):
        glance("image-download", "--file", str(copy), image["id"])
        assert copy.read_bytes() == block(0, MIB), image["name"]

    pages = glance("image-list", "--page-size", "1", "--sort-key", "name", "--sort-dir", "asc")
    places = [pages.index(name) for name in ("copied", "renamed", "there")]
    assert places == sorted(places), pages
    for image in (made, fetched, there):
        glance("image-delete", image["id"])
        assert image["id"] not in glance("image-list")


def end_as_if_interrupted(*_: object) -> None:
    """A polite kill has to stop the servers too, as an interrupt does."""
    raise KeyboardInterrupt


def play(state: Path, regex: str | None) -> int:
    """Raises the scene, runs what is asked for, and tells what is wrong."""
    home = state / "v1"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    scene = Scene(home, state / "keystone-venv", Path(os.environ["PORTICO_BIN"]))
    started = time.monotonic()
    try:
        scene.start()
        results = tempest(state / "v1-venv", scene, regex or ALL)
        line = summary("v1", results, time.monotonic() - started)
        (home / "report.txt").write_text("\n".join([line, *sorted(result.line() for result in results)]) + "\n")
        if not regex:
            client(state / "v1-venv", scene)
            print("glance --os-image-api-version 1: made, listed, shared, changed, copied, downloaded, deleted")
    finally:
        scene.stop()
    wrong = [result.line() for result in results if result.status != "success"]
    if not regex and len(results) != COUNT:
        wrong.append(f"there are {COUNT} tests, and {len(results)} are told of; see {home / 'output'}")
    print("\n".join([*wrong, line]), flush=True)
    return 1 if wrong else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="v1", description=__doc__)
    parser.add_argument("regex", nargs="?", help="only tests of Tempest whose names have it, and no client")
    signal.signal(signal.SIGTERM, end_as_if_interrupted)
    return play(Path(os.environ["PORTICO_INTEROP_DIR"]), parser.parse_args().regex)


if __name__ == "__main__":
    sys.exit(main())
