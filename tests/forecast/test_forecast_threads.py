"""A forecast has the same bits whatever number of threads the linear algebra is allowed."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from nexova_sim.forecast.forecast import _run
from nexova_sim.forecast.forecasters import Options
from nexova_sim.run.bench_forecast import fleet_panel


@pytest.mark.parametrize("name", ["prophet_map", "fourier_ridge", "hour_of_week"])
def test_threads_do_not_show(name):
    panel = fleet_panel(64)
    found = []
    for n in (1, 2):
        with threadpool_limits(n):
            found.append(_run(panel, name, Options())[0])
    for one, two in zip(*found, strict=True):
        assert np.array_equal(one, two)
