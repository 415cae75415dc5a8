"""Keys change exactly with what results depend on; chunks hold each structure once."""

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from potentials import PotentialCard
from tasks.chirality import VERDICT_SETTINGS
from tasks.crystals import Material
from tasks.crystals.structures import compute_structure_hash
from tasks.failures import RemediableError
from tasks.screening import planning
from tasks.screening.costs import StageSeconds, read_constants
from tasks.screening.plan import plan_screening
from tasks.screening.planning import (
    STAGE_NAMES,
    WorkItem,
    balance_chunks,
    choose_material_charges,
    compute_budget,
    compute_digest,
    compute_material_key,
    compute_stage_keys,
    estimate_run_seconds,
    find_first_open_stage,
    make_chunks,
    require_computable,
)
from tasks.screening.settings import ScreenSettings, read_settings
from tests.crystals import wurtzite
from tests.tasks.alloys import emt, intake_of

pytestmark = pytest.mark.slow

# Keys that datasets have: the first digits, of tellurium and quartz with the default settings. Of
# the modes without Born charges, as in datasets older than predicted ones, and with these.
KNOWN_KEYS = {
    "te": ("31d666ce86def317", "88de706893333950", "faab713219a4407b", "df7bd88168fdee8a"),
    "quartz-152": ("07f34ecbb7e32dcc", "8a5e4f352a671eee", "ce8fa31b9c25318e", "1ee9c3ee84d9e3f7"),
}
REPOSITORY = Path(__file__).parents[3]
ALL = frozenset(STAGE_NAMES)
NONE: frozenset[str] = frozenset()
BELOW_RELAXATION = frozenset({"phonons", "chirality"})
CHIRALITY = frozenset({"chirality"})
PROGRAM = """
from tests.crystals import wurtzite
from tests.tasks.alloys import emt
from tests.tasks.screening.test_planning import material, compute_material_key, find_stage_keys
from tasks.screening.settings import ScreenSettings
settings = ScreenSettings()
print(*find_stage_keys(material(), emt().card, settings))
print(compute_material_key(material(), settings))
"""


@pytest.fixture(scope="module")
def card() -> PotentialCard:
    """A card that knows zinc and oxygen only."""
    return replace(emt().card, elements=frozenset({8, 30}))


def material(**changes) -> Material:
    """A crystal of zinc oxide."""
    atoms = wurtzite()
    return replace(Material("zno", atoms, compute_structure_hash(atoms), "zno.cif"), **changes)


def find_stage_keys(crystal, card, settings) -> tuple[str, ...]:
    """Keys of a crystal with the Born charges that a screening chooses for it."""
    charges = choose_material_charges(crystal, settings)
    return compute_stage_keys(crystal, card, settings, charges)


def changed_stages(card, before, after) -> frozenset[str]:
    """Stages whose keys differ between two pairs of material and settings."""
    keys = [find_stage_keys(crystal, card, settings) for crystal, settings in (before, after)]
    return frozenset(s for s, a, b in zip(STAGE_NAMES, *keys, strict=True) if a != b)


def other_value(value):
    """A valid value of a setting that differs from the given one."""
    if isinstance(value, tuple):
        return value[:1]
    return value + 1 if isinstance(value, int) else 0.9 * value


def numeric_settings():
    """Every numeric setting by dotted name, another value, and the stages it matters to."""
    groups = {
        "symmetry": ALL,
        "relaxation": ALL,
        "phonons": BELOW_RELAXATION,
        "chirality": CHIRALITY,
        "score": CHIRALITY,
    }
    for group, stages in groups.items():
        for name, value in getattr(ScreenSettings(), group):
            ranks = group == "score" and name not in VERDICT_SETTINGS
            if not isinstance(value, str):
                yield f"{group}.{name}", other_value(value), frozenset() if ranks else stages


@pytest.mark.parametrize(
    ("name", "value", "stages"),
    [
        *numeric_settings(),
        ("potential.dtype", "float32", ALL),
        ("relaxation.cell", "fixed", ALL),
        ("phonons.method", "hessian", BELOW_RELAXATION),
        ("phonons.nac", "given", CHIRALITY),
    ],
)
def test_a_setting_changes_the_keys_of_its_stage_and_those_below(card, name, value, stages):
    """A finer q-mesh needs no new forces; the relaxation is judged at the symmetry's tolerance."""
    before, after = ScreenSettings(), read_settings(None, {name: value})
    assert changed_stages(card, (material(), before), (material(), after)) == stages


@pytest.mark.parametrize("name", KNOWN_KEYS)
def test_a_dataset_of_today_has_nothing_to_do(tmp_path, card, name):
    """Keys change with a stage's version or a default, of which the changelog tells; never else."""
    source = REPOSITORY / "data" / "demo" / f"{name}.cif"
    fixed = replace(card, digest="0", elements=frozenset({8, 14, 52}))
    *forces, without, predicted = KNOWN_KEYS[name]
    for nac, modes in (("none", without), ("given", without), ("predicted", predicted)):
        settings = read_settings(None, {"phonons.nac": nac})
        context = intake_of(source, tmp_path / "out", settings, card=lambda: fixed)
        ((work,),) = plan_screening(context, commit=False).open.values()
        assert [key[:16] for key in work.keys] == [*forces, modes]


@pytest.mark.parametrize("changes", [{"material_id": "other"}, {"structure_hash": "other"}])
def test_another_name_or_structure_is_another_result(card, changes):
    pair = ((material(), ScreenSettings()), (material(**changes), ScreenSettings()))
    assert changed_stages(card, *pair) == ALL


def test_another_checkpoint_changes_everything(card):
    other = replace(card, digest="another checkpoint")
    before, after = (find_stage_keys(material(), c, ScreenSettings()) for c in (card, other))
    assert not set(before) & set(after)


@pytest.mark.parametrize(
    "changes", [{"licence": "other"}, {"citation": "other"}, {"milliseconds_per_atom": 1.0}]
)
def test_what_a_card_says_besides_changes_nothing(card, changes):
    other = replace(card, **changes)
    before, after = (find_stage_keys(material(), c, ScreenSettings()) for c in (card, other))
    assert before == after


@pytest.mark.parametrize(
    ("stage", "stages"),
    [("relaxation", ALL), ("phonons", BELOW_RELAXATION), ("chirality", CHIRALITY)],
)
def test_a_new_version_of_a_stage_redoes_it_and_those_below(card, monkeypatch, stage, stages):
    before = find_stage_keys(material(), card, ScreenSettings())
    monkeypatch.setitem(planning.STAGE_VERSIONS, stage, 99)
    after = find_stage_keys(material(), card, ScreenSettings())
    assert {s for s, a, b in zip(STAGE_NAMES, before, after, strict=True) if a != b} == stages


@pytest.mark.parametrize(
    ("changes", "overrides", "same"),
    [
        ({"material_id": "other"}, {}, False),
        ({"structure_hash": "other"}, {}, False),
        ({"source_record": "elsewhere.cif"}, {}, False),
        ({}, {"symmetry.symprec": 0.1}, False),
        ({}, {"phonons.displacement": 0.02, "potential.dtype": "float32"}, True),
    ],
)
def test_material_key_names_structure_record_and_tolerance(changes, overrides, same):
    before = compute_material_key(material(), ScreenSettings())
    after = compute_material_key(material(**changes), read_settings(None, overrides))
    assert (before == after) is same


def test_the_same_number_written_otherwise_is_the_same_setting(card, tmp_path):
    keys = set()
    for text in ("10", "10.0", "1.0e+1"):
        path = tmp_path / "settings.yaml"
        path.write_text(f"phonons: {{min_supercell_length: {text}, max_atoms: 200}}")
        keys.add(find_stage_keys(material(), card, read_settings(path, {})))
    assert keys == {find_stage_keys(material(), card, ScreenSettings())}


def test_keys_are_the_same_in_every_process():
    """No key depends on the seed of Python's hashes, or on the order of a set or mapping."""
    settings = ScreenSettings()
    here = [
        *find_stage_keys(material(), emt().card, settings),
        compute_material_key(material(), settings),
    ]
    there = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == here


def test_digest_tells_nesting_and_order_apart_but_not_the_order_of_a_mapping():
    assert compute_digest("a", "b") != compute_digest(["a", "b"])
    assert compute_digest("ab", "c") != compute_digest("a", "bc")
    assert compute_digest("a", "b") != compute_digest("b", "a")
    assert compute_digest({"a": 1, "b": 2}) == compute_digest({"b": 2, "a": 1})


def test_unknown_elements_are_named_with_the_potential(card):
    atoms = bulk("ZnS", "zincblende", a=5.4)
    with pytest.raises(RemediableError, match=rf"{card.name} does not know the element S$"):
        require_computable(atoms, card, ScreenSettings())


def test_all_unknown_elements_are_named_once_and_in_order(card):
    atoms = bulk("GaAs", "zincblende", a=5.65, cubic=True)
    with pytest.raises(RemediableError, match=r"the element As, Ga$"):
        require_computable(atoms, card, ScreenSettings())


@pytest.mark.parametrize(("limit", "fits"), [(4, True), (3, False)])
def test_a_cell_may_have_as_many_atoms_as_the_limit(card, limit, fits):
    settings = read_settings(None, {"phonons.max_atoms": limit})
    if fits:
        require_computable(wurtzite(), card, settings)
    else:
        with pytest.raises(RemediableError, match="4 atoms, more than the limit of 3"):
            require_computable(wurtzite(), card, settings)


KEYS = ("r", "p", "c")
WORK = WorkItem("mp-1", "m", KEYS, StageSeconds(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("done", "failed", "expected"),
    [
        ("", "", "relaxation"),
        ("r", "", "phonons"),
        ("rp", "", "chirality"),
        ("rpc", "", None),
        ("r", "r", None),
        ("rp", "p", None),
        ("rpc", "c", None),
        # Results that a new version of the stage above made useless.
        ("pc", "", "relaxation"),
        ("c", "", "relaxation"),
        ("rc", "", "phonons"),
    ],
)
def test_first_open_stage(done, failed, expected):
    finished = {
        stage: frozenset(key) & set(done) for stage, key in zip(STAGE_NAMES, KEYS, strict=True)
    }
    succeeded = {stage: keys - set(failed) for stage, keys in finished.items()}
    assert find_first_open_stage(WORK, finished, succeeded) == expected


def test_retrying_takes_failures_for_undone():
    """With results alone counted as done, the stage that failed is open."""
    succeeded = {"relaxation": frozenset("r"), "phonons": NONE, "chirality": NONE}
    assert find_first_open_stage(WORK, succeeded, succeeded) == "phonons"


def works_of(costs) -> list[WorkItem]:
    """Work on structures of which the relaxation is finished."""
    return [
        WorkItem(f"mp-{i}", f"m{i}", KEYS, StageSeconds(1e6, 0.9 * cost, 0.1 * cost))
        for i, cost in enumerate(costs)
    ]


def cost_of(chunk) -> float:
    """What is left to do for a chunk of these."""
    return sum(work.seconds.left("phonons") for work in chunk)


def balanced(works, target, limit):
    return balance_chunks(works, "phonons", target, limit)


COSTS = st.lists(st.floats(1.0, 1e4), max_size=60)
TARGETS, LIMITS = st.floats(1.0, 1e5), st.integers(1, 70)


@given(costs=COSTS, target=TARGETS, limit=LIMITS)
def test_chunks_hold_each_structure_once_within_the_limit(costs, target, limit):
    works = works_of(costs)
    chunks = balanced(works, target, limit)
    assert sorted(w.material_id for chunk in chunks for w in chunk) == sorted(
        w.material_id for w in works
    )
    assert all(1 <= len(chunk) <= limit for chunk in chunks)


@given(costs=COSTS, target=TARGETS)
def test_chunks_differ_by_one_structure_at_most(costs, target):
    """Longest first into the emptiest chunk: the difference is below the dearest structure."""
    totals = [cost_of(chunk) for chunk in balanced(works_of(costs), target, 99)]
    if totals:
        assert max(totals) - min(totals) <= max(costs) * (1 + 1e-9)


@given(costs=COSTS, target=TARGETS, limit=LIMITS, seed=st.integers(0, 99))
def test_chunks_do_not_depend_on_the_order_of_the_input(costs, target, limit, seed):
    works = works_of(costs)
    shuffled = random.Random(seed).sample(works, len(works))  # noqa: S311 - no secret
    assert balanced(shuffled, target, limit) == balanced(works, target, limit)


@pytest.mark.parametrize(
    ("n_works", "target", "limit", "n_chunks"),
    [
        (100, 100.0, 200, 10),
        (100, 100.0, 5, 20),
        (100, 1e6, 200, 1),
        (3, 0.1, 200, 3),
        (0, 1, 1, 0),
    ],
)
def test_number_of_chunks_follows_from_cost_and_limit(n_works, target, limit, n_chunks):
    assert len(balanced(works_of([10.0] * n_works), target, limit)) == n_chunks


def test_the_dearest_structures_come_first():
    """A chunk that lasts long must not begin last."""
    chunks = balanced(works_of([1.0, 50.0, 2.0, 40.0]), 45.0, 10)
    assert [cost_of(chunk[:1]) for chunk in chunks] == pytest.approx([50.0, 40.0])


def test_neighbours_stay_together_in_large_chunks():
    """A chunk of hundreds is read from dozens of files, and costs what the others cost."""
    costs = np.random.default_rng(1).lognormal(1.0, 1.0, 20_000)
    chunks = balanced(works_of(costs), 1e6, 300)
    assert sorted(w.material_id for chunk in chunks for w in chunk) == sorted(
        w.material_id for w in works_of(costs)
    )
    assert max(map(len, chunks)) <= 300
    files = [{int(w.material_id.removeprefix("mp-")) // 200 for w in chunk} for chunk in chunks]
    assert max(map(len, files)) <= 2 * 34
    totals = [cost_of(chunk) for chunk in chunks]
    assert max(totals) < 1.1 * min(totals)


def test_what_is_done_makes_no_chunk_smaller():
    """A finer mesh, with all forces there, fills a few chunks, however dear the forces were."""
    seconds = StageSeconds(40.0, 100.0, 2.0)
    works = [WorkItem(f"mp-{i}", f"m{i}", KEYS, seconds) for i in range(100)]
    computed, mirrored = make_chunks({"chirality": works}, workers=2)
    assert (len(computed), mirrored) == (10, [])
    assert {stage for stage, _ in computed} == {"chirality"}
    assert len(make_chunks({"relaxation": works}, workers=2)[0]) > 40


@pytest.mark.parametrize(
    ("seconds", "workers", "n_chunks"),
    [(4.0, 2, 1), (12.0, 2, 2), (30.0, 2, 2), (90.0, 2, 4), (300.0, 2, 12), (9000.0, 2, 30)],
)
def test_workers_get_as_many_chunks_each(seconds, workers, n_chunks):
    """Neither one that is idle while the other has two, nor one that starts for nothing."""
    works = works_of([seconds / 60] * 60)
    assert len(make_chunks({"phonons": works}, workers)[0]) == n_chunks


def test_mirror_images_come_last():
    originals = works_of([30.0, 10.0])
    images = [replace(w, material_id=f"{w.material_id}-image", image_keys=KEYS) for w in originals]
    opened = {"relaxation": [images[0], originals[0]], "phonons": [originals[1], images[1]]}
    computed, mirrored = make_chunks(opened, workers=1)
    told = [
        [(s, [w.material_id for w in works]) for s, works in part] for part in (computed, mirrored)
    ]
    assert told == [
        [("phonons", ["mp-1"]), ("relaxation", ["mp-0"])],
        [("phonons", ["mp-1-image"]), ("relaxation", ["mp-0-image"])],
    ]


def test_time_of_a_run_is_that_of_its_longest_worker_and_of_the_start():
    works = works_of([300.0, 100.0, 100.0, 100.0])
    start, chunk = read_constants().start, read_constants().chunk
    n_stages = 2
    for workers, expected in ((1, 600.0 + 4 * n_stages * chunk), (2, 300.0 + 3 * n_stages * chunk)):
        seconds = estimate_run_seconds({"phonons": works}, 0, workers)
        assert seconds == pytest.approx(start + expected, rel=1e-6)
    assert estimate_run_seconds({"phonons": ()}, 100, 2) == pytest.approx(
        50 * read_constants().record
    )


def test_a_budget_leaves_the_start_out():
    assert compute_budget(1.0, 2) == pytest.approx(2 * (3600 - read_constants().start))
    assert compute_budget(1e-6, 2) == 0.0
