/* Checked integer arithmetic with 128-bit intermediates.
 *
 * Every function returns 0 on success and -1 when the result does not fit in int64 (or the
 * divisor is not positive); *out is written only on success. */
#ifndef MMATS_FIXED_H
#define MMATS_FIXED_H
#include <stdint.h>

typedef __int128 mmats_i128;

static inline int mmats_add(int64_t a, int64_t b, int64_t *out) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return -1;
    *out = sum;
    return 0;
}

static inline int mmats_sub(int64_t a, int64_t b, int64_t *out) {
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference)) return -1;
    *out = difference;
    return 0;
}

static inline int mmats_mul(int64_t a, int64_t b, int64_t *out) {
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return -1;
    *out = product;
    return 0;
}

static inline int mmats_narrow(mmats_i128 wide, int64_t *out) {
    if (wide > INT64_MAX || wide < INT64_MIN) return -1;
    *out = (int64_t)wide;
    return 0;
}

/* a * b / d rounded toward minus infinity; *remainder (0 <= r < d) may be NULL. */
static inline int mmats_muldiv_floor(int64_t a, int64_t b, int64_t d, int64_t *out, int64_t *remainder) {
    int64_t narrow;
    if (d <= 0) return -1;
    if (!__builtin_mul_overflow(a, b, &narrow)) {
        if (d == 1) { /* most instruments: spares the division */
            *out = narrow;
            if (remainder) *remainder = 0;
            return 0;
        }
        int64_t q = narrow / d, r = narrow % d;
        if (r < 0) { q -= 1; r += d; }
        *out = q;
        if (remainder) *remainder = r;
        return 0;
    }
    mmats_i128 wide = (mmats_i128)a * b, q = wide / d, r = wide % d;
    if (r < 0) { q -= 1; r += d; }
    if (mmats_narrow(q, out)) return -1;
    if (remainder) *remainder = (int64_t)r;
    return 0;
}

/* a * b / d rounded toward plus infinity. */
static inline int mmats_muldiv_ceil(int64_t a, int64_t b, int64_t d, int64_t *out) {
    int64_t q, r;
    if (mmats_muldiv_floor(a, b, d, &q, &r)) return -1;
    return mmats_add(q, r != 0, out);
}

/* a * b / d rounded half to even. */
static inline int mmats_muldiv_even(int64_t a, int64_t b, int64_t d, int64_t *out) {
    int64_t q, r;
    if (mmats_muldiv_floor(a, b, d, &q, &r)) return -1;
    int64_t rest = d - r;
    return mmats_add(q, (r > rest) || (r == rest && (q & 1)), out);
}

#endif
