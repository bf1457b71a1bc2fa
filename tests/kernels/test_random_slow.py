"""Random numbers at size: 3 * 10^8 draws against what n independent normals may do."""

from __future__ import annotations

import numpy as np
import pytest
from naive import bits_array
from scipy.stats import chisquare, norm, poisson

from nexova_sim.kernels.random import normals
from nexova_sim.simulate.machines import streams

pytestmark = pytest.mark.slow
N, PARTS = 10_000_000, 30
LEVELS = np.array([-4.5, -4.0, -3.0, -2.0, 2.0, 3.0, 4.0, 4.5])


@pytest.fixture(scope="module")
def sums() -> dict[str, np.ndarray]:
    """Power sums, tail counts, bin counts and lagged products over 3 * 10^8 draws of thirty streams."""
    out = {"powers": np.zeros(4), "tails": np.zeros(len(LEVELS)), "bins": np.zeros(64), "lags": np.zeros(16)}
    edges = norm.ppf(np.arange(1, 64) / 64)
    z = np.empty(N, np.float32)
    for part in range(PARTS):
        normals(streams(part % 10, f"machine-{part // 10}")[part % 3], part * N, z)
        x = z.astype(float)
        out["powers"] += [x.sum(), (x**2).sum(), (x**3).sum(), (x**4).sum()]
        out["tails"] += [(np.sign(level) * x > abs(level)).sum() for level in LEVELS]
        out["bins"] += np.bincount(np.searchsorted(edges, x), minlength=64)
        out["lags"] += [float(x[:-lag] @ x[lag:]) for lag in range(1, 17)]
    return out


def test_moments_of_many(sums):
    n = N * PARTS
    found = sums["powers"] / n - [0, 1, 0, 3]
    # 24-bit inputs end the tails at 5.3 sigma, which takes 5e-6 off the fourth moment.
    assert (np.abs(found) < 4.5 * np.sqrt(np.array([1, 2, 15, 96]) / n) + [0, 1e-6, 0, 3e-5]).all()


def test_tails_of_many(sums):
    expected = norm.sf(np.abs(LEVELS)) * N * PARTS
    # 24-bit inputs: a level is met to one part in 2^24 of all draws.
    slack = N * PARTS / 2**24
    low, high = poisson.ppf(3e-6, expected), poisson.ppf(1 - 3e-6, expected)
    assert ((sums["tails"] >= low - slack) & (sums["tails"] <= high + slack)).all()


def test_bins_and_lags_of_many(sums):
    assert chisquare(sums["bins"]).pvalue > 1e-4
    assert (np.abs(sums["lags"]) < 4.8 * np.sqrt(N * PARTS)).all()


def test_a_thousand_machines_are_uncorrelated():
    z = np.empty((1000, 50_000), np.float32)
    for j in range(1000):
        normals(streams(1, f"plant-pump-{j:04d}")[0], 0, z[j])
    c = np.corrcoef(z)[np.triu_indices(1000, 1)] * np.sqrt(50_000)
    assert np.abs(c).max() < 6.0
    assert abs(c.var() - 1.0) < 4.5 * np.sqrt(2 / len(c))


def test_every_stream_of_many_machines_is_fair():
    counters = np.arange(1_000_000, dtype=np.uint32)
    smallest = 1.0
    for j in range(200):
        b = bits_array(streams(2, f"m{j}")[j % 16], counters)
        smallest = min(smallest, chisquare(np.bincount(b >> np.uint32(22), minlength=1024)).pvalue)
    assert smallest > 1e-6
