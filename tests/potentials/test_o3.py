"""A potential is loaded without torch's compiler, which stays as it is for whoever wants it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
from ase.build import bulk
from potentials import load_potential
load_potential(sys.argv[1]).evaluate([bulk("Si")])
assert "e3nn" in sys.modules
assert "torch._dynamo" not in sys.modules
import torch
assert torch.compiler.disable(len) is not len
"""


@pytest.mark.parametrize("name", ["nequix-mp-1-pft", "facet-tetrahedra", "7net-0"])
def test_compiler_is_not_loaded_with_a_potential(name):
    subprocess.run([sys.executable, "-c", PROGRAM, name], check=True)
