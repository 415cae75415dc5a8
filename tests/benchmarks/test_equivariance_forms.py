"""Forms of networks trained alike: each can be trained, and the table has all of them."""

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk

from benchmarks.equivariance_forms import (
    FORMS,
    OTHER_RESULTS,
    RESULTS,
    make_table,
    measure_zincblende,
    train,
)
from potentials import load_potential
from tasks.training import read_frames
from tasks.training.datasets import make_frame, write_frames
from tasks.training.run import MODEL


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Rattled cells of AlN, labelled by a potential that knows it."""
    path, generator = tmp_path_factory.mktemp("frames") / "aln.parquet", np.random.default_rng(0)
    cells = [bulk("AlN", "wurtzite", a=3.11, c=4.98) for _ in range(12)]
    for atoms in cells:
        atoms.positions += generator.normal(scale=0.03, size=atoms.positions.shape)
    found = load_potential("facet-aln").evaluate(cells)
    labels = zip(cells, found.energies, found.forces, strict=True)
    write_frames(path, [make_frame(a, "aln", energy=float(e), forces=f) for a, e, f in labels])
    return path


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_trained(form, frames, tmp_path):
    train(form, frames, tmp_path)
    assert (tmp_path / MODEL).stat().st_size > 1e4


def test_the_table_has_all_forms_and_only_exact_ones_are_exact():
    rows = pd.read_csv(RESULTS).set_index("form")
    assert set(FORMS) <= set(rows.index)
    turned = rows["turned crystals: forces (%)"]
    assert (turned[["cg", "gaunt", "gate"]] < 1e-6).all()
    assert (turned[["plain", "latent"]] > 10).all()
    assert make_table(rows.reset_index()).loc["turned crystals: forces (%)", "cg"] == "< 10⁻⁵"


def test_zincblende_is_measured_and_its_table_has_all_forms(frames, tmp_path):
    """By a network that sees distances alone in the beginning, and directions after a step."""
    renamed = read_frames(frames)
    for frame in renamed:
        frame.atoms.numbers = np.where(frame.atoms.numbers == 13, 49, 15)
    write_frames(tmp_path / "inp.parquet", renamed)
    train("plain", tmp_path / "inp.parquet", tmp_path, ("In", "P"))
    found = measure_zincblende(f"facet:{tmp_path / MODEL}@bare")
    columns = set(pd.read_csv(OTHER_RESULTS).columns)
    assert set(found) <= columns
    assert found["turned crystals: forces (%)"] > 1e-6
    assert set(pd.read_csv(OTHER_RESULTS)["form"]) == set(FORMS)
