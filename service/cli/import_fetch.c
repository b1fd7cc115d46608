/* import_fetch.c owns the endpoints of price lists, and their download page by page. */
#include "cli/import_fetch.h"

#include "fetch/fetch.h"
#include "http/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGES_MAX = 20000, VERSION_BYTES = 64, PATH_BYTES = 4096 };

const struct field fetch_fields[FETCH_FIELDS] = {
    {.name = "url",
     .group = "",
     .kind = FIELD_LINE,
     .offset = offsetof(struct fetch_request, url),
     .preset = "where the kind is published",
     .help = "From where to download: a mirror, one region's file."},
    {.name = "size_max_mib",
     .group = "",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct fetch_request, size_max_mib),
     .min = 1,
     .max = 1 << 20,
     .unit = "MiB",
     .preset = "by kind",
     .help = "Larger downloads are given up."},
    {.name = "timeout_s",
     .group = "",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct fetch_request, timeout_s),
     .min = 1,
     .max = 86400,
     .unit = "seconds",
     .preset = "3600",
     .help = "Longer transfers are given up."},
    {.name = "stall_s",
     .group = "",
     .kind = FIELD_INTEGER,
     .offset = offsetof(struct fetch_request, stall_s),
     .min = 1,
     .max = 3600,
     .unit = "seconds",
     .preset = "30",
     .help = "Transfers below 1 KiB/s for so long are given up."},
};

/* Where the sources publish, and how much it may be at most. AWS's file of all regions has gigabytes. */
static const struct endpoint {
    const char *url;
    int64_t size_max_mib;
    bool paged;
} endpoints[IMPORT_FORMAT_COUNT] = {
    [IMPORT_SKYPILOT] = {"https://raw.githubusercontent.com/skypilot-org/skypilot-catalog/master/catalogs/v8/"
                         "{provider}/vms.csv",
                         256, false},
    [IMPORT_GPUHUNT] = {"https://dstack-gpu-pricing.s3.eu-west-1.amazonaws.com/v2/{version}/catalog.zip", 256, false},
    [IMPORT_AZURE_RETAIL] = {"https://prices.azure.com/api/retail/prices?$filter=serviceName%20eq%20%27Virtual%20"
                             "Machines%27%20and%20contains(armSkuName,%27Standard_N%27)",
                             4096, true},
    [IMPORT_AWS_PRICE_LIST] = {"https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/index.csv",
                               32768, false},
};

/* The URL with `value` in the place of {name}; a value that could leave its place is refused. */
static enum status fill_in(const char *url, const char *name, const char *value, struct arena *arena,
                           struct problems *problems, const char **ret_url)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *place = strstr(url, name);
    if (!place) return STATUS_OK;
    if (!*value || value[strspn(value, allowed)])
        return problems_add(problems, STATUS_INVALID_VALUE, "url",
                            "\"%.60s\" cannot stand for %s: only letters, digits, _ and - can", value, name);
    const char *filled = arena_printf(arena, "%.*s%s%s", (int)(place - url), url, value, place + strlen(name));
    if (!filled) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the URL");
    *ret_url = filled;
    return STATUS_OK;
}

enum status fetch_request_decode(const struct input *input, const struct import_request *import, struct arena *arena,
                                 struct problems *problems, struct fetch_request *ret_request)
{
    enum { SIZE_MAX_MIB = 256, TIMEOUT_S = 3600, STALL_S = 30 };
    const struct endpoint *endpoint = &endpoints[import->kind];
    struct fetch_request request = {.paged = endpoint->paged};
    enum status status = input_decode(input, arena, fetch_fields, FETCH_FIELDS, &request, problems);
    if (status != STATUS_OK) return status;
    if (!request.url) request.url = endpoint->url;
    if (request.size_max_mib == VALUE_ABSENT)
        request.size_max_mib = endpoint->size_max_mib ? endpoint->size_max_mib : SIZE_MAX_MIB;
    if (request.timeout_s == VALUE_ABSENT) request.timeout_s = TIMEOUT_S;
    if (request.stall_s == VALUE_ABSENT) request.stall_s = STALL_S;
    if (!request.url)
        return problems_add(problems, STATUS_MISSING_FIELD, "url", "%s is published nowhere: say from where",
                            import_format_names[import->kind]);
    status =
        fill_in(request.url, "{provider}", import->provider ? import->provider : "", arena, problems, &request.url);
    if (status == STATUS_OK) *ret_request = request;
    return status;
}

/* --- files without a name --- */

static enum status open_nameless(struct problems *problems, FILE **ret_file)
{
    const char *folder = getenv("TMPDIR");
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/gpusize-XXXXXX", folder && *folder ? folder : "/tmp");
    int descriptor = length > 0 && length < (int)sizeof path ? mkstemp(path) : -1;
    if (descriptor >= 0) (void)unlink(path);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "w+b") : NULL;
    if (file) {
        *ret_file = file;
        return STATUS_OK;
    }
    if (descriptor >= 0) (void)close(descriptor);
    return problems_add(problems, STATUS_IO, "TMPDIR", "no temporary file can be made in %s", folder ? folder : "/tmp");
}

/* --- progress --- */

/* For a terminal: "[#####     ] 12.0 of 24.1 MiB, 3.2 MiB/s". */
struct bar {
    uint64_t start_us;
    int64_t bytes; /* of the last line */
};

static void show_bar(void *context, int64_t bytes, int64_t total)
{
    enum { WIDTH = 24, STEP_BYTES = 1 << 18 };
    struct bar *bar = context;
    const uint64_t now_us = clock_now_us();
    if (bytes < bar->bytes || bytes == 0) *bar = (struct bar){.start_us = now_us};
    if (bytes == bar->bytes || (bytes - bar->bytes < STEP_BYTES && bytes != total)) return;
    double seconds = 1e-6 * (double)(now_us - bar->start_us);
    int filled = total > 0 ? (int)(WIDTH * bytes / total) : 0;
    double rate = seconds > 0 ? (double)bytes / MIB / seconds : 0;
    (void)fprintf(stderr, "\r[%.*s%*s] %.1f", filled, "########################", WIDTH - filled, "",
                  (double)bytes / MIB);
    if (total > 0) (void)fprintf(stderr, " of %.1f", (double)total / MIB);
    (void)fprintf(stderr, " MiB, %.1f MiB/s ", rate);
    bar->bytes = bytes;
}

static void wipe_bar(const struct bar *bar)
{
    if (bar->bytes) (void)fprintf(stderr, "\r%72s\r", "");
}

/* --- pages --- */

static enum status read_bytes(void *context, char *buffer, size_t size, size_t *ret_length)
{
    FILE *file = context;
    *ret_length = fread(buffer, 1, size, file);
    return ferror(file) ? STATUS_IO : STATUS_OK;
}

/* The address that the page from `start` on names; "" after the last. */
static enum status next_page(FILE *file, long start, struct problems *problems, char url[IMPORT_URL_BYTES])
{
    const struct import_source source = {.context = file, .read = read_bytes};
    if (fseek(file, start, SEEK_SET) != 0)
        return problems_add(problems, STATUS_IO, "url", "the temporary file cannot be read");
    enum status status = import_next_page(&source, problems, url);
    return status == STATUS_OK && fseek(file, 0, SEEK_END) != 0
               ? problems_add(problems, STATUS_IO, "url", "the temporary file cannot be read")
               : status;
}

/* Pages follow each other on one server only: a page must not send us elsewhere. */
static enum status fetch_pages(struct fetch *fetch, const char *first, FILE *file, struct problems *problems)
{
    char url[IMPORT_URL_BYTES], next[IMPORT_URL_BYTES] = "";
    (void)snprintf(url, sizeof url, "%s", first);
    for (unsigned page = 1; page <= PAGES_MAX; page++) {
        long start = ftell(file);
        enum status status = fetch_append(fetch, url, file, problems);
        if (status == STATUS_OK) status = next_page(file, start, problems, next);
        if (status != STATUS_OK || !*next) return status;
        const char *shown = fetch_shown_url(problems->arena, next);
        if (!fetch_same_origin(first, next) || strcmp(url, next) == 0)
            return problems_add(problems, STATUS_IO, "url",
                                "page %u names %s as the next one: not on the same server, "
                                "or itself",
                                page, shown ? shown : "another");
        memcpy(url, next, sizeof url);
    }
    return problems_add(problems, STATUS_IO, "url", "more than %d pages", PAGES_MAX);
}

/* --- versions --- */

/* Beside the folders of the versions, a file `version` holds the name of the newest. */
static enum status read_version(struct fetch *fetch, const struct fetch_request *request, struct problems *problems,
                                const char **ret_url)
{
    const char *place = strstr(request->url, "{version}");
    const char *url = arena_printf(problems->arena, "%.*sversion", (int)(place - request->url), request->url);
    if (!url) return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the URL");
    char version[VERSION_BYTES] = "";
    FILE *file = NULL;
    enum status status = open_nameless(problems, &file);
    if (status != STATUS_OK) return status;
    status = fetch_append(fetch, url, file, problems);
    rewind(file);
    if (status == STATUS_OK) version[fread(version, 1, sizeof version - 1, file)] = '\0';
    (void)fclose(file);
    version[strcspn(version, "\r\n")] = '\0';
    if (status != STATUS_OK) return status;
    return fill_in(request->url, "{version}", version, problems->arena, problems, ret_url);
}

static enum status fetch_all(struct fetch *fetch, const struct fetch_request *request, FILE *file,
                             struct problems *problems, const char **ret_url)
{
    enum status status = STATUS_OK;
    *ret_url = request->url;
    if (strstr(request->url, "{version}")) status = read_version(fetch, request, problems, ret_url);
    if (status != STATUS_OK) return status;
    return request->paged ? fetch_pages(fetch, *ret_url, file, problems)
                          : fetch_append(fetch, *ret_url, file, problems);
}

enum status import_fetch(const struct fetch_request *request, struct problems *problems, FILE **ret_file,
                         const char **ret_shown_url)
{
    struct bar bar = {.bytes = 0};
    struct fetch *fetch = NULL;
    FILE *file = NULL;
    const char *url = "";
    const struct fetch_options options = {
        .size_max_bytes = request->size_max_mib * (1 << 20),
        .timeout_s = request->timeout_s,
        .stall_s = request->stall_s,
        .progress = isatty(STDERR_FILENO) ? show_bar : NULL,
        .context = &bar,
    };
    enum status status = open_nameless(problems, &file);
    if (status == STATUS_OK) status = fetch_open(&options, problems, &fetch);
    if (status == STATUS_OK) status = fetch_all(fetch, request, file, problems, &url);
    wipe_bar(&bar);
    fetch_close(fetch);
    const char *shown = status == STATUS_OK ? fetch_shown_url(problems->arena, url) : NULL;
    if (status == STATUS_OK && !shown) status = problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory");
    if (status != STATUS_OK) {
        if (file) (void)fclose(file);
        return status;
    }
    rewind(file);
    *ret_file = file;
    *ret_shown_url = shown;
    return STATUS_OK;
}
