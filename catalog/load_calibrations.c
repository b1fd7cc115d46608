/* load_calibrations.c owns how calibrations.csv becomes calibrations, and the median of those of a pool. */
#include "catalog/loaders.h"

#include <stdlib.h>
#include <string.h>

struct calibration_row {
    struct row row;
    struct calibration calibration;
    const char *gpu_id;
};

static const char *state_choice(unsigned choice)
{
    return calibration_state_name((enum calibration_state)choice);
}

#define RATE(header_, member_) NUMBER_OPT(header_, struct calibration_row, calibration.member_, 1e-3, 1e9)
static const struct column calibration_columns[] = {
    COLUMN_ID("id", struct calibration_row, calibration.id),
    COLUMN_ID("pool", struct calibration_row, calibration.pool),
    COLUMN_ID("gpu_id", struct calibration_row, gpu_id),
    RATE("memory_gb_per_s", memory_gb_per_s),
    RATE("kv_gb_per_s", kv_gb_per_s),
    RATE("fp32_tflops", product_tflops[PEAK_FP32]),
    RATE("tf32_tflops", product_tflops[PEAK_TF32]),
    RATE("fp16_tflops", product_tflops[PEAK_FP16]),
    RATE("fp8_tflops", product_tflops[PEAK_FP8]),
    RATE("int8_tops", product_tflops[PEAK_INT8]),
    RATE("fp4_tflops", product_tflops[PEAK_FP4]),
    RATE("launch_us", launch_us),
    NUMBER_ZERO("allreduce_gpus", struct calibration_row, calibration.allreduce_gpus, 2, 1024),
    RATE("allreduce_us", allreduce_us),
    RATE("allreduce_gb_per_s", allreduce_gb_per_s),
    CHOICE("state", struct calibration_row, calibration.state, state_choice, CALIBRATION_STATE_COUNT),
    COLUMN_OPT("driver", struct calibration_row, calibration.driver),
    COLUMN("source", struct calibration_row, calibration.source),
    COLUMN("as_of", struct calibration_row, calibration.as_of),
    COLUMN_LOOSE("reason", struct calibration_row, calibration.reason),
    COLUMN_LOOSE("started_at", struct calibration_row, calibration.started_at),
};
static const struct table calibration_table = TABLE(FILE_CALIBRATIONS, calibration_columns, struct calibration_row);

/* The median of a figure over calibrations that have it, of two the mean; UNKNOWN: none has. */
static double median_of(const struct calibration *const *items, size_t count, size_t offset, double *values)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++) {
        double value = *(const double *)(const void *)((const char *)items[i] + offset);
        if (is_known(value)) values[known++] = value;
    }
    qsort(values, known, sizeof *values, double_compare);
    return known ? (values[(known - 1) / 2] + values[known / 2]) / 2 : UNKNOWN;
}

/* What several machines of one pool are like together: the newest of them with the medians of their figures. */
static struct calibration pool_of(const struct calibration *const *items, size_t count, double *values)
{
    static const size_t figures[] = {
        offsetof(struct calibration, memory_gb_per_s),
        offsetof(struct calibration, kv_gb_per_s),
        offsetof(struct calibration, product_tflops[PEAK_FP32]),
        offsetof(struct calibration, product_tflops[PEAK_TF32]),
        offsetof(struct calibration, product_tflops[PEAK_FP16]),
        offsetof(struct calibration, product_tflops[PEAK_FP8]),
        offsetof(struct calibration, product_tflops[PEAK_INT8]),
        offsetof(struct calibration, product_tflops[PEAK_FP4]),
        offsetof(struct calibration, launch_us),
        offsetof(struct calibration, allreduce_us),
        offsetof(struct calibration, allreduce_gb_per_s),
    };
    struct calibration pool = *items[0];
    for (size_t i = 1; i < count; i++) {
        if (calibration_compare_age(items[i], &pool) > 0) pool = *items[i];
    }
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        *(double *)(void *)((char *)&pool + figures[i]) = median_of(items, count, figures[i], values);
    pool.id = pool.pool;
    return pool;
}

static void add_pools(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    size_t count = snapshot->calibration_count;
    const struct calibration **items = loading_alloc(loading, &loading->scratch, count + 1, sizeof(void *));
    double *values = loading_alloc(loading, &loading->scratch, count + 1, sizeof *values);
    snapshot->calibration_pools = loading_alloc(loading, &snapshot->arena, count + 1, sizeof(struct calibration));
    if (!items || !values || !snapshot->calibration_pools) return;
    for (size_t i = 0, used = 0; i < count; i++) {
        const struct calibration *item = &snapshot->calibrations[i];
        if (item->state == CALIBRATION_USED) items[used++] = item;
        bool last = i + 1 == count || item[1].gpu != item->gpu || strcmp(item[1].pool, item->pool) != 0;
        if (!last) continue;
        if (used > 0) snapshot->calibration_pools[snapshot->calibration_pool_count++] = pool_of(items, used, values);
        used = 0;
    }
}

static void set_usual(struct calibration *items, size_t count, const struct snapshot *snapshot)
{
    for (size_t i = 0; i < count; i++)
        items[i].usual = snapshot_find_pool(snapshot, items[i].gpu, CALIBRATION_PUBLISHED);
}

static int compare_rows(const void *a, const void *b)
{
    return calibration_compare(&((const struct calibration_row *)a)->calibration,
                               &((const struct calibration_row *)b)->calibration);
}

static bool find_gpus(struct loading *loading, const struct rows *rows)
{
    struct calibration_row *items = rows->items;
    bool found = true;
    for (size_t i = 0; i < rows->count; i++) {
        uint32_t gpu = 0;
        found = loading_find_gpu(loading, rows, items[i].row.line, "gpu_id", items[i].gpu_id, &gpu) && found;
        items[i].calibration.gpu = &loading->snapshot->gpus[gpu];
    }
    return found;
}

/* The file's rows, and those that come beside them. False: some are refused, or there is no memory for them. */
static bool read_rows(struct loading *loading, struct rows *ret_rows)
{
    const struct catalog_text *over = loading->files[FILE_CALIBRATIONS].over;
    struct rows rows = table_read(loading, &calibration_table), beside, all = rows;
    bool good = !rows.bad && find_gpus(loading, &rows);
    *ret_rows = rows;
    if (!over) return good;
    beside = table_read_text(loading, &calibration_table, over);
    good = !beside.bad && find_gpus(loading, &beside) && good;
    all.items = loading_alloc(loading, &loading->scratch, rows.count + beside.count + 1, rows.row_bytes);
    if (!all.items || !good) return false;
    if (rows.count) memcpy(all.items, rows.items, rows.count * rows.row_bytes);
    if (beside.count) memcpy(rows_at(&all, rows.count), beside.items, beside.count * rows.row_bytes);
    all.count += beside.count;
    *ret_rows = all;
    return true;
}

const struct csv_cell *catalog_calibration_cells(const struct calibration *calibration, struct arena *arena,
                                                 size_t *ret_count)
{
    const struct calibration_row row = {.calibration = *calibration, .gpu_id = calibration->gpu->id};
    return table_cells(&calibration_table, &row, arena, ret_count);
}

void load_calibrations(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    struct rows rows;
    bool good = read_rows(loading, &rows);
    struct calibration_row *items = rows.items;
    snapshot->calibrations = loading_alloc(loading, &snapshot->arena, rows.count + 1, sizeof(struct calibration));
    if (!snapshot->calibrations || !good) return;
    if (rows.count > 0) qsort(items, rows.count, sizeof *items, compare_rows);
    for (size_t i = 0; i < rows.count; i++) {
        if (i > 0 && compare_rows(&items[i - 1], &items[i]) == 0)
            loading_refuse(loading, rows.file_name, items[i].row.line, "id", "the same as line %u",
                           items[i - 1].row.line);
        snapshot->calibrations[snapshot->calibration_count++] = items[i].calibration;
    }
    add_pools(loading);
    if (!snapshot->calibration_pools) return;
    set_usual(snapshot->calibrations, snapshot->calibration_count, snapshot);
    set_usual(snapshot->calibration_pools, snapshot->calibration_pool_count, snapshot);
}
