/* pattern.h owns what kernels, the host that checks them and the tests compute alike: data, formats, indices,
 * references. Plain C17 that is device code, too: a machine without a GPU tests the text that a GPU runs. */
#pragma once
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define BOTH_SIDES static __host__ __device__ inline
#else
#define BOTH_SIDES static inline
#endif

/* --- the stream pattern: affine in the index of a word, so the sum over a buffer has a closed form --- */

#define PATTERN_STEP 0x9E3779B1u /* 2^32 over the golden ratio: odd, so neighbours differ in many bits */

BOTH_SIDES uint32_t pattern_word(uint64_t index, uint32_t seed)
{
    return (uint32_t)index * PATTERN_STEP + seed;
}

/* Sum of pattern_word over [0, words), modulo 2^32. Addition modulo 2^32 commutes: any order of adding gives it. */
BOTH_SIDES uint32_t pattern_sum(uint64_t words, uint32_t seed)
{
    uint64_t pairs = words % 2 ? words * ((words - 1) / 2) : words / 2 * (words - 1);
    return (uint32_t)pairs * PATTERN_STEP + (uint32_t)words * seed;
}

/* --- random bits: each is a pure function of (stream, index), so nothing is copied to be checked --- */

/* The mixer of Wellons' hash prospector ("lowbias32"). */
BOTH_SIDES uint32_t random_mix(uint32_t bits)
{
    bits ^= bits >> 16;
    bits *= 0x7feb352du;
    bits ^= bits >> 15;
    bits *= 0x846ca68bu;
    return bits ^ (bits >> 16);
}

BOTH_SIDES uint32_t random_bits(uint32_t stream, uint64_t index)
{
    return random_mix((uint32_t)index ^ random_mix(stream + 0x632be59bu * (uint32_t)(index >> 32)));
}

/* Below `limit`, which is far below 2^32: the bias does not matter. */
BOTH_SIDES uint32_t random_below(uint32_t stream, uint64_t index, uint32_t limit)
{
    return (uint32_t)(((uint64_t)random_bits(stream, index) * limit) >> 32);
}

/* Uniform in [-1, 1] with mantissas full of bits: zeros and small integers draw less power than weights do. */
BOTH_SIDES float random_unit(uint32_t stream, uint64_t index)
{
    return (float)(int32_t)random_bits(stream, index) * (1.0f / 2147483648.0f);
}

/* --- formats in integers, rounded to the nearest, ties to even: the same bits on host and device --- */

BOTH_SIDES uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

BOTH_SIDES float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

BOTH_SIDES uint16_t bf16_of_float(float value) /* finite */
{
    uint32_t bits = float_bits(value);
    return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

BOTH_SIDES float float_of_bf16(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

BOTH_SIDES uint32_t bf16_pair(float low, float high)
{
    return (uint32_t)bf16_of_float(low) | ((uint32_t)bf16_of_float(high) << 16);
}

BOTH_SIDES uint16_t fp16_of_float(float value) /* up to 65,504 */
{
    uint32_t bits = float_bits(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x38800000u) { /* 2^-14: normal */
        uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
        return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
    }
    /* Adding 1/2 rounds to a multiple of 2^-24, which is a subnormal's unit, and leaves it in the low bits. */
    float shifted = float_of_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (float_bits(shifted) - 0x3f000000u));
}

BOTH_SIDES float float_of_fp16(uint16_t bits)
{
    uint32_t exponent = (bits >> 10) & 31u, mantissa = bits & 0x3ffu;
    float magnitude =
        exponent ? float_of_bits(((exponent + 112u) << 23) | (mantissa << 13)) : (float)mantissa * (1.0f / 16777216.0f);
    return bits & 0x8000u ? -magnitude : magnitude;
}

/* E4M3 of the OCP 8-bit formats: bias 7, subnormals of 2^-9, no infinity, largest 448. Of |value| <= 448. */
BOTH_SIDES uint8_t e4m3_of_float(float value)
{
    uint32_t bits = float_bits(value), sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x3c800000u) { /* 2^-6: normal */
        uint32_t rounded = magnitude + 0x7ffffu + ((magnitude >> 20) & 1u);
        return (uint8_t)(sign | ((rounded - 0x3c000000u) >> 20));
    }
    /* A unit in the last place of 2^14 is 2^-9. */
    float shifted = float_of_bits(magnitude) + 16384.0f;
    return (uint8_t)(sign | (float_bits(shifted) - 0x46800000u));
}

BOTH_SIDES float float_of_e4m3(uint8_t bits) /* not NaN */
{
    uint32_t exponent = (bits >> 3) & 15u, mantissa = bits & 7u;
    float magnitude =
        exponent ? float_of_bits(((exponent + 120u) << 23) | (mantissa << 20)) : (float)mantissa * (1.0f / 512.0f);
    return bits & 0x80u ? -magnitude : magnitude;
}

BOTH_SIDES int8_t int8_of_bits(uint32_t bits) /* all 256 values alike */
{
    return (int8_t)(uint8_t)(bits >> 24);
}

/* A nibble holds a weight of -8 … 7 plus 8. */
BOTH_SIDES int32_t int4_of_nibble(uint32_t nibble)
{
    return (int32_t)(nibble & 15u) - 8;
}

/* Two bf16 from the nibbles at bits 0-3 and 16-19, plus 128: 0x4300 is 128.0, whose last place counts ones. What takes
 * 136 off again is one exact fused multiply-add on the device. Known from FasterTransformer's and Marlin's kernels. */
BOTH_SIDES uint32_t int4_biased_pair(uint32_t word, uint32_t pair)
{
    return ((word >> (4u * pair)) & 0x000f000fu) | 0x43004300u;
}

#define INT4_BIAS_PAIR 0xc308c308u /* -136.0 twice, in bf16 */

/* --- a pointer chase: one cycle through all lines --- */

/* Sattolo's algorithm: partners below i, never i itself, leave exactly one cycle. */
BOTH_SIDES void chase_build(uint32_t *next, uint32_t lines, uint32_t stream)
{
    for (uint32_t i = 0; i < lines; i++)
        next[i] = i;
    for (uint32_t i = lines; i-- > 1;) {
        uint32_t partner = random_below(stream, i, i), held = next[i];
        next[i] = next[partner];
        next[partner] = held;
    }
}

BOTH_SIDES uint32_t chase_walk(const uint32_t *next, uint32_t from, uint64_t hops)
{
    for (; hops; hops--)
        from = next[from];
    return from;
}

/* --- the paged KV cache: [page][key or value][KV head][token of the page][dimension], 2 bytes each --- */

enum { KV_PAGE_TOKENS = 16, KV_DIMENSIONS = 128 };
enum kv_part { KV_KEY, KV_VALUE };

BOTH_SIDES uint64_t kv_index(uint32_t page, enum kv_part part, uint32_t head, uint32_t token, uint32_t dimension,
                             uint32_t heads)
{
    uint64_t row = (((uint64_t)page * 2u + (uint32_t)part) * heads + head) * KV_PAGE_TOKENS + token;
    return row * KV_DIMENSIONS + dimension;
}

/* The page that holds the i-th run of tokens. An odd factor permutes [0, 2^b): each page is read once, so no cache
 * helps by accident, and neighbours lie far apart, as in a server that has run for long. */
BOTH_SIDES uint32_t kv_page(uint32_t logical_page, uint32_t pages_power_of_2)
{
    return (logical_page * PATTERN_STEP) & (pages_power_of_2 - 1u);
}

BOTH_SIDES uint32_t round_up_to_power_of_2(uint32_t value)
{
    uint32_t power = 1;
    while (power < value)
        power *= 2;
    return power;
}

/* --- sizes --- */

BOTH_SIDES uint64_t divide_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit;
}

#define CACHE_MULTIPLE 5 /* of L2: what is read in turn has left the cache when its turn comes again */

/* How many buffers to take in turn. */
BOTH_SIDES uint32_t rotation_count(uint64_t bytes_each, uint64_t l2_bytes)
{
    if (bytes_each == 0 || bytes_each >= CACHE_MULTIPLE * l2_bytes) return 1;
    return (uint32_t)divide_up(CACHE_MULTIPLE * l2_bytes, bytes_each) + 1;
}

/* Into how many parts to split each of `blocks` sequences so that `slots` blocks at a time end soonest. A block takes
 * its share of the pages by `warps`, and about two pages' time to fill its ring and to hand its result on. */
BOTH_SIDES uint32_t decode_splits(uint32_t blocks, uint32_t slots, uint32_t pages, uint32_t warps)
{
    uint32_t best = 1, most = (uint32_t)divide_up(pages, warps);
    uint64_t best_time = UINT64_MAX;
    for (uint32_t splits = 1; splits <= most && splits <= 128; splits++) {
        uint64_t waves = divide_up((uint64_t)blocks * splits, slots);
        uint64_t time = waves * (divide_up(pages, (uint64_t)splits * warps) + 2);
        if (time >= best_time) continue;
        best_time = time;
        best = splits;
    }
    return best;
}

/* --- what a matrix product is made of --- */

enum gemm_dtype { GEMM_BF16, GEMM_FP16, GEMM_TF32, GEMM_FP32, GEMM_E4M3, GEMM_INT8, GEMM_INT4_BF16, GEMM_DTYPES };
enum gemm_operand { GEMM_ACTIVATIONS, GEMM_WEIGHTS };
enum { STREAM_ACTIVATIONS = 21, STREAM_WEIGHTS = 22, STREAM_KV = 41, STREAM_QUERY = 42 }; /* of random_bits */

struct gemm_format {
    const char *name;         /* probe_shape.dtype */
    uint32_t activation_bits; /* of an element */
    uint32_t weight_bits;
    int capability;   /* the least compute capability (10 * major + minor) whose tensor cores take it */
    double scale;     /* root mean square of an activation times that of a weight */
    double tolerance; /* of an output, as a share of the outputs' standard deviation scale * sqrt(k) */
};

/* Tolerances: bf16 and fp16 outputs are rounded by 2^-9 and 2^-12 of up to 4 standard deviations; tf32 rounds operands
 * to 2^-11; tensor cores of compute capability 8.9 and 9.0 add e4m3 products in about 14 bits (DeepSeek-V3, 3.3.2). */
static inline const struct gemm_format *gemm_format_of(enum gemm_dtype dtype)
{
    static const struct gemm_format formats[GEMM_DTYPES] = {
        /* GEMM_BF16 */ {"bf16", 16, 16, 80, 1.0 / 3, 0.02},
        /* GEMM_FP16 */ {"fp16", 16, 16, 75, 1.0 / 3, 0.02},
        /* GEMM_TF32 */ {"tf32", 32, 32, 80, 1.0 / 3, 0.01},
        /* GEMM_FP32 */ {"fp32", 32, 32, 0, 1.0 / 3, 1e-4},
        /* GEMM_E4M3 */ {"fp8_e4m3", 8, 8, 89, 1.0 / 3, 0.05},
        /* GEMM_INT8 */ {"int8", 8, 8, 75, 65536.0 / 12, 1e-9},
        /* GEMM_INT4_BF16 */ {"int4_bf16", 16, 4, 80, 0.57735 * 4.63681, 1e-3},
    };
    return &formats[dtype];
}

/* The element at `index` of an operand, as the kernels' data has it. */
BOTH_SIDES float gemm_element(enum gemm_dtype dtype, enum gemm_operand operand, uint64_t index)
{
    uint32_t stream = operand == GEMM_WEIGHTS ? STREAM_WEIGHTS : STREAM_ACTIVATIONS;
    if (dtype == GEMM_INT8) return (float)int8_of_bits(random_bits(stream, index));
    if (dtype == GEMM_INT4_BF16 && operand == GEMM_WEIGHTS)
        return (float)int4_of_nibble(random_bits(stream, index) >> 28);
    float value = random_unit(stream, index);
    if (dtype == GEMM_BF16 || dtype == GEMM_INT4_BF16) return float_of_bf16(bf16_of_float(value));
    if (dtype == GEMM_FP16) return float_of_fp16(fp16_of_float(value));
    if (dtype == GEMM_E4M3) return float_of_e4m3(e4m3_of_float(value));
    return value;
}

/* Output [row][column] of activations [m][k] by weights [n][k] transposed, in double. */
static inline double gemm_reference(enum gemm_dtype dtype, uint64_t row, uint64_t column, uint32_t k)
{
    double sum = 0;
    for (uint64_t i = 0; i < k; i++)
        sum += (double)gemm_element(dtype, GEMM_ACTIVATIONS, row * k + i) *
               (double)gemm_element(dtype, GEMM_WEIGHTS, column * k + i);
    return sum;
}

/* --- what attention is made of: all data is bf16 of a random stream --- */

BOTH_SIDES float bf16_element(uint32_t stream, uint64_t index)
{
    return float_of_bf16(bf16_of_float(random_unit(stream, index)));
}

struct attention_query {
    const uint32_t *table; /* physical page of each run of KV_PAGE_TOKENS tokens of the sequence */
    uint64_t query_row;    /* sequence * query heads + query head: row of the queries and of the outputs */
    uint32_t kv_head, kv_heads, tokens;
};

static inline double attention_score(const struct attention_query *query, uint32_t token)
{
    double sum = 0;
    uint32_t page = query->table[token / KV_PAGE_TOKENS];
    uint64_t key = kv_index(page, KV_KEY, query->kv_head, token % KV_PAGE_TOKENS, 0, query->kv_heads);
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
        sum += (double)bf16_element(STREAM_QUERY, query->query_row * KV_DIMENSIONS + d) *
               (double)bf16_element(STREAM_KV, key + d);
    return sum / sqrt((double)KV_DIMENSIONS);
}

/* Of outputs times the root of the tokens, which then have a deviation of 0.6. bf16 rounds them by up to 0.004; one
 * page of 8,192 tokens read in another's place moves one of 128 outputs by 0.05 and more. */
#define ATTENTION_TOLERANCE 0.015

/* All outputs of one query head, in double. Scores are below 12 in magnitude, so exp needs no maximum taken off. */
static inline void attention_reference(const struct attention_query *query, double ret_output[KV_DIMENSIONS])
{
    double weight_sum = 0, output[KV_DIMENSIONS] = {0};
    for (uint32_t token = 0; token < query->tokens; token++) {
        double weight = exp(attention_score(query, token));
        uint32_t page = query->table[token / KV_PAGE_TOKENS];
        uint64_t value = kv_index(page, KV_VALUE, query->kv_head, token % KV_PAGE_TOKENS, 0, query->kv_heads);
        weight_sum += weight;
        for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
            output[d] += weight * (double)bf16_element(STREAM_KV, value + d);
    }
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
        ret_output[d] = output[d] / weight_sum;
}
