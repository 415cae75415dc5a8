"""One terahertz in other units, and texts with these units in them."""

import re
from pathlib import Path

import ase.units
import pytest
from phonopy.physical_units import get_physical_units

from tasks.units import THZ, UNITS, UnitName

CM, MEV = UNITS[UnitName.INVERSE_CENTIMETRE], UNITS[UnitName.MILLIELECTRONVOLT]
ROOT = Path(__file__).parents[2]


def test_factors_are_those_of_other_programs():
    """ASE, with CODATA of 2018, and phonopy, whose constant of Planck is an older one."""
    inverse_centimetre = ase.units.create_units("2018")["invcm"]
    ratio = MEV.per_terahertz / CM.per_terahertz
    assert ratio == pytest.approx(1e3 * inverse_centimetre, rel=1e-8)
    assert CM.per_terahertz == pytest.approx(get_physical_units().THzToCm, rel=1e-8)
    assert MEV.per_terahertz == pytest.approx(1e3 * get_physical_units().THzToEv, rel=1e-6)
    assert THZ.per_terahertz == 1


@pytest.mark.parametrize("unit", UNITS.values())
def test_a_density_keeps_its_integral(unit):
    assert unit.get_scale("THz") * unit.get_scale("ħ/THz") == pytest.approx(1)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ("THz", "cm⁻¹"),
        ("splitting\n(THz Å)", "splitting\n(cm⁻¹ Å)"),
        ("ħ/THz", "ħ/cm⁻¹"),
        ("J s m^-2 K^-1 per s", "J s m^-2 K^-1 per s"),
    ],
)
def test_only_frequencies_change_their_unit(stored, told):
    assert CM.rewrite_unit(stored) == told
    assert (CM.get_scale(stored) == 1) == (stored == told)


def test_no_other_file_of_the_program_knows_a_factor():
    literal = re.compile(r"\b(33\.35|4\.135|0\.2417|8\.065|2\.9979|29\.979)")
    sources = [p for room in ("tasks", "flows", "potentials") for p in (ROOT / room).rglob("*.py")]
    sources += [*(ROOT / "docs").glob("*.md"), *(ROOT / "web" / "src").glob("*.ts")]
    told = [str(p) for p in sources if literal.search(p.read_text("utf-8"))]
    assert told == []
