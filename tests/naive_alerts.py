"""A slow, obvious twin of the rule engine: one object per machine and rule, straight from the policy's words."""

from __future__ import annotations

import math

import numpy as np

SEVERITIES = ["INFO", "WARNING", "CRITICAL"]


class Line:
    """One rule on one machine."""

    def __init__(self, rule):
        self.rule, self.alert, self.raises = rule, None, []
        self.last = None
        self.forget()

    def forget(self):
        self.since = [None] * len(self.rule.levels)
        self.clear_since, self.filtered, self.n_filtered, self.points = None, None, 0, []

    def severity(self, level):
        return SEVERITIES.index(self.rule.levels[level].severity)


class Twin:
    """All rules on one machine; ``ended`` collects its alerts as dictionaries."""

    def __init__(self, policy, baseline_kw):
        self.policy, self.nominal_kw = policy, baseline_kw
        self.lines = [Line(rule) for rule in policy.rules]
        self.status, self.running_since = None, None
        self.group_until, self.group_severity = -math.inf, 0
        self.hours = {}  # hour of the week -> means of past hours
        self.hour, self.in_hour = None, []
        self.ended = []

    def end(self, line, at, why):
        alert, line.alert = line.alert, None
        alert.pop("pending")
        alert.update(resolved=at, resolved_by=why, severity_max=line.severity(alert.pop("level")))
        line.clear_since = None
        self.ended.append(alert)

    def signal(self, line, t, x):
        rule = line.rule
        if line.last is None or t - line.last > self.policy.missing.max_gap_s * 1000:
            line.forget()
            line.last = t
        dt, line.last = t - line.last, t
        y = x
        if rule.signal == "baseline_percent":
            past = self.hours.get((t // 3_600_000 + 72) % 168)
            kw = self.nominal_kw
            if rule.baseline != "nominal" and past:
                kw = sum(past) / len(past)
            elif rule.baseline == "hour_of_week":
                kw = math.nan
            y = 100 * x / kw if kw > 0 else math.nan
        if rule.signal == "trend":
            line.points.append((t, x))
            y = math.nan
            if t - line.points[0][0] >= rule.window_s * 1000:
                y = self.slope(line.points, t, rule.window_s * 1000)
        if rule.compare == "below":
            y = -y
        if rule.filter_s and not math.isnan(y):
            line.n_filtered += 1
            gain = max(1 - math.exp(-dt / (rule.filter_s * 1000)), 1 / line.n_filtered)
            line.filtered = y if line.n_filtered == 1 else line.filtered + gain * (y - line.filtered)
            y = line.filtered
        return y

    @staticmethod
    def slope(points, now, window_ms):
        weights = [math.exp(-(now - t) / window_ms) for t, _ in points]
        hours = [(t - now) / 3_600_000 for t, _ in points]
        total = sum(weights)
        mean_t = sum(w * h for w, h in zip(weights, hours, strict=True)) / total
        mean_x = sum(w * x for w, (_, x) in zip(weights, points, strict=True)) / total
        spread = sum(w * (h - mean_t) ** 2 for w, h in zip(weights, hours, strict=True))
        if spread <= 0:
            return math.nan
        both = zip(weights, hours, points, strict=True)
        return sum(w * (h - mean_t) * (x - mean_x) for w, h, (_, x) in both) / spread

    def reading(self, t, status, values):
        """One reading; ``values`` by channel, NaN for none."""
        startup = self.policy.startup_s * 1000
        if status == "ONLINE" and self.status != "ONLINE":
            self.running_since = t - startup if self.status is None else t
        self.status = status
        starting = status == "ONLINE" and t - self.running_since < startup
        for line in self.lines:
            self.one(line, t, status, starting, values.get(line.rule.channel, math.nan))
        self.announce(t)
        kw = values.get("power_kw", math.nan)
        if status == "ONLINE" and math.isfinite(kw):
            hour = t // 3_600_000
            if hour != self.hour:
                if self.in_hour:
                    mean = sum(self.in_hour) / len(self.in_hour)
                    self.hours.setdefault((self.hour + 72) % 168, []).append(mean)
                self.hour, self.in_hour = hour, []
            self.in_hour.append(kw)

    def one(self, line, t, status, starting, x):
        rule, policy = line.rule, self.policy
        silent_after = policy.missing.resolve_after_s * 1000
        if line.alert and t - line.last >= silent_after:
            self.end(line, line.last + silent_after, "silence")
        is_out = bool(rule.applies_to.status) and status not in rule.applies_to.status
        if is_out or starting:
            if line.alert and is_out and policy.on_stop == "resolve":
                self.end(line, t, "state")
            line.forget()
            line.last = t
            return
        if not math.isfinite(x):
            return
        sign = -1 if rule.compare == "below" else 1
        y = self.signal(line, t, x)
        ripe = None
        for k, level in enumerate(rule.levels):
            if y > sign * level.limit:
                line.since[k] = t if line.since[k] is None else line.since[k]
                delay_s = rule.on_delay_s if level.on_delay_s is None else level.on_delay_s
                ripe = k if t - line.since[k] >= delay_s * 1000 else ripe
            else:
                line.since[k] = None
        if math.isnan(y):
            return
        if line.alert and rule.repeat == "reading":
            self.end(line, t, "clear")
        if line.alert:
            self.held(line, t, y, ripe, sign)
        elif ripe is not None:
            onset = t if rule.repeat == "reading" else line.since[ripe]
            line.raises.append(t)
            flap = policy.flap
            flapping = flap is not None and sum(t - s <= flap.window_s * 1000 for s in line.raises) >= flap.raises
            line.clear_since = None
            line.alert = {
                "rule": rule.name, "onset": onset, "raised": t, "announced": None, "reannounced": None,
                "escalated": None, "value": sign * y, "extreme": sign * y, "limit": rule.levels[ripe].limit,
                "severity": line.severity(ripe), "level": ripe, "pending": True, "muted_by": None,
                "is_flapping": flapping, "n_readings": 1,
            }  # fmt: skip

    def held(self, line, t, y, ripe, sign):
        rule, alert, first = line.rule, line.alert, line.rule.levels[0]
        alert["n_readings"] += 1
        alert["extreme"] = sign * max(sign * alert["extreme"], y)
        if ripe is not None and ripe > alert["level"]:
            alert.update(level=ripe, escalated=t, pending=True)
        if y > sign * (first.limit if first.clear is None else first.clear):
            line.clear_since = None
            return
        line.clear_since = t if line.clear_since is None else line.clear_since
        calm = rule.off_delay_s
        if alert["is_flapping"]:
            calm = max(calm, self.policy.flap.quiet_s)
        if t - line.clear_since >= calm * 1000:
            self.end(line, t, "clear")

    def shelved(self, line, t, machine=None):
        for shelf in self.policy.shelves:
            inside = shelf.start.timestamp() * 1000 <= t < shelf.until.timestamp() * 1000
            if inside and shelf.rule in (None, line.rule.name) and shelf.machine in (None, self.name):
                return True
        return False

    def announce(self, t):
        waiting = [line for line in self.lines if line.alert and line.alert["pending"]]
        for line in sorted(waiting, key=lambda w: -w.severity(w.alert["level"])):
            alert, grave = line.alert, line.severity(line.alert["level"])
            has_critical = any(w.alert and w.severity(w.alert["level"]) == 2 for w in self.lines)
            why = "none"
            if self.shelved(line, t):
                why = "shelf"
            elif self.policy.critical_mutes and grave < 2 and has_critical:
                why = "critical"
            elif t < self.group_until and grave <= self.group_severity:
                why = "group"
            if why in ("none", "group"):
                alert["pending"] = False
            if why == "none":
                alert["announced" if alert["announced"] is None else "reannounced"] = t
                self.group_until = t + (self.policy.group.window_s * 1000 if self.policy.group else 0)
                self.group_severity = grave
            if alert["muted_by"] is None:
                alert["muted_by"] = why

    def finish(self, end_ms):
        silent_after = self.policy.missing.resolve_after_s * 1000
        for line in self.lines:
            if line.alert:
                silent = line.last + silent_after
                self.end(line, *((silent, "silence") if end_ms >= silent else (None, "open")))


def naive_alerts(policy, name, baseline_kw, readings, end_ms):
    """Alerts of one machine; ``readings`` are (ms, status, {channel: value})."""
    twin = Twin(policy, baseline_kw)
    twin.name = name
    for t, status, values in readings:
        twin.reading(t, status, values)
    twin.finish(end_ms)
    return sorted(twin.ended, key=lambda a: (a["raised"], [r.name for r in policy.rules].index(a["rule"])))


def naive_tally(time, code, operator, bounds, tally):
    """Counts of alerts that ended, one at a time, into the arrays of a ``Tally``; ``time`` and ``code`` are columns."""
    none = int(-1e18)
    history = {}  # announcements so far of a machine and rule
    for m, r in zip(*(part.ravel() for part in np.indices(tally.tags.shape)), strict=True):
        history[m, r] = [t for t in tally.recent[m, r].tolist() if t != none]
    n_recent = tally.recent.shape[2]
    for i in range(time.shape[1]):
        _onset, _raised, first, again, graver, resolved = time[:, i].tolist()
        m, r, severity, highest, muted, why = code[:6, i].tolist()
        o = operator[m]
        tally.ends[o, why] += 1
        tally.muted[o, muted] += 1
        told = [] if first == none else [(first, highest if graver != none and graver <= first else severity)]
        told += [] if again == none else [(again, highest)]
        for at, how_grave in told:
            slot = (at - bounds.start_ms) // 600_000
            tally.slots[o, min(max(slot, 0), tally.slots.shape[1] - 1)] += 1
            tally.severity[o, how_grave] += 1
            tally.tags[m, r] += 1
            past = history[m, r]
            if len(past) >= n_recent and at - past[-n_recent] <= bounds.window_ms:
                tally.chatter[m, r] += 1
            past.append(at)
            tally.recent[m, r, -len(past[-n_recent:]) :] = past[-n_recent:]
        end = bounds.end_ms if resolved == none else resolved
        if first != none and end > first + bounds.stale_ms:
            last_day = tally.stale.shape[1] - 2
            days = [(t - bounds.start_ms) // 86_400_000 for t in (first + bounds.stale_ms, end - 1)]
            begin, stop = (min(max(day, 0), last_day) for day in days)
            tally.stale[o, begin] += 1
            tally.stale[o, stop + 1] -= 1
