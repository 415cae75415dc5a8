"""What a model is made of."""

from dataclasses import dataclass
from typing import Literal, get_args

Network = Literal["facet", "attention"]
Product = Literal["cg", "gaunt", "cp"]
Update = Literal["grid_product", "grid_mlp", "gate"]
Radial = Literal["spline", "bessel", "mlp"]

# Hydrogen to plutonium without polonium to radium, of which there are hardly any crystals.
ELEMENTS = (*range(1, 84), *range(89, 95))
# A file that asks for more is no model, but a way to fill the memory.
_LIMITS = {
    "cutoff": 20.0,
    "channels": 1024,
    "layers": 12,
    "n_radial": 64,
    "rank": 1024,
    "correlation": 6,
    "average_neighbours": 1e4,
}
_MOST_DEGREE = 8


@dataclass(frozen=True)
class FacetConfig:
    """Architecture of a model; together with the weights it is the model.

    Attributes
    ----------
    elements : tuple of int
        Atomic numbers, in the order of the embedding.
    cutoff : float
        Radius of the graph in Å.
    channels : int
        Features of each (l, m).
    layers : int
        Rounds of message passing.
    l_max : int
        Largest degree of the harmonics and of the aggregated messages.
    l_hidden : int
        Largest degree of what an atom sends to its neighbours.
    radial : {"spline", "bessel", "mlp"}
        Functions of the distance, in which the radial weights are linear.
    n_radial : int
        Number of these functions.
    product : {"cg", "gaunt", "cp"}
        How neighbours' features are coupled to harmonics; see `potentials.facet.products`.
    rank : int
        Terms of the decomposition "cp".
    update : {"grid_product", "grid_mlp", "gate"}
        How an atom's features are combined; see `potentials.facet.updates`.
    correlation : int
        Number of factors in "grid_product".
    grid_degree : int or None
        Degree up to which the grid of an update integrates exactly; None for what products need.
    average_neighbours : float
        Number of neighbours that keeps aggregated messages at unit variance.
    energy_scale : float
        Energy of an atom, in eV, per unit of the network's output.
    network : {"facet", "attention"}
        With built-in symmetry, or without; see `potentials.facet.attention`.

    Raises
    ------
    ValueError
        For names, sizes or elements that make no model.
    """

    elements: tuple[int, ...] = ELEMENTS
    cutoff: float = 5.0
    channels: int = 64
    layers: int = 2
    l_max: int = 2
    l_hidden: int = 2
    radial: Radial = "spline"
    n_radial: int = 8
    product: Product = "cg"
    rank: int = 24
    update: Update = "grid_product"
    correlation: int = 3
    grid_degree: int | None = None
    average_neighbours: float = 35.0
    energy_scale: float = 1.0
    network: Network = "facet"

    def __post_init__(self) -> None:
        for value, choices in (
            (self.network, get_args(Network)),
            (self.product, get_args(Product)),
            (self.update, get_args(Update)),
            (self.radial, get_args(Radial)),
        ):
            if value not in choices:
                raise ValueError(f"unknown kernel {value!r}; choose one of {', '.join(choices)}")
        if self.network == "attention" and self.channels % 4:
            raise ValueError(f"channels is {self.channels}; attention needs a multiple of 4")
        for name, most in _LIMITS.items():
            if not 0 < getattr(self, name) <= most:
                found = getattr(self, name)
                raise ValueError(f"{name} is {found}; it must be positive, and {most} at most")
        if not 0 <= self.l_hidden <= self.l_max <= _MOST_DEGREE:
            degrees = f"l_hidden is {self.l_hidden} and l_max {self.l_max}"
            raise ValueError(f"{degrees}; they must lie in order in 0..{_MOST_DEGREE}")
        if len(set(self.elements)) != len(self.elements) or not self.elements:
            raise ValueError(f"elements {self.elements} are empty or repeated")

    @property
    def is_exact(self) -> bool:
        """Whether energies are invariant under O(3) to rounding.

        Decomposed products and pointwise functions that are no polynomials break the invariance
        under rotations by little, but not by nothing; so does a grid that is too coarse.
        """
        fine = self.grid_degree is None or self.grid_degree >= self.find_exact_grid_degree(
            self.l_hidden
        )
        grid = self.update == "gate" or (self.update == "grid_product" and fine)
        exact = grid and (self.product != "cp" or self.layers == 1)
        return exact and self.network == "facet"

    def find_exact_grid_degree(self, l_out: int) -> int:
        """Return the degree of the integrand when a product is projected.

        Parameters
        ----------
        l_out : int
            Largest degree of the projection.

        Returns
        -------
        int
            Degree of `correlation` features and one harmonic.
        """
        return self.correlation * self.l_max + l_out
