"""Metadata definitions: the files of Glance's distribution, loaded here and into a real Glance, and the clients."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import CommandLine
from glance import Glance
from report import tally
from wire import Wire
from world import World

NAMESPACES = "/v2/metadefs/namespaces"
SCHEMAS = (
    "namespace", "namespaces", "resource_type", "resource_types", "property", "properties", "object", "objects",
    "tag", "tags",
)  # fmt: skip


def _load_into_portico(world: World, files: Path) -> str:
    assert world.portico is not None and world.binary is not None
    load = [str(world.binary), "metadefs", "load", str(files), "--config", str(world.portico.configuration)]
    done = subprocess.run(load, cwd=world.portico.directory, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout.strip()


def _load_into(glance: Glance, files: Path) -> None:
    manage = [f"{glance.venv}/bin/glance-manage", "--config-file", str(glance.directory / "glance-api.conf")]
    subprocess.run([*manage, "db_load_metadefs", str(files)], check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def reference(world: World) -> Wire:
    """A real Glance that has loaded the files of its distribution, as the front has, while both were running."""
    files = world.glance_venv / "etc" / "glance" / "metadefs"
    if world.target == "glance":
        _load_into(world.servers[-1], files)  # type: ignore[arg-type]
        return world.front
    told = _load_into_portico(world, files)
    tally.say(f"interop metadefs: {told}")
    _load_into(world.glances["paris"], files)
    return world.upstream("paris")


@pytest.fixture
def namespace(front: Wire) -> Iterator[Callable[[], str]]:
    """The name of a namespace that a test makes, and that is gone after it."""
    named: list[str] = []

    def name() -> str:
        named.append(f"OS::Interop::{uuid.uuid4()}")
        return named[-1]

    yield name
    for made in named:
        front.request("DELETE", f"{NAMESPACES}/{made}").expect(204, 404)


def _comparable(value: Any) -> Any:
    """Without times, and without an order where none is promised."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items() if key not in ("created_at", "updated_at")}
    if isinstance(value, list):
        items = [_comparable(item) for item in value]
        return sorted(items, key=lambda item: item["name"]) if items and isinstance(items[0], dict) else items
    return value


def _namespaces(wire: Wire) -> list[str]:
    """All names, walked by `next` in small pages."""
    names: list[str] = []
    path: str | None = f"{NAMESPACES}?limit=5&sort_key=namespace&sort_dir=asc&visibility=public"
    for _ in range(50):
        page = wire.get(path).expect(200).json()
        names += [item["namespace"] for item in page["namespaces"]]
        path = page.get("next")
        if path is None:
            return names
    raise AssertionError("the walk does not end")


def test_every_loaded_namespace_is_shown_as_a_real_glance_shows_it(front: Wire, reference: Wire) -> None:
    names = _namespaces(front)
    assert names == _namespaces(reference) and len(names) > 25
    prefixes = 0
    for name in names:
        path = f"{NAMESPACES}/{name}"
        shown, expected = (_comparable(wire.get(path).expect(200).json()) for wire in (front, reference))
        assert shown == expected, name
        for part in ("properties", "objects", "tags", "resource_types"):
            shown, expected = (_comparable(wire.get(f"{path}/{part}").expect(200).json()) for wire in (front, reference))
            assert shown == expected, f"{part} of {name}"
        for association in front.get(f"{path}/resource_types").json()["resource_type_associations"]:
            prefixes += "prefix" in association
            query = f"{path}?resource_type={association['name']}"
            shown, expected = (_comparable(wire.get(query).expect(200).json()) for wire in (front, reference))
            assert shown == expected, query
    assert prefixes > 10
    types = [_comparable(wire.get("/v2/metadefs/resource_types").expect(200).json()) for wire in (front, reference)]
    assert types[0] == types[1]


def test_lists_by_type_of_resources_agree(front: Wire, reference: Wire) -> None:
    for query in ("resource_types=OS::Nova::Flavor", "resource_types=OS::Cinder::Volume,OS::Trove::Instance"):
        path = f"{NAMESPACES}?{query}&sort_key=namespace&limit=100&visibility=public"
        shown, expected = (wire.get(path).expect(200).json() for wire in (front, reference))
        names = [[item["namespace"] for item in page["namespaces"]] for page in (shown, expected)]
        assert names[0] == names[1] and names[0], query
        assert shown["first"] == expected["first"]


def _shape(value: Any) -> Any:
    """A schema without what it says to people."""
    if isinstance(value, dict):
        said = {key: item for key, item in value.items() if not (key == "description" and isinstance(item, str))}
        return {key: _shape(item) for key, item in said.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_say_what_those_of_a_real_glance_say(front: Wire, reference: Wire, name: str) -> None:
    path = f"/v2/schemas/metadefs/{name}"
    shown, expected = (_shape(wire.get(path).expect(200).json()) for wire in (front, reference))
    assert shown == expected


def test_loading_again_changes_nothing(front: Wire, reference: Wire, world: World, tmp_path: Path) -> None:
    if world.target == "glance":
        pytest.skip("this is about portico's own command")
    before = front.get(f"{NAMESPACES}/OS::Compute::Quota").expect(200).json()
    told = _load_into_portico(world, world.glance_venv / "etc" / "glance" / "metadefs")
    assert "loaded: 0 namespaces, 0 properties, 0 objects" in told
    assert front.get(f"{NAMESPACES}/OS::Compute::Quota").json() == before
    # What a service shows is itself a file that can be loaded.
    (tmp_path / "shown.json").write_text(json.dumps(before))
    assert "1 namespaces were there" in _load_into_portico(world, tmp_path)


def test_the_glance_command_makes_shows_changes_and_deletes_a_namespace(
    front: Wire, command_line: CommandLine, namespace: Callable[[], str]
) -> None:
    name, run = namespace(), command_line.glance
    run("md-namespace-create", name, "--owner", "interop", "--display-name", "D", "--visibility", "public")
    assert name in run("md-namespace-list", "--page-size", "3")
    shown = command_line.glance_table("md-namespace-show", name)
    assert (shown["display_name"], shown["visibility"], shown["owner"]) == ("D", "public", "interop")
    run("md-namespace-update", name, "--description", "changed", "--visibility", "private", "--owner", "interop")
    changed = front.get(f"{NAMESPACES}/{name}").expect(200).json()
    assert (changed["description"], changed["visibility"], changed["protected"]) == ("changed", "private", False)
    run("md-namespace-delete", name)
    front.get(f"{NAMESPACES}/{name}").expect(404)
    refused = command_line.try_glance("md-namespace-show", name)
    assert refused.code != 0 and name in refused.out + refused.err


def test_the_glance_command_works_on_properties_objects_tags_and_types(
    front: Wire, command_line: CommandLine, namespace: Callable[[], str]
) -> None:
    name, run = namespace(), command_line.glance
    run("md-namespace-create", name, "--owner", "interop")
    schema = '{"minimum": 1, "default": "2"}'
    run("md-property-create", name, "--name", "p", "--title", "P", "--type", "integer", "--schema", schema)
    assert "| p " in run("md-property-list", name)
    assert command_line.glance_table("md-property-show", name, "p")["minimum"] == "1"
    run("md-property-update", name, "p", "--name", "q", "--title", "Q")
    shown = front.get(f"{NAMESPACES}/{name}/properties/q").expect(200).json()
    # The client adds what the schema calls a default.
    expected = {"name": "q", "title": "Q", "type": "integer", "minimum": 1, "default": "2", "uniqueItems": False}
    assert shown == expected

    inner = {"description": "d", "properties": {"a": {"title": "A", "type": "string"}}}
    run("md-object-create", name, "--name", "o", "--schema", json.dumps(inner))
    assert "| o " in run("md-object-list", name)
    assert "A" in run("md-object-property-show", name, "o", "a")
    run("md-object-update", name, "o", "--name", "o2")
    assert command_line.glance_table("md-object-show", name, "o2")["description"] == "d"

    run("md-tag-create", name, "--name", "one")
    run("md-tag-create", name, "--name", "two")
    run("md-tag-update", name, "one", "--name", "first")
    listed = run("md-tag-list", name)
    assert "first" in listed and "two" in listed and "one" not in listed
    run("md-tag-show", name, "first")
    run("md-tag-delete", name, "first")
    # This command's own --append fails before it sends anything.
    run("md-tag-create-multiple", name, "--names", "three,four")
    tags = front.get(f"{NAMESPACES}/{name}/tags?sort_key=name").expect(200).json()
    assert tags == {"tags": [{"name": "three"}, {"name": "four"}]}

    run("md-resource-type-associate", name, "--name", "OS::Interop::Thing", "--prefix", "x:")
    assert "OS::Interop::Thing" in run("md-resource-type-list")
    assert "x:" in run("md-namespace-resource-type-list", name)
    run("md-resource-type-deassociate", name, "OS::Interop::Thing")

    run("md-property-delete", name, "q")
    run("md-object-delete", name, "o2")
    for part in ("properties", "objects", "tags"):
        run(f"md-namespace-{part}-delete", name)
    left = front.get(f"{NAMESPACES}/{name}").expect(200).json()
    assert not {"properties", "objects", "tags", "resource_type_associations"} & left.keys()


def test_the_glance_command_imports_a_file_of_the_distribution(
    front: Wire, reference: Wire, command_line: CommandLine, namespace: Callable[[], str], tmp_path: Path, world: World
) -> None:
    source = world.glance_venv / "etc" / "glance" / "metadefs" / "software-webservers.json"
    definition = json.loads(source.read_text()) | {"namespace": namespace(), "protected": False, "owner": "interop"}
    file = tmp_path / "definition.json"
    file.write_text(json.dumps(definition))
    command_line.glance("md-namespace-import", "--file", str(file))
    made = _comparable(front.get(f"{NAMESPACES}/{definition['namespace']}").expect(200).json())
    loaded = _comparable(reference.get(f"{NAMESPACES}/OS::Software::WebServers").expect(200).json())
    for item in [*made["objects"], *loaded["objects"]]:
        item.pop("self")
    assert made["objects"] == loaded["objects"]
    assert made["resource_type_associations"] == loaded["resource_type_associations"]


@pytest.mark.portico_only("a Glance without Keystone makes no namespace without an owner, and this client names none")
def test_the_openstack_command_makes_shows_changes_and_deletes_definitions(
    front: Wire, command_line: CommandLine, namespace: Callable[[], str]
) -> None:
    name = namespace()

    def run(*words: str) -> str:
        return command_line.openstack("image", "metadef", *words)

    def read(*words: str) -> Any:
        return command_line.openstack_json("image", "metadef", *words)

    run("namespace", "create", "--public", "--display-name", "D", name)
    assert name in {row["namespace"] for row in read("namespace", "list")}
    run("namespace", "set", "--description", "changed", "--private", name)
    shown = read("namespace", "show", name)
    assert (shown["description"], shown["visibility"]) == ("changed", "private")

    schema = '{"minimum": 1}'
    run("property", "create", "--name", "p", "--title", "P", "--type", "integer", "--schema", schema, name)
    assert [row["name"] for row in read("property", "list", name)] == ["p"]
    run("property", "set", "--title", "Q", name, "p")
    assert read("property", "show", name, "p")["title"] == "Q"

    run("object", "create", "--namespace", name, "o")
    run("object", "update", "--name", "o2", name, "o")
    assert read("object", "show", name, "o2")["name"] == "o2"
    assert [row["name"] for row in read("object", "list", name)] == ["o2"]

    run("resource", "type", "association", "create", name, "OS::Interop::Thing")
    listed = read("resource", "type", "association", "list", name)
    assert "OS::Interop::Thing" in json.dumps(listed)
    assert "OS::Interop::Thing" in json.dumps(read("resource", "type", "list"))
    run("resource", "type", "association", "delete", name, "OS::Interop::Thing")

    run("object", "delete", name, "o2")
    run("property", "delete", name, "p")
    run("namespace", "delete", name)
    front.get(f"{NAMESPACES}/{name}").expect(404)


@pytest.mark.portico_only("a Glance without Keystone makes no namespace without an owner, and this client names none")
def test_openstacksdk_reads_and_writes_definitions(front: Wire, sdk: Any, namespace: Callable[[], str]) -> None:
    name = namespace()
    sdk.create_metadef_namespace(namespace=name, visibility="public", description="d")
    assert sdk.get_metadef_namespace(name).description == "d"
    made = sdk.create_metadef_property(name, name="p", title="P", type="string")
    assert sdk.get_metadef_property(made, name).title == "P"
    sdk.create_metadef_object(name, name="o")
    assert [found.name for found in sdk.metadef_objects(name)] == ["o"]
    sdk.create_metadef_resource_type_association(name, name="OS::Interop::Thing")
    assert [found.name for found in sdk.metadef_resource_type_associations(name)] == ["OS::Interop::Thing"]
    assert name in {found.namespace for found in sdk.metadef_namespaces(limit=3)}
    sdk.delete_metadef_namespace(name)
    front.get(f"{NAMESPACES}/{name}").expect(404)
