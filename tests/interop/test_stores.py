"""Backends are what clients know as stores, and a client's first questions are answered."""

from __future__ import annotations

from typing import Any

import pytest

from clients import CommandLine
from wire import Wire
from world import STORES, World


def test_the_backends_are_listed_as_stores(front: Wire) -> None:
    stores = front.get("/v2/info/stores").expect(200).json()["stores"]
    assert [one["id"] for one in stores] == list(STORES)
    assert [one["id"] for one in stores if one.get("default") == "true"] == ["local"]


def test_every_client_lists_the_stores(command_line: CommandLine, glance: Any, sdk: Any) -> None:
    assert {one["ID"] for one in command_line.openstack_json("image", "stores", "list")} == set(STORES)
    assert {one["id"] for one in glance.images.get_stores_info()["stores"]} == set(STORES)
    assert {one.id for one in sdk.stores()} == set(STORES)
    assert all(name in command_line.glance("stores-info") for name in STORES)


def test_an_image_with_data_names_its_store(world: World, front: Wire) -> None:
    for image_id, store in world.ledger.items():
        shown = world.catalogue[image_id]
        if shown["status"] == "active":
            assert front.show(image_id)["stores"] == store


def test_the_versions_are_offered_where_clients_look_for_them(front: Wire) -> None:
    for path, status in (("/", 300), ("/versions", 200), ("/v9/images", 300)):
        versions = front.get(path).expect(status).json()["versions"]
        assert sum(version["status"] == "CURRENT" for version in versions) == 1
        assert {"v2.0", "v2.7"} <= {version["id"] for version in versions}
        for version in versions:
            assert [link["rel"] for link in version["links"]] == ["self"]
            assert version["links"][0]["href"].endswith("/v2/")


@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
def test_the_schemas_clients_build_their_models_from_are_served(front: Wire, name: str) -> None:
    schema = front.get(f"/v2/schemas/{name}").expect(200).json()
    assert schema["name"] == name
    if name == "image":
        assert schema["additionalProperties"] == {"type": "string"}
        assert {"id", "name", "os_hash_value", "visibility", "tags"} <= set(schema["properties"])


def test_the_schemas_the_glance_command_fetches_at_its_start_do_not_fail(front: Wire) -> None:
    for resource in ("namespace", "resource_type"):
        assert front.get(f"/v2/schemas/metadefs/{resource}").status in (200, 404)


def test_the_import_methods_are_told(front: Wire) -> None:
    methods = front.get("/v2/info/import").expect(200).json()["import-methods"]
    assert methods["type"] == "array" and isinstance(methods["value"], list)


def test_an_unknown_path_and_an_unknown_method_are_told_apart(front: Wire) -> None:
    front.get("/v2/nonsense").expect(404)
    front.get("/v2/images/").expect(404)
    refused = front.request("PUT", "/v2/images").expect(405)
    assert {"GET", "POST"} <= {method.strip() for method in refused.headers["Allow"].split(",")}


def test_every_answer_carries_a_request_id(front: Wire) -> None:
    assert front.get("/v2/images").headers["X-OpenStack-Request-ID"].startswith("req-")
