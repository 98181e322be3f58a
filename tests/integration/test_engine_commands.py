"""Every command on a real engine, and what the journal says of it."""

import signal
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from mmats.client import Client, CommandReply, Outcome
from mmats.client.replies import checked_body
from mmats.model.messages import Role
from tests.fakes.engines import Place, ended, kill, place, until

WAIT_S = 20.0
HOLDER = """
from mmats.model import Action, Strategy, TradeSignal


class Holder(Strategy):
    name = "holder"
    supported_symbols = ()

    def on_market_data(self, data):
        if self.account.position(data.symbol) != 0:
            return None
        return [TradeSignal(Action.{action}, data.symbol, size={quantity})]
"""
TABLES = """
[[strategies]]
name = "holder"
source = "holder.py"
symbols = ["BTCUSDT"]
[[strategies]]
name = "idle"
source = "idle.py"
symbols = ["EURUSD"]
"""
IDLE = """
from mmats.model import Strategy


class Idle(Strategy):
    name = "idle"
    supported_symbols = ()

    def on_market_data(self, data):
        return None
"""


def holder(action: str = "BUY", quantity: str = "0.0002") -> str:
    return HOLDER.format(action=action, quantity=quantity)


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    """An engine on paper, at ten bars a second of each market."""
    with place(speed="600x", days=30, strategies=TABLES) as found:
        found.write("holder.py", holder())
        found.write("idle.py", IDLE)
        found.engine = found.start("engine")
        found.start("feed", "--quiet", "--loop")
        with found.client() as client:
            assert client.wait_for(
                lambda state: "position:holder:BTCUSDT.BINANCE" in state, timeout_s=WAIT_S
            )
            # A price of both markets is known.
            assert client.wait_for(
                lambda state: all(m["last"] for m in state.below("market").values()),
                timeout_s=WAIT_S,
            )
        yield found


@pytest.fixture
def trader(here: Place) -> Iterator[Client]:
    with here.client() as client:
        yield client


@pytest.fixture
def admin(here: Place) -> Iterator[Client]:
    with here.client("admin") as client:
        assert client.reauthenticate(here.passphrase).done
        yield client


def noted(here: Place, reply: CommandReply) -> dict[str, Any]:
    """What the journal has of a command; it has it before the reply comes."""
    return next(note for note in here.notes("command") if note.get("id") == reply.id)


def test_a_pause_and_a_halt_need_an_admin_with_a_passphrase_to_end(
    here: Place, trader: Client, admin: Client
) -> None:
    scope = "market:forex"
    paused = trader.pause(scope, "news")
    assert paused.done
    assert noted(here, paused)["body"] == {"scope": scope, "reason": "news"}
    assert trader.wait_for(
        lambda state: state["trading"]["markets"]["forex"] == "reducing", timeout_s=WAIT_S
    )
    assert trader.halt(scope).done
    refused = trader.pause(scope)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, "HALTED")
    assert trader.resume("it is over", scope).code == "ROLE"
    with here.client("admin") as forgetful:
        refused = forgetful.resume("it is over", scope)
        assert refused.code == "REAUTHENTICATE"
    assert not admin.resume("   ", scope).done
    resumed = admin.resume("it is over", scope)
    assert resumed.done
    assert noted(here, resumed)["body"]["reason"] == "it is over"
    assert trader.wait_for(
        lambda state: state["trading"]["markets"]["forex"] == "active", timeout_s=WAIT_S
    )


@pytest.mark.parametrize(
    ("scope", "code"),
    [("strategy:nobody", "UNKNOWN_SCOPE"), ("market:mars", "UNKNOWN_SCOPE"),
     ("symbol:GOLD", "UNKNOWN_SYMBOL"), ("symbol:BTCUSDT", "SCOPE")],
)  # fmt: skip
def test_a_scope_that_is_none_is_refused(trader: Client, scope: str, code: str) -> None:
    refused = trader.halt(scope)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, code)


def test_an_order_by_hand_is_filled_and_flatten_ends_flat(here: Place, trader: Client) -> None:
    key = "position:manual:BTCUSDT.BINANCE"
    tried = trader.submit_order("BTCUSDT", "buy", "0.0003", dry_run=True)
    assert tried.done
    assert tried.body["order_id"] == 0
    bought = trader.submit_order("BTCUSDT", "buy", "0.0003")
    assert bought.done
    assert bought.body["order_id"] > 0
    assert trader.wait_for(lambda state: key in state, timeout_s=WAIT_S)
    quantity = trader.state.get(key)["quantity"]  # less the fee, which is taken of it
    resting = trader.submit_order("BTCUSDT", "buy", "0.0002", limit=below(trader))
    assert resting.done
    scope = "strategy:manual"
    shown = trader.flatten(scope, dry_run=True)
    assert [row["quantity"] for row in shown.body["positions"]] == [quantity]
    assert [row["order_id"] for row in shown.body["orders"]] == [resting.body["order_id"]]
    assert key in trader.state
    done = trader.flatten(scope, "enough")
    assert done.done
    assert noted(here, done)["body"]["reason"] == "enough"
    assert trader.wait_for(
        lambda state: key not in state and not of_owner(state, "manual"), timeout_s=WAIT_S
    )
    assert "position:holder:BTCUSDT.BINANCE" in trader.state


def below(client: Client) -> str:
    """A price 3 % below the last one, in whole ticks."""
    last = float(client.state["market:BTCUSDT.BINANCE"]["last"])
    return f"{last * 0.97:.0f}"


def of_owner(state: Any, strategy: str) -> list[dict[str, Any]]:
    return [o for o in state.below("order").values() if o["strategy"] == strategy]


def test_an_order_is_canceled_by_its_number_and_by_scope(here: Place, trader: Client) -> None:
    orders = [
        trader.submit_order("BTCUSDT", "buy", "0.0002", limit=below(trader)).body["order_id"]
        for _ in range(2)
    ]
    assert trader.wait_for(lambda s: len(of_owner(s, "manual")) == 2, timeout_s=WAIT_S)
    assert trader.cancel(orders[0], dry_run=True).body["orders"][0]["order_id"] == orders[0]
    canceled = trader.cancel(orders[0])
    assert canceled.done
    assert noted(here, canceled)["body"]["order_id"] == orders[0]
    assert trader.wait_for(lambda s: len(of_owner(s, "manual")) == 1, timeout_s=WAIT_S)
    assert trader.cancel(scope="strategy:manual").body["canceled"] == 1
    assert trader.wait_for(lambda s: not of_owner(s, "manual"), timeout_s=WAIT_S)
    assert trader.cancel(orders[0]).code == "UNKNOWN_ORDER"
    assert trader.cancel().code == "BAD_MESSAGE"
    assert trader.cancel(1, scope="all").code == "BAD_MESSAGE"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "NaN"}, "BAD_NUMBER"),
        ({"quantity": "1e999999999"}, "BAD_NUMBER"),
        ({"quantity": "-0.001"}, "BAD_NUMBER"),
        ({"quantity": "0"}, "BAD_NUMBER"),
        ({"quantity": "0.000000000001"}, "BAD_NUMBER"),
        ({"quantity": "99999999999999999999"}, "BAD_NUMBER"),
        ({"quantity": "1; drop table"}, "BAD_NUMBER"),
        ({"quantity": ""}, "BAD_NUMBER"),
        ({"quantity": "٣"}, "BAD_NUMBER"),
        ({"quantity": "0.00_02"}, "BAD_NUMBER"),
        ({"quantity": "2e-4"}, "BAD_NUMBER"),
        ({"limit": "-1"}, "BAD_NUMBER"),
        ({"limit": "0"}, "BAD_NUMBER"),
        ({"limit": "inf"}, "BAD_NUMBER"),
        ({"limit": "100.123456789"}, "BAD_NUMBER"),
        ({"stop_loss": "0"}, "BAD_NUMBER"),
        ({"symbol": "NOTHING"}, "UNKNOWN_SYMBOL"),
        ({"quantity": "5"}, "DENIED"),
        ({"limit": "1"}, "DENIED"),
        ({"stop_loss": "99999999"}, "DENIED"),
        ({"side": "sell"}, "DENIED"),
        ({"reduce_only": True}, "DENIED"),
    ],
)
def test_an_order_that_can_not_be_meant_is_refused_with_a_reason(
    here: Place, trader: Client, changes: dict[str, Any], code: str
) -> None:
    order = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.0002", **changes}
    for is_dry in (True, False):
        refused = trader.submit_order(**order, dry_run=is_dry)
        assert (refused.outcome, refused.code) == (Outcome.REFUSED, code), refused.text
        assert refused.text
    assert noted(here, refused)["body"]["quantity"] == order["quantity"]


def test_a_strategy_is_disabled_and_enabled(here: Place, trader: Client) -> None:
    def is_enabled(state: Any) -> bool:
        return bool(state["strategy:idle"]["enabled"])

    done = trader.disable_strategy("idle", "not today")
    assert done.done
    assert noted(here, done)["body"]["reason"] == "not today"
    assert trader.wait_for(lambda state: not is_enabled(state), timeout_s=WAIT_S)
    assert trader.enable_strategy("idle").done
    assert trader.wait_for(is_enabled, timeout_s=WAIT_S)
    assert trader.enable_strategy("nobody").code == "UNKNOWN_STRATEGY"


def test_a_reload_reads_the_file_again_and_a_broken_one_keeps_the_old(
    here: Place, trader: Client, admin: Client
) -> None:
    assert trader.reload_strategy("idle").code == "ROLE"
    for broken in ("def (", "raise SystemExit(3)", "x = 1", "import nothing_like_this"):
        here.write("idle.py", broken)
        refused = admin.reload_strategy("idle")
        assert (refused.outcome, refused.code) == (Outcome.REFUSED, "INVALID"), broken
        assert "idle.py" in refused.text
        assert admin.state["strategy:idle"]["enabled"]
    before = admin.state["strategy:idle"]["signals"]
    here.write("idle.py", IDLE.replace("return None", "return signal(data)") + SIGNALING)
    done = admin.reload_strategy("idle")
    assert done.done
    assert len(done.body["code"]) == 64
    assert noted(here, done)["command"] == "strategy.reload"
    assert admin.wait_for(
        lambda state: state["strategy:idle"]["signals"] > before, timeout_s=WAIT_S
    )
    here.write("other.py", IDLE)
    assert admin.load_strategy("idle", "missing.py").code == "INVALID"
    assert admin.load_strategy("idle", "other.py").done
    assert admin.load_strategy("idle", "idle.py").done
    here.write("idle.py", IDLE)
    assert admin.reload_strategy("idle").done


SIGNALING = """

def signal(data):
    from mmats.model import Action, TradeSignal

    return [TradeSignal(Action.BUY, data.symbol, size=0.0001)]
"""


def test_advisory_at_once_and_back_with_passphrase_and_reason_only(
    here: Place, trader: Client, admin: Client
) -> None:
    assert trader.set_mode("operator").code == "MODE"
    lowered = trader.set_mode("advisory", "idle")
    assert lowered.done
    assert noted(here, lowered)["body"]["mode"] == "advisory"
    assert trader.wait_for(
        lambda state: state["strategy:idle"]["mode"] == "advisory", timeout_s=WAIT_S
    )
    assert trader.set_mode("paper", "idle", "again").code == "REAUTHENTICATE"
    assert admin.set_mode("paper", "idle").code == "REASON"
    assert admin.set_mode("paper", "idle", "looked at it").done
    assert trader.set_mode("advisory").done
    assert trader.wait_for(lambda state: state["engine"]["mode"] == "advisory", timeout_s=WAIT_S)
    assert trader.submit_order("BTCUSDT", "buy", "0.0002").code == "NO_ORDER_PATH"
    assert trader.set_mode("paper", reason="again").code == "REAUTHENTICATE"
    assert admin.set_mode("paper", reason="looked at it").done
    assert trader.wait_for(lambda state: state["engine"]["mode"] == "paper", timeout_s=WAIT_S)


def test_limits_are_listed_and_set_in_one_language(
    here: Place, trader: Client, admin: Client
) -> None:
    limits = trader.state.below("limit")
    assert limits["global::daily_loss_max"] == "5%"
    assert limits["global::order_notional_max"] == "130 EUR"
    assert limits["global::gross_exposure_max"] == "200%"
    assert limits["global::open_orders_max"] == "50"
    assert "global::message_rate_max" not in limits
    # What is listed can be set again: it changes nothing, so nobody has to be asked.
    for key, value in limits.items():
        level, name, limit = key.split(":")
        same = trader.set_limit(limit, value, level=level, name=name)  # type: ignore[arg-type]
        assert same.done, (key, value, same.text)
        assert (same.body["before"], same.body["raises"]) == (value, False)
    assert trader.state.below("limit") == limits
    for limit, lower, higher in (
        ("daily_loss_max", "4%", "5%"),
        ("order_notional_max", "120 EUR", "130 EUR"),
        ("message_rate_max", "100/10s", "none"),
        ("price_collar", "4%", "5%"),
        ("open_orders_max", "40", "50"),
        ("stop_loss_required", "true", "false"),
    ):
        lowered = trader.set_limit(limit, lower)
        assert lowered.done, lowered.text
        assert noted(here, lowered)["body"]["value"] == lower
        key = f"limit:global::{limit}"
        assert trader.wait_for(
            lambda s, key=key, lower=lower: s.get(key) == lower, timeout_s=WAIT_S
        )
        assert trader.set_limit(limit, higher, reason="more").code == "REAUTHENTICATE"
        assert admin.set_limit(limit, higher).code == "REASON"
        assert admin.set_limit(limit, higher, reason="looked at it").done
    assert trader.wait_for(lambda state: state.below("limit") == limits, timeout_s=WAIT_S)
    listed = here.mmats("limit", "list", "--profile", "paper")
    assert "global::daily_loss_max  5%" in listed.stdout


@pytest.mark.parametrize(
    ("limit", "value"),
    [("daily_loss_max", "-1%"), ("daily_loss_max", "abc"), ("daily_loss_max", "5 USD"),
     ("daily_loss", "5%"), ("daily_loss_ppm", "5"), ("open_orders_max", "0"),
     ("open_orders_max", "999999999999999999999"), ("markets", "{}"), ("trading_state", "active"),
     ("message_rate_max", "0/s"),
     ("price_collar", "1e9%"), ("stop_loss_required", "2")],
)  # fmt: skip
def test_a_limit_that_is_none_is_refused(trader: Client, limit: str, value: str) -> None:
    refused = trader.set_limit(limit, value)
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, "INVALID"), refused
    assert limit in refused.text or "limit" in refused.text


@pytest.mark.parametrize(
    ("limit", "value"),
    [("order_notional_max", "99999999999999999999999 EUR"),
     ("daily_loss_max", "99999999999999999999999%"), ("message_rate_max", "99999999999/s"),
     ("message_rate_max", "9/99999999999999999999d")],
)  # fmt: skip
def test_a_limit_that_the_gate_can_not_hold_is_refused(
    admin: Client, limit: str, value: str
) -> None:
    before = admin.state.below("limit")
    refused = admin.set_limit(limit, value, reason="as much as can be")
    assert (refused.outcome, refused.code) == (Outcome.REFUSED, "INVALID"), refused
    assert limit in refused.text
    assert admin.set_limit("open_orders_max", "50").done
    assert admin.state.below("limit") == before


def test_a_viewer_can_look_and_do_nothing(here: Place) -> None:
    with here.client("viewer") as viewer:
        assert viewer.role is Role.VIEWER
        assert viewer.ping().done
        for refused in (viewer.halt(), viewer.flatten(), viewer.submit_order("X", "buy", "1"),
                        viewer.down(), viewer.set_limit("daily_loss_max", "1%")):  # fmt: skip
            assert (refused.outcome, refused.code) == (Outcome.REFUSED, "ROLE")
        assert not viewer.state.below("order")
        assert "account" not in viewer.state
    with here.client() as trader:
        assert trader.state["trading"]["global"] == "active"


def test_a_command_whose_time_is_over_is_not_executed(here: Place, trader: Client) -> None:
    here.engine.send_signal(signal.SIGSTOP)
    try:
        late = trader.command("halt", {"scope": "all"}, timeout_s=0.2)
    finally:
        here.engine.send_signal(signal.SIGCONT)
    assert late.outcome is Outcome.UNKNOWN
    assert trader.submit_order("BTCUSDT", "buy", "0.0002", dry_run=True).done  # after both
    assert trader.state["trading"]["global"] == "active"


def test_a_command_is_executed_once_however_often_and_over_a_restart() -> None:
    with place(speed="600x", days=30) as here:
        here.start("feed", "--quiet", "--loop")
        engine = here.start("engine")
        with here.client() as client:
            assert client.wait_for(lambda s: s["account"]["valued"], timeout_s=WAIT_S)
            first = client.submit_order("BTCUSDT", "buy", "0.0003")
            assert first.done, first.text
            again = client.retry(first)
            assert again.body == first.body
            key = "position:manual:BTCUSDT.BINANCE"
            assert client.wait_for(lambda state: key in state, timeout_s=WAIT_S)
            kill(engine)
            engine = here.start("engine")
            assert client.wait_for(
                lambda state: (
                    (state.get("engine") or {}).get("run") != client.run or client.is_current
                ),
                timeout_s=WAIT_S,
            )
            after = until(lambda: (r := client.retry(first)).done and r, WAIT_S)
            assert after.body == first.body
            other = replace_body(first, "0.0004")
            assert client.retry(other).code == "ID_REUSED"
            assert client.state[key]["quantity"] == "0.00029"
            assert client.down().done
        assert ended(engine)[0] == 0
        assert here.findings() == []


def replace_body(reply: CommandReply, quantity: str) -> CommandReply:
    body = msgspec.json.decode(reply.asked.body) | {"quantity": quantity}
    encoded = checked_body(reply.asked.command, body)
    asked = msgspec.structs.replace(reply.asked, body=encoded)
    return msgspec.structs.replace(reply, asked=asked)
