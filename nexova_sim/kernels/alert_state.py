"""Arrays of the rule engine: what their columns are. All float64: milliseconds since 1970 are exact in it.

``NONE`` stands where there is no time. Few arrays with many named columns, because every array costs at every call.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NONE = -1e18
ONLINE = 0
CRITICAL = 2
N_WEEK = 168

# Columns of AlertRules.table: a row per machine and rule; limits signed, times in ms; the policy's own in every row.
(CHANNEL, SIGNAL, SIGN, REPEATS, N_LEVELS, BASELINE, OFF_DELAY, FILTER, WINDOW, CLEAR, ONLINE_TOO, OFFLINE_TOO,
 MAINTENANCE_TOO, LIMIT) = range(14)  # fmt: skip
ON_DELAY, SEVERITY = LIMIT + 3, LIMIT + 6
(STARTUP, MAX_GAP, RESOLVE_AFTER, HOLDS, MUTES, GROUP, FLAP_RAISES, FLAP_WINDOW, FLAP_QUIET,
 BASELINE_KW, APPLIES, N_TABLE) = range(LIMIT + 9, LIMIT + 21)  # fmt: skip
VALUE, PERCENT, TREND = range(3)
NOMINAL, WEEK, WEEK_OR_NOMINAL = range(3)
# Columns of AlertRules.shelf: machine and rule (-1: all), from, until.
SHELF_MACHINE, SHELF_RULE, SHELF_FROM, SHELF_UNTIL = range(4)
# Columns of AlertState.rule. An alert's row begins like the state of its rule, so that it is copied as it is.
(ONSET, RAISED, ANNOUNCED, REANNOUNCED, ESCALATED, VALUE_RAISED, EXTREME, MUTED, FLAPPING, N_HELD, FIRST_LEVEL, LEVEL,
 ACTIVE, PENDING, CLEAR_SINCE, LAST, BEGIN, FILTERED, N_FILTERED, S0, S1, S2, SX, SXU, N_SEEN, RING_AT,
 GAIN_DT, GAIN, SINCE) = range(29)  # fmt: skip
RING = SINCE + 3
N_RULE_STATE = RING + 8
# Columns of the last row of a machine in AlertState.rule: its own state.
STATUS, RUNNING_SINCE, N_PENDING, N_CRITICAL, GROUP_UNTIL, GROUP_SEVERITY, HOUR = range(7)
HOUR_SUM, HOUR_COUNT = 7, 8
# Columns of an alert that ended: the first ten as in AlertState.rule.
OUT_SEVERITY, OUT_HIGHEST, OUT_MACHINE, OUT_RULE, OUT_RESOLVED, OUT_RESOLVED_BY, OUT_LIMIT, N_OUT = range(10, 18)
ANNOUNCED_AT_ONCE, GROUPED, INHIBITED, SHELVED = range(4)
STILL_OPEN, BY_CLEAR, BY_STATE, BY_SILENCE = range(4)


class AlertRules(NamedTuple):
    """A compiled policy for m machines and r rules: ``table`` (m, r, 34), ``shelf`` (shelves, 4)."""

    table: np.ndarray
    shelf: np.ndarray


class AlertState(NamedTuple):
    """What the engine remembers: ``rule`` (m, r + 1, 39), the last row of a machine for itself; ``week`` (m, 168, 2).

    ``week``: mean power (kW) of that hour (UTC) of the week and its number of weeks; no rows when no rule needs it.
    """

    rule: np.ndarray
    week: np.ndarray
