"""Histograms over frequency."""

import numpy as np
from scipy.sparse import csc_array

from tasks.chirality.axes import FloatArray


def make_bin_edges(frequencies: FloatArray, width: float) -> FloatArray:
    """Return the limits of bins from zero to above the highest frequency.

    Parameters
    ----------
    frequencies : ndarray, shape (...)
        In THz.
    width : float
        Width of a bin in THz.

    Returns
    -------
    ndarray, shape (n_bins + 1,)
        Multiples of the width from 0, at least two.
    """
    # The highest mode lies inside the last bin even where it is a multiple of the width.
    n_bins = max(1, int(np.ceil(frequencies.max() / width + 1e-9)))
    return np.asarray(width * np.arange(n_bins + 1))


def make_bin_matrix(frequencies: FloatArray, edges: FloatArray) -> csc_array:
    """Return the matrix that adds up what the modes of each bin carry.

    Parameters
    ----------
    frequencies : ndarray, shape (...)
        In THz; those outside the edges count to the nearest bin.
    edges : ndarray, shape (n_bins + 1,)
        Limits of the bins in THz.

    Returns
    -------
    scipy.sparse.csc_array, shape (n_bins, n_modes)
        One in the row of the bin of each mode, the modes numbered in C order.
    """
    n_bins, n_modes = len(edges) - 1, frequencies.size
    index = np.searchsorted(edges, frequencies.ravel(), side="right") - 1
    entries = (np.ones(n_modes), np.clip(index, 0, n_bins - 1), np.arange(n_modes + 1))
    return csc_array(entries, shape=(n_bins, n_modes))
