/* reload.c owns the measurement of one reload of the catalog from a database, in its parts: asking for the version,
 * reading the tables, taking their CSV apart, and all of the way from these texts to a snapshot.
 * Usage: bench_reload URL [ROUNDS] */
#include "catalog/csv.h"
#include "catalog/text.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS_MAX = 1000 };
enum part { PART_VERSION, PART_QUERY, PART_CSV, PART_LOAD, PART_COUNT };

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare_doubles(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

/* Reads records only; the text is copied, as the reader changes it. */
static size_t count_records(const struct catalog_text *file)
{
    struct csv csv;
    size_t count = 0;
    char *text = malloc(file->length + 1);
    if (!text) return 0;
    memcpy(text, file->text, file->length);
    csv_init(&csv, text, file->length);
    while (csv_next(&csv) == CSV_RECORD)
        count++;
    free(text);
    return count;
}

static enum status reload(struct store *store, struct problems *problems, double ret_ms[PART_COUNT], size_t *ret_offers)
{
    struct arena arena;
    struct store_version version;
    struct catalog_text files[CATALOG_FILE_COUNT];
    struct snapshot *snapshot = NULL;
    double at[PART_COUNT + 1] = {now_ms()};
    arena_init(&arena, 0);
    enum status status = store_catalog_version(store, problems, &version);
    at[PART_VERSION + 1] = now_ms();
    if (status == STATUS_OK) status = store_catalog_read(store, -1, &arena, problems, files, &version);
    at[PART_QUERY + 1] = now_ms();
    for (size_t i = 0; i < CATALOG_FILE_COUNT && status == STATUS_OK; i++)
        (void)count_records(&files[i]);
    at[PART_CSV + 1] = now_ms();
    if (status == STATUS_OK) status = catalog_load(files, problems, &snapshot);
    at[PART_LOAD + 1] = now_ms();
    for (enum part part = 0; part < PART_COUNT; part++)
        ret_ms[part] = at[part + 1] - at[part];
    if (status == STATUS_OK) *ret_offers = snapshot->offer_count;
    snapshot_free(snapshot);
    arena_done(&arena);
    return status;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

int main(int argc, char **argv)
{
    static double times[PART_COUNT][ROUNDS_MAX];
    int64_t rounds = 20;
    size_t offers = 0;
    if (argc < 2 || (argc > 2 && (!text_parse_int64(argv[2], &rounds) || rounds < 1 || rounds > ROUNDS_MAX))) return 2;
    struct arena arena;
    struct problems problems;
    struct store *store = NULL;
    const struct store_options options = {.url = argv[1], .application_name = "bench_reload", .prepared = true};
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = store_open(&options, &problems, &store);
    for (int64_t round = 0; round < rounds && status == STATUS_OK; round++) {
        double ms[PART_COUNT] = {0};
        status = reload(store, &problems, ms, &offers);
        for (enum part part = 0; part < PART_COUNT; part++)
            times[part][round] = ms[part];
    }
    if (status == STATUS_OK)
        (void)printf("%zu %.2f %.2f %.2f %.2f\n", offers, median(times[PART_VERSION], (size_t)rounds),
                     median(times[PART_QUERY], (size_t)rounds), median(times[PART_CSV], (size_t)rounds),
                     median(times[PART_LOAD], (size_t)rounds));
    for (size_t i = 0; i < problems.count; i++)
        (void)fprintf(stderr, "%s\n", problems.items[i].detail);
    store_close(store);
    arena_done(&arena);
    return status == STATUS_OK ? 0 : 1;
}
