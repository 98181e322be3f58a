// Reference for the order book benchmark: a fixed price-indexed array a side with a 2-level
// bitmap. It does the least that a correct best bid and ask need: no sequence numbers, no stale
// states, no levels outside the array, no checks. Rows are event_t of mmats/_core/types.pxd.
#include <cstdint>
#include <cstring>

namespace {

constexpr int64_t TICKS = 16384;
constexpr int64_t WORDS = TICKS / 64;
constexpr int64_t SUMMARY_WORDS = WORDS / 64;
constexpr uint8_t DELTA_ASK = 1;

struct Event {
    uint8_t kind, flags;
    uint16_t spread_ticks;
    uint32_t instrument;
    int64_t ts_event_ns, ts_recv_ns, price_ticks, lots, first_sequence, last_sequence, unused;
};
static_assert(sizeof(Event) == 64, "layout of event_t");

struct Side {
    int64_t lots[TICKS];
    uint64_t words[WORDS];
    uint64_t summary[SUMMARY_WORDS];

    void set(int64_t i) {
        words[i >> 6] |= 1ULL << (i & 63);
        summary[i >> 12] |= 1ULL << ((i >> 6) & 63);
    }

    void clear(int64_t i) {
        if ((words[i >> 6] &= ~(1ULL << (i & 63))) == 0)
            summary[i >> 12] &= ~(1ULL << ((i >> 6) & 63));
    }

    int64_t below(int64_t i) const {  // greatest level <= i, or -1
        uint64_t word = words[i >> 6] & (~0ULL >> (63 - (i & 63)));
        if (word) return (i & ~63) + 63 - __builtin_clzll(word);
        int64_t w = i >> 6, s = w >> 6;
        uint64_t sum = summary[s] & ((1ULL << (w & 63)) - 1);
        while (!sum) {
            if (--s < 0) return -1;
            sum = summary[s];
        }
        w = s * 64 + 63 - __builtin_clzll(sum);
        return w * 64 + 63 - __builtin_clzll(words[w]);
    }

    int64_t above(int64_t i) const {  // least level >= i, or TICKS
        uint64_t word = words[i >> 6] & (~0ULL << (i & 63));
        if (word) return (i & ~63) + __builtin_ctzll(word);
        int64_t w = i >> 6, s = w >> 6;
        uint64_t sum = (w & 63) == 63 ? 0 : summary[s] & (~0ULL << ((w & 63) + 1));
        while (!sum) {
            if (++s == SUMMARY_WORDS) return TICKS;
            sum = summary[s];
        }
        w = s * 64 + __builtin_ctzll(sum);
        return w * 64 + __builtin_ctzll(words[w]);
    }
};

struct Ladder {
    Side bids, asks;
    int64_t best_bid, best_ask;

    void apply(int64_t i, int64_t lots, bool is_ask) {
        Side& side = is_ask ? asks : bids;
        side.lots[i] = lots;
        if (lots) {
            side.set(i);
            if (is_ask) {
                if (i < best_ask) best_ask = i;
            } else if (i > best_bid) {
                best_bid = i;
            }
        } else {
            side.clear(i);
            if (is_ask) {
                if (i == best_ask) best_ask = asks.above(i);
            } else if (i == best_bid) {
                best_bid = bids.below(i);
            }
        }
    }
};

Ladder ladder;

void reset() {
    std::memset(&ladder, 0, sizeof ladder);
    ladder.best_bid = -1;
    ladder.best_ask = TICKS;
}

}  // namespace

extern "C" {

// Best bid ticks, bid lots, ask ticks, ask lots after each row, into out[4 * n].
void ladder_apply_and_read(const Event* rows, int64_t n, int64_t base, int64_t* out) {
    reset();
    for (int64_t k = 0; k < n; k++) {
        const Event& row = rows[k];
        ladder.apply(row.price_ticks - base, row.lots, row.flags & DELTA_ASK);
        bool bid = ladder.best_bid >= 0, ask = ladder.best_ask < TICKS;
        out[4 * k] = bid ? base + ladder.best_bid : 0;
        out[4 * k + 1] = bid ? ladder.bids.lots[ladder.best_bid] : 0;
        out[4 * k + 2] = ask ? base + ladder.best_ask : 0;
        out[4 * k + 3] = ask ? ladder.asks.lots[ladder.best_ask] : 0;
    }
}

// The same updates without the reads; returns the last best bid and ask so that none is dropped.
int64_t ladder_apply(const Event* rows, int64_t n, int64_t base) {
    reset();
    for (int64_t k = 0; k < n; k++)
        ladder.apply(rows[k].price_ticks - base, rows[k].lots, rows[k].flags & DELTA_ASK);
    return 2 * base + ladder.best_bid + ladder.best_ask;
}
}
