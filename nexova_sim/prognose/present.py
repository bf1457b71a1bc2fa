"""What a cloud of particles says of a machine today: health with its interval, risk class, what limits its life."""

from __future__ import annotations

from typing import Any

import numpy as np

from nexova_sim.config.kinds import KindConfig
from nexova_sim.kernels.health import health_of, risk_class
from nexova_sim.kernels.particles import Q_ELECTRICAL, Q_FATIGUE, Q_RUNTIME, Q_WEAR
from nexova_sim.schema.channels import FAILURE_EVENTS, RISK_CLASSES

_LEVELS = (0.05, 0.95)


def present(cloud: np.ndarray, kind: KindConfig) -> dict[str, Any]:
    """Health percent (mean, 5 %, 95 %), risk class of the mean, and the furthest damage of a cloud (n, N_PARTICLE).

    ``limited_by`` is the damage, or the life by hour meter, that has come furthest on its way to 1 on average.
    """
    columns = [np.ascontiguousarray(cloud[:, q]) for q in (Q_FATIGUE, Q_WEAR, Q_ELECTRICAL, Q_RUNTIME)]
    life_h = np.full(len(cloud), kind.damage.rated_life_h)
    health = np.empty(len(cloud))
    health_of(*columns, life_h, health)
    fatigue, wear, electrical, runtime = (float(c.mean()) for c in columns)
    spent = (wear, fatigue, electrical, runtime / kind.damage.rated_life_h)
    low, high = np.quantile(health, _LEVELS).tolist()
    return {
        "health_mean": round(float(health.mean()), 3),
        "health_p05": round(low, 3),
        "health_p95": round(high, 3),
        "risk_class": RISK_CLASSES[risk_class(float(health.mean()))],
        "limited_by": FAILURE_EVENTS[int(np.argmax(spent))],
    }
