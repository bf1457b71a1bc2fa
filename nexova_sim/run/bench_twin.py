"""Measurements behind the group ``twin`` of ``nexova bench``; progpy runs beside ours where it is installed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np

from nexova_sim.analyse.remaining import sample_lives, stack_parameters, steady_future
from nexova_sim.config.calibrate import CalibrateConfig
from nexova_sim.config.load import find_config, load_fleet, load_kind
from nexova_sim.config.nominal import nominal_parameters
from nexova_sim.config.track import TrackConfig
from nexova_sim.dataset.read import Dataset, open_dataset, time_ms
from nexova_sim.kernels.filter import track_machine
from nexova_sim.kernels.filter_cloud import N_OUT
from nexova_sim.kernels.filter_moves import (
    I_AMBIENT,
    I_LOAD,
    I_RUN,
    I_TEMP,
    I_TEMP_VAR,
    I_VIB,
    I_VIB_VAR,
    N_INPUTS,
    begin_particles,
)
from nexova_sim.kernels.particles import N_PARTICLE, Q_COOLING, Q_RATE, Q_RISE, Q_TEMP, Q_VIB
from nexova_sim.kernels.plain import N_PLAIN, P_TEMP, advance_plain
from nexova_sim.prognose.calibrate import fit_machine
from nexova_sim.prognose.hours import HOUR_MS, make_hours
from nexova_sim.prognose.samples import read_samples
from nexova_sim.prognose.track import filter_settings, parameter_column, track_fleet
from nexova_sim.prognose.whatif import Actions, Cases, Stakes, branch
from nexova_sim.run.bench_progpy import progpy_rates
from nexova_sim.run.benchmark import Benchmark
from nexova_sim.run.plates import read_plates
from nexova_sim.run.simulate import simulate
from nexova_sim.run.track import track

_PLANT = "configs/fleet/plant.yaml"
_WEAR = 0  # first of the four quantities in a row of output


def _cpu_s(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def _best_rate(amount: float, action: Callable[[], object], repeats: int = 5) -> float:
    action()
    return amount / min(_cpu_s(action) for _ in range(repeats))


def _pump(physics: str = "plant") -> dict[str, float]:
    return nominal_parameters(load_kind("pump", find_config("configs/kind")), physics)


def plain_rate(n_machines: int = 10_000, n_steps: int = 2_000) -> float:
    """Million machine-steps per CPU-second of the seed's twin without noise: 1-s steps of constant load, no output."""
    params, load = stack_parameters([_pump("seed")] * n_machines), np.full((1, n_machines), 0.9)
    state, ambient = np.zeros((N_PLAIN, n_machines)), np.full(n_machines, 25.0)
    state[P_TEMP] = 25.0
    return _best_rate(n_machines * n_steps / 1e6,
                      lambda: advance_plain(params, load, ambient, 1.0 / 3600.0, n_steps, state))  # fmt: skip


def lives_rate(n: int = 20_000) -> float:
    """Thousand samples of remaining life per CPU-second: hourly, load and wear noise on, about 2 700 steps each."""
    row = {**_pump(), "weibull_scale_h": 1e15, "wear_noise_per_sqrt_h": 3e-3, "wear_per_mm_s_h": 2.65e-4}
    particles = np.zeros((n, N_PARTICLE))
    particles[:, Q_TEMP], particles[:, Q_COOLING] = 25.0, 1.0
    particles[:, Q_RISE], particles[:, Q_VIB], particles[:, Q_RATE] = (
        row["rise_k"], row["vib_rated_mm_s"], row["wear_per_mm_s_h"],
    )  # fmt: skip
    params, future = stack_parameters([row]), steady_future(np.array([0.7]), variation=0.06)
    place = np.zeros(n, np.int64)
    return _best_rate(n / 1e3, lambda: sample_lives(params, particles, place, future), 3)


def _filter_run(n_particles: int, n_hours: int) -> Callable[[], object]:
    config = TrackConfig(n_particles=n_particles, n_start_factor=1, seed=3)
    settings, kind = filter_settings(config), load_kind("pump", find_config("configs/kind"))
    params, particles = parameter_column(kind), np.empty((N_PARTICLE, n_particles))
    begin_particles(params, 0.7, 3000.0, settings, np.uint64(5), particles)
    rng = np.random.default_rng(1)
    given = np.zeros((n_hours, N_INPUTS))
    given[:, I_LOAD] = 0.7 + 0.1 * rng.normal(size=n_hours).clip(-3.0, 3.0)
    given[:, I_RUN], given[:, I_AMBIENT] = 1.0, 20.0
    given[:, I_TEMP] = 20.0 + 41.0 * given[:, I_LOAD] + 0.5 * rng.normal(size=n_hours)
    given[:, I_VIB] = 1.65 * given[:, I_LOAD] + 0.9 + 0.04 * rng.normal(size=n_hours)
    given[:, I_TEMP_VAR], given[:, I_VIB_VAR] = 0.5, 0.002
    rows, clouds = np.empty((n_hours + 1, N_OUT)), np.empty((1, n_particles, N_PARTICLE))
    kept = np.array([n_hours])
    return lambda: track_machine(params, particles, given, settings, np.uint64(9), rows, kept, clouds)


def particle_rate(n_particles: int = 10_000, n_hours: int = 100) -> float:
    """Million particle updates per CPU-second: advance, weigh, resample when due, quantiles; 10 000 particles."""
    return _best_rate(n_particles * n_hours / 1e6, _filter_run(n_particles, n_hours))


def track_fleet_cpu(machines_factor: int = 5, settings: tuple[str, ...] = ("days=30",)) -> float:
    """CPU-seconds of ``nexova twin track`` on 1000 machines, 30 days of hourly readings, 200 particles."""
    fleet = load_fleet(_PLANT)
    edits = [
        f"factories.{f}.machines.{kind}={machines_factor * n}"
        for f, factory in enumerate(fleet.fleet.factories)
        for kind, n in factory.machines.items()
    ]
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, [*edits, "dt_s=3600", "load_interval_s=3600", *settings]), Path(place) / "d")
        config = TrackConfig()
        first = open_dataset(data.folder).machine_ids()[:1]
        track(data.folder, config, Path(place) / "warm", first)
        return _cpu_s(lambda: track(data.folder, config, Path(place) / "t"))


def wear_coverage(dataset: Dataset, config: TrackConfig) -> float:
    """Share of machine-hours, from the second day on and while alive, whose true wear the interval holds."""
    plates = read_plates(dataset, config.kind_folder)
    hours = make_hours(dataset, {p.machine_id: p.kind for p in plates}, config.ambient_c)
    place = {p.machine_id: n for n, p in enumerate(plates)}
    rows = np.array([found.rows for found in track_fleet(hours, plates, config)])
    truth = dataset.read("truth", columns=["machine_id", "timestamp", "wear_frac", "rul_h"])
    machine = np.array([place[m] for m in truth["machine_id"].to_pylist()])
    hour = (time_ms(truth["timestamp"].combine_chunks()) - hours.start_ms) // HOUR_MS
    lives = np.isfinite(truth["rul_h"].to_numpy()) & (hour >= 24)
    wear, told = truth["wear_frac"].to_numpy()[lives], rows[machine, hour][lives][:, 4 * _WEAR : 4 * _WEAR + 4]
    return float(np.mean((wear >= told[:, 1]) & (wear <= told[:, 3])))


@cache
def coverage(settings: tuple[str, ...] = ("seed=77",)) -> float:
    """Coverage of the 90 % interval of hidden wear on a plant of 200 machines with all faults, in percent."""
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, list(settings)), Path(place) / "d")
        return 100.0 * wear_coverage(open_dataset(data.folder), TrackConfig())


def recovered(dataset: Dataset, n_machines: int) -> dict[str, float]:
    """By parameter the share of ``n_machines`` machines, where identified, whose own 95 % interval holds the truth."""
    config = CalibrateConfig()
    build = {row["machine_id"]: row for row in dataset.read("build").to_pylist()}
    plates = read_plates(dataset, config.kind_folder)
    hits: dict[str, list[bool]] = {}
    for plate in plates[:: max(1, len(plates) // n_machines)][:n_machines]:
        own, sensors = build[plate.machine_id], plate.kind.sensors
        truth = {
            "thermal.rise_at_rated_k": own["rise_k"],
            "thermal.time_constant_min": 60.0 * own["tau_h"],
            "vibration.rated_mm_s": own["vib_rated_mm_s"],
            "damage.wear_per_mm_s_h": own["wear_per_mm_s_h"],
            "sensors.temperature_c.noise": sensors.temperature_c.noise,
            "sensors.vibration_mm_s.noise": sensors.vibration_mm_s.noise,
            "sensors.power_kw.noise_frac": sensors.power_kw.noise_frac,
        }
        fit = fit_machine(read_samples(dataset, plate.machine_id, plate.kind, config), plate.kind, config)
        for item in fit.estimates:
            if item.name in truth and item.low is not None and item.high is not None:
                hits.setdefault(item.name, []).append(item.low <= truth[item.name] <= item.high)
    return {name: float(np.mean(found)) for name, found in hits.items()}


def calibration(settings: tuple[str, ...] = ("days=14", "seed=99"), n_machines: int = 100) -> float:
    """The worst parameter's share of intervals that hold the truth, percent; faults and services off."""
    quiet = ("faults.random=false", "maintenance.planned_interval_days=null")
    with tempfile.TemporaryDirectory() as place:
        data = simulate(load_fleet(_PLANT, [*quiet, *settings]), Path(place) / "d")
        return 100.0 * min(recovered(open_dataset(data.folder), n_machines).values())


def whatif_cpu(n_situations: int = 1000, n_futures: int = 512, horizon_h: int = 168) -> float:
    """CPU-seconds to branch situations into three actions."""
    n, one = n_situations, np.ones((n_situations, 1))
    row = _pump()
    particles = np.zeros((n, n_futures, N_PARTICLE))
    particles[:, :, Q_TEMP], particles[:, :, Q_COOLING] = 45.0, 1.0
    particles[:, :, Q_RISE], particles[:, :, Q_VIB] = row["rise_k"], row["vib_rated_mm_s"]
    particles[:, :, Q_RATE] = row["wear_per_mm_s_h"]
    actions = Actions(one * [0.0, 4.0, 24.0], one * [0.0, 600.0, 0.0], (one * [0, 19, 0]).astype(np.int64),
                      np.ones((n, 3)), np.ones((n, 3)))  # fmt: skip
    stakes = Stakes(np.full((n, 168), 0.12), np.full(n, 120.0), np.full(n, 4500.0), np.full(n, 600.0),
                    np.full(n, 0.025), np.full(n, 0.007), np.full(n, 0.05))  # fmt: skip
    cases = Cases(stack_parameters([row] * n), steady_future(np.full(n, 0.7), variation=0.06), actions, stakes)
    branch(cases, particles, 2)
    return _cpu_s(lambda: branch(cases, particles, horizon_h))


def _beside_progpy(name: str, ours: Callable[[], float]) -> float | None:
    """How many times progpy's rate ours is; None when it is not installed."""
    theirs = progpy_rates().get(name)
    return None if theirs is None else ours() / theirs


BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        "twin_fleet": Benchmark("twin", "M machine-steps/CPU-s", 200.0, "min",
            "seed twin without noise, 10 000 machines x 2 000 steps of 1 s, state only, best of 5", plain_rate),
        "twin_lives": Benchmark("twin", "k samples/CPU-s", 20.0, "min",
            "noisy run to failure of an hourly twin, about 2 700 steps each, 20 000 samples, best of 3", lives_rate),
        "twin_particles": Benchmark("twin", "M updates/CPU-s", 5.0, "min",
            "particle filter with all it does in an hour, 10 000 particles x 100 hours, best of 5", particle_rate),
        "twin_track": Benchmark("twin", "CPU-s", 60.0, "max",
            "nexova twin track, 1000 machines x 30 days hourly x 200 particles (2 000 in the first 48 h), from disk to "
            "disk", track_fleet_cpu),
        "twin_coverage": Benchmark("twin", "% (bar: 85 to 95)", 85.0, "min",
            "90 % interval of hidden wear, 200 machines x 30 days with all faults, from the second day on", coverage,
            "exact"),
        "twin_coverage_most": Benchmark("twin", "% (bar: 85 to 95)", 95.0, "max",
            "the same: an interval that holds the truth too often is too wide", coverage, "exact"),
        "twin_calibrate": Benchmark("twin", "%", 90.0, "min",
            "worst parameter's share of own 95 % intervals that hold the truth, 100 machines of four kinds, 14 days",
            calibration, "exact"),
        "twin_whatif": Benchmark("twin", "CPU-s", 20.0, "max",
            "1000 situations x 3 actions x 512 futures x 168 h", whatif_cpu),
        "twin_fleet_vs_progpy": Benchmark("twin", "x", 2.9, "min",
            "noise-free fleet, ours over progpy's vectorised next_state, 10 000 machines x 2 000 steps",
            lambda: _beside_progpy("fleet", plain_rate)),
        "twin_particles_vs_progpy": Benchmark("twin", "x", 4.5, "min",
            "particle updates, ours over progpy's ParticleFilter with 10 000 particles",
            lambda: _beside_progpy("particles", particle_rate)),
        "twin_lives_vs_progpy": Benchmark("twin", "x", 1800.0, "min",
            "samples of remaining life with noise, ours over progpy's MonteCarlo",
            lambda: _beside_progpy("lives", lambda: 1e3 * lives_rate() / 1e6)),
    }
)  # fmt: skip
