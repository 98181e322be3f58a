/* One step of a running fingerprint: words folded in pairs by multiplication to 128 bits, as in
 * wyhash (Wang Yi); the products do not depend on each other, so they overlap in time. */
#ifndef MMATS_MIX_H
#define MMATS_MIX_H
#include <stdint.h>

static inline uint64_t mmats_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* `word_count` is even; a constant there unrolls the loop. */
static inline uint64_t mmats_mix(uint64_t state, const void *words, int word_count) {
    static const uint64_t keys[4] = {
        0x9e3779b97f4a7c15u, 0xbf58476d1ce4e5b9u, 0x94d049bb133111ebu, 0xd6e8feb86659fd93u,
    };
    const uint64_t *word = (const uint64_t *)words;
    uint64_t total = 0;
    for (int k = 0; k < word_count; k += 2) {
        /* The place of a pair counts: equal pairs at two places must not cancel out. */
        total = ((total << 7) | (total >> 57))
            ^ mmats_fold(word[k] ^ keys[k & 2], word[k + 1] ^ keys[(k & 2) + 1]);
    }
    return mmats_fold(state ^ keys[0], total ^ keys[3]);
}

#endif
