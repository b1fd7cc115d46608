/* serve.c owns the life of the service: settings, catalog, server, signals, drain. */
#include "cli/cli.h"
#include "cli/serve_catalog.h"
#include "cli/serve_feed.h"
#include "cli/serve_metrics.h"
#include "cli/serve_watch.h"
#include "cli/settings.h"
#include "http/client.h"
#include "record/record.h"
#include "store/recommendation.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define APPLICATION_NAME "gpusize serve"
enum {
    SERVE_ARENA_BYTES = 4 << 20,
    FIRST_LOAD_MS = 10 * 1000,  /* time to load a catalog before the port is opened without one */
    LISTENING_POLL_FACTOR = 20, /* a lost notification costs at most that many poll intervals */
    RECORD_DRAIN_MS = 5 * 1000, /* time to store at the end what was accepted */
};

static void print_line(const char *line)
{
    (void)fprintf(stderr, "%s\n", line);
}

static const void *acquire(void *data)
{
    return live_acquire(((const struct service *)data)->live);
}

static void release(void *data, const void *view)
{
    (void)data;
    live_release(view);
}

static enum status authenticate(void *data, const char *key, struct caller *ret_caller)
{
    return keyring_find(((const struct service *)data)->keys, key, ret_caller);
}

/* What the answer cache is keyed by: the default of as_of is the day, so the day is part of it. */
static const char *version_of_day(const void *data)
{
    static _Thread_local char text[96];
    static _Thread_local int32_t day;
    const struct live_view *view = data;
    const char *version = view->snapshot ? view->snapshot->version : "";
    size_t length = strlen(version);
    date_t today = cli_today();
    if (day != today.days || strncmp(text, version, length) != 0 || text[length] != '@') {
        (void)snprintf(text, sizeof text, "%s@%d", version, today.days);
        day = today.days;
    }
    return text;
}

/* Cuts the list at its commas. */
static const char *const *split_list(const char *list, const char *name, struct arena *arena, struct problems *problems)
{
    const char **entries = ARENA_ARRAY(arena, LIST_MAX + 1, const char *);
    char *rest = arena_strdup(arena, list);
    for (size_t i = 0; entries && rest && i < LIST_MAX;) {
        char *entry = strsep(&rest, ",");
        entry += strspn(entry, " ");
        if (*entry) entries[i++] = entry;
    }
    if (rest && *rest) (void)problems_add(problems, STATUS_OUT_OF_RANGE, name, "has more than %d entries", LIST_MAX);
    return entries;
}

static struct server_settings server_settings(const struct cli *cli, const struct settings *settings,
                                              struct service *service, struct arena *arena, struct problems *problems)
{
    return (struct server_settings){
        .listen_address = settings->listen,
        .port = (uint16_t)settings->port,
        .threads = (unsigned)settings->threads,
        .workers = (unsigned)settings->workers,
        .waiters = (unsigned)settings->db_workers,
        .queue_max = (unsigned)settings->queue_max,
        .connections_max = (unsigned)settings->connections_max,
        .connections_per_address_max = (unsigned)settings->connections_per_address_max,
        .idle_timeout_s = (unsigned)settings->idle_timeout_s,
        .request_deadline_s = (unsigned)settings->request_deadline_s,
        .cache_max_bytes = (size_t)settings->cache_max_mib << 20,
        .cors_origin = settings->cors_origin,
        .allowed_hosts = split_list(settings->allowed_hosts, "allowed_hosts", arena, problems),
        .trusted_proxies = split_list(settings->trusted_proxies, "trusted_proxies", arena, problems),
        .reading_needs_key = settings->reading_needs_key,
        .reports_need_key = settings->reports_need_key,
        .address_requests_per_second = (double)settings->address_requests_per_second,
        .key_requests_per_second = (double)settings->key_requests_per_second,
        .access_log = settings->access_log,
        .routes = cli->routes,
        .acquire = acquire,
        .release = release,
        .authenticate = service->store ? authenticate : NULL,
        .version = version_of_day,
        .data = service,
        .fail = cli->fail,
        .metrics = serve_metrics,
    };
}

/* The signals are blocked before any thread starts, so that only this one takes them. */
static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static void print_start(const struct settings *settings, struct live *live, uint16_t port)
{
    struct live_health health;
    const struct live_view *view = live_acquire(live);
    const struct snapshot *snapshot = view->snapshot;
    bool six = strchr(settings->listen, ':') != NULL;
    live_health(live, &health);
    (void)fprintf(stderr, "gpusize %s, ", GPUSIZE_VERSION);
    if (snapshot)
        (void)fprintf(stderr, "catalog %s: %zu GPUs, %zu models, %zu offers\n", snapshot->version, snapshot->gpu_count,
                      snapshot->model_count, snapshot->offer_count);
    else
        (void)fprintf(stderr, "no catalog yet: %s\n", health.reason);
    (void)fprintf(stderr, "listening on http://%s%s%s:%u\n", six ? "[" : "", settings->listen, six ? "]" : "", port);
    live_release(view);
}

/* What no table of settings can tell. */
static enum status check_settings(const struct settings *settings, const struct server_settings *wanted,
                                  struct problems *problems)
{
    const char *bad = NULL;
    if (!wanted->allowed_hosts || !wanted->trusted_proxies)
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the settings");
    if (!client_networks_valid(wanted->trusted_proxies, &bad))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "trusted_proxies",
                           "'%s' is no address or network: 10.0.0.0/8, ::1", bad);
    if (settings->reading_needs_key && !*settings->database_url)
        (void)problems_add(problems, STATUS_CONTRADICTION, "reading_needs_key",
                           "keys are in a database: set DATABASE_URL");
    return problems_status(problems);
}

static int run_server(const struct cli *cli, const struct settings *settings, struct service *service,
                      const sigset_t *signals, struct arena *arena, struct problems *problems)
{
    int signal_number = 0;
    struct server *server = NULL;
    const struct server_settings wanted = server_settings(cli, settings, service, arena, problems);
    enum status status = check_settings(settings, &wanted, problems);
    if (status == STATUS_OK) status = server_start(&wanted, problems, &server);
    if (status != STATUS_OK) return cli_report(problems, status);
    print_start(settings, service->live, server_port(server));
    (void)sigwait(signals, &signal_number);
    bool drained = server_drain(server, (unsigned)settings->drain_s);
    (void)fprintf(stderr, drained ? "stopped: every open request was answered\n"
                                  : "stopped: some requests did not end in time\n");
    server_free(server);
    return drained ? CLI_OK : CLI_FAILED;
}

static struct live_settings live_settings(const struct settings *settings, struct serve_catalog *catalog)
{
    if (!catalog->store) return (struct live_settings){0};
    return (struct live_settings){
        .source = serve_catalog_source(catalog),
        .poll_ms = (unsigned)settings->poll_interval_ms,
        .listening_poll_ms = (unsigned)settings->poll_interval_ms * LISTENING_POLL_FACTOR,
        .cache_path = *settings->snapshot_cache ? settings->snapshot_cache : NULL,
        .report = print_line,
    };
}

/* Where answers go, and how much of them may be there. */
struct archive {
    struct store *store;
    int64_t max_bytes;
};

static enum status write_answers(void *data, const struct record *records, size_t count, struct problems *problems)
{
    const struct archive *archive = data;
    return store_recommendations_add(archive->store, records, count, archive->max_bytes, problems);
}

/* Leaves NULL where nothing is to be stored. */
static enum status start_recorder(const struct settings *settings, struct archive *archive, struct problems *problems,
                                  struct recorder **ret_recorder)
{
    const struct recorder_settings wanted = {
        .queue_max_bytes = (size_t)settings->record_queue_max_mib << 20,
        .drain_ms = RECORD_DRAIN_MS,
        .write = write_answers,
        .data = archive,
        .report = print_line,
    };
    return archive->store && archive->max_bytes > 0 ? recorder_new(&wanted, problems, ret_recorder) : STATUS_OK;
}

/* The catalog of the database, or, where none is set, the bundled one: never the one instead of the other. */
static int run_catalog(const struct cli *cli, const struct settings *settings, struct serve_catalog *catalog,
                       struct serving *serving, struct arena *arena, struct problems *problems)
{
    struct service *service = &serving->service;
    sigset_t signals;
    struct snapshot *bundled = NULL;
    enum status status = catalog->store ? STATUS_OK : cli_load_catalog(settings, problems, &bundled);
    if (status != STATUS_OK) return cli_report(problems, status);
    block_signals(&signals);
    const struct live_settings wanted = live_settings(settings, catalog);
    status = live_new(&wanted, bundled, problems, &service->live);
    if (status != STATUS_OK) return cli_report(problems, status);
    live_settle(service->live, FIRST_LOAD_MS);
    struct archive archive = {.store = service->store, .max_bytes = settings->record_max_mib << 20};
    status = start_recorder(settings, &archive, problems, &service->recorder);
    if (status == STATUS_OK)
        status = serve_feed_open(settings, service->store, print_line, arena, problems, &serving->feed);
    service->feed = serving->feed.feed;
    if (status == STATUS_OK) status = serve_watch_start(settings, service->feed, print_line, problems, &serving->watch);
    int code = status == STATUS_OK ? run_server(cli, settings, service, &signals, arena, problems)
                                   : cli_report(problems, status);
    recorder_free(service->recorder); /* after the last request: nothing that was accepted is lost */
    const bool ended = serve_watch_stop(serving->watch, print_line);
    serve_feed_close(&serving->feed);
    live_free(service->live);
    if (!ended) {
        (void)fflush(NULL);
        _exit(code); /* exit() would run what the driver's library does at the end, which may wait for its own thread */
    }
    return code;
}

int cli_serve(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings = {0};
    struct serve_catalog catalog = {
        .application_name = APPLICATION_NAME, .keys_state = -1, .imports = IMPORT_AGES_INIT};
    struct serving serving = {.imports = &catalog.imports};
    struct service *service = &serving.service;
    bool help = false;
    arena_init(&arena, SERVE_ARENA_BYTES);
    problems_init(&problems, &arena);
    enum status status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    catalog.listen_url = settings.database_listen_url;
    catalog.keys = service->keys = keyring_new();
    service->price_age_max_days = settings.max_price_age_days;
    if (status == STATUS_OK && !service->keys) status = STATUS_OUT_OF_MEMORY;
    bool stored = status == STATUS_OK && !help && *settings.database_url;
    if (stored) status = cli_open_store(&settings, APPLICATION_NAME, 1, &problems, &catalog.store);
    if (stored && status == STATUS_OK)
        status = cli_open_store(&settings, APPLICATION_NAME,
                                (unsigned)settings.db_workers + SERVER_WRITERS + 1 /* stores answers */ +
                                    (settings.monitor_interval_s > 0 ? 1 : 0) /* samples of this host */,
                                &problems, &service->store);
    int code = CLI_OK;
    if (help)
        settings_help();
    else if (status != STATUS_OK)
        code = cli_report(&problems, status);
    else
        code = run_catalog(cli, &settings, &catalog, &serving, &arena, &problems);
    store_listener_close(catalog.listener);
    store_close(catalog.store);
    store_close(service->store);
    keyring_free(service->keys);
    arena_done(&arena);
    return code;
}
