"""One typed method for each command, the same for both clients."""

import time
from typing import Any, Generic, Literal, TypeVar

from mmats.client.connection import new_id
from mmats.client.replies import Asked, CommandReply, checked_body
from mmats.model.messages import (
    Cancel,
    Down,
    Flatten,
    LoadStrategy,
    Message,
    Mode,
    Reauthenticate,
    Resume,
    ScopeCommand,
    SetLimit,
    SetMode,
    StrategyName,
    SubmitOrder,
)

TIMEOUT_S = 5.0

R = TypeVar("R")


class Commands(Generic[R]):
    """`R` is CommandReply with the sync client, an awaitable of it with the asyncio one.

    A scope is `all`, `market:crypto`, `strategy:trend` or `symbol:BTCUSDT.BINANCE`. No method
    raises for a refusal: see `CommandReply.raise_for_outcome`. All raise CommandInvalid where the
    arguments break the protocol, EngineUnreachable where nothing could be sent.
    """

    def _ask(self, asked: Asked, timeout_s: float) -> R:
        raise NotImplementedError

    def command(
        self,
        name: str,
        body: Message | dict[str, Any] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> R:
        """Ask any command of the protocol; it is not executed later than `timeout_s` from now."""
        deadline_ns = time.time_ns() + int(timeout_s * 10**9)
        encoded = checked_body(name, body)
        asked = Asked(id=new_id(), command=name, body=encoded, deadline_ns=deadline_ns)
        return self._ask(asked, timeout_s)

    def retry(self, reply: CommandReply, *, timeout_s: float = TIMEOUT_S) -> R:
        """Ask what became of a command: the same id and deadline, executed at most once in all.

        After its deadline it is not executed any more: refused EXPIRED means that it never was.
        """
        return self._ask(reply.asked, timeout_s)

    def ping(self) -> R:
        """Ask whether the control plane answers."""
        return self.command("ping")

    def reauthenticate(self, passphrase: str) -> R:
        """Show the admin passphrase: for five minutes this session may raise risk."""
        return self.command("reauthenticate", Reauthenticate(passphrase=passphrase))

    def pause(self, scope: str = "all", reason: str = "") -> R:
        """Take no new risk; positions may be reduced and closed."""
        return self.command("pause", ScopeCommand(scope=scope, reason=reason))

    def halt(self, scope: str = "all", reason: str = "") -> R:
        """Let strategies send no order at all."""
        return self.command("halt", ScopeCommand(scope=scope, reason=reason))

    def resume(self, reason: str, scope: str = "all") -> R:
        """Trade again; admin, after `reauthenticate`."""
        return self.command("resume", Resume(scope=scope, reason=reason))

    def flatten(self, scope: str = "all", reason: str = "", *, dry_run: bool = False) -> R:
        """Cancel orders and close positions; `dry_run` only says what would be done."""
        return self.command("flatten", Flatten(scope=scope, reason=reason, dry_run=dry_run))

    def cancel(self, order_id: int = 0, *, scope: str | None = None, dry_run: bool = False) -> R:
        """Cancel one order, or all orders of a scope."""
        return self.command("cancel", Cancel(order_id=order_id, scope=scope, dry_run=dry_run))

    def submit_order(
        self,
        symbol: str,
        side: Literal["buy", "sell"],
        quantity: str,
        *,
        limit: str = "",
        stop_loss: str = "",
        take_profit: str = "",
        reduce_only: bool = False,
        dry_run: bool = False,
    ) -> R:
        """Submit an order by hand, in decimal text; without `limit` it is a market order."""
        return self.command(
            "order.submit",
            SubmitOrder(
                symbol=symbol,
                side=side,
                quantity=quantity,
                limit=limit,
                stop_loss=stop_loss,
                take_profit=take_profit,
                reduce_only=reduce_only,
                dry_run=dry_run,
            ),
        )

    def enable_strategy(self, name: str, reason: str = "") -> R:
        """Let a strategy give signals again."""
        return self.command("strategy.enable", StrategyName(name=name, reason=reason))

    def disable_strategy(self, name: str, reason: str = "") -> R:
        """Give a strategy no more market data."""
        return self.command("strategy.disable", StrategyName(name=name, reason=reason))

    def reload_strategy(self, name: str, reason: str = "") -> R:
        """Read a strategy's source anew; admin."""
        return self.command("strategy.reload", StrategyName(name=name, reason=reason))

    def load_strategy(self, name: str, source: str, reason: str = "") -> R:
        """Take another source for a strategy of the configuration; admin."""
        return self.command("strategy.load", LoadStrategy(name=name, source=source, reason=reason))

    def set_mode(self, mode: Mode, strategy: str = "", reason: str = "") -> R:
        """Set the mode of the engine or a strategy; more risk needs a re-authenticated admin."""
        return self.command("mode", SetMode(mode=mode, strategy=strategy, reason=reason))

    def set_limit(
        self,
        limit: str,
        value: str,
        *,
        level: Literal["global", "market", "strategy", "symbol"] = "global",
        name: str = "",
        reason: str = "",
    ) -> R:
        """Set a limit, `value` as in the configuration: "2%", "50 EUR", "10/s", "none"."""
        body = SetLimit(level=level, name=name, limit=limit, value=value, reason=reason)
        return self.command("limit.set", body)

    def down(
        self,
        cancel: Literal["configured", "none", "entries", "all"] = "configured",
        reason: str = "",
    ) -> R:
        """Stop the engine; `cancel` says which working orders go first."""
        return self.command("down", Down(cancel=cancel, reason=reason))
