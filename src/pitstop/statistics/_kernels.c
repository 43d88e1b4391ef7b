/* Counting kernels: the only code that looks at every value of every row.
 *
 * Plain C without Python.h: a shared library that ctypes calls, so one build serves every Python version and the
 * interpreter's lock is free while it counts. Nothing here allocates, and no function of libm is called.
 *
 * The counts must be the same bits on every machine. Each value is therefore turned into integers by one comparison
 * per edge and one subtraction, one multiplication and one truncation (compile with -ffp-contract=off: a fused
 * multiply-add would round once less), and only integers are added up. tests/statistics/test_kernels.py holds the
 * same definitions in numpy.
 */
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

#define BLOCK 1024 /* values; what is packed in `add` depends on it */
#define OFFSET_ONE 65536.0 /* a position within a cell is a fraction in units of 2^-16 */
#define LARGEST 1.7976931348623157e308

/* Where values are counted. `edges` has `cells` entries: the strictly increasing edges, then +inf as a sentinel.
 * `table` has `slots` entries: the number of edges whose own slot lies before this one. The slot of a value is a
 * monotone function of it, so the table never overshoots and the few edges in the same slot are stepped over. */
struct bins {
    const double *edges;
    const uint16_t *table;
    const double *half_left;   /* left end of each cell, halved so that no difference overflows */
    const double *inverse;     /* 2^16 / half width of each cell; 0 where positions are not kept */
    double origin;
    double scale;
    int32_t slots;
    int32_t cells;
};

static inline int bit(const uint8_t *bits, int64_t at) { return (bits[at >> 3] >> (at & 7)) & 1; }

/* Adds one finite value to packed[cell]: from the lowest bit, 26 bits of positions, 26 of squares, 12 of counts. They
 * cannot run into each other within a block: 1024 * 65535 < 2^26. One addition in memory instead of three. */
static inline void add(double value, int32_t slot, const struct bins *bins, uint64_t *packed, int64_t *clipped) {
    int32_t cell = bins->table[slot];
    cell += bins->edges[cell] <= value; /* without a branch, because it is as good as random */
    while (__builtin_expect(bins->edges[cell] <= value, 0)) cell++;
    double position = (value * 0.5 - bins->half_left[cell]) * bins->inverse[cell];
    if (__builtin_expect(!(position >= 0.0 && position < OFFSET_ONE), 0)) {
        *clipped += cell == 0 || cell == bins->cells - 1;
        position = position < 0.0 ? 0.0 : OFFSET_ONE - 1.0;
    }
    const uint64_t q = (uint64_t)(int32_t)position;
    packed[cell] += q | (q * q >> 16) << 26 | (uint64_t)1 << 52;
}

/* Adds `n` float64 values to state = counts[cells], sums[cells], squares[cells], nulls, nonfinite, clipped.
 * `validity` is an Arrow bitmap that starts at bit `offset`, or NULL where no value is null. NaN counts as null.
 * `packed` has room for `cells` values. */
EXPORT void pitstop_histogram(const double *values, const uint8_t *validity, int64_t offset, int64_t n,
                              const struct bins *given, int64_t *state, uint64_t *packed) {
    const struct bins bins = *given; /* a copy, which no store through a pointer can change */
    const int32_t cells = bins.cells;
    const double origin = bins.origin, scale = bins.scale, top = (double)(bins.slots - 1);
    int64_t nulls = 0, nonfinite = 0, clipped = 0;
    int32_t slot[BLOCK];

    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t left = n - start, size = left < BLOCK ? left : BLOCK;
        const double *x = values + start;
        /* The first pass has neither a branch nor a table, so that compilers vectorise it. Adding one to an exponent of all
         * ones (NaN, infinities) carries into the sign. */
        uint64_t special = 0;
        for (int64_t i = 0; i < size; i++) {
            uint64_t bits;
            __builtin_memcpy(&bits, x + i, sizeof bits);
            special |= (bits & 0x7ff0000000000000u) + 0x0010000000000000u;
            double t = (x[i] - origin) * scale;
            t = t > 0.0 ? t : 0.0; /* also NaN */
            slot[i] = (int32_t)(t < top ? t : top);
        }
        for (int32_t c = 0; c < cells; c++) packed[c] = 0;
        if (!validity && !(special >> 63)) {
            for (int64_t i = 0; i < size; i++) add(x[i], slot[i], &bins, packed, &clipped);
        } else {
            for (int64_t i = 0; i < size; i++) {
                if (validity && !bit(validity, offset + start + i)) {
                    nulls++;
                } else if (!(x[i] <= LARGEST && x[i] >= -LARGEST)) {
                    if (x[i] != x[i]) nulls++;
                    else nonfinite++;
                } else {
                    add(x[i], slot[i], &bins, packed, &clipped);
                }
            }
        }
        for (int32_t c = 0; c < cells; c++) {
            state[c] += (int64_t)(packed[c] >> 52);
            state[cells + c] += (int64_t)(packed[c] & 0x3ffffff);
            state[2 * cells + c] += (int64_t)(packed[c] >> 26 & 0x3ffffff);
        }
    }
    state[3 * cells] += nulls;
    state[3 * cells + 1] += nonfinite;
    state[3 * cells + 2] += clipped;
}

/* Adds `n` codes to counts[size] and nulls to counts[size]. Returns the position of the first code outside
 * 0..size-1, before which everything was counted, or -1. */
EXPORT int64_t pitstop_codes(const int32_t *codes, const uint8_t *validity, int64_t offset, int64_t n, int32_t size,
                             int64_t *counts) {
    for (int64_t i = 0; i < n; i++) {
        if (validity && !bit(validity, offset + i)) {
            counts[size]++;
            continue;
        }
        const int32_t code = codes[i];
        if (code < 0 || code >= size) return i;
        counts[code]++;
    }
    return -1;
}

/* Adds `n` rows to counts[groups][steps + 2]: score bins 0..steps, then rows without a score (NaN). A group of -1 is
 * left out and counted in counts[groups * (steps + 2)]. Returns the first position whose group or score is out of
 * range, before which everything was counted, or -1. */
EXPORT int64_t pitstop_scores(const double *scores, const int32_t *group, int64_t n, int32_t groups, int32_t steps,
                              int64_t *counts) {
    const double factor = (double)steps;
    const int64_t width = (int64_t)steps + 2;
    for (int64_t i = 0; i < n; i++) {
        const double s = scores[i];
        const int32_t g = group[i];
        if (g < -1 || g >= groups || s < 0.0 || s > 1.0) return i;
        if (g == -1) counts[groups * width]++;
        else if (s != s) counts[g * width + steps + 1]++;
        else counts[g * width + (int64_t)(s * factor + 0.5)]++;
    }
    return -1;
}
