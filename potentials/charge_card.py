"""What a charge model is: read from the head of its file, without torch."""

import json
import pickletools
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potentials.checkpoint import compute_file_digest


@dataclass(frozen=True)
class Calibration:
    """How the spread of an ensemble becomes an error bar: scale * spread ** power.

    Attributes
    ----------
    scale, power : float
        Fitted so that 68 % of crystals that were left out err less.
    sure : float
        The surest 80 % of crystals that were left out have smaller bars.
    """

    scale: float
    power: float
    sure: float

    def compute_bar(self, spread: float) -> float:
        """Error bar of a spread."""
        return float(self.scale * spread**self.power)


@dataclass(frozen=True)
class ChargeCard:
    """Identity of a charge model.

    Attributes
    ----------
    name : str
        As `potentials.load_charge_model` takes it.
    digest : str
        SHA-256 (hex) of the file.
    functionals : tuple of str
        Those it can imitate.
    elements : mapping from int to int
        Atomic number, and in how many crystals it was learned from.
    charges, dielectric : Calibration
        Of the Born charges (e, root mean square over components) and of the dielectric tensor
        (relative).
    licence, citation : str
        Terms of the weights, and the works to cite.
    limits : tuple of str
        What to keep in mind, one sentence each.
    """

    name: str
    digest: str
    functionals: tuple[str, ...]
    elements: Mapping[int, int]
    charges: Calibration
    dielectric: Calibration
    licence: str
    citation: str
    limits: tuple[str, ...] = ()

    def count_rarest(self, numbers: frozenset[int]) -> int:
        """In how many crystals the rarest of some elements was learned from."""
        return min(self.elements.get(number, 0) for number in numbers)


def read_charge_card(path: Path) -> ChargeCard:
    """Read the card of a charge model.

    Parameters
    ----------
    path : pathlib.Path
        Written by `potentials.charges.save_charge_model`.

    Returns
    -------
    ChargeCard
        Named as the file.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            [head] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            told = json.loads(_find_text(archive.read(head), "card"))
        return _make_card(path, told)
    except (zipfile.BadZipFile, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of a charge model") from error


def _find_text(head: bytes, name: str) -> str:
    """Text that follows a name in the head of a file of torch, which is looked at and never run."""
    texts = [value for _, value, _ in pickletools.genops(head) if isinstance(value, str)]
    return texts[texts.index(name) + 1]


def _make_card(path: Path, told: Mapping[str, Any]) -> ChargeCard:
    """Card of a file; JSON has lists for tuples, and texts for the numbers of elements."""
    given: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x for name, x in told.items()
    }
    given |= {
        "elements": {int(number): count for number, count in told["elements"].items()},
        "charges": Calibration(**told["charges"]),
        "dielectric": Calibration(**told["dielectric"]),
    }
    return ChargeCard(name=path.stem, digest=compute_file_digest(path), **given)
