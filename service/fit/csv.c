/* csv.c owns a fitted profile as rows of engine_profiles.csv. */
#include "fit/fit.h"

#include "catalog/csv.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 11, SOURCE_BYTES = 1600, NAME_BYTES = 512 };

static const char *const columns[COLUMNS] = {"engine", "version_from", "version_to",  "coefficient",
                                             "value",  "source",       "as_of",       "load",
                                             "gpu",    "family",       "weight_dtype"};

/* The texts of one row that all rows of a profile share; coefficient, value and source come in between. */
struct profile_rows {
    const struct engine_profile *profile;
    const struct fit_label *label;
    char as_of[DATE_TEXT_BYTES];
    bool header;
    char *text; /* so far */
    struct arena *arena;
};

static bool add_group_row(struct profile_rows *rows, const struct engine_fit *fit, const char *coefficient,
                          const char *value, const char *source)
{
    const struct fit_label *label = rows->label;
    const char *const cells[COLUMNS] = {rows->profile->engine,
                                        label->version_from ? label->version_from : rows->profile->version_from,
                                        label->version_from ? (label->version_to ? label->version_to : "")
                                                            : rows->profile->version_to,
                                        coefficient,
                                        value,
                                        source,
                                        rows->as_of,
                                        fit ? fit_load_name(fit->load) : "",
                                        fit ? fit->gpu : "",
                                        fit ? fit->family : "",
                                        fit ? dtype_name(fit->weight_dtype) : ""};
    struct csv_cell row[COLUMNS];
    for (size_t i = 0; i < COLUMNS; i++)
        row[i] = (struct csv_cell){columns[i], cells[i]};
    const char *line = csv_text(row, COLUMNS, rows->header, rows->arena);
    rows->header = false;
    if (line && rows->text) rows->text = arena_printf(rows->arena, "%s%s", rows->text, line);
    return line && rows->text;
}

static bool add_row(struct profile_rows *rows, const char *coefficient, const char *value, const char *source)
{
    return add_group_row(rows, NULL, coefficient, value, source);
}

/* "; tpot of 34 rows 9.1/33 % in fit, 14.0/41 % without gpu": errors of the kinds that a stage is judged by. */
static void add_errors(const struct fit *fit, bool first_token, char text[SOURCE_BYTES])
{
    for (enum fit_kind kind = 0; kind < FIT_KIND_COUNT; kind++) {
        bool begun = false;
        for (size_t i = 0; i < fit->score_count; i++) {
            const struct fit_score *score = &fit->scores[i];
            bool whole = score->key == FIT_KEY_COUNT;
            if (score->group || score->kind != kind || (kind == FIT_TTFT) != first_token) continue;
            size_t used = strlen(text);
            if (!begun)
                (void)snprintf(text + used, SOURCE_BYTES - used,
                               "; median and p90 of %s of %zu rows:", fit_kind_name(kind), score->rows);
            used = strlen(text);
            (void)snprintf(text + used, SOURCE_BYTES - used, "%s %.1f and %.0f %% %s%s", begun ? ";" : "",
                           100 * score->median, 100 * score->p90, whole ? "in fit" : "without ",
                           whole ? "" : fit_key_name(score->key));
            begun = true;
        }
    }
}

static const char *source_of(const struct fit *fit, const struct fit_label *label, bool first_token, char *text)
{
    (void)snprintf(text, SOURCE_BYTES, "%zu rows of %zu configurations (%s) of", fit->runs, fit->configurations,
                   fit->sources);
    for (size_t i = 0; i < fit->profile_count; i++) {
        size_t used = strlen(text);
        (void)snprintf(text + used, SOURCE_BYTES - used, "%s %s %s", i ? " and" : "", fit->profiles[i]->engine,
                       fit->profiles[i]->version_from);
    }
    add_errors(fit, first_token, text);
    size_t used = strlen(text);
    (void)snprintf(text + used, SOURCE_BYTES - used, "; gpusize %s fit, seed %llu", GPUSIZE_VERSION,
                   (unsigned long long)label->seed);
    return text;
}

static bool is_written(const struct fitted_parameter *parameter, int owner)
{
    return parameter->informed && (parameter->owner == OWNER_ALL || parameter->owner == owner);
}

/* The one row of a stage that tells its fit, to which the others refer: that which the loader shows, or the first. */
static const struct fitted_parameter *teller_of(const struct fit *fit, enum fit_stage stage, int owner)
{
    const struct fitted_parameter *teller = NULL;
    for (size_t i = 0; i < fit->parameter_count; i++) {
        const struct fitted_parameter *parameter = &fit->parameters[i];
        if (parameter->stage != stage || !is_written(parameter, owner)) continue;
        if (!teller || strcmp(parameter->name, "dense_bandwidth_ratio") == 0) teller = parameter;
    }
    return teller;
}

static const char *source_of_parameter(const struct fit *fit, const struct fit_label *label,
                                       const struct fitted_parameter *parameter, int owner, char *text)
{
    const struct fitted_parameter *teller = teller_of(fit, parameter->stage, owner);
    if (!teller || parameter == teller) return source_of(fit, label, parameter->stage == FIT_FIRST_TOKEN, text);
    (void)snprintf(text, SOURCE_BYTES, "fitted together with %s; seed %llu", teller->name,
                   (unsigned long long)label->seed);
    return text;
}

static bool add_parameters(struct profile_rows *rows, const struct fit *fit, int owner)
{
    char number[NUMBER_TEXT_BYTES], source[SOURCE_BYTES];
    bool added = true;
    for (size_t i = 0; added && i < fit->parameter_count; i++) {
        const struct fitted_parameter *parameter = &fit->parameters[i];
        if (!is_written(parameter, owner)) continue;
        (void)text_format_double(parameter->value, number);
        added = add_row(rows, parameter->name, number, source_of_parameter(fit, rows->label, parameter, owner, source));
    }
    return added;
}

static bool add_factors(struct profile_rows *rows, const struct fit *fit, int owner)
{
    char number[NUMBER_TEXT_BYTES], source[SOURCE_BYTES];
    bool added = true;
    for (size_t i = 0; added && i < fit->factor_count; i++) {
        const struct fitted_factor *factor = &fit->factors[i];
        if (factor->owner != owner) continue;
        (void)snprintf(
            source, sizeof source,
            "90 %% of %zu rows, and 2/3 of each group, that were left out of their fit%s; gpusize %s fit, seed "
            "%llu",
            factor->rows, factor->calibrated ? ", with published calibrations" : "", GPUSIZE_VERSION,
            (unsigned long long)rows->label->seed);
        (void)text_format_double(factor->value, number);
        added = add_row(rows, factor->name, number, source);
    }
    return added;
}

static bool add_kernels(struct profile_rows *rows, const struct fit *fit, int owner)
{
    char number[NUMBER_TEXT_BYTES];
    bool added = true;
    for (size_t i = 0; added && i < fit->kernel_count; i++) {
        const struct fitted_kernel *kernel = &fit->kernels[i];
        if (kernel->owner != owner || !(kernel->value > 0)) continue;
        (void)text_format_double(kernel->value, number);
        added = add_row(rows, kernel->name, number, "mean of published calibrations over the rows of the fit");
    }
    return added;
}

static bool add_groups(struct profile_rows *rows, const struct fit *fit, int owner)
{
    char number[NUMBER_TEXT_BYTES], source[SOURCE_BYTES];
    bool added = true;
    for (size_t i = 0; added && i < fit->group_count; i++) {
        const struct fitted_group *group = &fit->groups[i];
        if (group->owner != owner) continue;
        const struct {
            const char *name;
            double value;
        } figures[] = {{"rows", group->fit.rows},
                       {"time_ratio", group->fit.time_ratio},
                       {"time_factor", group->fit.time_factor},
                       {"ttft_ratio", group->fit.ttft_ratio},
                       {"ttft_factor", group->fit.ttft_factor}};
        (void)snprintf(source, sizeof source, "%.0f rows beside the coefficients; gpusize %s fit, seed %llu",
                       group->fit.rows, GPUSIZE_VERSION, (unsigned long long)rows->label->seed);
        for (size_t f = 0; added && f < sizeof figures / sizeof *figures; f++) {
            if (!is_known(figures[f].value)) continue;
            (void)text_format_double(figures[f].value, number);
            added = add_group_row(rows, &group->fit, figures[f].name, number, source);
        }
    }
    return added;
}

const char *fit_csv(const struct fit *fit, size_t profile, const struct fit_label *label, bool header,
                    struct arena *arena)
{
    char inherits[NAME_BYTES], source[SOURCE_BYTES];
    struct profile_rows rows = {.profile = fit->profiles[profile], .label = label, .header = header, .arena = arena};
    rows.text = arena_strdup(arena, "");
    (void)date_format(label->as_of, rows.as_of);
    (void)snprintf(inherits, sizeof inherits, "%s %s", rows.profile->engine, rows.profile->version_from);
    bool added = rows.text && add_row(&rows, "inherits", inherits, source_of(fit, label, false, source)) &&
                 add_parameters(&rows, fit, (int)profile) && add_factors(&rows, fit, (int)profile) &&
                 add_kernels(&rows, fit, (int)profile) && add_groups(&rows, fit, (int)profile);
    return added ? rows.text : NULL;
}
