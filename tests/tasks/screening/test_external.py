"""Force constants from phonopy's files: read as they are, refused when unsafe or incomplete."""

import lzma
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.file_IO import write_BORN, write_FORCE_CONSTANTS, write_FORCE_SETS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.physical_units import get_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from tasks.chirality import analyze_force_constants
from tasks.failures import RemediableError
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.rows import read_phonon
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.results.export import export_material
from tasks.screening.external import name_files, plan_analysis
from tasks.screening.plan import Plan, plan_screening
from tasks.screening.settings import read_settings
from tasks.sources import make_safe_id
from tests.crystals import spring_phonon, tellurium, to_phonopy, zincblende
from tests.tasks.alloys import carry_out, face_centred_phonon, intake_of, no_card, write_alloys

pytestmark = pytest.mark.slow

Q_POINTS = [[0.1, 0.2, 0.3], [0.5, 0.0, 0.0], [0.02, 0.0, 0.01]]
SETTINGS = read_settings(None, {"chirality.mesh_spacing": 0.1, "chirality.path_spacing": 0.2})
NOTHING = {"force_constants": False, "force_sets": False, "displacements": False, "born": False}


@pytest.fixture(scope="module")
def neutral() -> Phonopy:
    """Springs without charges."""
    return spring_phonon(zincblende(), 1)


@pytest.fixture(scope="module")
def sound_file(neutral, tmp_path_factory) -> str:
    """Text of a file without fault."""
    return in_params(neutral, tmp_path_factory.mktemp("sound")).read_text()


@pytest.fixture(scope="module")
def charged() -> Phonopy:
    """The same crystal with Born charges."""
    return spring_phonon(zincblende(), 1, born=True)


@pytest.fixture(scope="module")
def measured() -> Phonopy:
    """The neutral crystal with displacements and the forces that its springs answer with."""
    springs = spring_phonon(zincblende(), 1)
    phonon = Phonopy(to_phonopy(zincblende()), springs.supercell_matrix, primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=0.01)
    full = compact_fc_to_full_fc(springs.primitive, springs.force_constants)
    phonon.forces = np.array(
        [
            -np.einsum("iab,b->ia", full[:, item["number"]], item["displacement"])
            for item in phonon.dataset["first_atoms"]
        ]
    )
    return phonon


def frequencies(phonon: Phonopy) -> np.ndarray:
    return phonon.run_qpoints(Q_POINTS).frequencies


def write_params(phonon: Phonopy, path: Path) -> Path:
    """Write a file that holds everything itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    phonon.save(path, settings={"force_constants": True})
    return path


def write_structure(phonon: Phonopy, folder: Path, **settings: bool) -> Path:
    """Write a file with cells, and displacements where asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    phonon.save(folder / "phonopy.yaml", settings=NOTHING | settings)
    return folder / "phonopy.yaml"


def write_charges(phonon: Phonopy, folder: Path, scale: float = 1.0) -> None:
    """Write a BORN file."""
    nac = phonon.nac_params
    write_BORN(phonon.primitive, scale * nac["born"], nac["dielectric"], folder / "BORN")


def analysed(tmp_path: Path, *paths: Path, run: int = 0) -> Plan:
    """Plan files, run the chirality stage, and build the catalogue."""
    context = intake_of(tmp_path, tmp_path / "out", SETTINGS, run=run, card=no_card)
    plan = plan_analysis(context, paths)
    carry_out(plan, context)
    build_catalog(context.dataset)
    return plan


def catalogue(tmp_path: Path, table: str = "chirality"):
    return read_catalog(tmp_path / "out", table)


def in_params(phonon: Phonopy, folder: Path) -> Path:
    return write_params(phonon, folder / "phonopy_params.yaml")


def compressed(phonon: Phonopy, folder: Path) -> Path:
    plain = in_params(phonon, folder)
    path = folder / "phonopy_params.yaml.xz"
    path.write_bytes(lzma.compress(plain.read_bytes()))
    plain.unlink()
    return path


def with_compact_constants(phonon: Phonopy, folder: Path) -> Path:
    path = write_structure(phonon, folder)
    sites = phonon.primitive.p2s_map
    write_FORCE_CONSTANTS(phonon.force_constants, folder / "FORCE_CONSTANTS", p2s_map=sites)
    return path


def with_full_constants(phonon: Phonopy, folder: Path) -> Path:
    path = write_structure(phonon, folder)
    full = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    write_FORCE_CONSTANTS(full, folder / "FORCE_CONSTANTS")
    return path


@pytest.mark.parametrize(
    "write", [in_params, compressed, with_compact_constants, with_full_constants]
)
def test_frequencies_are_those_of_the_writer(tmp_path, neutral, write):
    found = read_phonopy(write(neutral, tmp_path / "zns"))
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(neutral), atol=1e-6)
    assert found.phonon.force_constants.shape == neutral.force_constants.shape
    assert found.phonon.nac_params is None


@pytest.mark.parametrize("displacements", [True, False])
def test_force_sets_beside_give_the_force_constants(tmp_path, measured, neutral, displacements):
    path = write_structure(measured, tmp_path / "zns", displacements=displacements)
    write_FORCE_SETS(measured.dataset, path.parent / "FORCE_SETS")
    found = read_phonopy(path)
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(neutral), atol=1e-4)


def test_forces_inside_the_file_give_the_force_constants(tmp_path, measured, neutral):
    path = write_structure(measured, tmp_path / "zns", force_sets=True, displacements=True)
    found = read_phonopy(path)
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(neutral), atol=1e-4)


def test_primitive_cell_of_the_file_is_kept(tmp_path):
    """Eight atoms in the unit cell, two in the primitive one."""
    phonon = face_centred_phonon()
    found = read_phonopy(in_params(phonon, tmp_path / "alloy"))
    assert (len(found.phonon.unitcell), len(found.phonon.primitive)) == (8, 2)
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(phonon), atol=1e-6)


def test_charges_inside_the_file_are_used(tmp_path, charged):
    found = read_phonopy(in_params(charged, tmp_path / "zns"))
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(charged), atol=1e-4)


def test_charges_beside_the_file_are_used(tmp_path, neutral, charged):
    path = in_params(neutral, tmp_path / "zns")
    write_charges(charged, path.parent)
    found = read_phonopy(path)
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(charged), atol=1e-4)
    assert np.abs(frequencies(charged) - frequencies(neutral)).max() > 0.05


def test_files_beside_give_only_what_the_file_lacks(tmp_path, charged):
    """Charges of another calculation in the same folder do not replace the file's own."""
    path = in_params(charged, tmp_path / "zns")
    write_charges(charged, path.parent, scale=0.5)
    found = read_phonopy(path)
    np.testing.assert_allclose(frequencies(found.phonon), frequencies(charged), atol=1e-4)


@pytest.mark.parametrize("name", ["BORN", "FORCE_CONSTANTS", "FORCE_SETS", "force_constants.hdf5"])
def test_files_of_the_working_directory_do_not_matter(
    tmp_path, monkeypatch, neutral, charged, measured, name
):
    """Only the folder of the file counts, not the one the program was started in."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    if name == "BORN":
        write_charges(charged, here)
        assert read_phonopy(in_params(neutral, tmp_path / "zns")).phonon.nac_params is None
        return
    if name == "FORCE_SETS":
        write_FORCE_SETS(measured.dataset, here / name)
    elif name == "FORCE_CONSTANTS":
        with_full_constants(neutral, here)
    else:
        import h5py

        full = compact_fc_to_full_fc(neutral.primitive, neutral.force_constants)
        with h5py.File(here / name, "w") as file:
            file["force_constants"] = full
    with pytest.raises(RemediableError, match="neither forces nor force constants"):
        read_phonopy(write_structure(neutral, tmp_path / "zns"))


def test_units_of_other_calculators_are_converted(tmp_path, neutral):
    """The same crystal in bohr and Ry/bohr^2 has the same frequencies in THz, once stored."""
    units = get_physical_units()
    cell = neutral.unitcell
    in_bohr = PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell / units.Bohr,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
    )
    phonon = Phonopy(in_bohr, neutral.supercell_matrix, primitive_matrix=np.eye(3), calculator="qe")
    phonon.force_constants = neutral.force_constants * units.Bohr**2 / units.Rydberg
    np.testing.assert_allclose(frequencies(phonon), frequencies(neutral), rtol=1e-6)
    analysed(tmp_path, in_params(phonon, tmp_path / "zns"))
    [row] = intake_of(tmp_path, tmp_path / "out").dataset.read("force_constants").to_pylist()
    np.testing.assert_allclose(frequencies(read_phonon(row)), frequencies(neutral), rtol=1e-6)
    np.testing.assert_allclose(np.reshape(row["cell"], (3, 3)), cell.cell, rtol=1e-6)
    assert catalogue(tmp_path).loc[0, "max_frequency"] == pytest.approx(
        analyze_force_constants(neutral, SETTINGS.chirality).record.max_frequency, rel=1e-6
    )


def test_isotopes_of_the_file_are_kept(tmp_path):
    phonon = spring_phonon(zincblende(), 1)
    phonon.masses = [70.0, 36.0]
    found = read_phonopy(in_params(phonon, tmp_path / "zns"))
    assert found.phonon.primitive.masses == pytest.approx([70.0, 36.0])


def test_violated_sum_rule_is_measured_and_mended(tmp_path, neutral):
    """A constant added to one block is a drift of its size."""
    path = write_structure(neutral, tmp_path / "zns")
    constants = neutral.force_constants.copy()
    constants[0, 1] += 0.01 * np.eye(3)
    sites = neutral.primitive.p2s_map
    write_FORCE_CONSTANTS(constants, path.parent / "FORCE_CONSTANTS", p2s_map=sites)
    found = read_phonopy(path)
    assert found.sum_rule_residual == pytest.approx(0.01, abs=1e-6)
    assert 0.001 < found.symmetrisation <= 0.01 + 1e-9
    assert np.abs(found.phonon.force_constants.sum(axis=1)).max() < 1e-9


def test_digest_covers_all_files_that_are_read(tmp_path, neutral, charged):
    path = in_params(neutral, tmp_path / "zns")
    digests = [read_phonopy(path).digest]
    for scale in (1.0, 0.9):
        write_charges(charged, path.parent, scale)
        digests.append(read_phonopy(path).digest)
    assert len(set(digests)) == 3
    (path.parent / "BORN").unlink()
    assert read_phonopy(path).digest == digests[0]


TAGS = {
    "plain": 'odd: !!python/object/apply:os.mkdir ["{0}"]\n',
    "new": 'odd: !!python/object/new:os.mkdir ["{0}"]\n',
    "verbatim": 'odd: !<tag:yaml.org,2002:python/object/apply:os.mkdir> ["{0}"]\n',
    "handle": '%TAG !e! tag:yaml.org,2002:python/\n--- !e!object/apply:os.mkdir ["{0}"]\n',
    "flow": 'odd: [1, !!python/object/apply:os.mkdir ["{0}"]]\n',
    "hash in a key": 'odd#: !!python/object/apply:os.mkdir ["{0}"]\n',
    "hash in quotes": '"#": !!python/object/apply:os.mkdir ["{0}"]\n',
    "after a remark and CR": '# remark\rodd: !!python/object/apply:os.mkdir ["{0}"]\n',
    "after a remark and NEL": '# remark\x85odd: !!python/object/apply:os.mkdir ["{0}"]\n',
    "after a remark and LS": '# remark\u2028odd: !!python/object/apply:os.mkdir ["{0}"]\n',
    "after a remark and PS": '# remark\u2029odd: !!python/object/apply:os.mkdir ["{0}"]\n',
}


@pytest.mark.parametrize("name", ["unsafe.yaml", "unsafe.yaml.xz"])
@pytest.mark.parametrize("tag", TAGS.values(), ids=TAGS)
def test_no_file_runs_code(tmp_path, sound_file, tag, name):
    """YAML ends a remark at more line breaks than LF, and begins one only after a blank."""
    marker = tmp_path / "executed"
    content = (tag.format(marker) + sound_file).encode()
    path = tmp_path / name
    path.write_bytes(lzma.compress(content, preset=0) if path.suffix == ".xz" else content)
    try:
        with pytest.raises(RemediableError) as caught:
            read_phonopy(path)
    finally:
        assert not marker.exists(), "the file ran code"
    assert caught.value.remedy


def broken(folder: Path, phonon: Phonopy) -> dict[str, Path]:
    """Files that hold no force constants, by what is wrong with them."""
    sound = in_params(phonon, folder / "sound").read_bytes()
    contents = {
        "truncated.yaml": sound[: len(sound) // 2],
        "truncated.yaml.xz": lzma.compress(sound)[:-400],
        "not-compressed.yaml.xz": sound,
        "empty.yaml": b"",
        "list.yaml": b"- 1\n- 2\n",
        "number.yaml": b"5\n",
        "rubbish.yaml": bytes(range(256)),
        "other.yaml": b"name: not a phonopy file\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    absent = {"absent.yaml": folder / "absent.yaml", "a folder": folder / "bare"}
    absent["a folder"].mkdir()
    return {name: folder / name for name in contents} | absent


@pytest.mark.parametrize(
    "name",
    [
        "truncated.yaml",
        "truncated.yaml.xz",
        "not-compressed.yaml.xz",
        "empty.yaml",
        "list.yaml",
        "number.yaml",
        "rubbish.yaml",
        "other.yaml",
        "absent.yaml",
        "a folder",
    ],
)
def test_unusable_files_are_refused_by_name_with_a_remedy(tmp_path, neutral, name):
    path = broken(tmp_path, neutral)[name]
    with pytest.raises(RemediableError) as caught:
        read_phonopy(path)
    assert path.name in str(caught.value)
    assert caught.value.remedy


def test_a_file_without_forces_says_what_to_put_beside_it(tmp_path, neutral):
    with pytest.raises(RemediableError, match="neither forces nor force constants") as caught:
        read_phonopy(write_structure(neutral, tmp_path / "zns"))
    assert "FORCE_SETS" in caught.value.remedy


@pytest.mark.parametrize("name", ["FORCE_SETS", "FORCE_CONSTANTS", "BORN"])
def test_a_broken_file_beside_is_refused(tmp_path, neutral, name):
    path = write_structure(neutral, tmp_path / "zns") if name != "BORN" else None
    path = path or in_params(neutral, tmp_path / "zns")
    (path.parent / name).write_text("2\nnot numbers\n")
    with pytest.raises(RemediableError, match=name) as caught:
        read_phonopy(path)
    assert caught.value.remedy


def test_unusable_files_cost_the_others_nothing(tmp_path, neutral):
    bad = broken(tmp_path, neutral)
    good = in_params(neutral, tmp_path / "zns")
    plan = analysed(tmp_path, *bad.values(), good)
    assert plan.outcomes == {"failed": len(bad), "screen": 1}
    assert {failure.source_record for failure in plan.failures} == set(map(str, bad.values()))
    assert all(failure.remedy for failure in plan.failures)
    found = catalogue(tmp_path).set_index("material_id")["outcome"]
    assert found["zns"] == "screened"
    assert found.value_counts().to_dict() == {"failed": len(bad), "screened": 1}


def test_force_constants_that_are_no_numbers_are_a_failure(tmp_path, neutral):
    path = write_structure(neutral, tmp_path / "zns")
    constants = neutral.force_constants.copy()
    constants[0, 1, 0, 0] = np.nan
    sites = neutral.primitive.p2s_map
    write_FORCE_CONSTANTS(constants, path.parent / "FORCE_CONSTANTS", p2s_map=sites)
    analysed(tmp_path, path)
    [row] = catalogue(tmp_path).to_dict("records")
    assert row["outcome"] == "failed"
    assert row["reason"]


def test_analysis_is_that_of_the_phonopy_object(tmp_path, charged):
    """Nothing is lost on the way through the dataset, charges included."""
    analysed(tmp_path, in_params(charged, tmp_path / "zns"))
    [row] = catalogue(tmp_path).to_dict("records")
    record = analyze_force_constants(charged, SETTINGS.chirality).record
    assert row["outcome"] == "screened"
    for name in ("mean_angular_momentum", "mean_helicity", "max_frequency", "min_frequency"):
        assert row[name] == pytest.approx(getattr(record, name), abs=1e-5), name
    assert row["nac"]
    assert row["magnetization"] is not None
    assert (row["space_group_number"], row["chirality_class"]) == (216, "III")
    assert row["relaxation_key"] is None or np.isnan(row["relaxation_key"])
    phonons = catalogue(tmp_path, "phonons").iloc[0]
    assert bool(phonons["nac"])
    assert phonons["n_supercell_atoms"] == len(charged.supercell)
    assert phonons["n_displacements"] == 0


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("quartz.yaml", "quartz"),
        ("quartz.yml", "quartz"),
        ("quartz.yaml.xz", "quartz"),
        ("mp-7000/phonopy.yaml", "mp-7000"),
        ("mp-7000/phonopy_params.yaml", "mp-7000"),
        ("mp-7000/phonopy_params.yaml.xz", "mp-7000"),
        ("mp-7000/phonopy_disp.yaml", "mp-7000"),
        ("a folder/my crystal.yaml", make_safe_id("my crystal")),
    ],
)
def test_material_is_named_by_the_file_or_its_folder(tmp_path, neutral, path, name):
    target = tmp_path / path
    plain = write_params(neutral, tmp_path / "plain.yaml").read_bytes()
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(lzma.compress(plain) if path.endswith(".xz") else plain)
    plan = plan_analysis(intake_of(tmp_path, tmp_path / "out", SETTINGS), [target])
    assert [work.material_id for work in plan.open["chirality"]] == [name]


def test_analysing_again_computes_nothing(tmp_path, neutral):
    path = in_params(neutral, tmp_path / "zns")
    assert analysed(tmp_path, path).n_open == 1
    assert analysed(tmp_path, path, run=1).n_open == 0
    assert catalogue(tmp_path)["outcome"].tolist() == ["screened"]


def test_changed_force_constants_are_analysed_anew(tmp_path, neutral):
    path = in_params(neutral, tmp_path / "zns")
    analysed(tmp_path, path)
    softer = spring_phonon(zincblende(), 1)
    softer.force_constants = 0.25 * neutral.force_constants
    write_params(softer, path)
    before = catalogue(tmp_path).loc[0, "max_frequency"]
    assert analysed(tmp_path, path, run=1).n_open == 1
    assert catalogue(tmp_path).loc[0, "max_frequency"] == pytest.approx(before / 2, rel=1e-6)


@pytest.mark.parametrize("content", ["another crystal", "a copy"])
def test_files_of_the_same_name_are_told_apart_by_their_folders(tmp_path, neutral, content):
    other = spring_phonon(zincblende(), 2) if content == "another crystal" else neutral
    paths = [
        write_params(phonon, tmp_path / folder / "zns.yaml")
        for folder, phonon in (("a", neutral), ("b", other))
    ]
    plan = analysed(tmp_path, *paths)
    assert plan.outcomes == {"screen": 2}
    assert set(catalogue(tmp_path)["material_id"]) == {"zns", "b-zns"}


def test_names_stay_from_run_to_run(tmp_path, neutral):
    """A later file of the same name replaces no earlier one, and each finds its own results."""
    first, second = (write_params(neutral, tmp_path / x / "zns.yaml") for x in ("a", "b"))
    analysed(tmp_path, first)
    assert analysed(tmp_path, second, run=1).n_open == 1
    assert analysed(tmp_path, second, first, run=2).n_open == 0
    found = catalogue(tmp_path).set_index("material_id")["source"]
    assert found.to_dict() == {"zns": str(first), "b-zns": str(second)}


def test_a_folder_of_calculations_is_analysed(tmp_path, neutral, measured):
    write_params(neutral, tmp_path / "all" / "first" / "phonopy_params.yaml")
    path = write_structure(measured, tmp_path / "all" / "second", displacements=True)
    path.rename(path.with_name("phonopy_disp.yaml"))
    write_FORCE_SETS(measured.dataset, path.with_name("FORCE_SETS"))
    analysed(tmp_path, tmp_path / "all")
    assert set(catalogue(tmp_path)["material_id"]) == {"first", "second"}
    assert set(catalogue(tmp_path)["outcome"]) == {"screened"}


def test_a_relative_path_names_the_same_file(tmp_path, monkeypatch, neutral):
    path = write_params(neutral, tmp_path / "a" / "zns.yaml")
    analysed(tmp_path, path)
    monkeypatch.chdir(tmp_path / "a")
    assert analysed(tmp_path, Path("../a/zns.yaml"), Path("zns.yaml"), run=1).n_open == 0
    assert catalogue(tmp_path)["material_id"].tolist() == ["zns"]


@pytest.mark.parametrize(
    "paths",
    [
        ["/a-b/c.yaml", "/a/b-c.yaml", "/x/c.yaml", "/x/c.yml"],
        ["/phonopy.yaml", "/a/phonopy.yaml", "/b/a/phonopy.yaml", "/b/a/phonopy_params.yaml"],
    ],
)
def test_no_two_files_share_a_name(paths):
    files = [Path(path) for path in paths]
    found = name_files(files, {})
    assert [path for path, _ in found] == files
    assert len({name for _, name in found}) == len(files)


def test_masses_of_unlike_isotopes_lower_the_symmetry_of_the_material(tmp_path):
    phonon = spring_phonon(tellurium(), 1)
    phonon.masses = [255.2, 127.6, 127.6]
    analysed(tmp_path, in_params(phonon, tmp_path / "te"))
    [row] = catalogue(tmp_path).to_dict("records")
    assert (row["space_group_symbol"], row["outcome"]) == ("C2", "screened")
    assert max(row["tensor_violation"]) < 1e-3, "q-points were reduced by another group"


def test_what_was_assumed_of_charges_is_recorded(tmp_path, neutral, charged):
    path = in_params(neutral, tmp_path / "zns")
    write_charges(charged, path.parent)
    born = path.with_name("BORN")
    born.write_text("\n".join(["14.4", *born.read_text().splitlines()[1:], ""]))
    analysed(tmp_path, path, in_params(charged, tmp_path / "inside"))
    notes = catalogue(tmp_path, "phonons").set_index("material_id")["nac_note"]
    assert "order of indices assumed" in notes["zns"]
    assert notes.isna()["inside"], "the format of phonopy tells it"


# Columns of what a relaxation tells, and of where things are.
NOT_EXPORTED = re.compile(
    r"_key$|^key$|^run_id$|^material_id$|^source|^structure_hash$|_stated$|_differs?$|^relaxation"
    r"|_change$|^symmetry_changed$|_relaxed$|^potential$|^checkpoint|^n_displacements$|time"
    r"|^translation_frequency$|^classes_differ$|^n_enlargements$|^displacement_distance$"
    r"|^hull_reason$|^density$"
)


def test_export_and_analysis_give_the_verdict_of_the_screening(tmp_path):
    """With Born charges; what differs is what a relaxation alone can tell."""
    source = tmp_path / "in"
    source.mkdir()
    context = intake_of(write_alloys(source, "helix"), tmp_path / "first")
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    paths = export_material(context.dataset, "helix", tmp_path / "exported")
    again = intake_of(tmp_path, tmp_path / "out")
    carry_out(plan_analysis(again, [paths[1]]), again)
    build_catalog(again.dataset)
    [before], [after] = (
        read_catalog(tmp_path / name, "chirality").to_dict("records") for name in ("first", "out")
    )
    assert before["outcome"] == after["outcome"] == "screened"
    compared = [name for name in before if not NOT_EXPORTED.search(name)]
    assert {"score", "reliable", "stable", "chirality_class", "least_stiffness"} < set(compared)
    for name in compared:
        assert _alike(before[name], after[name]), (name, before[name], after[name])


def _alike(first: object, second: object) -> bool:
    """Whether two values of a table are the same, numbers to 1e-5."""
    try:
        a, b = (np.asarray(value, dtype=float) for value in (first, second))
    except (TypeError, ValueError):
        return str(first) == str(second)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("usable", [True, False])
def test_a_file_given_twice_is_no_trouble(tmp_path, neutral, usable):
    path = in_params(neutral, tmp_path / "zns") if usable else tmp_path / "absent.yaml"
    analysed(tmp_path, path, path)
    assert ("screened" if usable else "failed") in set(catalogue(tmp_path)["outcome"])


def test_unusable_files_deep_in_a_tree_are_told_apart(tmp_path):
    """Their paths differ beyond the length of an identifier."""
    deep = tmp_path / ("long" * 15) / ("deep" * 15)
    plan = analysed(tmp_path, deep / "one.yaml", deep / "two.yaml")
    assert plan.outcomes == {"failed": 2}
    assert len(catalogue(tmp_path)) == 2
    assert len(catalogue(tmp_path, "failures")) == 2


def test_dataset_is_sound_after_an_analysis(tmp_path, neutral):
    analysed(tmp_path, in_params(neutral, tmp_path / "zns"), tmp_path / "absent.yaml")
    assert intake_of(tmp_path, tmp_path / "out").dataset.verify() == []
    shutil.rmtree(tmp_path / "out" / "catalog")
    build_catalog(intake_of(tmp_path, tmp_path / "out").dataset)
    assert len(catalogue(tmp_path)) == 2
