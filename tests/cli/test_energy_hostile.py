"""``nexova energy`` on input it cannot use: refused by name with exit code 2 or 3; unusual but sound input runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nexova_sim.cli.app import run

WORKSHOP = "configs/energy/workshop.yaml"
ONE = "machines:\n  - {id: pump-1, kind: pump, rated_kw: 55.0}\n"
SMALL = ("--set", "iterations=2", "--set", "population=4", "--set", "n_days=4", "--set", "seeds=[0]")
PLAIN = ("--set", "controllers=[bau,tou]", "--set", "baseline=bau", "--set", "also_against=[]", "--set", "shifted=[]",
         "--set", "models={}")  # fmt: skip


def call(capsys, *arguments):
    code = run(["energy", *map(str, arguments)])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def study(folder, change):
    """A study of 8 validation days on the workshop with its site text changed."""
    text = change(Path(WORKSHOP).read_text(encoding="utf-8"))
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    path = folder / "study.yaml"
    path.write_text("name: s\nsite: site.yaml\nn_validation: 8\nn_test: 8\n", encoding="utf-8")
    return path


def head(text):
    return text.partition("machines:")[0]


def tail(text):
    return "tariff:" + text.partition("\ntariff:")[2]


def one_machine(text):
    return head(text) + ONE + tail(text)


SITES = {
    "infeasible quota": (lambda t: t.replace("quota_frac: [0.4, 0.8]", "quota_frac: [0.4, 1.5]"), "infeasible quota"),
    "no machines": (lambda t: head(t) + "machines: []\n" + tail(t), "no machines"),
    "unknown kind": (lambda t: t.replace("kind: conveyor", "kind: robot"), "robot"),
    "price that is no number": (lambda t: t.replace("price_usd_per_kwh: 0.12", "price_usd_per_kwh: .nan"), "price"),
    "endless demand charge": (lambda t: t.replace("demand_usd_per_kw: 0.60", "demand_usd_per_kw: .inf"), "demand"),
    "negative rating": (lambda t: t.replace("rated_kw: 55.0", "rated_kw: -55.0"), "rated_kw"),
}


@pytest.mark.parametrize("name", SITES)
@pytest.mark.parametrize("verb", ["tune", "evaluate", "train"])
def test_a_site_that_cannot_be_is_refused(capsys, tmp_path, verb, name):
    change, words = SITES[name]
    path = study(tmp_path, change)
    config = {"tune": ("--config", "configs/energy/tune_rule.yaml")}.get(verb, ())
    code, _, errors = call(capsys, verb, *config, "--set", f"study={path}", "--out", tmp_path / "x")
    assert code == 2, errors
    assert words in errors
    assert not (tmp_path / "x").exists()


def test_negative_prices_and_one_machine_are_sound(capsys, tmp_path):
    def change(text):
        return one_machine(text).replace("peak_factor: 1.5", "peak_factor: -2.0", 1)

    path = study(tmp_path, change)
    code, text, errors = call(capsys, "evaluate", *PLAIN, "--set", f"study={path}", "--set", "yardsticks.n_days=1",
                              "--set", "yardsticks.nodes=2", "--out", tmp_path / "e", "--json")  # fmt: skip
    assert code == 0, errors
    data = json.loads(text)["data"]
    assert data["yardsticks"]["below_bound"] == 0
    assert {row["controller"] for row in data["yardsticks"]["programs"]} == {"mpc", "perfect"}


def test_one_machine_can_be_tuned_and_its_model_is_no_other_fleets(capsys, tmp_path):
    def only_pumps(text):
        kinds = text.partition("  motor:")[0]
        return kinds + ONE + tail(text)

    path = study(tmp_path, only_pumps)
    code, _, errors = call(capsys, "tune", "--config", "configs/energy/tune_bids.yaml", *SMALL, "--set",
                           f"study={path}", "--out", tmp_path / "b")  # fmt: skip
    assert code == 0, errors
    models = json.dumps({"bids": [str(tmp_path / "b" / "model-0.json")]})
    flags = ("--set", f"models={models}", "--set", "controllers=[bau,bids]", "--set", "baseline=bau",
             "--set", "also_against=[]", "--set", "shifted=[]", "--out", tmp_path / "e")  # fmt: skip
    code, _, errors = call(capsys, "evaluate", *flags)
    assert code == 3
    assert "was made for a fleet of the kinds pump" in errors
    assert call(capsys, "evaluate", *flags, "--set", f"study={path}")[0] == 0
    code, _, errors = call(capsys, "train", "--set", f"start=[{tmp_path}/b/model-0.json]", "--set", "seeds=[0]",
                           "--out", tmp_path / "t")  # fmt: skip
    assert code == 3, errors


def spoil(kind, path):
    text = path.read_text(encoding="utf-8")
    if kind == "cut short":
        path.write_text(text[: len(text) // 2], encoding="utf-8")
    elif kind == "a number changed":
        path.write_text(text.replace('"version": 1', '"version": 2'), encoding="utf-8")
    elif kind == "bytes":
        path.write_bytes(bytes(range(256)))
    elif kind == "empty":
        path.write_text("", encoding="utf-8")
    elif kind == "deep":
        path.write_text("[" * 100_000, encoding="utf-8")
    else:
        path.unlink()


@pytest.mark.parametrize(("kind", "code"), [
    ("cut short", 3), ("a number changed", 3), ("bytes", 3), ("empty", 3), ("deep", 3), ("missing", 2),
])  # fmt: skip
def test_a_model_that_is_damaged_or_missing_is_refused(capsys, tmp_path, kind, code):
    path = tmp_path / "model.json"
    shutil.copy("configs/energy/models/bids-0.json", path)
    spoil(kind, path)
    models = json.dumps({"bids": [str(path)]})
    flags = ("--set", f"models={models}", "--set", "controllers=[bau,bids]", "--set", "baseline=bau",
             "--set", "also_against=[]")  # fmt: skip
    got, _, errors = call(capsys, "evaluate", *flags, "--out", tmp_path / "x")
    assert got == code, errors
    assert "model.json" in errors
    got, _, errors = call(capsys, "train", "--set", f"start=[{path}]", "--set", "seeds=[0]", "--out", tmp_path / "y")
    assert got == code, errors


@pytest.mark.parametrize("flags", [
    ("--set", "yardsticks.n_days=-1"), ("--set", "yardsticks.nodes=0"), ("--set", "yardsticks.limit_s=1"),
    ("--set", "yardsticks.lookahead={n_futures: 3}"), ("--set", "yardsticks.lookahead={n_days: 1}"),
    ("--set", "n_resamples=1"), ("--set", "shifted=[{name: a, overrides: [tariff.nothing=1]}]"),
])  # fmt: skip
def test_settings_outside_their_range_are_refused(capsys, tmp_path, flags):
    code, _, errors = call(capsys, "evaluate", *PLAIN, *flags, "--out", tmp_path / "x")
    assert code == 2, errors


def test_looking_ahead_needs_a_scheduler_and_is_told(capsys, tmp_path):
    path = study(tmp_path, lambda text: text)
    common = ("--set", f"study={path}", "--set", "yardsticks.n_days=0")
    code, _, errors = call(capsys, "evaluate", *PLAIN, *common, "--set", "yardsticks.lookahead={n_days: 1}", "--out",
                           tmp_path / "x")  # fmt: skip
    assert code == 2 and "'bids' is not among the controllers" in errors and not (tmp_path / "x").exists()
    models = json.dumps({"bids": [str(Path("configs/energy/models/bids-0.json").absolute())]})
    small = "yardsticks.lookahead={n_days: 1, n_futures: 4, population: 4, iterations: 1, n_checked: 4}"
    code, text, errors = call(capsys, "evaluate", *PLAIN, *common, "--set", f"models={models}", "--set",
                              "controllers=[bau,bids]", "--set", "baseline=bau", "--set", small, "--out",
                              tmp_path / "y")  # fmt: skip
    assert code == 0, errors
    assert "bids minus lookahead on the days both played" in text + errors
    told = json.loads((tmp_path / "y" / "evaluation.json").read_text(encoding="utf-8"))["yardsticks"]
    assert told["n_lookahead_days"] == 1 and told["against_lookahead"]["bids"]["value"] is not None
