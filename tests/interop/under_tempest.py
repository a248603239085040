"""Tempest against Portico: Keystone and Portico are raised, Tempest is run, and what it found is held to what is expected."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keystone import REGION, Keystone
from processes import Process, free_port

HERE = Path(__file__).resolve().parent
EXPECTED = HERE / "tempest-expected.txt"
ALL = r"tempest\.api\.image\.v2|glance_tempest_plugin"
# One class of each kind, and what has found most mistakes.
SHORT = (
    r"tempest\.api\.image\.v2\.test_(images|images_negative|images_member|images_tags|versions)\."
    r"|rbac\.v2\.test_project_admin_tests\.ImageProjectAdminTests"
    r"|rbac\.v2\.test_project_reader_tests\.ImagesProjectReaderTests"
)


class Portico(Process):
    """One that knows callers by Keystone, with two directories as its stores."""

    def __init__(self, directory: Path, port: int, binary: Path, keystone: Keystone) -> None:
        super().__init__("portico", directory, port)
        self.binary = binary
        service = keystone.service
        # TOML's basic strings are JSON's.
        self._configuration = directory / "portico.toml"
        self._configuration.write_text(
            f"""listen = "127.0.0.1:{port}"
[admin]
listen = "off"
[auth]
kind = "keystone"
[auth.keystone]
url = {json.dumps(keystone.url)}
credential = {{ username = {json.dumps(service.name)}, password = {json.dumps(service.password)}, project_name = {json.dumps(service.project)} }}
[state]
directory = {json.dumps(str(directory / "state"))}
[[backend]]
name = "fast"
kind = "local"
options = {{ path = {json.dumps(str(directory / "fast"))} }}
[[backend]]
name = "slow"
kind = "local"
options = {{ path = {json.dumps(str(directory / "slow"))} }}
"""
        )

    def command(self) -> Sequence[str]:
        return [str(self.binary), "--config", str(self._configuration)]

    def load_definitions(self, files: Path) -> None:
        """Loads the metadata definitions that a Glance is shipped with."""
        command = [str(self.binary), "metadefs", "load", str(files), "--config", str(self._configuration)]
        subprocess.run(command, check=True, timeout=60, stdout=subprocess.DEVNULL)


@dataclass(frozen=True)
class Result:
    """What came of one test, or of a class that could not begin."""

    name: str
    status: str
    why: str

    def line(self) -> str:
        last = self.why.splitlines()[-1] if self.why else ""
        return f"{self.status:8} {self.name}" + (f"    # {last}" if self.status != "success" and last else "")


def configuration(home: Path, keystone: Keystone) -> str:
    """Tempest's own: what the service has, and what it has not yet."""
    admin = keystone.admin
    return f"""[DEFAULT]
log_file = tempest.log
log_dir = {home}
[oslo_concurrency]
lock_path = {home / "lock"}
[auth]
create_isolated_networks = false
use_dynamic_credentials = true
admin_username = {admin.name}
admin_password = {admin.password}
admin_project_name = {admin.project}
admin_domain_name = Default
[identity]
auth_version = v3
uri_v3 = {keystone.url}
region = {REGION}
[service_available]
glance = true
nova = false
cinder = false
neutron = false
swift = false
horizon = false
[enforce_scope]
glance = true
[image]
region = {REGION}
image_caching_enabled = false
build_timeout = 30
[image-feature-enabled]
import_image = false
os_glance_reserved = true
do_secure_hash = true
http_store_enabled = false
store_weight_enabled = false
manage_locations = false
"""


# Runs where Tempest is installed: the stream of results, as one JSON object a line.
READER = r"""
import json, subunit, sys, testtools
def one(test):
    if test["status"] in ("exists", "inprogress"):
        return
    details = test["details"].items()
    why = "".join(text.as_text() for name, text in details if name.startswith(("reason", "traceback"))).strip()
    print(json.dumps([test["id"].split("[")[0], test["status"], why]))
result = testtools.StreamToDict(one)
result.startTestRun()
subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout").run(result)
result.stopTestRun()
"""


def run(venv: Path, home: Path, regex: str) -> list[Result]:
    """Runs the tests whose names have the expression."""
    environment = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    work = home / "workspace"
    log = home / "output"

    def tool(*command: str, **more: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, cwd=work if work.exists() else home, env=environment, **more)  # type: ignore[call-overload]

    tool("tempest", "init", "--workspace-path", str(home / "workspaces.yaml"), str(work), check=True, capture_output=True)
    (home / "lock").mkdir()
    (work / "etc" / "tempest.conf").write_text((home / "tempest.conf").read_text())
    with log.open("wb") as output:
        tool("tempest", "run", "--regex", regex, "--concurrency", "2", stdout=output, stderr=output, timeout=3000)
    listed = tool("tempest", "run", "--regex", regex, "--list-tests", capture_output=True, check=True).stdout.decode()
    names = [line.split("[")[0] for line in listed.splitlines() if re.match(r"[\w.]+(\[|$)", line) and "." in line]
    stream = tool("stestr", "last", "--subunit", capture_output=True).stdout
    read = subprocess.run([str(venv / "bin" / "python"), "-c", READER], input=stream, capture_output=True, check=True)
    results = [Result(*json.loads(line)) for line in read.stdout.decode().splitlines()]
    told = {class_of(result.name) for result in results}
    untold = [name for name in names if name not in told and name.rpartition(".")[0] not in told]
    if not names or untold:
        raise SystemExit(f"of {len(names)} tests nothing is told of {len(untold)}: {untold[:5]}; see {log}")
    print(f"tempest: {len(names)} tests are there; what is told of a class stands for all of its tests")
    return results


def expected() -> dict[str, str]:
    """The tests that are known not to pass, each with its reason."""
    known: dict[str, str] = {}
    reason = ""
    for line in EXPECTED.read_text().splitlines():
        if line.startswith("# "):
            reason = line[2:]
        elif line.strip():
            known[line.strip()] = reason
    return known


def class_of(name: str) -> str:
    """The class that a test is in, or of which a result stands for all tests."""
    whole = re.fullmatch(r"setUpClass \((.+)\)", name)
    return whole.group(1) if whole else name


def judge(results: list[Result]) -> list[str]:
    """What is not as expected."""
    known = expected()
    wrong = []
    for result in results:
        name = class_of(result.name)
        if result.status == "success" and not known.keys().isdisjoint((name, name.rpartition(".")[0])):
            wrong.append(f"passes, and is expected not to: {name}")
        if result.status != "success" and name not in known:
            wrong.append(f"does not pass: {result.line()}")
    return wrong


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("regex", nargs="?", default=ALL)
    arguments.add_argument("--short", action="store_true")
    asked = arguments.parse_args()
    state, binary = Path(os.environ["PORTICO_INTEROP_DIR"]), Path(os.environ["PORTICO_BIN"])
    home = state / "tempest"
    shutil.rmtree(home, ignore_errors=True)
    keystone = Keystone(home / "keystone", free_port(), state / "keystone-venv")
    servers: list[Process] = [keystone]
    started = time.monotonic()
    try:
        keystone.start()
        portico = Portico(home / "portico", free_port(), binary, keystone)
        servers.append(portico)
        portico.start()
        portico.load_definitions(state / "glance-venv" / "etc" / "glance" / "metadefs")
        keystone.catalogue("image", portico.endpoint, "glance")
        (home / "tempest.conf").write_text(configuration(home, keystone))
        results = run(state / "tempest-venv", home, SHORT if asked.short else asked.regex)
    finally:
        for server in reversed(servers):
            server.stop()
    count = {status: sum(result.status == status for result in results) for status in ("success", "fail", "skip")}
    lines = sorted(result.line() for result in results)
    summary = (
        f"tempest: {count['success']} passed, {count['fail']} failed, {count['skip']} skipped "
        f"in {time.monotonic() - started:.0f} s"
    )
    (home / "report.txt").write_text("\n".join([summary, *lines]) + "\n")
    wrong = judge(results)
    print("\n".join([*wrong, summary]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
