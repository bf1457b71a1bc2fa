"""Values as JSON can hold them."""

from __future__ import annotations

import json

from nexova_sim.base.plain import plain


def test_what_json_lacks_becomes_none_and_keys_become_text():
    found = plain({1: float("nan"), "a": [1.5, float("inf"), (2, None)], "b": {"c": True, "d": "x"}})
    assert found == {"1": None, "a": [1.5, None, [2, None]], "b": {"c": True, "d": "x"}}
    json.dumps(found, allow_nan=False)
