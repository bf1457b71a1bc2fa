"""The detectors by name: a read-only registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from nexova_sim.detect.detector import Detector
from nexova_sim.detect.distances import Mewma, PcaT2Q, RobustZ
from nexova_sim.detect.level_shift import LevelShift
from nexova_sim.detect.trees import HalfSpaceTrees, IsolationForestDetector
from nexova_sim.detect.twin_detector import ForecastResidual, TwinResidual

_ALL: tuple[Detector, ...] = (TwinResidual(), IsolationForestDetector(), RobustZ(), Mewma(), PcaT2Q(),
                              ForecastResidual(), HalfSpaceTrees(), LevelShift())  # fmt: skip
DETECTORS: Mapping[str, Detector] = MappingProxyType({detector.name: detector for detector in _ALL})
