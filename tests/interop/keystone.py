"""A real Keystone: SQLite, Fernet tokens, and whoever the tests want it to know.

This file needs `processes` and Python's own library alone, so any runner can use it:

    keystone = Keystone(directory, free_port(), venv)
    keystone.start()
    alice = keystone.user("alice", "red", "member")
    keystone.catalogue("image", "http://127.0.0.1:9292")
    keystone.token(alice)

`venv` is an environment with `requirements-keystone.txt` and, if it was built, uWSGI.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import Process

REGION = "RegionOne"
DOMAIN = "default"
# The roles that a Keystone of today makes for itself, each of which implies the ones behind it, and one alone.
ROLES = ("admin", "manager", "member", "reader", "service")


class Refused(Exception):
    """An answer without success."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status}: {body[:300].decode(errors='replace')}")
        self.status = status


@dataclass(frozen=True)
class User:
    """Somebody whom Keystone knows, and the project that they work in."""

    name: str
    id: str
    project: str
    project_id: str
    password: str = field(repr=False)

    def environment(self, auth_url: str) -> dict[str, str]:
        """What the clients read from the environment to be this user."""
        return {
            "OS_AUTH_URL": auth_url,
            "OS_USERNAME": self.name,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project,
            "OS_USER_DOMAIN_ID": DOMAIN,
            "OS_PROJECT_DOMAIN_ID": DOMAIN,
            "OS_REGION_NAME": REGION,
            "OS_IDENTITY_API_VERSION": "3",
        }

    def credential(self) -> dict[str, Any]:
        """The same as `auth` in a clouds.yaml has it."""
        return {
            "username": self.name,
            "password": self.password,
            "user_domain_id": DOMAIN,
            "project_name": self.project,
            "project_domain_id": DOMAIN,
        }


class Keystone(Process):
    """One Keystone service with an administrator, and a service user called `service`.

    It is made anew with each object, and starts again with what it had.

    `token_life` is how long its tokens live, in seconds, and `late` for how long after that they are still shown to
    whoever asks for expired ones.
    """

    def __init__(self, directory: Path, port: int, venv: Path, token_life: int = 3600, late: int = 172800) -> None:
        super().__init__("keystone", directory, port)
        self.venv = venv
        self._passwords = {"admin": uuid.uuid4().hex}
        self._admin_token = ""
        self._bootstrapped = False
        self._write_configuration(token_life, late)

    @property
    def url(self) -> str:
        """What clients know as the authentication URL."""
        return f"{self.endpoint}/v3"

    @property
    def admin(self) -> User:
        """The administrator that it begins with, in the project `admin`."""
        return self._admin

    @property
    def service(self) -> User:
        """Whom other services can be, to ask about tokens and limits."""
        return self._service

    def command(self) -> Sequence[str]:
        uwsgi = self.venv / "bin" / "uwsgi"
        if not uwsgi.exists():
            # Everything stands in gunicorn.conf.py: Keystone would take gunicorn's arguments for its own.
            return [f"{self.venv}/bin/gunicorn"]
        return [
            str(uwsgi), "--http-socket", f"127.0.0.1:{self.port}", "--module", "keystone.wsgi.api:application",
            "--pyhome", str(self.venv), "--master", "--lazy-apps", "--need-app", "--die-on-term",
            "--processes", "2", "--threads", "2", "--enable-threads", "--listen", "100",
            "--buffer-size", "65535", "--add-header", "Connection: close", "--socket-timeout", "60",
        ]  # fmt: skip

    def environment(self) -> Mapping[str, str]:
        return {"OS_KEYSTONE_CONFIG_DIR": str(self.directory), "OS_KEYSTONE_CONFIG_FILES": "keystone.conf"}

    def start(self, within: float = 180.0) -> None:
        """Starts it and returns once it answers and knows its first users."""
        if not self._bootstrapped:
            self._bootstrap()
        super().start(within)
        self._meet()

    def _write_configuration(self, token_life: int, late: int) -> None:
        here = self.directory
        for folder in ("fernet-keys", "credential-keys"):
            (here / folder).mkdir(mode=0o700, exist_ok=True)
        (here / "keystone.conf").write_text(
            f"""[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{here}/keystone.db?timeout=60
sqlite_synchronous = false
[fernet_tokens]
key_repository = {here}/fernet-keys
[credential]
key_repository = {here}/credential-keys
[token]
provider = fernet
expiration = {token_life}
allow_expired_window = {late}
[identity]
password_hash_rounds = 4
"""
        )
        (here / "gunicorn.conf.py").write_text(
            f"""wsgi_app = "keystone.wsgi.api:application"
bind = "127.0.0.1:{self.port}"
worker_class = "gthread"
workers = 2
threads = 2
timeout = 120
control_socket_disable = True
"""
        )

    def _bootstrap(self) -> None:
        shutil.copyfile(self._empty_database(), self.directory / "keystone.db")
        for repository in ("fernet_setup", "credential_setup"):
            self._manage(repository, "--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
        urls = [word for kind in ("admin", "internal", "public") for word in (f"--bootstrap-{kind}-url", self.url)]
        secret = {"OS_BOOTSTRAP_PASSWORD": self._passwords["admin"]}
        self._manage("bootstrap", "--bootstrap-region-id", REGION, *urls, more=secret)
        self._bootstrapped = True

    def _manage(self, *words: str, config: Path | None = None, more: Mapping[str, str] | None = None) -> None:
        file = config or self.directory / "keystone.conf"
        done = subprocess.run(
            [f"{self.venv}/bin/keystone-manage", "--config-file", str(file), *words],
            capture_output=True,
            text=True,
            env={**os.environ, **(more or {})},
            timeout=180,
        )
        if done.returncode != 0:
            raise RuntimeError(f"keystone-manage {words[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def _empty_database(self) -> Path:
        """The schema, made once per installation: it takes many seconds, and a copy of the file takes none."""
        template = self.venv / "empty-keystone.db"
        if not template.exists():
            fresh, config = template.with_suffix(".new"), self.venv / "empty-keystone.conf"
            fresh.unlink(missing_ok=True)
            config.write_text(f"[database]\nconnection = sqlite:///{fresh}\n")
            self._manage("db_sync", config=config)
            os.replace(fresh, template)
        return template

    def _meet(self) -> None:
        """Looks up or makes the first users."""
        self._log_in()
        self._service = self.user("service", "service", "service")
        # To ask about anybody's limits.
        self.grant_system(self._service, "reader")

    def _log_in(self) -> None:
        password = self._passwords["admin"]
        who = {"user": {"name": "admin", "domain": {"id": DOMAIN}, "password": password}}
        scope = {"project": {"name": "admin", "domain": {"id": DOMAIN}}}
        self._admin_token, told = self._authenticate({"methods": ["password"], "password": who}, scope)
        self._admin = User("admin", told["user"]["id"], "admin", told["project"]["id"], password)

    # What it is told.

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """Asks the API under /v3 as the administrator, or with `token`, and gives the decoded answer."""
        if token is None:
            status, answer = self._as_administrator(method, path, body)
        else:
            status, _, answer = self._send(method, path, body, {"X-Auth-Token": token})
        if not 200 <= status < 300:
            raise Refused(status, answer)
        return json.loads(answer) if answer else None

    def _as_administrator(
        self, method: str, path: str, body: Any, more: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Asks with the administrator's token, and once again with a new one when it has ended."""
        for _ in range(2):
            headers = {"X-Auth-Token": self._admin_token, **(more or {})}
            status, _, answer = self._send(method, path, body, headers)
            if status != 401:
                break
            self._log_in()
        return status, answer

    def _send(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, f"/v3{path}", content, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def _authenticate(self, identity: Any, scope: Any = None) -> tuple[str, Any]:
        auth = {"identity": identity} | ({"scope": scope} if scope else {})
        status, headers, body = self._send("POST", "/auth/tokens?nocatalog", {"auth": auth}, {})
        if status != 201:
            raise Refused(status, body)
        return headers["X-Subject-Token"], json.loads(body)["token"]

    def _named(self, collection: str, name: str, **more: Any) -> Any:
        """What is called so, made if there is none."""
        one = collection.removesuffix("s")
        found = self.call("GET", f"/{collection}?name={name}")[collection]
        return found[0] if found else self.call("POST", f"/{collection}", {one: {"name": name, **more}})[one]

    def role_id(self, name: str) -> str:
        """The id of a role, made if there is none."""
        return str(self._named("roles", name)["id"])

    def project_id(self, name: str) -> str:
        """The id of a project, made if there is none."""
        return str(self._named("projects", name, domain_id=DOMAIN)["id"])

    def user(self, name: str, project: str, *roles: str) -> User:
        """A user with these roles in a project, all made if there are none. A user that was there keeps its roles."""
        project_id = self.project_id(project)
        # A user is made with the password and keeps it: a token of the second in which it changes is worth nothing.
        password = self._passwords.setdefault(name, uuid.uuid4().hex)
        made = self._named("users", name, domain_id=DOMAIN, default_project_id=project_id, password=password)
        user = User(name, made["id"], project, project_id, password)
        for role in roles:
            self.call("PUT", f"/projects/{project_id}/users/{user.id}/roles/{self.role_id(role)}")
        return user

    def grant_system(self, user: User, role: str) -> None:
        """Gives a user a role over everything."""
        self.call("PUT", f"/system/users/{user.id}/roles/{self.role_id(role)}")

    def token(self, user: User, scope: str = "project") -> str:
        """A new token of a user, for their project, for the `system`, for their `domain`, or `unscoped`."""
        scopes: dict[str, Any] = {
            "project": {"project": {"id": user.project_id}},
            "system": {"system": {"all": True}},
            "domain": {"domain": {"id": DOMAIN}},
            "unscoped": "unscoped",
        }
        who = {"user": {"id": user.id, "password": user.password}}
        return self._authenticate({"methods": ["password"], "password": who}, scopes[scope])[0]

    def revoke(self, token: str) -> None:
        """Makes a token worthless before its time."""
        status, body = self._as_administrator("DELETE", "/auth/tokens", None, {"X-Subject-Token": token})
        if status != 204:
            raise Refused(status, body)

    def application_credential(self, user: User, name: str, roles: Iterable[str] = ()) -> tuple[str, str]:
        """The id and the secret of a new application credential for a user's project."""
        wanted: dict[str, Any] = {"name": name}
        if roles:
            wanted["roles"] = [{"name": role} for role in roles]
        path = f"/users/{user.id}/application_credentials"
        made = self.call("POST", path, {"application_credential": wanted}, self.token(user))
        made = made["application_credential"]
        return made["id"], made["secret"]

    def catalogue(self, service_type: str, url: str, name: str | None = None) -> str:
        """Lets the catalogue say that a service is at `url`, and gives the service's id."""
        services = self.call("GET", f"/services?type={service_type}")["services"]
        if not services:
            wanted = {"type": service_type, "name": name or service_type}
            services = [self.call("POST", "/services", {"service": wanted})["service"]]
        service_id = str(services[0]["id"])
        there = self.call("GET", f"/endpoints?service_id={service_id}")["endpoints"]
        old = {endpoint["interface"]: endpoint["id"] for endpoint in there}
        for interface in ("public", "internal", "admin"):
            if interface in old:
                self.call("PATCH", f"/endpoints/{old[interface]}", {"endpoint": {"url": url}})
            else:
                wanted = {"service_id": service_id, "interface": interface, "region_id": REGION, "url": url}
                self.call("POST", "/endpoints", {"endpoint": wanted})
        return service_id

    def limit(self, service_id: str, resource: str, default: int, projects: Mapping[str, int] | None = None) -> None:
        """Registers a limit of a service, and what holds instead for projects given by id."""
        wanted = {"service_id": service_id, "region_id": REGION, "resource_name": resource, "default_limit": default}
        self.call("POST", "/registered_limits", {"registered_limits": [wanted]})
        for project_id, limit in (projects or {}).items():
            wanted = {"service_id": service_id, "region_id": REGION, "resource_name": resource}
            wanted |= {"project_id": project_id, "resource_limit": limit}
            self.call("POST", "/limits", {"limits": [wanted]})

    def clouds(self, file: Path, users: Mapping[str, User]) -> None:
        """Writes a clouds.yaml, in which each user is a cloud of the name given."""
        about = {"region_name": REGION, "identity_api_version": 3}
        clouds = {name: {**about, "auth": {"auth_url": self.url, **user.credential()}} for name, user in users.items()}
        # YAML takes JSON as it is.
        file.write_text(json.dumps({"clouds": clouds}, indent=2) + "\n")
