"""HiGHS (Huangfu and Hall 2018) on a program of schedule.program: lower bounds that its duals prove, and plans."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nexova_sim.base.errors import ConfigError
from nexova_sim.schedule.program import Program, Z

_FEASIBLE = 2  # of HiGHS, for a primal solution


class Effort(NamedTuple):
    """When branch and bound stops: a relative gap, or a number of nodes; both are the same on every machine."""

    gap_frac: float = 5e-3
    nodes: int = 200


class Solution(NamedTuple):
    """A solution, None when none was found within the effort, and its cost in USD."""

    x: np.ndarray | None
    usd: float


def _open(program: Program, is_whole: np.ndarray | None = None) -> Any:  # noqa: ANN401
    try:
        import highspy
    except ImportError as error:
        raise ConfigError("mathematical programs need highspy, which is not installed: install 'nexova_sim[rl]'"
                          ) from error  # fmt: skip
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(program.cost), len(program.low)
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.least, program.most
    lp.row_lower_, lp.row_upper_ = program.low, program.high
    lp.offset_ = program.constant_usd
    matrix = lp.a_matrix_
    matrix.format_ = highspy.MatrixFormat.kRowwise
    matrix.num_col_, matrix.num_row_ = lp.num_col_, lp.num_row_
    matrix.start_, matrix.index_, matrix.value_ = program.rows.indptr, program.rows.indices, program.rows.data
    if is_whole is not None:
        kinds = np.full(lp.num_col_, highspy.HighsVarType.kContinuous)
        kinds[program.layout.block[Z][is_whole]] = highspy.HighsVarType.kInteger
        lp.integrality_ = list(kinds)
    solver = highspy.Highs.__mro__[1]()  # the wrapper around it writes a banner to stdout
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(lp)
    return solver


def proven_bound(program: Program, dual: np.ndarray) -> float:
    """A lower bound on the program's optimum from any row duals (r,), however inexact (Neumaier and Shcherbina 2004).

    cost x = dual A x + (cost - dual A) x, where A x and x lie between their limits; a dual of the wrong sign counts 0.
    """
    y = np.where((dual > 0.0) & np.isfinite(program.low) | (dual < 0.0) & np.isfinite(program.high), dual, 0.0)
    with np.errstate(invalid="ignore"):
        of_rows = np.where(y > 0.0, y * program.low, np.where(y < 0.0, y * program.high, 0.0))
    reduced = program.cost - program.rows.T @ y
    of_columns = np.minimum(reduced * program.least, reduced * program.most)
    size = float(np.abs(of_rows).sum() + np.abs(of_columns).sum())
    rounding = 4.0 * np.finfo(float).eps * size * np.sqrt(len(dual))
    return float(program.constant_usd + of_rows.sum() + of_columns.sum() - rounding)


def relaxed_bound(program: Program, method: str = "simplex") -> float:
    """Lower bound of a program in USD, with on/off anywhere between 0 and 1."""
    solver = _open(program)
    solver.setOptionValue("solver", method)
    if method == "ipm":
        solver.setOptionValue("run_crossover", "off")
    solver.run()
    return proven_bound(program, np.asarray(solver.getSolution().row_dual, float))


def solve(program: Program, is_whole: np.ndarray, effort: Effort, start: np.ndarray | None = None) -> Solution:
    """A plan in which the on/off variables marked in ``is_whole`` (m, h) are 0 or 1, begun from ``start`` if given."""
    solver = _open(program, is_whole)
    solver.setOptionValue("mip_rel_gap", effort.gap_frac)
    solver.setOptionValue("mip_max_nodes", effort.nodes)
    if start is not None:
        given = solver.getSolution()
        given.col_value = list(start)
        solver.setSolution(given)
    solver.run()
    info = solver.getInfo()
    if info.primal_solution_status != _FEASIBLE:
        return Solution(None, float("inf"))
    return Solution(np.asarray(solver.getSolution().col_value, float), float(info.objective_function_value))
