"""The dialects of old on the real things: a Glance of 2017 by the Images API v1, and a Nova that shows images; and on a
Portico that serves this API."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from glance import Glance
from identity import Identity
from nova import Nova
from old_glance import OldGlance
from payload import block
from portico import Portico, toml
from processes import free_port
from report import tally
from wire import Wire
from world import World

pytestmark = pytest.mark.portico_only("the suite needs this project's backend")

REPOSITORY = Path(__file__).resolve().parents[2]


def passed(test: str, environment: Mapping[str, str]) -> int:
    """How many cases of one of the backend's test programs passed, all of which must."""
    ran = subprocess.run(
        ("cargo", "test", "--locked", "--package", "portico-http", "--test", test, "--", "--ignored", "--test-threads", "1"),
        cwd=REPOSITORY, env={**os.environ, **environment}, capture_output=True, text=True, timeout=1200,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    result = re.search(r"test result: ok\. (\d+) passed; 0 failed", ran.stdout)
    assert result, ran.stdout[-2000:]
    return int(result[1])


def environment_of(name: str, why: str) -> Path:
    """Where something is installed that not every machine can have."""
    venv = Path(os.environ["PORTICO_INTEROP_DIR"]) / name
    if not (venv / ".installed").exists():
        tally.say(f"interop contract: NOT TRIED, {why}")
        pytest.skip(f"NOT TRIED, {why}")
    return venv


def test_the_images_api_v1_is_spoken_to_a_real_glance_of_its_time(world: World) -> None:
    venv = environment_of("old-glance-venv", "there is no Python 2.7 for a Glance that speaks the Images API v1")
    glance = OldGlance(world.home / "old-glance", venv)
    glance.start()
    try:
        count = passed("real_glance_v1", {"PORTICO_TEST_GLANCE_V1": glance.endpoint})
    finally:
        glance.stop()
    assert count > 70
    tally.say(f"interop contract: {count} cases passed on a Glance 15 by the Images API v1")


def test_a_portico_that_serves_v1_is_spoken_to_as_a_glance_of_that_time(world: World) -> None:
    assert world.binary is not None
    open_to_all = '[auth]\nkind = "none"\n'
    place, port = world.home / "behind-v1", free_port()
    store = {"path": str(place / "local")}
    behind = Portico(
        place, port, world.binary, {},
        settings=f'[api]\nv1 = true\n{open_to_all}[[backend]]\nname = "local"\nkind = "local"\noptions = {toml(store)}\n',
    )  # fmt: skip
    remote = {"dialect": "glance-v1", "endpoint": behind.endpoint}
    before = Portico(
        world.home / "before-v1", free_port(), world.binary, {},
        settings=f'{open_to_all}[[backend]]\nname = "attic"\nkind = "http"\noptions = {toml(remote)}\n',
    )  # fmt: skip
    behind.start()
    try:
        # An upload that breaks off leaves the image as it was.
        told = {"PORTICO_TEST_GLANCE_V1": behind.endpoint, "PORTICO_TEST_BROKEN_UPLOAD": "queued"}
        count = passed("real_glance_v1", told)
        before.start()
        there_and_back(Wire(before.endpoint), Wire(behind.endpoint))
    finally:
        before.stop()
        behind.stop()
    assert count > 70
    tally.say(f"interop contract: {count} cases passed on a Portico by the Images API v1")


def there_and_back(front: Wire, behind: Wire) -> None:
    """An image of today's API, made and changed through a store that speaks v1 alone."""
    formats = {"disk_format": "raw", "container_format": "bare"}
    data = block(7, 300_000)
    made = front.create({"name": "ä b", "os_distro": "木", "min_disk": 3, **formats})
    front.upload(made["id"], data).expect(204)
    assert front.get(f"/v2/images/{made['id']}/file").expect(200).body == data
    front.patch(made["id"], {"op": "replace", "path": "/name", "value": "c"}).expect(200)
    ours, theirs = front.show(made["id"]), behind.show(made["id"])
    alike = ("id", "name", "status", "size", "checksum", "min_disk", "visibility", "os_distro", "created_at", "owner")
    assert [ours[name] for name in alike] == [theirs[name] for name in alike]
    assert made["id"] in [image["id"] for image in front.get("/v2/images").expect(200).json()["images"]]
    front.forget(made["id"])
    behind.get(f"/v2/images/{made['id']}").expect(404)


def test_the_images_that_a_real_nova_shows_are_read(world: World) -> None:
    home = Path(os.environ["PORTICO_INTEROP_DIR"])
    assert world.binary is not None
    identity = Identity(home / "run" / "nova", home / "keystone-venv", home / "glance-venv", world.binary)
    try:
        identity.start()
        keystone = identity.keystone
        section = {"auth_type": "password", "auth_url": keystone.url, "www_authenticate_uri": keystone.url}
        section |= keystone.service.credential()
        glance = Glance(
            "ark", identity.home / "ark", free_port(), home / "glance-venv", "gunicorn", authtoken=section
        )
        identity.servers.append(glance)
        glance.start()
        keystone.catalogue("image", glance.endpoint)
        nova = Nova(identity.home / "compute", free_port(), home / "nova-venv", keystone)
        nova.start()
        try:
            token = keystone.token(keystone.admin)
            count = passed(
                "real_nova",
                {
                    "PORTICO_TEST_NOVA": f"{nova.endpoint}/v2.1",
                    "PORTICO_TEST_GLANCE": glance.endpoint,
                    "PORTICO_TEST_TOKEN": token,
                },
            )
        finally:
            nova.stop()
    finally:
        identity.stop()
    assert count > 20
    tally.say(f"interop contract: {count} cases passed on a Nova 34")
