"""Local time, shifts and holidays on the slot grid, across changes of daylight saving time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from nexova_sim.base.errors import ConfigError
from nexova_sim.config.types import Calendar, Factory, Shift
from nexova_sim.simulate.calendar import is_holiday, local_time, on_shift, zone

SLOT_S = 300
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def works(shifts: list[Shift], holidays: list[date] | None = None) -> Factory:
    calendar = Calendar(shifts=shifts, holidays=holidays or [])
    return Factory(
        id="f", latitude_deg=45.0, longitude_deg=5.0, timezone="Europe/Paris", calendar=calendar, machines={"pump": 1}
    )


def shift(start: str, end: str, days: list[str] | None = None, name: str = "s") -> Shift:
    return Shift.model_validate({"name": name, "days": days or WEEKDAYS, "start": start, "end": end})


def check_against_zoneinfo(timezone: str, start_s: int, n_slots: int, slot_s: int = SLOT_S) -> None:
    found = local_time(timezone, start_s, slot_s, n_slots)
    for i in range(n_slots):
        moment = datetime.fromtimestamp(start_s + slot_s // 2 + i * slot_s, UTC).astimezone(ZoneInfo(timezone))
        assert found.day[i] == (moment.date() - date(1970, 1, 1)).days, moment
        assert found.weekday[i] == moment.weekday(), moment
        assert found.second[i] == moment.hour * 3600 + moment.minute * 60 + moment.second, moment


@pytest.mark.parametrize(("timezone", "begin"), [
    ("Europe/Paris", "2026-03-28T12:00"), ("Europe/Paris", "2026-10-24T12:00"),
    ("America/Detroit", "2026-03-07T18:00"), ("America/Detroit", "2026-10-31T18:00"),
    ("Asia/Kolkata", "2026-03-28T12:00"), ("Asia/Kathmandu", "2026-06-01T12:00"),
    ("Australia/Sydney", "2026-04-04T02:00"), ("Pacific/Auckland", "2026-09-26T02:00"),
    ("UTC", "2026-12-31T12:00"), ("Pacific/Kiritimati", "2026-12-30T22:00"),
])  # fmt: skip
def test_local_time_is_that_of_the_time_zone(timezone, begin):
    check_against_zoneinfo(timezone, at(begin), 36 * 12)


@pytest.mark.parametrize(("timezone", "begin"), [
    ("America/St_Johns", "2026-03-07T18:00"), ("America/St_Johns", "2026-10-31T18:00"),
    ("Australia/Adelaide", "2026-04-04T02:00"), ("Australia/Adelaide", "2026-10-03T02:00"),
    ("Australia/Lord_Howe", "2026-04-04T02:00"), ("Australia/Lord_Howe", "2026-10-03T02:00"),
])  # fmt: skip
def test_changes_of_the_clock_at_half_past_the_hour_in_utc(timezone, begin):
    check_against_zoneinfo(timezone, at(begin), 36 * 12)


@pytest.mark.parametrize("slot_s", [60, 300, 900, 3600])
def test_any_slot_length(slot_s):
    check_against_zoneinfo("Europe/Paris", at("2026-03-28T20:00"), 12 * 3600 // slot_s, slot_s)


def test_a_period_alone_is_the_same():
    start = at("2026-10-20T00:00")
    whole = local_time("Europe/Paris", start, SLOT_S, 288 * 10)
    part = local_time("Europe/Paris", start + 288 * 4 * SLOT_S, SLOT_S, 288 * 3)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a[288 * 4 : 288 * 7], b)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 23), ("2026-10-24", 25), ("2026-06-01", 24)])
def test_the_day_of_the_change_has_23_or_25_hours(day, hours):
    """29 March and 25 October 2026 are the days of the change; the local day is counted in slots."""
    local = local_time("Europe/Paris", at(day), SLOT_S, 3 * 288)
    changed = (date.fromisoformat(day) + timedelta(days=1) - date(1970, 1, 1)).days
    assert (local.day == changed).sum() == hours * 12


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9)])
def test_the_night_shift_of_the_change_is_shorter_or_longer(day, hours):
    """22:00 to 06:00 local is 8 h, but 7 h in the night of 28 March and 9 h in that of 24 October."""
    night = works([shift("22:00", "06:00", ["sat"])])
    local = local_time("Europe/Paris", at(day), SLOT_S, 3 * 288)
    assert on_shift(night, ["s"], local).sum() == hours * 12


def clock(mask: np.ndarray, start: str) -> list[tuple[str, str]]:
    """First and one-past-last UTC minute of every run of a mask."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    moments = [(datetime.fromisoformat(start) + timedelta(seconds=int(e) * SLOT_S)).strftime("%a %H:%M") for e in edges]
    return list(zip(moments[::2], moments[1::2], strict=True))


def test_a_shift_in_local_time():
    local = local_time("Europe/Paris", at("2026-01-05"), SLOT_S, 2 * 288)
    assert clock(on_shift(works([shift("06:00", "14:00")]), ["s"], local), "2026-01-05") == [
        ("Mon 05:00", "Mon 13:00"),
        ("Tue 05:00", "Tue 13:00"),
    ]
    summer = local_time("Europe/Paris", at("2026-07-06"), SLOT_S, 288)
    assert clock(on_shift(works([shift("06:00", "14:00")]), ["s"], summer), "2026-07-06") == [
        ("Mon 04:00", "Mon 12:00")
    ]


def test_half_hour_zones():
    local = local_time("Asia/Kolkata", at("2026-01-05"), SLOT_S, 288)
    assert clock(on_shift(works([shift("06:00", "14:00")]), ["s"], local), "2026-01-05") == [("Mon 00:30", "Mon 08:30")]


def test_a_shift_past_midnight_belongs_to_the_day_it_begins():
    night = works([shift("22:00", "06:00")])
    local = local_time("UTC", at("2026-01-09"), SLOT_S, 4 * 288)  # Friday to Monday
    assert clock(on_shift(night, ["s"], local), "2026-01-09") == [
        ("Fri 00:00", "Fri 06:00"),
        ("Fri 22:00", "Sat 06:00"),
        ("Mon 22:00", "Tue 00:00"),
    ]


def test_a_holiday_stops_the_shift_that_begins_on_it():
    night = works([shift("22:00", "06:00")], [date(2026, 1, 6)])  # Tuesday
    local = local_time("UTC", at("2026-01-05"), SLOT_S, 4 * 288)
    # Sunday night did not work; Monday night runs into the holiday; Tuesday night does not begin; Wednesday's does.
    assert clock(on_shift(night, ["s"], local), "2026-01-05") == [
        ("Mon 22:00", "Tue 06:00"),
        ("Wed 22:00", "Thu 06:00"),
        ("Thu 22:00", "Fri 00:00"),
    ]
    day = works([shift("06:00", "14:00")], [date(2026, 1, 6)])
    assert clock(on_shift(day, ["s"], local), "2026-01-05") == [
        ("Mon 06:00", "Mon 14:00"),
        ("Wed 06:00", "Wed 14:00"),
        ("Thu 06:00", "Thu 14:00"),
    ]


def test_a_shift_from_midnight_to_midnight_is_the_whole_day():
    local = local_time("UTC", at("2026-01-05"), SLOT_S, 2 * 288)
    assert on_shift(works([shift("00:00", "00:00", ["mon"])]), ["s"], local).tolist() == [True] * 288 + [False] * 288


def test_holidays_are_local_days():
    factory = works([], [date(2026, 1, 6)])
    local = local_time("America/Detroit", at("2026-01-05"), SLOT_S, 3 * 288)
    assert clock(is_holiday(factory, local), "2026-01-05") == [("Tue 05:00", "Wed 05:00")]


def test_several_shifts_join_and_others_do_not_count():
    factory = works([shift("06:00", "14:00"), shift("14:00", "22:00", name="late"), shift("00:00", "01:00", name="x")])
    local = local_time("UTC", at("2026-01-05"), SLOT_S, 288)
    assert clock(on_shift(factory, ["s", "late", "none"], local), "2026-01-05") == [("Mon 06:00", "Mon 22:00")]


def test_a_factory_without_the_shift_is_an_error():
    local = local_time("UTC", at("2026-01-05"), SLOT_S, 12)
    with pytest.raises(ConfigError, match=r"'f'.*none of the shifts \['nights'\].*it has: s"):
        on_shift(works([shift("06:00", "14:00")]), ["nights"], local)
    with pytest.raises(ConfigError, match="it has: none"):
        on_shift(works([]), ["s"], local)


@pytest.mark.parametrize("name", ["Europe/Pariss", "", "../etc/passwd", "Mars/Base"])
def test_an_unknown_zone_is_an_error_with_a_hint(name):
    with pytest.raises(ConfigError, match="here: unknown time zone"):
        zone(name, "here")
    with pytest.raises(ConfigError, match="did you mean 'Europe/Paris'"):
        zone("Europe/Pariss", "here")
