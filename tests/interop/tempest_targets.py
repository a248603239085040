"""What Tempest is run against: the services of each target, raised for one round, and what they can do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from files import Files
from glance import Glance, WsgiServer
from keystone import REGION, Keystone
from payload import MIB, block, empty_qcow2
from portico import Portico, toml
from processes import Process, free_port
from wire import Wire

# local: Portico with two directories. glance: Portico with a Glance, where new images go, and a directory; to that
# Glance it shows a credential of its own. caller: the same, but it shows the callers' tokens. baseline: that Glance
# with all that it has, and no Portico.
Target = Literal["local", "glance", "caller", "baseline"]
TARGETS: tuple[Target, ...] = get_args(Target)

# full: all image tests, as services are by default. lax: those that want no hashes and no check of formats. limits:
# those of Keystone's unified limits.
Round = Literal["full", "lax", "limits"]
ROUNDS: Mapping[Round, str] = {
    "full": r"tempest\.api\.image\.v2|glance_tempest_plugin",
    "lax": r"with_do_secure_hash_false|v2\.test_images\.ListUserImagesTest",
    "limits": r"scenario\.test_unified_limits\.ImageQuotaTest",
}
# Of the first round, what has found most mistakes, and one class of each kind. With a Glance behind there is one class
# less, for time's sake: administrators are tried with directories.
_OFTEN = r"tempest\.api\.image\.v2\.test_(images|images_negative|images_member|images_tags|versions)\."
_READER = r"rbac\.v2\.test_project_reader_tests\.ImagesProjectReaderTests"
_ADMIN = r"rbac\.v2\.test_project_admin_tests\.ImageProjectAdminTests"


def short(target: Target) -> str:
    """What a change is tried with."""
    return "|".join((_OFTEN, _READER) if target in ("glance", "caller") else (_OFTEN, _READER, _ADMIN))


# What Tempest has to be told that a service has, by the names of Tempest's configuration: the targets that have it.
# What is turned on here, the services below must be told too, and it must go from tempest-expected.toml.
FEATURES: Mapping[str, tuple[Target, ...]] = {
    "image-feature-enabled.import_image": TARGETS,
    "image-feature-enabled.manage_locations": TARGETS,
    "image-feature-enabled.http_store_enabled": TARGETS,
    "image-feature-enabled.store_weight_enabled": TARGETS,
    "image-feature-enabled.os_glance_reserved": TARGETS,
    "image.image_caching_enabled": TARGETS,
}
# And what a service has in every round but the lax one.
STRICT = ("image-feature-enabled.do_secure_hash", "image-feature-enabled.image_format_enforcement")


def features(target: Target, round_: Round) -> dict[str, bool]:
    """Each feature's switch for one run."""
    return {name: target in having for name, having in FEATURES.items()} | dict.fromkeys(STRICT, round_ != "lax")


# What Keystone's unified limits are for a project that has none of its own, in MiB and in images.
LIMITS = {"image_size_total": 1000, "image_stage_total": 1000, "image_count_total": 100, "image_count_uploading": 100}

# How many images there are in a store that Tempest does not write to: more than fit on a page by default.
SEEDS = 60


@dataclass
class Scene:
    """All that runs for one round of one target, in a directory of its own."""

    target: Target
    round: Round
    home: Path
    keystone_venv: Path
    glance_venv: Path
    binary: Path
    servers: list[Process] = field(default_factory=list)

    def start(self) -> None:
        """Starts everything and lets the catalogue name the service to be tried."""
        self.keystone = Keystone(self.home / "keystone", free_port(), self.keystone_venv)
        self._add(self.keystone)
        # A second worker of the service, for the tests that want one.
        self.has_remote = False
        contents = {"disk.raw": block(0, MIB), "disk.qcow2": empty_qcow2(16 * MIB)}
        self.files = Files(self.home / "files", free_port(), contents)
        self._add(self.files)
        raising: Mapping[Target, Callable[[], None]] = {
            "local": self._raise_local,
            "glance": self._raise_glance,
            "caller": self._raise_glance,
            "baseline": self._raise_baseline,
        }
        raising[self.target]()

    def stop(self) -> None:
        """Stops everything, the fronts first."""
        for server in reversed(self.servers):
            server.stop()

    def _add(self, server: Process) -> None:
        self.servers.append(server)
        server.start()

    def _raise_local(self) -> None:
        self._portico("".join(self._directory(name) for name in ("fast", "slow")))

    def _raise_glance(self) -> None:
        glance = self._glance("glance", stores=("fast", "slow"), more=self._behind())
        self._add(glance)
        auth: dict[str, Any] = {"kind": "caller"}
        if self.target == "glance":
            porter = self.keystone.user("porter", "service", "admin")
            auth = {"kind": "keystone", "url": self.keystone.url, "credential": porter.credential()}
        options = {"dialect": "glance-v2", "endpoint": glance.endpoint, "auth": auth}
        # A Glance on a machine that is busy with all this takes its time.
        behind = f'[[backend]]\nname = "glance"\nkind = "http"\ndeadline = "20s"\noptions = {toml(options)}\n'
        front = self._portico('[placement]\ndefault = "glance"\n' + behind + self._directory("local"))
        self._sow(front, "local")

    def _raise_baseline(self) -> None:
        more = self._alone()
        first = self._glance("first", stores=("fast", "slow"), pipeline="cachemanagement", more=more)
        service_id = self.keystone.catalogue("image", first.endpoint, "glance")
        if self.round == "limits":
            self._limit(service_id)
        first.load_definitions()
        self._add(first)
        second = self._glance("second", stores=first.stores, pipeline=first.pipeline, more=more, beside=first)
        self.keystone.catalogue("image_remote", second.endpoint, "glance_remote")
        self._add(second)
        self.has_remote = True

    def _portico(self, backends: str) -> Portico:
        service = self.keystone.service
        settings = f"""[auth]
kind = "keystone"
keystone = {toml({"url": self.keystone.url, "credential": service.credential()})}
[state]
directory = {toml(str(self.home / "portico" / "state"))}
[imports]
methods = ["glance-direct", "web-download", "copy-image", "glance-download"]
region = {toml(REGION)}
# What it fetches is here and nowhere else. From other ports it takes nothing: Tempest's own server needs a minute for
# what it has, and where it is refused the test goes on with what is here.
[imports.web]
ports = [{self.files.port}]
allow_networks = ["127.0.0.0/8"]
"""
        strict = str(self.round != "lax").lower()
        settings += f"[formats]\ncheck = {strict}\n[locations]\nshow = true\ndirect_url = true\nhash = {strict}\n"
        fetch = {"ports": [self.files.port], "allow_networks": ["127.0.0.0/8"]}
        web = {"path": str(self.home / "portico" / "web"), "fetch": fetch}
        backends += f'[[backend]]\nname = "web"\nkind = "web"\noptions = {toml(web)}\n'
        cache = {"path": str(self.home / "portico" / "cache")}
        backends += f'[[backend]]\nname = "cache"\nkind = "local"\nrole = "cache"\noptions = {toml(cache)}\n'
        if self.round == "limits":
            limits = {"credential": self._sees_all_limits(), "service_type": "image", "region": REGION}
            settings += f"[quotas]\nkeystone = {toml(limits)}\n"
        portico = Portico(self.home / "portico", free_port(), self.binary, {}, settings=settings + backends)
        service_id = self.keystone.catalogue("image", portico.endpoint, "glance")
        # Portico is one process with one staging area, so that every other address of a deployment is the same one's.
        self.keystone.catalogue("image_remote", portico.endpoint, "glance_remote")
        self.has_remote = True
        if self.round == "limits":
            self._limit(service_id)
        self._add(portico)
        definitions = str(self.glance_venv / "etc" / "glance" / "metadefs")
        load = [str(self.binary), "metadefs", "load", definitions, "--config", str(portico.configuration)]
        subprocess.run(load, check=True, timeout=60, stdout=subprocess.DEVNULL)
        return portico

    def _sow(self, front: Portico, store: str) -> None:
        """Puts images into a store that Tempest does not write to, so that every list is of two stores."""
        token = self.keystone.token(self.keystone.admin)
        headers = {"X-Auth-Token": token, "X-Image-Meta-Store": store}
        for number in range(SEEDS):
            visibility = ("public", "private")[number % 2]
            image = {"name": f"seed {number:02}", "visibility": visibility}
            image |= {"disk_format": "raw", "container_format": "bare"}
            Wire(front.endpoint).request("POST", "/v2/images", headers, json_body=image).expect(201)

    def _directory(self, name: str) -> str:
        path = str(self.home / "portico" / name)
        return f'[[backend]]\nname = "{name}"\nkind = "local"\ncached = true\noptions = {toml({"path": path})}\n'

    def _glance(self, name: str, **options: Any) -> Glance:
        authtoken = {
            "auth_type": "password",
            "auth_url": self.keystone.url,
            "www_authenticate_uri": self.keystone.url,
            **self.keystone.service.credential(),
        }
        server: WsgiServer = "uwsgi" if (self.glance_venv / "bin" / "uwsgi").exists() else "gunicorn"
        return Glance(name, self.home / name, free_port(), self.glance_venv, server, authtoken=authtoken, **options)

    def _behind(self) -> dict[str, dict[str, str]]:
        """What a Glance is told in this round, wherever it stands."""
        if self.round != "lax":
            return {}
        return {"DEFAULT": {"do_secure_hash": "false"}, "image_format": {"require_image_format_match": "false"}}

    def _alone(self) -> dict[str, dict[str, str]]:
        """What a Glance is told so that it can do all that Tempest tries."""
        more = self._behind()
        more["DEFAULT"] = {
            "enabled_backends": "fast:file,slow:file,web:http",
            "enabled_import_methods": "[glance-direct,web-download,copy-image,glance-download]",
            "show_multiple_locations": "true",
            "show_image_direct_url": "true",
            "use_keystone_limits": str(self.round == "limits").lower(),
            **more.get("DEFAULT", {}),
        }
        more["fast"], more["slow"] = {"weight": "20"}, {"weight": "10"}
        # What it fetches is on this machine, on any port, and nowhere else.
        more["import_filtering_opts"] = {"allowed_hosts": "[127.0.0.1]", "allowed_ports": "[]"}
        more["oslo_limit"] = {
            "auth_type": "password",
            "auth_url": self.keystone.url,
            **self._sees_all_limits(),
            "endpoint_service_type": "image",
            "endpoint_region_name": REGION,
            "endpoint_interface": "public",
        }
        return more

    def _sees_all_limits(self) -> dict[str, str]:
        service = self.keystone.service
        who = {"username": service.name, "password": service.password, "user_domain_id": "default"}
        return {**who, "system_scope": "all"}

    def _limit(self, service_id: str) -> None:
        for name, limit in LIMITS.items():
            self.keystone.limit(service_id, name, limit)
