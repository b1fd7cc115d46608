/* fragment_test.c owns the proof of kernels/fragment.h: a warp on the CPU, with ldmatrix and mma.sync as the PTX ISA
 * has them, fed by the functions that the kernels call. The tables here are written from the manual, not from
 * fragment.h. */
#include "kernels/fragment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct warp_registers {
    uint32_t of[WARP_LANES][4];
};

/* ldmatrix.x4: matrix i has its eight row addresses from lanes 8i … 8i+7; lane l gets elements 2(l%4) and 2(l%4)+1 of
 * row l/4, or of column l/4 with .trans. */
static struct warp_registers load_matrices(const unsigned char *memory, const uint32_t addresses[WARP_LANES],
                                           bool trans)
{
    struct warp_registers registers;
    for (uint32_t matrix = 0; matrix < 4; matrix++)
        for (uint32_t lane = 0; lane < WARP_LANES; lane++) {
            uint16_t pair[2];
            for (uint32_t i = 0; i < 2; i++) {
                uint32_t along = 2 * (lane % 4) + i, across = lane / 4;
                uint32_t row = trans ? along : across, column = trans ? across : along;
                memcpy(&pair[i], memory + addresses[8 * matrix + row] + 2 * column, 2);
            }
            registers.of[lane][matrix] = pair[0] | (uint32_t)pair[1] << 16;
        }
    return registers;
}

/* Each phase of ldmatrix reads eight rows of 16 bytes: they must lie in eight different groups of four banks. */
static void assert_no_bank_conflict(const uint32_t addresses[WARP_LANES])
{
    for (uint32_t matrix = 0; matrix < 4; matrix++) {
        uint32_t seen = 0;
        for (uint32_t i = 0; i < 8; i++) {
            assert_int_equal(addresses[8 * matrix + i] % 16, 0);
            seen |= 1u << (addresses[8 * matrix + i] / 16 % 8);
        }
        assert_int_equal(seen, 0xff);
    }
}

/* The value of element `index` in a register: two of 16 bits or four of 8. */
typedef double decode_element(uint32_t bits, uint32_t index);

static double decode_bf16(uint32_t bits, uint32_t index)
{
    return (double)float_of_bf16((uint16_t)(bits >> (16 * index)));
}

static double decode_fp16(uint32_t bits, uint32_t index)
{
    return (double)float_of_fp16((uint16_t)(bits >> (16 * index)));
}

static double decode_int8(uint32_t bits, uint32_t index)
{
    return (int8_t)(uint8_t)(bits >> (8 * index));
}

static double decode_e4m3(uint32_t bits, uint32_t index)
{
    return (double)float_of_e4m3((uint8_t)(bits >> (8 * index)));
}

struct element_type {
    enum gemm_dtype dtype;
    uint32_t bytes;
    decode_element *decode;
};

static const struct element_type bf16 = {GEMM_BF16, 2, decode_bf16};

/* mma.m16n8k16 of 16 bits: groupID = lane / 4, threadID = lane % 4. A, of elements i = 0 … 7: row groupID for i in 0,
 * 1, 4, 5, else groupID + 8; column threadID * 2 + (i & 1), + 8 for i >= 4. B, i = 0 … 3: row threadID * 2 + (i & 1), +
 * 8 for i >= 2; column groupID. m16n8k32 of 8 bits: A, i = 0 … 15: row groupID for i in 0-3, 8-11, else + 8; column
 * threadID * 4
 * + (i & 3), + 16 for i >= 8; B, i = 0 … 7: row threadID * 4 + (i & 3), + 16 for i >= 4. */
static void spread_a(const struct element_type *type, const struct warp_registers *a, double matrix[16][32])
{
    uint32_t each = 4 / type->bytes;
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t i = 0; i < 4 * each; i++) {
            uint32_t row = lane / 4 + (i / each % 2 ? 8 : 0);
            uint32_t column = lane % 4 * each + i % each + (i >= 2 * each ? 4 * each : 0);
            matrix[row][column] = type->decode(a->of[lane][i / each], i % each);
        }
}

static void spread_b(const struct element_type *type, uint32_t b[WARP_LANES][2], double matrix[32][8])
{
    uint32_t each = 4 / type->bytes;
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t i = 0; i < 2 * each; i++) {
            uint32_t row = lane % 4 * each + i % each + (i >= each ? 4 * each : 0);
            matrix[row][lane / 4] = type->decode(b[lane][i / each], i % each);
        }
}

/* C and D, i = 0 … 3: row groupID, + 8 for i >= 2; column threadID * 2 + (i & 1). */
static void multiply_add(const struct element_type *type, const struct warp_registers *a, uint32_t b[WARP_LANES][2],
                         double c[WARP_LANES][4])
{
    double left[16][32], right[32][8];
    spread_a(type, a, left);
    spread_b(type, b, right);
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t row = lane / 4 + (i >= 2 ? 8 : 0), column = lane % 4 * 2 + (i & 1);
            for (uint32_t k = 0; k < MMA_K_BYTES / type->bytes; k++)
                c[lane][i] += left[row][k] * right[k][column];
        }
}

/* Registers 0, 1 of an x4 load serve the first eight columns, 2, 3 the next. */
static void split_b(const struct warp_registers *loaded, uint32_t block, uint32_t ret_b[WARP_LANES][2])
{
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t i = 0; i < 2; i++)
            ret_b[lane][i] = loaded->of[lane][2 * block + i];
}

static void store_element(unsigned char *at, enum gemm_dtype dtype, enum gemm_operand operand, uint64_t index)
{
    float value = gemm_element(dtype, operand, index);
    uint16_t wide = dtype == GEMM_FP16 ? fp16_of_float(value) : bf16_of_float(value);
    if (dtype == GEMM_INT8)
        *(int8_t *)at = (int8_t)value;
    else if (dtype == GEMM_E4M3)
        *at = e4m3_of_float(value);
    else
        memcpy(at, &wide, sizeof wide);
}

/* --- a warp's 16 x 16 outputs over one stage of 64 bytes of K, as kernels/gemm_mma.cu computes them --- */

static void fill_tile(const struct element_type *type, enum gemm_operand operand, unsigned char tile[16 * 64])
{
    uint32_t k = 64 / type->bytes, each = 16 / type->bytes;
    for (uint32_t row = 0; row < 16; row++)
        for (uint32_t i = 0; i < k; i++)
            store_element(tile + fragment_tile_offset(row, i / each) + i % each * type->bytes, type->dtype, operand,
                          (uint64_t)row * k + i);
}

static void check_product(const struct element_type *type)
{
    static unsigned char a_tile[16 * 64], b_tile[16 * 64];
    double c[2][WARP_LANES][4] = {0};
    fill_tile(type, GEMM_ACTIVATIONS, a_tile);
    fill_tile(type, GEMM_WEIGHTS, b_tile);
    for (uint32_t step = 0; step < 2; step++) {
        uint32_t a_at[WARP_LANES], b_at[WARP_LANES], b[WARP_LANES][2];
        for (uint32_t lane = 0; lane < WARP_LANES; lane++) {
            a_at[lane] = fragment_tile_offset(fragment_a_row(lane), fragment_a_chunk(lane, step));
            b_at[lane] = fragment_tile_offset(fragment_b_row(lane), fragment_b_chunk(lane, step));
        }
        assert_no_bank_conflict(a_at);
        assert_no_bank_conflict(b_at);
        struct warp_registers a = load_matrices(a_tile, a_at, false), loaded = load_matrices(b_tile, b_at, false);
        for (uint32_t block = 0; block < 2; block++) {
            split_b(&loaded, block, b);
            multiply_add(type, &a, b, c[block]);
        }
    }
    for (uint32_t block = 0; block < 2; block++)
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            for (uint32_t e = 0; e < 4; e++) {
                uint32_t row = fragment_c_row(lane, e), column = block * 8 + fragment_c_column(lane, e);
                double expected = gemm_reference(type->dtype, row, column, 64 / type->bytes);
                assert_true(fabs(c[block][lane][e] - expected) < 1e-9 * (1 + fabs(expected)));
            }
}

static void test_products_of_16_bits(void **state)
{
    (void)state;
    check_product(&bf16);
    check_product(&(struct element_type){GEMM_FP16, 2, decode_fp16});
}

static void test_products_of_8_bits(void **state)
{
    (void)state;
    check_product(&(struct element_type){GEMM_INT8, 1, decode_int8});
    check_product(&(struct element_type){GEMM_E4M3, 1, decode_e4m3});
}

static void test_swizzles_are_permutations(void **state)
{
    (void)state;
    bool tile[16 * 4] = {0}, wide[16 * 16] = {0};
    for (uint32_t row = 0; row < 16; row++)
        for (uint32_t chunk = 0; chunk < 16; chunk++) {
            uint32_t at = fragment_wide_offset(row, chunk);
            assert_int_equal(at / 256, row);
            assert_false(wide[at / 16]);
            wide[at / 16] = true;
            if (chunk >= 4) continue;
            at = fragment_tile_offset(row, chunk);
            assert_int_equal(at / 64, row);
            assert_false(tile[at / 16]);
            tile[at / 16] = true;
        }
}

/* --- one page of attention, as kernels/decode.cu computes it --- */

enum { HEADS = 1, QUERIES = 16 };

static double query_value(uint32_t row, uint32_t d)
{
    return (double)bf16_element(STREAM_QUERY, row * KV_DIMENSIONS + d);
}

static double page_value(enum kv_part part, uint32_t token, uint32_t d)
{
    return (double)bf16_element(STREAM_KV, kv_index(0, part, 0, token, d, HEADS));
}

static void fill_page(enum kv_part part, unsigned char page[16 * 256])
{
    for (uint32_t token = 0; token < KV_PAGE_TOKENS; token++)
        for (uint32_t d = 0; d < KV_DIMENSIONS; d++) {
            uint16_t value = bf16_of_float((float)page_value(part, token, d));
            memcpy(page + fragment_wide_offset(token, d / 8) + d % 8 * 2, &value, sizeof value);
        }
}

static struct warp_registers load_queries(uint32_t step)
{
    struct warp_registers queries;
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t e = 0; e < 4; e++) {
            uint32_t row = fragment_a_register_row(lane, e), d = step * 16 + fragment_a_register_column(lane, e);
            queries.of[lane][e] = bf16_pair((float)query_value(row, d), (float)query_value(row, d + 1));
        }
    return queries;
}

static void compute_scores(double scores[2][WARP_LANES][4])
{
    static unsigned char keys[16 * 256];
    fill_page(KV_KEY, keys);
    for (uint32_t step = 0; step < KV_DIMENSIONS / 16; step++) {
        uint32_t at[WARP_LANES], b[WARP_LANES][2];
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            at[lane] = fragment_wide_offset(fragment_b_row(lane), fragment_b_chunk(lane, step));
        assert_no_bank_conflict(at);
        struct warp_registers queries = load_queries(step), loaded = load_matrices(keys, at, false);
        for (uint32_t block = 0; block < 2; block++) {
            split_b(&loaded, block, b);
            multiply_add(&bf16, &queries, b, scores[block]);
        }
    }
}

static void test_scores(void **state)
{
    (void)state;
    double scores[2][WARP_LANES][4] = {0};
    compute_scores(scores);
    for (uint32_t block = 0; block < 2; block++)
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            for (uint32_t e = 0; e < 4; e++) {
                uint32_t row = fragment_c_row(lane, e), token = block * 8 + fragment_c_column(lane, e);
                double expected = 0;
                for (uint32_t d = 0; d < KV_DIMENSIONS; d++)
                    expected += query_value(row, d) * page_value(KV_KEY, token, d);
                assert_true(fabs(scores[block][lane][e] - expected) < 1e-9);
            }
}

/* Accumulators of the scores turn into the left operand with no lane handing anything over. */
static struct warp_registers pack_probabilities(double scores[2][WARP_LANES][4])
{
    struct warp_registers p;
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t e = 0; e < 4; e++) {
            const double *from = &scores[fragment_p_block(e)][lane][fragment_p_element(e)];
            p.of[lane][e] = bf16_pair((float)from[0], (float)from[1]);
        }
    return p;
}

static void test_outputs(void **state)
{
    (void)state;
    static unsigned char values[16 * 256];
    static double scores[2][WARP_LANES][4], output[16][WARP_LANES][4];
    compute_scores(scores);
    fill_page(KV_VALUE, values);
    double weight[QUERIES][KV_PAGE_TOKENS];
    for (uint32_t block = 0; block < 2; block++)
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            for (uint32_t e = 0; e < 4; e++)
                weight[fragment_c_row(lane, e)][block * 8 + fragment_c_column(lane, e)] =
                    (double)float_of_bf16(bf16_of_float((float)scores[block][lane][e]));
    struct warp_registers p = pack_probabilities(scores);
    for (uint32_t pair = 0; pair < KV_DIMENSIONS / 16; pair++) {
        uint32_t at[WARP_LANES], b[WARP_LANES][2];
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            at[lane] = fragment_wide_offset(fragment_v_row(lane), fragment_v_chunk(lane, pair));
        assert_no_bank_conflict(at);
        struct warp_registers loaded = load_matrices(values, at, true);
        for (uint32_t block = 0; block < 2; block++) {
            split_b(&loaded, block, b);
            multiply_add(&bf16, &p, b, output[2 * pair + block]);
        }
    }
    for (uint32_t block = 0; block < KV_DIMENSIONS / 8; block++)
        for (uint32_t lane = 0; lane < WARP_LANES; lane++)
            for (uint32_t e = 0; e < 4; e++) {
                uint32_t row = fragment_c_row(lane, e), d = block * 8 + fragment_c_column(lane, e);
                double expected = 0;
                for (uint32_t token = 0; token < KV_PAGE_TOKENS; token++)
                    expected += weight[row][token] * page_value(KV_VALUE, token, d);
                assert_true(fabs(output[block][lane][e] - expected) < 1e-9);
            }
}

/* --- int4 weights, as kernels/gemm_int4.cu unpacks them: a stage of 128 elements of K --- */

static void test_int4_places(void **state)
{
    (void)state;
    bool seen[4][8] = {0};
    for (uint32_t element = 0; element < INT4_GROUP; element++) {
        uint32_t word = int4_word(element), nibble = int4_nibble(element);
        assert_true(word < 4 && nibble < 8);
        assert_false(seen[word][nibble]);
        seen[word][nibble] = true;
        assert_int_equal(int4_element(word, nibble), element);
    }
}

static uint32_t packed_word(uint64_t first_element, uint32_t word)
{
    uint32_t packed = 0;
    for (uint32_t nibble = 0; nibble < 8; nibble++) {
        uint64_t index = first_element + int4_element(word, nibble);
        packed |= (uint32_t)((int)gemm_element(GEMM_INT4_BF16, GEMM_WEIGHTS, index) + 8) << (4 * nibble);
    }
    return packed;
}

static void fill_int4_tile(unsigned char tile[8 * 64])
{
    for (uint32_t row = 0; row < 8; row++)
        for (uint32_t i = 0; i < 16; i++) {
            uint32_t packed = packed_word(row * 128 + i / 4 * INT4_GROUP, i % 4);
            memcpy(tile + fragment_tile_offset(row, i / 4) + i % 4 * 4, &packed, sizeof packed);
        }
}

static uint32_t exact_sum(uint32_t pair) /* what fma.rn.bf16x2 does with the bias */
{
    float bias = float_of_bf16((uint16_t)INT4_BIAS_PAIR);
    return bf16_pair(float_of_bf16((uint16_t)pair) + bias, float_of_bf16((uint16_t)(pair >> 16)) + bias);
}

static void test_product_with_int4(void **state)
{
    (void)state;
    static unsigned char a_tile[16 * 256], b_tile[8 * 64];
    double c[WARP_LANES][4] = {0};
    for (uint32_t row = 0; row < 16; row++)
        for (uint32_t i = 0; i < 128; i++)
            store_element(a_tile + fragment_wide_offset(row, i / 8) + i % 8 * 2, GEMM_INT4_BF16, GEMM_ACTIVATIONS,
                          row * 128 + i);
    fill_int4_tile(b_tile);
    for (uint32_t group = 0; group < 4; group++) {
        uint32_t words[WARP_LANES], banks = 0;
        for (uint32_t lane = 0; lane < WARP_LANES; lane++) {
            uint32_t at = fragment_tile_offset(lane / 4, group) + lane % 4 * 4;
            memcpy(&words[lane], b_tile + at, sizeof words[lane]);
            banks |= 1u << (at / 4 % 32);
        }
        assert_int_equal(banks, UINT32_MAX);
        for (uint32_t step = 0; step < 2; step++) {
            uint32_t a_at[WARP_LANES], b[WARP_LANES][2];
            for (uint32_t lane = 0; lane < WARP_LANES; lane++) {
                a_at[lane] = fragment_wide_offset(fragment_a_row(lane), fragment_a_chunk(lane, group * 2 + step));
                for (uint32_t i = 0; i < 2; i++)
                    b[lane][i] = exact_sum(int4_biased_pair(words[lane], step * 2 + i));
            }
            assert_no_bank_conflict(a_at);
            struct warp_registers a = load_matrices(a_tile, a_at, false);
            multiply_add(&bf16, &a, b, c);
        }
    }
    for (uint32_t lane = 0; lane < WARP_LANES; lane++)
        for (uint32_t e = 0; e < 4; e++) {
            double expected = gemm_reference(GEMM_INT4_BF16, fragment_c_row(lane, e), fragment_c_column(lane, e), 128);
            assert_true(fabs(c[lane][e] - expected) < 1e-9);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_products_of_16_bits),
        cmocka_unit_test(test_products_of_8_bits),
        cmocka_unit_test(test_swizzles_are_permutations),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_outputs),
        cmocka_unit_test(test_int4_places),
        cmocka_unit_test(test_product_with_int4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
