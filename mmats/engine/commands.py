"""What each command does to a session. Lowering risk asks for nothing; raising it asks for a
reason and an admin who has shown the passphrase again."""

import re
from collections.abc import Callable
from typing import Any, TypedDict

import msgspec

from mmats._core import Reason, Side, TradingState
from mmats.engine.modes import Mode
from mmats.engine.published import money_text, order_rows, position_rows, quantity_text
from mmats.engine.runtime_limits import LimitChange, change_limit
from mmats.engine.session import MANUAL, Session, trading
from mmats.model import messages
from mmats.model.errors import ConfigError, StrategyError
from mmats.model.instrument import Instrument
from mmats.model.messages import Answer, Outcome

REASON_LENGTH_MIN = 3
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


class Selection(TypedDict, total=False):
    """A scope in dense indices; what is left out means all."""

    strategy: int
    instrument: int
    market: int


class Refusal(Exception):
    """A command that is not carried out."""

    def __init__(self, code: str, text: str) -> None:
        """Keep the code for programs and the text for people."""
        super().__init__(text)
        self.code = code
        self.text = text


class CommandDesk:
    """Carries out commands on one session, on the trading thread."""

    def __init__(self, session: Session) -> None:
        """The session is changed by `execute` only."""
        self._session = session
        self._actions: dict[str, Callable[[Any, bool, int], dict[str, Any]]] = {
            "pause": self._pause,
            "halt": self._halt,
            "resume": self._resume,
            "flatten": self._flatten,
            "cancel": self._cancel,
            "order.submit": self._submit,
            "strategy.enable": self._enable,
            "strategy.disable": self._disable,
            "strategy.reload": self._reload,
            "strategy.load": self._load,
            "mode": self._mode,
            "limit.set": self._limit,
            "down": self._down,
        }

    def execute(self, name: str, body: messages.Message, may_raise: bool, now_ns: int) -> Answer:
        """Carry out one command, or say why not.

        Parameters
        ----------
        may_raise : an admin has shown the passphrase within the last minutes
        now_ns : time of the session

        Raises
        ------
        EngineFault
            Trading has ended with it.
        """
        try:
            with trading():
                result = self._actions[name](body, may_raise, now_ns)
        except Refusal as refusal:
            return Answer(outcome=Outcome.REFUSED, code=refusal.code, text=refusal.text)
        except (ConfigError, StrategyError) as error:
            return Answer(outcome=Outcome.REFUSED, code="INVALID", text=str(error)[:2000])
        return Answer(outcome=Outcome.DONE, body=result)

    def execute_plain(
        self, name: str, body: dict[str, Any], may_raise: bool, now_ns: int
    ) -> Answer:
        """The same with a body of plain values, as a recording keeps it."""
        typed = msgspec.convert(body, messages.COMMANDS[name].body)
        return self.execute(name, typed, may_raise, now_ns)

    # -- scopes ----------------------------------------------------------------------------------

    def _scope(self, text: str) -> tuple[str, int]:
        """Return level and index that a scope names; index 0 for all."""
        session = self._session
        level, _, name = text.partition(":")
        if level == "all":
            return "global", 0
        if level == "strategy" and name in session.names:
            return level, session.index(name)
        if level == "market" and name in session.catalogue.markets:
            return level, session.catalogue.markets.index(name)
        if level == "symbol":
            return level, session.catalogue.index(self._instrument(name))
        known = session.names if level == "strategy" else session.catalogue.markets
        raise Refusal("UNKNOWN_SCOPE", f"there is no {level} {name!r}; known: {', '.join(known)}")

    def _instrument(self, symbol: str) -> Instrument:
        try:
            return self._session.config.instrument(symbol)
        except KeyError:
            known = ", ".join(i.id for i in self._session.catalogue.instruments)
            raise Refusal("UNKNOWN_SYMBOL", f"{symbol!r} is not one of {known}") from None

    def _selection(self, text: str) -> Selection:
        """Return a scope as keywords of the compiled controls."""
        level, index = self._scope(text)
        match level:
            case "strategy":
                return {"strategy": index}
            case "market":
                return {"market": index}
            case "symbol":
                return {"instrument": index}
            case _:
                return {}

    # -- trading states --------------------------------------------------------------------------

    def _set_state(self, scope: str, state: TradingState, now_ns: int) -> dict[str, Any]:
        level, index = self._scope(scope)
        if level == "symbol":
            raise Refusal("SCOPE", "a symbol has no trading state: name its market, or cancel it")
        self._session.controls.set_trading_state(level, index, int(state), now_ns)
        return {"scope": scope, "state": state.name.removeprefix("TRADING_")}

    def _pause(self, body: messages.ScopeCommand, _: bool, now_ns: int) -> dict[str, Any]:
        level, index = self._scope(body.scope)
        if level != "symbol" and self._state_of(level, index) == TradingState.TRADING_HALTED:
            raise Refusal("HALTED", "it is halted already, which is stricter; resume it first")
        result = self._set_state(body.scope, TradingState.TRADING_REDUCING, now_ns)
        canceled = self._session.controls.cancel_all(
            now_ns, **self._selection(body.scope), entries_only=True
        )
        return {**result, "canceled": canceled}

    def _halt(self, body: messages.ScopeCommand, _: bool, now_ns: int) -> dict[str, Any]:
        result = self._set_state(body.scope, TradingState.TRADING_HALTED, now_ns)
        canceled = self._session.controls.cancel_all(
            now_ns, **self._selection(body.scope), entries_only=True
        )
        return {**result, "canceled": canceled}

    def _resume(self, body: messages.Resume, may_raise: bool, now_ns: int) -> dict[str, Any]:
        self._demand(may_raise, body.reason)
        return self._set_state(body.scope, TradingState.TRADING_ACTIVE, now_ns)

    def _state_of(self, level: str, index: int) -> int:
        return int(self._session.gate.limits(level, index)["trading_state"])

    def _demand(self, may_raise: bool, reason: str) -> None:
        if not may_raise:
            raise Refusal("REAUTHENTICATE", "this raises risk: an admin must show the passphrase")
        if len(reason.strip()) < REASON_LENGTH_MIN:
            raise Refusal("REASON", "this raises risk: give a reason")

    # -- orders ----------------------------------------------------------------------------------

    def _flatten(self, body: messages.Flatten, _: bool, now_ns: int) -> dict[str, Any]:
        session, selection = self._session, self._selection(body.scope)
        positions = position_rows(session, **selection)
        orders = order_rows(session, **selection)
        effect = {"scope": body.scope, "positions": positions, "orders": orders}
        if body.dry_run:
            return {**effect, "dry_run": True}
        if session.mode is Mode.ADVISORY and session.assembly.venue is None:
            raise Refusal("NO_ORDER_PATH", "an advisory engine has no orders and no positions")
        closing = session.controls.flatten(now_ns, **selection)
        return {**effect, "closing_orders": closing}

    def _cancel(self, body: messages.Cancel, _: bool, now_ns: int) -> dict[str, Any]:
        session = self._session
        if (body.order_id == 0) == (body.scope is None):
            raise Refusal("BAD_MESSAGE", "give either order_id or scope")
        if body.scope is not None:
            selection = self._selection(body.scope)
            found = order_rows(session, **selection)
            effect = {"orders": found, "unprotects": _protection(found)}
            if body.dry_run:
                return {**effect, "dry_run": True}
            return {**effect, "canceled": session.controls.cancel_all(now_ns, **selection)}
        found = [row for row in order_rows(session) if row["order_id"] == body.order_id]
        if not found:
            raise Refusal("UNKNOWN_ORDER", f"no open order {body.order_id}")
        effect = {"orders": found, "unprotects": _protection(found)}
        if body.dry_run:
            return {**effect, "dry_run": True}
        asked = session.controls.cancel_order(body.order_id, now_ns)
        return {**effect, "canceled": int(asked)}

    def _down(self, body: messages.Down, _: bool, now_ns: int) -> dict[str, Any]:
        """Cancel what the policy of a clean stop names."""
        session = self._session
        policy = body.cancel
        if policy == "configured":
            policy = session.config.engine.cancel_on_stop
        if policy == "none" or session.assembly.venue is None:
            return {"cancel": policy, "canceled": 0}
        canceled = session.controls.cancel_all(now_ns, entries_only=policy == "entries")
        return {"cancel": policy, "canceled": canceled}

    def _submit(self, body: messages.SubmitOrder, _: bool, now_ns: int) -> dict[str, Any]:
        session = self._session
        if session.mode is Mode.ADVISORY:
            raise Refusal("NO_ORDER_PATH", "an advisory engine sends no orders")
        instrument = self._instrument(body.symbol)
        index = session.catalogue.index(instrument)
        try:
            for text in (body.quantity, body.limit, body.stop_loss, body.take_profit):
                if text and not _DECIMAL.fullmatch(text):
                    raise ValueError(f"{text!r} is no number such as 0.015")
            lots = instrument.lots_exact(body.quantity)
            limit, stop, target = (
                instrument.ticks_exact(text) if text else 0
                for text in (body.limit, body.stop_loss, body.take_profit)
            )
        except ValueError as error:
            raise Refusal("BAD_NUMBER", str(error)) from None
        side = Side.SIDE_BUY if body.side == "buy" else Side.SIDE_SELL
        owner = session.index(MANUAL)
        terms = (now_ns, owner, index, int(side), lots, limit, stop, target, body.reduce_only)
        order_id = 0
        if body.dry_run:
            reason, observed, allowed = session.controls.preview_manual(*terms)
        else:
            order_id, reason, observed, allowed = session.controls.submit_manual(*terms)
        if reason != Reason.REASON_OK:
            name = reason.name.removeprefix("REASON_")
            raise Refusal("DENIED", f"{name}: observed {observed}, limit {allowed}")
        return {
            "order_id": order_id,
            "symbol": instrument.id,
            "side": body.side,
            "quantity": quantity_text(instrument, lots),
            "dry_run": body.dry_run,
            "equity": money_text(session.gate.equity),
        }

    # -- strategies ------------------------------------------------------------------------------

    def _named(self, name: str) -> int:
        if name not in self._session.tables:
            known = ", ".join(self._session.tables)
            raise Refusal("UNKNOWN_STRATEGY", f"{name!r} is not one of {known}")
        return self._session.index(name)

    def _enable(self, body: messages.StrategyName, _: bool, now_ns: int) -> dict[str, Any]:
        index = self._named(body.name)
        if body.name in self._session.load_errors:
            self._replace(body.name, self._session.sources[body.name], now_ns)
        self._session.controls.set_enabled(index, True, now_ns)
        return {"strategy": body.name, "enabled": True}

    def _disable(self, body: messages.StrategyName, _: bool, now_ns: int) -> dict[str, Any]:
        self._session.controls.set_enabled(self._named(body.name), False, now_ns)
        return {"strategy": body.name, "enabled": False}

    def _reload(self, body: messages.StrategyName, _: bool, now_ns: int) -> dict[str, Any]:
        self._named(body.name)
        return self._replace(body.name, self._session.sources[body.name], now_ns)

    def _load(self, body: messages.LoadStrategy, _: bool, now_ns: int) -> dict[str, Any]:
        self._named(body.name)
        return self._replace(body.name, body.source, now_ns)

    def _replace(self, name: str, source: str, now_ns: int) -> dict[str, Any]:
        """Take a fresh object; it is loaded whole before the old one goes."""
        session = self._session
        code_hash = session.replace_strategy(name, source)
        return {"strategy": name, "source": source, "code": code_hash, "time_ns": now_ns}

    # -- modes and limits ------------------------------------------------------------------------

    def _mode(self, body: messages.SetMode, may_raise: bool, now_ns: int) -> dict[str, Any]:
        session, mode = self._session, Mode.of(body.mode)
        if body.strategy:
            self._named(body.strategy)
        current = session.strategy_modes[body.strategy] if body.strategy else session.mode
        if mode not in (Mode.ADVISORY, session.built_mode):
            raise Refusal(
                "MODE",
                f"this engine was started in mode {session.built_mode.word}: from there it can "
                "change to advisory and back; any other mode needs a profile and a process of "
                "its own",
            )
        if min(mode, session.built_mode) > min(current, session.built_mode):
            self._demand(may_raise, body.reason)
        if body.strategy:
            session.set_strategy_mode(body.strategy, mode)
            selection: Selection = {"strategy": session.index(body.strategy)}
        else:
            session.set_mode(mode)
            selection = {}
        canceled = 0
        if mode is Mode.ADVISORY and session.assembly.venue is not None:
            canceled = session.controls.cancel_all(now_ns, **selection, entries_only=True)
        return {"mode": mode.word, "strategy": body.strategy, "canceled": canceled}

    def _limit(self, body: messages.SetLimit, may_raise: bool, _: int) -> dict[str, Any]:
        session = self._session
        scope = "all" if body.level == "global" else f"{body.level}:{body.name}"
        level, index = self._scope(scope)
        change: LimitChange = change_limit(session, level, index, body.limit, body.value)
        if change.raises:
            self._demand(may_raise, body.reason)
        change.apply()
        return {
            "level": body.level,
            "name": body.name,
            "limit": body.limit,
            "value": body.value,
            "before": change.before,
            "raises": change.raises,
        }


def _protection(orders: list[dict[str, Any]]) -> list[str]:
    """Return which positions lose a stop or a target with these orders."""
    return [
        f"{row['role'].lower()} of {row['strategy']} in {row['symbol']}"
        for row in orders
        if row["role"] in ("STOP", "TARGET")
    ]
