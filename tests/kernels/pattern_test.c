/* pattern_test.c owns the proof of kernels/pattern.h: closed sums, formats, cycles, permutations, references. */
#include "kernels/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_sum_is_closed(void **state)
{
    (void)state;
    for (uint64_t words = 0; words < 3000; words += 7) {
        uint32_t sum = 0;
        for (uint64_t i = 0; i < words; i++)
            sum += pattern_word(i, 5);
        assert_int_equal(sum, pattern_sum(words, 5));
    }
    assert_int_equal(pattern_word(1ull << 32, 9), pattern_word(0, 9));
    /* One buffer of 2^32 words repeats itself: the sum is that of all residues. */
    assert_int_equal(pattern_sum(1ull << 32, 0), 0x80000000u);
}

static void test_sum_sees_what_is_lost(void **state)
{
    (void)state;
    const uint64_t words = 1ull << 28;
    uint32_t whole = pattern_sum(words, 1);
    assert_int_not_equal(whole, pattern_sum(words - 4, 1));
    for (uint64_t vector = 0; vector < 4096; vector++) { /* one of 16 bytes read twice in another's place */
        uint32_t lost = 0, twice = 0;
        for (uint64_t i = 0; i < 4; i++) {
            lost += pattern_word(vector * 4 + i, 1);
            twice += pattern_word(vector * 4 + 4 + i, 1);
        }
        assert_int_not_equal(lost, twice);
    }
}

static void test_random_is_uniform(void **state)
{
    (void)state;
    double sum = 0, squares = 0;
    uint32_t ones[32] = {0};
    for (uint64_t i = 0; i < 100000; i++) {
        double value = (double)random_unit(3, i);
        assert_true(value >= -1 && value <= 1);
        sum += value;
        squares += value * value;
        for (uint32_t bit = 0; bit < 32; bit++)
            ones[bit] += (random_bits(3, i) >> bit) & 1u;
    }
    assert_true(fabs(sum / 1e5) < 0.01);
    assert_true(fabs(squares / 1e5 - 1.0 / 3) < 0.01);
    for (uint32_t bit = 0; bit < 32; bit++)
        assert_true(ones[bit] > 49000 && ones[bit] < 51000);
    assert_int_not_equal(random_bits(1, 7), random_bits(2, 7));
    assert_int_not_equal(random_bits(1, 7), random_bits(1, 7 + (1ull << 32)));
}

/* --- formats, against all values and the compiler's own conversions --- */

/* IEEE 754-2019, binary16: 1.m * 2^(e - 15), 0.m * 2^-14. */
static double fp16_by_definition(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31u), mantissa = (int)(bits & 0x3ffu);
    double magnitude = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return bits & 0x8000u ? -magnitude : magnitude;
}

static void test_every_fp16(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000u; bits++) {
        if ((bits & 0x7c00u) == 0x7c00u) continue; /* infinities, NaNs */
        assert_true((double)float_of_fp16((uint16_t)bits) == fp16_by_definition(bits));
        assert_int_equal(fp16_of_float(float_of_fp16((uint16_t)bits)), bits);
    }
}

/* No neighbour is nearer, and of two as near the even one was taken. */
static void assert_nearest_fp16(float value)
{
    uint32_t bits = fp16_of_float(value), magnitude = bits & 0x7fffu;
    double distance = fabs(fp16_by_definition(magnitude) - fabs((double)value));
    assert_int_equal(bits >> 15, signbit(value) ? 1 : 0);
    for (uint32_t other = magnitude ? magnitude - 1 : 0; other <= magnitude + 1 && other < 0x7c00u; other++) {
        double other_distance = fabs(fp16_by_definition(other) - fabs((double)value));
        assert_true(other == magnitude || distance < other_distance ||
                    (distance == other_distance && magnitude % 2 == 0));
    }
}

static void test_rounding_to_fp16(void **state)
{
    (void)state;
    static const float scales[] = {65504, 1, 0x1p-13f, 0x1p-14f, 0x1p-20f, 0x1p-24f, 0x1p-26f};
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
        for (uint64_t i = 0; i < 20000; i++)
            assert_nearest_fp16(random_unit(4, i) * scales[s]);
    for (uint16_t half = 0; half < 0x7bff; half++) { /* ties, all of them */
        float tie = (float_of_fp16(half) + float_of_fp16((uint16_t)(half + 1))) / 2;
        assert_int_equal(fp16_of_float(tie) & 1, 0);
        assert_nearest_fp16(tie);
    }
}

static void test_rounding_to_bf16(void **state)
{
    (void)state;
    for (uint32_t high = 0; high < 0x7f7fu; high += 3) { /* between two neighbours: the nearer, of a tie the even one */
        uint32_t base = high << 16;
        assert_int_equal(bf16_of_float(float_of_bits(base)), high);
        assert_int_equal(bf16_of_float(float_of_bits(base + 0x7fffu)), high);
        assert_int_equal(bf16_of_float(float_of_bits(base + 0x8001u)), high + 1);
        assert_int_equal(bf16_of_float(float_of_bits(base + 0x8000u)), high + (high & 1u));
    }
    assert_int_equal(bf16_of_float(-1), 0xbf80);
    assert_true(float_of_bf16(0x4049) == 3.140625f);
    assert_int_equal(bf16_pair(1, -2), 0xc0003f80u);
}

/* OCP 8-bit floating point, 5.2: 1.s.m * 2^(e - 7), 0.m * 2^-6. */
static double e4m3_by_definition(uint32_t bits)
{
    int exponent = (int)(bits >> 3 & 15u), mantissa = (int)(bits & 7u);
    double magnitude = exponent ? ldexp(8 + mantissa, exponent - 10) : ldexp(mantissa, -9);
    return bits & 0x80u ? -magnitude : magnitude;
}

static bool is_nan_e4m3(uint32_t bits)
{
    return (bits & 0x7fu) == 0x7fu;
}

static void test_every_e4m3(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 256; bits++) {
        if (is_nan_e4m3(bits)) continue;
        assert_true((double)float_of_e4m3((uint8_t)bits) == e4m3_by_definition(bits));
        assert_int_equal(e4m3_of_float(float_of_e4m3((uint8_t)bits)), bits);
    }
    assert_true(float_of_e4m3(0x7e) == 448);
}

static uint32_t nearest_e4m3(double value)
{
    uint32_t best = 0;
    double best_distance = INFINITY;
    for (uint32_t bits = 0; bits < 0x7f; bits++) {
        double distance = fabs(e4m3_by_definition(bits) - fabs(value));
        if (distance > best_distance || (distance == best_distance && bits % 2)) continue;
        best_distance = distance;
        best = bits;
    }
    return best | (signbit(value) ? 0x80u : 0);
}

static void test_rounding_to_e4m3(void **state)
{
    (void)state;
    static const float scales[] = {448, 16, 1, 0x1p-5f, 0x1p-6f, 0x1p-9f, 0x1p-10f};
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++)
        for (uint64_t i = 0; i < 2000; i++) {
            float value = random_unit(6, i) * scales[s];
            assert_int_equal(e4m3_of_float(value), nearest_e4m3((double)value));
        }
    for (uint8_t bits = 0; bits < 0x7e; bits++) {
        float tie = (float_of_e4m3(bits) + float_of_e4m3((uint8_t)(bits + 1))) / 2;
        assert_int_equal(e4m3_of_float(tie), nearest_e4m3((double)tie));
    }
}

static void test_every_int4(void **state)
{
    (void)state;
    for (uint32_t low = 0; low < 16; low++)
        for (uint32_t high = 0; high < 16; high++)
            for (uint32_t pair = 0; pair < 4; pair++) {
                uint32_t noise = 0xa5a5a5a5u & ~(0x000f000fu << (4 * pair));
                uint32_t two = int4_biased_pair(noise | low << (4 * pair) | high << (4 * pair + 16), pair);
                float bias = float_of_bf16((uint16_t)INT4_BIAS_PAIR);
                assert_true(float_of_bf16((uint16_t)two) + bias == (float)int4_of_nibble(low));
                assert_true(float_of_bf16((uint16_t)(two >> 16)) + bias == (float)int4_of_nibble(high));
            }
    assert_int_equal(INT4_BIAS_PAIR >> 16, INT4_BIAS_PAIR & 0xffffu);
}

/* --- indices --- */

static void test_chase_is_one_cycle(void **state)
{
    (void)state;
    for (uint32_t lines = 1; lines < 5000; lines = lines * 3 / 2 + 1) {
        uint32_t *next = malloc(lines * sizeof *next);
        assert_non_null(next);
        chase_build(next, lines, 7);
        uint32_t at = 0, hops = 0;
        do {
            at = next[at];
            hops++;
        } while (at != 0 && hops <= lines);
        assert_int_equal(hops, lines);
        assert_int_equal(chase_walk(next, 0, lines), 0);
        assert_int_equal(chase_walk(next, 0, 3 * (uint64_t)lines + 1), next[0]);
        free(next);
    }
}

static void test_pages_are_a_permutation(void **state)
{
    (void)state;
    for (uint32_t pages = 1; pages <= 8192; pages *= 2) {
        bool *seen = calloc(pages, sizeof *seen);
        assert_non_null(seen);
        for (uint32_t i = 0; i < pages; i++) {
            uint32_t page = kv_page(i, pages);
            assert_true(page < pages);
            assert_false(seen[page]);
            seen[page] = true;
        }
        free(seen);
    }
    for (uint32_t i = 0; i + 1 < 8192; i++) { /* neighbours lie apart */
        int64_t apart = (int64_t)kv_page(i + 1, 8192) - kv_page(i, 8192);
        assert_true(apart > 16 || apart < -16);
    }
}

static void test_kv_index_is_dense(void **state)
{
    (void)state;
    uint64_t expected = 0;
    for (uint32_t page = 0; page < 2; page++)
        for (uint32_t part = KV_KEY; part <= KV_VALUE; part++)
            for (uint32_t head = 0; head < 3; head++)
                for (uint32_t token = 0; token < KV_PAGE_TOKENS; token++)
                    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
                        assert_int_equal(kv_index(page, (enum kv_part)part, head, token, d, 3), expected++);
    assert_true(kv_index(1u << 20, KV_KEY, 0, 0, 0, 8) > UINT32_MAX);
}

static void test_rotation_exceeds_the_cache(void **state)
{
    (void)state;
    for (uint64_t l2_mib = 1; l2_mib <= 256; l2_mib *= 2)
        for (uint64_t mib = 1; mib <= 4096; mib *= 2) {
            uint32_t count = rotation_count(mib << 20, l2_mib << 20);
            assert_true(count == 1 ? mib >= 5 * l2_mib : (count - 1) * mib >= 5 * l2_mib);
            assert_true(count == 1 || (count - 2) * mib < 5 * l2_mib); /* and no more than that */
        }
    assert_int_equal(rotation_count(0, 1), 1);
    assert_int_equal(rotation_count(128 << 20, 0), 1);
}

static void test_splits_fill_the_device(void **state)
{
    (void)state;
    assert_int_equal(decode_splits(1024, 396, 1, 4), 1); /* nothing to split */
    for (uint32_t blocks = 1; blocks <= 4096; blocks *= 2)
        for (uint32_t pages = 1; pages <= 4096; pages *= 2) {
            uint32_t splits = decode_splits(blocks, 396, pages, 4);
            assert_in_range(splits, 1, divide_up(pages, 4));
        }
    assert_true(decode_splits(8, 396, 512, 4) * 8 > 200); /* one sequence of 8 heads: most of the slots work */
    assert_int_equal(round_up_to_power_of_2(1), 1);
    assert_int_equal(round_up_to_power_of_2(513), 1024);
}

/* --- references --- */

static void test_scale_of_outputs(void **state)
{
    (void)state;
    for (uint32_t dtype = 0; dtype < GEMM_DTYPES; dtype++) {
        double squares = 0, expected = gemm_format_of(dtype)->scale * sqrt(512.0);
        for (uint32_t i = 0; i < 2000; i++) {
            double output = gemm_reference(dtype, i / 50, i % 50, 512);
            squares += output * output;
        }
        double measured = sqrt(squares / 2000);
        assert_true(measured > 0.85 * expected && measured < 1.15 * expected);
    }
}

static void test_reference_of_a_product(void **state)
{
    (void)state;
    double sum = 0;
    for (uint64_t i = 0; i < 64; i++)
        sum += (double)float_of_bf16(bf16_of_float(random_unit(STREAM_ACTIVATIONS, 3 * 64 + i))) *
               (double)float_of_bf16(bf16_of_float(random_unit(STREAM_WEIGHTS, 5 * 64 + i)));
    assert_true(gemm_reference(GEMM_BF16, 3, 5, 64) == sum);
    assert_true(gemm_reference(GEMM_BF16, 5, 3, 64) != sum);
    for (uint64_t i = 0; i < 100; i++) {
        float weight = gemm_element(GEMM_INT4_BF16, GEMM_WEIGHTS, i);
        assert_true(weight >= -8 && weight <= 7 && weight == floorf(weight));
    }
}

/* Probabilities sum to one: with one token the output is its value, with more it lies within the values. */
static void test_reference_of_attention(void **state)
{
    (void)state;
    const uint32_t table[] = {3, 1, 2};
    double output[KV_DIMENSIONS];
    struct attention_query query = {.table = table, .query_row = 2, .kv_head = 1, .kv_heads = 2, .tokens = 1};
    attention_reference(&query, output);
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
        assert_true(fabs(output[d] - (double)bf16_element(STREAM_KV, kv_index(3, KV_VALUE, 1, 0, d, 2))) < 1e-12);
    query.tokens = 40;
    attention_reference(&query, output);
    double square = 0;
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
        square += output[d] * output[d];
    assert_true(square / KV_DIMENSIONS < 1.0 / 3 / 20); /* an average of 40 values of variance 1/3 */
    assert_true(square / KV_DIMENSIONS > 1.0 / 3 / 80);
}

/* What the probe's tolerance has to see: a page read in another's place. */
static void test_wrong_page_is_seen(void **state)
{
    (void)state;
    enum { TOKENS = 8192, PAGES = TOKENS / KV_PAGE_TOKENS };
    static uint32_t table[PAGES];
    double right[KV_DIMENSIONS], wrong[KV_DIMENSIONS], worst = 0;
    for (uint32_t i = 0; i < PAGES; i++)
        table[i] = kv_page(i, PAGES);
    struct attention_query query = {.table = table, .query_row = 0, .kv_head = 0, .kv_heads = 8, .tokens = TOKENS};
    attention_reference(&query, right);
    table[PAGES / 2] = table[PAGES / 2 + 1];
    attention_reference(&query, wrong);
    for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
        worst = fmax(worst, fabs(right[d] - wrong[d]) * sqrt(TOKENS));
    assert_true(worst > 2 * ATTENTION_TOLERANCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_is_closed),
        cmocka_unit_test(test_sum_sees_what_is_lost),
        cmocka_unit_test(test_random_is_uniform),
        cmocka_unit_test(test_every_fp16),
        cmocka_unit_test(test_rounding_to_fp16),
        cmocka_unit_test(test_rounding_to_bf16),
        cmocka_unit_test(test_every_e4m3),
        cmocka_unit_test(test_rounding_to_e4m3),
        cmocka_unit_test(test_every_int4),
        cmocka_unit_test(test_chase_is_one_cycle),
        cmocka_unit_test(test_pages_are_a_permutation),
        cmocka_unit_test(test_kv_index_is_dense),
        cmocka_unit_test(test_rotation_exceeds_the_cache),
        cmocka_unit_test(test_splits_fill_the_device),
        cmocka_unit_test(test_scale_of_outputs),
        cmocka_unit_test(test_reference_of_a_product),
        cmocka_unit_test(test_reference_of_attention),
        cmocka_unit_test(test_wrong_page_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
