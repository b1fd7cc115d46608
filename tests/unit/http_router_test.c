/* http_router_test.c owns the tests of path, suffix and method matching. */
#include "http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct route table[] = {
    {.operation_id = "home", .path = "/", .methods = ROUTE_GET},
    {.operation_id = "ask", .path = "/v1/ask", .methods = ROUTE_GET | ROUTE_POST, .formats = true},
    {.operation_id = "list", .path = "/v1/things", .methods = ROUTE_GET, .formats = true},
    {.operation_id = "add", .path = "/v1/things", .methods = ROUTE_POST},
    {.operation_id = "thing", .path = "/v1/things/{id}", .methods = ROUTE_GET},
    {.operation_id = "new", .path = "/v1/things/new", .methods = ROUTE_POST},
    {.operation_id = "contract", .path = "/openapi.yaml", .methods = ROUTE_GET},
    {.operation_id = "live", .path = "/livez", .methods = ROUTE_GET},
    {0},
};

static const struct {
    const char *method, *path, *operation_id, *format;
    enum status status;
    const char *allow;
} rows[] = {
    {"GET", "/", "home", NULL, STATUS_OK, "GET, HEAD, OPTIONS"},
    {"GET", "/v1/ask", "ask", NULL, STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"HEAD", "/v1/ask.csv", "ask", "csv", STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"POST", "/v1/ask.txt", "ask", "txt", STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/v1/ask.json", "ask", "json", STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/v1/ask.xml", "ask", "xml", STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/v1/ask.pdf", NULL, NULL, STATUS_NOT_ACCEPTABLE, NULL},
    {"GET", "/v1/ask.", NULL, NULL, STATUS_NOT_ACCEPTABLE, NULL},
    {"GET", "/v1/ask.csv.csv", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/v1/ask/", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/v1/as", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/V1/ask", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "//v1/ask", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/../v1/ask", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/openapi.yaml", "contract", NULL, STATUS_OK, "GET, HEAD, OPTIONS"},
    {"GET", "/openapi.yaml.csv", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/livez.csv", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"POST", "/livez", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"},
    {"DELETE", "/v1/ask", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "GET, HEAD, POST, OPTIONS"},
    {"get", "/v1/ask", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "GET, HEAD, POST, OPTIONS"},
    {"POST", "/v1/things.csv", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"},
    {"GET", "/v1/things", "list", NULL, STATUS_OK, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/v1/things/17", "thing", NULL, STATUS_OK, "GET, HEAD, OPTIONS"},
    {"GET", "/v1/things/17.csv", "thing", NULL, STATUS_OK, "GET, HEAD, OPTIONS"},
    {"GET", "/v1/things/{id}", "thing", NULL, STATUS_OK, "GET, HEAD, OPTIONS"},
    {"POST", "/v1/things/17", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "GET, HEAD, OPTIONS"},
    {"GET", "/v1/things/", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/v1/things/17/", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"GET", "/v1/things/1/7", NULL, NULL, STATUS_NOT_FOUND, NULL},
    {"POST", "/v1/things/new", "new", NULL, STATUS_OK, "POST, OPTIONS"},
    {"GET", "/v1/things/new", NULL, NULL, STATUS_METHOD_NOT_ALLOWED, "POST, OPTIONS"},
    {"POST", "/v1/things", "add", NULL, STATUS_OK, "GET, HEAD, POST, OPTIONS"},
};

static void finds_the_row_or_says_why_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct match match = router_match(table, router_method(rows[i].method), rows[i].path, strlen(rows[i].path));
        if (match.status != rows[i].status)
            fail_msg("%s %s: %s", rows[i].method, rows[i].path, status_code(match.status));
        assert_true((match.route != NULL) == (rows[i].operation_id != NULL));
        if (match.route) assert_string_equal(match.route->operation_id, rows[i].operation_id);
        const char *format = match.status == STATUS_OK && match.format ? match.format : "";
        assert_string_equal(format, rows[i].format ? rows[i].format : "");
        char allow[ALLOW_BYTES];
        if (rows[i].allow) assert_string_equal(router_allow(match.methods, allow), rows[i].allow);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_the_row_or_says_why_not)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
