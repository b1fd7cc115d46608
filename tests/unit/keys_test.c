/* keys_test.c owns the tests of keys, of who a client is, and of how much each may ask. */
#include "http/client.h"
#include "http/limits.h"
#include "keys/keys.h"

#include "catalog/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { KEYS = 200 };

static void test_keys_are_told_apart(void **state)
{
    (void)state;
    static struct key keys[KEYS];
    static char texts[KEYS][KEY_TEXT_BYTES];
    struct caller caller = {.role = ROLE_NONE};
    struct keyring *ring = keyring_new();
    for (size_t i = 0; i < KEYS; i++) {
        keys[i].caller.role = (enum role)(ROLE_READER + i % 3);
        (void)snprintf(keys[i].caller.name, sizeof keys[i].caller.name, "key %zu", i);
        key_make(&keys[i], texts[i]);
        assert_int_equal(strlen(texts[i]), KEY_TEXT_BYTES - 1);
        assert_null(strstr(texts[i], keys[i].hash));
    }
    assert_int_equal(keyring_find(ring, texts[0], &caller), STATUS_DATABASE_AWAY); /* nobody can tell yet */
    assert_int_equal(keyring_replace(ring, NULL, 0), STATUS_OK);
    assert_int_equal(keyring_find(ring, texts[0], &caller), STATUS_UNAUTHORIZED);
    keys[1].expires_unix_s = (int64_t)time(NULL) - 1;
    keys[2].expires_unix_s = (int64_t)time(NULL) + 3600;
    assert_int_equal(keyring_replace(ring, keys, KEYS - 1), STATUS_OK);
    for (size_t i = 0; i < KEYS; i++) {
        bool good = i != 1 && i != KEYS - 1;
        assert_int_equal(keyring_find(ring, texts[i], &caller), good ? STATUS_OK : STATUS_UNAUTHORIZED);
        if (good) assert_string_equal(caller.name, keys[i].caller.name);
        if (good) assert_int_equal(caller.role, keys[i].caller.role);
    }
    keyring_free(ring);
    keyring_free(NULL);
}

static void test_what_is_no_key(void **state)
{
    (void)state;
    struct key key = {.caller.role = ROLE_ADMIN};
    char text[KEY_TEXT_BYTES], bad[2 * KEY_TEXT_BYTES];
    struct caller caller = {.role = ROLE_NONE};
    struct keyring *ring = keyring_new();
    key_make(&key, text);
    assert_int_equal(keyring_replace(ring, &key, 1), STATUS_OK);
    for (size_t i = sizeof KEY_PREFIX - 1; i < sizeof text - 1; i++) { /* every character counts */
        memcpy(bad, text, sizeof text);
        bad[i] = bad[i] == '0' ? '1' : '0';
        assert_int_equal(keyring_find(ring, bad, &caller), STATUS_UNAUTHORIZED);
        bad[i] = '\0'; /* nor may one be missing */
        assert_int_equal(keyring_find(ring, bad, &caller), STATUS_UNAUTHORIZED);
    }
    (void)snprintf(bad, sizeof bad, "%s0", text);
    assert_int_equal(keyring_find(ring, bad, &caller), STATUS_UNAUTHORIZED);
    static const char *const others[] = {"", "x", "Basic dXNlcg==", "eyJhbGciOi.J9", "gpusize"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(keyring_find(ring, others[i], &caller), STATUS_NOT_FOUND);
    assert_int_equal(caller.role, ROLE_NONE);
    assert_int_equal(keyring_find(ring, text, &caller), STATUS_OK);
    keyring_free(ring);
}

static void test_roles_have_names(void **state)
{
    (void)state;
    enum role role = ROLE_NONE;
    for (enum role each = ROLE_READER; each < ROLE_COUNT; each++)
        assert_true(role_parse(role_name(each), &role) && role == each);
    assert_false(role_parse("none", &role) || role_parse("", &role) || role_parse("Admin", &role));
}

static void test_addresses_behind_proxies(void **state)
{
    (void)state;
    static const char *const trusted[] = {"10.0.0.0/8", "127.0.0.1", "2001:db8::/32", NULL};
    static const struct {
        const char *remote, *forwarded_for, *client;
    } rows[] = {
        {"192.0.2.1", NULL, "192.0.2.1"},
        {"192.0.2.1", "203.0.113.9", "192.0.2.1"}, /* anybody can send that */
        {"127.0.0.1", NULL, "127.0.0.1"},
        {"127.0.0.1", "203.0.113.9", "203.0.113.9"},
        {"127.0.0.1", "203.0.113.9, 10.1.2.3", "203.0.113.9"},
        {"127.0.0.1", "1.1.1.1, 203.0.113.9 ,10.1.2.3", "203.0.113.9"},
        {"127.0.0.1", "10.1.2.3", "10.1.2.3"},
        {"127.0.0.1", "203.0.113.9:4711, 10.1.2.3:80", "203.0.113.9"},
        {"127.0.0.1", "[2001:db9::1]:4711", "2001:db9::1"},
        {"127.0.0.1", "[2001:db9::1", "127.0.0.1"},
        {"127.0.0.1", ":80", "127.0.0.1"},
        {"127.0.0.1", "nonsense", "127.0.0.1"},
        {"127.0.0.1", "203.0.113.9, nonsense", "127.0.0.1"},
        {"127.0.0.1", "203.0.113.0/24", "127.0.0.1"},
        {"127.0.0.1", "", "127.0.0.1"},
        {"127.0.0.1", ", ,", "127.0.0.1"},
        {"2001:db8::5", "2001:db9::1", "2001:db9::1"},
        {"::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"},
        {"11.0.0.1", "203.0.113.9", "11.0.0.1"},
        {"", "203.0.113.9", ""},
    };
    static const char *const none[] = {NULL};
    char found[CLIENT_ADDRESS_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        client_address(rows[i].remote, rows[i].forwarded_for, trusted, found);
        assert_string_equal(found, rows[i].client);
        client_address(rows[i].remote, rows[i].forwarded_for, none, found);
        assert_string_equal(found, rows[i].remote);
    }
    static const char *const bad[] = {"10.0.0.0/33",   "10.0.0.0/-1", "::/129", "10.0.0",
                                      "proxy.example", "1.1.1.1/",    ""};
    const char *said = NULL;
    assert_true(client_networks_valid(trusted, &said));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *const list[] = {"::1", bad[i], NULL};
        assert_false(client_networks_valid(list, &said));
        assert_ptr_equal(said, bad[i]);
    }
    client_network("2001:db8:1:2:3:4:5:6", found);
    assert_string_equal(found, "2001:db8:1:2::");
    client_network("192.0.2.7", found);
    assert_string_equal(found, "192.0.2.7");
    client_network("::ffff:192.0.2.7", found);
    assert_string_equal(found, "192.0.2.7");
}

static void test_keys_in_queries(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *left, *key;
        size_t count;
    } rows[] = {
        {"/v1/gpus", "/v1/gpus", "", 0},
        {"/v1/gpus?", "/v1/gpus?", "", 0},
        {"/v1/gpus?key=abc", "/v1/gpus", "abc", 1},
        {"/v1/gpus?key=abc&id=l4", "/v1/gpus?id=l4", "abc", 1},
        {"/v1/gpus?id=l4&key=abc", "/v1/gpus?id=l4", "abc", 1},
        {"/v1/gpus?a=1&key=abc&b=2", "/v1/gpus?a=1&b=2", "abc", 1},
        {"/v1/gpus?key=a%62c&key=d", "/v1/gpus", "d", 2},
        {"/v1/gpus?k%65y=abc", "/v1/gpus", "abc", 1},
        {"/v1/gpus?key", "/v1/gpus", "", 1},
        {"/v1/gpus?key=", "/v1/gpus", "", 1},
        {"/v1/gpus?key=%zz", "/v1/gpus", "%zz", 1}, /* a bad key, not none */
        {"/v1/gpus?keys=a&monkey=b&KEY=c", "/v1/gpus?keys=a&monkey=b&KEY=c", "", 0},
        {"/v1/gpus?a=key=abc", "/v1/gpus?a=key=abc", "", 0},
        {"/v1/gpus?key=a=b", "/v1/gpus", "a=b", 1},
        {"/v1/gpus?&key=abc&&id=l4&", "/v1/gpus?&&id=l4&", "abc", 1},
    };
    char uri[256], key[CLIENT_KEY_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t length = (size_t)snprintf(uri, sizeof uri, "%s", rows[i].uri);
        assert_int_equal(client_take_key(uri, &length, key), rows[i].count);
        assert_string_equal(uri, rows[i].left);
        assert_int_equal(length, strlen(rows[i].left));
        assert_string_equal(key, rows[i].key);
    }
    char longer[CLIENT_KEY_BYTES + 40] = "/?key=";
    memset(longer + 6, 'a', sizeof longer - 7);
    size_t length = strlen(longer);
    assert_int_equal(client_take_key(longer, &length, key), 1);
    assert_int_equal(strspn(key, "a"), CLIENT_KEY_BYTES - 1); /* longer than any key */
    assert_string_equal(client_bearer("bearer   abc"), "abc");
    assert_null(client_bearer("Basic abc"));
    assert_null(client_bearer(NULL));
}

static void test_a_rate_and_its_burst(void **state)
{
    (void)state;
    struct limits *limits = limits_new();
    uint64_t now_us = 1000000000;
    unsigned retry_s = 0;
    for (int i = 0; i < 20; i++) /* ten seconds' worth */
        assert_true(limits_take(limits, "a", 2, now_us, &retry_s));
    assert_false(limits_take(limits, "a", 2, now_us, &retry_s));
    assert_int_equal(retry_s, 1);
    assert_true(limits_take(limits, "b", 2, now_us, &retry_s)); /* another caller has its own */
    now_us += 500000;                                           /* one more every half second */
    assert_true(limits_take(limits, "a", 2, now_us, &retry_s));
    assert_false(limits_take(limits, "a", 2, now_us, &retry_s));
    now_us -= 1000000; /* a clock that is behind gives nothing away */
    assert_false(limits_take(limits, "a", 2, now_us, &retry_s));
    now_us += 3600000000;
    for (int i = 0; i < 20; i++)
        assert_true(limits_take(limits, "a", 2, now_us, &retry_s));
    assert_false(limits_take(limits, "a", 2, now_us, &retry_s));
    assert_true(limits_take(limits, "slow", 0.01, now_us, &retry_s));
    assert_false(limits_take(limits, "slow", 0.01, now_us, &retry_s));
    assert_int_equal(retry_s, 100);
    limits_free(limits);
}

/* A flood of callers does not take the slot of one who is busy. */
static void test_many_callers(void **state)
{
    (void)state;
    struct limits *limits = limits_new();
    char name[32];
    unsigned retry_s = 0, refused = 0;
    for (uint64_t i = 0; i < 200000; i++) {
        (void)snprintf(name, sizeof name, "caller %llu", (unsigned long long)i);
        assert_true(limits_take(limits, name, 1, 1000000 + i, &retry_s));
        refused += !limits_take(limits, "busy", 1, 1000000 + i, &retry_s);
    }
    assert_in_range(refused, 190000, 200000);
    limits_free(limits);
    limits_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_told_apart), cmocka_unit_test(test_what_is_no_key),
        cmocka_unit_test(test_roles_have_names),    cmocka_unit_test(test_addresses_behind_proxies),
        cmocka_unit_test(test_keys_in_queries),     cmocka_unit_test(test_a_rate_and_its_burst),
        cmocka_unit_test(test_many_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
