/* load_quality.c owns how quantisation_quality.csv becomes figures of quality. The file is of the program, whatever
 * catalog it reads: what a format costs is published once, and no database has it. */
#include "catalog/loaders.h"

#include <string.h>
#include <strings.h>

static const char *const metric_names[QUALITY_METRIC_COUNT] = {
    [QUALITY_PERPLEXITY] = "wikitext2_perplexity",       [QUALITY_WORD_PERPLEXITY] = "wikitext_word_perplexity",
    [QUALITY_KL_DIVERGENCE] = "wikitext2_kl_divergence", [QUALITY_ACCURACY_RATIO] = "mean_accuracy_ratio",
    [QUALITY_RECOVERY_PERCENT] = "recovery_percent",
};

const char *quality_metric_name(enum quality_metric metric)
{
    return metric_names[metric];
}

struct quality_row {
    struct row row;
    struct quality quality;
};

static const char *dtype_choice(unsigned choice)
{
    return dtype_name((enum dtype)choice);
}

static const char *metric_choice(unsigned choice)
{
    return quality_metric_name((enum quality_metric)choice);
}

static const struct column quality_columns[] = {
    CHOICE("weight_dtype", struct quality_row, quality.weight_dtype, dtype_choice, DTYPE_COUNT),
    COLUMN_ID("model", struct quality_row, quality.model),
    COLUMN("recipe", struct quality_row, quality.recipe),
    CHOICE("metric", struct quality_row, quality.metric, metric_choice, QUALITY_METRIC_COUNT),
    NUMBER("value", struct quality_row, quality.value, 0, 1e6),
    NUMBER("baseline", struct quality_row, quality.baseline, 0, 1e6),
    COLUMN("source", struct quality_row, quality.source),
    COLUMN("as_of", struct quality_row, quality.as_of),
};
static const struct table quality_table = TABLE(CATALOG_FILE_COUNT, quality_columns, struct quality_row);

static int compare_qualities(const void *a, const void *b)
{
    const struct quality *x = &((const struct quality_row *)a)->quality, *y = &((const struct quality_row *)b)->quality;
    if (x->weight_dtype != y->weight_dtype) return x->weight_dtype < y->weight_dtype ? -1 : 1;
    int order = strcasecmp(x->model, y->model);
    if (order == 0) order = strcmp(x->recipe, y->recipe);
    if (order == 0 && x->metric != y->metric) order = x->metric < y->metric ? -1 : 1;
    return order;
}

void load_qualities(struct loading *loading)
{
    struct rows rows = table_read_text(loading, &quality_table, &catalog_own()[OWN_QUALITIES]);
    rows_sort(&rows, compare_qualities);
    rows_refuse_equal(loading, &rows, "recipe", compare_qualities);
    loading->snapshot->qualities =
        rows_take(loading, &rows, offsetof(struct quality_row, quality), sizeof(struct quality));
    loading->snapshot->quality_count = loading->snapshot->qualities ? rows.count : 0;
}

const struct quality *snapshot_qualities(const struct snapshot *snapshot, enum dtype dtype, size_t *ret_count)
{
    size_t first = 0, count = 0;
    while (first < snapshot->quality_count && snapshot->qualities[first].weight_dtype < dtype)
        first++;
    while (first + count < snapshot->quality_count && snapshot->qualities[first + count].weight_dtype == dtype)
        count++;
    *ret_count = count;
    return snapshot->qualities + first;
}
