"""Values survive the way into JSON."""

import base64
import json

import numpy as np
import pytest

from tasks.site.json_values import pack_numbers, round_nested, to_json_value, write_json


def test_rounding_keeps_shape_and_leaves_gaps():
    assert round_nested([[1.23456, np.nan], [-0.00001, 2.0]]) == [[1.2346, None], [0.0, 2.0]]
    assert round_nested([1.0, np.nan], 0) == [1, None]


def test_packed_numbers_are_exact_to_their_sixteenth_bit():
    values = np.random.default_rng(1).uniform(-1, 1, 50)
    found = np.frombuffer(base64.b64decode(pack_numbers(values)), "<i2") / 32767
    assert np.abs(found - values).max() < 0.51 / 32767


def test_packed_numbers_beyond_one_are_clipped():
    assert pack_numbers([3.0, -3.0]) == pack_numbers([1.0, -1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, None])
def test_numbers_that_json_lacks_become_empty(value):
    assert to_json_value(value) is None
    assert to_json_value([1.0, value]) == [1.0, None]


def test_flags_stay_flags_and_numbers_keep_six_digits():
    assert to_json_value(True) is True
    assert to_json_value(1 / 3) == 0.333333


def test_json_is_strict(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", [np.nan])
    assert json.loads(write_json(tmp_path / "b" / "c.json", ["Γ"]).read_text("utf-8")) == ["Γ"]
