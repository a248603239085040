"""What is asked of Nova and of the images of the Compute API here, and where the answers differ on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The values that a request's path and body can name: see `Pair.fill` in test_compute.py.
ABSENT = "11111111-2222-3333-4444-555555555555"
SERVER = "22222222-2222-3333-4444-555555555555"

MODERN, FORMER = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"


@dataclass(frozen=True)
class Asked:
    """One request. `{it}` in the path is the id of an image that is made for it, with `properties`."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    who: str | None = "alice"
    properties: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = [self.who or "nobody", self.method, self.path]
        told += [f"{key}: {value}" for key, value in self.headers.items()]
        return " ".join(told) + ("" if self.body is None else f" {self.body!r:.80}")


@dataclass(frozen=True)
class Departure:
    """A request that is answered in another way than Nova's, and why. An answer is a status and the name of its fault."""

    asked: Asked
    nova: tuple[int, str | None]
    here: tuple[int, str | None]
    why: str


def reads() -> list[Asked]:
    """Reads of the images that stand there, answered word for word alike."""
    queries = [
        "", "name=one", "name=in:one,two", "name=nothing", "status=ACTIVE", "status=active", "status=ERROR",
        "status=nonsense", "status=in:active,queued", "type=snapshot", f"server={SERVER}",
        f"server=http://x/v2/servers/{SERVER}", f"property-instance_uuid=http://x/v2/servers/{SERVER}",
        "minRam=5", "minRam=6", "minDisk=1", "changes-since=2011-01-01T00:00:00Z",
        "changes-since=2999-01-01T00:00:00Z", "property-colour=red", "limit=1", "limit=2", "limit=3", "limit=1000",
        "limit=1&foo=bar&name=two", "limit=1&status=ACTIVE&name=one", "page_size=1", "offset=3", "marker={two}",
        "marker=", "limit=2&marker={two}", "limit=1&marker={public}", "foo=bar", "name=one&name=two",
        "status=QUEUED&minRam=5", "limit=99999999999999999999",
    ]  # fmt: skip
    asked = [Asked("GET", f"/v2.1/images?{query}") for query in queries]
    detailed = ("", "status=ACTIVE", "limit=1&foo=bar&name=two", "limit=2&marker={two}", "marker={public}")
    asked += [Asked("GET", f"/v2.1/images/detail?{query}") for query in detailed]
    for who in ("bob", "rita", "root"):
        asked.append(Asked("GET", "/v2.1/images/detail", who=who))
        asked += [Asked("GET", f"/v2.1/images/{{{image}}}", who=who) for image in ("one", "shared")]
    for image in ("one", "two", "public", "shared", "absent"):
        rests = ("", "/metadata", "/metadata/colour")
        asked += [Asked("GET", f"/v2.1/images/{{{image}}}{rest}") for rest in rests]
    for begin in ("/v2.1/{project}", "/v2/{project}"):
        for rest in ("images", "images/detail?limit=1", "images/{one}", "images/{one}/metadata"):
            asked.append(Asked("GET", f"{begin}/{rest}"))
    for begin in ("/v2.1/abc", "/v2/0-9"):
        asked += [Asked("GET", f"{begin}/images"), Asked("DELETE", f"{begin}/images/{{absent}}")]
    asked += [Asked("GET", path) for path in ("/v2.1/images/x", "/v2.1//images", "/v2.1/images/{one}/metadata/mappings")]
    asked += [Asked("GET", path, who=None) for path in ("/v2.1", "/v2.1/")]
    asked.append(Asked("GET", "/v2.1/{project}/"))
    return asked + versions()


def versions() -> list[Asked]:
    """Microversions, with the headers of the answers."""
    asked = []
    for version in ("2.1", "2.35", "2.36", "2.38", "2.39", "2.104", "2.105", "2.0", "3.1", "2", "x", "2.01"):
        for path in ("/v2.1/images/{one}", "/v2.1/images/{one}/metadata", "/v2.1/"):
            asked.append(Asked("GET", path, headers={MODERN: f"compute {version}"}))
        asked.append(Asked("GET", "/v2.1/images", headers={FORMER: version}))
    for path in ("/v2.1/images/detail", "/v2.1/images/{one}/metadata/colour", "/v2/{project}/images"):
        asked += [Asked("GET", path, headers={FORMER: version}) for version in ("2.36", "2.39")]
    for value in ("compute latest", "image 2.9, compute 2.35", "compute 2.36, compute 2.2", "image x", "COMPUTE 2.36"):
        asked.append(Asked("GET", "/v2.1/images/{one}", headers={MODERN: value}))
    both = {MODERN: "compute 2.35", FORMER: "2.36"}
    asked += [Asked("GET", "/v2.1/images", headers=both), Asked("GET", "/v2.1/abc/images", headers={FORMER: "2.36"})]
    for media in ("text/plain", "application/json; charset=utf-8", "application/xml", "application/octet-stream"):
        asked.append(Asked("GET", "/v2.1/images", headers={"Content-Type": media}))
    return asked


def malformed() -> list[Asked]:
    """What is 400 in words of each one's own."""
    queries = ["limit=0", "limit=-1", "limit=x", "limit=", "page_size=0", "offset=x", "marker=x", "marker={absent}",
               "changes-since=x", "name=foo:one", "minRam=x", "minDisk=-1", "limit=x&limit=1"]  # fmt: skip
    asked = [Asked("GET", f"/v2.1/images?{query}") for query in queries]
    asked += [Asked("GET", f"/v2.1/images/detail?{query}") for query in ("limit=0", "marker=x")]
    metadata: list[Any] = [
        b"", {}, [], {"metadata": []}, {"metadata": None}, {"metadata": {"a": 1}}, {"metadata": {"a": None}},
        {"metadata": {"a/b": "1"}}, {"metadata": {"": "1"}}, {"metadata": {"é": "1"}}, {"metadata": {"x" * 256: "1"}},
        {"metadata": {"a": "y" * 256}}, {"metadata": {"a": "1"}, "x": 1}, b"5", b"null", {"meta": {"a": "1"}},
    ]  # fmt: skip
    asked += [Asked("POST", "/v2.1/images/{one}/metadata", body) for body in metadata]
    asked += [Asked("PUT", "/v2.1/images/{one}/metadata", body) for body in metadata[:6]]
    items: list[Any] = [b"", {}, {"meta": {}}, {"meta": {"k": "v", "j": "w"}}, {"meta": {"k": 5}}, {"metadata": {"k": "v"}}]
    return asked + [Asked("PUT", "/v2.1/images/{one}/metadata/k", body) for body in items]


def writes() -> list[Asked]:
    """Writes, each to an image of its own, answered word for word alike and with the same effect."""
    red = {"colour": "red", "image_type": "snapshot"}
    there, item = "/v2.1/images/{it}/metadata", "/v2.1/images/{it}/metadata/colour"
    metadata: list[Any] = [
        {"metadata": {}}, {"metadata": {"a": "1"}}, {"metadata": {"colour": "blue", "b": ""}},
        {"metadata": {"x" * 255: "1"}}, {"metadata": {"a": "é" * 255}}, {"metadata": {"A-b_c:d. 9": "1"}},
        {"metadata": {"colour": "red"}}, {"metadata": {f"k{n}": "1" for n in range(126)}},
        {"metadata": {f"k{n}": "1" for n in range(129)}}, {"metadata": {"block_device_mapping": "[1]"}},
        b"{",
    ]  # fmt: skip
    asked = [Asked(method, there, body, properties=red) for body in metadata for method in ("POST", "PUT")]
    asked += [
        Asked("PUT", item, {"meta": {"colour": "blue"}}, properties=red),
        Asked("PUT", f"{there}/new", {"meta": {"new": "2"}}, properties=red),
        Asked("PUT", item, {"meta": {"other": "2"}}, properties=red),
        Asked("PUT", f"{there}/one", {"meta": {"one": "more"}}, properties={f"k{n}": "1" for n in range(128)}),
        Asked("POST", there, {"metadata": {"one": "more"}}, properties={f"k{n}": "1" for n in range(128)}),
        Asked("DELETE", item, properties=red),
        Asked("DELETE", f"{there}/none", properties=red),
        Asked("DELETE", "/v2.1/images/{it}"),
        Asked("DELETE", "/v2.1/{project}/images/{it}"),
        Asked("DELETE", "/v2/{project}/images/{it}"),
        Asked("DELETE", "/v2.1/images/{it}", properties={"protected": True}),
        Asked("DELETE", "/v2.1/images/{it}", headers={FORMER: "2.36"}),
        Asked("DELETE", item, headers={FORMER: "2.38"}, properties=red),
        Asked("POST", there, {"metadata": {"a": "1"}}, {FORMER: "2.39"}),
        Asked("POST", there, {"metadata": {"a": "1"}}, {"Content-Type": "text/plain"}),
        Asked("POST", there, {"metadata": {"a": "1"}}, {"Content-Type": "application/xml"}),
        Asked("POST", "/v2.1/abc/images/{it}/metadata", {"metadata": {"a": "1"}}),
        Asked("POST", "/v2/{project}/images/{it}/metadata", {"metadata": {"a": "1"}, "x": 1}, properties=red),
        Asked("PUT", "/v2/{project}/images/{it}/metadata", {"metadata": {"a": "1"}}, properties=red),
    ]
    for who, visibility in (("bob", "private"), ("bob", "public"), ("rita", "private"), ("root", "private")):
        more = {**red, "visibility": visibility}
        asked += [
            Asked("POST", there, {"metadata": {"a": "1"}}, who=who, properties=more),
            Asked("PUT", there, {"metadata": {"a": "1"}}, who=who, properties=more),
            Asked("PUT", f"{there}/a", {"meta": {"a": "1"}}, who=who, properties=more),
            Asked("DELETE", item, who=who, properties=more),
            Asked("DELETE", "/v2.1/images/{it}", who=who, properties=more),
        ]
    asked.append(Asked("DELETE", f"{there}/none", who="rita", properties=red))
    bodies: tuple[tuple[str, str, Any], ...] = (
        ("GET", "", None), ("POST", "", {"metadata": {"a": "1"}}), ("PUT", "", {"metadata": {"a": "1"}}),
        ("PUT", "/a", {"meta": {"a": "1"}}), ("PUT", "/a", {"meta": {"b": "1"}}), ("DELETE", "/a", None),
    )  # fmt: skip
    asked += [Asked(method, f"/v2.1/images/{{absent}}/metadata{rest}", body) for method, rest, body in bodies]
    return [*asked, Asked("DELETE", "/v2.1/images/{absent}")]


def departures() -> list[Departure]:
    """What is answered in another way, each with its reason."""
    missing, wrong, forbidden = (404, None), (405, "badMethod"), (403, "forbidden")
    plain = "what is not routed is a plain text at Nova"
    there = "/v2.1/images/{it}/metadata"
    told: list[Departure] = []
    paths = {
        "/v2.1/images": ("POST", "PUT", "PATCH", "DELETE"),
        "/v2.1/images/detail": ("POST", "PUT", "PATCH"),
        "/v2.1/images/{one}": ("POST", "PUT", "PATCH"),
        "/v2.1/images/{one}/metadata": ("PATCH", "DELETE"),
        "/v2.1/images/{one}/metadata/colour": ("POST", "PATCH"),
    }
    why = "a method that is not there is told with those that are"
    for path, methods in paths.items():
        told += [Departure(Asked(one, path), missing, wrong, why) for one in methods]
        told.append(Departure(Asked("HEAD", path), missing, (405, None), "as above, and HEAD has no body"))
        told.append(Departure(Asked("OPTIONS", path), (200, None), wrong, "OPTIONS is answered with nothing at Nova"))
    told.append(Departure(Asked("GET", "/v2.1/images?a=%zz"), (200, None), (400, "badRequest"), "it is no text"))
    images_own = Asked("DELETE", "/v2.1/images/detail")
    told.append(Departure(images_own, (404, "itemNotFound"), wrong, "no image is called so"))
    for path in ("/v2.1/images/", "/v2.1/nothing", "/v2.1/xyz/images", "/v2.1/{project}"):
        told.append(Departure(Asked("GET", path), missing, (404, "itemNotFound"), plain))
    told.append(Departure(Asked("POST", "/v2.1/"), (200, None), wrong, "Nova tells of versions by any method"))
    for path in ("/v2.1/images", "/v2.1/images/{one}", "/v2/{project}/images"):
        told.append(
            Departure(
                Asked("GET", path, who=None), (401, "error"), (401, "unauthorized"), "Keystone's middleware answers for Nova"
            )
        )
    told.append(
        Departure(
            Asked("GET", "/v2.1/{project}/", who=None), (401, "error"), (200, None), "the version is no secret anywhere"
        )
    )
    told.append(Departure(Asked("GET", "/", who=None), (200, None), (300, None), "`/` tells of the Image API"))
    told.append(Departure(Asked("GET", "/v2", who=None), (200, None), (200, None), "`/v2` is the Image API's"))
    told.append(Departure(Asked("GET", "/v2/images"), (200, None), (200, None), "`/v2/images` is the Image API's"))
    for query, why in (
        ("status=SAVING", "a status finds all that are shown so"),
        ("property-os_distro=x", "Nova looks for s_distro"),
        ("property-name=one", "to Nova the name is a property"),
        ("limit=2&limit=1", "the link to the next page has the limit that counted"),
    ):
        told.append(Departure(Asked("GET", f"/v2.1/images?{query}"), (200, None), (200, None), why))
    for key in ("visibility", "min_ram", "name", "id", "os_hidden", "disk_format"):
        body = {"metadata": {key: "9" if key == "min_ram" else "public"}}
        why = "to Nova some keys are attributes, and some nothing"
        told.append(Departure(Asked("POST", there, body), (200, None), forbidden, why))
    for key in ("location", "deleted", "os_glance_x"):
        body = {"metadata": {key: "1"}}
        told.append(Departure(Asked("POST", there, body), forbidden, forbidden, "it is told which key that is"))
    for key in ("status", "protected", "size", "tags", "self"):
        body = {"metadata": {key: "1"}}
        told.append(Departure(Asked("POST", there, body), (500, "computeFault"), forbidden, "Nova falls over such a key"))
    same = Asked("POST", there, {"metadata": {"colour": "red"}}, who="rita", properties={"colour": "red"})
    why = "who may not change an image may not either if nothing would be different"
    told.append(Departure(same, (200, None), forbidden, why))
    line = Asked("POST", there, {"metadata": {"a\n": "1"}})
    told.append(Departure(line, (200, None), (400, "badRequest"), "a key ends where it ends"))
    told.append(
        Departure(
            Asked("POST", "/v2/{project}/images/{it}/metadata", {"metadata": {"a/b": "1"}}),
            (200, None), (400, "badRequest"), "Nova lets all keys pass if none is good",
        )  # fmt: skip
    )
    # The last one: with such an image Nova lists nothing any more.
    bad = Asked("GET", "/v2.1/images/{it}", properties={"mappings": "no JSON"})
    told.append(Departure(bad, (500, "computeFault"), (200, None), "what is no JSON is shown as the text that it is"))
    return told
