/* report.c owns the wording of an evaluation: columns of its tables, members of its JSON, cells of its lines. */
#include "evaluate/report.h"

#include "catalog/csv.h"
#include "catalog/text.h"
#include "wire/out.h"

#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 600, REFUSALS_SHOWN = 20, KEY_WIDTH_MAX = 60, METRIC_WIDTH = 25 };

static void put(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct out *out, const char *format, ...)
{
    char line[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    size_t kept = length < (int)sizeof line ? (size_t)length : text_utf8_prefix(line, sizeof line - 1);
    out_raw(out, line, kept);
}

static size_t scored_count(const struct scores *scores)
{
    size_t count = 0;
    for (size_t i = 0; i < scores->count; i++)
        count += !scores->items[i].reason;
    return count;
}

/* --- tables --- */

/* A share as percent; a dash where there is none. */
static void put_percent(struct out *out, int width, double ratio)
{
    if (is_known(ratio))
        put(out, " %*.1f", width, ratio * 100);
    else
        put(out, " %*s", width, "-");
}

static void put_group(struct out *out, int width, const struct group *group, bool same_key)
{
    put(out, "%-*s %-*s %6zu %6zu", width, same_key ? "" : group->key, METRIC_WIDTH, metric_names[group->metric],
        group->rows, group->scored);
    put_percent(out, 7, group->median);
    put_percent(out, 7, group->mean);
    put_percent(out, 7, group->p90);
    put_percent(out, 7, group->within_20);
    put_percent(out, 7, group->within_30);
    put_percent(out, 7, group->covered);
    put_percent(out, 7, group->half_width);
    if (is_known(group->bias))
        put(out, " %+7.3f", group->bias);
    else
        put(out, " %7s", "-");
    put(out, "\n");
}

static int key_width(const char *title, const struct groups *groups)
{
    size_t width = strlen(title);
    for (size_t i = 0; i < groups->count; i++)
        width = strlen(groups->items[i].key) > width ? strlen(groups->items[i].key) : width;
    return width < KEY_WIDTH_MAX ? (int)width : KEY_WIDTH_MAX;
}

static void put_groups(struct out *out, const char *name, const struct groups *groups)
{
    char title[KEY_WIDTH_MAX];
    (void)snprintf(title, sizeof title, "by %s", name);
    if (groups->count == 0) return;
    int width = key_width(title, groups);
    put(out, "\n%-*s %-*s %6s %6s %7s %7s %7s %7s %7s %7s %7s %7s\n", width, title, METRIC_WIDTH, "figure", "rows",
        "scored", "median%", "mean%", "p90%", "<=20%", "<=30%", "inside%", "width%", "bias");
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = &groups->items[i];
        put_group(out, width, group, i > 0 && strcmp(groups->items[i - 1].key, group->key) == 0);
    }
}

static void put_refusals(struct out *out, const struct refusals *refusals)
{
    if (refusals->count == 0) return;
    put(out, "\n%6s %7s  %s\n", "rows", "figures", "not compared, because");
    for (size_t i = 0; i < refusals->count && i < REFUSALS_SHOWN; i++) {
        const struct refusal *refusal = &refusals->items[i];
        put(out, "%6zu %7zu  %s\n", refusal->rows, refusal->figures, refusal->reason);
    }
    if (refusals->count > REFUSALS_SHOWN)
        put(out, "and %zu reasons more; --predictions FILE has all\n", refusals->count - REFUSALS_SHOWN);
}

void report_text(const struct report *report, struct out *out)
{
    for (size_t i = 0; i < report->file_count; i++)
        put(out, "%s: %zu rows\n", report->files[i].name, report->files[i].rows);
    put(out, "%zu of %zu figures are compared\n", scored_count(report->scores), report->scores->count);
    for (size_t i = 0; i < report->grouping_count; i++)
        put_groups(out, report->groupings[i].name, &report->groups[i]);
    put_refusals(out, report->refusals);
}

/* --- JSON --- */

static void out_group(struct out *out, const struct group *group)
{
    out_object(out, NULL);
    out_text(out, "key", group->key);
    out_text(out, "metric", metric_names[group->metric]);
    out_integer(out, "rows", (int64_t)group->rows);
    out_integer(out, "scored", (int64_t)group->scored);
    out_integer(out, "refused", (int64_t)(group->rows - group->scored));
    out_number(out, "median_error_ratio", round6(group->median));
    out_number(out, "mean_error_ratio", round6(group->mean));
    out_number(out, "p90_error_ratio", round6(group->p90));
    out_number(out, "within_20_percent_ratio", round6(group->within_20));
    out_number(out, "within_30_percent_ratio", round6(group->within_30));
    out_number(out, "interval_coverage_ratio", round6(group->covered));
    out_number(out, "median_half_width_ratio", round6(group->half_width));
    out_number(out, "median_log_bias", round6(group->bias));
    out_object_end(out);
}

static void out_files(struct out *out, const struct report *report)
{
    out_array(out, "files");
    for (size_t i = 0; i < report->file_count; i++) {
        out_object(out, NULL);
        out_text(out, "file", report->files[i].name);
        out_integer(out, "rows", (int64_t)report->files[i].rows);
        out_object_end(out);
    }
    out_array_end(out);
}

static void out_refusals(struct out *out, const struct refusals *refusals)
{
    out_array(out, "refused");
    for (size_t i = 0; i < refusals->count; i++) {
        out_object(out, NULL);
        out_text(out, "reason", refusals->items[i].reason);
        out_integer(out, "rows", (int64_t)refusals->items[i].rows);
        out_integer(out, "figures", (int64_t)refusals->items[i].figures);
        out_object_end(out);
    }
    out_array_end(out);
}

void report_json(const struct report *report, struct out *out)
{
    out_object(out, NULL);
    out_files(out, report);
    out_integer(out, "figures", (int64_t)report->scores->count);
    out_integer(out, "scored", (int64_t)scored_count(report->scores));
    out_array(out, "groupings");
    for (size_t i = 0; i < report->grouping_count; i++) {
        out_object(out, NULL);
        out_text(out, "by", report->groupings[i].name);
        out_array(out, "groups");
        for (size_t g = 0; g < report->groups[i].count; g++)
            out_group(out, &report->groups[i].items[g]);
        out_array_end(out);
        out_object_end(out);
    }
    out_array_end(out);
    out_refusals(out, report->refusals);
    out_object_end(out);
}

/* --- lines --- */

static const char *number_text(double value, char room[NUMBER_TEXT_BYTES])
{
    if (!is_known(value)) return "";
    (void)text_format_double(value, room);
    return room;
}

const char *report_line(const struct score *score, bool header, struct arena *arena)
{
    char measured[NUMBER_TEXT_BYTES], value[NUMBER_TEXT_BYTES], low[NUMBER_TEXT_BYTES], high[NUMBER_TEXT_BYTES],
        error[NUMBER_TEXT_BYTES];
    const struct predicted predicted = score->reason ? PREDICTED_UNKNOWN : score->predicted;
    const struct csv_cell cells[] = {
        {"uid", score->run->uid},
        {"metric", score->metric < METRIC_COUNT ? metric_names[score->metric] : ""},
        {"measured", number_text(score->measured, measured)},
        {"predicted", number_text(predicted.value, value)},
        {"low", number_text(predicted.low, low)},
        {"high", number_text(predicted.high, high)},
        {"basis", score->reason ? "" : basis_name(predicted.basis)},
        {"ape", number_text(score->error_ratio, error)},
        {"reason", score->reason ? score->reason : ""},
    };
    return csv_text(cells, sizeof cells / sizeof *cells, header, arena);
}
