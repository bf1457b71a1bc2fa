"""The twin's share in remaining life: what a tracker of hidden states knows at the moments that are asked."""

from __future__ import annotations

from nexova_sim.config.rul import RulConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.prognose.prognosis import Study, Tracked

TRACKED_METHODS = ("seed_formula", "twin")
_HOUSE = ("power_kw", "temperature_c", "vibration_mm_s")


def why_not_tracked(dataset: Dataset) -> str:
    """Why the methods that need a tracked state are missing, in words."""
    return "needs the twin's estimate of wear, which this dataset's kinds and channels do not give"


def track_study(dataset: Dataset, study: Study, config: RulConfig) -> Tracked | None:
    """Wear and samples of remaining life at every cut, or None for machines the twin does not know."""
    return None
