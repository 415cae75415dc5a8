"""The default potential by the package of its authors (JAX), in a plain script.

The weights are those of this repository, so that nothing is fetched.
"""

import os
from functools import partial
from pathlib import Path

from nequix.calculator import NequixCalculator
from plain_script import treat
from worker import run

WEIGHTS = Path(__file__).parents[2] / "potentials" / "checkpoints" / "nequix-mp-1-pft.nqx"

if __name__ == "__main__":
    calculator = NequixCalculator(model_path=WEIGHTS, backend="jax", use_kernel=False)
    # JAX takes all processors that the process may use.
    threads = len(os.sched_getaffinity(0))
    run(("nequix", "jax"), partial(treat, calculator=calculator), threads)
