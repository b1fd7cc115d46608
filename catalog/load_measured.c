/* load_measured.c owns how measured.csv becomes measurements of one replica, sorted by what ran. Rows about a model,
 * a version of an engine or a format that the catalog does not have are left out: nobody can ask for them. */
#include "catalog/loaders.h"

#include <string.h>
#include <strings.h>

struct measured_row {
    struct row row;
    struct measurement measurement;
    const char *engine, *model_id, *gpu_id, *weight_dtype, *kv_dtype, *trust;
    uint32_t gpu_count, tensor_parallel, pipeline_parallel, expert_parallel;
    double total_tokens_per_second;
    bool left_out;
};

static const char *load_choice(unsigned choice)
{
    return measured_load_name((enum measured_load)choice);
}

#define MEASURED(header_, member_, low_, high_) NUMBER_OPT(header_, struct measured_row, member_, low_, high_)
static const struct column measured_columns[] = {
    COLUMN("source", struct measured_row, measurement.source),
    COLUMN("uid", struct measured_row, measurement.uid),
    COLUMN_ID("engine", struct measured_row, engine),
    COLUMN_ID_OPT("engine_version", struct measured_row, measurement.engine_version),
    COLUMN_ID("model_id", struct measured_row, model_id),
    COLUMN_ID("gpu_id", struct measured_row, gpu_id),
    NUMBER("gpu_count", struct measured_row, gpu_count, 1, 100000),
    NUMBER_ZERO("tensor_parallel", struct measured_row, tensor_parallel, 1, 4096),
    NUMBER_ZERO("pipeline_parallel", struct measured_row, pipeline_parallel, 1, 4096),
    NUMBER_ZERO("expert_parallel", struct measured_row, expert_parallel, 1, 4096),
    COLUMN_OPT("weight_dtype", struct measured_row, weight_dtype),
    COLUMN_OPT("kv_dtype", struct measured_row, kv_dtype),
    CHOICE("load", struct measured_row, measurement.load, load_choice, MEASURED_LOAD_COUNT),
    MEASURED("concurrency", measurement.concurrency, 0.001, 1e9),
    MEASURED("input_tokens", measurement.input_tokens, 0, 1e8),
    MEASURED("output_tokens", measurement.output_tokens, 0, 1e8),
    MEASURED("output_tokens_per_second", measurement.output_tokens_per_second, 1e-6, 1e12),
    MEASURED("total_tokens_per_second", total_tokens_per_second, 1e-6, 1e12),
    MEASURED("ttft_ms", measurement.ttft_ms, 1e-6, 1e9),
    MEASURED("tpot_ms", measurement.tpot_ms, 1e-6, 1e9),
    MEASURED("e2e_ms", measurement.e2e_ms, 1e-6, 1e12),
    COLUMN_OPT("trust", struct measured_row, trust),
    COLUMN("as_of", struct measured_row, measurement.as_of),
    COLUMN_LOOSE("own", struct measured_row, measurement.own),
};
static const struct table measured_table = TABLE(FILE_MEASURED, measured_columns, struct measured_row);

static int compare_uids(const void *a, const void *b)
{
    const struct measurement *x = &((const struct measured_row *)a)->measurement;
    const struct measurement *y = &((const struct measured_row *)b)->measurement;
    int order = strcmp(x->source, y->source);
    return order ? order : strcmp(x->uid, y->uid);
}

static int compare_doubles(double a, double b)
{
    return (a > b) - (a < b);
}

/* What is left out comes last; of repeats the user's own first, then the newest version. */
static int compare_rows(const void *a, const void *b)
{
    const struct measured_row *left = a, *right = b;
    const struct measurement *x = &left->measurement, *y = &right->measurement;
    int order = left->left_out - right->left_out;
    if (left->left_out && right->left_out) return compare_uids(a, b); /* its numbers may not be known */
    if (order == 0) order = measured_setup_compare(&x->setup, &y->setup);
    if (order == 0) order = compare_doubles(x->load, y->load);
    if (order == 0) order = compare_doubles(x->input_tokens, y->input_tokens);
    if (order == 0) order = compare_doubles(x->output_tokens, y->output_tokens);
    if (order == 0) order = compare_doubles(x->concurrency, y->concurrency);
    if (order == 0) order = y->own - x->own;
    if (order == 0) order = engine_version_compare(y->engine_version, x->engine_version);
    return order ? order : compare_uids(a, b);
}

/* The version in what a source calls it: the first "1.2" and what follows of it, without a leading "v"; "" if none. */
static const char *version_in(const char *text, struct loading *loading)
{
    size_t length;
    const char *at = engine_version_find(text, &length);
    const char *version = length ? arena_strndup(&loading->snapshot->arena, at, strcspn(at, "-_/ ")) : "";
    if (!version) loading->out_of_memory = true;
    return version ? version : "";
}

/* The profile that covers the row's version, the newest where it tells none; false if there is none. */
static bool find_profile(const struct snapshot *snapshot, const char *engine, const char *version,
                         uint32_t *ret_profile)
{
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        const struct engine_profile *profile = &snapshot->profiles[i];
        if (strcasecmp(profile->engine, engine) != 0) continue;
        if (*version && !engine_profile_covers(profile, version)) continue;
        *ret_profile = (uint32_t)i;
        return true;
    }
    return false;
}

/* A format by its name; one that is not told is `usual`, which is 16 bits where it is wider or not known either, and a
 * bare "fp4" is the model's own or what the GPU's maker computes in. */
static bool read_dtype(const struct snapshot *snapshot, const struct measured_setup *setup, const char *name,
                       enum dtype usual, enum dtype *ret_dtype)
{
    bool told = *name && strcmp(name, "auto") != 0 && strcmp(name, "native") != 0;
    enum dtype dtype = told ? dtype_parse(name) : usual;
    if (!told && (dtype == DTYPE_UNKNOWN || dtype_bits(dtype) >= 16)) dtype = DTYPE_FP16;
    if (strcasecmp(name, "fp4") == 0) {
        bool mx = usual == DTYPE_MXFP4 || snapshot->gpus[setup->gpu].vendor == VENDOR_AMD;
        dtype = mx ? DTYPE_MXFP4 : DTYPE_NVFP4;
    }
    *ret_dtype = measured_dtype(dtype);
    return dtype != DTYPE_UNKNOWN;
}

/* One GPU has one layout; of several the degrees must be told, and one that is not told is 1 where the other is. */
static bool read_layout(struct measured_row *row)
{
    struct measured_setup *setup = &row->measurement.setup;
    bool told = row->tensor_parallel || row->pipeline_parallel || row->gpu_count == 1;
    setup->tensor_parallel = row->tensor_parallel ? row->tensor_parallel : 1;
    setup->pipeline_parallel = row->pipeline_parallel ? row->pipeline_parallel : 1;
    setup->expert_parallel = row->expert_parallel ? row->expert_parallel : 1;
    uint64_t gpus = (uint64_t)setup->tensor_parallel * setup->pipeline_parallel;
    return told && row->gpu_count % gpus == 0;
}

/* From the whole run to one replica of it. */
static void scale(struct measured_row *row)
{
    struct measurement *measured = &row->measurement;
    double replicas = (double)row->gpu_count / (measured->setup.tensor_parallel * measured->setup.pipeline_parallel);
    double share = measured->output_tokens / (measured->input_tokens + measured->output_tokens);
    double output = measured->output_tokens_per_second, total = row->total_tokens_per_second;
    measured->output_tokens_per_second = (is_known(output) ? output : total * share) / replicas;
    measured->concurrency = measured->load == MEASURED_SATURATED ? 0 : measured->concurrency / replicas;
    measured->trusted = strcmp(row->trust, "A") == 0 || strcmp(row->trust, "B") == 0;
}

static bool has_figures(const struct measurement *measured)
{
    bool result = is_known(measured->output_tokens_per_second) || is_known(measured->ttft_ms) ||
                  is_known(measured->tpot_ms) || is_known(measured->e2e_ms);
    return result && measured->input_tokens > 0 && measured->output_tokens >= 1 && is_known(measured->concurrency);
}

static bool resolve(struct loading *loading, struct measured_row *row)
{
    const struct snapshot *snapshot = loading->snapshot;
    struct measured_setup *setup = &row->measurement.setup;
    row->measurement.engine_version = version_in(row->measurement.engine_version, loading);
    size_t model = snapshot_model_index(snapshot, row->model_id);
    if (model == snapshot->model_count) return false;
    setup->model = (uint32_t)model;
    if (!find_profile(snapshot, row->engine, row->measurement.engine_version, &setup->profile) ||
        !read_dtype(snapshot, setup, row->weight_dtype, snapshot->models[setup->model].native_dtype,
                    &setup->weight_dtype) ||
        !read_dtype(snapshot, setup, row->kv_dtype, DTYPE_FP16, &setup->kv_dtype) || !read_layout(row))
        return false;
    scale(row);
    return has_figures(&row->measurement);
}

void load_measurements(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    struct rows rows = table_read(loading, &measured_table);
    for (size_t i = 0; i < rows.count; i++) {
        struct measured_row *row = rows_at(&rows, i);
        if (loading_find_gpu(loading, &rows, row->row.line, "gpu_id", row->gpu_id, &row->measurement.setup.gpu))
            row->left_out = !resolve(loading, row);
    }
    rows_sort(&rows, compare_uids);
    rows_refuse_equal(loading, &rows, "uid", compare_uids);
    if (loading->bad_count > 0) return;
    rows_sort(&rows, compare_rows);
    while (rows.count > 0 && ((const struct measured_row *)rows_at(&rows, rows.count - 1))->left_out)
        rows.count--;
    snapshot->measurements =
        rows_take(loading, &rows, offsetof(struct measured_row, measurement), sizeof(struct measurement));
    snapshot->measurement_count = snapshot->measurements ? rows.count : 0;
}
