# cython: language_level=3
"""The venue's order desk: actions in flight, working orders, positions, reports."""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint64_t

from mmats._core.accounts cimport Accounts
from mmats._core.costs cimport cost_model_t
from mmats._core.types cimport (
    ORDER_LIMIT, ORDER_TAKE_PROFIT, SIDE_BUY, instrument_t, lots_t, money_t, order_t,
    price_ticks_t, report_t, ts_ns_t,
)
from mmats._core.venue cimport VenuePort

cdef enum:
    SLOTS_MAX = 4096            # order_id = sequence << 12 | slot
    SLOT_MASK = 4095
    ACTIONS_MAX = 8192          # submits, cancels and modifications in flight
    REPORTS_MAX = 16384         # a power of two
    REPORTS_ROOM = 64           # kept free for the reports of one step
    DAY_SECONDS = 86400
    UNIT = 100000000            # money is in 1e-8 units

cdef enum ActionKind:
    ACTION_SUBMIT = 1
    ACTION_CANCEL = 2
    ACTION_MODIFY = 3

cdef struct fill_model_t:
    int32_t market_on_close         # 1: market orders that arrive with a bar fill at its close
    int32_t path                    # PathRule
    int32_t queue                   # 1: limit orders wait behind the displayed size (L2)
    ts_ns_t order_latency_ns        # one way, base
    ts_ns_t order_jitter_ns         # uniform 0..jitter on top
    uint64_t seed

# One order at the venue. `type` changes with life: a triggered stop is a market order.
cdef struct working_t:
    int64_t order_id                # 0 = the slot is free
    int64_t wait_event              # number of the event in which it found no more liquidity
    int64_t avail_event             # L2: event whose trade offers `avail_lots`
    ts_ns_t expire_ns               # INT64_MAX = never
    lots_t leaves_lots
    lots_t filled_lots
    lots_t queue_lots               # L2: displayed size ahead of it; -1 = not measured yet
    lots_t avail_lots               # L2: what the trade leaves after the queue
    price_ticks_t price_ticks
    price_ticks_t trigger_ticks
    price_ticks_t trail_ticks
    int32_t strategy
    int32_t side
    int8_t type                     # OrderType
    int8_t tif
    int8_t flags
    int8_t role
    int8_t is_fresh                 # limit order that has not been tested for taking yet

cdef struct action_t:
    order_t order
    ts_ns_t arrives_ns
    int32_t kind                    # ActionKind
    int32_t next                    # index of the next action of its queue, -1 = last

cdef struct queue_t:
    int32_t head                    # index of an action, -1 = empty
    int32_t tail
    ts_ns_t last_ns                 # delivery is in order

# What the venue knows of one instrument's market.
cdef struct market_t:
    int32_t index
    int32_t source                  # EventKind that fills orders, 0 = not known yet
    int32_t is_declared
    int32_t count                   # working orders
    int32_t attention               # of them: must look at every event
    int32_t trailing                # of them: trailing stops
    int32_t basis                   # BAR_BID, BAR_MID or 0 = trade prices
    price_ticks_t price             # of the path or the last trade; 0 = unknown
    price_ticks_t ahead             # where the path goes when it stands between two ticks
    price_ticks_t spread            # full spread, -1 = of the cost model
    price_ticks_t bid               # where a taker trades now; 0 = unknown
    price_ticks_t ask
    price_ticks_t bid_offset        # bid = price + bid_offset on paths of bars and on trades
    price_ticks_t ask_offset
    lots_t bid_lots                 # displayed; 0 = unknown
    lots_t ask_lots
    lots_t bid_used                 # of the displayed size, by us
    lots_t ask_used
    lots_t pool_lots                # what we may still take of this bar or trade
    lots_t volume_lots              # of this bar or trade
    lots_t net_lots                 # all strategies together
    ts_ns_t time_ns                 # up to where this market has been simulated
    ts_ns_t close_ns                # of the last bar
    ts_ns_t day_end_ns
    ts_ns_t day_offset_ns
    ts_ns_t expire_ns               # first expiry of a working order
    ts_ns_t recv_ns                 # last report reaches us
    price_ticks_t ask_low           # something may happen when ask <= ask_low ...
    price_ticks_t ask_high          # ... or ask >= ask_high
    price_ticks_t bid_low
    price_ticks_t bid_high
    int16_t* slots                  # working orders in time priority

cdef struct carry_t:
    ts_ns_t ts_ns                   # the day's end
    money_t amount                  # quote currency, positive = received
    lots_t lots
    price_ticks_t price_ticks
    int32_t strategy
    int32_t instrument

cdef class OrderDesk(VenuePort):
    cdef readonly int instrument_count, strategy_count
    cdef readonly int64_t fill_count
    cdef readonly ts_ns_t now_ns          # simulated time of the last thing that happened
    cdef fill_model_t fill_model
    cdef instrument_t* instruments
    cdef cost_model_t* costs
    cdef market_t* markets
    cdef working_t* working               # [slot]
    cdef lots_t* positions                # [strategy * instrument_count + instrument], sellable
    cdef money_t* dust                    # [pool] coins below a lot that fees have left over
    cdef int32_t* pools                   # [instrument] first instrument of the same coin
    cdef Accounts accounts                # for fees in a third asset; read only
    cdef int has_accounts
    cdef int16_t* slot_lists
    cdef action_t* actions
    cdef int32_t free_action
    cdef int waiting_count                # actions in flight
    cdef queue_t* queues                  # [instrument], then one for all markets with a touch
    cdef report_t* reports
    cdef uint64_t report_first, report_count
    cdef uint64_t random_state
    cdef int is_instant                   # latency and jitter are 0
    cdef carry_t* carries                 # one cell each, merged until drained
    cdef int carry_count

    cdef int set_instrument(self, int index, const instrument_t* instrument,
                            const cost_model_t* cost) except -1
    cdef int set_fill_model(self, const fill_model_t* model) except -1
    # Whose rates convert fees of FEE_THIRD and FEE_ACCOUNT; without it they are in quote currency.
    cdef int set_ledger(self, Accounts ledger) except -1
    # Carry of a day's end, to be posted to the ledger; 1 = written to `out`, 0 = none.
    cdef int next_carry(self, carry_t* out) noexcept nogil

    # -- for the matching that builds on it --
    # 1 = an action that reaches `market` at `ts` acts now, 0 = it waits in its queue.
    cdef int is_present(self, const market_t* market, ts_ns_t ts) noexcept nogil
    # A new or changed order is on the list: may it trade at once?
    cdef void on_arrival(self, market_t* market, int slot) noexcept nogil
    # The list changed: between which prices does nothing happen?
    cdef void refresh_bounds(self, market_t* market) noexcept nogil
    # What a taker would face now is written to market.bid and market.ask.
    cdef void update_touch(self, market_t* market) noexcept nogil

    cdef int check_route(self, int instrument, int64_t order_id, int strategy) except -1
    cdef ts_ns_t latency(self) noexcept nogil
    cdef int send(self, int kind, const order_t* order, ts_ns_t now_ns) noexcept nogil
    cdef queue_t* queue_of(self, const market_t* market) noexcept nogil
    # Delivers the head of `queue` if it arrives by `until_ns`; 1 = done, 0 = nothing due.
    cdef int deliver(self, queue_t* queue, ts_ns_t until_ns) noexcept nogil
    cdef void receive(self, const action_t* action) noexcept nogil
    cdef void receive_order(self, market_t* market, const order_t* order) noexcept nogil
    cdef void receive_cancel(self, market_t* market, const order_t* order) noexcept nogil
    cdef void receive_change(self, market_t* market, const order_t* order) noexcept nogil
    cdef int refusal(self, market_t* market, const order_t* order) noexcept nogil
    cdef int would_take(self, market_t* market, int side, price_ticks_t price) noexcept nogil
    cdef report_t* report(self, market_t* market, int64_t order_id, int kind, int reason,
                          lots_t leaves_lots) noexcept nogil
    cdef void close_order(self, market_t* market, int slot, int kind, int reason) noexcept nogil
    cdef int expire_one(self, market_t* market, ts_ns_t now_ns) noexcept nogil
    cdef lots_t fill(self, market_t* market, int slot, lots_t lots, price_ticks_t price,
                     int liquidity, price_ticks_t touch) noexcept nogil
    cdef lots_t book_fill(self, const market_t* market, const working_t* work, lots_t lots,
                          const report_t* fee) noexcept nogil
    cdef lots_t reducible(self, const market_t* market, const working_t* order) noexcept nogil
    cdef int charge(self, const market_t* market, int side, int liquidity, lots_t lots,
                    price_ticks_t price, report_t* out) noexcept nogil
    cdef int convert_fee(self, const cost_model_t* cost, const instrument_t* spec, money_t fee,
                         money_t* out) noexcept nogil
    cdef void add_slot(self, market_t* market, int slot) noexcept nogil
    cdef void remove_slot(self, market_t* market, int slot) noexcept nogil
    cdef void roll_day(self, market_t* market, ts_ns_t now_ns) noexcept nogil
    cdef int has_room(self) noexcept nogil

# 1 = the order acts when the price falls to its level, 0 = when it rises to it.
cdef inline int acts_on_fall(const working_t* work) noexcept nogil:
    cdef int is_favourable = 1
    if work.type != ORDER_LIMIT and work.type != ORDER_TAKE_PROFIT:
        is_favourable = 0
    return is_favourable == (work.side == SIDE_BUY)

# First day end of the market after `ts`.
cdef ts_ns_t day_end_after(const market_t* market, ts_ns_t ts) noexcept nogil
