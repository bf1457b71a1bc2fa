"""Damage per hour of running, each in [0, 1]: bearing wear, thermal fatigue, electrical stress; and their life."""

from __future__ import annotations

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64, log64, pow64

NO_LIMIT_H = 1e15


@kernel
def wear_next(wear: float, drive_mm_s: float, growth: float, kick: float) -> float:
    """Exact step of d(wear)/dt = k (drive + g wear) with growth = exp(k g dt) and kick = (growth - 1)/g.

    Vibration wears, and wear vibrates: g is the vibration per unit of wear. ``drive_mm_s`` is the vibration without its
    wear term, plus fault wear per hour divided by k.
    """
    return wear * growth + drive_mm_s * kick


@kernel
def wear_rate_per_mm_s_h(rate: float, load_frac: float, exponent: float, reference_frac: float) -> float:
    """Wear per hour and mm/s at ``load_frac``: rate (x/x_ref)^(p-1).

    p = 1 is the seed's line; p = 3 is the life exponent of ball bearings in ISO 281 (10/3 for rollers), with the
    reference load chosen so that both agree there.
    """
    if exponent == 1.0:
        return rate
    return rate * pow64(load_frac / reference_frac, exponent - 1.0)


@kernel
def montsinger_per_h(temp_c: float, rate_per_h: float, reference_c: float, halving_k: float) -> float:
    """Insulation ageing per hour: doubles with every ``halving_k`` kelvin above ``reference_c`` (Montsinger 1930)."""
    return rate_per_h * exp64((temp_c - reference_c) * (0.6931471805599453 / halving_k))


# Nodes and weights of Gauss-Legendre quadrature with 8 points on [0, 1] (Abramowitz and Stegun, table 25.4).
_NODES = (
    0.01985507175123188, 0.10166676129318664, 0.23723379504183550, 0.40828267875217511,
    0.59171732124782489, 0.76276620495816450, 0.89833323870681336, 0.98014492824876812,
)  # fmt: skip
_WEIGHTS = (
    0.05061426814518813, 0.11119051722668724, 0.15685332293894364, 0.18134189168918099,
    0.18134189168918099, 0.15685332293894364, 0.11119051722668724, 0.05061426814518813,
)  # fmt: skip


@kernel
def montsinger_mean_per_h(
    temp_c: float, limit_c: float, tau_steps: float, rate_per_h: float, reference_c: float, halving_k: float
) -> float:
    """Mean insulation ageing per hour over a step in which T goes from ``temp_c`` towards ``limit_c`` exponentially."""
    total = 0.0
    for i in range(8):
        at_c = limit_c + (temp_c - limit_c) * exp64(-_NODES[i] / tau_steps)
        total += _WEIGHTS[i] * montsinger_per_h(at_c, rate_per_h, reference_c, halving_k)
    return total


@kernel
def hours_to_wear_out(wear: float, drive_mm_s: float, rate: float, wear_gain_mm_s: float) -> float:
    """Running hours until wear reaches 1 under a constant drive (closed form of the ODE in ``wear_next``)."""
    if wear >= 1.0:
        return 0.0
    c = drive_mm_s / wear_gain_mm_s
    return log64((1.0 + c) / (wear + c)) / (rate * wear_gain_mm_s)


@kernel
def weibull_age_h(age_h: float, shape: float, scale_h: float, u: float) -> float:
    """Age (h) at which a unit that survived to ``age_h`` fails at random; u uniform in (0, 1).

    A scale of NO_LIMIT_H or more means never (infinity itself is outside what the kernels' float flags allow).
    """
    if scale_h >= NO_LIMIT_H:
        return NO_LIMIT_H
    start = pow64(age_h / scale_h, shape)
    return scale_h * pow64(start - log64(u), 1.0 / shape)
