"""One thermal node: exact step for constant load, and exact time averages of the temperature above a knee.

dT/dt = (T_inf - T)/tau with T_inf = ambient + rise * heat / cooling and tau = tau_rated / cooling (MODEL 1).
"""

from __future__ import annotations

from nexova_sim.kernels._jit import kernel
from nexova_sim.kernels.numbers import exp64, log64


@kernel
def heat_frac(load_frac: float, fixed: float, linear: float, square: float) -> float:
    """Heat released, as a fraction of the heat at rated load: fixed + linear x + square x^2.

    (0, 1, 0) is heat proportional to input power; (f, 0, 1 - f) is loss-based heating with a fixed share f of the
    losses (no-load losses plus losses growing with the square of the load, IEC 60034-2-1 separation of losses).
    """
    return fixed + load_frac * (linear + load_frac * square)


@kernel
def temp_limit_c(ambient_c: float, cooled_rise_k: float, heat: float) -> float:
    """Temperature (degC) that constant conditions lead to; ``cooled_rise_k`` is the rise at rated load / cooling."""
    return ambient_c + cooled_rise_k * heat


@kernel
def temp_next_c(temp_c: float, limit_c: float, decay: float) -> float:
    """Exact step towards ``limit_c``; ``decay`` = exp(-dt/tau)."""
    return limit_c + (temp_c - limit_c) * decay


@kernel
def temp_mean_c(temp_c: float, next_c: float, limit_c: float, tau_over_dt: float) -> float:
    """Exact mean (degC) of the temperature over a step that led from ``temp_c`` to ``next_c``."""
    return limit_c + (temp_c - next_c) * tau_over_dt


@kernel
def mean_above_k(temp_c: float, next_c: float, limit_c: float, tau_over_dt: float, knee_c: float) -> float:
    """Exact mean over a step of max(0, T - knee), in K, also when T crosses the knee inside the step.

    Away from the knee this is max(0, mean - knee), because the temperature is monotone within a step.
    """
    if (temp_c - knee_c) * (next_c - knee_c) >= 0.0:
        return max(0.0, temp_mean_c(temp_c, next_c, limit_c, tau_over_dt) - knee_c)
    share = tau_over_dt * log64((temp_c - limit_c) / (knee_c - limit_c))
    if next_c > knee_c:
        return (limit_c - knee_c) * (1.0 - share) - tau_over_dt * (next_c - knee_c)
    return (limit_c - knee_c) * share + tau_over_dt * (temp_c - knee_c)


@kernel
def weight_steps(growth_log: float, tau_steps: float, decay: float) -> float:
    """What replaces tau in the mean over a step when early warmth counts more, because damage grows meanwhile.

    Weight e^(a (1 - u)) at u of the step, a = ``growth_log``: the weighted mean of T is
    limit + (T - next) a (e^a - decay)/((e^a - 1)(a + 1/tau)(1 - decay)), which tends to tau for small a.
    """
    if growth_log < 1e-12:
        return tau_steps
    growth = exp64(growth_log)
    rate = growth_log + 1.0 / tau_steps
    return growth_log * (growth - decay) / ((growth - 1.0) * rate * (1.0 - decay))


@kernel
def _weighted(span: float, level_k: float, swing_k: float, growth_log: float, tau_steps: float) -> float:
    """Integral over ``span`` of e^(a (span - u)) (level + swing e^(-u/tau))."""
    growth = exp64(growth_log * span)
    rate = growth_log + 1.0 / tau_steps
    return level_k * (growth - 1.0) / growth_log + swing_k * (growth - exp64(-span / tau_steps)) / rate


@kernel
def growing_above_k(
    temp_c: float, next_c: float, limit_c: float, tau_steps: float, knee_c: float, growth_log: float
) -> float:
    """Weighted mean over a step of max(0, T - knee) as wear feels it: exact for d(wear)/dt = k (v(T) + g wear)."""
    if growth_log < 1e-12:
        return mean_above_k(temp_c, next_c, limit_c, tau_steps, knee_c)
    crosses = (temp_c - knee_c) * (next_c - knee_c) < 0.0
    if not crosses:
        if max(temp_c, next_c) <= knee_c:
            return 0.0
        whole = _weighted(1.0, limit_c - knee_c, temp_c - limit_c, growth_log, tau_steps)
        return whole * growth_log / (exp64(growth_log) - 1.0)
    share = tau_steps * log64((temp_c - limit_c) / (knee_c - limit_c))
    if next_c > knee_c:
        part = _weighted(1.0 - share, limit_c - knee_c, knee_c - limit_c, growth_log, tau_steps)
    else:
        part = _weighted(share, limit_c - knee_c, temp_c - limit_c, growth_log, tau_steps)
        part *= exp64(growth_log * (1.0 - share))
    return part * growth_log / (exp64(growth_log) - 1.0)
