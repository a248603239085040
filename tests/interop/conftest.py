"""Servers, clients and seeds for the tests, and the lines printed after them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients import CommandLine, glance_library, sdk_connection
from report import tally
from wire import Wire
from world import STORES, World


def _setting(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        pytest.exit(f"{name} is not set: start the suite by tests/interop/run", returncode=2)
    return value


def _target() -> str:
    return os.environ.get("PORTICO_INTEROP_TARGET", "portico")


def _end_as_if_interrupted(*_: object) -> None:
    """A polite kill has to run the fixtures' endings too, which an interrupt does."""
    raise KeyboardInterrupt


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "portico_only(why): says nothing about a plain Glance")
    if _target() not in ("portico", "glance"):
        raise pytest.UsageError("PORTICO_INTEROP_TARGET is either portico or glance")
    signal.signal(signal.SIGTERM, _end_as_if_interrupted)


def pytest_runtest_setup(item: pytest.Item) -> None:
    mark = item.get_closest_marker("portico_only")
    if mark and _target() == "glance":
        pytest.skip(f"NOT TRIED, the target is a plain Glance: {mark.args[0]}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _target() == "glance":
        terminalreporter.write_line("CALIBRATION: this run was against a plain Glance and proves nothing about Portico")
    for line in tally.summary():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Everything running, and seeded."""
    home = Path(_setting("PORTICO_INTEROP_DIR"))
    binary = Path(_setting("PORTICO_BIN")) if _target() == "portico" else None
    built = World(_target(), home / "run", home / "glance-venv", binary)  # type: ignore[arg-type]
    try:
        built.raise_servers()
        built.sow()
        behind = ", ".join(f"{name} (Glance, {glance.server})" for name, glance in built.glances.items())
        tally.say(f"interop front: {built.target}" + (f" before {behind}" if behind else ""))
        yield built
    finally:
        built.stop_servers()


@pytest.fixture
def front(world: World) -> Wire:
    """The endpoint under test, by hand."""
    return world.front


@pytest.fixture(scope="session")
def command_line(world: World) -> CommandLine:
    """The two command lines."""
    return CommandLine(Path(sys.executable).parent, world.home / "user", world.front.endpoint)


@pytest.fixture
def glance(world: World) -> Any:
    """python-glanceclient."""
    return glance_library(world.front.endpoint)


@pytest.fixture
def sdk(world: World) -> Iterator[Any]:
    """openstacksdk's image proxy."""
    connection = sdk_connection(world.front.endpoint)
    yield connection.image
    connection.close()


@pytest.fixture
def disposable(world: World) -> Iterator[Callable[[str], str]]:
    """Notes an image to be deleted after the test, so that no test sees another's images."""
    noted: list[str] = []

    def note(image_id: str) -> str:
        noted.append(image_id)
        return image_id

    yield note
    for image_id in noted:
        world.front.forget(image_id)


@pytest.fixture
def tie_keys(world: World) -> tuple[str, ...]:
    """What orders images that are equal by all sort keys, as far as answers on the wire can tell.

    A Glance on SQLite orders images of one second by microseconds it never shows, so there only the shown
    second can be checked. Portico owes the full order of what it shows.
    """
    return ("created_at", "id") if world.target == "portico" else ("created_at",)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    """Each of the four stores in turn."""
    return request.param
