"""A real Glance: its own configuration, SQLite database and stores; with a Keystone, or every caller an admin."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from processes import Process

WsgiServer = Literal["uwsgi", "gunicorn"]


class Glance(Process):
    """One Glance service.

    `page_cap` sets how many images it gives per page, whatever the client asks for. `stores` switches it to
    several file stores of these names; without, it has one and knows nothing of store names. `authtoken` is what
    stands in its section `keystone_authtoken`; without, it asks nobody who they are. `pipeline` is what its requests
    pass through besides. `more` are options by section, which hold instead of those that it has otherwise. `beside`
    makes it a second worker of that one: both have the same images, and each its own staging area and cache.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        port: int,
        venv: Path,
        server: WsgiServer,
        page_cap: int | None = None,
        stores: Sequence[str] = (),
        authtoken: Mapping[str, str] | None = None,
        pipeline: str = "",
        more: Mapping[str, Mapping[str, str]] | None = None,
        beside: Glance | None = None,
    ) -> None:
        super().__init__(name, directory, port)
        self.venv = venv
        self.server: WsgiServer = server
        self.page_cap = page_cap
        self.stores = tuple(stores)
        self.authtoken = dict(authtoken or {})
        self.pipeline = pipeline
        self.more = dict(more or {})
        # Where the images are, and what is known of them.
        self.data = beside.data if beside else directory
        self._write_configuration()
        if not beside:
            shutil.copyfile(_empty_database(venv), directory / "glance.db")

    def command(self) -> Sequence[str]:
        application = "glance.wsgi.api:application"
        address = f"127.0.0.1:{self.port}"
        if self.server == "gunicorn":
            return [
                f"{self.venv}/bin/gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "8",
                "--bind", address, "--keep-alive", "30", "--timeout", "300", "--no-control-socket", application,
            ]  # fmt: skip
        # uWSGI ends every connection after one answer. It has to be told to say so, or a client that keeps
        # connections for later would write its next request into a closed one.
        return [
            f"{self.venv}/bin/uwsgi", "--http-socket", address, "--module", application,
            "--pyhome", str(self.venv), "--master", "--lazy-apps", "--need-app", "--die-on-term",
            "--processes", "1", "--threads", "8", "--enable-threads", "--listen", "100",
            "--buffer-size", "65535", "--add-header", "Connection: close", "--socket-timeout", "60",
            "--chunked-input-timeout", "60", "--chunked-input-limit", "4194304",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        return {"OS_GLANCE_CONFIG_DIR": str(self.directory)}

    def load_definitions(self) -> None:
        """Loads the metadata definitions that it is shipped with."""
        self._manage("db_load_metadefs", f"{self.venv}/etc/glance/metadefs")

    def _manage(self, *words: str) -> None:
        command = [f"{self.venv}/bin/glance-manage", "--config-file", f"{self.directory}/glance-api.conf", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"glance-manage {words[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def _write_configuration(self) -> None:
        here, data = self.directory, self.data
        for folder in ("staging", "tasks", "locks", "cache"):
            (here / folder).mkdir(exist_ok=True)
        for name in self.stores or ("only",):
            (data / f"store-{name}").mkdir(exist_ok=True)
        defaults = [
            "use_stderr = true",
            f"public_endpoint = {self.endpoint}",
            f"worker_self_reference_url = {self.endpoint}",
            f"node_staging_uri = file://{here}/staging",
            f"image_cache_dir = {here}/cache",
        ]
        if self.page_cap is not None:
            defaults += [f"api_limit_max = {self.page_cap}", f"limit_param_default = {self.page_cap}"]
        if self.stores:
            defaults += ["enabled_backends = " + ",".join(f"{name}:file" for name in self.stores)]
            storage = ["[glance_store]", f"default_backend = {self.stores[0]}"]
            for name in self.stores:
                storage += [f"[{name}]", f"filesystem_store_datadir = {data}/store-{name}"]
        else:
            storage = ["[glance_store]", "stores = file", "default_store = file"]
            storage += [f"filesystem_store_datadir = {data}/store-only"]
        lines = ["[DEFAULT]", *defaults, *storage]
        lines += ["[os_glance_staging_store]", f"filesystem_store_datadir = {here}/staging"]
        lines += ["[os_glance_tasks_store]", f"filesystem_store_datadir = {here}/tasks"]
        lines += ["[task]", f"work_dir = {here}/tasks"]
        lines += ["[database]", f"connection = sqlite:///{data}/glance.db?timeout=60", "sqlite_synchronous = false"]
        flavor = "+".join(part for part in ("keystone" if self.authtoken else "", self.pipeline) if part)
        lines += ["[keystone_authtoken]", *(f"{key} = {value}" for key, value in self.authtoken.items())]
        lines += ["[paste_deploy]", f"flavor = {flavor}", f"config_file = {self.venv}/etc/glance/glance-api-paste.ini"]
        lines += ["[wsgi]", f"python_interpreter = {self.venv}/bin/python"]
        lines += ["[oslo_concurrency]", f"lock_path = {here}/locks"]
        lines += ["[oslo_policy]", f"policy_file = {here}/policy.yaml"]
        # What is said again holds.
        for section, options in self.more.items():
            lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items())]
        (here / "glance-api.conf").write_text("\n".join(lines) + "\n")
        # Without Keystone a caller has no role at all, and the default policies would refuse each call.
        policy = "" if self.authtoken else '"context_is_admin": "@"\n"service_api": "@"\n'
        (here / "policy.yaml").write_text(policy)


def _empty_database(venv: Path) -> Path:
    """The schema, made once per installation: it takes seconds, and a copy of the file takes none."""
    template = venv / "empty-glance.db"
    if not template.exists():
        fresh = template.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        configuration = venv / "empty-glance.conf"
        configuration.write_text(f"[DEFAULT]\nuse_stderr = true\n[database]\nconnection = sqlite:///{fresh}\n")
        subprocess.run(
            [f"{venv}/bin/glance-manage", "--config-file", str(configuration), "db_sync"],
            check=True,
            capture_output=True,
            timeout=120,
        )
        os.replace(fresh, template)
    return template
