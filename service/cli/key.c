/* key.c owns `gpusize key`: making, listing and revoking the keys of a database. */
#include "catalog/text.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "keys/keys.h"
#include "store/keys.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>

enum { KEY_ARENA_BYTES = 16 << 20 };

struct key_choices {
    const char *name, *role, *expires_at, *requests_per_second;
    bool json, help;
};

static const struct cli_flag flags[] = {
    {"name", "TEXT", "Whose key it is, up to 100 bytes; unique among those that are not revoked.",
     offsetof(struct key_choices, name)},
    {"role", "ROLE", "reader, writer (also changes the catalog) or admin. Default: reader.",
     offsetof(struct key_choices, role)},
    {"expires_at", "DAY", "Refused from the beginning of that day, UTC. Default: never.",
     offsetof(struct key_choices, expires_at)},
    {"requests_per_second", "NUMBER", "Limit of its own. Default: the service's.",
     offsetof(struct key_choices, requests_per_second)},
    {"json", NULL, "Answer in JSON.", offsetof(struct key_choices, json)},
    {"help", NULL, "This text.", offsetof(struct key_choices, help)},
    {NULL, NULL, NULL, 0},
};

struct key_run {
    struct key_choices choices;
    const char *named; /* what stands behind the action; NULL: nothing */
    struct store *store;
    struct arena *arena;
    struct problems *problems;
};

static int print_help(void)
{
    (void)printf(
        "Makes, lists and revokes the keys that callers of a service with a database send. A key is shown once,\n"
        "when it is made; the database only has a hash of it. Running services know of a change within a second.\n"
        "\nUsage: gpusize key create --name TEXT [--role ROLE] [OPTIONS]\n       gpusize key list [--json]\n"
        "       gpusize key revoke ID|NAME\n\nExamples:\n"
        "  gpusize key create --name procurement --role writer --expires-at 2027-12-31\n"
        "  curl -H \"Authorization: Bearer $KEY\" http://127.0.0.1:8080/v1/offers\n"
        "  gpusize key revoke procurement\n\n");
    cli_print_flags(flags);
    return puts("\nExit status: 0 done; 2 the arguments are wrong; 3 failed.") < 0 ? CLI_FAILED : CLI_OK;
}

/* Every bad choice is a problem. */
static enum status read_choices(const struct key_choices *choices, struct problems *problems, struct key *key)
{
    date_t day;
    struct caller *caller = &key->caller;
    *key = (struct key){.caller = {.role = ROLE_READER, .requests_per_second = UNKNOWN}};
    size_t length = choices->name ? strlen(choices->name) : 0;
    if (length == 0 || length >= sizeof caller->name || !text_valid_utf8(choices->name, length))
        (void)problems_add(problems, choices->name ? STATUS_INVALID_VALUE : STATUS_MISSING_FIELD, "--name",
                           "say whose key it is, in up to %zu bytes", sizeof caller->name - 1);
    else
        memcpy(caller->name, choices->name, length + 1);
    if (choices->role && !role_parse(choices->role, &caller->role))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "--role", "'%s' is none of reader, writer, admin",
                           choices->role);
    if (choices->expires_at && !date_parse(choices->expires_at, &day))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "--expires-at", "'%s' is no day: YYYY-MM-DD",
                           choices->expires_at);
    else if (choices->expires_at && day.days <= cli_today().days)
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "--expires-at", "%s is not in the future",
                           choices->expires_at);
    double *rate = &caller->requests_per_second;
    if (choices->requests_per_second &&
        (!text_parse_double(choices->requests_per_second, rate) || !(*rate >= 0.001 && *rate <= 1e6)))
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "--requests-per-second", "'%s' is not from 0.001 to 1000000",
                           choices->requests_per_second);
    return problems_status(problems);
}

/* One JSON object on a line. */
static enum status print_json(struct out *out, struct problems *problems)
{
    bool written = cli_write_line(out);
    out_done(out);
    return written ? STATUS_OK : problems_add(problems, STATUS_IO, "", "the answer cannot be written");
}

static enum status create(struct key_run *run)
{
    struct key key;
    char text[KEY_TEXT_BYTES], day[DATE_TEXT_BYTES];
    date_t expires = DATE_UNKNOWN;
    enum status status = read_choices(&run->choices, run->problems, &key);
    if (status != STATUS_OK) return status;
    key_make(&key, text);
    if (run->choices.expires_at) (void)date_parse(run->choices.expires_at, &expires);
    const char *expires_at =
        run->choices.expires_at ? arena_printf(run->arena, "%s 00:00:00+00", date_format(expires, day)) : NULL;
    status = store_key_create(run->store, &key, expires_at, run->problems);
    if (status == STATUS_ALREADY_EXISTS) {
        run->problems->count = 0; /* the database's words, which name an index */
        return problems_add(run->problems, status, "--name", "there is a key '%s' already; revoke it first",
                            key.caller.name);
    }
    if (status != STATUS_OK) return status;
    struct out out;
    out_init(&out, 0);
    out_object(&out, NULL);
    out_text(&out, "id", key.caller.key_id);
    out_text(&out, "name", key.caller.name);
    out_text(&out, "role", role_name(key.caller.role));
    out_text(&out, "key", text);
    out_object_end(&out);
    if (run->choices.json) return print_json(&out, run->problems);
    out_done(&out);
    (void)fprintf(stderr, "Made the %s key %s for '%s'. It is shown this once:\n", role_name(key.caller.role),
                  key.caller.key_id, key.caller.name);
    return puts(text) >= 0 && fflush(stdout) == 0
               ? STATUS_OK
               : problems_add(run->problems, STATUS_IO, "", "the key cannot be written: revoke it, make another");
}

static const char *state_of(const struct store_key *key)
{
    return key->revoked_at ? "revoked" : key->expires_at ? key->expires_at : "";
}

static void put_key(struct out *out, const struct store_key *key)
{
    out_object(out, NULL);
    out_text(out, "id", key->id);
    out_text(out, "name", key->name);
    out_text(out, "role", key->role);
    out_number(out, "requests_per_second", key->requests_per_second);
    out_text(out, "created_at", key->created_at);
    out_text(out, "created_by", key->created_by);
    out_text(out, "expires_at", key->expires_at);
    out_text(out, "revoked_at", key->revoked_at);
    out_object_end(out);
}

static enum status list(struct key_run *run)
{
    const struct store_key *keys = NULL;
    size_t count = 0;
    enum status status = store_keys_list(run->store, run->arena, run->problems, &keys, &count);
    if (status != STATUS_OK) return status;
    if (run->choices.json) {
        struct out out;
        out_init(&out, 0);
        out_object(&out, NULL);
        out_array(&out, "keys");
        for (size_t i = 0; i < count; i++)
            put_key(&out, &keys[i]);
        out_array_end(&out);
        out_object_end(&out);
        return print_json(&out, run->problems);
    }
    (void)printf("%-12s  %-6s  %-20s  %-20s  %s\n", "id", "role", "created", "ends", "name");
    for (size_t i = 0; i < count; i++)
        (void)printf("%-12s  %-6s  %-20s  %-20s  %s\n", keys[i].id, keys[i].role, keys[i].created_at,
                     state_of(&keys[i]), keys[i].name);
    return fflush(stdout) == 0 ? STATUS_OK : problems_add(run->problems, STATUS_IO, "", "the list cannot be written");
}

static enum status revoke(struct key_run *run)
{
    const char *named = run->named ? run->named : run->choices.name;
    if (!named) return problems_add(run->problems, STATUS_MISSING_FIELD, "revoke", "say which key, by its id or name");
    enum status status = store_key_revoke(run->store, named, run->problems);
    if (status == STATUS_OK) (void)printf("revoked %s\n", named);
    return status;
}

static const struct {
    const char *name;
    enum status (*run)(struct key_run *run);
    bool named; /* what stands behind it says which key */
} actions[] = {{"create", create, false}, {"list", list, false}, {"revoke", revoke, true}};
enum { ACTIONS = sizeof actions / sizeof *actions };

/* Takes what stands before the options: the action, and what it is about. */
static size_t take_action(struct key_run *run, int *argc, char **argv)
{
    size_t action = 0;
    while (*argc > 1 && action < ACTIONS && strcmp(actions[action].name, argv[1]) != 0)
        action++;
    if (*argc < 2 || action == ACTIONS) return ACTIONS;
    int taken = 1;
    if (*argc > 2 && strncmp(argv[2], "--", 2) != 0) run->named = argv[1 + taken++];
    for (int i = 1; i + taken < *argc; i++)
        argv[i] = argv[i + taken];
    *argc -= taken;
    return action;
}

int cli_key(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    bool help = false;
    (void)cli;
    arena_init(&arena, KEY_ARENA_BYTES);
    problems_init(&problems, &arena);
    struct key_run run = {.arena = &arena, .problems = &problems};
    cli_take_flags(flags, &argc, argv, &run.choices, &problems);
    size_t action = take_action(&run, &argc, argv);
    enum status status = settings_read(argc, argv, &arena, &problems, &settings, &help);
    if (action == ACTIONS)
        status = problems_add(&problems, STATUS_MISSING_FIELD, "key",
                              "say what to do: create, list or revoke; see gpusize key --help");
    else if (run.named && !actions[action].named)
        status =
            problems_add(&problems, STATUS_UNKNOWN_FIELD, run.named, "%s takes options only", actions[action].name);
    if (!run.choices.help && status == STATUS_OK)
        status = cli_open_store(&settings, "gpusize key", 1, &problems, &run.store);
    if (!run.choices.help && status == STATUS_OK) status = actions[action].run(&run);
    int code = run.choices.help ? print_help() : status == STATUS_OK ? CLI_OK : cli_report(&problems, status);
    store_close(run.store);
    arena_done(&arena);
    return code;
}
