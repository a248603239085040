"""The suite that every backend must pass, run by cargo on real Glances of its own: one that gives large pages,
one that caps them at seven."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from glance import Glance
from processes import free_port
from report import tally
from world import World

pytestmark = pytest.mark.portico_only("the suite needs this project's backend")

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = ("cargo", "test", "--locked", "--package", "portico-http", "--test", "real_glance", "--", "--ignored")


@pytest.mark.parametrize("page_cap", [None, 7], ids=["large pages", "pages of seven"])
def test_the_http_backend_keeps_the_contract_on_a_real_glance(world: World, page_cap: int | None) -> None:
    name = f"contract-{page_cap or 'uncapped'}"
    glance = Glance(name, world.home / name, free_port(), world.glance_venv, "gunicorn", page_cap=page_cap)
    environment = {**os.environ, "PORTICO_TEST_GLANCE": glance.endpoint}
    glance.start()
    try:
        ran = subprocess.run(
            SUITE, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=1200
        )
    finally:
        glance.stop()
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    result = re.search(r"test result: ok\. (\d+) passed; 0 failed", ran.stdout)
    assert result and int(result[1]) > 100, ran.stdout[-2000:]
    pages = "large pages" if page_cap is None else f"pages of {page_cap}"
    tally.say(f"interop contract: {result[1]} cases passed on a Glance with {pages}")
