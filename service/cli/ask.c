/* ask.c owns asking an operation from the command line: options to fields, the answer to text. */
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/settings.h"
#include "cli/table.h"
#include "cli/weights_file.h"
#include "store/store.h"
#include "wire/encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_ARENA_BYTES = 64 << 20, CONFIG_MAX_BYTES = 16 << 20, LINES_MAX_BYTES = 16 << 20 };

/* Options that are about the form of the answer, and not fields of the question. */
struct form {
    const char *format, *field, *columns, *rows, *config, *weights, *profiles, *calibration, *calibration_pool,
        *database_url;
    const char *lines; /* the file of the operation's option of that kind */
    bool json, help;
};

static const struct form_option {
    const char *name, *value, *help;
    size_t offset;
    bool flag;
} form_options[] = {
    {"json", NULL, "Answer in JSON.", offsetof(struct form, json), true},
    {"format", "NAME", "Answer in json, csv, xml or txt (one value).", offsetof(struct form, format), false},
    {"field", "PATH", "With --format txt: which value, such as recommended.gpu_count.", offsetof(struct form, field),
     false},
    {"columns", "NAMES", "With --format csv: which columns.", offsetof(struct form, columns), false},
    {"rows", "NAME", "With --format csv: which list of the answer the rows are, such as by_dtype of memory.",
     offsetof(struct form, rows), false},
    {"config", "FILE", "The model, as its config.json.", offsetof(struct form, config), false},
    {"weights", "FILE", "Its weights: a .gguf file, which is a model, or with --config a .safetensors file or index.",
     offsetof(struct form, weights), false},
    {"profiles", "FILE", "Engine profiles, as gpusize fit writes, laid over the built-in catalog.",
     offsetof(struct form, profiles), false},
    {"calibration", "FILE",
     "A report of gpusize-probe (.json), beside the built-in catalog; may be given several times.",
     offsetof(struct form, calibration), false},
    {"calibration-pool", "NAME", "The pool of machines that the reports are true of; own.",
     offsetof(struct form, calibration_pool), false},
    {"database-url", "TEXT", "Whose catalog answers; DATABASE_URL; empty: the built-in one.",
     offsetof(struct form, database_url), false},
    {"help", NULL, "This text.", offsetof(struct form, help), true},
};
enum { FORM_OPTIONS = sizeof form_options / sizeof form_options[0] };

/* Under the name that the operation has for it. */
static const struct form_option lines_option = {
    "lines", "FILE", "One request a line, as {\"input_tokens\": 1024, \"output_tokens\": 256}; - is standard input.",
    offsetof(struct form, lines), false};

struct question {
    struct arena arena;
    struct problems problems;
    struct form form;
    struct pair *pairs;
    size_t pair_count;
    const char *lines; /* NULL: none are given */
    size_t lines_length;
    struct store *store; /* NULL: the catalog is the built-in one */
    struct snapshot *snapshot;
};

const char *cli_form_option(size_t number)
{
    return number < FORM_OPTIONS ? form_options[number].name : NULL;
}

/* Questions have a field `calibration` too, the name of a pool or the id of one: no such name looks like this. */
static bool is_report(const char *name, const char *value)
{
    static const char ending[] = ".json";
    size_t length = value ? strlen(value) : 0;
    return strcmp(name, "calibration") == 0 && length > sizeof ending - 1 &&
           (strcmp(value + length - (sizeof ending - 1), ending) == 0 || *value == '/' || strncmp(value, "./", 2) == 0);
}

static const struct form_option *find_form_option(const struct operation *operation, const char *name,
                                                  const char *value)
{
    if (operation->lines && strcmp(operation->lines, name) == 0) return &lines_option;
    for (size_t i = 0; i < operation->field_count; i++) {
        bool field = strcmp(operation->fields[i].name, name) == 0 && !is_report(name, value);
        if (field) return NULL; /* a field of the question comes first */
    }
    for (size_t i = 0; i < FORM_OPTIONS; i++) {
        if (strcmp(form_options[i].name, name) == 0) return &form_options[i];
    }
    return NULL;
}

static void set_option(struct question *question, const struct form_option *form, const char *value)
{
    const char **member = (const char **)(void *)((char *)&question->form + form->offset);
    bool more = *member && member == &question->form.calibration;
    const char *list = more ? arena_printf(&question->arena, "%s,%s", *member, value) : value;
    *member = list ? list : value;
}

static enum status read_option(const struct operation *operation, struct question *question, int argc, char **argv,
                               int *index)
{
    const char *text = strcmp(argv[*index], "-h") == 0 ? "--help" : argv[*index];
    if (strncmp(text, "--", 2) != 0 || !text[2]) {
        return problems_add(&question->problems, STATUS_UNKNOWN_FIELD, text, "options look like --model NAME");
    }
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text - 2) : strlen(text + 2);
    const char *name = arena_strndup(&question->arena, text + 2, length), *value = equals ? equals + 1 : NULL;
    if (!name) return problems_add(&question->problems, STATUS_OUT_OF_MEMORY, text, "no memory");
    const struct form_option *form = find_form_option(operation, name, value ? value : argv[*index + 1]);
    if (form && form->flag) {
        *(bool *)((char *)&question->form + form->offset) = true;
        return value ? problems_add(&question->problems, STATUS_WRONG_TYPE, name, "--%s takes no value", name)
                     : STATUS_OK;
    }
    if (!value && *index + 1 < argc) value = argv[++*index];
    if (!value) return problems_add(&question->problems, STATUS_MISSING_FIELD, name, "--%s needs a value", name);
    if (form)
        set_option(question, form, value);
    else
        question->pairs[question->pair_count++] = (struct pair){name, value};
    return STATUS_OK;
}

static bool has_pair(const struct question *question, const char *name)
{
    for (size_t i = 0; i < question->pair_count; i++) {
        if (strcmp(question->pairs[i].name, name) == 0) return true;
    }
    return false;
}

/* Reports of a pool that is named are what the question is about. */
static void name_pool(const struct operation *operation, struct question *question)
{
    const struct form *form = &question->form;
    bool asks = false;
    for (size_t i = 0; i < operation->field_count; i++)
        asks |= strcmp(operation->fields[i].name, "calibration") == 0;
    if (asks && form->calibration && form->calibration_pool && !has_pair(question, "calibration"))
        question->pairs[question->pair_count++] = (struct pair){"calibration", form->calibration_pool};
}

static enum status read_options(const struct operation *operation, struct question *question, int argc, char **argv)
{
    question->pairs = ARENA_ARRAY(&question->arena, (size_t)argc + 3, struct pair);
    if (!question->pairs) return problems_add(&question->problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    enum status status = STATUS_OK;
    for (int i = 1; i < argc; i++) {
        enum status one = read_option(operation, question, argc, argv, &i);
        if (one != STATUS_OK) status = one;
    }
    if (status == STATUS_OK && question->form.config) {
        const char *config = NULL;
        size_t length = 0;
        status = cli_read_file(question->form.config, CONFIG_MAX_BYTES, &question->arena, "config", &question->problems,
                               &config, &length);
        if (status == STATUS_OK) question->pairs[question->pair_count++] = (struct pair){"config", config};
    }
    if (status == STATUS_OK && question->form.lines)
        status = cli_read_file(question->form.lines, LINES_MAX_BYTES, &question->arena, operation->lines,
                               &question->problems, &question->lines, &question->lines_length);
    if (status == STATUS_OK) name_pool(operation, question);
    if (status != STATUS_OK || !question->form.weights) return status;
    struct pair *pair = &question->pairs[question->pair_count];
    status =
        weights_file_read(question->form.weights, &question->arena, &question->problems, &pair->name, &pair->value);
    if (status == STATUS_OK) question->pair_count++;
    return status;
}

/* Machine formats go through the same encoder as over HTTP: the same bytes. */
static enum status print_encoded(struct question *question, const struct operation *operation, const struct call *call,
                                 const char *format)
{
    struct encode_options options = {
        .field = question->form.field,
        .columns = question->form.columns,
    };
    enum status chosen = encode_choose_rows(question->form.rows, operation->tables,
                                            call->rows ? call->rows : operation->rows, call->problems, &options.rows);
    if (chosen != STATUS_OK) return chosen;
    if (!format_parse(format, &options.format)) {
        return problems_add(&question->problems, STATUS_NOT_ACCEPTABLE, "format",
                            "there is no format '%s': give json, csv, xml or txt", format);
    }
    struct out encoded;
    out_init(&encoded, 0);
    enum status status = encode(call->out->data, call->out->length, &options, &question->problems, &encoded);
    bool written = status == STATUS_OK && !encoded.failed && cli_write(encoded.data, encoded.length) &&
                   (options.format == FORMAT_CSV || cli_write("\n", 1));
    out_done(&encoded);
    if (status != STATUS_OK) return status;
    return written ? STATUS_OK : problems_add(&question->problems, STATUS_IO, "", "the answer cannot be written");
}

static enum status print_answer(struct question *question, const struct operation *operation, const struct call *call)
{
    const struct form *form = &question->form;
    const char *format = form->json ? "json" : form->format ? form->format : form->field ? "txt" : NULL;
    if (format) return print_encoded(question, operation, call, format);
    return table_print(operation, call);
}

/* Settings as the environment has them, and those that are options of the question. */
static enum status read_settings(struct question *question, struct settings *ret_settings)
{
    const struct {
        const char *name, *value;
    } given[] = {{"database-url", question->form.database_url},
                 {"profiles", question->form.profiles},
                 {"calibration", question->form.calibration},
                 {"calibration-pool", question->form.calibration_pool}};
    enum { GIVEN = sizeof given / sizeof *given };
    char name[] = "ask", *arguments[GIVEN + 2] = {name};
    int count = 1;
    bool help = false, lacking = false;
    for (size_t i = 0; i < GIVEN; i++) {
        if (!given[i].value) continue;
        arguments[count] = arena_printf(&question->arena, "--%s=%s", given[i].name, given[i].value);
        lacking |= !arguments[count++];
    }
    enum status status =
        settings_read(lacking ? 1 : count, arguments, &question->arena, &question->problems, ret_settings, &help);
    return lacking ? problems_add(&question->problems, STATUS_OUT_OF_MEMORY, "", "no memory") : status;
}

/* The catalog of the database that is set, or, where none is, the built-in one: never the one instead of the other. */
static enum status load_catalog(struct question *question)
{
    struct settings settings;
    enum status status = read_settings(question, &settings);
    if (status != STATUS_OK) return status;
    if (!*settings.database_url) return cli_load_catalog(&settings, &question->problems, &question->snapshot);
    status = cli_open_store(&settings, "gpusize", 1, &question->problems, &question->store);
    return status == STATUS_OK ? cli_read_catalog(question->store, -1, &question->problems, &question->snapshot)
                               : status;
}

static enum status run_question(struct question *question, const struct operation *operation, bool *ret_nothing)
{
    enum status status = load_catalog(question);
    if (status != STATUS_OK) return status;
    struct input *input = NULL;
    struct out answer;
    out_init(&answer, 0);
    struct call call = {
        .snapshot = question->snapshot,
        .today = cli_today(),
        .body = question->lines,
        .body_length = question->lines_length,
        .arena = &question->arena,
        .problems = &question->problems,
        .store = question->store,
        .out = &answer,
        .may_wait = true,
    };
    status = input_from_pairs(&question->arena, question->pairs, question->pair_count, &question->problems, &input);
    call.input = input;
    if (status == STATUS_OK) status = operation_run(operation, &call);
    if (status == STATUS_OK) status = print_answer(question, operation, &call);
    if (status == STATUS_OK) *ret_nothing = call.found_nothing;
    input_done(input);
    out_done(&answer);
    return status;
}

void cli_operation_help(const struct operation *operation)
{
    (void)printf("%s\n\nUsage: gpusize %s [OPTIONS]\n\nExamples:\n", operation->summary, operation->command);
    for (size_t i = 0; operation->examples[i]; i++)
        (void)printf("  %s\n", operation->examples[i]);
    (void)printf("\nThe question:\n");
    const char *group = "";
    for (size_t i = 0; i < operation->field_count; i++) {
        const struct field *field = &operation->fields[i];
        if (strcmp(group, field->group) != 0) (void)printf("%s%s\n", *field->group ? "\n" : "", field->group);
        group = field->group;
        cli_print_option(field->alias ? field->alias : field->name, field->unit && *field->unit ? field->unit : "VALUE",
                         field->help, field->preset);
    }
    if (operation->lines) {
        (void)printf("\n");
        cli_print_option(operation->lines, lines_option.value, lines_option.help, NULL);
    }
    (void)printf("\nThe answer:\n");
    for (size_t i = 0; i < FORM_OPTIONS; i++)
        cli_print_option(form_options[i].name, form_options[i].value, form_options[i].help, NULL);
}

int cli_ask(const struct operation *operation, int argc, char **argv)
{
    struct question question = {0};
    arena_init(&question.arena, ASK_ARENA_BYTES);
    problems_init(&question.problems, &question.arena);
    bool nothing = false;
    enum status status = read_options(operation, &question, argc, argv);
    bool help = question.form.help;
    if (help)
        cli_operation_help(operation);
    else if (status == STATUS_OK)
        status = run_question(&question, operation, &nothing);
    int code = help || status == STATUS_OK ? (nothing ? CLI_NOTHING : CLI_OK) : cli_report(&question.problems, status);
    snapshot_free(question.snapshot);
    store_close(question.store);
    arena_done(&question.arena);
    return code;
}
