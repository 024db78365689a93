"""Whether extracted values are proven where they are right, and never where they are wrong.

`python -m benchmarks.fields [--count 40] [--scans 8]` lets a scripted model answer the fields of made bills
(`benchmarks.fields.bills`) in several ways, through the agent, and writes `benchmarks/results/fields.json`. "agreed but
wrong" counts values that are not the field's and were said to agree; the aim is 0. `--others FOLDER` measures bills of
others and writes `fields_others.json`.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda

from benchmarks.fields import others
from benchmarks.fields.bills import FIELDS, Bill, other_bill, own_bill
from benchmarks.report import publish
from graph.agent import Agent
from graph.settings import AgentSettings
from model.open import ModelIdentity

_SWAPPED = {
    "invoice_number": "customer_number", "customer_number": "invoice_number", "invoice_date": "due_date",
    "due_date": "invoice_date", "subtotal": "total", "vat": "subtotal", "total": "subtotal",
}  # fmt: skip
Answers = Callable[[Bill, Random], dict[str, str]]


class Says(BaseChatModel):
    """A model that says what it is told to say."""

    line: str = ""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.line))])

    def with_structured_output(self, schema: Any, **_: Any) -> Runnable[Any, Any]:
        """Return the line as the raw message."""
        return RunnableLambda(lambda messages, **__: {"raw": self.invoke(messages)})


def _digit(bill: Bill, rng: Random) -> dict[str, str]:
    """Change a digit of each value."""
    changed = {}
    for name, value in bill.values.items():
        place = rng.choice([n for n, sign in enumerate(value) if sign.isdigit()])
        other = rng.choice([sign for sign in "0123456789" if sign != value[place]])
        changed[name] = value[:place] + other + value[place + 1 :]
    return changed


def _part(bill: Bill, _: Random) -> dict[str, str]:
    """Leave out the first or the last digit of each value's own number."""
    found = {}
    for name, value in bill.plain.items():
        at = next(n for n, sign in enumerate(value) if sign.isdigit())
        found[name] = value[:-1] if name.endswith("number") else value[at + 1 :]
    return found


def _neighbour(bill: Bill, _: Random) -> dict[str, str]:
    """Take an item's amount for each amount, and the tax for the total."""
    return {"subtotal": bill.values["vat"], "vat": bill.others[-1], "total": bill.others[0]}


WAYS: dict[str, tuple[bool, Answers]] = {
    "right, as it stands there": (True, lambda bill, _: bill.values),
    "right, as programs write it": (True, lambda bill, _: bill.plain),
    "a digit wrong": (False, _digit),
    "swapped with a neighbour": (False, lambda bill, _: {k: bill.values[v] for k, v in _SWAPPED.items()}),
    "an amount of another line": (False, _neighbour),
    "a part of the value": (False, _part),
}


def measure(bills: Sequence[Bill], kind: str, folder: Path) -> list[dict[str, Any]]:
    """Ask about each bill in each way."""
    chat = Says()
    settings = AgentSettings(roots=(folder,), effort="quick", time_budget_s=600.0)
    agent = Agent(chat, ModelIdentity("scripted", None, "none"), settings)
    for bill in bills:
        (folder / bill.name).write_bytes(bill.data)
    rows = []
    for way, (right, answers) in WAYS.items():
        values = agreed = 0
        for number, bill in enumerate(bills):
            given = {k: v for k, v in answers(bill, Random(number)).items() if right or not _is_right(bill, k, v)}
            chat.line = json.dumps({name: given.get(name) for name in FIELDS})
            answer = agent.ask("Read the values from the document.", [bill.name], fields=FIELDS)
            values += len(given)
            agreeing = [one for one in answer.fields if one.status == "agrees"]
            agreed += len(agreeing)
            if not right and agreeing:
                print(bill.name, way, [(one.name, one.value, one.words, bill.values[one.name]) for one in agreeing])
        rows.append(
            {
                "bills": f"{kind}, {len(bills)}", "answer": way, "values": values,
                "agrees %": round(100 * agreed / values, 1) if right else None,
                "agreed but wrong": None if right else agreed,
            }
        )  # fmt: skip
    return rows


def _is_right(bill: Bill, name: str, value: str) -> bool:
    """Whether a wrong way came upon the right value, as a bill of one item has it."""
    return value in (bill.values[name], bill.plain[name])


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--scans", type=int, default=8)
    parser.add_argument("--others", type=Path, help="bills of others, instead (`benchmarks.fields.others`)")
    asked = parser.parse_args()
    if asked.others is not None:
        publish("fields_others", "The same on bills that nobody here wrote", [others.measure(asked.others)])
        return
    sets = {
        "PDF, own layouts": [own_bill(seed) for seed in range(asked.count)],
        "PDF, laid out by ReportLab": [other_bill(seed) for seed in range(asked.count)],
        "PDF, in Finnish": [own_bill(2_000 + seed, unknown=True) for seed in range(asked.count // 2)],
        "picture, read by OCR": [own_bill(1_000 + seed, scan=True) for seed in range(asked.scans)],
    }
    rows: list[dict[str, Any]] = []
    for kind, bills in sets.items():
        if bills:
            with tempfile.TemporaryDirectory() as folder:
                rows += measure(bills, kind, Path(folder))
    publish("fields", "Extracted values that are said to agree with the words of their bill", rows)


if __name__ == "__main__":
    main()
