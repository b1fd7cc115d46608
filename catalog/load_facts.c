/* load_facts.c owns the files about things: GPUs, models, and the names that they go by. */
#include "catalog/loaders.h"
#include "catalog/name.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- gpus.csv --- */

struct gpu_row {
    struct row row;
    struct gpu gpu;
};

static const char *vendor_choice(unsigned choice)
{
    return gpu_vendor_name((enum gpu_vendor)choice);
}

static const struct column gpu_columns[] = {
    COLUMN_ID("id", struct gpu_row, gpu.id),
    COLUMN("name", struct gpu_row, gpu.name),
    COLUMN_ID("family", struct gpu_row, gpu.family),
    CHOICE("vendor", struct gpu_row, gpu.vendor, vendor_choice, VENDOR_COUNT),
    COLUMN("architecture", struct gpu_row, gpu.architecture),
    NUMBER_OPT("cuda_cc", struct gpu_row, gpu.cuda_cc, 1, 99),
    NUMBER("memory_nominal_gb", struct gpu_row, gpu.memory_nominal_gb, 1, 1e5),
    NUMBER_OPT("memory_nvml_mib", struct gpu_row, gpu.memory_nvml_mib, 1000, 1e8),
    NUMBER_OPT("memory_cuda_mib", struct gpu_row, gpu.memory_cuda_mib, 1000, 1e8),
    NUMBER("memory_bandwidth_gb_per_s", struct gpu_row, gpu.memory_bandwidth_gb_per_s, 1, 1e6),
    NUMBER_OPT("l2_cache_mb", struct gpu_row, gpu.l2_cache_mb, 0.1, 1e5),
    NUMBER_OPT("sm_count", struct gpu_row, gpu.sm_count, 1, 1e5),
    NUMBER_OPT("peak_fp32_tflops", struct gpu_row, gpu.peak_tflops[PEAK_FP32], 0.1, 1e6),
    NUMBER_OPT("peak_tf32_tflops", struct gpu_row, gpu.peak_tflops[PEAK_TF32], 0.1, 1e6),
    NUMBER_OPT("peak_fp16_tflops", struct gpu_row, gpu.peak_tflops[PEAK_FP16], 0.1, 1e6),
    NUMBER_OPT("peak_fp8_tflops", struct gpu_row, gpu.peak_tflops[PEAK_FP8], 0.1, 1e6),
    NUMBER_OPT("peak_int8_tops", struct gpu_row, gpu.peak_tflops[PEAK_INT8], 0.1, 1e6),
    NUMBER_OPT("peak_fp4_tflops", struct gpu_row, gpu.peak_tflops[PEAK_FP4], 0.1, 1e6),
    COLUMN("interconnect", struct gpu_row, gpu.interconnect),
    NUMBER_OPT("link_gb_per_s", struct gpu_row, gpu.link_gb_per_s, 0, 1e5),
    NUMBER("link_domain_gpus", struct gpu_row, gpu.link_domain_gpus, 1, 1e5),
    NUMBER_OPT("pcie_gb_per_s", struct gpu_row, gpu.pcie_gb_per_s, 1, 1e5),
    NUMBER("node_gpus", struct gpu_row, gpu.node_gpus, 1, 1024),
    NUMBER_OPT("tdp_watts", struct gpu_row, gpu.tdp_watts, 1, 1e5),
    COLUMN_OPT("form_factor", struct gpu_row, gpu.form_factor),
    COLUMN_OPT("launch_date", struct gpu_row, gpu.launch_date),
    COLUMN("source", struct gpu_row, gpu.source),
    COLUMN("as_of", struct gpu_row, gpu.as_of),
    NUMBER_LOOSE("version", struct gpu_row, gpu.version, 1, 9e15),
};
const struct table gpu_table = TABLE(FILE_GPUS, gpu_columns, struct gpu_row);

static int compare_gpus(const void *a, const void *b)
{
    return strcasecmp(((const struct gpu_row *)a)->gpu.id, ((const struct gpu_row *)b)->gpu.id);
}

/* What cudaMemGetInfo calls total, as a share of NVML's, where no source states it. Measured pairs, with their sources
 * in gpus.csv: 0.9942 on an H100, 0.996 on H200 and B200; 0.971 to 0.990 (median 0.984) on twelve older and graphics
 * cards; all of it on MI300X and MI355X. */
static double cuda_share(const struct gpu *gpu)
{
    if (gpu->vendor != VENDOR_NVIDIA) return 1.0;
    return gpu->cuda_cc >= 9.0 && gpu->cuda_cc < 11.0 ? 0.9942 : 0.984;
}

/* Without an NVML figure the label counts as 10^9 bytes, the smaller of its two readings. */
static void derive_memory(struct gpu *gpu)
{
    gpu->memory_cuda_measured = is_known(gpu->memory_cuda_mib);
    if (gpu->memory_cuda_measured) return;
    double total_mib = is_known(gpu->memory_nvml_mib) ? gpu->memory_nvml_mib : gpu->memory_nominal_gb * GB / MIB;
    gpu->memory_cuda_mib = round6(total_mib * cuda_share(gpu));
}

static void check_gpu(struct loading *loading, const struct rows *rows, const struct gpu_row *row)
{
    if (row->gpu.memory_cuda_mib > row->gpu.memory_nvml_mib) /* false if either is unknown */
        loading_refuse(loading, rows->file_name, row->row.line, "memory_cuda_mib", "more than memory_nvml_mib");
}

void load_gpus(struct loading *loading)
{
    struct rows rows = table_read(loading, &gpu_table);
    for (size_t i = 0; i < rows.count; i++)
        check_gpu(loading, &rows, rows_at(&rows, i));
    rows_sort(&rows, compare_gpus);
    rows_refuse_equal(loading, &rows, "id", compare_gpus);
    for (size_t i = 0; i < rows.count; i++) {
        struct gpu *gpu = &((struct gpu_row *)rows_at(&rows, i))->gpu;
        derive_memory(gpu);
        gpu_add_host(gpu);
    }
    loading->snapshot->gpus = rows_take(loading, &rows, offsetof(struct gpu_row, gpu), sizeof(struct gpu));
    loading->snapshot->gpu_count = loading->snapshot->gpus ? rows.count : 0;
}

bool loading_find_gpu(struct loading *loading, const struct rows *rows, uint32_t line, const char *field,
                      const char *id, uint32_t *ret_gpu)
{
    size_t low = 0, high = loading->snapshot->gpu_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcasecmp(loading->snapshot->gpus[middle].id, id);
        if (order == 0) {
            *ret_gpu = (uint32_t)middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (*id) loading_refuse(loading, rows->file_name, line, field, "gpus.csv has no id \"%s\"", id);
    return false;
}

/* --- models.csv --- */

struct model_row {
    struct row row;
    struct model model;
};

static const char *attention_choice(unsigned choice)
{
    return attention_kind_name((enum attention_kind)choice);
}

static const char *dtype_choice(unsigned choice)
{
    return dtype_name((enum dtype)choice);
}

static const struct column model_columns[] = {
    COLUMN_ID("id", struct model_row, model.id),
    COLUMN("family", struct model_row, model.family),
    COLUMN("architecture", struct model_row, model.architecture),
    NUMBER("parameters", struct model_row, model.parameters, 1e6, 1e14),
    NUMBER("active_parameters", struct model_row, model.active_parameters, 1e6, 1e14),
    NUMBER_ZERO("vision_parameters", struct model_row, model.vision_parameters, 0, 1e12),
    NUMBER("layers", struct model_row, model.layers, 1, 2000),
    NUMBER("hidden_size", struct model_row, model.hidden_size, 16, 1e6),
    NUMBER_ZERO("attention_heads", struct model_row, model.attention_heads, 0, 4096),
    NUMBER_ZERO("kv_heads", struct model_row, model.kv_heads, 0, 4096),
    NUMBER_ZERO("head_dim", struct model_row, model.head_dim, 0, 65536),
    NUMBER_ZERO("intermediate_size", struct model_row, model.intermediate_size, 0, 1e7),
    NUMBER("vocabulary_size", struct model_row, model.vocabulary_size, 2, 1e7),
    COLUMN("tied_embeddings", struct model_row, model.tied_embeddings),
    NUMBER_ZERO("max_position_tokens", struct model_row, model.max_position_tokens, 0, 1e9),
    CHOICE("attention_kind", struct model_row, model.attention_kind, attention_choice, ATTENTION_COUNT),
    NUMBER_ZERO("sliding_window_tokens", struct model_row, model.sliding_window_tokens, 0, 1e9),
    COLUMN_OPT("chunked", struct model_row, model.chunked),
    NUMBER_ZERO("full_attention_layers", struct model_row, model.full_attention_layers, 0, 2000),
    NUMBER_ZERO("sliding_layers", struct model_row, model.sliding_layers, 0, 2000),
    NUMBER_ZERO("linear_layers", struct model_row, model.linear_layers, 0, 2000),
    NUMBER_ZERO("kv_lora_rank", struct model_row, model.kv_lora_rank, 0, 65536),
    NUMBER_ZERO("qk_rope_head_dim", struct model_row, model.qk_rope_head_dim, 0, 65536),
    NUMBER_ZERO("qk_nope_head_dim", struct model_row, model.qk_nope_head_dim, 0, 65536),
    NUMBER_ZERO("v_head_dim", struct model_row, model.v_head_dim, 0, 65536),
    NUMBER_ZERO("q_lora_rank", struct model_row, model.q_lora_rank, 0, 65536),
    NUMBER_ZERO("experts", struct model_row, model.experts, 0, 65536),
    NUMBER_ZERO("experts_per_token", struct model_row, model.experts_per_token, 0, 65536),
    NUMBER_ZERO("shared_experts", struct model_row, model.shared_experts, 0, 65536),
    NUMBER_ZERO("moe_intermediate_size", struct model_row, model.moe_intermediate_size, 0, 1e7),
    NUMBER_ZERO("shared_expert_intermediate_size", struct model_row, model.shared_expert_intermediate_size, 0, 1e7),
    NUMBER_ZERO("dense_layers", struct model_row, model.dense_layers, 0, 2000),
    CHOICE_OPT("native_dtype", struct model_row, model.native_dtype, dtype_choice, DTYPE_COUNT),
    NUMBER_ZERO("ssm_state_elements", struct model_row, model.ssm_state_elements, 0, 1e12),
    NUMBER_ZERO("conv_state_elements", struct model_row, model.conv_state_elements, 0, 1e12),
    NUMBER_ZERO("ssm_state_element_bytes", struct model_row, model.ssm_state_element_bytes, 0, 8),
    COLUMN_OPT("native_multimodal", struct model_row, model.native_multimodal),
    COLUMN_OPT("encoder_only", struct model_row, model.encoder_only),
    COLUMN_OPT("license", struct model_row, model.license),
    COLUMN("source", struct model_row, model.source),
    COLUMN_OPT("note", struct model_row, model.note),
    COLUMN("as_of", struct model_row, model.as_of),
    NUMBER_LOOSE("version", struct model_row, model.version, 1, 9e15),
};
const struct table model_table = TABLE(FILE_MODELS, model_columns, struct model_row);

static int compare_models(const void *a, const void *b)
{
    return strcasecmp(((const struct model_row *)a)->model.id, ((const struct model_row *)b)->model.id);
}

/* Facts of one model that contradict each other. */
static void check_model(struct loading *loading, const struct rows *rows, const struct model_row *row)
{
    const struct model *model = &row->model;
    uint32_t line = row->row.line;
    if (model->active_parameters > model->parameters)
        loading_refuse(loading, rows->file_name, line, "active_parameters", "more than parameters");
    if (model->full_attention_layers + model->sliding_layers + model->linear_layers > model->layers)
        loading_refuse(loading, rows->file_name, line, "full_attention_layers",
                       "full, sliding and linear layers are more than layers");
    if (model->sliding_layers > 0 && model->sliding_window_tokens == 0)
        loading_refuse(loading, rows->file_name, line, "sliding_window_tokens", "needed for sliding_layers");
    if (model->experts_per_token > model->experts)
        loading_refuse(loading, rows->file_name, line, "experts_per_token", "more than experts");
    if (model->attention_heads > 0 && model->kv_heads > model->attention_heads)
        loading_refuse(loading, rows->file_name, line, "kv_heads", "more than attention_heads");
}

/* Two digits of the parameters tell the sizes of a family apart, and not a model from its variants. */
static void name_size(struct loading *loading, struct model *model)
{
    double billions = model->parameters / 1e9, step = billions < 10 ? 0.1 : billions < 100 ? 1 : 10;
    if (!*model->family) return;
    model->sized_family = arena_printf(&loading->snapshot->arena, "%s %.*fB", model->family, billions < 10,
                                       round(billions / step) * step);
    loading->out_of_memory |= !model->sized_family;
}

void load_models(struct loading *loading)
{
    struct rows rows = table_read(loading, &model_table);
    for (size_t i = 0; i < rows.count; i++)
        check_model(loading, &rows, rows_at(&rows, i));
    for (size_t i = 0; i < rows.count; i++) {
        struct model *model = &((struct model_row *)rows_at(&rows, i))->model;
        model_add_known(model);
        name_size(loading, model);
    }
    rows_sort(&rows, compare_models);
    rows_refuse_equal(loading, &rows, "id", compare_models);
    loading->snapshot->models = rows_take(loading, &rows, offsetof(struct model_row, model), sizeof(struct model));
    loading->snapshot->model_count = loading->snapshot->models ? rows.count : 0;
}

const struct csv_cell *catalog_model_cells(const struct model *model, struct arena *arena, size_t *ret_count)
{
    const struct model_row row = {.model = *model};
    return table_cells(&model_table, &row, arena, ret_count);
}

/* --- aliases --- */

struct alias_row {
    struct row row;
    struct alias alias;
    const char *target, *source;
    date_t as_of;
};

static const char *space_choice(unsigned choice)
{
    return alias_namespace_name((enum alias_namespace)choice);
}

static const struct column alias_columns[] = {
    CHOICE("namespace", struct alias_row, alias.space, space_choice, ALIAS_NAMESPACE_COUNT),
    COLUMN("name", struct alias_row, alias.name),
    COLUMN_ID("target", struct alias_row, target),
    COLUMN("source", struct alias_row, source),
    COLUMN("as_of", struct alias_row, as_of),
};

static int compare_aliases(const void *a, const void *b)
{
    const struct alias *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->space != y->space) return x->space < y->space ? -1 : 1;
    int order = name_compare(x->name, y->name);
    if (order == 0 && x->target != y->target) order = x->target < y->target ? -1 : 1;
    return order;
}

static int compare_alias_rows(const void *a, const void *b)
{
    return compare_aliases(&((const struct alias_row *)a)->alias, &((const struct alias_row *)b)->alias);
}

/* The index that an alias of each kind points to. */
static bool find_target(struct loading *loading, const struct rows *rows, struct alias_row *row)
{
    const struct snapshot *snapshot = loading->snapshot;
    if (row->alias.kind == ALIAS_GPU)
        return loading_find_gpu(loading, rows, row->row.line, "target", row->target, &row->alias.target);
    size_t count = row->alias.kind == ALIAS_MODEL ? snapshot->model_count : snapshot->profile_count;
    for (size_t i = 0; i < count; i++) {
        const char *id = row->alias.kind == ALIAS_MODEL ? snapshot->models[i].id : snapshot->profiles[i].engine;
        if (strcasecmp(id, row->target) != 0) continue;
        row->alias.target = (uint32_t)i;
        return true;
    }
    loading_refuse(loading, rows->file_name, row->row.line, "target", "there is no \"%s\"", row->target);
    return false;
}

static struct rows read_aliases(struct loading *loading, enum catalog_file file, enum alias_kind kind)
{
    const struct table table = TABLE(file, alias_columns, struct alias_row);
    struct rows rows = table_read(loading, &table);
    for (size_t i = 0; i < rows.count; i++) {
        struct alias_row *row = rows_at(&rows, i);
        row->alias.kind = kind;
        (void)find_target(loading, &rows, row);
    }
    rows_sort(&rows, compare_alias_rows);
    if (loading->bad_count == 0) rows_refuse_equal(loading, &rows, "name", compare_alias_rows);
    return rows;
}

static void append_alias(struct snapshot *snapshot, enum alias_kind kind, const char *name, size_t target)
{
    snapshot->aliases[snapshot->alias_count++] =
        (struct alias){.kind = kind, .space = ALIAS_USER, .name = name, .target = (uint32_t)target};
}

/* Every id, every GPU's name and every model's name without its owner is a name that users may write. */
static void append_own_names(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        append_alias(snapshot, ALIAS_GPU, snapshot->gpus[i].id, i);
        append_alias(snapshot, ALIAS_GPU, snapshot->gpus[i].name, i);
    }
    for (size_t i = 0; i < snapshot->model_count; i++) {
        const char *id = snapshot->models[i].id, *slash = strrchr(id, '/');
        append_alias(snapshot, ALIAS_MODEL, id, i);
        if (slash) append_alias(snapshot, ALIAS_MODEL, slash + 1, i);
    }
    for (size_t i = 0; i < snapshot->profile_count; i++) {
        if (i == 0 || strcasecmp(snapshot->profiles[i].engine, snapshot->profiles[i - 1].engine) != 0)
            append_alias(snapshot, ALIAS_ENGINE, snapshot->profiles[i].engine, i);
    }
}

void load_aliases(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    const struct rows all[] = {
        read_aliases(loading, FILE_GPU_ALIASES, ALIAS_GPU),
        read_aliases(loading, FILE_MODEL_ALIASES, ALIAS_MODEL),
        read_aliases(loading, FILE_ENGINE_ALIASES, ALIAS_ENGINE),
    };
    size_t most = 2 * snapshot->gpu_count + 2 * snapshot->model_count + snapshot->profile_count;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        most += all[i].count;
    snapshot->aliases = loading_alloc(loading, &snapshot->arena, most, sizeof *snapshot->aliases);
    if (!snapshot->aliases) return;
    append_own_names(snapshot);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (size_t j = 0; j < all[i].count; j++)
            snapshot->aliases[snapshot->alias_count++] = ((const struct alias_row *)rows_at(&all[i], j))->alias;
    }
    qsort(snapshot->aliases, snapshot->alias_count, sizeof *snapshot->aliases, compare_aliases);
    size_t kept = 0;
    for (size_t i = 0; i < snapshot->alias_count; i++) {
        if (kept == 0 || compare_aliases(&snapshot->aliases[kept - 1], &snapshot->aliases[i]) != 0)
            snapshot->aliases[kept++] = snapshot->aliases[i];
    }
    snapshot->alias_count = kept;
}
