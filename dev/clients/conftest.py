"""What the tests of both clients share: where the server is, what stands behind it, and what it is asked.

The environment says it:
  ORCHESTRATOR_URL   the server, without a path
  ORCHESTRATOR_KEY   a key that it takes
  LLAMA_URL          the llama-server behind its model `slow`
  EMBED_URL          the one behind its model `embed`

Its models: `slow` (a real llama-server), `embed` (another one), `tools` (one more, which calls the tool that it must), `caller`
(calls a tool by itself, and repeats its result), `fails-once` (refuses every other request and asks for a pause of one second),
`limited` (refuses all of them), `hangs` (never answers).
"""

import json
import os
import time
import urllib.request
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What an answer shall be: nothing that a random model would write by itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ok: bool
    size: Literal[3, 4, 5]
    colour: Literal["red", "green"]


# What a tool takes. The cities are given, as a random model would write a name of any length.
CITIES = ["Oslo", "Bergen"]
CITY = {
    "type": "object",
    "properties": {"city": {"enum": CITIES}},
    "required": ["city"],
    "additionalProperties": False,
}

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {"name": "weather", "description": "tells the weather"}


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
