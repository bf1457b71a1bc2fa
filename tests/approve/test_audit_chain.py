"""The hash chain: an untouched log passes, and every way to touch it is found, 200 times of 200."""

from __future__ import annotations

import random

import pytest

from nexova_sim.approve.audit import (
    EMPTY,
    ZERO,
    Anchor,
    Entry,
    blank,
    digest_of,
    format_anchor,
    parse_anchor,
    seal,
    verify_chain,
)
from nexova_sim.base.errors import DataError

TRIES = 200


def make_log(rng: random.Random, n: int, anchor: Anchor = EMPTY) -> tuple[list[Entry], Anchor]:
    log = []
    for k in range(n):
        entry = blank(1_770_000_000_000 + 1000 * k, rng.choice(["submit", "approve"]), f"m{rng.randrange(4)}", {"k": k})
        who = rng.choice(["ann", "bob", "cleo"])
        entry = entry._replace(user_id=f"usr_{who}", actor=who, role="OPERATOR", is_allowed=rng.random() < 0.7)
        placed, anchor = seal(anchor, entry)
        log.append(placed)
    return log, anchor


def resealed(log: list[Entry], start: int) -> list[Entry]:
    """The log with every entry from ``start`` on written anew, so that the chain itself fits."""
    anchor = Anchor(start, log[start - 1].digest if start else ZERO)
    out = log[:start]
    for entry in log[start:]:
        placed, anchor = seal(anchor, entry)
        out.append(placed)
    return out


def edit(rng, log):
    at, field = rng.randrange(len(log)), rng.choice(Entry._fields)
    old = getattr(log[at], field)
    new = (
        (not old) if isinstance(old, bool) else old + 1 if isinstance(old, int) else rng.choice([old + "x", "z" + old])
    )
    return [*log[:at], log[at]._replace(**{field: new}), *log[at + 1 :]]


def edit_and_reseal_entry(rng, log):
    """The edited entry gets a digest that fits; the link of the next one, or the anchor, does not."""
    at = rng.randrange(len(log))
    changed = log[at]._replace(actor="mallory")
    return [*log[:at], changed._replace(digest=digest_of(changed)), *log[at + 1 :]]


def delete(rng, log):
    at = rng.randrange(len(log))
    return log[:at] + log[at + 1 :]


def swap(rng, log):
    i, j = sorted(rng.sample(range(len(log)), 2))
    out = list(log)
    out[i], out[j] = log[j], log[i]
    if rng.random() < 0.5:  # with their places renumbered
        out[i], out[j] = out[i]._replace(seq=log[i].seq), out[j]._replace(seq=log[j].seq)
    return out


def duplicate(rng, log):
    at = rng.randrange(len(log))
    place = rng.randrange(len(log) + 1)
    return [*log[:place], log[at], *log[place:]]


def truncate(rng, log):
    return log[: rng.randrange(len(log))]


def rewrite_suffix(rng, log):
    at = rng.randrange(len(log))
    return resealed([*log[:at], log[at]._replace(actor="mallory"), *log[at + 1 :]], at)


def delete_and_rewrite(rng, log):
    at = rng.randrange(len(log))
    return resealed(log[:at] + log[at + 1 :], at)


def append_forged(rng, log):
    extra, _ = seal(Anchor(len(log), log[-1].digest), log[rng.randrange(len(log))])
    return [*log, extra]


ATTACKS = (edit, edit_and_reseal_entry, delete, swap, duplicate, truncate, rewrite_suffix, delete_and_rewrite)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda f: f.__name__)
def test_every_attack_is_found(attack):
    found = 0
    for seed in range(TRIES):
        rng = random.Random(f"{attack.__name__} {seed}")
        log, anchor = make_log(rng, rng.randrange(2, 12))
        assert verify_chain(log, {"anchor": anchor}) == []
        found += bool(verify_chain(attack(rng, log), {"anchor": anchor}))
    assert found == TRIES


def test_a_forged_entry_at_the_end_is_told_by_length():
    """The chain cannot know it; whoever holds the anchor compares lengths (verify_store does)."""
    rng = random.Random(1)
    log, anchor = make_log(rng, 5)
    longer = append_forged(rng, log)
    assert verify_chain(longer, {"anchor": anchor}) == [] and len(longer) > anchor.n_entries


def test_an_older_anchor_vouches_for_its_part():
    rng = random.Random(2)
    log, old = make_log(rng, 5)
    more, new = make_log(rng, 3, old)
    assert verify_chain(log + more, {"old": old, "new": new}) == []
    late = rewrite_suffix(random.Random(3), log) + more
    assert verify_chain(late, {"old": old})
    wrong = resealed([*log, more[0]._replace(actor="x"), *more[1:]], 5)
    assert verify_chain(wrong, {"old": old}) == []
    assert {f.problem for f in verify_chain(wrong, {"old": old, "new": new})} == {
        "is not the entry that new vouches for"
    }


def test_an_empty_log():
    assert verify_chain([], {"anchor": EMPTY}) == []
    assert verify_chain([], {"anchor": Anchor(3, "a" * 64)})[0].problem.startswith("the log ends here")
    assert verify_chain([], {"anchor": Anchor(0, "a" * 64)})


def test_findings_are_bounded():
    log, anchor = make_log(random.Random(4), 400)
    assert 100 <= len(verify_chain([e._replace(actor="x") for e in log], {"anchor": anchor})) <= 102


def test_an_anchor_survives_being_written():
    anchor = Anchor(7, "ab" * 32)
    assert parse_anchor(format_anchor(anchor) + "\n", "here") == anchor


@pytest.mark.parametrize("text", ["", "7", "7:", "x:" + "a" * 64, "7:" + "A" * 64, "-1:" + "a" * 64, "7:" + "a" * 63])
def test_what_is_no_anchor_is_refused(text):
    with pytest.raises(DataError, match="here: is no anchor"):
        parse_anchor(text, "here")
