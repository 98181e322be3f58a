"""The simulated venue of a configuration: one set of fill conditions for every mode."""

from decimal import ROUND_CEILING

from mmats._core import FeeAsset, Ledger, PathRule, SimulatedVenue, SlippageModel
from mmats.config import Config
from mmats.config.schema import Costs
from mmats.engine.assembly import Catalogue
from mmats.model.instrument import MONEY_SCALE, Instrument

FEE_ASSETS = {
    "quote": FeeAsset.FEE_QUOTE,
    "base": FeeAsset.FEE_BASE,
    "received": FeeAsset.FEE_RECEIVED,
    "account": FeeAsset.FEE_ACCOUNT,
}
SLIPPAGES = {
    "none": SlippageModel.SLIPPAGE_NONE,
    "ticks": SlippageModel.SLIPPAGE_TICKS,
    "ppm": SlippageModel.SLIPPAGE_PPM,
    "volume": SlippageModel.SLIPPAGE_VOLUME,
}
PATHS = {
    "worst": PathRule.PATH_WORST,
    "nearest": PathRule.PATH_NEAREST,
    "high_first": PathRule.PATH_HIGH_FIRST,
    "low_first": PathRule.PATH_LOW_FIRST,
}


def simulated_venue(
    config: Config, catalogue: Catalogue, ledger: Ledger | None, strategy_count: int
) -> SimulatedVenue:
    """Return the simulated venue that a configuration describes.

    Fees in a third asset or in account currency are converted at the rates of `ledger`; without
    one they stay in quote currency.
    """
    fill = config.fill
    venue = SimulatedVenue(
        [catalogue.terms(index) for index in range(len(catalogue.instruments))],
        [
            cost_model(config.costs_of(instrument.venue), catalogue, instrument)
            for instrument in catalogue.instruments
        ],
        {
            "market_on_close": int(fill.market == "close"),
            "path": int(PATHS[fill.path]),
            "queue": int(fill.queue),
            "order_latency_ns": fill.order_latency.ns,
            "order_jitter_ns": fill.order_jitter.ns,
            "seed": config.backtest.seed,
        },
        strategy_count=strategy_count,
    )
    if ledger is not None:
        venue.use_ledger(ledger)
    for index, instrument in enumerate(catalogue.instruments):
        if instrument.venue in config.venues:
            venue.declare_day_end(index, config.venues[instrument.venue].day_end.ns)
    return venue


def cost_model(costs: Costs, catalogue: Catalogue, instrument: Instrument) -> dict[str, int]:
    """Return the costs of an instrument in the core's units, by field of `cost_model_t`."""
    fee_per_lot = costs.per_unit.amount * instrument.lot_size * MONEY_SCALE
    third = costs.fee_asset not in FEE_ASSETS
    account = catalogue.currencies[0]
    return {
        "maker_ppm": costs.maker.ppm,
        "taker_ppm": costs.taker.ppm,
        "fee_fixed": costs.fixed.units,
        "fee_per_lot": int(fee_per_lot.to_integral_value(ROUND_CEILING)),
        "fee_min": costs.minimum.units,
        "fee_asset": int(FeeAsset.FEE_THIRD if third else FEE_ASSETS[costs.fee_asset]),
        "fee_currency": catalogue.currency(costs.fee_asset if third else account),
        "spread_ticks": costs.spread.ticks,
        "spread_ppm": costs.spread.ppm,
        "slippage_model": int(SLIPPAGES[costs.slippage.model]),
        "slippage_value": costs.slippage.value,
        "volume_share_ppm": costs.volume_share.ppm if costs.volume_share else 0,
        "swap_long_ppm_year": costs.swap_long.ppm,
        "swap_short_ppm_year": costs.swap_short.ppm,
    }
