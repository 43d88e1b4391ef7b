/* The second half of `_kernels.c`, which includes it: texts without a dictionary, and rows that repeat another one. */

/* --- texts: Arrow's int32 offsets and bytes, without a dictionary --- */

/* A text as two words of eight bytes and its length, which up to 16 bytes say all: its first eight (zeros behind where it
 * is shorter) and its last eight (the same where it is shorter). */
struct text {
    const uint8_t *bytes;
    uint64_t head, tail;
    int32_t length;
};

/* One known word in an open-addressing table; an empty slot has length -1. */
struct word {
    struct text text;
    int32_t cell;
};

static inline uint64_t mix(uint64_t x) { /* the finaliser of SplitMix64 (Steele, Lea, Flood 2014) */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The text at offsets[at]. Nothing at or after `end` is read. */
static inline struct text text_at(const int32_t *offsets, const uint8_t *data, const uint8_t *end, int64_t at) {
    struct text text = {data + offsets[at], 0, 0, offsets[at + 1] - offsets[at]};
    if (text.length > 8) {
        memcpy(&text.head, text.bytes, 8);
        memcpy(&text.tail, text.bytes + text.length - 8, 8);
        return text;
    }
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (end - text.bytes >= 8) { /* two shifts, because one by 64 is not defined */
        memcpy(&text.head, text.bytes, 8);
        const int unused = 4 * (8 - text.length);
        text.head = text.head << unused << unused >> unused >> unused;
        text.tail = text.head;
        return text;
    }
#else
    (void)end;
#endif
    memcpy(&text.head, text.bytes, (size_t)text.length);
    text.tail = text.head;
    return text;
}

static inline uint64_t hash_of(const struct text *text) {
    uint64_t hash = text->head * 0x9e3779b97f4a7c15u + text->tail + (uint64_t)text->length;
    for (int32_t at = 8; at < text->length - 8; at += 8) {
        uint64_t word;
        memcpy(&word, text->bytes + at, 8);
        hash = (hash ^ hash >> 29 ^ word) * 0xbf58476d1ce4e5b9u;
    }
    hash = (hash ^ hash >> 32) * 0x94d049bb133111ebu;
    return hash ^ hash >> 29;
}

static inline int same(const struct text *a, const struct text *b) {
    return a->head == b->head && a->tail == b->tail && a->length == b->length &&
           (a->length <= 16 || !memcmp(a->bytes + 8, b->bytes + 8, (size_t)a->length - 16));
}

/* Writes the hash of each of `n` texts; a null has the hash 1. `data_size`: bytes that `data` has. */
EXPORT void pitstop_hash_texts(const int32_t *offsets, const uint8_t *data, int64_t data_size, const uint8_t *validity,
                               int64_t offset, int64_t n, uint64_t *hashes) {
    for (int64_t i = 0; i < n; i++) {
        const struct text text = text_at(offsets, data, data + data_size, i);
        hashes[i] = present(validity, offset + i) ? hash_of(&text) : 1;
    }
}

/* Puts `n` different words with their cells into table[slots], a power of two above n that holds only empty slots. */
EXPORT void pitstop_words(const int32_t *offsets, const uint8_t *data, int64_t data_size, const int32_t *cells, int64_t n,
                          struct word *table, int64_t slots) {
    for (int64_t i = 0; i < n; i++) {
        const struct word word = {text_at(offsets, data, data + data_size, i), cells[i]};
        int64_t at = (int64_t)(hash_of(&word.text) & (uint64_t)(slots - 1));
        while (table[at].text.length >= 0) at = (at + 1) & (slots - 1);
        table[at] = word;
    }
}

/* Writes the cell of each of `n` texts: a known word's, `unknown` for another one, `absent` for a null. */
EXPORT void pitstop_cells(const int32_t *offsets, const uint8_t *data, int64_t data_size, const uint8_t *validity,
                          int64_t offset, int64_t n, const struct word *table, int64_t slots, int32_t unknown,
                          int32_t absent, int32_t *cells) {
    for (int64_t i = 0; i < n; i++) {
        cells[i] = absent;
        if (!present(validity, offset + i)) continue;
        const struct text text = text_at(offsets, data, data + data_size, i);
        int64_t at = (int64_t)(hash_of(&text) & (uint64_t)(slots - 1));
        while (table[at].text.length >= 0 && !same(&table[at].text, &text)) at = (at + 1) & (slots - 1);
        cells[i] = table[at].text.length >= 0 ? table[at].cell : unknown;
    }
}

/* Adds `n` texts to counts[windows][stride]: a known word to its cell, another one to `unknown`, a null to `absent`. */
EXPORT void pitstop_texts(const int32_t *offsets, const uint8_t *data, int64_t data_size, const uint8_t *validity,
                          int64_t offset, int64_t n, const struct word *table, int64_t slots, int32_t unknown,
                          const int32_t *window, int64_t stride, int64_t absent, int64_t *counts) {
    int32_t cells[BLOCK];
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t left = n - start, many = left < BLOCK ? left : BLOCK;
        pitstop_cells(offsets + start, data, data_size, validity, offset + start, many, table, slots, unknown,
                      (int32_t)absent, cells);
        pitstop_codes(cells, NULL, 0, many, (int32_t)absent + 1, NULL, window ? window + start : NULL, stride, absent,
                      counts);
    }
}

/* A text that was met, in the table of `pitstop_encode`: up to 24 bytes its three words say all. `code` is -1 where the place is
 * empty. */
struct met {
    uint64_t head, middle, tail;
    int32_t length, code;
};

static inline uint64_t bytes_at(const uint8_t *from, int32_t count) { /* at most 8, zeros behind them */
    uint64_t word = 0;
    memcpy(&word, from, (size_t)count);
    return word;
}

/* The words of a text: its first eight bytes, its last eight, and, beyond 16, the second eight. Where 24 bytes can be read, as
 * nearly everywhere, without a branch on its length, because lengths are as good as random. */
static inline struct met words_of(const uint8_t *text, int32_t length, const uint8_t *end) {
    struct met met = {0, 0, 0, length, -1};
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (__builtin_expect(end - text >= 24, 1)) {
        const int unused = length < 8 ? 4 * (8 - length) : 0;
        memcpy(&met.head, text, 8);
        memcpy(&met.middle, text + 8, 8);
        memcpy(&met.tail, text + (length > 8 ? length - 8 : 0), 8);
        met.head = met.head << unused << unused >> unused >> unused;
        met.tail = met.tail << unused << unused >> unused >> unused;
        met.middle &= length > 16 ? ~(uint64_t)0 : 0;
        return met;
    }
#endif
    met.head = bytes_at(text, length < 8 ? length : 8);
    met.middle = length > 16 ? bytes_at(text + 8, 8) : 0;
    met.tail = length > 8 ? bytes_at(text + length - 8, 8) : met.head;
    (void)end;
    return met;
}

/* Gives each of `n` texts the number of its word, in the order in which words are met, and 0 to a null; writes where each word
 * was met first. Returns the number of words, or -1 as soon as there are more than `limit`. `table` has `slots`, a power of two
 * above `limit`, each with the code -1. */
EXPORT int64_t pitstop_encode(const int32_t *offsets, const uint8_t *data, int64_t data_size, const uint8_t *validity,
                              int64_t offset, int64_t n, struct met *table, int64_t slots, int64_t limit, int32_t *codes,
                              int32_t *firsts) {
    int64_t words = 0;
    const uint8_t *end = data + data_size;
    const uint64_t last = (uint64_t)slots - 1;
    for (int64_t i = 0; i < n; i++) {
        codes[i] = 0;
        if (!present(validity, offset + i)) continue;
        const uint8_t *text = data + offsets[i];
        struct met met = words_of(text, offsets[i + 1] - offsets[i], end);
        uint64_t hash = (met.head ^ met.middle * 0x94d049bb133111ebu) * 0x9e3779b97f4a7c15u;
        hash += (met.tail + (uint64_t)met.length) * 0xbf58476d1ce4e5b9u;
        for (int32_t at = 16; at < met.length - 8; at += 8) /* only beyond 24 bytes */
            hash = (hash ^ hash >> 29 ^ bytes_at(text + at, 8)) * 0x94d049bb133111ebu;
        uint64_t place = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15u >> 40 & last;
        for (;; place = (place + 1) & last) {
            const struct met *known = table + place;
            if (known->code < 0) {
                if (words == limit) return -1;
                met.code = (int32_t)words;
                firsts[words++] = (int32_t)i;
                table[place] = met;
                codes[i] = met.code;
                break;
            }
            const uint64_t other = (known->head ^ met.head) | (known->middle ^ met.middle) | (known->tail ^ met.tail) |
                                   (uint64_t)(uint32_t)(known->length ^ met.length);
            if (!other && (met.length <= 24 || !memcmp(data + offsets[firsts[known->code]], text, (size_t)met.length))) {
                codes[i] = known->code;
                break;
            }
        }
    }
    return words;
}

/* --- rows that repeat another one of their window --- */

/* Folds a column into the hash of each row in rows[n] (all where it is NULL). Nulls and NaN are one value, and both zeros. */
EXPORT void pitstop_hash_numbers(const double *values, const uint8_t *validity, int64_t offset, const int32_t *rows,
                                 int64_t n, uint64_t *hashes) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = rows ? rows[i] : i;
        const double value = values[at] + 0.0;
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        if (value != value || !present(validity, offset + at)) bits = 0x7ff8000000000000u;
        hashes[i] = mix((hashes[i] ^ bits) + 0x9e3779b97f4a7c15u);
    }
}

/* The same for a column of codes, each of which stands for the word by_code[code]; a null for the word 1. */
EXPORT void pitstop_hash_codes(const int32_t *codes, const uint8_t *validity, int64_t offset, const int32_t *rows,
                               int64_t n, const uint64_t *by_code, uint64_t *hashes) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = rows ? rows[i] : i;
        const uint64_t word = present(validity, offset + at) ? by_code[codes[at]] : 1;
        hashes[i] = mix((hashes[i] ^ word) + 0x9e3779b97f4a7c15u);
    }
}

/* A place in the region of a window: region[w] to region[w + 1], which a window's rows share with no others. So rows that
 * come in order of their windows are looked up in memory that is near. */
static inline int64_t place_of(uint64_t hash, const int64_t *region) {
    return region[0] + (int64_t)((hash >> 32) * (uint64_t)(region[1] - region[0]) >> 32);
}

/* Keeps the rows whose hash may not be the only one of its window: rows[i] and hashes[i] move to the front; returns how
 * many. `seen` has a zero for each place, and a window's region has a place at least. A row alone in its place repeats
 * nothing. `window` (or NULL) is indexed by row. */
EXPORT int64_t pitstop_sift(uint64_t *hashes, int32_t *rows, int64_t n, const int32_t *window, const int64_t *region,
                            uint8_t *seen) {
    for (int64_t i = 0; i < n; i++) {
        const int64_t at = place_of(hashes[i], region + (window ? window[rows[i]] : 0));
        seen[at] = (uint8_t)(seen[at] * 2 + 1) & 3;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) {
        const uint64_t hash = hashes[i];
        const int32_t row = rows[i];
        hashes[kept] = hash;
        rows[kept] = row;
        kept += seen[place_of(hash, region + (window ? window[row] : 0))] == 3;
    }
    return kept;
}

/* Adds to repeats[windows] the rows that have the hash of an earlier one of their window. `seen` has a zero for each place,
 * and a window's region has more places than it has rows here. */
EXPORT void pitstop_repeats(const uint64_t *hashes, const int32_t *rows, int64_t n, const int32_t *window,
                            const int64_t *region, uint64_t *seen, int64_t *repeats) {
    for (int64_t i = 0; i < n; i++) {
        const int32_t w = window ? window[rows[i]] : 0;
        const uint64_t hash = hashes[i] ? hashes[i] : 1; /* 0 is an empty place */
        int64_t at = place_of(hash, region + w);
        while (seen[at] && seen[at] != hash)
            if (++at == region[w + 1]) at = region[w];
        repeats[w] += seen[at] != 0;
        seen[at] = hash;
    }
}

/* --- rows as hashes that are the same in every file and process: the definitions are in `records/row_words.py` --- */

#define MISSING_WORD 0xd1b54a32d192ed03u

static inline uint64_t folded(uint64_t state, uint64_t word) {
    state = (state ^ word) * 0xff51afd7ed558ccdu;
    return state ^ state >> 32;
}

/* Folds `n` numbers into the unfinished hash of each row. Nulls and NaN are one value, and both zeros. */
EXPORT void pitstop_stable_numbers(const double *values, const uint8_t *validity, int64_t offset, int64_t n, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) {
        const double value = values[i] + 0.0;
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        bits = value != value ? 0x7ff8000000000000u : bits;
        if (validity && !bit(validity, offset + i)) bits = 0x7ff8000000000000u;
        state[i] = folded(state[i], bits);
    }
}

/* The same for codes of `size` words, which by_code has; a null, and a code outside of them, is a missing word. */
EXPORT void pitstop_stable_codes(const int32_t *codes, const uint8_t *validity, int64_t offset, int64_t n,
                               const uint64_t *by_code, int64_t size, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) {
        const int known = present(validity, offset + i) && (uint32_t)codes[i] < (uint64_t)size;
        state[i] = folded(state[i], known ? by_code[codes[i]] : MISSING_WORD);
    }
}

/* Writes the word of each of `n` texts: the sum of its bytes, each times its place's odd random number (multilinear hashing;
 * Lemire and Kaser 2014). */
EXPORT void pitstop_stable_words(const int32_t *offsets, const uint8_t *data, int64_t data_size, const uint8_t *validity,
                               int64_t offset, int64_t n, uint64_t *words) {
    (void)data_size;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *text = data + offsets[i];
        const int64_t length = offsets[i + 1] - offsets[i];
        uint64_t total = (uint64_t)length;
        for (int64_t at = 0; at < length; at++)
            total += ((uint64_t)text[at] + 1) * (mix((uint64_t)(at + 1) * 0x9e3779b97f4a7c15u) | 1);
        words[i] = present(validity, offset + i) ? mix(total) : MISSING_WORD;
    }
}

/* --- many columns at once: a table of thousands of columns in small parts costs more in calls than in counting --- */

/* One column of doubles (`bins`), or of codes and the words that they stand for (`table`, as in `pitstop_cells`). Every field has
 * eight bytes. */
struct column {
    const void *values;
    const uint8_t *validity;
    int64_t offset;
    int64_t first; /* entry of a window's row at which its counts begin */
    int64_t cells; /* of codes: the cells, behind which nulls are counted */
    const struct bins *bins;
    const struct word *table;
    int64_t slots, unknown;
    const int32_t *word_offsets;
    const uint8_t *word_data;
    int64_t word_size;
    const uint8_t *word_validity;
    int64_t word_offset, words;
};

/* Counts `n` rows of each column into state[windows][stride] and folds them into the unfinished hash of each row, in the order of
 * the columns. `scratch` has room for 2 * cells of any bins, and for 2 * words. Returns -1, or the first column with a code out
 * of range, which is at row at[0]; the columns before it were counted. */
EXPORT int64_t pitstop_columns(const struct column *columns, int64_t count, int64_t n, const int32_t *window, int64_t stride,
                               int64_t *state, uint64_t *hashes, uint64_t *scratch, int64_t *at) {
    for (int64_t c = 0; c < count; c++) {
        const struct column k = columns[c];
        if (k.bins) {
            pitstop_histogram(k.values, k.validity, k.offset, n, window, k.bins, stride, state + k.first, scratch);
            pitstop_stable_numbers(k.values, k.validity, k.offset, n, hashes);
            continue;
        }
        int32_t *cells = (int32_t *)(void *)(scratch + k.words);
        pitstop_cells(k.word_offsets, k.word_data, k.word_size, k.word_validity, k.word_offset, k.words, k.table, k.slots,
                      (int32_t)k.unknown, (int32_t)k.cells, cells);
        at[0] = pitstop_codes(k.values, k.validity, k.offset, n, (int32_t)k.words, cells, window, stride, k.cells,
                              state + k.first);
        if (at[0] >= 0) return c;
        pitstop_stable_words(k.word_offsets, k.word_data, k.word_size, k.word_validity, k.word_offset, k.words, scratch);
        pitstop_stable_codes(k.values, k.validity, k.offset, n, scratch, k.words, hashes);
    }
    return -1;
}
