"""Whoever watches over Portico: its metrics as Prometheus' own parser reads them, and its backends as they are."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from processes import wait_until
from wire import Wire
from world import GLANCES, STORES, World

pytestmark = pytest.mark.portico_only("a Glance tells no metrics")


@pytest.fixture
def admin(world: World) -> Wire:
    """The listener for whoever watches."""
    assert world.portico is not None
    return Wire(world.portico.admin)


def metrics(admin: Wire) -> dict[str, Any]:
    """The families by name; the parser refuses whatever breaks a rule of the format."""
    reply = admin.get("/metrics").expect(200)
    assert reply.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(reply.body.decode())}


def total(family: Any, **labels: str) -> float:
    """The sum of a counter's samples that have these labels."""
    return sum(
        sample.value
        for sample in family.samples
        if sample.name.endswith("_total") and labels.items() <= sample.labels.items()
    )


def states(admin: Wire) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in admin.get("/backends").expect(200).json()["backends"]}


def test_every_family_has_a_type_a_help_and_samples(front: Wire, admin: Wire) -> None:
    front.get("/v2/images").expect(200)
    families = metrics(admin)
    for name, family in families.items():
        assert name.startswith(("portico_", "process_")), name
        assert family.type in ("counter", "gauge", "histogram", "info"), name
        assert family.documentation and family.samples, name
        assert family.unit == "" or name.endswith(family.unit), name


def test_a_list_counts_one_request_and_a_call_of_each_backend(front: Wire, admin: Wire) -> None:
    front.get("/v2/images").expect(200)
    before = metrics(admin)
    front.get("/v2/images?limit=2").expect(200)
    after = metrics(admin)
    listed = {"route": "/v2/images", "method": "GET", "status": "200"}
    assert total(after["portico_requests"], **listed) == total(before["portico_requests"], **listed) + 1
    for store in STORES:
        calls = [total(told["portico_backend_calls"], backend=store, outcome="ok") for told in (before, after)]
        assert calls[1] >= calls[0] + 1, store


def test_each_backend_is_in_one_state(admin: Wire) -> None:
    samples = metrics(admin)["portico_backend_state"].samples
    assert {sample.labels["backend"] for sample in samples} == set(STORES)
    for store in STORES:
        ones = [sample.value for sample in samples if sample.labels["backend"] == store]
        assert sorted(ones) == [0, 0, 0, 1], store


@pytest.mark.parametrize("store", GLANCES)
def test_a_glance_that_is_away_is_told_until_it_is_back(world: World, front: Wire, admin: Wire, store: str) -> None:
    glance = world.glances[store]
    glance.stop()
    try:
        front.get("/v2/images").expect(200)
        assert states(admin)[store] != "ok"
        entry = next(one for one in admin.get("/backends").json()["backends"] if one["name"] == store)
        assert entry["last_error"]["message"] and str(glance.port) not in str(entry), entry
        ready = admin.get("/readyz").expect(200).json()
        assert ready["ready"] and ready["backends"][store] != "ok"
        assert total(metrics(admin)["portico_backend_calls"], backend=store, outcome="failure") >= 1
    finally:
        glance.start()

    def well() -> bool:
        front.get("/v2/images").expect(200)
        return states(admin)[store] == "ok"

    wait_until(f"{store} is told to be well", well, within=60, every=0.25)
