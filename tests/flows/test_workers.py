"""How many worker processes a run starts."""

import os

import pytest

from flows import workers
from potentials import devices


@pytest.mark.parametrize(
    ("asked", "device", "expected"),
    [
        (3, "cpu", 3),
        (None, "cpu", len(os.sched_getaffinity(0))),
        (None, "cuda:0", 2),
        (5, "cuda:0", 5),
    ],
)
def test_processes_on_cpu_and_gpu(monkeypatch, asked, device, expected):
    monkeypatch.setattr(devices, "resolve_device", lambda name: name)
    assert workers.count_workers(asked, device) == expected
