"""Settings come from a file and from flags, and nothing wrong gets past them."""

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from tasks.failures import RemediableError
from tasks.screening.settings import (
    ScreenSettings,
    format_settings,
    read_settings,
    read_settings_of,
)
from tasks.training.settings import TrainingSettings

MARKER = "executed"


@pytest.fixture
def config(tmp_path):
    """Write a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_without_a_file_all_values_are_the_defaults():
    assert read_settings(None, {}) == ScreenSettings()


@pytest.mark.parametrize("text", ["", "# nothing but a remark\n", "---\n"])
def test_an_empty_file_changes_nothing(config, text):
    assert read_settings(config(text), {}) == ScreenSettings()


def test_file_sets_what_it_names_and_leaves_the_rest(config):
    found = read_settings(config("potential: {name: 7net-0}\nphonons:\n  max_atoms: 64\n"), {})
    assert found.potential.name == "7net-0"
    assert found.phonons.max_atoms == 64
    assert found.phonons.displacement == ScreenSettings().phonons.displacement
    assert found.chirality == ScreenSettings().chirality


def test_flags_override_the_file(config):
    path = config("phonons: {max_atoms: 64, displacement: 0.02}\n")
    found = read_settings(path, {"phonons.max_atoms": 32, "include_centrosymmetric": True})
    assert found.phonons.max_atoms == 32
    assert found.phonons.displacement == 0.02
    assert found.include_centrosymmetric


def test_flags_not_given_leave_the_file_alone(config):
    path = config("phonons: {max_atoms: 64}\ninclude_centrosymmetric: true\n")
    found = read_settings(path, {"phonons.max_atoms": None, "include_centrosymmetric": None})
    assert found.phonons.max_atoms == 64
    assert found.include_centrosymmetric


def test_settings_survive_being_written_and_read(config):
    found = read_settings(None, {"potential.options": {"scale": 2.0}, "symmetry.symprec": 1e-3})
    text = yaml.safe_dump(found.model_dump(mode="json"))
    assert read_settings(config(text), {}) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("phonon: {max_atoms: 5}", ["no setting phonon;", "did you mean phonons?"]),
        ("phonons: {max_atom: 5}", ["no setting phonons.max_atom;", "did you mean max_atoms?"]),
        ("phonons: {symprec: 0.1}", ["no setting phonons.symprec;", "mean symmetry.symprec?"]),
        ("displacment: 0.1", ["no setting displacment;", "did you mean phonons.displacement?"]),
        ("symmetry: {qqq: 0.1}", ["no setting symmetry.qqq;", "there are symprec"]),
        ("phonons: {max_atoms: many}", ["phonons.max_atoms", "'many'"]),
        ("phonons: {max_atoms: 3.5}", ["phonons.max_atoms", "3.5"]),
        ("phonons: {max_atoms: 0}", ["phonons.max_atoms", "0"]),
        ("phonons: {displacement: -0.01}", ["phonons.displacement", "-0.01"]),
        ("phonons: {displacement: .nan}", ["phonons.displacement", "nan"]),
        ("phonons: 5", ["phonons", "5"]),
        ("relaxation: {max_force: 0}", ["relaxation.max_force", "0"]),
        ("symmetry: {symprec: [0.1]}", ["symmetry.symprec", "[0.1]"]),
        ("potential: {dtype: float16}", ["potential.dtype", "'float16'"]),
        ("potential: {options: {deep: {er: 1}}}", ["potential.options", "{'er': 1}"]),
        ("chirality: {temperatures: []}", ["chirality.temperatures"]),
        ("chirality: {temperatures: [300, -1]}", ["chirality.temperatures.1", "-1"]),
        ("score: {shortlist_score: 1.5}", ["score.shortlist_score", "1.5"]),
        ("include_centrosymmetric: perhaps", ["include_centrosymmetric", "'perhaps'"]),
        ("1: 2", ["1"]),
    ],
)
def test_wrong_values_are_told_with_field_and_value(config, text, words):
    with pytest.raises(RemediableError) as caught:
        read_settings(config(text), {})
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert caught.value.remedy


def test_a_misspelt_setting_in_a_list_of_groups_is_told_with_the_right_one(config):
    with pytest.raises(RemediableError, match=r"no setting stages\.0\.batch.*did you mean \w+\?"):
        read_settings_of(TrainingSettings, config("stages: [{batch_siez: 3}]"))


def _leaves(model, above=()):
    """Names and fields of all settings that are no groups."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), field


def test_printed_settings_read_back_are_the_defaults_and_tell_every_meaning(config):
    text = format_settings(ScreenSettings())
    assert read_settings(config(text), {}) == ScreenSettings()
    tree, words = yaml.safe_load(text), " ".join(text.replace("#", " ").split())
    for path, field in _leaves(ScreenSettings()):
        group = tree
        for name in path[:-1]:
            group = group[name]
        # Every setting is there by name, not merely as a default that was left out.
        assert path[-1] in group, path
        assert field.description, path
        assert " ".join(field.description.replace("#", " ").split()) in words, path
    assert max(map(len, text.splitlines())) <= 100


def test_printed_settings_keep_what_was_set(config):
    settings = read_settings(
        None,
        {
            "relaxation.max_force": 1e-5,
            "potential.options": {"scale": 1e-7, "words": "yes: #no"},
            "chirality.temperatures": [1e-3, 4e20],
            "source.licence": "CC-BY 4.0: π",
            "curation.excluded_elements": ["No", "Y"],
        },
    )
    assert read_settings(config(format_settings(settings)), {}) == settings


def test_all_wrong_values_are_told_at_once(config):
    with pytest.raises(RemediableError, match=r"symmetry\.symprec: .*; phonons\.max_atoms: "):
        read_settings(config("phonons: {max_atoms: 0}\nsymmetry: {symprec: 0}\n"), {})


@pytest.mark.parametrize(
    "name", ["symmetry.symprec", "phonons.displacement", "score.splitting_weight"]
)
def test_tolerance_displacement_and_weight_are_finite(name):
    """Every structure would fail, or every score be no number."""
    with pytest.raises(RemediableError, match=name):
        read_settings(None, {name: float("inf")})


def test_some_term_of_the_score_has_weight():
    """A weighted mean needs a weight."""
    terms = ("momentum", "helicity", "splitting")
    with pytest.raises(RemediableError, match="weight"):
        read_settings(None, {f"score.{term}_weight": 0.0 for term in terms})


def test_weights_of_terms_that_the_score_no_longer_has_are_accepted(config):
    """A settings file of an older program still holds."""
    file = config("score: {isolation_weight: 0.5, tensor_weight: 0, splitting_scale: 2.0}")
    assert read_settings(file, {}) == ScreenSettings()


@pytest.mark.parametrize(
    ("overrides", "word"),
    [
        ({"phonons.max_atoms": 0}, "phonons.max_atoms"),
        ({"phonons.displacements": 0.1}, "phonons.displacements"),
        ({"symmetry.symprec.deeper": 0.1}, "symprec"),
    ],
)
def test_wrong_flags_are_told_like_wrong_files(overrides, word):
    with pytest.raises(RemediableError, match=word):
        read_settings(None, overrides)


def test_a_flag_inside_what_is_no_group_is_told(config):
    with pytest.raises(RemediableError, match="phonons is not a group"):
        read_settings(config("phonons: 5"), {"phonons.max_atoms": 8})


@pytest.mark.parametrize("text", ["- a\n- b\n", '"text"', "5", "phonons: {", "a: b: c", "\x00"])
def test_files_without_groups_are_refused_by_name(config, text):
    path = config(text)
    with pytest.raises(RemediableError, match=r"settings\.yaml") as caught:
        read_settings(path, {})
    assert caught.value.remedy


def test_missing_file_folder_and_rubbish_are_refused(tmp_path):
    (tmp_path / "rubbish.yaml").write_bytes(bytes(range(256)))
    for name in ("absent.yaml", ".", "rubbish.yaml"):
        with pytest.raises(RemediableError, match="cannot read the settings file"):
            read_settings(tmp_path / name, {})


@pytest.mark.parametrize(
    "tag",
    [
        '!!python/object/apply:os.mkdir ["{0}"]',
        'potential: !!python/object/apply:os.mkdir ["{0}"]',
        'potential: {{name: !!python/object/new:os.mkdir ["{0}"]}}',
        "potential: {{name: !!python/name:os.mkdir}}",
    ],
)
def test_no_tag_of_a_file_runs_code(config, tmp_path, tag):
    marker = tmp_path / MARKER
    with pytest.raises(RemediableError, match="cannot read"):
        read_settings(config(tag.format(marker)), {})
    assert not marker.exists()
