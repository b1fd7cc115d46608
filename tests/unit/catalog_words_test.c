/* catalog_words_test.c owns the proof of the catalog's small vocabularies: every word has one spelling and is read
 * back, and of the list of problems and the arena under them. */
#include "catalog/model.h"
#include "catalog/offer.h"
#include "catalog/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_dtypes(void **state)
{
    (void)state;
    for (enum dtype dtype = DTYPE_UNKNOWN + 1; dtype < DTYPE_COUNT; dtype++) {
        assert_int_equal(dtype_parse(dtype_name(dtype)), dtype);
        assert_true(dtype_layer_bits(dtype) >= 2 && dtype_layer_bits(dtype) <= dtype_bits(dtype));
        assert_true(dtype_bits(dtype) <= dtype_plain_bits(dtype) && dtype_bits(dtype) <= dtype_head_bits(dtype));
        assert_true(dtype_embedding_bits(dtype) <= dtype_plain_bits(dtype));
        assert_true(dtype_plain_bits(dtype) <= 32);
        assert_true(dtype_peak(dtype) < PEAK_COUNT);
    }
    assert_int_equal(dtype_parse("BF16"), DTYPE_BF16);
    assert_int_equal(dtype_parse("unknown"), DTYPE_UNKNOWN);
    assert_int_equal(dtype_parse("fp17"), DTYPE_UNKNOWN);
    assert_int_equal(dtype_peak(DTYPE_FP8), PEAK_FP8);
    assert_int_equal(dtype_peak(DTYPE_INT4), PEAK_FP16);
}

static void test_attention_kinds(void **state)
{
    (void)state;
    for (enum attention_kind kind = ATTENTION_UNKNOWN + 1; kind < ATTENTION_COUNT; kind++)
        assert_int_equal(attention_kind_parse(attention_kind_name(kind)), kind);
    assert_int_equal(attention_kind_parse("HYBRID_SWA"), ATTENTION_HYBRID_SWA);
    assert_int_equal(attention_kind_parse("unknown"), ATTENTION_UNKNOWN);
}

/* Words of one kind: present, small letters, no two alike. */
static void assert_words(const char *(*word)(unsigned choice), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(strlen(word(i)) > 0);
        assert_int_equal(strspn(word(i), "abcdefghijklmnopqrstuvwxyz0123456789_-"), strlen(word(i)));
        for (unsigned j = 0; j < i; j++)
            assert_string_not_equal(word(i), word(j));
    }
}

static const char *purchase_word(unsigned choice)
{
    return purchase_name((enum purchase)choice);
}

static const char *purchase_kind_word(unsigned choice)
{
    return purchase_kind_name((enum purchase_kind)choice);
}

static const char *vendor_word(unsigned choice)
{
    return gpu_vendor_name((enum gpu_vendor)choice);
}

static const char *namespace_word(unsigned choice)
{
    return alias_namespace_name((enum alias_namespace)choice);
}

static const char *status_word(unsigned choice)
{
    return status_code((enum status)choice);
}

static void test_words(void **state)
{
    (void)state;
    assert_words(purchase_word, PURCHASE_COUNT);
    assert_words(purchase_kind_word, PURCHASE_KIND_COUNT);
    assert_words(vendor_word, VENDOR_COUNT);
    assert_words(namespace_word, ALIAS_NAMESPACE_COUNT);
    assert_words(status_word, STATUS_COUNT);
}

static void test_statuses(void **state)
{
    (void)state;
    for (enum status status = STATUS_OK + 1; status < STATUS_COUNT; status++) {
        assert_true(status_http(status) >= 400 && status_http(status) < 600);
        assert_true(strlen(status_hint(status)) > 0);
        if (status_retryable(status))
            assert_true(status_http(status) == 503 || status_http(status) == 429 || status_http(status) == 408);
    }
    assert_int_equal(status_http(STATUS_OK), 200);
}

static void test_problems(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct problems problems;
    problems_init(&problems, &arena);
    assert_int_equal(problems_status(&problems), STATUS_OK);
    assert_int_equal(problems_add(&problems, STATUS_INTERNAL, "a", "%d of %s", 3, "them"), STATUS_INTERNAL);
    assert_string_equal(problems.items[0].detail, "3 of them");
    (void)problems_add(&problems, STATUS_OUT_OF_RANGE, "b", "x");
    (void)problems_add(&problems, STATUS_UNKNOWN_MODEL, "c", "x");
    assert_int_equal(problems_status(&problems), STATUS_OUT_OF_RANGE); /* the lowest HTTP status, the first of it */
    for (int i = 0; i < PROBLEMS_MAX; i++)
        (void)problems_add(&problems, STATUS_INVALID_VALUE, "d", "x");
    assert_int_equal(problems.count, PROBLEMS_MAX);
    assert_int_equal(problems.dropped, 3);
    arena_done(&arena);
}

/* A problem whose text finds no memory still says what it is. */
static void test_problem_without_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1);
    struct problems problems;
    problems_init(&problems, &arena);
    (void)problems_add(&problems, STATUS_OUT_OF_RANGE, "field", "detail");
    assert_string_equal(problems.items[0].field, "");
    assert_string_equal(problems.items[0].detail, status_hint(STATUS_OUT_OF_RANGE));
    arena_done(&arena);
}

static void test_arena(void **state)
{
    (void)state;
    enum { MOST_BYTES = 1 << 20 };
    struct arena arena;
    arena_init(&arena, MOST_BYTES);
    char *first = arena_strdup(&arena, "first");
    double *numbers = ARENA_ARRAY(&arena, 1000, double);
    assert_int_equal((uintptr_t)numbers % _Alignof(max_align_t), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(numbers[i] == 0);
    assert_string_equal(arena_printf(&arena, "%s %d", first, 7), "first 7");
    assert_string_equal(arena_strndup(&arena, "second", 3), "sec");
    assert_null(arena_alloc(&arena, MOST_BYTES));           /* the limit counts what is used already */
    assert_null(ARENA_ARRAY(&arena, SIZE_MAX / 4, double)); /* the product overflows */
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_string_equal(first, "first");
    arena_done(&arena);
    assert_non_null(arena_alloc(&arena, MOST_BYTES / 2)); /* usable again */
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dtypes),   cmocka_unit_test(test_attention_kinds),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_problems), cmocka_unit_test(test_problem_without_memory),
        cmocka_unit_test(test_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
