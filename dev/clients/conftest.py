"""What the tests of both clients share: where the server is, and what stands behind it.

The environment says it:
  ORCHESTRATOR_URL   the server, without a path
  ORCHESTRATOR_KEY   a key that it takes
  LLAMA_URL          the llama-server behind its model `slow`

Its models: `slow` (a real llama-server), `embed` (another one), `caller` (calls a tool), `fails-once` (refuses every other request and
asks for a pause of one second), `limited` (refuses all of them), `hangs` (never answers).
"""

import json
import os
import time
import urllib.request

import pytest


@pytest.fixture(scope="session")
def url():
    return os.environ["ORCHESTRATOR_URL"]


@pytest.fixture(scope="session")
def key():
    return os.environ["ORCHESTRATOR_KEY"]


def busy_slots():
    with urllib.request.urlopen(os.environ["LLAMA_URL"] + "/slots") as answer:
        return sum(slot["is_processing"] for slot in json.load(answer))


def wait_for_slots(is_reached, seconds):
    """Asks llama-server until so many of its slots are busy as there should be."""
    until = time.monotonic() + seconds
    while not is_reached(busy_slots()):
        assert time.monotonic() < until, f"{busy_slots()} slots are busy"
        time.sleep(0.02)
