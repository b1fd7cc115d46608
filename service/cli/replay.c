/* replay.c owns `gpusize replay`: a stored answer computed again from the catalog and the day that it was given on. */
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "http/query.h"
#include "store/recommendation.h"
#include "wire/compare.h"
#include "wire/encode.h"

#include <stdio.h>
#include <string.h>

enum { REPLAY_ARENA_BYTES = 64 << 20, LINES_MAX = 10 };

struct replay_choices {
    bool print, help;
};

static const struct cli_flag flags[] = {
    {"print", NULL, "Prints the answer of now on standard output, and the verdict on standard error.",
     offsetof(struct replay_choices, print)},
    {"help", NULL, "This text.", offsetof(struct replay_choices, help)},
    {NULL, NULL, NULL, 0},
};

struct replay {
    struct replay_choices choices;
    const char *id;
    struct store *store;
    struct record record;
    struct snapshot *snapshot;
    struct out now; /* the answer */
    struct arena *arena;
    struct problems *problems;
};

static int print_help(void)
{
    (void)printf("Computes a stored answer again: the question as it was asked, on the catalog as it was then, as if\n"
                 "it were that day. Nothing is changed.\n\n"
                 "Usage: gpusize replay ID [--print] [--database-url TEXT]\n\nExamples:\n"
                 "  DATABASE_URL=postgresql:///gpusize gpusize replay fd143d31182fc1ba07e73a34f75a112b\n\n");
    cli_print_flags(flags);
    return puts("\nExit status: 0 the same bytes; 1 others, and what differs; 2 the arguments are wrong; 3 it cannot "
                "be\n"
                "computed, or is not stored.") < 0
               ? CLI_FAILED
               : CLI_OK;
}

/* "<uuid>:17" is version 17, if it is of this database: a copy may go on to other facts under the same numbers. */
static enum status read_catalog(struct replay *replay)
{
    struct store_version newest;
    int64_t number = 0;
    const char *version = replay->record.catalog_version, *colon = strchr(version, ':');
    enum status status = store_catalog_version(replay->store, replay->problems, &newest);
    if (status != STATUS_OK) return status;
    if (!colon || strncmp(version, newest.text, (size_t)(colon - version) + 1) != 0 ||
        !text_parse_int64(colon + 1, &number))
        return problems_add(replay->problems, STATUS_NOT_FOUND, "catalog_version",
                            "it was computed from %s, of another database; this one is %.*s", version,
                            (int)strcspn(newest.text, ":"), newest.text);
    return cli_read_catalog(replay->store, number, replay->problems, &replay->snapshot);
}

static enum status read_query(struct replay *replay, struct input **ret_input)
{
    const struct record_text *question = &replay->record.question;
    const struct query_pair *parts = NULL;
    size_t count = 0;
    enum status status =
        query_parse(replay->arena, question->bytes, question->length, replay->problems, &parts, &count);
    struct pair *pairs = status == STATUS_OK ? ARENA_ARRAY(replay->arena, count + 1, struct pair) : NULL;
    if (status != STATUS_OK) return status;
    if (!pairs) return problems_add(replay->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the question");
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct pair){parts[i].name, parts[i].value};
    return input_from_pairs(replay->arena, pairs, count, replay->problems, ret_input);
}

static enum status read_question(struct replay *replay, struct input **ret_input)
{
    const struct record *record = &replay->record;
    if (strcmp(record->question_form, RECORD_QUERY) == 0) return read_query(replay, ret_input);
    return input_from_json(replay->arena, record->question.bytes, record->question.length, replay->problems, ret_input);
}

/* What the service put in where the question said nothing, as the answer's request has it; 0: nothing. */
static int64_t price_age_max(const struct replay *replay)
{
    const struct record_text *answer = &replay->record.answer;
    const struct encode_options options = {
        .format = FORMAT_TXT, .rows = "", .field = "request.constraints.max_price_age_days"};
    struct problems ignored; /* other operations have no such field */
    struct out text;
    int64_t days = 0;
    problems_init(&ignored, replay->arena);
    out_init(&text, 0);
    enum status status = encode(answer->bytes, answer->length, &options, &ignored, &text);
    out_raw(&text, "", 1); /* ends it */
    if (status != STATUS_OK || text.failed || !text_parse_int64(text.data, &days)) days = 0;
    out_done(&text);
    return days;
}

static enum status compute(struct replay *replay)
{
    const struct record *record = &replay->record;
    const struct operation *operation = operation_find(record->operation);
    if (!operation)
        return problems_add(replay->problems, STATUS_NOT_FOUND, "operation", "this program has no operation %s",
                            record->operation);
    struct input *input = NULL;
    enum status status = read_question(replay, &input);
    struct call call = {
        .snapshot = replay->snapshot,
        .input = input,
        .today = record->asked_on,
        .price_age_max_days = price_age_max(replay),
        .arena = replay->arena,
        .problems = replay->problems,
        .store = replay->store,
        .out = &replay->now,
        .may_wait = true,
    };
    if (status == STATUS_OK) status = operation_run(operation, &call);
    input_done(input);
    return status;
}

static enum status run(struct replay *replay)
{
    enum status status =
        store_recommendation_get(replay->store, replay->id, replay->arena, replay->problems, &replay->record);
    if (status == STATUS_OK) status = read_catalog(replay);
    if (status == STATUS_OK) status = compute(replay);
    if (status != STATUS_OK || !replay->choices.print) return status;
    return cli_write_line(&replay->now) ? STATUS_OK
                                        : problems_add(replay->problems, STATUS_IO, "", "the answer cannot be written");
}

static enum status tell_difference(struct replay *replay, FILE *stream)
{
    const struct record *record = &replay->record;
    size_t count = 0;
    struct out lines;
    out_init(&lines, 0);
    enum status status = compare_answers((struct compare_text){record->answer.bytes, record->answer.length},
                                         (struct compare_text){replay->now.data, replay->now.length}, LINES_MAX,
                                         replay->problems, &lines, &count);
    if (status == STATUS_OK) {
        (void)fprintf(stream, "different: %zu bytes were stored, and it is %zu now; %zu value%s differ%s%s\n",
                      record->answer.length, replay->now.length, count, count == 1 ? "" : "s", count == 1 ? "s" : "",
                      count ? " (stored, now)" : "");
        (void)fprintf(stream, "%.*s", (int)lines.length, count ? lines.data : "");
        if (count > LINES_MAX) (void)fprintf(stream, "and %zu more\n", count - LINES_MAX);
        if (strcmp(record->estimator_version, ESTIMATOR_VERSION) != 0)
            (void)fprintf(stream, "estimator %s computed it, and this program has %s: that is why\n",
                          record->estimator_version, ESTIMATOR_VERSION);
    }
    out_done(&lines);
    return status;
}

static enum status tell(struct replay *replay, bool *ret_same)
{
    const struct record *record = &replay->record;
    FILE *stream = replay->choices.print ? stderr : stdout;
    char day[DATE_TEXT_BYTES];
    bool same = replay->now.length == record->answer.length &&
                memcmp(replay->now.data, record->answer.bytes, record->answer.length) == 0;
    *ret_same = same;
    if (!same) return tell_difference(replay, stream);
    (void)fprintf(stream, "the same %zu bytes: %s, asked on %s of catalog %s\n", record->answer.length,
                  record->operation, date_format(record->asked_on, day), record->catalog_version);
    return STATUS_OK;
}

/* Takes the id out of the arguments; the rest are settings. */
static enum status take_id(struct replay *replay, int *argc, char **argv)
{
    if (*argc < 2 || strncmp(argv[1], "--", 2) == 0)
        return problems_add(replay->problems, STATUS_MISSING_FIELD, "id", "say which answer: gpusize replay ID");
    replay->id = argv[1];
    for (int i = 1; i + 1 < *argc; i++)
        argv[i] = argv[i + 1];
    --*argc;
    return answer_id_check(replay->id, replay->problems);
}

static int run_and_tell(struct replay *replay)
{
    bool same = false;
    out_init(&replay->now, 0);
    enum status status = run(replay);
    if (status == STATUS_OK) status = tell(replay, &same);
    if (status == STATUS_OK && fflush(stdout) != 0)
        status = problems_add(replay->problems, STATUS_IO, "", "the verdict cannot be written");
    if (status != STATUS_OK) (void)cli_report(replay->problems, status);
    out_done(&replay->now);
    snapshot_free(replay->snapshot);
    return status != STATUS_OK ? CLI_FAILED : same ? CLI_OK : CLI_NOTHING;
}

int cli_replay(const struct cli *cli, int argc, char **argv)
{
    struct arena arena;
    struct problems problems;
    struct settings settings;
    struct replay replay = {.arena = &arena, .problems = &problems};
    bool help = false;
    (void)cli;
    arena_init(&arena, REPLAY_ARENA_BYTES);
    problems_init(&problems, &arena);
    cli_take_flags(flags, &argc, argv, &replay.choices, &problems);
    enum status status = replay.choices.help ? STATUS_OK : take_id(&replay, &argc, argv);
    enum status others = settings_read(argc, argv, &arena, &problems, &settings, &help);
    if (status == STATUS_OK) status = others;
    if (status == STATUS_OK && !replay.choices.help)
        status = cli_open_store(&settings, "gpusize replay", 1, &problems, &replay.store);
    int code = replay.choices.help   ? print_help()
               : status != STATUS_OK ? cli_report(&problems, status)
                                     : run_and_tell(&replay);
    store_close(replay.store);
    arena_done(&arena);
    return code;
}
