"""The registry through the command line: the story, the refusals and their codes, tokens, hostile names."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import jwt
import pytest

from nexova_sim.base.errors import EXIT_CHECK_FAILED, EXIT_DATA, EXIT_OK, EXIT_USAGE
from nexova_sim.cli.app import run

SECRET = "0123456789abcdef0123456789abcdef"
ADA, SUE, OLI, VIC = (f"{name}@plant.example" for name in ("ada", "sue", "oli", "vic"))


@pytest.fixture(autouse=True)
def registry(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("NEXOVA_JWT_SECRET", "NEXOVA_TOKEN", "NEXOVA_STORE", "NEXOVA_AUDIT_ANCHOR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "results" / "registry.db"


def call(capsys, *words: str) -> tuple[int, dict]:
    """Exit code and envelope of a command with --json."""
    code = run([*words, "--json"])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert SECRET not in told.out + told.err
    return code, json.loads(told.out)


def ok(capsys, *words: str) -> dict:
    code, envelope = call(capsys, *words)
    assert code == EXIT_OK, envelope
    return envelope["data"]


def contents() -> dict[str, list]:
    """Every row of every table, read past the house."""
    with closing(sqlite3.connect("results/registry.db")) as c:
        names = [row[0] for row in c.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: c.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def denied(capsys, *words: str) -> str:
    """The code of a denied attempt, which must leave one audit entry and change nothing else."""
    before = contents()
    code, envelope = call(capsys, *words)
    assert code == EXIT_CHECK_FAILED, envelope
    after = contents()
    assert after.pop("audit_log")[:-1] == before.pop("audit_log")
    assert after.pop("audit_anchor")[0][1] == before.pop("audit_anchor")[0][1] + 1
    assert after == before
    assert len(after) >= 7
    return envelope["error"]["code"]


@pytest.fixture
def plant(capsys):
    ok(capsys, "users", "add", ADA, "--role", "ADMIN")
    for who, role in ((SUE, "SUPERVISOR"), (OLI, "operator"), (VIC, "VIEWER")):
        ok(capsys, "users", "add", who, "--role", role, "--factory", "lyon", "--as", ADA)
    ok(capsys, "machines", "add", "press-1", "--kind", "motor", "--factory", "lyon", "--as", OLI)


def test_a_machine_goes_online_when_another_approves(plant, capsys):
    assert ok(capsys, "approvals", "submit", "press-1", "--as", OLI)["state_to"] == "PENDING"
    assert denied(capsys, "approvals", "submit", "press-1", "--as", SUE) == "CONFLICT"
    assert denied(capsys, "approvals", "approve", "press-1", "--as", OLI) == "FORBIDDEN"
    assert denied(capsys, "approvals", "approve", "press-1", "--as", "nobody@plant.example") == "UNAUTHORIZED"
    assert denied(capsys, "approvals", "approve", "press-1") == "UNAUTHORIZED"
    assert denied(capsys, "machines", "set", "press-1", "ONLINE", "--as", OLI) == "NOT_APPROVED"
    assert denied(capsys, "approvals", "reject", "press-1", "--as", SUE) == "COMMENT_NEEDED"
    assert denied(capsys, "approvals", "approve", "press-9", "--as", SUE) == "NOT_FOUND"
    ok(capsys, "approvals", "reject", "press-1", "--as", SUE, "--comment", "no guard")
    ok(capsys, "approvals", "submit", "press-1", "--as", OLI)
    assert denied(capsys, "approvals", "approve", "press-1", "--revision", "1", "--as", SUE) == "STALE"
    ok(capsys, "approvals", "withdraw", "press-1", "--as", OLI)
    ok(capsys, "approvals", "submit", "press-1", "--as", SUE)
    assert denied(capsys, "approvals", "approve", "press-1", "--as", SUE) == "FORBIDDEN"
    done = ok(capsys, "approvals", "approve", "press-1", "--revision", "3", "--as", ADA)
    assert (done["state_to"], done["status_to"]) == ("APPROVED", "ONLINE")
    shown = ok(capsys, "approvals", "show", "press-1")
    assert shown["machine"]["status"] == "ONLINE"
    assert [r["status"] for r in shown["approvals"]] == ["REJECTED", "WITHDRAWN", "APPROVED"]
    assert len(ok(capsys, "approvals", "list", "--state", "rejected")["approvals"]) == 1
    assert ok(capsys, "approvals", "expire", "--as", SUE) == {"expired": []}
    assert denied(capsys, "machines", "set", "press-1", "MAINTENANCE", "--as", SUE) == "APPROVAL_NEEDED"
    ok(capsys, "machines", "set", "press-1", "OFFLINE", "--as", OLI)
    assert ok(capsys, "audit", "verify")["findings"] == []


def test_users_and_roles(plant, capsys, root):
    assert denied(capsys, "users", "add", "x@plant.example", "--role", "VIEWER", "--as", SUE) == "FORBIDDEN"
    assert denied(capsys, "users", "add", OLI, "--role", "VIEWER", "--as", ADA) == "CONFLICT"
    assert denied(capsys, "users", "set", ADA, "--role", "VIEWER", "--as", ADA) == "CONFLICT"
    assert denied(capsys, "users", "set", "x@plant.example", "--role", "VIEWER", "--as", ADA) == "NOT_FOUND"
    assert denied(capsys, "users", "roles", "configs/roles/default.yaml", "--as", SUE) == "FORBIDDEN"
    assert denied(capsys, "machines", "add", "m", "--kind", "PUMP", "--factory", "pune", "--as", OLI) == "FORBIDDEN"
    assert denied(capsys, "machines", "add", "press-1", "--kind", "P", "--factory", "lyon", "--as", OLI) == "CONFLICT"
    ok(capsys, "users", "set", OLI, "--role", "VIEWER", "--as", ADA)
    assert denied(capsys, "approvals", "submit", "press-1", "--as", OLI) == "FORBIDDEN"
    text = (root / "configs/roles/default.yaml").read_text(encoding="utf-8").replace("may: []", "may: [submit]")
    Path("roles.yaml").write_text(text, encoding="utf-8")
    ok(capsys, "users", "roles", "roles.yaml", "--as", ADA)
    ok(capsys, "approvals", "submit", "press-1", "--as", OLI)
    assert ok(capsys, "audit", "verify")["findings"] == []


@pytest.mark.parametrize(("words", "code"), [
    (["approvals", "list"], EXIT_DATA),
    (["audit", "verify", "--store", "nowhere/x.db"], EXIT_DATA),
    (["users", "add", "ada", "--role", "ADMIN"], EXIT_USAGE),
    (["users", "add", ADA, "--role", "KING"], EXIT_USAGE),
    (["users", "add", ADA, "--role", "VIEWER"], EXIT_USAGE),
    (["users", "list", "--store", "mysql://x/y"], EXIT_USAGE),
    (["users", "list", "--store", "."], EXIT_USAGE),
    (["users", "add", ADA, "--role", "ADMIN", "--roles", "nope.yaml"], EXIT_USAGE),
    (["machines", "add", "m1"], EXIT_USAGE),
    (["auth", "token", ADA], EXIT_USAGE),
    (["approvals", "submit", "", "--as", ADA], EXIT_USAGE),
    (["approvals", "submit", "m", "--as", "not an address"], EXIT_USAGE),
    (["audit", "export", "--format", "xlsx"], EXIT_USAGE),
    (["audit", "verify", "--anchor", "7:x"], EXIT_DATA),
])  # fmt: skip
def test_mistakes_have_their_exit_code(capsys, words, code):
    assert call(capsys, *words)[0] == code


def test_a_file_that_is_no_registry(capsys, tmp_path):
    (tmp_path / "x.db").write_text("no database at all, but long enough to look at" * 30)
    assert call(capsys, "users", "list", "--store", "x.db")[0] == EXIT_DATA
    (tmp_path / "empty.db").write_text("")
    assert call(capsys, "users", "list", "--store", "empty.db")[0] == EXIT_DATA


def token_for(capsys, monkeypatch, who: str) -> str:
    monkeypatch.setenv("NEXOVA_JWT_SECRET", SECRET)
    return ok(capsys, "auth", "token", who)["token"]


def test_with_a_secret_every_changing_verb_needs_a_token(plant, capsys, monkeypatch):
    token = token_for(capsys, monkeypatch, OLI)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert set(claims) == {"sub", "email", "role", "factory", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 900
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    for words in (
        ["approvals", "submit", "press-1"], ["approvals", "approve", "press-1"], ["approvals", "reject", "press-1"],
        ["approvals", "withdraw", "press-1"], ["machines", "add", "m", "--kind", "PUMP", "--factory", "lyon"],
        ["machines", "set", "press-1", "OFFLINE"], ["users", "add", "x@y", "--role", "VIEWER"],
        ["users", "set", OLI, "--role", "ADMIN"], ["users", "roles", "configs/roles/default.yaml"],
    ):  # fmt: skip
        assert denied(capsys, *words, "--as", ADA) == "UNAUTHORIZED", words
    body = token.split(".")[1]
    bad = {
        "expired": jwt.encode({**claims, "iat": claims["iat"] - 2000, "exp": claims["exp"] - 2000}, SECRET),
        "long": jwt.encode({**claims, "exp": claims["exp"] + 900}, SECRET),
        "none": jwt.encode(claims, None, algorithm="none"),
        "stripped": jwt.encode({}, None, algorithm="none").split(".")[0] + f".{body}.",
        "other algorithm": jwt.encode(claims, SECRET * 2, algorithm="HS512"),
        "other secret": jwt.encode(claims, SECRET[::-1]),
        "tampered": ".".join((token.split(".")[0], jwt.encode({**claims, "role": "ADMIN"}, "x" * 32).split(".")[1],
                              token.split(".")[2])),
        "no sub": jwt.encode({k: v for k, v in claims.items() if k != "sub"}, SECRET),
        "types": jwt.encode({**claims, "factory": 7}, SECRET),
        "future": jwt.encode({**claims, "iat": claims["iat"] + 500, "exp": claims["exp"] + 500}, SECRET),
        "garbage": "a.b.c", "letters": "\u00e9" * 10, "huge": "a" * 10_000,
    }  # fmt: skip
    for name, value in bad.items():
        monkeypatch.setenv("NEXOVA_TOKEN", value)
        assert denied(capsys, "approvals", "submit", "press-1") == "UNAUTHORIZED", name
    monkeypatch.setenv("NEXOVA_TOKEN", token)
    assert denied(capsys, "approvals", "approve", "press-1") == "FORBIDDEN"
    assert denied(capsys, "approvals", "submit", "press-1", "--as", ADA) == "FORBIDDEN"
    ok(capsys, "approvals", "submit", "press-1")


def test_the_current_role_counts_not_the_claim(plant, capsys, monkeypatch):
    ok(capsys, "approvals", "submit", "press-1", "--as", OLI)
    sue = token_for(capsys, monkeypatch, SUE)
    monkeypatch.delenv("NEXOVA_JWT_SECRET")
    ok(capsys, "users", "set", SUE, "--role", "OPERATOR", "--as", ADA)
    monkeypatch.setenv("NEXOVA_JWT_SECRET", SECRET)
    monkeypatch.setenv("NEXOVA_TOKEN", sue)
    assert denied(capsys, "approvals", "approve", "press-1") == "FORBIDDEN"


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_short_secret_is_a_mistake_of_configuration(plant, capsys, monkeypatch, secret):
    monkeypatch.setenv("NEXOVA_JWT_SECRET", secret)
    for words in (["approvals", "submit", "press-1", "--as", OLI], ["auth", "token", OLI]):
        code, envelope = call(capsys, *words)
        assert code == EXIT_USAGE and "32" in envelope["error"]["message"]
        assert not secret or secret not in envelope["error"]["message"]


def test_no_secret_or_token_is_kept(plant, capsys, monkeypatch, registry):
    token = token_for(capsys, monkeypatch, OLI)
    monkeypatch.setenv("NEXOVA_TOKEN", token)
    ok(capsys, "approvals", "submit", "press-1")
    monkeypatch.setenv("NEXOVA_TOKEN", token[:-4] + "AAAA")
    denied(capsys, "approvals", "withdraw", "press-1")
    kept = b"".join(p.read_bytes() for p in registry.parent.iterdir())
    for part in (SECRET, *token.split(".")[1:]):
        assert part.encode() not in kept


def test_hostile_names_are_shown_not_obeyed(plant, capsys):
    name = "\x1b[31m=cmd()\u202e<script>\r"
    ok(capsys, "machines", "add", name, "--kind", "=1+1", "--factory", "lyon", "--as", OLI)
    ok(capsys, "approvals", "submit", name, "--comment", "@SUM(A1)\x07", "--as", OLI)
    for words in (["machines", "list"], ["approvals", "list"], ["approvals", "show", name], ["audit", "export"]):
        assert run(words) == EXIT_OK
        shown = capsys.readouterr().out
        assert not set(shown) & {"\x1b", "\x07", "\u202e", "\r"}
    import csv

    rows = list(csv.reader(shown.splitlines()))
    assert len(rows) == ok(capsys, "audit", "head")["count"] + 1
    assert all(cell[:1] not in set("=+-@\t\r") for row in rows for cell in row)
    assert ok(capsys, "audit", "verify")["findings"] == []


def test_export_and_anchor(plant, capsys, tmp_path, registry):
    anchor = ok(capsys, "audit", "head")["anchor"]
    assert ok(capsys, "audit", "verify", "--anchor", anchor)["covered"] == 5
    assert ok(capsys, "audit", "export", "--to", "log.ndjson")["rows"] == 5
    assert call(capsys, "audit", "export", "--to", "log.ndjson")[0] == EXIT_USAGE
    lines = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5] and lines[-1]["digest"] == anchor.split(":")[1]
    ok(capsys, "approvals", "submit", "press-1", "--as", OLI)
    assert ok(capsys, "audit", "verify", "--anchor", anchor)["findings"] == []
    (registry.with_name("registry.db.anchor")).unlink()
    code, envelope = call(capsys, "audit", "verify")
    assert code == EXIT_CHECK_FAILED and "gone" in envelope["error"]["message"]
    assert registry.exists()


def test_machines_of_a_dataset(plant, capsys, tiny_dataset):
    assert ok(capsys, "machines", "add", "--from", str(tiny_dataset), "--as", ADA) == {"added": 8, "known": 0}
    assert ok(capsys, "machines", "add", "--from", str(tiny_dataset), "--as", ADA) == {"added": 0, "known": 8}
    assert len(ok(capsys, "machines", "list", "--status", "offline")["machines"]) == 9
