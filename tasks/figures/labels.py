"""Labels and units of everything a figure shows, stated once; no plotting library is needed.

Texts between dollar signs are TeX. Units are those of the dataset unless a scale is stated.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from tasks.units import THZ, FrequencyUnit

_SUBSCRIPTS: Final = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_AMOUNT: Final = re.compile(r"\d+(?:\.\d+)?")
_OVERLINE: Final = "\N{COMBINING OVERLINE}"


@dataclass(frozen=True)
class Quantity:
    """What an axis shows.

    Attributes
    ----------
    name : str
        In words.
    symbol : str
        TeX without dollar signs; empty where there is none.
    unit : str
        TeX without dollar signs; empty for a pure number.
    plain_unit : str
        The unit as plain text.
    scale : float
        Factor from the dataset's unit to this one.
    """

    name: str
    symbol: str = ""
    unit: str = ""
    plain_unit: str = ""
    scale: float = 1.0

    @property
    def axis(self) -> str:
        """Text of an axis: name, symbol, unit in parentheses."""
        words = f"{self.name} ${self.symbol}$" if self.symbol else self.name
        return f"{words} (${self.unit}$)" if self.unit else words

    @property
    def short(self) -> str:
        """Symbol and unit alone, for narrow places."""
        symbol = f"${self.symbol}$" if self.symbol else self.name
        return f"{symbol} (${self.unit}$)" if self.unit else symbol

    def convert_unit(self, unit: FrequencyUnit) -> Self:
        """Quantity with frequencies in another unit.

        Parameters
        ----------
        unit : FrequencyUnit
            That of the axis.

        Returns
        -------
        Quantity
            With its unit, and the factor from the dataset's.
        """
        return replace(
            self,
            unit=self.unit.replace(THZ.tex, unit.tex),
            plain_unit=unit.rewrite_unit(self.plain_unit),
            scale=self.scale * unit.get_scale(self.plain_unit),
        )


_THZ: Final = (THZ.tex, THZ.text)
_HBAR: Final = (r"\hbar", "ħ")
_DENSITY: Final = (rf"\hbar/{THZ.tex}", "ħ/THz")
_TENSOR: Final = (
    r"10^{-6}\,\mathrm{J\,s\,m^{-2}\,K^{-1}\,s^{-1}}",
    "10⁻⁶ J s m⁻² K⁻¹ s⁻¹",
)
# Wave vectors are drawn without the factor 2 pi, q = k / 2 pi.
_INVERSE_LENGTH: Final = (r"\mathrm{\AA}^{-1}", "1/Å")
_MOLAR: Final = (r"\mathrm{J\,K^{-1}\,mol^{-1}}", "J K^-1 mol^-1")
_ENERGY: Final = (r"\mathrm{kJ\,mol^{-1}}", "kJ/mol")
_LENGTH: Final = (r"\mathrm{\AA}", "Å")

QUANTITIES: Final = {
    "frequency": Quantity("Frequency", r"\nu", *_THZ),
    "wave_vector": Quantity("Wave vector", r"q"),
    "q_x": Quantity("Wave vector", r"k_x/2\pi", *_INVERSE_LENGTH),
    "q_y": Quantity("Wave vector", r"k_y/2\pi", *_INVERSE_LENGTH),
    "q_1": Quantity("Wave vector", r"k_1/2\pi", *_INVERSE_LENGTH),
    "q_2": Quantity("Wave vector", r"k_2/2\pi", *_INVERSE_LENGTH),
    "l_x": Quantity("Angular momentum", r"l_x", *_HBAR),
    "l_y": Quantity("Angular momentum", r"l_y", *_HBAR),
    "l_z": Quantity("Angular momentum", r"l_z", *_HBAR),
    "angular_momentum": Quantity("Angular momentum", r"l", *_HBAR),
    "helicity": Quantity("Helicity", r"h", *_HBAR),
    "cycloidicity": Quantity("Cycloidicity", r"|\hat{q}\times l|", *_HBAR),
    "pam": Quantity("Pseudo-angular momentum", r"\ell"),
    "helicity_dos": Quantity("Helicity density of states", r"\chi", *_DENSITY),
    "helicity_harmonics": Quantity("Harmonics", r"S_L", *_DENSITY),
    "radius": Quantity("Radius of the sphere", r"|k|/2\pi", *_INVERSE_LENGTH),
    "atomic_angular_momentum": Quantity("Angular momentum of the atom", r"l_k", *_HBAR),
    "tensor": Quantity("Response", r"\alpha/\tau", *_TENSOR, scale=1e6),
    "position": Quantity("Position", "", *_LENGTH),
    "temperature": Quantity("Temperature", "T", r"\mathrm{K}", "K"),
    "heat_capacity_300": Quantity("Heat capacity", r"C_v", *_MOLAR),
    "entropy_300": Quantity("Entropy", "S", *_MOLAR),
    "free_energy_300": Quantity("Free energy", "F", *_ENERGY),
    "score": Quantity("Score"),
    "n_atoms": Quantity("Atoms in the primitive cell"),
    "space_group_number": Quantity("Space-group number"),
    "n_materials": Quantity("Materials"),
    "min_frequency_commensurate": Quantity("Lowest frequency", r"\nu_\mathrm{min}", *_THZ),
    "max_frequency": Quantity("Highest frequency", r"\nu_\mathrm{max}", *_THZ),
    "mean_angular_momentum": Quantity("Mean angular momentum", r"\langle|l|\rangle", *_HBAR),
    "mean_optical_angular_momentum": Quantity(
        "Mean optical angular momentum", r"\langle|l|\rangle", *_HBAR
    ),
    "mean_helicity": Quantity("Mean helicity", r"\langle|h|\rangle", *_HBAR),
    "mean_optical_helicity": Quantity("Mean optical helicity", r"\langle|h|\rangle", *_HBAR),
}

WAVES: Final = {
    "s": "s wave (L = 0)",
    "d": "d wave (L = 2)",
    "g": "g wave (L = 4)",
    "i": "i wave (L = 6)",
    "none": "no wave",
}


def format_formula_tex(formula: str) -> str:
    """Typeset a chemical formula.

    Parameters
    ----------
    formula : str
        Such as ``SiO2``.

    Returns
    -------
    str
        Text with subscripts in TeX: ``SiO$_{2}$``.
    """
    return _AMOUNT.sub(r"$_{\g<0>}$", formula)


def format_formula_text(formula: str) -> str:
    """Chemical formula with Unicode subscripts.

    Parameters
    ----------
    formula : str
        Such as ``SiO2``.

    Returns
    -------
    str
        ``SiO₂``; a fraction stays as it is.
    """
    return _AMOUNT.sub(
        lambda found: found[0] if "." in found[0] else found[0].translate(_SUBSCRIPTS), formula
    )


def format_space_group_tex(symbol: str) -> str:
    """Typeset an international space-group symbol.

    Parameters
    ----------
    symbol : str
        Such as ``P3_121`` or ``I-42d``.

    Returns
    -------
    str
        Text in TeX with screw subscripts and bars, letters in italics.
    """
    barred = re.sub(r"-(\d)", r"\\bar{\1}", symbol)
    screwed = re.sub(r"_(\d)", r"_{\1}", barred)
    return f"${screwed}$"


def format_space_group_text(symbol: str) -> str:
    """International space-group symbol in Unicode.

    Parameters
    ----------
    symbol : str
        Such as ``P3_121`` or ``I-42d``.

    Returns
    -------
    str
        ``P3₁21``, ``I4̅2d``.
    """
    screws = re.sub(r"_(\d)", lambda found: found[1].translate(_SUBSCRIPTS), symbol)
    return re.sub(r"-(\d)", rf"\1{_OVERLINE}", screws)


def format_q_point_tex(name: str) -> str:
    """Typeset the name of a point of the band path.

    Parameters
    ----------
    name : str
        Such as ``Γ``, ``Σ_0`` or ``X|U``.

    Returns
    -------
    str
        Upright letters, indices as subscripts; of a jump the two names above each other.
    """
    return re.sub(r"_(\w+)", r"$_{\1}$", name).replace("|", "\n")


def format_screw_tex(order: int, screw: int) -> str:
    """Typeset a rotation or screw axis.

    Parameters
    ----------
    order, screw : int
        n and m of the axis n_m.

    Returns
    -------
    str
        Such as ``$3_{1}$`` or ``$4$``.
    """
    return f"${order}_{{{screw}}}$" if screw else f"${order}$"
