/* live_test.c owns the tests of the catalog that answers now: swaps under requests, an unreachable source, the file for
 * a restart. The source is a table in this file; the real one is tested in tests/db. */
#include "live/live.h"

#include "live/cache_file.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_LIMIT_MS = 60 * 1000, POLL_MS = 5, CONNECTIONS = 3, SWAPS = 50, HELD_MAX = 80 };

/* A database: its catalog is the bundled one with a single offer, whose price in cents is the version. */
struct source {
    atomic_int version;
    atomic_bool down, bad;
    atomic_int loads, lines;
    int notify_fd;
};

static struct source source;

static enum status load(void *data, const char *known_version, struct arena *arena, struct problems *problems,
                        struct live_texts *ret_texts)
{
    struct source *from = data;
    int version = from->version;
    from->loads++;
    if (from->down) return problems_add(problems, STATUS_IO, "", "the connection was refused");
    ret_texts->version = arena_printf(arena, "test:%d", version);
    assert_non_null(ret_texts->version);
    if (known_version && strcmp(known_version, ret_texts->version) == 0) return STATUS_OK;
    memcpy(ret_texts->files, catalog_bundled(), sizeof ret_texts->files);
    char *text = arena_printf(arena,
                              "provider,instance_type,region,zone,gpu_id,gpu_count,purchase,term_months,usd_per_hour,"
                              "vcpus,host_memory_gib,price_basis,as_of,source,url,notes\n"
                              "cloud,i1,,,%s,1,on_demand,,%d.%02d,8,64,instance_total,2026-10-01,test,,\n",
                              from->bad ? "no-such-gpu" : "h100-sxm", version / 100, version % 100);
    assert_non_null(text);
    ret_texts->files[FILE_OFFERS] = (struct catalog_text){.name = "offers.csv", .text = text, .length = strlen(text)};
    return STATUS_OK;
}

static bool hear(void *data, int wake_fd, unsigned timeout_ms)
{
    const struct source *from = data;
    struct pollfd fds[] = {{.fd = wake_fd, .events = POLLIN}, {.fd = from->notify_fd, .events = POLLIN}};
    eventfd_t count = 0;
    assert_true(poll(fds, 2, (int)timeout_ms) >= 0);
    if (fds[1].revents & POLLIN) assert_int_equal(eventfd_read(from->notify_fd, &count), 0);
    return true;
}

static void count_line(const char *line)
{
    source.lines++;
    assert_non_null(line);
}

static int make_source(void **state)
{
    (void)state;
    source.version = 1;
    source.down = source.bad = false;
    source.loads = source.lines = 0;
    source.notify_fd = eventfd(0, EFD_CLOEXEC);
    return source.notify_fd < 0;
}

static int free_source(void **state)
{
    (void)state;
    return close(source.notify_fd);
}

static void change(int version)
{
    source.version = version;
    assert_int_equal(eventfd_write(source.notify_fd, 1), 0);
}

static struct live *start_live(const char *cache_path, bool listening)
{
    struct arena arena;
    struct problems problems;
    struct live *live = NULL;
    const struct live_settings settings = {
        .source = {.load = load, .wait = listening ? hear : NULL, .data = &source},
        .poll_ms = POLL_MS,
        .listening_poll_ms = WAIT_LIMIT_MS,
        .cache_path = cache_path,
        .report = count_line,
    };
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(live_new(&settings, NULL, &problems, &live), STATUS_OK);
    arena_done(&arena);
    live_settle(live, WAIT_LIMIT_MS);
    return live;
}

static bool has_version(const struct snapshot *snapshot, int version)
{
    char text[32];
    (void)snprintf(text, sizeof text, "test:%d", version);
    return snapshot && strcmp(snapshot->version, text) == 0;
}

/* What every request relies on: one snapshot is one catalog. */
static int checked_version(const struct snapshot *snapshot)
{
    assert_int_equal(snapshot->offer_count, 1);
    int version = (int)(snapshot->offers[0].usd_per_hour.micro / 10000);
    assert_true(has_version(snapshot, version));
    return version;
}

static bool answers(struct live *live, int version)
{
    const struct live_view *view = live_acquire(live);
    bool same = has_version(view->snapshot, version);
    live_release(view);
    return same;
}

static bool is_degraded(struct live *live, int unused)
{
    (void)unused;
    struct live_health health;
    live_health(live, &health);
    return health.degraded;
}

static bool is_fresh(struct live *live, int unused)
{
    return !is_degraded(live, unused);
}

static bool was_loaded(struct live *live, int times)
{
    (void)live;
    return source.loads >= times;
}

static void await(struct live *live, bool (*condition)(struct live *live, int argument), int argument)
{
    for (int ms = 0; ms < WAIT_LIMIT_MS && !condition(live, argument); ms++)
        (void)usleep(1000);
    assert_true(condition(live, argument));
}

static void keeps_what_it_was_given_without_a_source(void **state)
{
    (void)state;
    struct arena arena;
    struct problems problems;
    struct snapshot *snapshot = NULL;
    struct live *live = NULL;
    struct live_health health;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(catalog_load(catalog_bundled(), &problems, &snapshot), STATUS_OK);
    assert_int_equal(live_new(&(struct live_settings){0}, snapshot, &problems, &live), STATUS_OK);
    live_settle(live, WAIT_LIMIT_MS);
    const struct live_view *view = live_acquire(live);
    assert_ptr_equal(view->snapshot, snapshot);
    live_release(view);
    live_health(live, &health);
    assert_false(health.sourced || health.degraded);
    live_free(live);
    arena_done(&arena);
}

static void shows_a_change_to_new_requests_only(void **state)
{
    (void)state;
    struct live *live = start_live(NULL, true);
    const struct live_view *old = live_acquire(live);
    assert_int_equal(checked_version(old->snapshot), 1);
    change(2);
    await(live, answers, 2);
    assert_int_equal(checked_version(old->snapshot), 1);
    live_release(old);
    live_free(live);
}

static void sees_a_change_without_being_told(void **state)
{
    (void)state;
    struct live *live = start_live(NULL, false);
    source.version = 7;
    await(live, answers, 7);
    int loads = source.loads;
    await(live, was_loaded, loads + 3); /* it looks again, and finds the same */
    struct live_health health;
    live_health(live, &health);
    assert_int_equal(health.reloads, 2);
    assert_int_equal(health.load_failures, 0);
    live_free(live);
}

static void begins_without_a_catalog_and_gets_one(void **state)
{
    (void)state;
    struct live_health health;
    source.down = true;
    struct live *live = start_live(NULL, true);
    const struct live_view *view = live_acquire(live);
    assert_null(view->snapshot);
    live_release(view);
    live_health(live, &health);
    assert_true(health.degraded);
    assert_int_equal(health.current_unix_s, 0);
    source.down = false;
    await(live, answers, 1);
    live_free(live);
}

static void keeps_the_last_one_while_the_source_is_away(void **state)
{
    (void)state;
    struct live_health health;
    struct live *live = start_live(NULL, false);
    source.down = true;
    await(live, is_degraded, 0);
    live_health(live, &health);
    assert_string_equal(health.reason, "the connection was refused");
    assert_true(health.sourced && health.since_unix_s > 0 && health.current_unix_s > 0 && health.load_failures > 0);
    assert_true(answers(live, 1));
    source.version = 2;
    source.down = false;
    await(live, is_fresh, 0);
    assert_true(answers(live, 2));
    live_health(live, &health);
    assert_string_equal(health.reason, "");
    live_free(live);
    assert_int_equal(source.lines, 4); /* loaded, degraded, loaded, recovered: not a line per try */
}

static void keeps_the_last_one_when_the_new_one_is_wrong(void **state)
{
    (void)state;
    struct live *live = start_live(NULL, true);
    source.bad = true;
    change(2);
    await(live, is_degraded, 0);
    assert_true(answers(live, 1));
    source.bad = false;
    await(live, answers, 2);
    live_free(live);
}

struct asker {
    struct live *live;
    atomic_bool *stop;
    int answers, changes;
};

static void *ask(void *data)
{
    struct asker *asker = data;
    int last = 0;
    while (!atomic_load(asker->stop)) {
        const struct live_view *first = live_acquire(asker->live), *second = live_acquire(asker->live);
        int version = checked_version(first->snapshot);
        assert_true(checked_version(second->snapshot) >= version);
        asker->changes += version != last;
        asker->answers++;
        assert_true(version >= last);
        last = version;
        live_release(first);
        live_release(second);
    }
    return NULL;
}

static void swaps_under_load(void **state)
{
    (void)state;
    atomic_bool stop = false;
    struct live *live = start_live(NULL, true);
    struct asker askers[CONNECTIONS];
    pthread_t threads[CONNECTIONS];
    for (size_t i = 0; i < CONNECTIONS; i++) {
        askers[i] = (struct asker){.live = live, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int version = 2; version < 2 + SWAPS; version++) {
        change(version);
        await(live, answers, version);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_true(askers[i].answers > 0 && askers[i].changes > 0);
    }
    struct live_health health;
    live_health(live, &health);
    assert_int_equal(health.reloads, SWAPS + 1);
    assert_int_equal(health.load_failures, 0);
    live_free(live);
}

/* Clients that do not end their requests must not make memory grow without bounds. */
static void waits_for_requests_that_hold_too_many_catalogs(void **state)
{
    (void)state;
    struct live *live = start_live(NULL, true);
    const struct live_view *held[HELD_MAX];
    size_t count = 0;
    while (count < HELD_MAX) {
        held[count++] = live_acquire(live);
        int next = (int)count + 1, loads = source.loads;
        change(next);
        await(live, was_loaded, loads + 1);
        for (int ms = 0; ms < WAIT_LIMIT_MS && !answers(live, next) && !is_degraded(live, 0); ms++)
            (void)usleep(1000);
        if (is_degraded(live, 0)) break;
    }
    assert_true(count > 1 && count < HELD_MAX);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(checked_version(held[i]->snapshot), (int)i + 1);
    live_release(held[0]);
    await(live, answers, (int)count + 1);
    for (size_t i = 1; i < count; i++)
        live_release(held[i]);
    live_free(live);
}

static const char *in_folder(const char *folder, const char *name)
{
    static char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    static char folder[] = "/tmp/gpusize-live-XXXXXX";
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    *state = mkdtemp(folder);
    return !*state || make_source(NULL);
}

static int free_folder(void **state)
{
    (void)unlink(in_folder(*state, "cache"));
    return rmdir(*state) || free_source(NULL); /* fails if a temporary file was left behind */
}

static void keeps_a_catalog_for_a_restart(void **state)
{
    struct live_health health;
    const char *path = in_folder(*state, "cache");
    live_free(start_live(path, true));
    source.down = true;
    struct live *live = start_live(path, true);
    assert_true(answers(live, 1));
    live_health(live, &health);
    assert_true(health.degraded && health.since_unix_s > 0 && health.current_unix_s > 0);
    assert_string_equal(health.reason, "the connection was refused");
    source.version = 5;
    source.down = false;
    await(live, answers, 5);
    live_free(live);
    source.down = true;
    live = start_live(path, true);
    assert_true(answers(live, 5)); /* the file was replaced */
    live_free(live);
}

static char *read_bytes(const char *path, size_t *ret_length)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    char *bytes = malloc((size_t)info.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)info.st_size, file), info.st_size);
    assert_int_equal(fclose(file), 0);
    *ret_length = (size_t)info.st_size;
    return bytes;
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void refuses(const char *path, const char *reason)
{
    struct arena arena;
    struct problems problems;
    struct live_texts texts;
    int64_t current_unix_s = 0;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    assert_int_equal(cache_file_read(path, &arena, &problems, &texts, &current_unix_s), STATUS_IO);
    assert_int_equal(problems.count, 1);
    assert_non_null(strstr(problems.items[0].detail, reason));
    assert_non_null(strstr(problems.items[0].detail, path));
    arena_done(&arena);
}

static void refuses_a_damaged_file(void **state)
{
    const char *path = in_folder(*state, "cache");
    size_t length = 0;
    live_free(start_live(path, true));
    char *bytes = read_bytes(path, &length);
    for (size_t cut = 0; cut < length; cut += cut < 600 ? 1 : length / 50 + 1) {
        write_bytes(path, bytes, cut);
        refuses(path, " is ");
    }
    for (size_t at = 0; at < length; at += at < 600 ? 1 : length / 50 + 1) {
        bytes[at] ^= 1;
        write_bytes(path, bytes, length);
        refuses(path, " is ");
        bytes[at] ^= 1;
    }
    bytes[length] = 'x';
    write_bytes(path, bytes, length + 1);
    refuses(path, "is damaged");
    write_bytes(path, "{\"version\":1}\n", 14);
    refuses(path, "is no catalog cache");
    refuses(*state, "is no file");

    source.down = true;
    struct live *live = start_live(path, true); /* begins without it, and leaves it alone */
    const struct live_view *view = live_acquire(live);
    assert_null(view->snapshot);
    live_release(view);
    live_free(live);
    refuses(path, "is no catalog cache");
    free(bytes);
}

static void answers_when_the_file_cannot_be_written(void **state)
{
    struct live *live = start_live(in_folder(*state, "missing/cache"), true);
    assert_true(answers(live, 1));
    assert_int_equal(source.lines, 2); /* loaded; not written */
    live_free(live);
}

int main(void)
{
#define SOURCED(test) cmocka_unit_test_setup_teardown(test, make_source, free_source)
#define FILED(test) cmocka_unit_test_setup_teardown(test, make_folder, free_folder)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_it_was_given_without_a_source),
        SOURCED(shows_a_change_to_new_requests_only),
        SOURCED(sees_a_change_without_being_told),
        SOURCED(begins_without_a_catalog_and_gets_one),
        SOURCED(keeps_the_last_one_while_the_source_is_away),
        SOURCED(keeps_the_last_one_when_the_new_one_is_wrong),
        SOURCED(swaps_under_load),
        SOURCED(waits_for_requests_that_hold_too_many_catalogs),
        FILED(keeps_a_catalog_for_a_restart),
        FILED(refuses_a_damaged_file),
        FILED(answers_when_the_file_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
