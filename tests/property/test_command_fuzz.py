"""Every body of every command on a real session: an answer, and a state that can be restored."""

import json
import random
from typing import Any

import msgspec
import pytest

from mmats.engine.commands import CommandDesk
from mmats.engine.session import Session
from mmats.model.messages import COMMANDS, Answer, Outcome
from tests.fakes import sessions
from tests.fakes.mutations import NUMBERS, UNITS, WORDS, strange

IN_ENGINE = [name for name, spec in COMMANDS.items() if spec.in_engine]
DRAWN = (*IN_ENGINE, *["resume"] * 6, *["order.submit"] * 12, "mode", "mode")  # so that it trades
RESTORED_EVERY = 2_000
SCOPES = (
    "all", "all", "all", "all", "market:crypto", "market:forex", "market:x", "strategy:trend",
    "strategy:reversion", "strategy:manual", "strategy:x", "symbol:BTCUSDT",
    "symbol:EURUSD.OANDA", "symbol:x",
    "symbol:", "strategy:\x1b", "none", "symbol:BTCUSDT.BINANCE:more",
)  # fmt: skip
QUANTITIES = (
    "0.0001", "0.0002", "0.001", "1", "100", "1000", "5000", "0.00000001", "1e-5", "1e3", "1e11",
    "999999999999", "1e12", "1E+400", "-1", "0", "nan", "sNaN", "Infinity",
    "0.000010000000000000001",
)  # fmt: skip
PRICES = (*QUANTITIES, "", "42000", "30000.01", "60000", "1.08", "1.1", "1.07351", "0.01", "9e11")
LIMITS = (
    "daily_loss_max", "drawdown_max", "gross_exposure_max", "order_notional_max",
    "order_notional_min", "position_notional_max", "price_collar", "message_rate_max",
    "open_orders_max", "stop_loss_required", "exposure_max", "trading_state", "order_quantity_max",
    "position_quantity_max", "markets", "strategies", "symbols", "x", "__class__",
)  # fmt: skip
VALUES = (
    "none", "2%", "0%", "100000000%", "50 EUR", "0 EUR", "10000000000 EUR", "50 USD", "10/s",
    "1/1ns", "999999999/36525d", "1/36525d", "true", "false", "1", "10000", "10001", "9" * 60,
)  # fmt: skip
SOURCES = (
    "strategies.trend:Trend", "strategies.trend:x", "strategies.x:Trend", "x.py", "../x.py", "/",
    ":",
    "strategies.trend", "strategies.trend:Trend:Trend", "\0", "a\0.py:b", "a" * 400 + ".py", "..:x",
    "strategies.trend_compiled:TrendCompiled", "math:pi", "decimal:Decimal", "\ud800:x", "é:é",
)  # fmt: skip
TEXTS = (
    "",
    "ok",
    "a reason",
    "a reason",
    "a reason",
    "a reason",
    " " * 500,
    "x" * 501,
    "\x1b]0;x\x07",
    "\ud800",
)
FIELDS: dict[str, tuple[Any, ...]] = {
    "scope": SCOPES, "reason": TEXTS, "dry_run": (True, False), "reduce_only": (True, False),
    "order_id": (0, 0, *range(1, 80), 2**31, 2**63 - 1, 2**63, -1), "side": ("buy", "sell"),
    "symbol": ("BTCUSDT", "EURUSD.OANDA", "EURUSD", "BTCUSDT.X", "", "x" * 101),
    "quantity": QUANTITIES, "limit": PRICES, "stop_loss": PRICES, "take_profit": PRICES,
    "name": ("trend", "reversion", "manual", "BTCUSDT", "crypto", "x", "", "forex"),
    "source": SOURCES, "mode": ("advisory", "paper", "operator"),
    "strategy": ("", "trend", "reversion", "manual", "x"), "value": VALUES,
    "level": ("global", "market", "strategy", "symbol"),
    "cancel": ("configured", "none", "entries", "all"),
}  # fmt: skip


def drawn_body(chance: random.Random, name: str) -> dict[str, Any]:
    """A body with most fields as they may be, and now and then one that makes no sense."""
    if name == "order.submit" and chance.random() < 0.2:
        side = chance.choice(("buy", "sell"))
        return {"symbol": "BTCUSDT", "side": side, "quantity": chance.choice(("0.0001", "0.0003"))}
    body = {}
    for field in msgspec.structs.fields(COMMANDS[name].body):
        if not field.required and chance.random() < 0.4:
            continue
        choices = LIMITS if (name, field.name) == ("limit.set", "limit") else FIELDS[field.name]
        body[field.name] = chance.choice(choices)
        if chance.random() < 0.03:
            body[field.name] = strange(chance)
        elif chance.random() < 0.05 and field.name in ("value", "quantity", "limit"):
            body[field.name] = chance.choice(NUMBERS) + chance.choice((*UNITS, *WORDS[:4]))
    return body


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_any_body_has_an_answer(count: int) -> None:
    config = sessions.in_mode(sessions.small_config(), "paper")
    moments = (rows for block in sessions.events_of(config) for rows in sessions.moments(block))
    session = Session(config)
    desk = CommandDesk(session)
    chance = random.Random(count)
    now_ns, seen = 0, dict.fromkeys((*Outcome, "no body"), 0)
    done = dict.fromkeys(IN_ENGINE, 0)
    for number in range(count):
        if number % 100 == 0 and (rows := next(moments, None)) is not None:
            session.events(rows)
            now_ns = int(rows["ts_event_ns"][0])
            session.journal.take()
        name = chance.choice(DRAWN)
        try:
            text = json.dumps(drawn_body(chance, name), default=str)
            body = msgspec.json.decode(text, type=COMMANDS[name].body)
        except (ValueError, RecursionError):
            seen["no body"] += 1
            continue
        answer = desk.execute(name, body, chance.random() < 0.7, now_ns + number % 100)
        assert type(answer) is Answer
        assert answer.outcome is Outcome.DONE or (answer.code and answer.text)
        msgspec.json.encode(answer)
        seen[answer.outcome] += 1
        done[name] += answer.outcome is Outcome.DONE
        if number % RESTORED_EVERY == RESTORED_EVERY - 1:
            restored = Session(config)
            restored.restore(session.image(), now_ns)
            assert restored.ledger.state_bytes() == session.ledger.state_bytes()
    assert all(count_done > 0 for count_done in done.values()), done
    assert min(seen[Outcome.DONE], seen[Outcome.REFUSED], seen["no body"]) > count // 50, seen
