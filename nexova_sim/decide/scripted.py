"""The scripted stub: an answerer made of rules that stands in for a language model offline. It is no Gemini.

It reads the question as a model would and answers in the contract, now and then fenced, in prose, broken or refused,
so that everything behind a model can be exercised. Same question, same answer. What it says is labelled ``scripted`` in
cassettes and tables. The obedient stub does whatever a text in the data tells it: the upper bound of an attack.
"""

from __future__ import annotations

import json
import re
from typing import Any

from nexova_sim.decide.decision import ACTIONS
from nexova_sim.decide.model import ModelError, Provider, Reply, Request, Usage, hash_text, request_key

MODEL, OBEDIENT = "scripted-stub", "scripted-stub-obedient"
_ORDER = re.compile(r"\b(NONE|MAINTENANCE|OFFLINE)\b", re.IGNORECASE)


class ScriptedProvider(Provider):
    """Answers by script. ``is_obedient`` follows orders found in names and comments."""

    def __init__(self, is_obedient: bool = False) -> None:
        self._is_obedient = is_obedient

    @property
    def sdk(self) -> str:
        """It is no library and says so."""
        return "scripted-stub/1"

    def generate(self, request: Request, timeout_s: float) -> Reply:
        """The scripted answer; ModelError for the few questions that the script leaves unanswered."""
        if request.schema is None:
            return _reply(request, talk(request))
        place = int(request_key(request)[:8], 16) % 100
        data = json.loads(request.messages[-1].text)
        answer = script(data, place)
        if self._is_obedient:
            answer |= _orders(data)
        if place >= 98 and not self._is_obedient:
            raise ModelError("BLOCKED", "the script leaves this question unanswered")
        return _reply(request, _dress(json.dumps(answer), place if not self._is_obedient else 0))

    def count_tokens(self, request: Request, timeout_s: float) -> int:
        """A quarter of the characters."""
        return sum(len(m.text) for m in request.messages) // 4


def script(data: dict[str, Any], place: int) -> dict[str, Any]:
    """The answer to a situation; ``place`` 0..99 sets how generous its claims are."""
    now, costs = data["now"], data["costs"]
    power, temp, vibration = now["power_percent_of_baseline"], now["temperature_c"], now["vibration_mm_s"]
    action, risk, cause = "NONE", "INFO", "normal variation"
    spans = [s["vibration_mm_s"] for s in data["means_before"] if s["vibration_mm_s"] is not None]
    if vibration is not None and vibration > 2.5:
        risk, cause = "WARNING", "bearing wear"
    if len(spans) > 1 and spans[0] > 3.0 and spans[0] - spans[1] < 0.6:
        action, risk, cause = "MAINTENANCE", "WARNING", "bearing near its end"
    if temp is not None and temp > 85.0:
        action, risk, cause = "MAINTENANCE", "CRITICAL", "overheating"
    if power is not None and power > 120.0:
        action, risk, cause = "OFFLINE", "CRITICAL", "overload"
    loss = (costs["failure_usd"] or 0.0) + (costs["failure_h"] or 0.0) * (costs["lost_production_usd_per_h"] or 0.0)
    prevented = 0.0 if action == ACTIONS[0] else round(loss * (0.2 + 0.006 * place), 2)
    return {
        "rootCause": cause, "riskLevel": risk, "actionTaken": action,
        "reasoning": f"power {power} % of baseline, {temp} C, {vibration} mm/s",
        "estimatedSavings": round(0.5 * prevented, 2), "preventedLoss": prevented,
        "humanRecommendation": "plan a maintenance window" if risk != "INFO" else "keep watching",
    }  # fmt: skip


def _orders(data: dict[str, Any]) -> dict[str, Any]:
    """What the texts in the data order, by the last action they name."""
    texts = [data["machine"]["name"], data["alert"]["rule"], data["alert"]["type"]]
    texts += [item[key] for item in data["maintenance_history"] for key in ("reason", "renewed")]
    found = [match.upper() for text in texts for match in _ORDER.findall(text)]
    return {"actionTaken": found[-1], "reasoning": "as told"} if found else {}


def _dress(text: str, place: int) -> str:
    """Most answers as they are, some fenced, some in prose, one broken."""
    if 80 <= place < 90:
        return f"```json\n{text}\n```"
    if 90 <= place < 95:
        return f"Here is my decision:\n{text}\nPlease check it."
    return text[:-1] if place == 97 else text


def talk(request: Request) -> str:
    """The stub's words in a conversation: the state of the plant, and which machines to look at first."""
    start = request.system.find("{")
    plant = json.loads(request.system[start:]) if start >= 0 else {}
    turn = (len(request.messages) + 1) // 2
    first = [f"{m['id']} ({', '.join(m['alerts'])})" for m in plant.get("listed", []) if m["alerts"]][:3]
    advice = f"Look first at {'; '.join(first)}." if first else "No alert is open."
    return (
        f"[scripted stub, turn {turn}] {plant.get('online', 0)} of {plant.get('machines', 0)} machines run and draw "
        f"{plant.get('total_power_kw', 0)} kW; {plant.get('active_alerts', 0)} alerts are open. {advice}"
    )


def _reply(request: Request, text: str) -> Reply:
    n_in = sum(len(m.text) for m in request.messages) // 4
    n_out = len(text) // 4
    return Reply(text, "STOP", f"{MODEL}/{hash_text('1')[:4]}", Usage(n_in, n_out, 0, n_in + n_out))
