"""The door of the compiled core: the only names that Python may import from it.

market event -> SimulatedVenue (backtest, paper) -> reports -+
     |                                                       v
     +-> Pipeline: Ledger.mark -> Series (bars, indicators) -> strategy -> signal
            OrderManager: sizing -> RiskGate.check -> Journal -> VenuePort.submit
"""

try:
    from mmats._core.accounts import Account, LedgerFault, RateKind
    from mmats._core.bars import BarBuilder
    from mmats._core.book import BookState, OrderBook
    from mmats._core.contract import (
        AccountState,
        Action,
        CompiledStrategy,
        Indicators,
        MarketData,
        Position,
        SignalError,
        TradeResult,
        TradeSignal,
    )
    from mmats._core.controls import Controls, ReloadError
    from mmats._core.costs import FeeAsset, SlippageModel
    from mmats._core.dispatch import ClosingState
    from mmats._core.exchange import Exchange
    from mmats._core.execution import ExecutionPort, ReportsFull, RequestKind
    from mmats._core.frames import (
        BAR_DTYPE,
        DELTA_DTYPE,
        EVENT_DTYPE,
        ORDER_DTYPE,
        QUOTE_DTYPE,
        RECORD_DTYPE,
        REPORT_DTYPE,
        REQUEST_DTYPE,
        TRADE_DTYPE,
    )
    from mmats._core.image import ImageError, StateImage, read_image, seal_image
    from mmats._core.image_layout import image_dtype
    from mmats._core.indicators import IndicatorError, IndicatorSet
    from mmats._core.intake import FeedFault, FeedProblem, Intake
    from mmats._core.journal import JournalFull, MemoryJournal, RecordKind, RingJournal, StateScope
    from mmats._core.ledger import Ledger
    from mmats._core.limits import NO_LIMIT
    from mmats._core.matching import SimulatedVenue
    from mmats._core.order_table import PipelineFault
    from mmats._core.path import PathRule
    from mmats._core.pipeline import Pipeline, StrategyStopped
    from mmats._core.replay import OutOfOrder, Replay
    from mmats._core.risk import Reason, RiskGate
    from mmats._core.sizing import Sizing
    from mmats._core.types import (
        EventFlag,
        EventKind,
        Liquidity,
        OrderFlag,
        OrderRole,
        OrderState,
        OrderType,
        ReportKind,
        Settlement,
        Side,
        TimeInForce,
        TradingState,
        VenueReason,
    )
    from mmats._core.views import open_orders, resubmit_open
except ModuleNotFoundError as error:
    raise ImportError(
        "the compiled core of mmats is not built: run `make build`, or `pip install .`"
    ) from error

__all__ = [
    "BAR_DTYPE",
    "DELTA_DTYPE",
    "EVENT_DTYPE",
    "NO_LIMIT",
    "ORDER_DTYPE",
    "QUOTE_DTYPE",
    "RECORD_DTYPE",
    "REPORT_DTYPE",
    "REQUEST_DTYPE",
    "TRADE_DTYPE",
    "Account",
    "AccountState",
    "Action",
    "BarBuilder",
    "BookState",
    "ClosingState",
    "CompiledStrategy",
    "Controls",
    "EventFlag",
    "EventKind",
    "Exchange",
    "ExecutionPort",
    "FeeAsset",
    "FeedFault",
    "FeedProblem",
    "ImageError",
    "IndicatorError",
    "IndicatorSet",
    "Indicators",
    "Intake",
    "JournalFull",
    "Ledger",
    "LedgerFault",
    "Liquidity",
    "MarketData",
    "MemoryJournal",
    "OrderBook",
    "OrderFlag",
    "OrderRole",
    "OrderState",
    "OrderType",
    "OutOfOrder",
    "PathRule",
    "Pipeline",
    "PipelineFault",
    "Position",
    "RateKind",
    "Reason",
    "RecordKind",
    "ReloadError",
    "Replay",
    "ReportKind",
    "ReportsFull",
    "RequestKind",
    "RingJournal",
    "RiskGate",
    "Settlement",
    "Side",
    "SignalError",
    "SimulatedVenue",
    "Sizing",
    "SlippageModel",
    "StateImage",
    "StateScope",
    "StrategyStopped",
    "TimeInForce",
    "TradeResult",
    "TradeSignal",
    "TradingState",
    "VenueReason",
    "image_dtype",
    "open_orders",
    "read_image",
    "resubmit_open",
    "seal_image",
]
