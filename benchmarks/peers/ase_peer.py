"""7net-0 by the calculator of its authors' package, in a plain script."""

from functools import partial

from plain_script import treat
from sevenn.calculator import SevenNetCalculator
from torch import get_num_threads
from worker import run

if __name__ == "__main__":
    calculator = SevenNetCalculator("7net-0", device="cpu")
    run(("sevenn", "torch"), partial(treat, calculator=calculator), get_num_threads())
