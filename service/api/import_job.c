/* import_job.c owns the way of an import: names from the database, bytes through their format, rows into the store. */
#include "api/import_job.h"

#include "catalog/load.h"
#include "catalog/text.h"
#include "import/archive.h"

#include <sodium.h>
#include <string.h>

enum {
    NAMES_ARENA_BYTES = 64 << 20,
    UNPACKED_BYTES_MAX = 512 << 20, /* of all files of a zip */
    BLOCK_BYTES = 64 << 10,
    REASON_BYTES = 512,
    ENTRY_SHOWN_BYTES = 80,
};

const struct field import_fields[IMPORT_FIELDS] = {
    {.name = "kind",
     .group = "",
     .kind = FIELD_CHOICE,
     .offset = offsetof(struct import_request, kind),
     .names = import_format_names,
     .required = true,
     .help = "Whose layout the file has."},
    {.name = "provider",
     .group = "",
     .kind = FIELD_TEXT,
     .offset = offsetof(struct import_request, provider),
     .help = "Whose prices these are, where the file does not say."},
    {.name = "source",
     .group = "",
     .kind = FIELD_LINE,
     .offset = offsetof(struct import_request, source),
     .preset = "the file's name",
     .help = "Where the prices come from, where the file does not say."},
    {.name = "as_of",
     .group = "",
     .kind = FIELD_DATE,
     .offset = offsetof(struct import_request, as_of),
     .preset = "today",
     .help = "Of when the prices are, where the file does not say."},
    {.name = "dry_run",
     .group = "",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct import_request, dry_run),
     .preset = "false",
     .help = "Tells what would change, and changes nothing."},
    {.name = "accept_jumps",
     .group = "",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct import_request, accept_jumps),
     .preset = "false",
     .help = "Also takes prices that change by more than the factor."},
    {.name = "jump_factor",
     .group = "",
     .kind = FIELD_NUMBER,
     .offset = offsetof(struct import_request, jump_factor),
     .min = 1,
     .max = 1e6,
     .preset = "3",
     .help = "By how much a price may change before somebody has to look."},
    {.name = "complete",
     .group = "",
     .kind = FIELD_BOOL,
     .offset = offsetof(struct import_request, complete),
     .preset = "false",
     .help = "Offers of the file's providers that it does not name end."},
};

enum status import_request_decode(const struct input *input, date_t today, struct arena *arena,
                                  struct problems *problems, struct import_request *ret_request)
{
    enum { DEFAULT_JUMP_FACTOR = 3 };
    struct import_request request;
    enum status status = input_decode(input, arena, import_fields, IMPORT_FIELDS, &request, problems);
    if (status != STATUS_OK) return status;
    if (!date_known(request.as_of)) request.as_of = today;
    if (!is_known(request.jump_factor)) request.jump_factor = DEFAULT_JUMP_FACTOR;
    if (request.kind == IMPORT_SKYPILOT && !request.provider)
        return problems_add(problems, STATUS_MISSING_FIELD, "provider",
                            "the file does not say whose prices it holds: name the provider");
    *ret_request = request;
    return STATUS_OK;
}

/* A job under way. */
struct running {
    const struct import_job *job;
    struct import_source source; /* its context is this */
    struct store_import *import;
    size_t taken; /* bytes */
    crypto_hash_sha256_state hash;
    bool read_before; /* a try before this one took bytes of the file */
    struct import_counts counts;
    struct archive *archive; /* of a zip, */
    const char *entry;       /* and the name of its file that is read; else NULL */
};

static enum status read_bytes(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct running *running = context;
    const struct import_job *job = running->job;
    size_t length = job->file ? fread(buffer, 1, size, job->file) : job->length - running->taken;
    if (job->file && ferror(job->file)) return STATUS_IO;
    if (length > size) length = size;
    if (!job->file && length) memcpy(buffer, job->text + running->taken, length);
    running->taken += length;
    (void)crypto_hash_sha256_update(&running->hash, (const unsigned char *)buffer, length);
    if (job->progress) job->progress(job->context, running->taken);
    *ret_length = length;
    return STATUS_OK;
}

static double usd_per_unit(void *context, const char *currency)
{
    const struct running *running = context;
    return store_import_rate(running->import, currency);
}

static enum status take_offer(void *context, uint32_t line, const struct offer *offer)
{
    const struct running *running = context;
    return store_import_offer(running->import, line, offer, running->source.catalog->gpus[offer->gpu].id);
}

static enum status take_purchase(void *context, uint32_t line, const struct purchase_price *price)
{
    const struct running *running = context;
    return store_import_purchase(running->import, line, price, running->source.catalog->gpus[price->gpu].id);
}

static void put_text(struct out *out, const char *key, const char *text)
{
    if (*text) out_text(out, key, text);
}

/* Members are columns of gpusize.observation. */
static void put_observation(struct out *out, const struct observation *observation, const char *gpu_id)
{
    out_object(out, NULL);
    out_text(out, "source", observation->source);
    out_text(out, "uid", observation->uid);
    out_text(out, "engine", observation->engine);
    put_text(out, "engine_version", observation->engine_version);
    out_text(out, "model_id", observation->model_id);
    out_text(out, "gpu_id", gpu_id);
    out_integer(out, "gpu_count", observation->gpu_count);
    out_number(out, "tensor_parallel", observation->tensor_parallel);
    out_number(out, "pipeline_parallel", observation->pipeline_parallel);
    out_number(out, "expert_parallel", observation->expert_parallel);
    put_text(out, "weight_dtype", observation->weight_dtype);
    put_text(out, "kv_dtype", observation->kv_dtype);
    out_text(out, "load", observation->load);
    out_number(out, "concurrency", observation->concurrency);
    out_number(out, "input_tokens", observation->input_tokens);
    out_number(out, "output_tokens", observation->output_tokens);
    out_number(out, "output_tokens_per_second", observation->output_tokens_per_second);
    out_number(out, "total_tokens_per_second", observation->total_tokens_per_second);
    out_number(out, "prefill_tokens_per_second", observation->prefill_tokens_per_second);
    out_number(out, "ttft_ms", observation->ttft_ms);
    out_number(out, "tpot_ms", observation->tpot_ms);
    out_number(out, "e2e_ms", observation->e2e_ms);
    put_text(out, "trust", observation->trust);
    put_text(out, "notes", observation->notes);
    out_date(out, "as_of", observation->as_of);
    out_object_end(out);
}

static enum status take_observation(void *context, uint32_t line, const struct observation *observation)
{
    const struct running *running = context;
    const char *gpu_id = running->source.catalog->gpus[observation->gpu].id;
    struct out out;
    out_init(&out, STORE_CELLS_BYTES_MAX);
    put_observation(&out, observation, gpu_id);
    out_raw(&out, "", 1); /* the text's end */
    enum status status = out.failed ? store_import_reject(running->import, line, "", "its texts are too long")
                                    : store_import_observation(running->import, line, observation->source,
                                                               observation->uid, observation->as_of, out.data);
    out_done(&out);
    return status;
}

static enum status take_rejection(void *context, uint32_t line, const char *field, const char *reason)
{
    const struct running *running = context;
    char whole[REASON_BYTES];
    if (running->job->rejected) running->job->rejected(running->job->context, line, field, reason);
    if (!running->entry) return store_import_reject(running->import, line, field, reason);
    int name = (int)text_utf8_prefix(running->entry, strnlen(running->entry, ENTRY_SHOWN_BYTES));
    (void)snprintf(whole, sizeof whole, "%.*s: %s", name, running->entry, reason);
    return store_import_reject(running->import, line, field, whole);
}

static enum status read_list(struct running *running, const struct import_source *source, struct problems *problems)
{
    const struct import_sink sink = {running, take_offer, take_purchase, take_observation, take_rejection, NULL};
    struct import_counts counts = {0};
    enum status status = import_read(source, &sink, problems, &counts);
    running->counts.lines += counts.lines;
    running->counts.accepted += counts.accepted;
    running->counts.rejected += counts.rejected;
    running->counts.left_out += counts.left_out;
    running->counts.incomplete |= counts.incomplete;
    return status;
}

/* --- zips --- */

static enum status read_entry(void *context, char *buffer, size_t size, size_t *ret_length)
{
    struct running *running = context;
    return archive_read(running->archive, buffer, size, ret_length);
}

/* One file of the zip is one provider's; all of them are one import. */
static enum status read_entries(struct running *running, struct problems *problems)
{
    struct import_source source = running->source;
    char provider[IMPORT_PROVIDER_BYTES];
    size_t files = 0;
    source.read = read_entry;
    source.provider = provider;
    for (;; files++) {
        enum status status = archive_next(running->archive, problems, &running->entry);
        if (status != STATUS_OK) return status;
        if (!running->entry) break;
        import_gpuhunt_provider(running->entry, provider);
        status = read_list(running, &source, problems);
        if (archive_explain(running->archive, problems) == STATUS_OK && status == STATUS_INVALID_VALUE)
            (void)problems_add(problems, status, "file", "that is in %s of the zip", running->entry);
        if (status != STATUS_OK) return status;
    }
    return files ? STATUS_OK : problems_add(problems, STATUS_INVALID_VALUE, "file", "the zip has no .csv in it");
}

static enum status read_zip(struct running *running, struct problems *problems)
{
    const struct import_job *job = running->job;
    char block[BLOCK_BYTES];
    if (job->request->provider)
        return problems_add(problems, STATUS_CONTRADICTION, "provider", "the names of the zip's files say it");
    for (size_t length = 1; length > 0;) { /* for its hash */
        if (read_bytes(running, block, sizeof block, &length) != STATUS_OK)
            return problems_add(problems, STATUS_IO, "file", "it cannot be read");
    }
    enum status status =
        archive_open(job->file, job->text, job->length, UNPACKED_BYTES_MAX, problems, &running->archive);
    if (status == STATUS_OK) status = read_entries(running, problems);
    archive_close(running->archive);
    running->archive = NULL;
    running->entry = NULL;
    return status;
}

static bool is_zip(const struct import_job *job)
{
    char bytes[4];
    if (job->request->kind != IMPORT_GPUHUNT) return false;
    if (!job->file) return archive_is(job->text, job->length);
    if (ftell(job->file) < 0) return false; /* a pipe: its bytes come once, and a zip is read from its end */
    size_t length = fread(bytes, 1, sizeof bytes, job->file);
    rewind(job->file);
    return archive_is(bytes, length);
}

/* --- the import --- */

static enum status rows(void *context, struct store_import *import, struct problems *problems)
{
    struct running *running = context;
    const struct import_job *job = running->job;
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[2 * sizeof hash + 1];
    running->import = import;
    running->taken = 0; /* an earlier try may have left some */
    running->counts = (struct import_counts){0};
    if (job->file && fseek(job->file, 0, SEEK_SET) != 0 && running->read_before)
        return problems_add(problems, STATUS_DATABASE_AWAY, "file",
                            "the connection to the database was lost, and a pipe cannot be read again from its "
                            "beginning: nothing was changed");
    running->read_before = true;
    bool zip = is_zip(job);
    (void)crypto_hash_sha256_init(&running->hash);
    enum status status = zip ? read_zip(running, problems) : read_list(running, &running->source, problems);
    (void)crypto_hash_sha256_final(&running->hash, hash);
    store_import_hash(import, sodium_bin2hex(text, sizeof text, hash, sizeof hash));
    if (status == STATUS_OK && running->counts.incomplete && job->request->complete == 1)
        return problems_add(problems, STATUS_CONTRADICTION, "complete",
                            "the file's last page names another one that is not in it");
    return status;
}

static enum status answer(void *context, const char *report, struct problems *problems, const char **ret_json)
{
    const struct import_job *job = ((const struct running *)context)->job;
    return job->answer(job->context, report, problems, ret_json);
}

/* What names mean, to the facts that come along or else the database, which may have any number of offers. */
static enum status load_names(struct store *store, const struct import_job *job, struct problems *problems,
                              struct snapshot **ret_names)
{
    static const unsigned gpus = 1U << FILE_GPUS | 1U << FILE_GPU_ALIASES,
                          others = 1U << FILE_MODELS | 1U << FILE_MODEL_ALIASES | 1U << FILE_ENGINE_PROFILES |
                                   1U << FILE_ENGINE_ALIASES;
    struct arena arena;
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct store_schema schema;
    arena_init(&arena, NAMES_ARENA_BYTES);
    enum status status = store_schema_check(store, problems, &schema);
    const unsigned wanted = job->request->kind == IMPORT_MEASURED ? gpus | others : gpus;
    if (job->facts)
        memcpy(files, job->facts, sizeof files);
    else if (status == STATUS_OK)
        status = store_catalog_read_some(store, wanted, &arena, problems, files);
    if (status == STATUS_OK) status = catalog_load(files, problems, ret_names);
    arena_done(&arena);
    return status;
}

enum status import_job_run(struct store *store, const struct import_job *job, struct arena *arena,
                           struct problems *problems, struct import_outcome *ret_outcome)
{
    const struct import_request *request = job->request;
    struct snapshot *names = NULL;
    enum status status = load_names(store, job, problems, &names);
    if (status != STATUS_OK) return status;
    struct running running = {
        .job = job,
        .source = {.format = (enum import_format)request->kind,
                   .catalog = names,
                   .provider = request->provider,
                   .source = request->source,
                   .as_of = request->as_of,
                   .context = &running,
                   .read = read_bytes,
                   .usd_per_unit = usd_per_unit},
    };
    const struct store_import_options options = {
        .kind = import_format_names[request->kind],
        .source = request->source,
        .complete = request->complete == 1,
        .dry_run = request->dry_run == 1,
        .accept_jumps = request->accept_jumps == 1,
        .jump_factor = request->jump_factor,
        .context = &running,
        .rows = rows,
        .answer = job->answer ? answer : NULL,
        .facts = job->facts,
        .actor = job->actor,
    };
    struct import_outcome outcome;
    status = store_import(store, &options, arena, problems, &outcome.report);
    outcome.counts = running.counts;
    if (status == STATUS_OK) *ret_outcome = outcome;
    snapshot_free(names);
    return status;
}
