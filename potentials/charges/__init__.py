"""Born charges and dielectric tensors of insulators, predicted from their structure.

Frozen potentials describe the atoms (`features`), principal components of that (`compression`) go
into a few networks (`network`) and a kernel (`kernel`). An ensemble of these (`model`) predicts the
tensors and tells by its spread how sure it is. `training` has the steps by which it is made.
"""

from potentials.charge_card import Calibration, ChargeCard
from potentials.charges.checkpoint import read_charge_model, save_charge_model
from potentials.charges.compression import Compression, CompressionSizes, fit_compression
from potentials.charges.features import Features, describe, find_supported_elements
from potentials.charges.kernel import ChargeKernel, KernelSizes, fit_kernel
from potentials.charges.model import (
    ChargeModel,
    ChargePrediction,
    Ensemble,
    Members,
    UnknownElementError,
)
from potentials.charges.network import Batch, ChargeNetwork, NetworkSizes
from potentials.charges.tensors import tensor_basis, to_irreps, to_tensors
from potentials.charges.training import Labelled, NetworkTraining, train_network

__all__ = [
    "Batch",
    "Calibration",
    "ChargeCard",
    "ChargeKernel",
    "ChargeModel",
    "ChargeNetwork",
    "ChargePrediction",
    "Compression",
    "CompressionSizes",
    "Ensemble",
    "Features",
    "KernelSizes",
    "Labelled",
    "Members",
    "NetworkSizes",
    "NetworkTraining",
    "UnknownElementError",
    "describe",
    "find_supported_elements",
    "fit_compression",
    "fit_kernel",
    "read_charge_model",
    "save_charge_model",
    "tensor_basis",
    "to_irreps",
    "to_tensors",
    "train_network",
]
