"""A real Glance of 2017, which speaks the Images API v1: two services on one database; every caller is an admin."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from processes import Process, free_port

# The wheel has none.
PASTE = """
[composite:main]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v1: apiv1app
/v2: apiv2app
[pipeline:api]
pipeline = healthcheck versionnegotiation context main
[pipeline:registry]
pipeline = healthcheck context registryapp
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv1app]
paste.app_factory = glance.api.v1.router:API.factory
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[app:registryapp]
paste.app_factory = glance.registry.api:API.factory
[filter:healthcheck]
paste.filter_factory = oslo_middleware:Healthcheck.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
"""


class _Part(Process):
    """One of the two services."""

    def __init__(self, name: str, directory: Path, port: int, venv: Path) -> None:
        super().__init__(name, directory, port)
        self.venv = venv

    def command(self) -> Sequence[str]:
        return [f"{self.venv}/bin/glance-{self.name}", "--config-file", f"{self.directory}/{self.name}.conf"]


class OldGlance:
    """A Glance 15."""

    def __init__(self, directory: Path, venv: Path) -> None:
        self._registry = _Part("registry", directory, free_port(), venv)
        self._api = _Part("api", directory, free_port(), venv)
        (directory / "store").mkdir(exist_ok=True)
        for part in (self._registry, self._api):
            self._write_configuration(part, directory)
        manage = [f"{venv}/bin/glance-manage", "--config-file", f"{directory}/api.conf", "db_sync"]
        done = subprocess.run(manage, capture_output=True, text=True, timeout=180)
        if done.returncode != 0:
            raise RuntimeError(f"glance-manage db_sync failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    @property
    def endpoint(self) -> str:
        """Where clients find it, by either API."""
        return self._api.endpoint

    def start(self) -> None:
        """Starts both services."""
        self._registry.start()
        try:
            self._api.start()
        except BaseException:
            self._registry.stop()
            raise

    def stop(self) -> None:
        """Ends both."""
        self._api.stop()
        self._registry.stop()

    def _write_configuration(self, part: _Part, here: Path) -> None:
        policy = part.venv / "lib/python2.7/site-packages/glance/tests/etc/policy.json"
        (here / f"{part.name}.conf").write_text(
            f"""[DEFAULT]
bind_host = 127.0.0.1
bind_port = {part.port}
workers = 0
use_stderr = true
registry_host = 127.0.0.1
registry_port = {self._registry.port}
enable_v1_api = true
image_cache_dir = {here}/cache
[database]
connection = sqlite:///{here}/glance.db
[glance_store]
stores = file
default_store = file
filesystem_store_datadir = {here}/store
[oslo_policy]
policy_file = {policy}
[oslo_concurrency]
lock_path = {here}/locks
[paste_deploy]
flavor =
config_file = {here}/paste-{part.name}.ini
"""
        )
        # A service looks for a pipeline of its own name.
        paste = PASTE.replace(f"[pipeline:{part.name}]", f"[pipeline:glance-{part.name}]")
        (here / f"paste-{part.name}.ini").write_text(paste)
