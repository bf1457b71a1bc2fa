"""Elementary functions from + - * / and bit patterns only, so that every processor gives the same bits.

The C library and NumPy choose an implementation by processor; these do not. Coefficients of the single-precision
polynomials were fitted for this project (minimax by Lawson's iteration); the double-precision ones are Taylor series.
"""

from __future__ import annotations

import math

import numpy as np

from nexova_sim.kernels._jit import kernel

_LN2_HI = 6.93147180369123816490e-01
_LN2_LO = 1.90821492927058770002e-10
_INV_LN2 = 1.0 / math.log(2.0)
_F = np.float32

# log1p(t) = t - t^2/2 + t^3 q(t) on [-1/3, 1/3]; largest error of the fit 1e-8.
_L0, _L1, _L2, _L3, _L4, _L5, _L6 = (
    _F(v) for v in (0.33333138, -0.25004983, 0.20015018, -0.16453917, 0.13931653, -0.15229572, 0.14338014)
)
_LN2_F = _F(math.log(2.0))
_HALF_F = _F(0.5)
_ONE_F = _F(1.0)


@kernel
def exp64(x: float) -> float:
    """e**x in double precision, relative error below 4e-16 for -700 <= x <= 700; clamped outside."""
    x = min(max(x, -700.0), 700.0)
    n = math.floor(x * _INV_LN2 + 0.5)
    r = (x - n * _LN2_HI) - n * _LN2_LO
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    p = p * r + 1.0
    p = p * r + 1.0
    return p * np.int64((np.int64(n) + np.int64(1023)) << np.int64(52)).view(np.float64)


@kernel
def log64(x: float) -> float:
    """Natural logarithm of x > 0 in double precision, relative error below 5e-16."""
    bits = np.float64(x).view(np.int64)
    # Mantissa in [sqrt(1/2), sqrt(2)): the exponent is taken relative to 0x3FE6A09E667F3BCD = sqrt(1/2).
    e = (bits - np.int64(0x3FE6A09E667F3BCD)) >> np.int64(52)
    m = np.int64(bits - (e << np.int64(52))).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = 1.0 / 23.0
    p = p * z + 1.0 / 21.0
    p = p * z + 1.0 / 19.0
    p = p * z + 1.0 / 17.0
    p = p * z + 1.0 / 15.0
    p = p * z + 1.0 / 13.0
    p = p * z + 1.0 / 11.0
    p = p * z + 1.0 / 9.0
    p = p * z + 1.0 / 7.0
    p = p * z + 1.0 / 5.0
    p = p * z + 1.0 / 3.0
    return e * _LN2_HI + (2.0 * s + (2.0 * s * z * p + e * _LN2_LO))


@kernel
def pow64(x: float, y: float) -> float:
    """x**y for x >= 0 (0**y is 0 for y > 0 and 1 for y = 0)."""
    if y == 0.0:
        return 1.0
    if x <= 0.0:
        return 0.0
    return exp64(y * log64(x))


@kernel
def cos_turn(turns: float) -> float:
    """cos(2 pi turns) in double precision, absolute error below 1e-15."""
    t = abs(turns - math.floor(turns + 0.5))
    # cos(2 pi t), t in [0, 1/2]: fold to [-1/4, 1/4] around the zero of the cosine and use the sine series.
    a = 2.0 * math.pi * (0.25 - t)
    z = a * a
    s = a
    term = a
    for k in range(1, 12):
        term = -term * z / ((2.0 * k) * (2.0 * k + 1.0))
        s += term
    return s


@kernel
def log32(x: np.float32) -> np.float32:
    """Natural logarithm of a positive normal float32, absolute error below 2e-7 (relative to max(1, |log x|))."""
    bits = np.float32(x).view(np.uint32)
    # Mantissa in [2/3, 4/3): the exponent is taken relative to 0x3F2AAAAB = 2/3.
    e = np.int32(np.uint32(bits - np.uint32(0x3F2AAAAB)).view(np.int32) >> np.int32(23))
    m = np.uint32(bits - np.uint32(np.uint32(e) << np.uint32(23))).view(np.float32)
    t = m - _ONE_F
    q = _L0 + t * (_L1 + t * (_L2 + t * (_L3 + t * (_L4 + t * (_L5 + t * _L6)))))
    return np.float32(e) * _LN2_F + (t + t * t * (t * q - _HALF_F))
