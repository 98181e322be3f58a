/* The C reference of the bar benchmark: one event in, decision, checks, order, fill, books, record.
 *
 * It does what the pipeline does for a bar and a market order, with nothing around it: marks the
 * account, calls the strategy through a pointer, runs ten checks, writes the order and the journal
 * record, and posts the fill. Rules of the strategy: see benchmarks/reference.py. */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { RING = 4096, CHECKS = 10, WARM_UP_BARS = 20 };

typedef struct { int64_t ts; double open, high, low, close, volume; } bar_t;

typedef struct { double fast, slow, position; int64_t index; } strategy_t;

typedef struct { int64_t ts, sequence; double price, quantity, fee, cash; int32_t state, side; } order_t;

typedef struct { int64_t ts, order_id; double observed, limit, equity, position; int32_t kind, reason; } record_t;

typedef struct {
    double cash, position, cost, mark, equity, peak, drawdown, realized, fees, day_start;
} ledger_t;

typedef struct {
    double quantity_max, notional_max, notional_min, collar, position_max, exposure_max, loss_max, drawdown_max;
    int64_t orders_max;
    int32_t state;
} limits_t;

typedef struct { int64_t orders, denied; double pnl; uint64_t check; } result_t;

typedef double decide_t(strategy_t *, const bar_t *);

static order_t orders[RING];
static record_t journal[RING];

/* Returns the signed quantity to trade, 0 for none. */
static double ema_cross(strategy_t *s, const bar_t *bar) {
    const double fast_alpha = 2.0 / 11.0, slow_alpha = 2.0 / 21.0;
    if (s->index == 0) s->fast = s->slow = bar->close;
    s->fast += fast_alpha * (bar->close - s->fast);
    s->slow += slow_alpha * (bar->close - s->slow);
    if (s->index++ < WARM_UP_BARS || s->fast == s->slow) return 0.0;
    double wanted = s->fast > s->slow ? 0.1 : -0.1;
    double quantity = wanted - s->position;
    s->position = wanted;
    return quantity;
}

/* Read anew at each run, so that the compiler can't inline the strategy. */
static decide_t *volatile chosen = ema_cross;

static void mark(ledger_t *l, double price) {
    l->mark = price;
    l->equity = l->cash + l->position * price;
    if (l->equity > l->peak) l->peak = l->equity;
    l->drawdown = l->peak - l->equity;
}

/* 0 = allowed, else the number of the check that said no. */
static int32_t check(const limits_t *m, const ledger_t *l, double quantity, double price, int64_t sent) {
    double size = fabs(quantity), notional = size * price, after = fabs(l->position + quantity);
    if (m->state != 1) return 1;
    if (!(size > 0.0) || !isfinite(size)) return 2;
    if (size > m->quantity_max) return 3;
    if (notional < m->notional_min || notional > m->notional_max) return 4;
    if (fabs(price - l->mark) > m->collar * l->mark) return 5;
    if (after > m->position_max) return 6;
    if (after * price > m->exposure_max) return 7;
    if (l->day_start - l->equity > m->loss_max) return 8;
    if (l->drawdown > m->drawdown_max) return 9;
    if (sent >= m->orders_max) return CHECKS;
    return 0;
}

static void fill(ledger_t *l, double quantity, double price, double fee) {
    double before = l->position, after = before + quantity;
    if (before * quantity >= 0.0) {
        l->cost += quantity * price;
    } else {
        double closed = fabs(quantity) < fabs(before) ? -quantity : before;
        double average = l->cost / before;
        l->realized += closed * (price - average);
        l->cost = fabs(quantity) < fabs(before) ? l->cost - closed * average : after * price;
    }
    l->cash -= quantity * price + fee;
    l->fees += fee;
    l->position = after;
}

static void record(int64_t n, const order_t *o, const ledger_t *l, int32_t kind, int32_t reason) {
    record_t *r = &journal[n & (RING - 1)];
    *r = (record_t){o->ts, o->sequence, o->quantity, o->price, l->equity, l->position, kind, reason};
}

void run_event_loop(const bar_t *bars, int64_t n, result_t *out) {
    const limits_t limits = {1e6, 1e9, 1e-6, 0.05, 1e3, 1e9, 1e12, 1e12, INT64_MAX, 1};
    ledger_t ledger = {0};
    strategy_t strategy = {0};
    decide_t *decide = chosen;
    int64_t sent = 0, denied = 0, records = 0;
    for (int64_t i = 0; i < n; i++) {
        const bar_t *bar = &bars[i];
        mark(&ledger, bar->close);
        double quantity = decide(&strategy, bar);
        if (quantity == 0.0) continue;
        order_t *order = &orders[sent & (RING - 1)];
        double fee = fabs(quantity) * bar->close * 1e-4;
        *order = (order_t){bar->ts, sent, bar->close, quantity, fee, ledger.cash, 0, quantity > 0 ? 1 : -1};
        int32_t reason = check(&limits, &ledger, quantity, bar->close, sent);
        record(records++, order, &ledger, 1, reason);
        if (reason) { denied++; continue; }
        sent++;
        fill(&ledger, quantity, bar->close, fee);
        mark(&ledger, bar->close);
        order->state = 2;
        record(records++, order, &ledger, 2, 0);
    }
    uint64_t bits = 0;
    for (int64_t k = 0; k < RING; k++) bits = bits * 31 + (uint64_t)journal[k].order_id;
    *out = (result_t){sent, denied, ledger.cash + ledger.position * ledger.mark, bits};
}

/* The averages and the position alone: what no engine can be faster than. */
void run_closes(const double *closes, int64_t n, result_t *out) {
    const double fast_alpha = 2.0 / 11.0, slow_alpha = 2.0 / 21.0;
    double fast = closes[0], slow = closes[0], position = 0.0, cash = 0.0;
    int64_t sent = 0;
    for (int64_t i = 0; i < n; i++) {
        fast += fast_alpha * (closes[i] - fast);
        slow += slow_alpha * (closes[i] - slow);
        if (i < WARM_UP_BARS || fast == slow) continue;
        double wanted = fast > slow ? 0.1 : -0.1;
        if (wanted != position) {
            double quantity = wanted - position;
            cash -= quantity * closes[i] + fabs(quantity) * closes[i] * 1e-4;
            position = wanted;
            sent++;
        }
    }
    *out = (result_t){sent, 0, cash + position * closes[n - 1], 0};
}
