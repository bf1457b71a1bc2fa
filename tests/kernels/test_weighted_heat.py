"""Weighted time above a knee and mean ageing against numerical quadrature."""

from __future__ import annotations

import math

import pytest
from scipy.integrate import quad

from nexova_sim.kernels.thermal import growing_above_k, mean_above_k, weight_steps
from nexova_sim.kernels.wear import montsinger_mean_per_h

CASES = [
    (a, tau, t0, limit)
    for a in (1e-7, 2e-4, 0.05)
    for tau in (0.3, 2.0, 40.0)
    for t0, limit in ((25.0, 60.0), (25.0, 120.0), (150.0, 40.0), (90.0, 100.0), (69.0, 71.0))
]


@pytest.mark.parametrize(("a", "tau", "t0", "limit"), CASES)
def test_growing_above_a_knee(a, tau, t0, limit):
    path = lambda u: limit + (t0 - limit) * math.exp(-u / tau)  # noqa: E731
    after = path(1.0)
    kinks = [tau * math.log((t0 - limit) / (70.0 - limit))] if (t0 - 70.0) * (after - 70.0) < 0 else None
    top, _ = quad(lambda u: math.exp(a * (1 - u)) * max(0.0, path(u) - 70.0), 0, 1, points=kinks, epsabs=1e-12)
    expected = top * a / math.expm1(a)
    got = growing_above_k(t0, after, limit, tau, 70.0, a)
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-8)
    if kinks is None and expected > 0:
        felt = limit + (t0 - after) * weight_steps(a, tau, math.exp(-1.0 / tau)) - 70.0
        assert felt == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert growing_above_k(t0, after, limit, tau, 70.0, 0.0) == mean_above_k(t0, after, limit, tau, 70.0)


@pytest.mark.parametrize(("a", "tau", "t0", "limit"), CASES[:15])
def test_mean_ageing(a, tau, t0, limit):
    rate = lambda u: 2.0 ** ((limit + (t0 - limit) * math.exp(-u / tau) - 130.0) / 10.0) / 20_000.0  # noqa: E731
    expected, _ = quad(rate, 0, 1, epsabs=1e-16, epsrel=1e-10, limit=200)
    got = montsinger_mean_per_h(t0, limit, tau, 1 / 20_000.0, 130.0, 10.0)
    assert got == pytest.approx(expected, rel=2e-3 if tau < 1.0 else 1e-6)
