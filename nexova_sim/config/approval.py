"""The policy of an approvals replay: reviewers with working hours, how long a review takes, what becomes of alerts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.load import apply_overrides, build, find_config, read_yaml
from nexova_sim.config.roles import Role, RoleTable, load_roles
from nexova_sim.config.strict import Frac, NonNegative, Positive, Strict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def _check_clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError('must be a time of day like "06:00", in quotes')
    return text


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is no time zone; use a name like Europe/Berlin or UTC") from error
    return name


Clock = Annotated[str, AfterValidator(_check_clock)]
Zone = Annotated[str, AfterValidator(_check_zone)]


class Hours(Strict):
    """Working hours: ``days`` on which a shift begins, from and to in local time; to before from ends the next day."""

    days: Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1)] = (
        "mon", "tue", "wed", "thu", "fri", "sat", "sun")  # fmt: skip
    begin: Annotated[Clock, Field(alias="from")] = "00:00"
    end: Annotated[Clock, Field(alias="to")] = "24:00"

    @model_validator(mode="after")
    def _some_time(self) -> Hours:
        if self.begin == self.end:
            raise ValueError("from and to are equal; for round the clock leave both out")
        return self


class Reviewer(Strict):
    """Someone who decides on requests of ``factory`` (None: wherever the role allows)."""

    email: Annotated[str, Field(min_length=3, max_length=200)]
    role: Role = "SUPERVISOR"
    factory: str | None = None
    zone: Zone = "UTC"
    hours: Hours = Hours()


class Review(Strict):
    """Working time a review takes: log-normal with this median and standard deviation of the logarithm."""

    median_min: Positive = 12.0
    sigma: Annotated[NonNegative, Field(le=5.0)] = 0.8


class FromAlerts(Strict):
    """How an alert run becomes requests: from which severity, in whose name, and how long the maintenance takes.

    ``withdraw``: a request still open when its alert resolves is taken back.
    """

    severity: Literal["INFO", "WARNING", "CRITICAL"] = "CRITICAL"
    submitter: Annotated[str, Field(min_length=3, max_length=200)] = "agent@plant.example"
    maintenance_h: Positive = 4.0
    withdraw: bool = True


class ApprovalPolicy(Strict):
    """A replay's policy. ``approve_frac`` of the reviews end in an approval, drawn with ``seed``.

    ``expires_after_h`` replaces the role table's; left out, the table's holds.
    """

    roles: str = "configs/roles/default.yaml"
    expires_after_h: Annotated[Positive, Field(le=87_600.0)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    reviewers: Annotated[tuple[Reviewer, ...], Field(max_length=1000)] = ()
    review: Review = Review()
    approve_frac: Frac = 0.92
    alerts: FromAlerts = FromAlerts()

    @model_validator(mode="after")
    def _names(self) -> ApprovalPolicy:
        emails = [r.email.lower() for r in self.reviewers]
        twice = sorted({e for e in emails if emails.count(e) > 1})
        if twice:
            raise ValueError(f"reviewers: {twice[0]!r} stands twice")
        return self


class ApprovalPart(Strict):
    """A policy with its role table read in."""

    policy: ApprovalPolicy
    table: RoleTable


class ApprovalStage(Strict):
    """The section ``approvals`` of an experiment: the policy file, and ``overrides`` of its keys (key.path=value)."""

    policy: str = "configs/approval/default.yaml"
    overrides: list[str] = []


class Row(NamedTuple):
    """A line of a script: when (ms since 1970, UTC), on what machine of which factory, what, by whom, in what role.

    ``until_ms``: the submitter takes a request back that is still open then.
    """

    time_ms: int
    machine_id: str
    factory_id: str
    action: str
    email: str
    role: Role
    is_agent: bool
    subject: str | None
    comment: str
    until_ms: int | None = None


def load_approval(name: str | Path = "configs/approval/default.yaml", settings: Sequence[str] = (),
                  base: Path | None = None) -> ApprovalPart:  # fmt: skip
    """A policy file with ``--set`` overrides and the role table it names; ConfigError naming the key when wrong."""
    path = find_config(os.fspath(name), base)
    policy = build(ApprovalPolicy, apply_overrides(read_yaml(path), settings), str(path))
    table = load_roles(find_config(policy.roles, path.parent))
    if policy.expires_after_h is not None:
        table = table.model_copy(update={"expires_after_h": policy.expires_after_h})
    return ApprovalPart(policy=policy, table=table)


def read_stage(section: Any, base: Path) -> ApprovalPart:  # noqa: ANN401
    """The policy that the section of an experiment names."""
    if not isinstance(section, ApprovalStage):
        raise ConfigError("approvals: expected a section with the key 'policy'")
    return load_approval(section.policy, section.overrides, base)
