/* serve_catalog.c owns where the catalog of a service with a database comes from: reading it, and being told of
 * changes. */
#include "cli/serve_catalog.h"

#include "http/clock.h"
#include "store/keys.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    LISTEN_ARENA_BYTES = 1 << 20,
    LISTEN_RETRY_US = 5000000,
    LOST_PAUSE_MS = 100, /* before listening anew: whatever ends every session at once is not asked without end */
};

/* Whoever looks for a new catalog looks for new keys too. */
static enum status refresh_keys(struct serve_catalog *catalog, struct arena *arena, struct problems *problems)
{
    const struct key *keys = NULL;
    size_t count = 0;
    int64_t state = 0;
    enum status status = store_keys_state(catalog->store, problems, &state);
    if (status != STATUS_OK || state == catalog->keys_state) return status;
    status = store_keys_good(catalog->store, arena, problems, &keys, &count);
    if (status == STATUS_OK) status = keyring_replace(catalog->keys, keys, count);
    if (status == STATUS_OK) catalog->keys_state = state;
    return status;
}

static enum status load_catalog(void *data, const char *known_version, struct arena *arena, struct problems *problems,
                                struct live_texts *ret_texts)
{
    struct serve_catalog *catalog = data;
    struct store_version version = {0};
    struct store_schema schema;
    enum status status = known_version ? store_catalog_version(catalog->store, problems, &version) : STATUS_OK;
    bool known = known_version && strcmp(known_version, version.text) == 0;
    if (status == STATUS_OK && !known) status = store_schema_check(catalog->store, problems, &schema);
    if (status == STATUS_OK) status = refresh_keys(catalog, arena, problems);
    if (status == STATUS_OK && !known)
        status = store_catalog_read(catalog->store, -1, arena, problems, ret_texts->files, &version);
    if (status != STATUS_OK) return status;
    import_ages_refresh(&catalog->imports, catalog->store);
    ret_texts->version = arena_strdup(arena, version.text);
    return ret_texts->version ? STATUS_OK : problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a version");
}

static bool start_listening(struct serve_catalog *catalog)
{
    struct arena arena;
    struct problems problems;
    if (clock_now_us() < catalog->listen_after_us) return false;
    arena_init(&arena, LISTEN_ARENA_BYTES);
    problems_init(&problems, &arena);
    enum status status = store_listen(catalog->listen_url, catalog->application_name, &problems, &catalog->listener);
    if (status != STATUS_OK && !catalog->cannot_listen)
        (void)fprintf(stderr, "catalog: cannot be told of changes, so asks for them: %s\n",
                      problems.count ? problems.items[0].detail : status_hint(status));
    catalog->cannot_listen = status != STATUS_OK;
    arena_done(&arena);
    catalog->listen_after_us = clock_now_us() + LISTEN_RETRY_US; /* a host that does not answer costs time, too */
    return status == STATUS_OK;
}

static bool wait_for_change(void *data, int wake_fd, unsigned timeout_ms)
{
    struct serve_catalog *catalog = data;
    if (!catalog->listener) return start_listening(catalog);
    if (store_listener_wait(catalog->listener, (int)timeout_ms, wake_fd) == STORE_LOST) {
        store_listener_close(catalog->listener);
        catalog->listener = NULL;
        catalog->listen_after_us = 0;
        (void)poll(&(struct pollfd){.fd = wake_fd, .events = POLLIN}, 1, LOST_PAUSE_MS);
    }
    return true;
}

struct live_source serve_catalog_source(struct serve_catalog *catalog)
{
    return (struct live_source){
        .load = load_catalog, .wait = *catalog->listen_url ? wait_for_change : NULL, .data = catalog};
}
