/* load_training.c owns how training_profiles.csv, one row per coefficient, becomes one profile per name. */
#include "catalog/loaders.h"

#include <string.h>

const struct training_coef_info training_coef_infos[] = {
#define COEF(name, unit, meaning) {#name, unit, meaning, offsetof(struct training_coefs, name)},
#include "catalog/training_coef.def"
#undef COEF
};
const size_t training_coef_count = sizeof training_coef_infos / sizeof *training_coef_infos;

#define SPOKESMAN offsetof(struct training_coefs, product_16bit_ratio) /* whose source stands for the profile's */

struct training_row {
    struct row row;
    const char *profile, *coefficient, *source;
    double value;
    date_t as_of;
};

static const struct column training_columns[] = {
    COLUMN_ID("profile", struct training_row, profile),  COLUMN_ID("coefficient", struct training_row, coefficient),
    NUMBER("value", struct training_row, value, 0, 1e6), COLUMN("source", struct training_row, source),
    COLUMN("as_of", struct training_row, as_of),
};
/* It is no file of struct loading: of the table's members only the columns count. */
static const struct table training_table = TABLE(CATALOG_FILE_COUNT, training_columns, struct training_row);

double *training_coef_at(struct training_profile *profile, size_t coefficient)
{
    return (double *)(void *)((char *)&profile->coef + training_coef_infos[coefficient].offset);
}

static int compare_rows(const void *a, const void *b)
{
    const struct training_row *x = a, *y = b;
    int order = strcmp(x->profile, y->profile);
    return order ? order : strcmp(x->coefficient, y->coefficient);
}

/* Rows of one profile follow each other. */
static struct training_profile *profile_of(struct snapshot *snapshot, const struct training_row *row)
{
    size_t count = snapshot->training_profile_count;
    struct training_profile *last = count ? &snapshot->training_profiles[count - 1] : NULL;
    if (last && strcmp(last->name, row->profile) == 0) return last;
    struct training_profile *profile = &snapshot->training_profiles[snapshot->training_profile_count++];
    profile->name = row->profile;
    for (size_t i = 0; i < training_coef_count; i++)
        *training_coef_at(profile, i) = UNKNOWN;
    return profile;
}

static void set_coefficient(struct loading *loading, struct training_profile *profile, const struct training_row *row)
{
    size_t i = 0;
    while (i < training_coef_count && strcmp(training_coef_infos[i].name, row->coefficient) != 0)
        i++;
    if (i == training_coef_count) {
        loading_refuse(loading, catalog_own()[OWN_TRAINING].name, row->row.line, "coefficient",
                       "there is no coefficient \"%s\"", row->coefficient);
        return;
    }
    *training_coef_at(profile, i) = row->value;
    if (training_coef_infos[i].offset != SPOKESMAN) return;
    profile->source = row->source;
    profile->as_of = row->as_of;
}

static void check_complete(struct loading *loading, struct training_profile *profile)
{
    for (size_t i = 0; i < training_coef_count; i++) {
        if (!is_known(*training_coef_at(profile, i)))
            loading_refuse(loading, catalog_own()[OWN_TRAINING].name, 1, "coefficient", "%s lacks %s", profile->name,
                           training_coef_infos[i].name);
    }
}

void load_training(struct loading *loading)
{
    struct snapshot *snapshot = loading->snapshot;
    struct rows rows = table_read_text(loading, &training_table, &catalog_own()[OWN_TRAINING]);
    rows_sort(&rows, compare_rows);
    rows_refuse_equal(loading, &rows, "coefficient", compare_rows);
    snapshot->training_profiles =
        loading_alloc(loading, &snapshot->arena, rows.count + 1, sizeof *snapshot->training_profiles);
    for (size_t i = 0; snapshot->training_profiles && !rows.bad && i < rows.count; i++) {
        const struct training_row *row = rows_at(&rows, i);
        set_coefficient(loading, profile_of(snapshot, row), row);
    }
    for (size_t i = 0; i < snapshot->training_profile_count; i++)
        check_complete(loading, &snapshot->training_profiles[i]);
}

const struct training_profile *snapshot_find_training(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->training_profile_count; i++) {
        if (strcmp(snapshot->training_profiles[i].name, name) == 0) return &snapshot->training_profiles[i];
    }
    return NULL;
}
