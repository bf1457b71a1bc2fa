"""The verbs of the registry as functions."""

from __future__ import annotations

import io

import pytest

from nexova_sim.base.errors import ConfigError, DeniedError
from nexova_sim.run import approvals, audit, auth, registry
from nexova_sim.run.registry import Access

ADA, OLI = "ada@plant.example", "oli@plant.example"


@pytest.fixture
def access(tmp_path, monkeypatch):
    for name in ("NEXOVA_JWT_SECRET", "NEXOVA_TOKEN", "NEXOVA_STORE", "NEXOVA_AUDIT_ANCHOR"):
        monkeypatch.delenv(name, raising=False)
    made = Access(str(tmp_path / "r.db"), ADA)
    registry.add_user(made, ADA, "ADMIN")
    registry.add_user(made, OLI, "OPERATOR", "lyon")
    registry.add_machine(made, "m1", "pump", "lyon")
    return made


def test_the_verbs_are_functions(access, tmp_path, tiny_dataset, root, monkeypatch):
    oli = access._replace(email=OLI)
    assert registry.identity(oli).email == OLI and registry.now_ms() > 1_700_000_000_000
    assert registry.check_role("viewer") == "VIEWER"
    assert approvals.attempt(oli, "submit", "m1")["revision"] == 1
    assert approvals.attempt(access, "approve", "m1")["status_to"] == "ONLINE"
    assert approvals.set_status(oli, "m1", "offline")["status_to"] == "OFFLINE"
    with pytest.raises(ConfigError, match="no such status"):
        approvals.set_status(oli, "m1", "asleep")
    with pytest.raises(ConfigError, match="no such state"):
        approvals.approvals(access, ["open"])
    assert len(approvals.approvals(access, ["approved"], "m1").rows) == 1
    assert approvals.expire(access) == []
    assert registry.show_machine(access, "m1")["machine"]["kind"] == "PUMP"
    with pytest.raises(DeniedError, match="did you mean 'm1'"):
        registry.show_machine(access, "m")
    assert registry.add_machines_of(access, tiny_dataset) == {"added": 8, "known": 0}
    assert registry.set_user(access, OLI, "viewer")["role_from"] == "OPERATOR"
    assert registry.set_roles(access, str(root / "configs/roles/default.yaml"))["audit_entry"] == 16
    assert [u["role"] for u in registry.users(access).rows] == ["ADMIN", "VIEWER"]
    assert len(registry.machines(access, "offline").rows) == 9
    with pytest.raises(ConfigError, match="not set"):
        auth.token(access, OLI)
    monkeypatch.setenv("NEXOVA_JWT_SECRET", "x" * 32)
    grant = auth.token(access, OLI)
    assert grant.expires_s - grant.issued_s == 900 and grant.factory == "lyon"


def test_the_record_as_functions(access, tmp_path):
    assert audit.audit_verify(access).findings == ()
    head = audit.audit_head(access)
    assert audit.audit_verify(access, head).covered == 3
    (tmp_path / "kept").write_text(head)
    assert audit.audit_verify(access, str(tmp_path / "kept")).findings == ()
    assert audit.audit_verify(access, f"3:{'0' * 64}").findings
    sink = io.StringIO()
    assert audit.audit_export(access, sink, "csv") == 3 and len(sink.getvalue().splitlines()) == 4
    assert audit.save_export(access, tmp_path / "a" / "log.csv", "csv") == 3
    assert (tmp_path / "a" / "log.csv").read_text() == sink.getvalue()
    assert audit.audit_format(tmp_path / "x.ndjson", None) == "ndjson" and audit.audit_format(None, None) == "csv"
    assert audit.csv_line(["a,b", 1, '"']) == '"a,b",1,""""\n'
    with registry.opened(access) as store:
        assert store.name == access.store
