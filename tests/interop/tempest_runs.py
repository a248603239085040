"""Tempest itself: configured for what stands there, run, and what it tells of each test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from keystone import REGION
from tempest_reports import Result
from tempest_targets import Scene, features

# The whole of a round takes minutes; a run that takes longer than this, in seconds, hangs.
LONGEST = 3000


def configuration(scene: Scene) -> str:
    """Tempest's own configuration."""
    admin = scene.keystone.admin
    sections: dict[str, dict[str, object]] = {
        "DEFAULT": {"log_file": "tempest.log", "log_dir": scene.home},
        "oslo_concurrency": {"lock_path": scene.home / "lock"},
        "auth": {
            "create_isolated_networks": False,
            "use_dynamic_credentials": True,
            "admin_username": admin.name,
            "admin_password": admin.password,
            "admin_project_name": admin.project,
            "admin_domain_name": "Default",
        },
        "identity": {"auth_version": "v3", "uri_v3": scene.keystone.url, "region": REGION},
        "service_available": {
            "glance": True, "nova": False, "cinder": False, "neutron": False, "swift": False, "horizon": False,
        },
        "enforce_scope": {"glance": True},
        "image": {
            "region": REGION,
            "build_timeout": 120,
            "http_image": scene.files.url("disk.raw"),
            "http_qcow2_image": scene.files.url("disk.qcow2"),
        },
    }  # fmt: skip
    if scene.has_remote:
        sections["image"]["alternate_image_endpoint"] = "image_remote"
    for name, on in features(scene.target, scene.round).items():
        section, _, option = name.partition(".")
        sections.setdefault(section, {})[option] = on
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


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


def run(venv: Path, home: Path, settings: str, regex: str) -> list[Result]:
    """Runs the tests whose names have the expression, and gives one result for each of them. `settings` are Tempest's own,
    and all that it leaves behind is in `home`."""
    environment = {**os.environ, "PATH": f"{venv / 'bin'}:{os.environ['PATH']}"}
    work, log = home / "workspace", home / "output"

    def tool(*command: str) -> bytes:
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, check=True, timeout=300).stdout

    work.mkdir()
    (home / "lock").mkdir()
    tool("tempest", "init", "--workspace-path", str(home / "workspaces.yaml"), str(work))
    (work / "etc" / "tempest.conf").write_text(settings)
    listed = tool("tempest", "run", "--regex", regex, "--list-tests").decode()
    names = [line.split("[")[0] for line in listed.splitlines() if re.match(r"[\w.]+(\[|$)", line) and "." in line]
    if not names:
        raise SystemExit(f"no test has {regex!r} in its name")
    _run_to_its_end(["tempest", "run", "--regex", regex, "--concurrency", "2"], work, environment, log)
    stream = tool("stestr", "last", "--subunit") if (work / ".stestr").exists() else b""
    read = subprocess.run([str(venv / "bin" / "python"), "-c", READER], input=stream, capture_output=True, check=True)
    told = [Result(*json.loads(line)) for line in read.stdout.decode().splitlines()]
    return one_for_each(names, told, log)


def _run_to_its_end(command: Sequence[str], work: Path, environment: Mapping[str, str], log: Path) -> None:
    """Runs it in a session of its own, of which nothing stays behind however this ends."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            child.wait(LONGEST)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def one_for_each(names: Sequence[str], told: Sequence[Result], log: Path) -> list[Result]:
    """What is told of a class that could not begin, told of each of its tests; what is told besides stays as it is."""
    by_name = {result.name: result for result in told}
    results, untold = [], []
    for name in names:
        whole = by_name.get(f"setUpClass ({name.rpartition('.')[0]})")
        result = by_name.get(name) or (Result(name, whole.status, whole.why) if whole else None)
        if result:
            results.append(result)
        else:
            untold.append(name)
    if untold:
        raise SystemExit(f"of {len(names)} tests nothing is told of {len(untold)}: {untold[:5]}; see {log}")
    named = set(names)
    return results + [one for one in told if one.name not in named and not one.name.startswith("setUpClass (")]
