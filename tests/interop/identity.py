"""What the tests with a Keystone consist of: people, a Glance that asks Keystone about them, and front doors."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from clients import CommandLine, Ran
from glance import Glance
from keystone import Keystone, User
from portico import Portico, toml
from processes import Process, free_port
from wire import Wire

# How the front door comes to its images: a directory of its own, or a Glance that is shown the caller's token, or one of
# the front door's own, by a password or by an application credential.
Mode = Literal["local", "caller", "password", "application"]
MODES: tuple[Mode, ...] = ("local", "caller", "password", "application")

# The time within which a revocation is noticed here.
RECHECK = 2.0


class Person(CommandLine):
    """`openstack` as one user runs it: Keystone and its catalogue tell everything else."""

    def __init__(self, bin_directory: Path, home: Path, environment: dict[str, str]) -> None:
        super().__init__(bin_directory, home, "")
        self._environment |= environment

    def try_openstack(self, *words: str) -> Ran:
        return self._run("openstack", *words)


@dataclass
class Identity:
    """One Keystone, and what stands around it."""

    home: Path
    keystone_venv: Path
    glance_venv: Path
    binary: Path
    token_life: int = 3600
    servers: list[Process] = field(default_factory=list)
    people: dict[str, User] = field(default_factory=dict)

    def start(self) -> None:
        """Starts Keystone, and lets it know the people."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.keystone = Keystone(self.home / "keystone", free_port(), self.keystone_venv, self.token_life)
        self._add(self.keystone)
        self.people = {
            "alice": self.keystone.user("alice", "red", "member"),
            "rita": self.keystone.user("rita", "red", "reader"),
            "bob": self.keystone.user("bob", "blue", "member"),
            "root": self.keystone.user("root", "ops", "admin"),
            "nova": self.keystone.user("nova", "service", "service"),
            # Whom the front door is for a Glance.
            "porter": self.keystone.user("porter", "service", "admin"),
        }

    def add_glance(self) -> Glance:
        """Starts a Glance that asks Keystone, as its own documents have it."""
        section = {
            "auth_type": "password",
            "auth_url": self.keystone.url,
            "www_authenticate_uri": self.keystone.url,
            # It may remember nothing, so that it says what Keystone says now.
            "token_cache_time": "-1",
            **self.keystone.service.credential(),
        }
        glance = Glance(
            "ark", self.home / "ark", free_port(), self.glance_venv, "gunicorn", authtoken=section
        )
        self._add(glance)
        return glance

    def add_portico(
        self, name: str, backend: str, credential: dict[str, Any] | None = None, settings: str = ""
    ) -> Portico:
        """Starts a front door with one backend, of which everything but the name is given, and with more `settings`."""
        keystone = {
            "url": self.keystone.url,
            "credential": credential or self.keystone.service.credential(),
            "recheck": f"{RECHECK}s",
            "refused_age": "1s",
            "retry_pause": "200ms",
        }
        settings += f"""[auth]
kind = "keystone"
keystone = {toml(keystone)}
[[backend]]
name = "images"
deadline = "20s"
{backend}
"""
        portico = Portico(self.home / name, free_port(), self.binary, {}, settings=settings)
        self._add(portico)
        return portico

    def backend(self, mode: Mode, glance: Glance) -> str:
        """The backend for a mode, as a configuration has it."""
        if mode == "local":
            return 'kind = "local"\noptions = { path = "./data" }'
        auth: dict[str, Any] = {"kind": "caller"}
        if mode != "caller":
            auth = {"kind": "keystone", "url": self.keystone.url, "credential": self.people["porter"].credential()}
        if mode == "application":
            name, secret = self.keystone.application_credential(self.people["porter"], "front")
            auth["credential"] = {"application_credential_id": name, "application_credential_secret": secret}
        options = {"dialect": "glance-v2", "endpoint": glance.endpoint, "auth": auth}
        return f'kind = "http"\noptions = {toml(options)}'

    def person(self, name: str, **more: str) -> Person:
        """A user at a terminal."""
        environment = self.people[name].environment(self.keystone.url) | more
        return Person(Path(sys.executable).parent, self.home / f"home-{name}", environment)

    def token(self, name: str, scope: str = "project") -> str:
        """A new token of a user."""
        return self.keystone.token(self.people[name], scope)

    def _add(self, server: Process) -> None:
        self.servers.append(server)
        server.start()

    def stop(self) -> None:
        """Stops everything, the front doors first."""
        for server in reversed(self.servers):
            server.stop()


def asks(server: Process, token: str | None, path: str = "/v2/images", **headers: str) -> Any:
    """What a server answers to somebody with this token."""
    shown = {"X-Auth-Token": token} if token is not None else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Wire(server.endpoint).get(path, {**shown, **named})
