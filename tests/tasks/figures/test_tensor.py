"""Glyph of a tensor: its symmetry is that of the tensor."""

import numpy as np
import pytest

from tasks.figures.tensor import compute_glyph, draw_glyph, draw_tensor_figure, read_tensor


def test_identity_is_a_sphere_without_arrow():
    glyph = compute_glyph(np.eye(3))
    np.testing.assert_allclose(glyph.values, 1.0)
    np.testing.assert_array_equal(glyph.polar_vector, 0.0)


def test_mirror_image_has_the_opposite_colour():
    tensor = np.diag([1.0, 1.0, -2.0])
    np.testing.assert_allclose(compute_glyph(-tensor).values, -compute_glyph(tensor).values)


def test_traceless_tensor_has_lobes_of_both_signs():
    values = compute_glyph(np.diag([1.0, -1.0, 0.0])).values
    assert values.max() == pytest.approx(-values.min())


def test_antisymmetric_tensor_is_its_arrow_alone():
    vector = np.array([0.3, -0.2, 0.7])
    tensor = np.einsum("ijk,k->ij", levi_civita(), vector)
    glyph = compute_glyph(tensor)
    np.testing.assert_allclose(glyph.values, 0.0, atol=1e-15)
    np.testing.assert_allclose(glyph.polar_vector, vector)
    gradient = np.array([1.0, 2.0, -1.0])
    np.testing.assert_allclose(tensor @ gradient, np.cross(gradient, vector))


def test_glyph_turns_with_the_tensor():
    tensor = np.array([[1.0, 0.2, 0.0], [0.4, -0.5, 0.3], [0.0, 0.1, 2.0]])
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    glyph, turned = compute_glyph(tensor), compute_glyph(turn @ tensor @ turn.T)
    quarter = (glyph.values.shape[1] - 1) // 4
    np.testing.assert_allclose(
        turned.values[:, :-1], np.roll(glyph.values[:, :-1], quarter, axis=1), atol=1e-12
    )
    np.testing.assert_allclose(turned.polar_vector, turn @ glyph.polar_vector)


def test_stored_tensor_is_that_of_the_nearest_temperature():
    row = {"temperatures": [100.0, 300.0, 1000.0], "tensor": np.arange(27.0)}
    tensor, temperature = read_tensor(row, 400.0)
    assert temperature == 300.0
    np.testing.assert_array_equal(tensor, np.arange(9.0, 18.0).reshape(3, 3))


def test_components_are_written_in_the_unit_of_the_label():
    figure = draw_tensor_figure(np.diag([2.5e-6, 0.0, 0.0]))
    table = figure.axes[1]
    assert "10^{-6}" in table.get_title()
    texts = [text.get_text() for text in table.texts]
    assert texts[0] == "$2.5$"
    assert texts[1:] == ["$0$"] * 8


@pytest.mark.parametrize("tensor", [np.zeros((3, 3)), np.eye(3)])
def test_surface_is_drawn_where_there_is_one(tensor):
    axes = draw_tensor_figure(np.zeros((3, 3))).axes[0]
    before = len(axes.collections)
    draw_glyph(axes, compute_glyph(tensor))
    assert (len(axes.collections) > before) == bool(tensor.any())


def levi_civita() -> np.ndarray:
    """ε_ijk."""
    symbol = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        symbol[i, j, k], symbol[j, i, k] = 1.0, -1.0
    return symbol
