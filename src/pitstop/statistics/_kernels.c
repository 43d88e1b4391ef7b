/* Counting kernels: the only code that looks at every value of every row.
 *
 * Plain C without Python.h: a shared library that ctypes calls, so one build serves every Python version and the
 * interpreter's lock is free while it counts. Nothing here allocates, and no function of libm is called.
 *
 * The counts must be the same bits on every machine. Each value is therefore turned into integers by one comparison
 * per edge and one subtraction, one multiplication and one truncation (compile with -ffp-contract=off: a fused
 * multiply-add would round once less), and only integers are added up. tests/statistics/test_kernels.py holds the
 * same definitions in numpy.
 *
 * Many windows: `window` holds the window of each row (rows in any order; -1 leaves a row out), and the state is a matrix
 * with one row of `stride` entries for each window. Where `window` is NULL all rows are of window 0. The caller has checked
 * the range. Rows of one window that follow each other, as nearly all do where rows come in order of time, are counted as
 * if there were no other. The rows of the matrix lie `stride` entries apart, so it may be a part of a wider one.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* A body that is compiled twice on x86-64: for any processor, and with vectors of 32 bytes for one that has AVX2 (not FMA, which
 * would round differently). The same operations on the same values: the same bits. */
#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#define BODY static inline __attribute__((always_inline))
#define WIDE __attribute__((target("avx2")))

static volatile int known_wide = -1; /* not asked yet */

/* Whether the processor has AVX2 and the system keeps its registers: the answer is the same in every thread. */
static int has_wide(void) {
    if (known_wide < 0) {
        uint32_t a, b, c, d, kept = 0, high;
        int found = 0;
        if (__get_cpuid(1, &a, &b, &c, &d) && (c & bit_OSXSAVE)) {
            __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
            found = (kept & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
        }
        known_wide = found;
    }
    return known_wide;
}

/* Makes the plain bodies run from now on (0), so that tests can compare both, or what the processor has (-1). */
EXPORT void pitstop_use_wide(int32_t use) { known_wide = use ? -1 : 0; }
/* Defines pitstop_NAME(PARAMETERS) from NAME_body(wide, ...): the first argument says which of the two this is. */
#define TWICE(name, parameters, ...)                                        \
    static void name##_plain parameters { name##_body(0, __VA_ARGS__); }    \
    WIDE static void name##_wide parameters { name##_body(1, __VA_ARGS__); } \
    EXPORT void pitstop_##name parameters {                                 \
        if (has_wide()) name##_wide(__VA_ARGS__);                           \
        else name##_plain(__VA_ARGS__);                                     \
    }
#else
#define BODY static inline
#define TWICE(name, parameters, ...) EXPORT void pitstop_##name parameters { name##_body(0, __VA_ARGS__); }
EXPORT void pitstop_use_wide(int32_t use) { (void)use; }
#endif

#define BLOCK 1024 /* values; what is packed in `add` depends on it */
#define OFFSET_BITS 0x40f0000000000000u /* 65536.0 */
#define OFFSET_ONE 65536.0 /* a position within a cell is a fraction in units of 2^-16 */
#define LARGEST 1.7976931348623157e308
#define MIXED -2 /* rows of several windows */
#define MANY 64 /* rows of one window that are worth counting by themselves */

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
    int32_t crowded; /* whether a slot holds more than one edge, so that more than one may have to be stepped over */
};

static inline int bit(const uint8_t *bits, int64_t at) { return (bits[at >> 3] >> (at & 7)) & 1; }
static inline int present(const uint8_t *validity, int64_t at) { return !validity || bit(validity, at); }

/* The window of a whole block, or MIXED. */
static inline int32_t window_of(const int32_t *window, int64_t size) {
    if (!window) return 0;
    int32_t other = 0;
    for (int64_t i = 0; i < size; i++) other |= window[i] ^ window[0];
    return other ? MIXED : window[0];
}

/* Returns how many of the next `size` rows to count at once, and sets `here` to their window, or to MIXED. A window that has many of
 * them in a row is counted as if there were no other, since a look-up for each row costs several times as much. */
static inline int64_t next_rows(const int32_t *window, int64_t size, int32_t *here) {
    *here = window_of(window, size);
    if (*here != MIXED) return size;
    int64_t run = 0;
    for (int32_t other = 0; run + MANY <= size; run += MANY) { /* many at a time, which compilers vectorise */
        for (int64_t i = 0; i < MANY; i++) other |= window[run + i] ^ window[0];
        if (other) break;
    }
    while (window[run] == window[0]) run++; /* ends, because there is another one */
    if (run >= MANY) {
        *here = window[0];
        return run;
    }
    for (int64_t i = run, first = run; i < size; i++) { /* mixed up to where many of one window begin */
        if (window[i] != window[first]) first = i;
        else if (i - first + 1 == MANY) return first;
    }
    return size;
}

/* Returns the cell of a finite value and its position within it, and counts it where it lies beyond the outer cells. */
static inline int32_t locate(double value, int32_t slot, int crowded, const struct bins *bins, uint64_t *position,
                             int64_t *clipped) {
    int32_t cell = bins->table[slot];
    cell += bins->edges[cell] <= value; /* without a branch, because it is as good as random */
    if (crowded)
        while (__builtin_expect(bins->edges[cell] <= value, 0)) cell++;
    double exact = (value * 0.5 - bins->half_left[cell]) * bins->inverse[cell];
    uint64_t bits;
    memcpy(&bits, &exact, sizeof bits);
    if (__builtin_expect(bits >= OFFSET_BITS, 0)) { /* one comparison for both ends: a sign is the highest bit */
        if (!(exact >= 0.0 && exact < OFFSET_ONE)) {
            *clipped += cell == 0 || cell == bins->cells - 1;
            exact = exact < 0.0 ? 0.0 : OFFSET_ONE - 1.0;
        }
    }
    *position = (uint64_t)(int32_t)exact;
    return cell;
}

/* Adds one finite value to packed[cell]: from the lowest bit, 26 bits of positions, 26 of squares, 12 of counts. They
 * cannot run into each other within a block: 1024 * 65535 < 2^26. One addition in memory instead of three. */
static inline void add(double value, int32_t slot, int crowded, const struct bins *bins, uint64_t *packed,
                       int64_t *clipped) {
    uint64_t q;
    const int32_t cell = locate(value, slot, crowded, bins, &q, clipped);
    packed[cell] += q | (q * q >> 16) << 26 | (uint64_t)1 << 52;
}

/* Adds a block of finite values, every other one to the second half of `packed`: where many values in a row are of one cell, an
 * addition does not wait for the one before. */
static inline void add_all(const double *x, const int32_t *slot, int64_t size, int crowded, const struct bins *bins,
                           uint64_t *packed, int64_t *clipped) {
    int64_t i = 0;
    for (; i + 1 < size; i += 2) {
        add(x[i], slot[i], crowded, bins, packed, clipped);
        add(x[i + 1], slot[i + 1], crowded, bins, packed + bins->cells, clipped);
    }
    if (i < size) add(x[i], slot[i], crowded, bins, packed, clipped);
}

/* Adds `n` float64 values to state[windows][stride], each counts[cells], sums[cells], squares[cells], nulls, nonfinite, clipped.
 * `validity` is an Arrow bitmap that starts at bit `offset`, or NULL where no value is null. NaN counts as null.
 * `packed` has room for 2 * `cells` values. */
BODY void histogram_body(int wide, const double *values, const uint8_t *validity, int64_t offset, int64_t n, const int32_t *window,
                         const struct bins *given, int64_t stride, int64_t *state, uint64_t *packed) {
    (void)wide;
    const struct bins bins = *given; /* a copy, which no store through a pointer can change */
    const int32_t cells = bins.cells;
    const double origin = bins.origin, scale = bins.scale, top = (double)(bins.slots - 1);
    int32_t slot[BLOCK];

    for (int64_t start = 0, size; start < n; start += size) {
        const int64_t left = n - start;
        const int32_t *w = window ? window + start : NULL;
        int32_t here;
        size = next_rows(w, left < BLOCK ? left : BLOCK, &here);
        if (here == -1) continue;
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
        if (here == MIXED) {
            for (int64_t i = 0; i < size; i++) {
                if (w[i] < 0) continue;
                int64_t *row = state + w[i] * stride, *rest = row + 3 * cells;
                if (!present(validity, offset + start + i) || x[i] != x[i]) {
                    rest[0]++;
                } else if (!(x[i] <= LARGEST && x[i] >= -LARGEST)) {
                    rest[1]++;
                } else {
                    uint64_t q;
                    const int32_t cell = locate(x[i], slot[i], 1, &bins, &q, rest + 2);
                    row[cell]++;
                    row[cells + cell] += (int64_t)q;
                    row[2 * cells + cell] += (int64_t)(q * q >> 16);
                }
            }
            continue;
        }
        int64_t nulls = 0, nonfinite = 0, clipped = 0;
        for (int32_t c = 0; c < 2 * cells; c++) packed[c] = 0;
        if (!validity && !(special >> 63)) {
            if (bins.crowded) add_all(x, slot, size, 1, &bins, packed, &clipped);
            else add_all(x, slot, size, 0, &bins, packed, &clipped);
        } else {
            for (int64_t i = 0; i < size; i++) {
                if (!present(validity, offset + start + i)) {
                    nulls++;
                } else if (!(x[i] <= LARGEST && x[i] >= -LARGEST)) {
                    if (x[i] != x[i]) nulls++;
                    else nonfinite++;
                } else {
                    add(x[i], slot[i], 1, &bins, packed, &clipped);
                }
            }
        }
        int64_t *row = state + here * stride;
        for (int32_t c = 0; c < cells; c++) {
            const uint64_t both = packed[c] + packed[cells + c];
            row[c] += (int64_t)(both >> 52);
            row[cells + c] += (int64_t)(both & 0x3ffffff);
            row[2 * cells + c] += (int64_t)(both >> 26 & 0x3ffffff);
        }
        row[3 * cells] += nulls;
        row[3 * cells + 1] += nonfinite;
        row[3 * cells + 2] += clipped;
    }
}

TWICE(histogram,
      (const double *values, const uint8_t *validity, int64_t offset, int64_t n, const int32_t *window,
       const struct bins *given, int64_t stride, int64_t *state, uint64_t *packed),
      values, validity, offset, n, window, given, stride, state, packed)

/* Adds `n` codes of 0..size-1 to counts[windows][stride]: a code to the cell cell_of[code] (itself where that is NULL),
 * a null to the cell `absent`. Returns the position of the first code out of range in the first block that has one, before
 * which everything was counted, or -1. */
EXPORT int64_t pitstop_codes(const int32_t *codes, const uint8_t *validity, int64_t offset, int64_t n, int32_t size,
                             const int32_t *cell_of, const int32_t *window, int64_t stride, int64_t absent,
                             int64_t *counts) {
    for (int64_t start = 0, many; start < n; start += many) {
        const int64_t left = n - start;
        const int32_t *c = codes + start, *w = window ? window + start : NULL;
        int32_t here;
        many = next_rows(w, left < BLOCK ? left : BLOCK, &here);
        uint32_t wrong = 0;
        for (int64_t i = 0; i < many; i++) wrong |= (uint32_t)c[i] >= (uint32_t)size;
        if (!validity && !wrong && here >= 0) {
            int64_t *row = counts + here * stride;
            if (cell_of) {
                for (int64_t i = 0; i < many; i++) row[cell_of[c[i]]]++;
            } else {
                for (int64_t i = 0; i < many; i++) row[c[i]]++;
            }
            continue;
        }
        for (int64_t i = 0; i < many; i++) {
            const int32_t at = w ? w[i] : 0;
            if (at < 0) continue;
            int64_t *row = counts + at * stride;
            if (!present(validity, offset + start + i)) {
                row[absent]++;
            } else if (c[i] < 0 || c[i] >= size) {
                return start + i;
            } else {
                row[cell_of ? cell_of[c[i]] : c[i]]++;
            }
        }
    }
    return -1;
}

/* Adds `n` rows to counts[windows][groups * (steps + 2) + 1]: for each group the score bins 0..steps, then its rows without
 * a score (NaN). A group of -1 is counted in the last entry only. Returns the first position whose group or score is out
 * of range, before which everything was counted, or -1. */
EXPORT int64_t pitstop_scores(const double *scores, const int32_t *group, int64_t n, int32_t groups, int32_t steps,
                              const int32_t *window, int64_t *counts) {
    const double factor = (double)steps;
    const int64_t width = (int64_t)steps + 2, stride = groups * width + 1;
    for (int64_t i = 0; i < n; i++) {
        const int32_t at = window ? window[i] : 0;
        if (at < 0) continue;
        int64_t *row = counts + at * stride;
        const double s = scores[i];
        const int32_t g = group[i];
        if (g < -1 || g >= groups || s < 0.0 || s > 1.0) return i;
        if (g == -1) row[groups * width]++;
        else if (s != s) row[g * width + steps + 1]++;
        else row[g * width + (int64_t)(s * factor + 0.5)]++;
    }
    return -1;
}

/* What one column says about the leaf of a row: numbers against the thresholds of the nodes that ask for it, codes by a mask
 * for each code. Bit b of a mask says that the row may still end in leaf b, counted from the left. */
struct test {
    const double *values;       /* or NULL for codes */
    const int32_t *codes;
    const uint8_t *validity;    /* of codes */
    int64_t offset;
    const double *thresholds;   /* where a value reaches one (NaN never does), the row goes right of that node */
    const uint64_t *masks;      /* for each threshold, or for each code */
    uint64_t absent;            /* the mask of a null code */
    int64_t count;              /* of thresholds */
};

#define LANES 4
#define GROUP 16 /* rows whose masks are kept in registers while all thresholds of a column are tried */
typedef double four_numbers __attribute__((vector_size(8 * LANES), aligned(8)));
typedef uint64_t four_masks __attribute__((vector_size(8 * LANES), aligned(8)));

/* Strikes out of reach[size] the leaves that a column's numbers exclude; `size` is a multiple of GROUP. */
BODY void strike_numbers(int wide, const double *x, int64_t size, const struct test *test, uint64_t *reach) {
    if (!wide) { /* a threshold at a time, which compilers turn into vectors of any width */
        for (int64_t k = 0; k < test->count; k++) {
            const double threshold = test->thresholds[k];
            const uint64_t mask = test->masks[k];
            for (int64_t i = 0; i < size; i++) reach[i] &= x[i] >= threshold ? mask : ~(uint64_t)0;
        }
        return;
    }
    for (int64_t i = 0; i < size; i += GROUP) {
        four_numbers v[GROUP / LANES];
        four_masks r[GROUP / LANES];
        memcpy(v, x + i, sizeof v);
        memcpy(r, reach + i, sizeof r);
        for (int64_t k = 0; k < test->count; k++) {
            const double t = test->thresholds[k];
            const uint64_t m = test->masks[k];
            const four_numbers threshold = {t, t, t, t};
            const four_masks mask = {m, m, m, m};
            for (int g = 0; g < GROUP / LANES; g++) r[g] &= mask | ~(four_masks)(v[g] >= threshold);
        }
        memcpy(reach + i, r, sizeof r);
    }
}

/* Writes the leaf of each of the rows `from` to `to`. Instead of walking down the tree, where every step is a guess of the
 * processor that is often wrong, each node strikes out the leaves that a row cannot reach, and the leftmost that is left is
 * its leaf (Lucchese et al., "QuickScorer", 2015). leaf[b]: the number of the leaf at bit b. */
BODY void leaves_body(int wide, const struct test *tests, int64_t count, int64_t from, int64_t to, const int32_t *leaf,
                      int32_t *found) {
    uint64_t reach[BLOCK];
    double padded[GROUP];
    for (int64_t start = from; start < to; start += BLOCK) {
        const int64_t left = to - start, size = left < BLOCK ? left : BLOCK, whole = size / GROUP * GROUP;
        for (int64_t i = 0; i < BLOCK; i++) reach[i] = ~(uint64_t)0;
        for (int64_t c = 0; c < count; c++) {
            const struct test test = tests[c];
            if (test.values) {
                const double *x = test.values + start;
                strike_numbers(wide, x, whole, &test, reach);
                if (whole < size) { /* nothing behind the last row is read */
                    for (int64_t i = 0; i < GROUP; i++) padded[i] = whole + i < size ? x[whole + i] : 0.0;
                    strike_numbers(wide, padded, GROUP, &test, reach + whole);
                }
            } else {
                const int32_t *x = test.codes + start;
                if (!test.validity) {
                    for (int64_t i = 0; i < size; i++) reach[i] &= test.masks[x[i]];
                } else {
                    for (int64_t i = 0; i < size; i++)
                        reach[i] &= bit(test.validity, test.offset + start + i) ? test.masks[x[i]] : test.absent;
                }
            }
        }
        for (int64_t i = 0; i < size; i++) found[start + i] = leaf[__builtin_ctzll(reach[i])];
    }
}

TWICE(leaves,
      (const struct test *tests, int64_t count, int64_t from, int64_t to, const int32_t *leaf, int32_t *found),
      tests, count, from, to, leaf, found)

#include "_texts.h"
