/* settings.c owns the table of settings and their reading. */
#include "cli/settings.h"

#include "cli/flags.h"

#include "catalog/text.h"
#include "monitor/history.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 64 * 1024 };

enum setting_kind { SETTING_TEXT, SETTING_LIST, SETTING_INTEGER, SETTING_NUMBER, SETTING_SWITCH };

static const struct setting {
    const char *name; /* flag --name; environment GPUSIZE_NAME; file: name = value */
    enum setting_kind kind;
    size_t offset;
    const char *preset;
    int64_t min, max;
    const char *unit, *help;
} table[] = {
#define TEXT(member, preset, help)                                                                                     \
    {                                                                                                                  \
#member, SETTING_TEXT, offsetof(struct settings, member), preset, 0, 0, "TEXT", help                           \
    }
#define LIST(member, preset, help) /* with commas; flags may be given several times */                                 \
    {                                                                                                                  \
#member, SETTING_LIST, offsetof(struct settings, member), preset, 0, 0, "FILE", help                           \
    }
#define SWITCH(member, preset, help)                                                                                   \
    {                                                                                                                  \
#member, SETTING_SWITCH, offsetof(struct settings, member), preset, 0, 1, "on|off", help                       \
    }
#define INTEGER(member, preset, min, max, unit, help)                                                                  \
    {                                                                                                                  \
#member, SETTING_INTEGER, offsetof(struct settings, member), preset, min, max, unit, help                      \
    }
#define NUMBER(member, preset, min, max, unit, help)                                                                   \
    {                                                                                                                  \
#member, SETTING_NUMBER, offsetof(struct settings, member), preset, min, max, unit, help                       \
    }
    TEXT(settings_file, "", "File of settings, one `name = value` a line."),
    TEXT(listen, "127.0.0.1", "Address to listen on."),
    INTEGER(port, "8080", 0, 65535, "PORT", "Port to listen on; 0 takes a free one."),
    TEXT(allowed_hosts, "", "Host names that requests may be for besides loopback, comma separated; * is any."),
    TEXT(trusted_proxies, "", "Addresses and networks, comma separated, whose X-Forwarded-For is believed."),
    SWITCH(reading_needs_key, "off", "Whether also questions need a key; needs a database."),
    SWITCH(reports_need_key, "on",
           "Whether hosts need a writer's key to report on their GPUs; off: where you trust all."),
    INTEGER(address_requests_per_second, "0", 0, 1000000, "COUNT", "Limit of one address without a key; 0 is none."),
    INTEGER(key_requests_per_second, "0", 0, 1000000, "COUNT", "Limit of a key that has none of its own; 0 is none."),
    TEXT(cors_origin, "*", "Origin that web pages may ask from; empty forbids."),
    INTEGER(threads, "0", 0, 256, "COUNT", "HTTP threads; 0 is one per core."),
    INTEGER(workers, "0", 0, 256, "COUNT", "Computing threads; 0 is one less than cores, at least 1."),
    INTEGER(queue_max, "256", 1, 100000, "COUNT", "Requests that may wait for a thread; more are refused with 503."),
    INTEGER(connections_max, "4096", 1, 100000, "COUNT", "Open connections."),
    INTEGER(connections_per_address_max, "0", 0, 100000, "COUNT", "Open connections of one address; 0 is no limit."),
    INTEGER(idle_timeout_s, "60", 1, 3600, "SECONDS", "Time after which an idle connection is closed."),
    INTEGER(request_deadline_s, "15", 1, 3600, "SECONDS", "Time in which a request must have arrived."),
    INTEGER(cache_max_mib, "16", 0, 4096, "MIB", "Memory for finished answers."),
    INTEGER(drain_s, "30", 0, 3600, "SECONDS", "Time to finish open requests after SIGTERM."),
    INTEGER(access_log, "1", 0, 1, "0|1", "One JSON line per request on standard error."),
    INTEGER(max_price_age_days, "0", 0, 36500, "DAYS",
            "Older prices are passed over where a question sets no limit; 0: none."),
    TEXT(profiles, "", "File of engine profiles, as gpusize fit writes, laid over the built-in catalog."),
    LIST(calibration, "", "Reports of gpusize-probe, whose GPUs are calibrated beside the built-in catalog."),
    TEXT(calibration_pool, "own", "The pool of machines that they are true of."),
    TEXT(database_url, "", "PostgreSQL that has the catalog, as postgresql://...; DATABASE_URL; empty: built-in."),
    TEXT(database_listen_url, "", "The same past any pooler, on the primary, to be told of changes."),
    INTEGER(poll_interval_ms, "500", 10, 3600000, "MS", "Between looks for changes where nobody tells of them."),
    INTEGER(db_workers, "4", 1, 256, "COUNT",
            "Threads that read from the database, with a connection each; two more write."),
    SWITCH(db_prepared, "on", "Prepared statements; off behind poolers that lose them."),
    INTEGER(db_statement_timeout_ms, "5000", 0, 3600000, "MS", "Time that one statement may take; 0 is no limit."),
    INTEGER(record_max_mib, "1024", 0, 1 << 20, "MIB",
            "Stored answers in the database, deflated; beyond it the oldest go. 0 stores none."),
    INTEGER(record_queue_max_mib, "16", 1, 4096, "MIB", "Memory for answers that wait to be stored; more are dropped."),
    TEXT(snapshot_cache, "", "File that keeps the catalog for a start while the database is away."),
    INTEGER(monitor_hosts_max, "1000", 1, 100000, "COUNT",
            "Hosts that may report; one more takes the place of one that was silent for a day, or is refused."),
    INTEGER(monitor_keep_days, "7", 1, 3650, "DAYS", "Samples of hosts that are older are dropped."),
    INTEGER(monitor_samples_max, "1000", 1, HISTORY_MAX, "COUNT", "Samples of each host where there is no database."),
    INTEGER(monitor_memory_max_mib, "64", 1, 65536, "MIB",
            "Samples of all hosts where there is no database; beyond it the oldest go."),
    INTEGER(monitor_interval_s, "0", 0, 86400, "SECONDS",
            "Between two samples of this host itself, as gpusize monitor takes them; 0: it is not watched."),
    NUMBER(alert_threshold, "0.85", 0, 1000000, "RATIO", "Memory in use, of a host or a GPU, that is too much."),
    NUMBER(alert_hysteresis, "0.05", 0, 1, "RATIO", "An alert is resolved so far below its threshold."),
    NUMBER(alert_temperature, "90", 1, 200, "CELSIUS", "A GPU that is too hot."),
    NUMBER(alert_for, "0", 0, 86400, "SECONDS", "An alert fires when it has lasted so long."),
    SWITCH(alert_log, "on", "Alerts of hosts as JSON lines on standard error."),
    TEXT(alert_webhook, "", "URL that alerts of hosts are posted to."),
    TEXT(alert_webhook_secret_file, "", "File with the secret that signs them."),
    TEXT(alert_exec, "", "Program, with arguments, that is run for each alert of a host; no shell."),
    INTEGER(sink_timeout, "10", 1, 300, "SECONDS", "Time that one delivery of an alert may take."),
#undef TEXT
#undef LIST
#undef SWITCH
#undef INTEGER
#undef NUMBER
};
enum { SETTINGS = sizeof table / sizeof table[0] };

static const struct setting *find_setting(const char *name, size_t length)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        if (cli_names(name, length, table[i].name)) return &table[i];
    }
    return NULL;
}

static void assign_number(const struct setting *setting, const char *value, const char *from, struct problems *problems,
                          double *ret_number)
{
    double number = 0;
    if (text_parse_double(value, &number) && number >= (double)setting->min && number <= (double)setting->max)
        *ret_number = number;
    else
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, setting->name, "'%s' (%s) must be a number from %lld to %lld",
                           value, from, (long long)setting->min, (long long)setting->max);
}

static void assign(const struct setting *setting, const char *value, const char *from, struct problems *problems,
                   struct settings *settings)
{
    char *member = (char *)settings + setting->offset;
    if (setting->kind == SETTING_TEXT || setting->kind == SETTING_LIST) {
        *(const char **)member = value;
        return;
    }
    if (setting->kind == SETTING_NUMBER) {
        assign_number(setting, value, from, problems, (double *)(void *)member);
        return;
    }
    int64_t number = 0;
    if (setting->kind == SETTING_SWITCH && strcmp(value, "on") == 0) value = "1";
    if (setting->kind == SETTING_SWITCH && strcmp(value, "off") == 0) value = "0";
    if (!text_parse_int64(value, &number) || number < setting->min || number > setting->max) {
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, setting->name,
                           "'%s' (%s) must be a whole number from %lld to %lld", value, from, (long long)setting->min,
                           (long long)setting->max);
        return;
    }
    *(int64_t *)member = number;
}

static void read_environment(struct problems *problems, struct settings *settings)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        char name[64] = "GPUSIZE_";
        for (size_t at = 0; table[i].name[at]; at++) {
            char letter = table[i].name[at];
            name[8 + at] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
        }
        const char *value = getenv(name), *plain = name + sizeof "GPUSIZE_" - 1;
        if (!value && strncmp(plain, "DATABASE_", 9) == 0) value = getenv(plain); /* as other programs have it */
        if (value) assign(&table[i], value, name, problems, settings);
    }
}

/* One line of the file: blank, a # comment, or name = value. */
static void read_line(char *line, size_t number, const char *path, struct problems *problems, struct settings *settings)
{
    char *name = line + strspn(line, " \t\r");
    if (!*name || *name == '#') return;
    size_t length = strcspn(name, " \t=");
    char *value = strchr(name, '=');
    const struct setting *setting = value ? find_setting(name, length) : NULL;
    if (!setting) {
        (void)problems_add(problems, STATUS_UNKNOWN_FIELD, path,
                           "line %zu: '%.*s' is no setting; see gpusize serve --help", number, (int)length, name);
        return;
    }
    value += 1 + strspn(value + 1, " \t");
    value[strcspn(value, "\r")] = '\0';
    for (size_t end = strlen(value); end > 0 && (value[end - 1] == ' ' || value[end - 1] == '\t'); end--)
        value[end - 1] = '\0';
    assign(setting, value, path, problems, settings);
}

static void read_file(const char *path, struct arena *arena, struct problems *problems, struct settings *settings)
{
    FILE *file = fopen(path, "rb");
    char *text = file ? arena_alloc(arena, FILE_MAX_BYTES + 1) : NULL;
    size_t length = text ? fread(text, 1, FILE_MAX_BYTES + 1, file) : 0;
    bool failed = !text || ferror(file) || length > FILE_MAX_BYTES;
    if (file) (void)fclose(file);
    if (failed) {
        (void)problems_add(problems, STATUS_IO, "settings_file", "%s cannot be read, or is over 64 KiB", path);
        return;
    }
    size_t number = 1;
    for (char *line = text, *next = NULL; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        read_line(line, number, path, problems, settings);
    }
}

/* Another flag of a list adds to it. */
static const char *add_to_list(const struct setting *setting, const char *value, const struct settings *settings,
                               struct arena *arena)
{
    const char *list = *(const char *const *)(const void *)((const char *)settings + setting->offset);
    const char *longer = arena_printf(arena, "%s,%s", list, value);
    return longer ? longer : value;
}

/* Calls `assign` for each flag; the file's name is wanted before everything else. */
static void read_flags(int argc, char **argv, bool only_file, struct problems *problems, struct settings *settings,
                       bool *help)
{
    bool listed[SETTINGS] = {false}; /* by a flag: what came from elsewhere is replaced */
    for (int i = 1; i < argc; i++) {
        const char *given = argv[i], *name = strncmp(given, "--", 2) == 0 ? given + 2 : "", *equals = strchr(name, '=');
        if (strcmp(name, "help") == 0) {
            *help = true;
            continue;
        }
        const struct setting *setting = find_setting(name, equals ? (size_t)(equals - name) : strlen(name));
        const char *value = equals ? equals + 1 : setting && i + 1 < argc ? argv[++i] : NULL;
        bool file = setting && setting->offset == offsetof(struct settings, settings_file);
        if (setting && value && setting->kind == SETTING_LIST && !only_file) {
            if (listed[setting - table]) value = add_to_list(setting, value, settings, problems->arena);
            listed[setting - table] = true;
        }
        if (setting && value && (file || !only_file)) assign(setting, value, "flag", problems, settings);
        if ((!setting || !value) && !only_file) {
            const char *shown = arena_strndup(problems->arena, given, strcspn(given, "="));
            (void)problems_add(problems, setting ? STATUS_MISSING_FIELD : STATUS_UNKNOWN_FIELD, shown ? shown : "",
                               setting ? "needs a value" : "is no setting; see gpusize %s --help", argv[0]);
        }
    }
}

enum status settings_read(int argc, char **argv, struct arena *arena, struct problems *problems,
                          struct settings *ret_settings, bool *ret_help)
{
    struct settings settings = {0};
    bool help = false;
    for (size_t i = 0; i < SETTINGS; i++)
        assign(&table[i], table[i].preset, "default", problems, &settings);
    const char *path = getenv("GPUSIZE_SETTINGS_FILE");
    if (path) settings.settings_file = path;
    read_flags(argc, argv, true, problems, &settings, &help);
    if (*settings.settings_file) read_file(settings.settings_file, arena, problems, &settings);
    read_environment(problems, &settings);
    read_flags(argc, argv, false, problems, &settings, &help);
    *ret_help = help;
    *ret_settings = settings;
    return problems_status(problems);
}

void settings_help(void)
{
    (void)printf(
        "Answers the questions of the command line over HTTP, from the built-in catalog or a database's.\n\n"
        "Usage: gpusize serve [OPTIONS]\n\nExamples:\n  gpusize serve\n  gpusize serve --port 0 --access-log 0\n"
        "  GPUSIZE_LISTEN=0.0.0.0 GPUSIZE_ALLOWED_HOSTS=gpus.example.org gpusize serve\n\n"
        "Each option is also an environment variable (GPUSIZE_PORT) and a line of the settings file\n"
        "(port = 8080). Options win over variables, those over the file.\n\n");
    for (size_t i = 0; i < SETTINGS; i++) {
        cli_print_option(table[i].name, table[i].unit, table[i].help, *table[i].preset ? table[i].preset : NULL);
    }
}
