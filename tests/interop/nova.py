"""A real Nova, of which the API service alone runs: it shows the images of the Glance that Keystone's catalogue names."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from keystone import REGION, Keystone
from processes import Process


class Nova(Process):
    """One Nova service."""

    def __init__(self, directory: Path, port: int, venv: Path, keystone: Keystone) -> None:
        super().__init__("nova", directory, port)
        self.venv = venv
        self._write_configuration(keystone)
        api, cell = _empty_databases(venv)
        shutil.copyfile(api, directory / "api.db")
        for name in ("cell0.db", "nova.db"):
            shutil.copyfile(cell, directory / name)
        self._manage("cell_v2", "map_cell0", "--database_connection", f"sqlite:///{directory}/cell0.db")
        self._manage("cell_v2", "create_cell", "--name", "one")

    def command(self) -> Sequence[str]:
        # Everything stands in gunicorn.conf.py: Nova would take gunicorn's arguments for its own.
        return [f"{self.venv}/bin/gunicorn"]

    def environment(self) -> Mapping[str, str]:
        return {"OS_NOVA_CONFIG_DIR": str(self.directory)}

    def _manage(self, *words: str) -> None:
        _manage(self.venv, self.directory / "nova.conf", *words)

    def _write_configuration(self, keystone: Keystone) -> None:
        here = self.directory
        (here / "locks").mkdir(exist_ok=True)
        credential = {
            "auth_type": "password",
            "auth_url": keystone.url,
            "www_authenticate_uri": keystone.url,
            "region_name": REGION,
            **keystone.service.credential(),
        }
        auth = "\n".join(f"{key} = {value}" for key, value in credential.items())
        others = "\n".join(f"[{section}]\n{auth}" for section in ("keystone_authtoken", "placement", "neutron", "cinder"))
        (here / "nova.conf").write_text(
            f"""[DEFAULT]
use_stderr = true
transport_url = fake:/
state_path = {here}
my_ip = 127.0.0.1
[api_database]
connection = sqlite:///{here}/api.db?timeout=60
[database]
connection = sqlite:///{here}/nova.db?timeout=60
[oslo_concurrency]
lock_path = {here}/locks
[glance]
region_name = {REGION}
valid_interfaces = public
[service_user]
send_service_user_token = false
{others}
"""
        )
        (here / "gunicorn.conf.py").write_text(
            f"""wsgi_app = "nova.wsgi.osapi_compute:application"
bind = "127.0.0.1:{self.port}"
worker_class = "gthread"
workers = 1
threads = 4
timeout = 300
control_socket_disable = True
"""
        )
        paste, root = (self.venv / "etc/nova/api-paste.ini").read_text(), "/: oscomputeversions\n"
        if paste.count(root) != 1:
            raise RuntimeError("Nova's paste file is another than expected")
        paste = paste.replace(root, f"{root}/healthcheck: health\n")
        health = "\n[app:health]\npaste.app_factory = oslo_middleware:Healthcheck.app_factory\n"
        (here / "api-paste.ini").write_text(paste + health)


def _manage(venv: Path, config: Path, *words: str) -> None:
    command = [f"{venv}/bin/nova-manage", "--config-file", str(config), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        raise RuntimeError(f"nova-manage {' '.join(words[:2])} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _empty_databases(venv: Path) -> tuple[Path, Path]:
    """The schemas of the API and of a cell, made once per installation: they take many seconds, and copies take none."""
    api, cell = venv / "empty-nova-api.db", venv / "empty-nova-cell.db"
    if not (api.exists() and cell.exists()):
        fresh = [file.with_suffix(".new") for file in (api, cell)]
        for file in fresh:
            file.unlink(missing_ok=True)
        config = venv / "empty-nova.conf"
        config.write_text(
            f"""[DEFAULT]
state_path = {venv}
[api_database]
connection = sqlite:///{fresh[0]}
[database]
connection = sqlite:///{fresh[1]}
"""
        )
        _manage(venv, config, "api_db", "sync")
        _manage(venv, config, "db", "sync", "--local_cell")
        for file, whole in zip(fresh, (api, cell), strict=True):
            os.replace(file, whole)
    return api, cell
