"""The nominal parameters of a machine kind by the names of the kernels: what is known of a machine from its plate."""

from __future__ import annotations

from nexova_sim.config.kinds import Damage, KindConfig, Vibration
from nexova_sim.kernels.wear import NO_LIMIT_H

SEED_RISE_K_PER_KW = 2.5  # 0.05 K/s per kW over 0.02 /s
SEED_TAU_H = 50.0 / 3600.0  # 1 / (0.02 /s)
SEED_KW_PER_MM_S = 10.0


def nominal_parameters(kind: KindConfig, physics: str = "plant") -> dict[str, float]:
    """Parameters of a machine just as its kind says, keyed like the fields of ``kernels.rows.MachineParams``.

    ``physics`` "seed" takes the platform's constants instead of the kind's own (MODEL 1).
    """
    is_seed = physics == "seed"
    loss = kind.thermal.heating == "loss" and not is_seed
    # The platform's constants are the defaults of these two types; a kind's own numbers must not leak into them.
    d = Damage() if is_seed else kind.damage
    v = Vibration(rated_mm_s=kind.rated_kw / SEED_KW_PER_MM_S) if is_seed else kind.vibration
    ageing_h = d.montsinger_life_h
    return {
        "rated_kw": kind.rated_kw,
        "standby_kw": kind.rated_kw * kind.standby_frac,
        "rise_k": SEED_RISE_K_PER_KW * kind.rated_kw if is_seed else kind.thermal.rise_at_rated_k,
        "tau_h": SEED_TAU_H if is_seed else kind.thermal.time_constant_min / 60.0,
        "heat_fixed": kind.thermal.fixed_loss_frac if loss else 0.0,
        "heat_linear": 0.0 if loss else 1.0,
        "heat_square": 1.0 - kind.thermal.fixed_loss_frac if loss else 0.0,
        "vib_rated_mm_s": v.rated_mm_s,
        "vib_heat_gain": v.heat_gain_mm_s_per_k,
        "vib_knee_c": v.heat_knee_c,
        "vib_wear_gain": v.wear_gain_mm_s,
        "fatigue_per_k_h": d.fatigue_per_k_h if ageing_h is None else 0.0,
        "fatigue_knee_c": d.fatigue_knee_c,
        "montsinger_per_h": 0.0 if ageing_h is None else 1.0 / ageing_h,
        "montsinger_ref_c": d.montsinger_reference_c,
        "montsinger_halving_k": d.montsinger_halving_k,
        "wear_per_mm_s_h": d.wear_per_mm_s_h,
        "bearing_exponent": d.bearing_exponent,
        "bearing_ref_frac": d.bearing_reference_frac,
        "wear_noise_per_sqrt_h": d.wear_noise_per_sqrt_h,
        "electrical_per_h": d.electrical_per_h,
        "life_h": d.rated_life_h,
        "weibull_shape": kind.hazard.weibull_shape,
        "weibull_scale_h": NO_LIMIT_H if is_seed else (kind.hazard.weibull_scale_h or NO_LIMIT_H),
        "response_h": kind.service.response_h,
        "repair_h": kind.costs.failure_h,
    }
