"""Facet: a small, exactly O(3)-equivariant potential that is fast on one CPU thread.

An atom starts as the embedding of its species (`model`). In each layer it sums its neighbours'
features, coupled to the harmonics of their directions (`products`) with weights that are linear in
functions of their distances (`radial`). The sum is combined with itself on a grid on the sphere
(`updates`, `sphere`), and its scalars are read out as energy. Forces and stresses are the
derivatives of the sum of all energies, in one backward pass.
"""

from potentials.facet.attention import draw_isometries
from potentials.facet.checkpoint import read_facet, save_facet
from potentials.facet.config import FacetConfig, Network, Product, Radial, Update
from potentials.facet.frames import Frame, FrameBatch, count_mean_neighbours, make_batch, turn_batch
from potentials.facet.graph import Graph, build_graph
from potentials.facet.model import Facet, Model, compute_derivatives, compute_hessian_products
from potentials.facet.potential import FacetPotential, load_facet
from potentials.facet.training import (
    LossWeights,
    OptimizerSettings,
    TrainingState,
    begin_training,
    load_learner,
    make_model,
    read_notes,
    save_learner,
    take_step,
    validate,
)

__all__ = [
    "Facet",
    "FacetConfig",
    "FacetPotential",
    "Frame",
    "FrameBatch",
    "Graph",
    "LossWeights",
    "Model",
    "Network",
    "OptimizerSettings",
    "Product",
    "Radial",
    "TrainingState",
    "Update",
    "begin_training",
    "build_graph",
    "compute_derivatives",
    "compute_hessian_products",
    "count_mean_neighbours",
    "draw_isometries",
    "load_facet",
    "load_learner",
    "make_batch",
    "make_model",
    "read_facet",
    "read_notes",
    "save_facet",
    "save_learner",
    "take_step",
    "turn_batch",
    "validate",
]
