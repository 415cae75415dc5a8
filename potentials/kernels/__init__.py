"""Compiled kernels for CPUs: the convolutions of a network, in C++.

A potential hands over its convolutions and gets compiled ones back, which compute the same. Where
they cannot be compiled, an error says why, and the potential computes with torch.
"""

from potentials.compiler import COMPILED, KernelUnavailableError
from potentials.kernels.convolution import (
    CompiledConnection,
    CompiledConvolution,
    CompiledEdges,
    compile_convolution,
)
from potentials.kernels.selection import prefer_compiled
from potentials.kernels.splines import INTERVALS, Intervals, make_intervals

__all__ = [
    "COMPILED",
    "INTERVALS",
    "CompiledConnection",
    "CompiledConvolution",
    "CompiledEdges",
    "Intervals",
    "KernelUnavailableError",
    "compile_convolution",
    "make_intervals",
    "prefer_compiled",
]
