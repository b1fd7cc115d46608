/* load_engines.c owns how engine_profiles.csv, one row per coefficient, becomes one profile per version range, and the
 * table of what runs where. */
#include "catalog/loaders.h"

#include "catalog/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { DTYPE_NAME_BYTES = 32, INHERITS_BYTES = 512, PROFILES_MAX = 256 };

struct coefficient_row {
    struct row row;
    const char *engine, *version_from, *version_to, *coefficient, *value, *source;
    date_t as_of;
    const char *load, *gpu, *family, *weight_dtype; /* of a figure of a struct engine_fit; else "" */
    const char *file_name;
    bool laid_over;
};

static const struct column coefficient_columns[] = {
    COLUMN_ID("engine", struct coefficient_row, engine),
    COLUMN_ID("version_from", struct coefficient_row, version_from),
    COLUMN_ID_OPT("version_to", struct coefficient_row, version_to),
    COLUMN_ID("coefficient", struct coefficient_row, coefficient),
    COLUMN("value", struct coefficient_row, value),
    COLUMN("source", struct coefficient_row, source),
    COLUMN("as_of", struct coefficient_row, as_of),
    COLUMN_LOOSE("load", struct coefficient_row, load),
    COLUMN_LOOSE("gpu", struct coefficient_row, gpu),
    COLUMN_LOOSE("family", struct coefficient_row, family),
    COLUMN_LOOSE("weight_dtype", struct coefficient_row, weight_dtype),
};
static const struct table coefficient_table = TABLE(FILE_ENGINE_PROFILES, coefficient_columns, struct coefficient_row);

static int compare_ranges(const void *a, const void *b)
{
    const struct coefficient_row *x = a, *y = b;
    int order = strcasecmp(x->engine, y->engine);
    if (order == 0) order = engine_version_compare(y->version_from, x->version_from); /* newest first */
    return order ? order : strcmp(y->version_to, x->version_to);
}

/* Figures of one fit stand together, behind the coefficients. */
static int compare_fits(const void *a, const void *b)
{
    const struct coefficient_row *x = a, *y = b;
    int order = strcmp(x->load, y->load);
    if (order == 0) order = strcmp(x->gpu, y->gpu);
    if (order == 0) order = strcmp(x->family, y->family);
    return order ? order : strcmp(x->weight_dtype, y->weight_dtype);
}

static int compare_coefficients(const void *a, const void *b)
{
    int order = compare_ranges(a, b);
    if (order == 0) order = compare_fits(a, b);
    return order ? order
                 : strcmp(((const struct coefficient_row *)a)->coefficient,
                          ((const struct coefficient_row *)b)->coefficient);
}

/* Whose source stands for that of the profile: what speed rests on. */
#define SPOKESMAN offsetof(struct engine_coefs, dense_bandwidth_ratio)

/* A profile while it is put together; a coefficient is UNKNOWN until it is given or inherited. */
struct draft {
    struct engine_profile profile;
    struct engine_fit *fits;                        /* those of profile, not yet for good */
    const struct coefficient_row *first, *inherits; /* inherits: NULL if it starts from nothing */
    bool laid_over;                                 /* all of its rows are: a range of its own in front of the others */
    enum { DRAFT_OPEN, DRAFT_BUSY, DRAFT_DONE } state;
};

struct drafts {
    struct loading *loading;
    struct draft *items;
    size_t count;
};

static double *coefficient_at(struct engine_coefs *coefs, size_t index)
{
    return (double *)(void *)((char *)coefs + coef_infos[index].offset);
}

static const struct {
    const char *name;
    size_t offset;
} fit_figures[] = {
    {"rows", offsetof(struct engine_fit, rows)},
    {"time_ratio", offsetof(struct engine_fit, time_ratio)},
    {"time_factor", offsetof(struct engine_fit, time_factor)},
    {"ttft_ratio", offsetof(struct engine_fit, ttft_ratio)},
    {"ttft_factor", offsetof(struct engine_fit, ttft_factor)},
};

static bool fit_begin(struct drafts *drafts, const struct coefficient_row *row, struct engine_fit *ret_fit)
{
    struct engine_fit fit = {.load = FIT_LOAD_SERVED, .gpu = row->gpu, .family = row->family, .architecture = ""};
    const struct snapshot *snapshot = drafts->loading->snapshot;
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        if (strcasecmp(snapshot->gpus[i].id, row->gpu) != 0) continue;
        fit.gpu = snapshot->gpus[i].id;
        fit.architecture = snapshot->gpus[i].architecture;
    }
    fit.weight_dtype = dtype_parse(row->weight_dtype);
    fit.rows = fit.time_ratio = fit.time_factor = fit.ttft_ratio = fit.ttft_factor = UNKNOWN;
    while (fit.load < FIT_LOAD_COUNT && strcmp(fit_load_name(fit.load), row->load) != 0)
        fit.load++;
    bool good = fit.load < FIT_LOAD_COUNT && *row->gpu && *row->family && fit.weight_dtype != DTYPE_UNKNOWN;
    if (!good)
        loading_refuse(
            drafts->loading, row->file_name, row->row.line, "load",
            "a figure of a fit needs a load (served, saturated, static), a gpu, a family and a weight_dtype");
    *ret_fit = fit;
    return good;
}

static void fit_set(struct drafts *drafts, struct draft *draft, const struct coefficient_row *row)
{
    struct engine_fit fit;
    if (!fit_begin(drafts, row, &fit)) return;
    struct engine_profile *profile = &draft->profile;
    if (profile->fit_count == 0 || engine_fit_compare(&draft->fits[profile->fit_count - 1], &fit) != 0)
        draft->fits[profile->fit_count++] = fit;
    for (size_t i = 0; i < sizeof fit_figures / sizeof *fit_figures; i++) {
        if (strcmp(fit_figures[i].name, row->coefficient) != 0) continue;
        double value = 0, least = strstr(row->coefficient, "factor") ? 1 : 1e-3;
        if (!text_parse_double(row->value, &value) || !(value >= least && value <= 1e6))
            loading_refuse(drafts->loading, row->file_name, row->row.line, "value", "is no number from %g to 1e6",
                           least);
        *(double *)(void *)((char *)&draft->fits[profile->fit_count - 1] + fit_figures[i].offset) = value;
        return;
    }
    loading_refuse(drafts->loading, row->file_name, row->row.line, "coefficient", "a fit has no figure \"%s\"",
                   row->coefficient);
}

/* Of former formulas: older versions of a database's catalog still have them. */
static bool is_retired(const char *name)
{
    static const char *const names[] = {"tpot_fitted_factor",      "tpot_fitted_cdna4_factor", "ttft_fitted_factor",
                                        "saturated_fitted_factor", "static_fitted_factor",     "ttft_expert_ratio",
                                        "ttft_attention_ratio"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) return true;
    }
    return false;
}

/* Shares of a bandwidth or a peak, which nothing exceeds; factors of intervals; and what cannot be negative. */
static const char *coefficient_refusal(const char *name, double value)
{
    const char *end = strrchr(name, '_'), *before = strstr(name, "_bandwidth_ratio");
    if (!before) before = strstr(name, "bit_ratio");
    bool off = value == 0 && (strstr(name, "_calibrated_") || strncmp(name, "kernel_", 7) == 0); /* not known */
    if (before && !off && !(value > 0 && value <= 1)) return "is a share: above 0 and at most 1";
    if (end && strcmp(end, "_factor") == 0 && !off && !(value >= 1)) return "is a factor of an interval: at least 1";
    return value >= 0 && value <= 1e9 ? NULL : "must be 0 to 1e9";
}

static void draft_set(struct drafts *drafts, struct draft *draft, const struct coefficient_row *row)
{
    if (*row->load || *row->gpu || *row->family || *row->weight_dtype) {
        fit_set(drafts, draft, row);
        return;
    }
    if (strcmp(row->coefficient, "inherits") == 0) {
        draft->inherits = row;
        if (!draft->profile.source) draft->profile.source = row->source;
        draft->profile.inherits = row->value;
        return;
    }
    size_t i = 0;
    while (i < coef_count && strcmp(coef_infos[i].name, row->coefficient) != 0)
        i++;
    double value = 0;
    if (i == coef_count && is_retired(row->coefficient)) return;
    if (i == coef_count) {
        loading_refuse(drafts->loading, row->file_name, row->row.line, "coefficient", "there is no coefficient \"%s\"",
                       row->coefficient);
    } else if (!text_parse_double(row->value, &value)) {
        loading_refuse(drafts->loading, row->file_name, row->row.line, "value", "is not a number");
    } else {
        const char *refusal = coefficient_refusal(row->coefficient, value);
        if (refusal) loading_refuse(drafts->loading, row->file_name, row->row.line, "value", "%s", refusal);
        *coefficient_at(&draft->profile.coef, i) = value;
        if (coef_infos[i].offset == SPOKESMAN) draft->profile.source = row->source;
    }
}

static struct draft *draft_begin(struct drafts *drafts, const struct coefficient_row *row)
{
    struct draft *draft = &drafts->items[drafts->count++];
    *draft = (struct draft){
        .profile = {.engine = row->engine,
                    .version_from = row->version_from,
                    .version_to = row->version_to,
                    .as_of = row->as_of},
        .first = row,
        .laid_over = true,
    };
    for (size_t i = 0; i < coef_count; i++)
        *coefficient_at(&draft->profile.coef, i) = UNKNOWN;
    return draft;
}

/* The draft that "engine version_from" names; NULL if there is none. */
static struct draft *find_parent(struct drafts *drafts, const char *wanted)
{
    char name[INHERITS_BYTES];
    for (size_t i = 0; i < drafts->count; i++) {
        const struct engine_profile *profile = &drafts->items[i].profile;
        (void)snprintf(name, sizeof name, "%s %s", profile->engine, profile->version_from);
        if (strcasecmp(name, wanted) == 0) return &drafts->items[i];
    }
    return NULL;
}

/* The fits of both, the draft's own first. */
static void inherit_fits(struct drafts *drafts, struct draft *draft, const struct draft *parent)
{
    size_t own = draft->profile.fit_count, count = own + parent->profile.fit_count;
    struct engine_fit *fits = loading_alloc(drafts->loading, &drafts->loading->snapshot->arena, count, sizeof *fits);
    if (!fits || count == own) return;
    if (own) memcpy(fits, draft->fits, own * sizeof *fits);
    for (size_t i = 0; i < parent->profile.fit_count; i++) {
        const struct engine_fit *fit = &parent->fits[i];
        if (!bsearch(fit, draft->fits, own, sizeof *fit, engine_fit_compare)) fits[draft->profile.fit_count++] = *fit;
    }
    qsort(fits, draft->profile.fit_count, sizeof *fits, engine_fit_compare);
    draft->fits = fits;
}

/* Fills what the profile does not say itself from the one that it inherits from. The chain ends: each step marks its
 * draft, and a busy one is a cycle. */
static void draft_resolve(struct drafts *drafts, struct draft *draft)
{
    if (draft->state == DRAFT_DONE || !draft->inherits) return;
    draft->state = DRAFT_BUSY;
    struct draft *parent = find_parent(drafts, draft->inherits->value);
    uint32_t line = draft->inherits->row.line;
    const char *file_name = draft->inherits->file_name;
    if (!parent) {
        loading_refuse(drafts->loading, file_name, line, "value",
                       "inherits from no profile: give \"engine version_from\" of one");
    } else if (parent->state == DRAFT_BUSY) {
        loading_refuse(drafts->loading, file_name, line, "value", "inherits from itself in a circle");
    } else {
        draft_resolve(drafts, parent);
        inherit_fits(drafts, draft, parent);
        for (size_t i = 0; i < coef_count; i++) {
            double *value = coefficient_at(&draft->profile.coef, i);
            if (!is_known(*value)) *value = *coefficient_at(&parent->profile.coef, i);
        }
    }
    draft->state = DRAFT_DONE;
}

static void draft_check(struct drafts *drafts, struct draft *draft, const struct draft *newer)
{
    if (!draft->profile.source) draft->profile.source = draft->first->source;
    for (size_t i = 0; i < coef_count; i++) {
        if (!is_known(*coefficient_at(&draft->profile.coef, i)))
            loading_refuse(drafts->loading, draft->first->file_name, draft->first->row.line, "coefficient",
                           "%s %s does not give %s", draft->profile.engine, draft->profile.version_from,
                           coef_infos[i].name);
    }
    for (size_t i = 0; i < draft->profile.fit_count; i++) {
        const struct engine_fit *fit = &draft->fits[i];
        if (i > 0 && engine_fit_compare(fit - 1, fit) == 0)
            loading_refuse(drafts->loading, draft->first->file_name, draft->first->row.line, "gpu",
                           "%s %s has two fits of %s to %s", draft->profile.engine, draft->profile.version_from,
                           fit->gpu, fit->family);
        if (!is_known(fit->rows + fit->time_ratio + fit->time_factor))
            loading_refuse(drafts->loading, draft->first->file_name, draft->first->row.line, "coefficient",
                           "the fit of %s %s to %s on %s does not give rows, time_ratio and time_factor",
                           draft->profile.engine, draft->profile.version_from, fit->family, fit->gpu);
    }
    if (newer && !newer->laid_over && strcasecmp(newer->profile.engine, draft->profile.engine) == 0 &&
        engine_profile_covers(&draft->profile, newer->profile.version_from))
        loading_refuse(drafts->loading, draft->first->file_name, draft->first->row.line, "version_to",
                       "the range of %s from %s reaches into the one from %s", draft->profile.engine,
                       draft->profile.version_from, newer->profile.version_from);
}

/* --- rows that are laid over --- */

static struct rows read_sorted(struct loading *loading, const struct catalog_text *text, bool laid_over)
{
    struct rows rows = table_read_text(loading, &coefficient_table, text);
    for (size_t i = 0; i < rows.count; i++) {
        struct coefficient_row *row = rows_at(&rows, i);
        row->file_name = rows.file_name;
        row->laid_over = laid_over;
    }
    rows_sort(&rows, compare_coefficients);
    rows_refuse_equal(loading, &rows, "coefficient", compare_coefficients);
    return rows;
}

static bool same_start(const struct coefficient_row *a, const struct coefficient_row *b)
{
    return strcasecmp(a->engine, b->engine) == 0 && engine_version_compare(a->version_from, b->version_from) == 0;
}

/* A range that begins where one of the catalog's does is that one. */
static void take_range(struct loading *loading, const struct rows *rows, struct coefficient_row *over)
{
    for (size_t i = 0; i < rows->count; i++) {
        const struct coefficient_row *row = rows_at(rows, i);
        if (!same_start(row, over)) continue;
        if (*over->version_to && strcmp(over->version_to, row->version_to) != 0)
            loading_refuse(loading, over->file_name, over->row.line, "version_to",
                           "the catalog's %s %s ends with \"%s\": give that, or nothing", row->engine,
                           row->version_from, row->version_to);
        over->version_from = row->version_from;
        over->version_to = row->version_to;
        return;
    }
}

/* "vllm 0.17 inherits vllm 0.17": what the catalog says of it. */
static bool inherits_itself(const struct coefficient_row *row)
{
    char name[INHERITS_BYTES];
    (void)snprintf(name, sizeof name, "%s %s", row->engine, row->version_from);
    return strcmp(row->coefficient, "inherits") == 0 && strcasecmp(row->value, name) == 0;
}

/* The catalog's rows and those over them, of which each takes the place of the one with its key. */
static struct rows read_coefficients(struct loading *loading)
{
    const struct catalog_text *text = &loading->files[FILE_ENGINE_PROFILES];
    struct rows rows = read_sorted(loading, text, false);
    if (!text->over) return rows;
    struct rows over = read_sorted(loading, text->over, true), all = rows;
    all.items = loading_alloc(loading, &loading->scratch, rows.count + over.count + 1, rows.row_bytes);
    all.count = 0;
    if (!all.items || rows.bad || over.bad) return rows;
    for (size_t i = 0; i < over.count; i++)
        take_range(loading, &rows, rows_at(&over, i));
    rows_sort(&over, compare_coefficients);
    rows_refuse_equal(loading, &over, "coefficient", compare_coefficients); /* also of ranges that became one */
    for (size_t i = 0, o = 0; i < rows.count || o < over.count;) {
        int order = i == rows.count   ? 1
                    : o == over.count ? -1
                                      : compare_coefficients(rows_at(&rows, i), rows_at(&over, o));
        if (order >= 0 && inherits_itself(rows_at(&over, o))) {
            o++;
            continue;
        }
        memcpy(rows_at(&all, all.count++), order < 0 ? rows_at(&rows, i) : rows_at(&over, o), rows.row_bytes);
        i += order <= 0;
        o += order >= 0;
    }
    return all;
}

void load_engine_profiles(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    struct rows rows = read_coefficients(loading);
    struct drafts drafts = {.loading = loading};
    drafts.items = loading_alloc(loading, &loading->scratch, PROFILES_MAX, sizeof *drafts.items);
    snapshot->profiles = loading_alloc(loading, &snapshot->arena, PROFILES_MAX, sizeof *snapshot->profiles);
    if (!drafts.items || !snapshot->profiles) return;
    struct draft *draft = NULL;
    struct engine_fit *fits = loading_alloc(loading, &snapshot->arena, rows.count, sizeof *fits);
    if (!fits) return;
    for (size_t i = 0; i < rows.count; i++) {
        const struct coefficient_row *row = rows_at(&rows, i);
        if (i == 0 || compare_ranges(rows_at(&rows, i - 1), row) != 0) {
            if (drafts.count == PROFILES_MAX) {
                loading_refuse(loading, row->file_name, row->row.line, "engine", "more than %d profiles", PROFILES_MAX);
                return;
            }
            draft = draft_begin(&drafts, row);
            draft->fits = fits + i;
        }
        draft->laid_over &= row->laid_over;
        if (row->as_of.days > draft->profile.as_of.days) draft->profile.as_of = row->as_of;
        if (row->laid_over && !draft->first->laid_over) { /* what is laid over is what answers rest on */
            draft->first = row;
            draft->profile.source = row->source;
        }
        draft_set(&drafts, draft, row);
    }
    for (size_t i = 0; i < drafts.count; i++)
        qsort(drafts.items[i].fits, drafts.items[i].profile.fit_count, sizeof *fits, engine_fit_compare);
    for (size_t i = 0; i < drafts.count; i++)
        draft_resolve(&drafts, &drafts.items[i]);
    for (size_t i = 0; i < drafts.count; i++) {
        draft_check(&drafts, &drafts.items[i], i ? &drafts.items[i - 1] : NULL);
        drafts.items[i].profile.fits = drafts.items[i].fits;
        snapshot->profiles[snapshot->profile_count++] = drafts.items[i].profile;
    }
}

/* --- engine_support.csv --- */

struct support_row {
    struct row row;
    struct engine_support support;
    const char *weight_dtypes;
};

static const struct column support_columns[] = {
    COLUMN_ID("engine", struct support_row, support.engine),
    COLUMN("architecture", struct support_row, support.architecture),
    COLUMN("weight_dtypes", struct support_row, weight_dtypes),
    COLUMN("fp8_kv", struct support_row, support.fp8_kv),
    COLUMN("source", struct support_row, support.source),
    COLUMN("as_of", struct support_row, support.as_of),
};
static const struct table support_table = TABLE(FILE_ENGINE_SUPPORT, support_columns, struct support_row);

static int compare_supports(const void *a, const void *b)
{
    const struct engine_support *x = &((const struct support_row *)a)->support;
    const struct engine_support *y = &((const struct support_row *)b)->support;
    int order = strcasecmp(x->engine, y->engine);
    return order ? order : strcasecmp(x->architecture, y->architecture);
}

/* "bf16|fp8": one bit per format. */
static void read_dtypes(struct loading *loading, const struct rows *rows, struct support_row *row)
{
    const char *at = row->weight_dtypes;
    for (size_t length = 0; *at; at += length + (at[length] == '|')) {
        length = strcspn(at, "|");
        char name[DTYPE_NAME_BYTES] = "";
        memcpy(name, at, length < sizeof name ? length : sizeof name - 1);
        enum dtype dtype = dtype_parse(name);
        if (dtype == DTYPE_UNKNOWN) {
            loading_refuse(loading, rows->file_name, row->row.line, "weight_dtypes", "there is no format \"%.*s\"",
                           (int)(length < sizeof name ? length : 0), at);
            return;
        }
        row->support.weight_dtypes |= 1U << dtype;
    }
}

static void check_support(struct loading *loading, const struct rows *rows, const struct support_row *row)
{
    const struct snapshot *snapshot = loading->snapshot;
    bool engine = !*row->support.engine, architecture = !*row->support.architecture;
    for (size_t i = 0; i < snapshot->profile_count && !engine; i++)
        engine = strcasecmp(snapshot->profiles[i].engine, row->support.engine) == 0;
    for (size_t i = 0; i < snapshot->gpu_count && !architecture; i++)
        architecture = strcasecmp(snapshot->gpus[i].architecture, row->support.architecture) == 0;
    if (!engine)
        loading_refuse(loading, rows->file_name, row->row.line, "engine", "\"%s\" has no profile", row->support.engine);
    if (!architecture)
        loading_refuse(loading, rows->file_name, row->row.line, "architecture", "gpus.csv has no such architecture");
}

void load_engine_support(struct loading *loading)
{
    struct rows rows = table_read(loading, &support_table);
    for (size_t i = 0; i < rows.count; i++) {
        read_dtypes(loading, &rows, rows_at(&rows, i));
        check_support(loading, &rows, rows_at(&rows, i));
    }
    rows_sort(&rows, compare_supports);
    rows_refuse_equal(loading, &rows, "architecture", compare_supports);
    loading->snapshot->supports =
        rows_take(loading, &rows, offsetof(struct support_row, support), sizeof(struct engine_support));
    loading->snapshot->support_count = loading->snapshot->supports ? rows.count : 0;
}
