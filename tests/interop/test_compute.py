"""The images of the Compute API: a real Nova, whose images are Portico's, and Portico itself are asked the same things."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session

from compute_table import ABSENT, FORMER, MODERN, SERVER, Asked, Departure, departures, malformed, reads, writes
from identity import Identity
from keystone import REGION
from nova import Nova
from portico import Portico
from processes import free_port
from report import tally
from wire import Reply, Wire

pytestmark = pytest.mark.portico_only("a plain Glance has nothing of the Compute API")

FORMATS = {"disk_format": "raw", "container_format": "bare"}


@dataclass
class Pair:
    """A Nova and a front door, and what they are asked about."""

    identity: Identity
    front: Portico
    nova: Nova

    def __post_init__(self) -> None:
        self.tokens = {name: self.identity.token(name) for name in self.identity.people}
        self.names = {"project": self.identity.people["alice"].project_id, "absent": ABSENT}
        snapshot = {"image_type": "snapshot", "instance_uuid": SERVER, "auto_disk_config": "True", "os_distro": "x"}
        self.names["one"] = self.make("one", "alice", {**snapshot, "block_device_mapping": '[{"a": 1}]'}, b"abc")
        more = {"min_ram": 5, "min_disk": 1, "colour": "red", "mappings": "[]", "auto_disk_config": "no"}
        self.names["two"] = self.make("two", "alice", more)
        self.names["public"] = self.make("public", "root", {"visibility": "public", "colour": "red"}, b"x")
        self.names["shared"] = self.make("shared", "bob", {"visibility": "shared", "colour": "blue"})
        self.change("bob", "POST", f"/v2/images/{self.names['shared']}/members", {"member": self.names["project"]})

    def change(self, who: str, method: str, path: str, body: Any) -> Reply:
        """Asks the Image API for something that must succeed."""
        headers = {"X-Auth-Token": self.tokens[who]}
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
            return Wire(self.front.endpoint).request(method, path, headers, body=body).expect(204)
        return Wire(self.front.endpoint).request(method, path, headers, json_body=body).expect(200, 201)

    def make(self, name: str, who: str, more: dict[str, Any], data: bytes | None = None) -> str:
        """Makes an image, and gives its id."""
        image_id = self.change(who, "POST", "/v2/images", {"name": name, **FORMATS, **more}).json()["id"]
        if data is not None:
            self.change(who, "PUT", f"/v2/images/{image_id}/file", data)
        return image_id

    def twins(self, asked: Asked) -> list[str]:
        """Two images for a request that names one of its own, one for each who is asked."""
        if "{it}" not in asked.path:
            return ["", ""]
        owner = "root" if asked.properties.get("visibility") == "public" else "alice"
        return [self.make("it", owner, {"visibility": "private", **asked.properties}) for _ in range(2)]

    def ask(self, server: Nova | Portico, asked: Asked, image_id: str) -> Reply:
        """What one of the two answers."""
        headers = dict(asked.headers)
        if asked.who:
            headers["X-Auth-Token"] = self.tokens[asked.who]
        path = asked.path.format(it=image_id, **self.names)
        if isinstance(asked.body, bytes):
            headers.setdefault("Content-Type", "application/json")
            return Wire(server.endpoint).request(asked.method, path, headers, body=asked.body)
        return Wire(server.endpoint).request(asked.method, path, headers, json_body=asked.body)

    def shown(self, image_id: str) -> Any:
        """What v2 shows of an image to an administrator, without what tells twins apart."""
        if not image_id:
            return None
        reply = Wire(self.front.endpoint).get(f"/v2/images/{image_id}", {"X-Auth-Token": self.tokens["root"]})
        image = {key: value for key, value in reply.json().items() if not key.endswith("_at")}
        return reply.status, self.alike(image, image_id)

    def alike(self, value: Any, image_id: str) -> Any:
        """An answer without what must be different: the hosts, the twins' ids, the order of a link's parameters, and where
        links lead to that have no version at Nova."""
        if isinstance(value, dict):
            return {key: self.alike(one, image_id) for key, one in value.items()}
        if isinstance(value, list):
            return [self.alike(one, image_id) for one in value]
        if not isinstance(value, str):
            return value
        text = value.replace(image_id, "{it}") if image_id else value
        text = re.sub(f"^{self.front.endpoint}(//|/v2/)images/", "{alternate}/", text)
        for server in (self.nova, self.front):
            text = text.replace(server.endpoint, "{host}")
        if text.startswith("{host}") and "?" in text:
            place, _, query = text.partition("?")
            text = f"{place}?{sorted(parse_qsl(query))}"
        return text

    def forget(self, image_ids: list[str]) -> None:
        """Deletes the twins, so that no list has them."""
        for image_id in filter(None, image_ids):
            headers = {"X-Auth-Token": self.tokens["root"]}
            wire, path = Wire(self.front.endpoint), f"/v2/images/{image_id}"
            if wire.request("DELETE", path, headers).status == 403:
                media = {**headers, "Content-Type": "application/openstack-images-v2.1-json-patch"}
                open_it = [{"op": "replace", "path": "/protected", "value": False}]
                wire.request("PATCH", path, media, json_body=open_it).expect(200)
                wire.request("DELETE", path, headers).expect(204)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A Keystone, Portico with a directory, and a Nova to which the catalogue names Portico for images."""
    home, binary = Path(os.environ["PORTICO_INTEROP_DIR"]), Path(os.environ["PORTICO_BIN"])
    identity = Identity(home / "run" / "compute", home / "keystone-venv", home / "glance-venv", binary)
    try:
        identity.start()
        backend = 'kind = "local"\noptions = { path = "./data" }'
        front = identity.add_portico("front", backend, settings="[api]\ncompute = true\n")
        identity.keystone.catalogue("image", front.endpoint)
        nova = Nova(identity.home / "nova", free_port(), home / "nova-venv", identity.keystone)
        identity.servers.append(nova)
        nova.start()
        yield Pair(identity, front, nova)
    finally:
        identity.stop()


def body(reply: Reply) -> Any:
    """The body, decoded if it is JSON."""
    is_json = reply.headers.get("Content-Type", "").startswith("application/json")
    return reply.json() if is_json and reply.body else reply.body.decode()


def fault(reply: Reply) -> str | None:
    """The name of a fault, if an answer is one."""
    told = body(reply)
    return next(iter(told)) if reply.status >= 400 and isinstance(told, dict) else None


def headers(reply: Reply) -> Any:
    """The headers that every answer of this API has."""
    ids = [reply.headers[name] for name in ("x-compute-request-id", "x-openstack-request-id")]
    vary = ", ".join(reply.headers.get_all("Vary") or [])
    return reply.headers[MODERN], reply.headers[FORMER], vary, ids[0] == ids[1] is not None


def differences(pair: Pair, table: list[Asked], told: Any) -> list[str]:
    """The requests of a table of whose answers something `told` is not alike, or whose effects are not."""
    wrong = []
    for asked in table:
        twins = pair.twins(asked)
        answers = [pair.ask(*one) for one in zip((pair.nova, pair.front), (asked, asked), twins, strict=True)]
        effects = [pair.shown(image_id) for image_id in twins]
        nova, here = (told(reply, image_id) for reply, image_id in zip(answers, twins, strict=True))
        if nova != here:
            wrong.append(f"{asked}\n    nova {nova}\n    here {here}")
        if effects[0] != effects[1]:
            wrong.append(f"{asked}\n    nova leaves {effects[0]}\n    here stays  {effects[1]}")
        pair.forget(twins)
    return wrong


def test_what_is_asked_of_nova_is_answered_alike_here(pair: Pair) -> None:
    def whole(reply: Reply, image_id: str) -> Any:
        return reply.status, headers(reply), pair.alike(body(reply), image_id)

    table = [*reads(), *writes()]
    wrong = differences(pair, table, whole)
    assert not wrong, "\n".join(wrong)
    tally.say(f"interop compute: {len(table)} requests answered word for word as by Nova 34")


def test_what_is_malformed_to_nova_is_malformed_here(pair: Pair) -> None:
    table = malformed()
    wrong = differences(pair, table, lambda reply, _: (reply.status, headers(reply), fault(reply)))
    assert not wrong, "\n".join(wrong)
    tally.say(f"interop compute: {len(table)} malformed ones refused with the same fault")


def test_each_departure_is_one(pair: Pair) -> None:
    table = departures()
    wrong = [line for departure in table for line in judged(pair, departure)]
    assert not wrong, "\n".join(wrong)
    tally.say(f"interop compute: {len(table)} answered in another way, on purpose")


def test_a_write_leaves_the_visibility_as_it_is_and_nova_makes_the_image_private(pair: Pair) -> None:
    asked = Asked("POST", "/v2.1/images/{it}/metadata", {"metadata": {"a": "1"}}, properties={"visibility": "shared"})
    twins = pair.twins(asked)
    for server, image_id in zip((pair.nova, pair.front), twins, strict=True):
        pair.ask(server, asked, image_id).expect(200)
    assert [pair.shown(image_id)[1]["visibility"] for image_id in twins] == ["private", "shared"]
    pair.forget(twins)


@pytest.mark.parametrize("place", ["/v2.1", "/v2.1/", "/v2.1/%(project_id)s"])
def test_keystoneauth_finds_out_what_is_served_wherever_the_catalogue_leads(pair: Pair, place: str) -> None:
    pair.identity.keystone.catalogue("compute", pair.front.endpoint + place)
    alice = pair.identity.people["alice"]
    auth = Password(
        auth_url=pair.identity.keystone.url, username=alice.name, password=alice.password, user_domain_id="default",
        project_id=alice.project_id,
    )  # fmt: skip
    compute = Adapter(
        Session(auth=auth), service_type="compute", region_name=REGION, min_version="2.1", max_version="2.latest"
    )
    found = compute.get_endpoint_data()
    assert (found.api_version, found.min_microversion, found.max_microversion) == ((2, 1), (2, 1), (2, 104))
    told = compute.get("/images/detail", microversion="2.35")
    assert (told.status_code, told.headers[MODERN]) == (200, "compute 2.35")
    assert pair.names["one"] in [image["id"] for image in told.json()["images"]]


def judged(pair: Pair, departure: Departure) -> list[str]:
    """What is not as a departure has it."""
    asked, twins = departure.asked, pair.twins(departure.asked)
    nova, here = (
        pair.ask(*one) for one in zip((pair.nova, pair.front), (asked, asked), twins, strict=True)
    )
    wrong = []
    for who, reply, expected in (("nova", nova, departure.nova), ("here", here, departure.here)):
        if (reply.status, fault(reply)) != expected:
            wrong.append(f"{asked}: {who} says {reply.status} {reply.body[:200]!r}, not {expected}")
    told = [pair.alike(body(reply), image_id) for reply, image_id in zip((nova, here), twins, strict=True)]
    if (nova.status, told[0]) == (here.status, told[1]) and asked.method != "HEAD":
        wrong.append(f"{asked}: is no departure, though it is said that {departure.why}")
    pair.forget(twins)
    return wrong
