"""Thermal, vibration and noise parameters of one machine from its readings, by weighted least squares.

The thermal node is driven by the load behind the meter's noise and compared with the temperature reading by reading;
vibration is linear in load and wear. Standard errors are those of blocks of hours (sandwich estimator, Huber 1967),
because errors of the model last. What readings cannot tell is said, not given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import least_squares
from scipy.signal import lfilter

from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.config.kinds import KindConfig
from nexova_sim.prognose.samples import Samples

_LEAST_TAU_H = 0.005
_LEAST_BLOCKS = 4
_LEAST_FREE = 50
_LEAST_PIECE = 25
_CUT = 3.5
_KEPT = 0.99389  # variance of a standard normal variable cut off at 3.5


class Estimate(NamedTuple):
    """A parameter: value, standard error, 95 % interval; not identifiable = the readings do not tell, and ``why``."""

    name: str
    unit: str
    value: float | None
    se: float | None
    low: float | None
    high: float | None
    is_identifiable: bool
    why: str
    nominal: float | None


class Fit(NamedTuple):
    """Everything found of a machine."""

    estimates: tuple[Estimate, ...]
    left_out_frac: float
    temp_rmse_k: float
    vib_rmse_mm_s: float


class _Solution(NamedTuple):
    value: np.ndarray
    se: np.ndarray
    residual: np.ndarray
    used: np.ndarray
    quantile: float


def heat(kind: KindConfig, level: np.ndarray, is_on: np.ndarray) -> np.ndarray:
    """Heat released as a fraction of that at rated load, (n,); see ``kernels.thermal.heat_frac``."""
    if kind.thermal.heating == "loss":
        fixed = kind.thermal.fixed_loss_frac
        out: np.ndarray = np.where(is_on, fixed + (1.0 - fixed) * level**2, 0.0)
        return out
    return np.where(is_on, level, 0.0)


def node_temp_c(limit_c: np.ndarray, start_c: float, decay: float) -> np.ndarray:
    """Temperature at the beginning of every step, (n,), of a node drawn to ``limit_c`` (n,) in each of them."""
    out: np.ndarray = lfilter([0.0, 1.0 - decay], [1.0, -decay], limit_c, zi=[start_c])[0]
    return out


def robust_se(jacobian: np.ndarray, residual: np.ndarray, block: np.ndarray) -> tuple[np.ndarray, float]:
    """Standard errors (p,) of least squares whose residuals may be dependent within blocks, and Student's quantile.

    ``jacobian`` (n, p), ``residual`` (n,), ``block`` (n,) integers. Infinite where the jacobian is singular.
    """
    n_parameters = jacobian.shape[1]
    names, place = np.unique(block, return_inverse=True)
    n_free = max(1, len(names) - n_parameters)
    score = np.zeros((len(names), n_parameters))
    np.add.at(score, place, jacobian * residual[:, None])
    # Columns of different size must not look like a singular matrix.
    size = np.linalg.norm(jacobian, axis=0)
    size[size == 0.0] = 1.0
    gram = (jacobian / size).T @ (jacobian / size)
    if np.linalg.cond(gram) > 1e12:
        return np.full(n_parameters, np.inf), float(stats.t.ppf(0.975, n_free))
    inverse = np.linalg.inv(gram)
    middle = (score / size).T @ (score / size) * len(names) / n_free
    spread = inverse @ middle @ inverse
    # Where one block holds all that is known of a parameter (a single transient), blocks cannot tell its error.
    plain = inverse * float(np.sum(residual**2)) / max(1, len(residual) - n_parameters)
    variance = np.maximum(np.diag(spread), np.diag(plain))
    return np.sqrt(variance) / size, float(stats.t.ppf(0.975, n_free))


def _without_outliers(residual: np.ndarray, block: np.ndarray, sigmas: float) -> np.ndarray:
    """True for readings in blocks whose mean residual is not further from the median of blocks than ``sigmas``."""
    names, place = np.unique(block, return_inverse=True)
    mean = np.bincount(place, residual) / np.bincount(place)
    middle = np.median(mean)
    scale = 1.4826 * float(np.median(np.abs(mean - middle)))
    if scale <= 0.0 or len(names) < 2 * _LEAST_BLOCKS:
        return np.ones(len(residual), np.bool_)
    kept: np.ndarray = (np.abs(mean - middle) <= sigmas * scale)[place]
    return kept


def _solve(model: Callable[[np.ndarray], np.ndarray], start: np.ndarray, bounds: tuple[np.ndarray, np.ndarray],
           y: np.ndarray, block: np.ndarray, config: CalibrateConfig) -> _Solution:  # fmt: skip
    """Least squares of ``model(p)`` against ``y`` (n,), NaN left out; a second time without outlying blocks."""
    seen = np.isfinite(y)
    for last in (False, True):
        pick = seen

        def distance(p: np.ndarray, pick: np.ndarray = pick) -> np.ndarray:
            out: np.ndarray = (model(p) - y)[pick]
            return out

        found = least_squares(distance, start, bounds=bounds, x_scale=np.maximum(np.abs(start), 1e-3))
        if last:
            break
        seen = seen.copy()
        seen[np.flatnonzero(pick)] = _without_outliers(found.fun, block[pick], config.outlier_sigmas)
        start = found.x
    se, quantile = robust_se(found.jac, found.fun, block[pick])
    return _Solution(found.x, se, found.fun, pick, quantile)


class _Heat(NamedTuple):
    """The thermal fit: rise (K) and time constant (h) with standard errors, NaN when not fitted; the node's course."""

    solution: _Solution
    rise: tuple[float, float]
    tau: tuple[float, float]
    temp_c: np.ndarray


def _thermal(samples: Samples, kind: KindConfig, config: CalibrateConfig, block: np.ndarray) -> _Heat:
    """Rise and start; the time constant unless readings are too far apart; the ambient where none was measured."""
    drive = heat(kind, samples.level, samples.is_on)
    is_blind = not np.isfinite(samples.ambient_c).all()
    has_tau = samples.step_h * 60.0 <= config.most_step_min
    kept_tau_h = kind.thermal.time_constant_min / 60.0
    first = float(samples.temp_c[np.isfinite(samples.temp_c)][:5].mean())

    def model(p: np.ndarray) -> np.ndarray:
        ambient = np.full(len(drive), p[2]) if is_blind else samples.ambient_c
        decay = float(np.exp(-samples.step_h / (p[-1] if has_tau else kept_tau_h)))
        return node_temp_c(ambient + p[0] * drive, float(p[1]), decay)

    rows = [(kind.thermal.rise_at_rated_k, 0.1, 1000.0), (first, -60.0, 400.0)]
    rows += [(25.0, -60.0, 80.0)] if is_blind else []
    rows += [(kept_tau_h, _LEAST_TAU_H, 48.0)] if has_tau else []
    start, low, high = np.array(rows).T
    found = _solve(model, np.clip(start, low, high), (low, high), samples.temp_c, block, config)
    tau = (float(found.value[-1]), float(found.se[-1])) if has_tau else (np.nan, np.nan)
    return _Heat(found, (float(found.value[0]), float(found.se[0])), tau, model(found.value))


def _vibration(samples: Samples, kind: KindConfig, temp_c: np.ndarray, config: CalibrateConfig,
               block: np.ndarray) -> _Solution:  # fmt: skip
    """Vibration at rated load, wear at the end, wear per running hour: v = rated x + hot part + gain wear."""
    v = kind.vibration
    running_h = np.cumsum(samples.is_on) * samples.step_h
    since_end = running_h - running_h[-1]
    hot = v.heat_gain_mm_s_per_k * np.maximum(0.0, temp_c - v.heat_knee_c)
    columns = np.stack([samples.level, np.full(len(hot), v.wear_gain_mm_s), v.wear_gain_mm_s * since_end], axis=1)
    y = np.where(samples.is_on, samples.vib_mm_s - hot, np.nan)
    wide = np.full(3, 1e3)
    start = np.array([v.rated_mm_s, 0.1, 1e-4])
    return _solve(lambda p: columns @ p, start, (-wide, wide), y, block, config)


def fit_machine(samples: Samples, kind: KindConfig, config: CalibrateConfig) -> Fit:
    """Fit one machine; the kind gives the structure, the start, and what is kept where the readings do not tell."""
    block = (samples.hour // config.block_h).astype(np.int64)
    thermal = _thermal(samples, kind, config, block)
    vib = _vibration(samples, kind, thermal.temp_c, config, block)
    used = np.concatenate([thermal.solution.used[np.isfinite(samples.temp_c)], vib.used[samples.is_on]])
    return Fit(
        (*_thermal_estimates(samples, thermal, kind, config), *_vibration_estimates(samples, vib, kind, config),
         *_noises(samples, kind)),
        float(1.0 - used.mean()), _rms(thermal.solution.residual), _rms(vib.residual),
    )  # fmt: skip


def _thermal_estimates(samples: Samples, thermal: _Heat, kind: KindConfig, config: CalibrateConfig) -> list[Estimate]:
    nominal = kind.thermal.time_constant_min
    why = "the load hardly changes, so there are no transients"
    if not np.isfinite(thermal.tau[0]):
        apart = f"{samples.step_h * 60.0:g} min"
        why = f"readings are {apart} apart, and the time constant needs transients, which those do not show"
    rise = _Named("thermal.rise_at_rated_k", "K", kind.thermal.rise_at_rated_k)
    if not np.isfinite(samples.ambient_c).all():
        why = "no ambient is known, and its daily course looks like that of the load; the kind's value is kept"
        return [_held(*rise, why), _held("thermal.time_constant_min", "min", nominal, why)]
    quantile = thermal.solution.quantile
    in_minutes = (60.0 * thermal.tau[0], 60.0 * thermal.tau[1])
    return [
        _judged(rise, thermal.rise, quantile, config, "rise and ambient cannot be told apart at this load"),
        _judged(_Named("thermal.time_constant_min", "min", nominal), in_minutes, quantile, config, why),
    ]  # fmt: skip


def _vibration_estimates(samples: Samples, vib: _Solution, kind: KindConfig, config: CalibrateConfig) -> list[Estimate]:
    v = kind.vibration
    mean = float(np.nanmean(np.where(samples.is_on, samples.vib_mm_s, np.nan)))
    rated, worn, rate = zip(vib.value.tolist(), vib.se.tolist(), strict=True)
    wear = Estimate("wear_frac", "1", worn[0], worn[1], worn[0] - vib.quantile * worn[1],
                    worn[0] + vib.quantile * worn[1], True,
                    "wear at the end, given the kind's vibration per wear: only their product shows", None)  # fmt: skip
    if not np.isfinite(worn[1]):
        wear = _held("wear_frac", "1", None, "the load hardly changes, so load and wear shake alike")
    return [
        _judged(_Named("vibration.rated_mm_s", "mm/s", v.rated_mm_s), rated, vib.quantile, config,
                "the load hardly changes, so load and wear shake alike"),
        _judged(_Named("damage.wear_per_mm_s_h", "1/(mm/s h)", kind.damage.wear_per_mm_s_h),
                (rate[0] / mean, rate[1] / mean), vib.quantile, config,
                "vibration hardly grows over these readings"),
        wear,
        _held("vibration.wear_gain_mm_s", "mm/s", v.wear_gain_mm_s,
              "only its product with wear shows in vibration; the kind's value is kept"),
        _held("vibration.heat_gain_mm_s_per_k", "mm/s per K", v.heat_gain_mm_s_per_k,
              "shows only above the knee and together with load; the kind's value is kept"),
    ]  # fmt: skip


def _rms(residual: np.ndarray) -> float:
    return float(np.sqrt(np.mean(residual**2)))


class _Named(NamedTuple):
    name: str
    unit: str
    nominal: float | None


def _judged(item: _Named, found: tuple[float, float], quantile: float, config: CalibrateConfig, why: str) -> Estimate:
    """An estimate, or that there is none when its standard error is too large or the value makes no sense."""
    value, se = found
    if np.isfinite(se) and 0.0 < se <= config.most_se_frac * value:
        return Estimate(item.name, item.unit, value, se, value - quantile * se, value + quantile * se, True, "",
                        item.nominal)  # fmt: skip
    return _held(*item, f"{why}; the kind's value is kept")


def _held(name: str, unit: str, nominal: float | None, why: str) -> Estimate:
    return Estimate(name, unit, None, None, None, None, False, why, nominal)


def _noises(samples: Samples, kind: KindConfig) -> list[Estimate]:
    """Noise of the three sensors from second differences, which a steadily changing quantity leaves at 0.

    Two ways to the noise of the power meter must agree; when they do not, the load itself jumps from reading to
    reading, and neither its noise nor that of vibration can be told.
    """
    load_noise, load_se = samples.load_noise_frac, samples.load_noise_se
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(samples.is_on, samples.load / samples.level, np.nan)
    other, other_se = noise_of(relative, samples.piece)
    # The piece in which the typical reading lies: loads that cycle leave too few differences without a jump.
    typical = float(np.median(np.bincount(samples.piece)[samples.piece[samples.is_on]]))
    agrees = abs(other - load_noise) <= 0.01 * load_noise + 3.0 * np.hypot(load_se, other_se)
    is_steady = bool(agrees and typical >= _LEAST_PIECE)
    vib = noise_of(np.where(samples.is_on, samples.vib_mm_s, np.nan), samples.piece)
    sensors = kind.sensors
    rows = (
        (_Named("sensors.temperature_c.noise", "K", sensors.temperature_c.noise),
         noise_of(samples.temp_c, samples.piece), True),
        (_Named("sensors.vibration_mm_s.noise", "mm/s", sensors.vibration_mm_s.noise), vib, is_steady),
        (_Named("sensors.power_kw.noise_frac", "1", sensors.power_kw.noise_frac), (load_noise, load_se), is_steady),
    )  # fmt: skip
    z = float(stats.norm.ppf(0.975))
    out = []
    for item, (value, se), is_told in rows:
        if is_told and np.isfinite(se):
            out.append(Estimate(*item[:2], value, se, value - z * se, value + z * se, True, "", item.nominal))
        else:
            why = "the load jumps from reading to reading, or readings are too few to tell noise from change"
            out.append(_held(*item, f"{why}; the kind's value is kept"))
    return out


def noise_of(line: np.ndarray, piece: np.ndarray) -> tuple[float, float]:
    """Standard deviation of white noise on a slowly changing ``line`` (n,), and its standard error; NaN when unknown.

    Second differences within pieces have 6 times the variance of the noise; their own correlation (-2/3, 1/6) makes
    them worth n/1.944 independent ones. Those beyond 3.5 standard deviations are jumps or wild readings and left out,
    and what normal noise would lose by that is put back.
    """
    second = line[2:] - 2.0 * line[1:-1] + line[:-2]
    pick = np.isfinite(second) & (piece[2:] == piece[:-2])
    pick[1:-1] &= piece[4:] == piece[:-4]  # a jump may be found a reading early or late
    n = int(pick.sum())
    if n < _LEAST_FREE:
        return float("nan"), float("nan")
    squares = second[pick] ** 2 / 6.0
    variance = float(np.median(squares)) / 0.4549
    for _ in range(3):
        variance = float(np.mean(squares[squares <= _CUT**2 * variance])) / _KEPT
    value = float(np.sqrt(variance))
    return value, value * float(np.sqrt(1.944 / (2.0 * n)))


def calibrated_kind(kind: KindConfig, name: str, fit: Fit, source: str) -> KindConfig:
    """The kind ``name`` of this machine: what was identified replaces the kind's own, the rest stays."""
    raw = kind.model_dump()
    raw["kind"] = name
    raw["sources"] = [*raw["sources"], source]
    for item in fit.estimates:
        if item.is_identifiable and item.value is not None and "." in item.name:
            target = raw
            *path, last = item.name.split(".")
            for part in path:
                target = target[part]
            target[last] = float(f"{item.value:.6g}")
    return KindConfig.model_validate(raw)
