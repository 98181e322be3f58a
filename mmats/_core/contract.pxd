# cython: language_level=3
"""What a strategy sees and says: market data in, signals out, results back."""

from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int32_t, int64_t

from mmats._core.ledger cimport Ledger
from mmats._core.types cimport event_t, lots_t, price_ticks_t, ts_ns_t

cpdef enum SignalProblem:
    SIGNAL_OK = 0
    SIGNAL_SIZE = 1           # not a finite number > 0
    SIGNAL_PRICE = 2          # a price that is not a finite number > 0
    SIGNAL_TOO_LARGE = 3      # more lots or ticks than an order can hold

cdef enum:
    SIGNALS_MAX = 16          # a compiled strategy may emit this many per event
    WHOLE_POSITION = -1       # size_lots of a reduce-only signal without a size
    SIZE_UNSET = -2           # size_lots of a signal that leaves the size to the sizing

# A signal in the core's units. Python's TradeSignal is turned into one of these.
cdef struct signal_t:
    int64_t signal_id
    lots_t size_lots          # >= 0, WHOLE_POSITION or SIZE_UNSET
    price_ticks_t price_ticks # 0 = none, as in all prices here
    price_ticks_t trigger_ticks
    price_ticks_t trail_ticks
    price_ticks_t stop_loss_ticks
    price_ticks_t take_profit_ticks
    ts_ns_t expire_ns
    int64_t confidence_ppm
    int32_t instrument
    int32_t side              # Side; 0 = hold
    int8_t order_type
    int8_t tif
    int8_t flags              # OrderFlag
    int8_t problem            # SignalProblem found while converting

# Decimal scale of one instrument: price = ticks * tick_num / tick_den.
cdef struct scale_t:
    double tick_num
    double tick_den
    double lot_num
    double lot_den

cdef inline double price_of(const scale_t* scale, price_ticks_t ticks) noexcept nogil:
    return <double>ticks * scale.tick_num / scale.tick_den

cdef inline double quantity_of(const scale_t* scale, lots_t lots) noexcept nogil:
    return <double>lots * scale.lot_num / scale.lot_den

cdef enum:
    KEY_CACHE_SIZE = 16       # a power of two

cdef class Indicators:
    cdef dict slots
    cdef double* values
    cdef int count
    cdef PyObject* cached_keys[KEY_CACHE_SIZE]   # names as a strategy writes them, owned
    cdef int cached_slots[KEY_CACHE_SIZE]
    # -- private --
    cdef int _find(self, object name, int place) except -1

cdef class MarketData:
    cdef readonly int64_t timestamp
    cdef readonly str symbol
    cdef readonly double open
    cdef readonly double high
    cdef readonly double low
    cdef readonly double close
    cdef readonly double volume
    cdef readonly object indicators
    cdef readonly bint ready

cdef class TradeSignal:
    cdef readonly int64_t id
    cdef readonly str symbol
    cdef readonly object size
    cdef readonly object stop_loss
    cdef readonly object take_profit
    cdef readonly object price
    cdef readonly object trigger
    cdef readonly object trail
    cdef readonly double confidence
    cdef readonly int64_t expire_ns
    cdef int8_t side
    cdef int8_t type_code
    cdef int8_t tif_code
    cdef int8_t flags
    cdef int to_core(self, const scale_t* scale, signal_t* out) except -1
    # -- private --
    cdef int _set_type(self, str order_type) except -1
    cdef int _set_tif(self, str time_in_force) except -1
    cdef int _prices_to_core(self, const scale_t* scale, int passive, signal_t* out) except -1

cdef class TradeResult:
    cdef readonly int64_t signal_id
    cdef readonly int64_t order_id
    cdef readonly double fill_price
    cdef readonly double quantity
    cdef readonly double commission
    cdef readonly double pnl
    cdef readonly str status
    cdef readonly str reason

cdef class AccountState:
    cdef Ledger ledger
    cdef int strategy
    cdef dict symbols         # symbol -> instrument index, both spellings
    cdef list names           # instrument index -> symbol
    cdef scale_t* scales      # its own copy: a strategy may ask after the run
    # -- private --
    cdef int _index(self, str symbol) except -1

cdef class CompiledStrategy:
    cdef readonly str name
    cdef public object indicators  # names; set them in initialize
    cdef readonly Ledger ledger
    cdef readonly int index
    # Each writes up to SIGNALS_MAX signals to `out` and returns how many.
    cdef int on_bar(self, const event_t* bar, const double* indicators, signal_t* out) except -1
    cdef int on_book(self, const event_t* delta, price_ticks_t bid, price_ticks_t ask,
                     signal_t* out) except -1
    cdef lots_t position_lots(self, int instrument) noexcept nogil
