"""The role table: who may do what, which changes of status need an approval, when an open request expires."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from nexova_sim.config.load import build, find_config, read_yaml
from nexova_sim.config.strict import Positive, Strict

Role = Literal["ADMIN", "SUPERVISOR", "OPERATOR", "VIEWER"]
Permission = Literal["submit", "approve", "reject", "withdraw", "withdraw_any", "expire", "set_online", "set_offline",
                     "set_maintenance", "add_machine", "add_user", "set_user", "set_roles"]  # fmt: skip
AgentPermission = Literal["submit", "withdraw", "set_offline"]

ROLES: tuple[Role, ...] = get_args(Role)
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)


class RoleRow(Strict):
    """What a role may do, in its own factory or in all of them."""

    scope: Literal["all", "factory"] = "factory"
    may: tuple[Permission, ...] = ()


class RoleTable(Strict):
    """The four roles, the most an agent may do, and the rules with numbers."""

    roles: dict[Role, RoleRow]
    agent: tuple[AgentPermission, ...] = ("submit", "set_offline")
    high_impact: tuple[Literal["ONLINE", "MAINTENANCE"], ...] = ()
    expires_after_h: Annotated[Positive, Field(le=87_600.0)] | None = None

    @model_validator(mode="after")
    def _complete(self) -> RoleTable:
        missing = [role for role in ROLES if role not in self.roles]
        if missing:
            raise ValueError(f"roles: {', '.join(missing)} missing; every role needs a row, 'may: []' allows nothing")
        if "set_roles" not in self.roles["ADMIN"].may or "set_user" not in self.roles["ADMIN"].may:
            raise ValueError("roles.ADMIN.may: needs set_roles and set_user, or nobody could mend this table")
        return self


def load_roles(name: str | Path = "configs/roles/default.yaml") -> RoleTable:
    """The role table in the file ``name``; ConfigError naming the key when it is not one."""
    path = find_config(os.fspath(name))
    return build(RoleTable, read_yaml(path), str(path))
