/* catalog_csv_test.c owns the proof that CSV text is read as RFC 4180 says and that everything else is refused. */
#include "catalog/csv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads all records of a text into one line: fields in [], records ended by their line number. */
static const char *read_all(const char *text, size_t length, char *ret_shown, size_t size)
{
    char *copy = malloc(length + 1); /* exact, so that ASan sees a step too far */
    assert_non_null(copy);
    memcpy(copy, text, length);
    struct csv csv;
    csv_init(&csv, copy, length);
    ret_shown[0] = '\0';
    size_t used = 0;
    enum csv_result result = CSV_END;
    while ((result = csv_next(&csv)) == CSV_RECORD) {
        for (size_t i = 0; i < csv.field_count; i++)
            used += (size_t)snprintf(ret_shown + used, size - used, "[%s]", csv.fields[i]);
        used += (size_t)snprintf(ret_shown + used, size - used, "%u;", csv.line);
    }
    if (result == CSV_BAD) (void)snprintf(ret_shown + used, size - used, "%u: %s", csv.line, csv.error);
    free(copy);
    return ret_shown;
}

static const struct {
    const char *text, *shown;
} texts[] = {
    {"", ""},
    {"a", "[a]1;"},
    {"a,b\nc,d\n", "[a][b]1;[c][d]2;"},
    {"a,b\r\nc,\r\n", "[a][b]1;[c][]2;"},
    {",\n", "[][]1;"},
    {"a,", "[a][]1;"},
    {"\"a,b\",\"c\"\"d\"\n", "[a,b][c\"d]1;"},
    {"\"two\nlines\",x\ny,z", "[two\nlines][x]1;[y][z]3;"},
    {"\"\",\"\"\n", "[][]1;"},
    {"\n\r\na\n\nb\n\n", "[a]3;[b]5;"},
    {"\xef\xbb\xbf"
     "a,b\n",
     "[a][b]1;"},
    {"a b, c \n", "[a b][ c ]1;"},
    {"\"\"\"\"", "[\"]1;"},
    {"Zürich,\xe2\x80\x91\n", "[Zürich][\xe2\x80\x91]1;"},
    {"ok\na\"b\n", "[ok]1;2: a quote inside a field that does not begin with one"},
    {"\"a\"b\n", "1: text after a closing quote"},
    {"x\n\"open\nstill open", "[x]1;2: a quoted field has no closing quote"},
    {"\"", "1: a quoted field has no closing quote"},
    {"a\rb\n", "1: a carriage return that ends no line"},
    {"a\r", "1: a carriage return that ends no line"},
    {"a\xff\n", "1: the file is not UTF-8"},
    {"\xc0\xaf\n", "1: the file is not UTF-8"},
};

static void test_texts(void **state)
{
    (void)state;
    char shown[512];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_string_equal(read_all(texts[i].text, strlen(texts[i].text), shown, sizeof shown), texts[i].shown);
}

static void test_nul_is_refused(void **state)
{
    (void)state;
    char shown[512];
    assert_string_equal(read_all("a\0b", 3, shown, sizeof shown), "1: the file holds a NUL byte");
}

static void test_limit_of_fields(void **state)
{
    (void)state;
    char text[2 * CSV_FIELDS_MAX + 2], shown[4 * CSV_FIELDS_MAX + 64];
    memset(text, ',', sizeof text);
    (void)read_all(text, CSV_FIELDS_MAX - 1, shown, sizeof shown);
    assert_int_equal(strlen(shown), 2 * CSV_FIELDS_MAX + 2); /* [] each, and "1;" */
    assert_string_equal(read_all(text, CSV_FIELDS_MAX, shown, sizeof shown), "1: too many fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_nul_is_refused),
        cmocka_unit_test(test_limit_of_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
