"""The four tolerances of the tests, as keyword arguments of np.testing.assert_allclose and math.isclose users."""

from __future__ import annotations

# The same operations in the same order.
EXACT = {"rtol": 0.0, "atol": 0.0}
# The same mathematics in another order of operations, or with another correctly working exp and log.
REORDER = {"rtol": 1e-9, "atol": 1e-12}
# Another numerical method for the same equation, or another step size.
PHYSICS = {"rtol": 1e-6, "atol": 1e-8}
# Standard errors within which an average over random numbers must lie (two-sided 7e-6 per check).
STAT = 4.5
