/* http_negotiate_test.c owns the tests of content coding, entity tags and compression. */
#include "http/compress.h"
#include "http/negotiate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

static void chooses_the_encoding_that_the_client_prefers(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum encoding expected;
    } rows[] = {
        {NULL, ENCODING_IDENTITY},
        {"", ENCODING_IDENTITY},
        {"identity", ENCODING_IDENTITY},
        {"gzip", ENCODING_GZIP},
        {"GZIP", ENCODING_GZIP},
        {"x-gzip", ENCODING_GZIP},
        {"br", ENCODING_BROTLI},
        {"deflate, gzip, br, zstd", ENCODING_BROTLI},
        {"gzip;q=1.0, br;q=0.5", ENCODING_GZIP},
        {"br;q=0.5, gzip;q=0.5", ENCODING_BROTLI},
        {"gzip;q=0", ENCODING_IDENTITY},
        {"gzip;q=0, br;q=0.001", ENCODING_BROTLI},
        {"*", ENCODING_BROTLI},
        {"br;q=0, *", ENCODING_GZIP},
        {"*;q=0", ENCODING_IDENTITY},
        {"identity;q=1, gzip;q=0.5", ENCODING_IDENTITY},
        {"identity;q=0.5, gzip;q=0.5", ENCODING_GZIP},
        {"gzip ; q=0.3 , br ; q=0.2", ENCODING_GZIP},
        {"gzip;q=x", ENCODING_IDENTITY},
        {"gzip;", ENCODING_GZIP},
        {", ,gzip,", ENCODING_GZIP},
        {"deflate, zstd", ENCODING_IDENTITY},
        {"gzipped, brr", ENCODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum encoding got = negotiate_encoding(rows[i].accept);
        if (got != rows[i].expected) fail_msg("%s: %d", rows[i].accept, got);
    }
}

static void compares_entity_tags_weakly(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool matches;
    } rows[] = {
        {"W/\"ab\"", true},        {"\"ab\"", true},       {"*", true},
        {"\"x\", W/\"ab\"", true}, {"\"x\",\"ab\"", true}, {"W/\"abc\"", false},
        {"W/\"ab-gzip\"", false},  {"ab", false},          {"", false},
        {"\"a\"", false},
    };
    char etag[ETAG_BYTES];
    negotiate_etag("ab", ENCODING_IDENTITY, etag);
    assert_string_equal(etag, "W/\"ab\"");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (negotiate_matches(rows[i].header, etag) != rows[i].matches) fail_msg("%s", rows[i].header);
    negotiate_etag("ab", ENCODING_GZIP, etag);
    assert_string_equal(etag, "W/\"ab-gzip\"");
    negotiate_etag("ab", ENCODING_BROTLI, etag);
    assert_string_equal(etag, "W/\"ab-br\"");
}

static void compresses_what_shrinks_to_half(void **state)
{
    (void)state;
    struct compressors *compressors = compressors_new();
    assert_non_null(compressors);
    char text[5000], noise[5000], back[5000];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof text; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = "abcdefgh"[i % 8];
        noise[i] = (char)(seed >> 16);
    }
    for (int round = 0; round < 3; round++) { /* the second round reuses a stream */
        size_t length = 0;
        void *packed = compress_bytes(compressors, ENCODING_GZIP, text, sizeof text, &length);
        assert_non_null(packed);
        z_stream z = {.next_in = packed, .avail_in = (uInt)length, .next_out = (Bytef *)back, .avail_out = sizeof back};
        assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
        assert_int_equal(inflateEnd(&z), Z_OK);
        assert_memory_equal(back, text, sizeof text);
        free(packed);
        packed = compress_bytes(compressors, ENCODING_BROTLI, text, sizeof text, &length);
        assert_non_null(packed);
        assert_in_range(length, 1, sizeof text / 2);
        free(packed);
        assert_null(compress_bytes(compressors, ENCODING_GZIP, noise, sizeof noise, &length));
        assert_null(compress_bytes(compressors, ENCODING_BROTLI, noise, sizeof noise, &length));
    }
    compressors_free(compressors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_the_encoding_that_the_client_prefers),
        cmocka_unit_test(compares_entity_tags_weakly),
        cmocka_unit_test(compresses_what_shrinks_to_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
