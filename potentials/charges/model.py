"""A charge model: what it predicts of a crystal, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from ase import Atoms
from ase.data import chemical_symbols
from torch import Tensor, nn

from potentials.charge_card import ChargeCard
from potentials.charges.compression import Compression, CompressionSizes
from potentials.charges.features import Features, describe
from potentials.charges.kernel import ChargeKernel, KernelSizes
from potentials.charges.network import MIN_SUSCEPTIBILITY, Batch, ChargeNetwork, NetworkSizes
from potentials.charges.tensors import to_tensors
from potentials.interface import FloatArray


class UnknownElementError(ValueError):
    """A crystal holds elements of which the model learned nothing."""


@dataclass(frozen=True)
class ChargePrediction:
    """Predicted response of a crystal to an electric field.

    Attributes
    ----------
    born : ndarray, shape (n_atoms, 3, 3)
        Born charges in e; the first index is the field's, the second the displacement's, as in
        phonopy. They add up to zero and obey the symmetry of the sites.
    dielectric : ndarray, shape (3, 3)
        Electronic (high-frequency) dielectric tensor.
    uncertainty : float
        Root mean square error of a component of the charges in e, that 68 % of crystals stay below.
    dielectric_uncertainty : float
        Likewise of the dielectric tensor, as a fraction of it.
    functional : str
        The density functional that is imitated.
    """

    born: FloatArray
    dielectric: FloatArray
    uncertainty: float
    dielectric_uncertainty: float
    functional: str


class Ensemble(nn.Module):
    """Networks and a kernel that see the same features.

    Parameters
    ----------
    compression : CompressionSizes
        Of the features.
    network : NetworkSizes
        Of each network.
    kernel : KernelSizes
        Of the kernel.
    n_networks : int
        How many networks.
    """

    compression: Compression
    kernel: ChargeKernel

    def __init__(
        self,
        compression: CompressionSizes,
        network: NetworkSizes,
        kernel: KernelSizes,
        n_networks: int,
    ) -> None:
        super().__init__()
        self.network_sizes = network
        self.compression = Compression(compression)
        self.networks = nn.ModuleList(ChargeNetwork(network) for _ in range(n_networks))
        self.kernel = ChargeKernel(kernel)

    def forward(self, batch: Batch) -> "Members":
        """What each member says of a batch with all features."""
        small = self.compression(batch)
        networks = [network for network in self.networks if isinstance(network, ChargeNetwork)]
        outputs = [network(small) for network in networks]
        trace = torch.zeros_like(outputs[0][0])
        trace[:, 0] = 3**0.5 * self.kernel(small)
        dielectric = [
            _make_dielectric_tensors(network.susceptibility(logarithm), anisotropy)
            for network, (_, logarithm, anisotropy) in zip(networks, outputs, strict=True)
        ]
        charges = torch.stack([charges for charges, _, _ in outputs])
        return Members(batch, charges, small.neutralize(trace), torch.stack(dielectric))


@dataclass(frozen=True)
class Members:
    """What the members of an ensemble say of a batch.

    Attributes
    ----------
    batch : Batch
        The atoms.
    charges : Tensor, shape (n_networks, n_atoms, 9)
        Born charges of the networks, in components of `tensor_basis`.
    kernel : Tensor, shape (n_atoms, 9)
        Traces by the kernel, which knows nothing of other components.
    dielectric : Tensor, shape (n_networks, n_crystals, 9)
        Dielectric tensors.
    """

    batch: Batch
    charges: Tensor
    kernel: Tensor
    dielectric: Tensor

    @property
    def mean_charges(self) -> Tensor:
        """Mean (n_atoms, 9) of the networks, half of its trace by the kernel."""
        mean = self.charges.mean(dim=0)
        return torch.cat([(mean[:, :1] + self.kernel[:, :1]) / 2, mean[:, 1:]], dim=1)

    @property
    def mean_dielectric(self) -> Tensor:
        """Mean (n_crystals, 9) of the networks."""
        return self.dielectric.mean(dim=0)

    @property
    def charge_spread(self) -> Tensor:
        """Root mean square deviation (n_crystals,) of members, per component in e."""
        deviations = (self.charges - self.charges.mean(dim=0)).square().sum(dim=2).mean(dim=0)
        between = (self.kernel - self.charges.mean(dim=0))[:, 0].square()
        return (self.batch.mean(deviations + between) / 9).sqrt()

    @property
    def dielectric_spread(self) -> Tensor:
        """Deviation (n_crystals,) of a member from the mean, as a fraction of the tensor."""
        mean = self.mean_dielectric
        deviations = (self.dielectric - mean).square().sum(dim=2).mean(dim=0)
        return (deviations / mean.square().sum(dim=1)).sqrt()


@dataclass(frozen=True)
class ChargeModel:
    """Predicts Born charges and dielectric tensors.

    Attributes
    ----------
    card : ChargeCard
        Identity, domain and errors.
    ensemble : Ensemble
        In float64, so that symmetry is exact.
    """

    card: ChargeCard
    ensemble: Ensemble

    def predict(self, atoms: Atoms, functional: str | None = None) -> ChargePrediction:
        """Predict the response of an insulator to an electric field.

        Parameters
        ----------
        atoms : ase.Atoms
            Periodic structure. Of a metal the answer means nothing.
        functional : str, optional
            One of ``card.functionals``; default: the first.

        Returns
        -------
        ChargePrediction
            Of all atoms, in their order.

        Raises
        ------
        UnknownElementError
            When the model learned nothing of an element.
        ValueError
            For an unknown functional.
        """
        chosen = functional or self.card.functionals[0]
        if chosen not in self.card.functionals:
            known = ", ".join(self.card.functionals)
            raise ValueError(f"unknown functional {chosen!r}; choose one of {known}")
        if unknown := self.find_unknown_elements(atoms):
            message = f"{self.card.name} learned nothing of {', '.join(unknown)}"
            raise UnknownElementError(message)
        batch = make_batch(atoms, describe(atoms), self.card.functionals.index(chosen))
        with torch.no_grad():
            members = self.ensemble(batch)
        return ChargePrediction(
            born=to_tensors(members.mean_charges).numpy(),
            dielectric=to_tensors(members.mean_dielectric)[0].numpy(),
            uncertainty=self.card.charges.compute_bar(float(members.charge_spread)),
            dielectric_uncertainty=self.card.dielectric.compute_bar(
                float(members.dielectric_spread)
            ),
            functional=chosen,
        )

    def find_unknown_elements(self, atoms: Atoms) -> Sequence[str]:
        """Symbols of the elements of a crystal of which the model learned nothing."""
        unknown = set(atoms.numbers.tolist()) - set(self.card.elements)
        return sorted(chemical_symbols[number] for number in unknown)


def make_batch(atoms: Atoms, features: Features, functional: int) -> Batch:
    """Make a batch of one crystal, all of whose atoms are listed.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    features : Features
        Of its atoms.
    functional : int
        Index of the functional that is to be imitated.

    Returns
    -------
    Batch
        In the precision of the features.
    """
    scalars = torch.from_numpy(features.scalars)
    others = (features.vectors, features.tensors, features.octupoles)
    first, second, third = map(torch.from_numpy, others)
    return Batch(
        scalars=scalars,
        others=(first, second, third),
        numbers=torch.from_numpy(atoms.numbers).long(),
        crystals=torch.zeros(len(atoms), dtype=torch.long),
        counts=scalars.new_ones(len(atoms)),
        functionals=torch.tensor([functional]),
        projectors=torch.eye(9, dtype=scalars.dtype)[None],
    )


def _make_dielectric_tensors(susceptibility: Tensor, anisotropy: Tensor) -> Tensor:
    """Dielectric tensors (n_crystals, 9) of the outputs of a network."""
    trace = 3**0.5 * (1 + susceptibility)
    parts = anisotropy[:, 1:] * (susceptibility + MIN_SUSCEPTIBILITY)[:, None]
    return torch.cat([trace[:, None], parts], dim=1)
