"""Sentences about a scheduled machine: why it runs or stands, from the bid and from what the model did with it."""

from __future__ import annotations

from nexova_sim.schedule.explain import Admitted, Bid, Thought

_EQUAL = 1e-6


def reason(controller: str, thought: Thought | None, j: int, loads: tuple[float, float], stock_h: float) -> list[str]:
    """Sentences for machine ``j``; ``loads`` are what the controller wanted and what ran."""
    wanted, ran = loads
    words = [] if thought is None else _bid_words(thought, thought.bids[j])
    if thought is not None:
        words += _admission_words(thought, j)
    else:
        words.append(f"controller {controller!r} gives no reasons: it wants {wanted:.2f} of the rated load")
    if wanted > 0.0 >= ran:
        words.append("it was granted a load, but the machine may not run: minimum time off, a trip or an outage")
    elif ran > 0.0 >= wanted:
        words.append("it was granted nothing, but must stay on for its minimum time")
    words.append(f"finished work in stock after this quarter of an hour: {stock_h:.2f} h at rated load")
    return words


def _bid_words(thought: Thought, bid: Bid) -> list[str]:
    ratio = bid.part_frac / bid.even_part_frac
    words = [
        f"still to make in this shift: {bid.need_h:.2f} h of rated work"
        + (f", and {bid.ahead_h:.2f} h ahead of a dearer shift" if bid.ahead_h > 0.0 else ""),
        f"at {thought.price_usd_per_kwh:g} $/kWh this quarter attracts {ratio:.2f} times its even share of the work"
        + ("" if abs(bid.price_factor - 1.0) < _EQUAL else f"; the price against plan gives x {bid.price_factor:.2f}")
        + ("" if abs(bid.moved_factor - 1.0) < _EQUAL else f"; the trained policy gives x {bid.moved_factor:.2f}"),
    ]
    pulse = f"its pulse load is {bid.efficient_frac:.2f}, which it {'keeps' if bid.is_on else 'starts'} from a wanted "
    said = {
        "work": f"it wants {bid.rate_frac:.2f} of rated load, above its pulse load: it asks for that, as far as it may",
        "pulse": f"it wants {bid.rate_frac:.2f} of rated load; {pulse}rate of {bid.threshold_frac:.2f}: it asks to run",
        "wait": f"it wants {bid.rate_frac:.2f} of rated load; {pulse}rate of {bid.threshold_frac:.2f}: it waits",
        "done": "the shift's work is done and nothing is worth making ahead: it stands",
        "hot": f"it is hot and asks for {bid.load_frac:.2f} at most",
        "must": f"without {bid.must_frac:.2f} of rated load now the shift's work could not be finished",
        "held_on": f"it was switched on lately and must run {bid.hold_steps} more quarters of an hour",
        "held_off": f"it was switched off lately and must stand {bid.hold_steps} more quarters of an hour",
        "tripped": "it tripped for heat and must cool down",
        "outage": "it is down, and cannot run",
    }
    words.append(said[bid.why])
    if bid.load_frac > 0.0:
        words += [
            f"efficiency: at {bid.load_frac:.2f} an hour of rated work takes {bid.kwh_per_h:.1f} kWh, at the best load "
            f"{bid.best_kwh_per_h:.1f}",
            f"wear: {bid.wear_usd_per_h:.2f} $/h once settled at that load; it is at {bid.temp_c:.1f} C, and from "
            f"{bid.hot_c:.1f} C on asks for {bid.hot_frac:.2f} at most",
        ]
    moved = "" if abs(bid.urgency_moved) < _EQUAL else f", {bid.urgency_moved:+.2f} by the trained policy"
    words.append(
        f"urgency {bid.urgency:.2f}: {bid.urgency_need:.2f} by the work left, {bid.urgency_rank:+.2f} by its kind's "
        f"rank, {bid.urgency_on:+.2f} for running already{moved}"
    )
    return words


def _admission_words(thought: Thought, j: int) -> list[str]:
    """What became of the bid under the cap on the site's power."""
    place = next(n for n, a in enumerate(thought.order) if a.j == j)
    row: Admitted = thought.order[place]
    if row.asked_frac <= 0.0:
        return []
    cap = f"the cap of {thought.cap_kw:.1f} kW"
    if thought.cap_kw > thought.planned_cap_kw + _EQUAL:
        cap += " (a peak that is paid for already)"
    where = f"in place {place + 1} of {len(thought.order)} by urgency, with {row.room_kw:.1f} kW left under {cap}"
    if row.granted_frac <= 0.0:
        return [f"{where}, its {row.asked_kw:.1f} kW do not fit: it stands"]
    if row.granted_frac < row.asked_frac - _EQUAL:
        return [f"{where}, its {row.asked_kw:.1f} kW are cut to {row.granted_kw:.1f} kW"]
    return [f"{where}, its {row.asked_kw:.1f} kW fit"]
