"""One future of a machine in plain Python, failure drawn or carried, for comparison with the kernel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

BEARING, THERMAL, RANDOM = 1, 2, 16


def future_cost(
    row: Mapping[str, float],
    state: Mapping[str, float],
    load: Sequence[float],
    action: Mapping[str, float],
    stakes: Mapping[str, float],
    drawn: float | None = None,
) -> tuple[float, float, float, float, float]:
    """Energy, action, failure, wear left, p(failure) over the hours of ``load``.

    ``drawn`` is the age-free uniform number that decides when chance fails the machine; None = carry the probability.
    """
    s = dict(state)
    ambient, price = stakes["ambient_c"], stakes["price"]
    energy = action_cost = failure = 0.0
    action_cost += action["price_usd"]
    alive, cum = 1.0, 0.0
    down = round(row["response_h"] + row["repair_h"])
    for h, planned in enumerate(load):
        if h < action["stop_h"] or planned <= 0.0:
            s["temp"] = ambient + (s["temp"] - ambient) * math.exp(-s["cooling"] / row["tau_h"])
            energy += alive * row["standby_kw"] * price
            if h < action["stop_h"] and planned > 0.0:
                action_cost += action["loss_frac"] * stakes["lost"]
            if h < action["stop_h"] <= h + 1:
                bits = int(action["restores"])
                if bits & BEARING:
                    s["wear"] = s["extra"] = s["shift"] = 0.0
                if bits & THERMAL:
                    s["fatigue"], s["cooling"] = 0.0, 1.0
                if bits & RANDOM:
                    s["age"] = 0.0
            continue
        x = planned * action["load_factor"]
        tau = row["tau_h"] / s["cooling"]
        limit = ambient + row["rise_k"] / s["cooling"] * x
        after = limit + (s["temp"] - limit) * math.exp(-1.0 / tau)
        mean = limit + (s["temp"] - after) * tau
        rate, gain = row["wear_per_mm_s_h"], row["vib_wear_gain"]
        drive = row["vib_rated_mm_s"] * x + s["shift"] + row["vib_heat_gain"] * max(0.0, mean - row["vib_knee_c"])
        drive += s["extra"] / rate
        growth = math.exp(rate * gain)
        s["wear"] = s["wear"] * growth + drive * (growth - 1.0) / gain
        s["fatigue"] += row["fatigue_per_k_h"] * max(0.0, mean - row["fatigue_knee_c"])
        s["fatigue"] += stakes["fatigue_per_lost_cooling_h"] * (1.0 - s["cooling"])
        s["temp"] = after
        shape, scale = row["weibull_shape"], row["weibull_scale_h"]
        hazard = ((s["age"] + 1.0) / scale) ** shape - (s["age"] / scale) ** shape
        s["age"] += 1.0
        worn = max(s["wear"], s["fatigue"]) >= 1.0
        energy += alive * x * row["rated_kw"] * price
        cum += hazard
        if drawn is None:
            chance = 1.0 if worn else 1.0 - math.exp(-hazard)
        else:
            chance = 1.0 if worn or cum > -math.log(drawn) else 0.0
        rest = load[h + 1 + down :]
        lost = sum(1 for y in load[h + 1 : h + 1 + down] if y > 0.0)
        hit = alive * chance
        failure += hit * (stakes["failure"] + stakes["lost"] * lost)
        energy += hit * action["load_factor"] * sum(rest) * row["rated_kw"] * price
        alive -= hit
        if alive <= 0.0:
            break
    return energy, action_cost, failure, stakes["wear"] * alive * min(1.0, s["wear"]), 1.0 - alive
