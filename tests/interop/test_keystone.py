"""A real Keystone knows the callers: its roles and projects hold, its revocations too, and its silence is no answer."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glance import Glance
from identity import MODES, RECHECK, Identity, Mode, asks
from portico import Portico
from processes import free_port, wait_until
from wire import PATCH_TYPE, Wire

pytestmark = pytest.mark.portico_only("what a plain Glance does with a Keystone is its own affair")

DATA = os.urandom(300_000)

# How long tokens live where they are to end during a test, in seconds.
BRIEF = 20


def _identity(name: str, token_life: int = 3600) -> Identity:
    home = Path(os.environ["PORTICO_INTEROP_DIR"])
    binary = Path(os.environ["PORTICO_BIN"])
    return Identity(home / "run" / name, home / "keystone-venv", home / "glance-venv", binary, token_life)


@pytest.fixture(scope="module")
def identity() -> Iterator[Identity]:
    """A Keystone and the people whom it knows."""
    built = _identity("identity")
    try:
        built.start()
        yield built
    finally:
        built.stop()


@pytest.fixture(scope="module")
def ark(identity: Identity) -> Glance:
    """A Glance that asks the Keystone."""
    return identity.add_glance()


@pytest.fixture(scope="module", params=MODES)
def front(request: pytest.FixtureRequest, identity: Identity, ark: Glance) -> Portico:
    """A front door for each way to come to images, which the catalogue names while it is tested."""
    mode: Mode = request.param
    portico = identity.add_portico(f"front-{mode}", identity.backend(mode, ark))
    identity.keystone.catalogue("image", portico.endpoint)
    return portico


@pytest.fixture(scope="module")
def plain(identity: Identity) -> Portico:
    """A front door with a directory."""
    return identity.add_portico("plain", 'kind = "local"\noptions = { path = "./data" }')


FORM = ("--disk-format", "raw", "--container-format", "bare")


def test_the_openstack_client_finds_it_through_the_catalogue(
    identity: Identity, front: Portico, tmp_path: Path
) -> None:
    alice, bob = identity.person("alice"), identity.person("bob")
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(DATA)
    name = f"red-{uuid.uuid4()}"
    image = alice.openstack_json("image", "create", *FORM, "--file", str(source), name)
    assert (image["status"], image["owner"]) == ("active", identity.people["alice"].project_id)
    assert image["id"] in [one["ID"] for one in alice.openstack_json("image", "list")]
    alice.openstack("image", "save", "--file", str(copy), name)
    assert copy.read_bytes() == DATA
    assert "No Image found" in bob.try_openstack("image", "show", image["id"]).err
    alice.openstack("image", "delete", image["id"])
    assert asks(front, identity.token("root"), f"/v2/images/{image['id']}").status == 404


def test_people_share_and_publish_with_the_openstack_client(identity: Identity, plain: Portico) -> None:
    identity.keystone.catalogue("image", plain.endpoint)
    alice, bob, rita, root = (identity.person(name) for name in ("alice", "bob", "rita", "root"))
    image_id = alice.openstack_json("image", "create", *FORM, f"red-{uuid.uuid4()}")["id"]
    for words in (("image", "create", *FORM, "mine"), ("image", "delete", image_id)):
        refused = rita.try_openstack(*words)
        assert refused.code != 0 and "403" in refused.out + refused.err, refused
    assert "403" in alice.try_openstack("image", "set", "--public", image_id).err
    alice.openstack("image", "add", "project", image_id, identity.people["bob"].project_id)
    bob.openstack("image", "set", "--accept", image_id)
    assert image_id in [one["ID"] for one in bob.openstack_json("image", "list")]
    assert "403" in bob.try_openstack("image", "set", "--name", "theirs", image_id).err
    root.openstack("image", "set", "--public", image_id)
    assert image_id in [one["ID"] for one in bob.openstack_json("image", "list", "--public")]
    root.openstack("image", "delete", image_id)


def test_roles_and_projects_hold_however_it_comes_to_its_images(identity: Identity, front: Portico) -> None:
    wire = Wire(front.endpoint)
    shown = {name: {"X-Auth-Token": identity.token(name)} for name in ("alice", "bob", "rita", "root")}
    bob = identity.people["bob"].project_id

    def ask(name: str, method: str, path: str, body: Any = None) -> Any:
        return wire.request(method, path, shown[name], json_body=body)

    def patch(name: str, key: str, value: str) -> int:
        headers = {**shown[name], "Content-Type": PATCH_TYPE}
        return wire.request("PATCH", here, headers, json_body=[{"op": "add", "path": key, "value": value}]).status

    draft = {"name": "red", "disk_format": "raw", "container_format": "bare", "visibility": "shared"}
    here = f"/v2/images/{ask('alice', 'POST', '/v2/images', draft).expect(201).json()['id']}"
    octets = {**shown["alice"], "Content-Type": "application/octet-stream"}
    wire.request("PUT", f"{here}/file", octets, body=DATA).expect(204)

    assert [ask(name, "GET", here).status for name in shown] == [200, 404, 200, 200]
    assert [ask(name, "GET", f"{here}/file").status for name in shown] == [200, 404, 403, 200]
    assert [ask(name, "POST", "/v2/images", {"name": "x"}).status for name in ("rita", "bob")] == [403, 201]
    assert [ask(name, "DELETE", here).status for name in ("bob", "rita")] == [404, 403]
    assert [patch(name, "/x", "1") for name in shown] == [200, 404, 403, 200]
    assert [patch(name, "/visibility", "public") for name in ("alice", "bob", "rita")] == [403, 404, 403]

    ask("alice", "POST", f"{here}/members", {"member": bob}).expect(200)
    ask("bob", "PUT", f"{here}/members/{bob}", {"status": "accepted"}).expect(200)
    assert here.rpartition("/")[2] in [one["id"] for one in ask("bob", "GET", "/v2/images").json()["images"]]
    assert ask("bob", "GET", f"{here}/file").expect(200).body == DATA
    assert (ask("bob", "DELETE", here).status, patch("bob", "/x", "2")) == (403, 403)
    assert patch("root", "/visibility", "public") == 200
    ask("alice", "DELETE", here).expect(204)


def test_an_application_credential_of_a_users_is_as_good(identity: Identity, plain: Portico) -> None:
    credential_id, secret = identity.keystone.application_credential(identity.people["alice"], str(uuid.uuid4()))
    identity.keystone.catalogue("image", plain.endpoint)
    person = identity.person(
        "alice",
        OS_AUTH_TYPE="v3applicationcredential",
        OS_APPLICATION_CREDENTIAL_ID=credential_id,
        OS_APPLICATION_CREDENTIAL_SECRET=secret,
    )
    for key in ("OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID"):
        del person._environment[key]
    assert person.openstack_json("image", "list") == []


def test_whoever_proves_nothing_is_answered_as_by_a_glance(identity: Identity, plain: Portico, ark: Glance) -> None:
    good = identity.token("alice")
    broken = good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")
    for token in (None, "", "x", "x" * 3000, broken, good + "x", "gAAAAA", "-", "a b", "../x", "%00"):
        answers = [asks(server, token) for server in (plain, ark)]
        assert [answer.status for answer in answers] == [401, 401], token
        ours, theirs = (answer.headers["WWW-Authenticate"] for answer in answers)
        assert ours == theirs == f'Keystone uri="{identity.keystone.url}"'
    assert asks(plain, good).status == asks(ark, good).status == 200


@pytest.mark.parametrize(("scope", "status"), [("system", 403), ("domain", 403), ("unscoped", 403), ("project", 200)])
def test_a_token_of_each_scope_is_taken_as_by_a_glance(
    identity: Identity, plain: Portico, ark: Glance, scope: str, status: int
) -> None:
    root = identity.people["root"]
    identity.keystone.grant_system(root, "admin")
    role = identity.keystone.role_id("admin")
    identity.keystone.call("PUT", f"/domains/default/users/{root.id}/roles/{role}")
    token = identity.token("root", scope)
    assert asks(ark, token).status == status
    assert asks(plain, token).status == status


def test_a_wrong_password_gets_no_token_and_a_wrong_one_of_ours_lets_nobody_in(identity: Identity) -> None:
    person = identity.person("alice", OS_PASSWORD="wrong")
    ran = person.try_openstack("image", "list")
    assert ran.code != 0 and "401" in ran.err

    wrong = {**identity.keystone.service.credential(), "password": "wrong-horse-battery"}
    portico = identity.add_portico("wrong", 'kind = "memory"\noptions = {}', wrong)
    answer = asks(portico, identity.token("alice"))
    assert answer.status == 503 and "WWW-Authenticate" not in answer.headers
    log = portico.log.read_text()
    assert log.count("keystone does not take our credential") == 1, log
    assert "wrong-horse-battery" not in log


def _until_refused(portico: Portico, token: str, within: float) -> float:
    begun = time.monotonic()
    wait_until("the token is refused", lambda: asks(portico, token).status == 401, within)
    return time.monotonic() - begun


def test_a_revoked_token_is_refused_within_the_time_to_recheck(identity: Identity, plain: Portico) -> None:
    token = identity.token("alice")
    assert asks(plain, token).status == 200
    identity.keystone.revoke(token)
    _until_refused(plain, token, RECHECK + 1)


def test_a_role_that_is_taken_away_is_gone_within_the_time_to_recheck(identity: Identity, plain: Portico) -> None:
    carol = identity.keystone.user(f"carol-{uuid.uuid4()}", "green", "member")
    token = identity.keystone.token(carol)
    assert asks(plain, token).status == 200
    role = identity.keystone.role_id("member")
    identity.keystone.call("DELETE", f"/projects/{carol.project_id}/users/{carol.id}/roles/{role}")
    _until_refused(plain, token, RECHECK + 1)


def test_a_service_token_that_is_none_is_as_good_as_none_for_a_glance_too(
    identity: Identity, plain: Portico, ark: Glance
) -> None:
    alice = identity.token("alice")
    for shown in (identity.token("nova"), identity.token("bob"), "x"):
        for server in (plain, ark):
            assert asks(server, alice, X_Service_Token=shown).status == 200, server.name
            assert asks(server, "x", X_Service_Token=shown).status == 401, server.name


def test_a_glance_that_wants_callers_tokens_shuts_out_who_has_none(identity: Identity, ark: Glance) -> None:
    """Where nobody is asked who they are, nobody need have a token, and such a Glance is then silent for them."""
    backend = identity.backend("caller", ark)
    settings = f'[auth]\nkind = "none"\n[[backend]]\nname = "images"\n{backend}\n'
    portico = Portico(identity.home / "asks-nobody", free_port(), identity.binary, {}, settings=settings)
    portico.start()
    try:
        answer = asks(portico, None, f"/v2/images/{uuid.uuid4()}")
        assert answer.status == 503 and ark.endpoint not in answer.body.decode()
        assert asks(portico, identity.token("alice")).status == 200
    finally:
        portico.stop()


def test_nothing_secret_is_in_any_log(identity: Identity, plain: Portico) -> None:
    token = identity.token("alice")
    asks(plain, token, X_Service_Token=identity.token("nova"))
    secrets = [token, *(user.password for user in identity.people.values()), identity.keystone.service.password]
    for server in identity.servers:
        if isinstance(server, Portico):
            log = server.log.read_text()
            assert not [secret for secret in secrets if secret in log], server.name


@pytest.fixture(scope="module")
def brief() -> Iterator[Identity]:
    """A Keystone whose tokens end soon."""
    built = _identity("brief", token_life=BRIEF)
    try:
        built.start()
        yield built
    finally:
        built.stop()


def test_tokens_end_ours_are_renewed_and_silence_is_not_taken_for_a_no(brief: Identity) -> None:
    ark, portico = brief.add_glance(), brief.add_portico("brief", 'kind = "memory"\noptions = {}')
    first = brief.token("alice")
    assert asks(portico, first).status == 200
    _until_refused(portico, first, BRIEF + 30)

    # By now our own token has ended as well, and nobody has noticed.
    assert asks(portico, brief.token("alice")).status == 200
    for server in (portico, ark):
        assert asks(server, first, X_Service_Token=brief.token("nova")).status == 200, server.name
        assert asks(server, first, X_Service_Token=brief.token("bob")).status == 401, server.name
    assert asks(portico, first).status == 401

    fresh = brief.token("alice")
    assert asks(portico, fresh).status == 200
    brief.keystone.stop(within=0)
    gone = wait_until("nobody knows any more", lambda: _not_200(portico, fresh), BRIEF)
    assert gone == 503
    assert "WWW-Authenticate" not in asks(portico, fresh).headers
    brief.keystone.start()
    wait_until("Keystone is asked again", lambda: asks(portico, brief.token("alice")).status == 200, 60)
    log = portico.log.read_text()
    assert log.count("keystone does not say who callers are") == 1, log
    assert log.count("keystone says again who callers are") == 1, log


def _not_200(portico: Portico, token: str) -> int:
    status = asks(portico, token).status
    return 0 if status == 200 else status


def test_the_backends_own_token_is_renewed_too(brief: Identity) -> None:
    glance = next(server for server in brief.servers if isinstance(server, Glance))
    portico = brief.add_portico("brief-front", brief.backend("password", glance))
    image_id = None
    begun = time.monotonic()
    while time.monotonic() - begun < BRIEF + 2:
        token = brief.token("alice")
        headers = {"X-Auth-Token": token}
        wire = Wire(portico.endpoint)
        body = {"name": "brief", "disk_format": "raw", "container_format": "bare"}
        image_id = wire.request("POST", "/v2/images", headers, json_body=body).expect(201).json()["id"]
        octets = {**headers, "Content-Type": "application/octet-stream"}
        wire.request("PUT", f"/v2/images/{image_id}/file", octets, body=DATA).expect(204)
        assert wire.get(f"/v2/images/{image_id}/file", headers).expect(200).body == DATA
    assert image_id is not None
