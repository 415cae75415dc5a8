"""Settings that mean nothing are told before anything is computed."""

import dataclasses
import json

import pytest
from pydantic import BaseModel

from potentials.facet import FacetConfig
from tasks.failures import RemediableError
from tasks.screening.settings import read_settings_of
from tasks.training import ModelSettings, TrainingSettings, prepare_training
from tasks.training.labelling import DistillationSettings
from tasks.training.settings import has_settings, record_settings
from tests.tasks.training.crystals import ELEMENTS, tiny_settings


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("stages: []", "stages"),
        ("data: {file: x}", "data.file"),
        ("data: {validation_share: 1}", "data.validation_share"),
        ("name: Facet", "name"),
        ("stages: [{loss: {force: -1}}]", "stages.0.loss.force"),
        ("[1", "cannot read the settings file"),
        ("model: {channels: 0}", "model.channels"),
        ("model: {l_hidden: 3}", "must lie in order"),
        ("model: {update: grid}", "model.update"),
    ],
)
def test_wrong_settings_are_told(content, word, tmp_path):
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(RemediableError, match=word):
        read_settings_of(TrainingSettings, tmp_path / "c.yaml")


@pytest.mark.parametrize("kind", [TrainingSettings, DistillationSettings])
def test_an_empty_file_means_defaults(kind: type[BaseModel], tmp_path):
    (tmp_path / "c.yaml").write_text("")
    assert read_settings_of(kind, tmp_path / "c.yaml") == kind()


def test_missing_file_is_told(tmp_path):
    with pytest.raises(RemediableError, match="cannot read the settings file"):
        read_settings_of(TrainingSettings, tmp_path / "none.yaml")


def test_a_folder_begun_before_a_setting_existed_goes_on_with_its_default(tmp_path):
    settings = DistillationSettings()
    record_settings(tmp_path, settings)
    told = tmp_path / "settings.json"
    older = json.loads(told.read_text())
    del older["source"]
    told.write_text(json.dumps(older))
    assert has_settings(tmp_path, settings)
    for other in ({"symprec": 0.1}, {"source": {"max_atoms": 1}}):
        with pytest.raises(RemediableError, match="other settings"):
            has_settings(tmp_path, DistillationSettings.model_validate(other))
    told.write_text(json.dumps(older | {"unknown": 1}))
    with pytest.raises(RemediableError, match="other settings"):
        has_settings(tmp_path, settings)


def test_every_part_of_the_architecture_is_a_setting_but_those_the_data_decide():
    fields = {field.name for field in dataclasses.fields(FacetConfig)}
    assert fields - set(ModelSettings.model_fields) == {"elements", "average_neighbours"}


def test_no_frames_are_told(tmp_path):
    with pytest.raises(RemediableError, match="no frames"):
        prepare_training(tiny_settings(), tmp_path / "a")
    data = {"files": (ELEMENTS,), "elements": ("Au",)}
    with pytest.raises(RemediableError, match="no frames"):
        prepare_training(tiny_settings(data=data), tmp_path / "b")
    assert not (tmp_path / "b").exists()
