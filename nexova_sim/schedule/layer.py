"""A layer of a network as plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """An affine map: ``weight`` (out, in) and ``bias`` (out,)."""

    weight: np.ndarray
    bias: np.ndarray
