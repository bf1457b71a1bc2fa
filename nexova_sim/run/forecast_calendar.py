"""What is planned in a dataset that was simulated: the holidays of its factories."""

from __future__ import annotations

from datetime import date

from nexova_sim.base.errors import NexovaError
from nexova_sim.config.forecast import ForecastConfig
from nexova_sim.dataset.read import Dataset
from nexova_sim.forecast.hours import Series, read_series
from nexova_sim.run.opportunities_verify import load_resolved


def planned_holidays(dataset: Dataset) -> dict[str, tuple[date, ...]]:
    """Holidays by factory from the configuration a simulated dataset was made from; none for any other dataset."""
    if dataset.manifest.source != "simulate":
        return {}
    try:
        resolved = load_resolved(dataset)
    except NexovaError:
        return {}
    return {site.id: tuple(site.calendar.holidays) for site in resolved.fleet.factories if site.calendar.holidays}


def planned_series(dataset: Dataset, config: ForecastConfig) -> Series:
    """The series of a dataset with the calendar that is known of it. Raises as ``read_series``."""
    return read_series(dataset, config, planned_holidays(dataset) if config.calendar.from_dataset else None)
