/* archive_test.c owns the proof of what zips give: their CSV files, or the reason why not. The zips are those of the
 * fuzz target. */
#include "import/archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ZIP_BYTES_MAX = 64 << 10, UNPACKED_BYTES_MAX = 1 << 20 };

/* Names, lengths and problems, one a line. */
struct said {
    char text[1024];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static void say(struct said *said, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(said->text + said->used, sizeof said->text - said->used, format, args);
    va_end(args);
    assert_true(length >= 0 && (size_t)length < sizeof said->text - said->used);
    said->used += (size_t)length;
}

static void read_entry(struct archive *archive, struct problems *problems, const char *name, size_t piece,
                       struct said *said)
{
    char block[4096];
    size_t length = 1, total = 0;
    while (length > 0 && archive_read(archive, block, piece, &length) == STATUS_OK)
        total += length;
    if (archive_explain(archive, problems) == STATUS_OK) say(said, "%s %zu\n", name, total);
}

static void read_archive(FILE *file, const char *text, size_t length, size_t piece, struct said *said)
{
    struct arena arena;
    struct problems problems;
    struct archive *archive = NULL;
    const char *name = NULL;
    arena_init(&arena, 1 << 20);
    problems_init(&problems, &arena);
    enum status status = archive_open(file, text, length, UNPACKED_BYTES_MAX, &problems, &archive);
    while (status == STATUS_OK && problems.count == 0) {
        status = archive_next(archive, &problems, &name);
        if (status != STATUS_OK || !name) break;
        read_entry(archive, &problems, name, piece, said);
    }
    for (size_t i = 0; i < problems.count; i++)
        say(said, "%s: %s\n", problems.items[i].field, problems.items[i].detail);
    archive_close(archive);
    arena_done(&arena);
}

static void what_zips_give(void **state)
{
    (void)state;
    static const struct {
        const char *name, *said;
    } cases[] = {
        {"two_files", "lambdalabs.csv 111\nv2/aws.csv 117\n"},
        {"stored", "aws.csv 117\n"},
        {"empty", ""},
        {"cut_off", "file: the zip is damaged or cut off: Not a zip archive\n"},
        {"bad_bytes", "file: lambdalabs.csv in the zip: "},
        {"encrypted", "file: lambdalabs.csv in the zip is encrypted\n"},
        {"bomb", "file: a.csv in the zip: the zip holds more than is unpacked at most\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128], text[ZIP_BYTES_MAX];
        struct said of_file = {.used = 0}, of_text = {.used = 0};
        (void)snprintf(path, sizeof path, "tests/fuzz/corpus/zip/%s", cases[i].name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        size_t length = fread(text, 1, sizeof text, file);
        assert_true(archive_is(text, length));
        read_archive(file, NULL, 0, 4096, &of_file);
        read_archive(NULL, text, length, 7, &of_text);
        assert_string_equal(of_file.text, of_text.text);
        if (strcmp(cases[i].name, "bad_bytes") == 0) /* the rest is in libzip's words */
            of_text.text[strlen(cases[i].said)] = '\0';
        assert_string_equal(of_text.text, cases[i].said);
        (void)fclose(file);
    }
    assert_false(archive_is("PK\3", 3) || archive_is("instance_name", 13));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_zips_give)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
