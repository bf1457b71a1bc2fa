"""How a machine's parameters are fitted to its readings; what ``nexova twin calibrate`` reads."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from nexova_sim.config.strict import Positive, Strict


class CalibrateConfig(Strict):
    """Weighted least squares with standard errors that allow for errors that last.

    Readings of ``block_h`` hours may err together; blocks further than ``outlier_sigmas`` from the fit are left out and
    counted. A step of the load is taken for a jump when the means of ``jump_width`` readings before and after differ
    by ``jump_sigmas``. A parameter whose standard error is above ``most_se_frac`` of its value, and the time constant
    when readings are further apart than ``most_step_min``, are said to be not identifiable, and the kind's are kept.
    """

    kind_folder: str = "configs/kind"
    block_h: Positive = 6.0
    least_hours: Annotated[float, Field(ge=2.0)] = 24.0
    least_readings: Annotated[int, Field(ge=50)] = 100
    jump_width: Annotated[int, Field(ge=2, le=60)] = 4
    jump_sigmas: Positive = 5.0
    outlier_sigmas: Positive = 6.0
    most_se_frac: Positive = 0.25
    most_step_min: Positive = 15.0
