/* report.c owns the way from the text of a report to calibrations: its members, whose GPU it is of, its figures. */
#include "calibrate/report.h"

#include "calibrate/judge.h"

#include "catalog/csv.h"
#include "catalog/load.h"
#include "catalog/name.h"
#include "catalog/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A report with its samples has two values for each; one of 8 GPUs has about 100,000. */
enum { VALUES_MAX = 300000, POOL_MAX_BYTES = 200 };

#define SCHEMA "calibration/1"

struct report_reading {
    struct reading reading;
    const struct snapshot *catalog;
    const char *pool;
    date_t today, day;
    const char *started_at, *probe_version;
    double wall_seconds;
    struct report_entry *entries;
    size_t entry_count;
    struct report_left_out *left_out;
    size_t left_out_count;
};

/* --- the head --- */

enum status report_check_pool(const char *pool, const char *field, struct problems *problems)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    size_t length = strlen(pool);
    if (length == 0 || length > POOL_MAX_BYTES || strspn(pool, allowed) != length)
        return problems_add(problems, STATUS_INVALID_VALUE, field,
                            "a pool of machines has a name of 1 to %d letters, digits and . _ / -, such as \"own\"",
                            (int)POOL_MAX_BYTES);
    if (strcasecmp(pool, CALIBRATION_PUBLISHED) != 0) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, field,
                        "\"%s\" is what others measured: name the pool that these machines belong to", pool);
}

static void read_schema(struct report_reading *report, const json_t *root)
{
    const json_t *member = json_object_get(root, "schema");
    const char *schema = json_string_value(member);
    struct problems *problems = report->reading.problems;
    char shown[NAME_SHOWN_BYTES];
    if (!member)
        (void)problems_add(problems, STATUS_MISSING_FIELD, "schema", "is missing: send a report of gpusize-probe");
    else if (!schema)
        (void)problems_add(problems, STATUS_WRONG_TYPE, "schema", "must be \"" SCHEMA "\"");
    else if (strcmp(schema, SCHEMA) != 0)
        (void)problems_add(problems, STATUS_INVALID_VALUE, "schema", "is \"%s\", and this program reads \"" SCHEMA "\"",
                           name_shown(schema, shown));
}

/* A moment in UTC, to the second or finer. */
static bool parse_time(const char *text, date_t *ret_day)
{
    char day[DATE_TEXT_BYTES];
    static const char form[] = "0000-00-00T00:00:00";
    size_t length = strlen(text);
    if (length < sizeof form || length > 40 || text[length - 1] != 'Z') return false;
    for (size_t i = 0; i < sizeof form - 1; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '0' ? !digit : text[i] != form[i]) return false;
    }
    const char *rest = text + sizeof form - 1;
    if (*rest == '.') rest += 1 + strspn(rest + 1, "0123456789");
    (void)snprintf(day, sizeof day, "%.10s", text);
    return strcmp(rest, "Z") == 0 && strncmp(text + 11, "24", 2) < 0 && text[14] < '6' && text[17] <= '6' &&
           date_parse(day, ret_day);
}

static void read_start(struct report_reading *report, const json_t *root)
{
    struct problems *problems = report->reading.problems;
    char shown[NAME_SHOWN_BYTES];
    report->started_at = read_text(&report->reading, root, "", "started_at", 40);
    if (!report->started_at) return;
    if (!*report->started_at)
        (void)problems_add(problems, STATUS_MISSING_FIELD, "started_at", "say when it was measured");
    else if (!parse_time(report->started_at, &report->day))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "started_at",
                           "\"%s\" is no time in UTC such as 2026-11-28T18:00:00Z",
                           name_shown(report->started_at, shown));
    else if (report->day.days > report->today.days + 1) /* clocks of hosts may be a little fast */
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "started_at", "%s lies in the future", report->started_at);
}

static void read_kind(struct report_reading *report, const json_t *root)
{
    const char *kind = read_text(&report->reading, root, "", "device_kind", 40);
    char shown[NAME_SHOWN_BYTES];
    if (!kind || strcmp(kind, "cuda") == 0) return;
    if (strcmp(kind, "cpu") == 0)
        (void)problems_add(report->reading.problems, STATUS_INVALID_VALUE, "device_kind",
                           "this report is of a CPU: nothing that answers use");
    else if (!*kind)
        (void)problems_add(report->reading.problems, STATUS_MISSING_FIELD, "device_kind",
                           "say what was measured: cuda");
    else
        (void)problems_add(report->reading.problems, STATUS_INVALID_VALUE, "device_kind",
                           "\"%s\" is no kind of device that answers use: cuda is", name_shown(kind, shown));
}

static void read_head(struct report_reading *report, const json_t *root)
{
    struct reading *reading = &report->reading;
    read_schema(report, root);
    if (problems_status(reading->problems) != STATUS_OK) return; /* another schema may have other members */
    read_kind(report, root);
    read_start(report, root);
    report->wall_seconds = read_number(reading, root, "", "wall_seconds", 0, 1e7);
    report->probe_version = read_text(reading, read_object(reading, root, "", "probe"), "probe", "version", 100);
}

/* --- whose GPU --- */

static bool is_slice(const json_t *device, const char *model)
{
    const json_t *mig = json_object_get(device, "mig");
    bool said = mig && !json_is_null(mig) && !json_is_false(mig) && !(json_is_string(mig) && !*json_string_value(mig));
    return said || strstr(model, " MIG ") != NULL;
}

/* How far the memory is from what programs see of that GPU: 0 is the same; UNKNOWN if either is. */
static double memory_distance(const struct gpu *gpu, double total_bytes)
{
    return fabs(log(total_bytes / (gpu->memory_cuda_mib * MIB)));
}

/* By the name that nvidia-smi prints; of several parts of one name the one whose memory is nearest. */
static const struct gpu *find_gpu(struct report_reading *report, const char *path, const char *model,
                                  double total_bytes)
{
    const struct snapshot *catalog = report->catalog;
    const struct gpu *found = NULL;
    char *plain = arena_strdup(report->reading.arena, model), *slice = plain ? strstr(plain, " MIG ") : NULL;
    if (!plain) return NULL;
    if (slice) *slice = '\0';
    for (size_t i = 0; i < catalog->alias_count; i++) {
        const struct alias *alias = &catalog->aliases[i];
        if (alias->kind != ALIAS_GPU || alias->space != ALIAS_NVIDIA_SMI || name_compare(alias->name, plain) != 0)
            continue;
        const struct gpu *gpu = &catalog->gpus[alias->target];
        if (!found || memory_distance(gpu, total_bytes) < memory_distance(found, total_bytes)) found = gpu;
    }
    if (found) return found;
    (void)!snapshot_find_gpu(catalog, ALIAS_USER, plain, path_of(&report->reading, path, "model"),
                             report->reading.problems, &found);
    return found;
}

/* --- one device --- */

static const char *hash_id(struct report_reading *report, const struct report_entry *entry, const char *pci,
                           size_t index)
{
    struct arena *arena = report->reading.arena;
    struct calibration figures = entry->calibration;
    size_t count = 0;
    char hash[HASH_TEXT_BYTES];
    figures.id = figures.pool = figures.source = "";
    figures.state = CALIBRATION_USED;
    const struct csv_cell *cells = catalog_calibration_cells(&figures, arena, &count);
    const char *row = cells ? csv_text(cells, count, false, arena) : NULL;
    char clock[NUMBER_TEXT_BYTES];
    (void)text_format_double(entry->sm_clock_max_mhz, clock);
    const char *whole = row ? arena_printf(arena, "%s%s\n%s\n%s\n%zu\n%s\n", row, entry->calibration.started_at,
                                           entry->device_key, pci, index, clock)
                            : NULL;
    if (!whole) return NULL;
    text_hash(whole, strlen(whole), hash);
    return arena_strndup(arena, hash, REPORT_ID_DIGITS);
}

static const char *write_source(const struct report_reading *report, const json_t *device, const char *reason)
{
    struct arena *arena = report->reading.arena;
    const json_t *ecc = json_object_get(device, "ecc");
    const char *version = report->probe_version && *report->probe_version ? report->probe_version : "of no version";
    const char *text = arena_printf(arena, "gpusize-probe %s", version);
    if (text && is_known(report->wall_seconds)) text = arena_printf(arena, "%s, %.1f s", text, report->wall_seconds);
    if (text && json_is_boolean(ecc)) text = arena_printf(arena, "%s, ECC %s", text, json_is_true(ecc) ? "on" : "off");
    return text && *reason ? arena_printf(arena, "%s; suspect: %s", text, reason) : text;
}

static void leave_out(struct report_reading *report, const char *model, const char *path, const json_t *item)
{
    const char *reason = figures_why_none(item);
    report->left_out[report->left_out_count++] = (struct report_left_out){*model ? model : path, reason};
}

/* Everything that the device is, besides its figures. */
static struct report_entry read_device(struct report_reading *report, const char *path, const json_t *device)
{
    struct reading *reading = &report->reading;
    struct report_entry entry;
    const char *key = read_text(reading, device, path, "key", 64),
               *driver = read_text(reading, device, path, "driver", 100);
    entry.device_key = key ? key : "";
    entry.calibration = calibration_empty();
    entry.calibration.started_at = report->started_at ? report->started_at : "";
    entry.calibration.driver = driver ? driver : "";
    entry.calibration.pool = report->pool;
    entry.calibration.as_of = report->day;
    entry.sm_clock_max_mhz = read_number(reading, device, path, "sm_clock_max_mhz", 1, 1e5);
    return entry;
}

static void take_device(struct report_reading *report, const json_t *item, size_t index)
{
    struct reading *reading = &report->reading;
    const char *path = arena_printf(reading->arena, "devices[%zu]", index);
    const char *device_path = path ? path_of(reading, path, "device") : NULL;
    if (!path || !device_path) return;
    if (!json_is_object(item)) {
        (void)problems_add(reading->problems, STATUS_WRONG_TYPE, path, "must be an object");
        return;
    }
    const json_t *device = read_object(reading, item, path, "device");
    const char *model = read_text(reading, device, device_path, "model", 200);
    const char *pci = read_text(reading, device, device_path, "pci_bus_id", 64);
    double total_bytes = read_number(reading, device, device_path, "memory_total_bytes", 0, 1e15);
    struct report_entry entry = read_device(report, device_path, device);
    uint32_t figures = figures_read(reading, path, item, &entry.calibration);
    if (!model) return; /* told */
    if (!figures) {
        leave_out(report, model, path, item);
        return;
    }
    if (!*model) {
        (void)problems_add(reading->problems, STATUS_MISSING_FIELD, path_of(reading, device_path, "model"),
                           "say which GPU: the name that nvidia-smi prints");
        return;
    }
    entry.calibration.gpu = find_gpu(report, device_path, model, total_bytes);
    if (!entry.calibration.gpu) return;
    const struct judging judging = {
        .reading = reading,
        .path = path,
        .item = item,
        .usual = snapshot_find_pool(report->catalog, entry.calibration.gpu, CALIBRATION_PUBLISHED),
        .figures = figures,
        .slice = is_slice(device, model),
        .memory_distance = memory_distance(entry.calibration.gpu, total_bytes),
    };
    entry.calibration.reason = judge_calibration(&judging, &entry.calibration);
    if (*entry.calibration.reason) entry.calibration.state = CALIBRATION_SUSPECT;
    entry.calibration.id = hash_id(report, &entry, pci ? pci : "", index);
    entry.calibration.source = write_source(report, device, entry.calibration.reason);
    if (!entry.calibration.id || !entry.calibration.source)
        (void)problems_add(reading->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the report");
    else
        report->entries[report->entry_count++] = entry;
}

static void take_devices(struct report_reading *report, const json_t *root)
{
    struct problems *problems = report->reading.problems;
    const json_t *devices = json_object_get(root, "devices");
    size_t count = json_array_size(devices);
    if (!json_is_array(devices)) {
        (void)problems_add(problems, devices ? STATUS_WRONG_TYPE : STATUS_MISSING_FIELD, "devices",
                           "must be a list of what was measured");
        return;
    }
    if (count > REPORT_DEVICES_MAX) {
        (void)problems_add(problems, STATUS_OUT_OF_RANGE, "devices", "%zu are more than %d", count,
                           (int)REPORT_DEVICES_MAX);
        return;
    }
    report->entries = ARENA_ARRAY(report->reading.arena, count + 1, struct report_entry);
    report->left_out = ARENA_ARRAY(report->reading.arena, count + 1, struct report_left_out);
    if (!report->entries || !report->left_out) {
        (void)problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the report");
        return;
    }
    for (size_t i = 0; i < count; i++)
        take_device(report, json_array_get(devices, i), i);
    if (report->entry_count == 0 && problems->count == 0)
        (void)problems_add(problems, STATUS_INVALID_VALUE, "devices", "not one figure that answers use: %s",
                           report->left_out_count ? report->left_out[0].reason : figures_why_none(root));
}

static enum status read_report(struct report_reading *report, const char *text, size_t length)
{
    json_t *root = NULL;
    struct problems *problems = report->reading.problems;
    enum status status =
        json_read_long(report->reading.arena, text, length, "the report", VALUES_MAX, false, problems, &root);
    if (status != STATUS_OK) return status;
    read_head(report, root);
    const char *kind = json_string_value(json_object_get(root, "device_kind"));
    const char *schema = json_string_value(json_object_get(root, "schema"));
    if (schema && strcmp(schema, SCHEMA) == 0 && kind && strcmp(kind, "cuda") == 0) take_devices(report, root);
    json_decref(root);
    return problems_status(problems);
}

enum status report_read(const struct snapshot *catalog, const char *text, size_t length, const char *pool, date_t today,
                        struct arena *arena, struct problems *problems, struct report *ret_report)
{
    struct problems found; /* apart from what the caller has found before */
    problems_init(&found, arena);
    struct report_reading report = {.reading = {.arena = arena, .problems = &found},
                                    .catalog = catalog,
                                    .pool = pool,
                                    .today = today,
                                    .day = DATE_UNKNOWN};
    (void)!report_check_pool(pool, "pool", &found);
    if (length > REPORT_MAX_BYTES)
        (void)problems_add(&found, STATUS_BODY_TOO_LARGE, "", "a report has at most %d MiB", REPORT_MAX_BYTES >> 20);
    enum status status = problems_status(&found);
    if (status == STATUS_OK) status = read_report(&report, text, length);
    for (size_t i = 0; i < found.count; i++)
        (void)problems_add(problems, found.items[i].status, found.items[i].field, "%s", found.items[i].detail);
    problems->dropped += found.dropped;
    if (status != STATUS_OK) return status;
    *ret_report = (struct report){report.entries, report.entry_count, report.left_out, report.left_out_count};
    return STATUS_OK;
}

/* --- what becomes of them --- */

/* Whether the two are of the same GPU, as far as the reports tell. */
static bool same_device(const struct report_entry *a, const struct report_entry *b)
{
    bool keyed = *a->device_key && *b->device_key;
    return a->calibration.gpu == b->calibration.gpu && strcmp(a->calibration.pool, b->calibration.pool) == 0 &&
           (!keyed || strcmp(a->device_key, b->device_key) == 0);
}

static bool has_changed(const struct report_entry *a, const struct report_entry *b)
{
    const char *x = a->calibration.driver, *y = b->calibration.driver;
    return (*x && *y && strcmp(x, y) != 0) || fabs(a->sm_clock_max_mhz - b->sm_clock_max_mhz) > 0;
}

void report_retire(struct report_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count && entries[i].calibration.state != CALIBRATION_RETIRED; j++) {
            if (strcmp(entries[i].calibration.started_at, entries[j].calibration.started_at) < 0 &&
                same_device(&entries[i], &entries[j]) && has_changed(&entries[i], &entries[j]))
                entries[i].calibration.state = CALIBRATION_RETIRED;
        }
    }
}

const char *report_csv(const struct report_entry *entries, size_t count, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; text && i < count; i++) {
        size_t cell_count = 0;
        const struct calibration *calibration = &entries[i].calibration;
        const struct csv_cell *cells = catalog_calibration_cells(calibration, arena, &cell_count);
        struct csv_cell *all = cells ? ARENA_ARRAY(arena, cell_count + 2, struct csv_cell) : NULL;
        if (!all) return NULL;
        memcpy(all, cells, cell_count * sizeof *all);
        all[cell_count] = (struct csv_cell){"reason", calibration->reason};
        all[cell_count + 1] = (struct csv_cell){"started_at", calibration->started_at};
        const char *row = csv_text(all, cell_count + 2, i == 0, arena);
        text = row ? arena_printf(arena, "%s%s", text, row) : NULL;
    }
    return text;
}
