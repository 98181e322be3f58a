"""What clients and the engine say to each other: commands, replies, published messages.

Everything is JSON, decoded strictly into these structures; money and quantities travel as decimal
text, times as integer ns UTC. `docs/control-plane.md` describes the protocol for other languages.
"""

from enum import IntEnum, StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

PROTOCOL_VERSION = 1
MESSAGE_BYTES_MAX = 65_536
"""A longer command is refused unread; replies and published messages may be larger."""

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Text = Annotated[str, Meta(max_length=500)]
Secret = Annotated[str, Meta(min_length=1, max_length=200)]


class Role(IntEnum):
    """Who may do what; a higher role may do everything that a lower one may."""

    VIEWER = 1  # signals and market state
    TRADER = 2  # the account; everything that lowers risk
    ADMIN = 3  # everything; what raises risk needs a reason and re-authentication


class Outcome(StrEnum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"  # not executed; `code` and `text` say why
    UNKNOWN = "unknown"  # no answer in time: it may have been executed; ask with the same id


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything on the wire: strict, immutable."""


class Request(Message, frozen=True, kw_only=True):
    """A command as it travels. The same id is executed once, however often it arrives."""

    v: Literal[1]
    id: Id
    session: Annotated[str, Meta(max_length=64)] = ""  # empty: only `hello` may be asked
    deadline_ns: Annotated[int, Meta(gt=0, le=2**63 - 1)]  # UTC; not executed later than this
    command: Annotated[str, Meta(min_length=1, max_length=64)]
    body: msgspec.Raw = msgspec.Raw(b"{}")


class Reply(Message, frozen=True, kw_only=True):
    """The engine's answer to one request."""

    v: Literal[1] = 1
    id: str
    outcome: Outcome
    code: str = ""  # of a refusal, e.g. ROLE, EXPIRED, ID_REUSED, BAD_MESSAGE
    text: str = ""
    body: dict[str, Any] = {}


# -- bodies of commands ----------------------------------------------------------------------------

Scope = Annotated[str, Meta(max_length=120, pattern=r"^(all|(market|strategy|symbol):.+)$")]
"""`all`, `market:crypto`, `strategy:trend` or `symbol:BTCUSDT.BINANCE`."""

Mode = Literal["advisory", "paper", "operator"]


class Hello(Message, frozen=True, kw_only=True):
    """Open a session; the reply's body is {session, role, run, profile, mode, version}."""

    token: Secret
    client: Text = ""  # who asks, for the audit record


class Empty(Message, frozen=True, kw_only=True):
    """A command without a body."""


class Reauthenticate(Message, frozen=True, kw_only=True):
    """Show the admin passphrase again: for five minutes this session may raise risk."""

    passphrase: Secret


class ScopeCommand(Message, frozen=True, kw_only=True):
    """pause, halt: what to stop, and why. pause: no new risk; halt: no strategy order at all."""

    scope: Scope = "all"
    reason: Text = ""


class Resume(Message, frozen=True, kw_only=True):
    """Let a paused or halted scope trade again."""

    scope: Scope = "all"
    reason: Annotated[str, Meta(min_length=3, max_length=500)]


class Flatten(Message, frozen=True, kw_only=True):
    """Cancel the orders of a scope and close its positions; `dry_run` only says what would be."""

    scope: Scope = "all"
    reason: Text = ""
    dry_run: bool = False


class Cancel(Message, frozen=True, kw_only=True):
    """Cancel one order (`order_id` above 0), or the orders of a scope."""

    order_id: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    scope: Scope | None = None
    dry_run: bool = False


class SubmitOrder(Message, frozen=True, kw_only=True):
    """A manual order, in decimal text; it passes the same gate as any other."""

    symbol: Name
    side: Literal["buy", "sell"]
    quantity: Annotated[str, Meta(max_length=40)]
    limit: Annotated[str, Meta(max_length=40)] = ""  # empty: market order
    stop_loss: Annotated[str, Meta(max_length=40)] = ""
    take_profit: Annotated[str, Meta(max_length=40)] = ""
    reduce_only: bool = False
    dry_run: bool = False


class StrategyName(Message, frozen=True, kw_only=True):
    """strategy.enable, strategy.disable, strategy.reload."""

    name: Name
    reason: Text = ""


class LoadStrategy(Message, frozen=True, kw_only=True):
    """strategy.load: take another source for a strategy of the configuration."""

    name: Name
    source: Annotated[str, Meta(min_length=1, max_length=500)]
    reason: Text = ""


class SetMode(Message, frozen=True, kw_only=True):
    """mode: of the engine, or of one strategy (`strategy` not empty)."""

    mode: Mode
    strategy: Annotated[str, Meta(max_length=100)] = ""
    reason: Text = ""


class SetLimit(Message, frozen=True, kw_only=True):
    """limit.set: `value` as in the configuration ("2%", "50 EUR", "10/s", "none")."""

    level: Literal["global", "market", "strategy", "symbol"] = "global"
    name: Annotated[str, Meta(max_length=100)] = ""  # market, strategy or symbol
    limit: Name
    value: Annotated[str, Meta(max_length=60)]
    reason: Text = ""


class Down(Message, frozen=True, kw_only=True):
    """Stop the engine; `cancel` says which working orders go first."""

    cancel: Literal["configured", "none", "entries", "all"] = "configured"
    reason: Text = ""


class CommandSpec(msgspec.Struct, frozen=True):
    """What a command takes and who may ask for it."""

    body: type[Message]
    role: Role | None  # None: nobody needs to be anybody (hello)
    in_engine: bool = True  # False: answered by the control server itself
    raises_risk: bool = False  # True: always needs a reason and re-authentication


COMMANDS: dict[str, CommandSpec] = {
    "hello": CommandSpec(Hello, None, in_engine=False),
    "ping": CommandSpec(Empty, Role.VIEWER, in_engine=False),
    "snapshot": CommandSpec(Empty, Role.VIEWER, in_engine=False),
    "reauthenticate": CommandSpec(Reauthenticate, Role.ADMIN, in_engine=False),
    "pause": CommandSpec(ScopeCommand, Role.TRADER),
    "halt": CommandSpec(ScopeCommand, Role.TRADER),
    "flatten": CommandSpec(Flatten, Role.TRADER),
    "cancel": CommandSpec(Cancel, Role.TRADER),
    "order.submit": CommandSpec(SubmitOrder, Role.TRADER),
    "strategy.enable": CommandSpec(StrategyName, Role.TRADER),
    "strategy.disable": CommandSpec(StrategyName, Role.TRADER),
    "mode": CommandSpec(SetMode, Role.TRADER),  # raising it needs an admin: the engine decides
    "limit.set": CommandSpec(SetLimit, Role.TRADER),  # the same
    "resume": CommandSpec(Resume, Role.ADMIN, raises_risk=True),
    "strategy.reload": CommandSpec(StrategyName, Role.ADMIN),
    "strategy.load": CommandSpec(LoadStrategy, Role.ADMIN),
    "down": CommandSpec(Down, Role.TRADER),
}


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A checked command on its way to the trading thread."""

    id: str
    session: str
    principal: str  # name of the user
    role: Role
    may_raise: bool  # an admin who has re-authenticated within the last five minutes
    command: str
    body: Message


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the trading thread says about a command."""

    outcome: Outcome
    code: str = ""
    text: str = ""
    body: dict[str, Any] = {}


# -- published -------------------------------------------------------------------------------------

PUBLIC = "public"
PRIVATE = "private"
CHANNELS = (PUBLIC, PRIVATE)
"""`public` (viewer and above) has signals and market state, `private` (trader and above) the
account, orders, limits, log and audit. Each channel is a PUB socket with a sequence of its own."""


class Published(Message, frozen=True, kw_only=True):
    """One message of a channel; `seq` counts up by one, heartbeats repeat the last.

    kind "state": `key` now has `value` (null: it is gone); the mirror of all keys is the state.
    kind "event": `key` names the kind of event (signal, denial, fill, order, log, audit).
    kind "heartbeat": four a second; `value` is {"head": [seq, hash] of the journal,
    "uptime_s", "state"}.
    """

    v: Literal[1] = 1
    run: str
    channel: Literal["public", "private"]
    seq: int
    ts_ns: int
    kind: Literal["state", "event", "heartbeat"]
    key: str = ""
    value: Any = None


class Snapshot(Message, frozen=True, kw_only=True):
    """Body of the reply to `snapshot`: the state of the channels that the role may see."""

    run: str
    seqs: dict[str, int]  # by channel: the last message that the state contains
    state: dict[str, Any]
    events: dict[str, list[Any]]  # the last ones by kind, oldest first
