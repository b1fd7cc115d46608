/* fetch.c owns libcurl: one transfer with its limits, what its end means, and when it is tried again. */
#include "fetch/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    TRIES_MAX = 4,
    BACKOFF_MS = 250, /* before the second try; doubled each time */
    RETRY_AFTER_MAX_S = 120,
    CONNECT_TIMEOUT_S = 15,
    RATE_MIN_BYTES_PER_S = 1024,
    REDIRECTS_MAX = 5,
    HTTP_TOO_MANY_REQUESTS = 429,
    HTTP_SERVER_ERROR = 500,
};

/* Why the file was not written to. */
enum refusal { REFUSED_NOT, REFUSED_SIZE, REFUSED_DISK };

struct fetch {
    struct fetch_options options;
    CURL *curl;
    FILE *file;
    int64_t kept_bytes; /* of earlier transfers */
    int64_t bytes;      /* of this one, unpacked */
    enum refusal refusal;
    bool framed; /* the reply says how long it is, so that a cut shows */
    char detail[CURL_ERROR_SIZE];
};

/* --- URLs --- */

static char *url_part(const char *url, CURLUPart part)
{
    CURLU *parsed = curl_url();
    char *text = NULL;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
        (void)curl_url_get(parsed, part, &text, part == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0);
    curl_url_cleanup(parsed);
    return text;
}

bool fetch_same_origin(const char *a, const char *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    bool same = true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *left = url_part(a, parts[i]), *right = url_part(b, parts[i]);
        same = same && left && right && strcasecmp(left, right) == 0;
        curl_free(left);
        curl_free(right);
    }
    return same;
}

const char *fetch_shown_url(struct arena *arena, const char *url)
{
    return arena_strndup(arena, url, strcspn(url, "?#"));
}

static enum status check_url(const char *url, struct problems *problems)
{
    char *scheme = url_part(url, CURLUPART_SCHEME), *user = url_part(url, CURLUPART_USER);
    bool web = scheme && (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
    enum status status = STATUS_OK;
    if (user)
        status =
            problems_add(problems, STATUS_INVALID_VALUE, "url", "a user or password in it would be kept and shown");
    else if (!web)
        status = problems_add(problems, STATUS_INVALID_VALUE, "url", "it is no URL of http or https");
    curl_free(scheme);
    curl_free(user);
    return status;
}

/* --- what libcurl calls --- */

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    int64_t length = (int64_t)(size * count);
    if (fetch->kept_bytes + fetch->bytes + length > fetch->options.size_max_bytes)
        fetch->refusal = REFUSED_SIZE;
    else if (fwrite(bytes, 1, (size_t)length, fetch->file) != (size_t)length)
        fetch->refusal = REFUSED_DISK;
    if (fetch->refusal != REFUSED_NOT) return 0;
    fetch->bytes += length;
    return (size_t)length;
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    static const char *const framing[] = {"content-length:", "transfer-encoding:"};
    struct fetch *fetch = context;
    size_t length = size * count;
    if (length > 6 && strncasecmp(line, "http/", 5) == 0) fetch->framed = line[5] != '1'; /* later ones frame all */
    for (size_t i = 0; i < sizeof framing / sizeof *framing; i++) {
        size_t name = strlen(framing[i]);
        if (length > name && strncasecmp(line, framing[i], name) == 0) fetch->framed = true;
    }
    return length;
}

static int show_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t upload_total, curl_off_t upload)
{
    const struct fetch *fetch = context;
    (void)upload_total, (void)upload;
    fetch->options.progress(fetch->options.context, now, total);
    return 0;
}

/* --- one transfer --- */

static bool set_options(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    const struct fetch_options *options = &fetch->options;
    const CURLcode codes[] = {
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L),
        curl_easy_setopt(curl, CURLOPT_USERAGENT, "gpusize/" GPUSIZE_VERSION),
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https"),
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L),
        curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX),
        curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L),
        curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, ""), /* all that it can unpack */
        curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S),
        curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)options->timeout_s),
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)RATE_MIN_BYTES_PER_S),
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)options->stall_s),
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, fetch->detail),
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes),
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch),
        curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header),
        curl_easy_setopt(curl, CURLOPT_HEADERDATA, fetch),
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, show_progress),
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, fetch),
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, options->progress ? 0L : 1L),
    };
    bool set = true;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        set = set && codes[i] == CURLE_OK;
    return set;
}

/* How a transfer ended. */
struct ending {
    CURLcode code;
    long http_status;
    curl_off_t retry_after_s;
    const char *content_type; /* borrowed from the handle; "" if none */
};

static struct ending transfer(struct fetch *fetch, const char *url)
{
    struct ending ending = {.code = CURLE_OUT_OF_MEMORY, .content_type = ""};
    const char *type = NULL;
    bool secure = strncasecmp(url, "https:", sizeof "https:" - 1) == 0;
    fetch->bytes = 0;
    fetch->refusal = REFUSED_NOT;
    fetch->framed = false;
    fetch->detail[0] = '\0';
    if (curl_easy_setopt(fetch->curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(fetch->curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") != CURLE_OK)
        return ending;
    curl_off_t connected_us = 0;
    ending.code = curl_easy_perform(fetch->curl);
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (ending.code == CURLE_OPERATION_TIMEDOUT && connected_us == 0) ending.code = CURLE_COULDNT_CONNECT;
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_RESPONSE_CODE, &ending.http_status);
    (void)curl_easy_getinfo(fetch->curl, CURLINFO_RETRY_AFTER, &ending.retry_after_s);
    if (curl_easy_getinfo(fetch->curl, CURLINFO_CONTENT_TYPE, &type) == CURLE_OK && type) ending.content_type = type;
    return ending;
}

/* --- what the end means --- */

static const struct {
    CURLcode code;
    bool again;         /* it may go better in a moment */
    const char *detail; /* NULL: as libcurl says it */
} endings[] = {
    {CURLE_COULDNT_RESOLVE_HOST, true, NULL},
    {CURLE_COULDNT_CONNECT, true, NULL},
    {CURLE_SEND_ERROR, true, NULL},
    {CURLE_RECV_ERROR, true, NULL},
    {CURLE_GOT_NOTHING, true, "the server closed the connection without a reply"},
    {CURLE_PARTIAL_FILE, true, "it was cut off: less came than was announced"},
    {CURLE_OPERATION_TIMEDOUT, false, NULL},                             /* a limit that the caller has set */
    {CURLE_TOO_MANY_REDIRECTS, false, "it redirects more than 5 times"}, /* REDIRECTS_MAX */
    {CURLE_BAD_CONTENT_ENCODING, false, "it cannot be unpacked"},
    {CURLE_UNSUPPORTED_PROTOCOL, false, "it redirects to what is not http or https, or from https to http"},
};

static bool is_busy(const struct ending *ending)
{
    return ending->code == CURLE_HTTP_RETURNED_ERROR &&
           (ending->http_status == HTTP_TOO_MANY_REQUESTS || ending->http_status >= HTTP_SERVER_ERROR);
}

static bool may_try_again(const struct ending *ending)
{
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (endings[i].code == ending->code) return endings[i].again;
    }
    return is_busy(ending) && ending->retry_after_s <= RETRY_AFTER_MAX_S;
}

static const char *detail_of(const struct fetch *fetch, const struct ending *ending)
{
    static const char *const refusals[] = {[REFUSED_SIZE] = "it is larger than the limit",
                                           [REFUSED_DISK] = "the temporary file cannot be written: is the disk full?"};
    if (fetch->refusal != REFUSED_NOT) return refusals[fetch->refusal];
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (endings[i].code == ending->code && endings[i].detail) return endings[i].detail;
    }
    return *fetch->detail ? fetch->detail : curl_easy_strerror(ending->code);
}

static enum status explain(struct fetch *fetch, const char *url, const struct ending *ending, struct problems *problems)
{
    static const char page[] = "text/html";
    const char *shown = fetch_shown_url(problems->arena, url);
    if (!shown) shown = "";
    if (ending->code == CURLE_OUT_OF_MEMORY)
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the download");
    if (is_busy(ending) && ending->retry_after_s > RETRY_AFTER_MAX_S)
        return problems_add(problems, STATUS_IO, "url", "%s: the server is busy (%ld) and asks to come back in %lld s",
                            shown, ending->http_status, (long long)ending->retry_after_s);
    if (ending->code == CURLE_HTTP_RETURNED_ERROR)
        return problems_add(problems, STATUS_IO, "url", "%s: the server answers %ld", shown, ending->http_status);
    if (ending->code != CURLE_OK)
        return problems_add(problems, STATUS_IO, "url", "%s: %s", shown, detail_of(fetch, ending));
    if (strncasecmp(ending->content_type, page, sizeof page - 1) == 0)
        return problems_add(problems, STATUS_IO, "url", "%s: it is a web page (%s) and no price list", shown, page);
    if (!fetch->framed)
        return problems_add(problems, STATUS_IO, "url",
                            "%s: the server does not say how long it is, so that a cut would not be seen", shown);
    return STATUS_OK;
}

/* Later and later, and not all at one time: between a half and all of the pause. */
static void back_off(unsigned try, curl_off_t asked_s)
{
    struct timespec now;
    (void)timespec_get(&now, TIME_UTC);
    long most_ms = (long)BACKOFF_MS << try;
    long pause_ms = asked_s > 0 ? (long)asked_s * 1000 : most_ms / 2 + now.tv_nsec % (most_ms / 2);
    const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

enum status fetch_append(struct fetch *fetch, const char *url, FILE *file, struct problems *problems)
{
    struct ending ending;
    enum status status = check_url(url, problems);
    if (status != STATUS_OK) return status;
    const long start = ftell(file);
    fetch->file = file;
    for (unsigned try = 0;; try++) {
        if (start < 0 || fseek(file, start, SEEK_SET) != 0 || fflush(file) != 0 || ftruncate(fileno(file), start) != 0)
            return problems_add(problems, STATUS_IO, "url", "the temporary file cannot be written");
        ending = transfer(fetch, url);
        if (!may_try_again(&ending) || try + 1 == TRIES_MAX) break;
        back_off(try, ending.retry_after_s);
    }
    status = explain(fetch, url, &ending, problems);
    if (status == STATUS_OK && fflush(file) != 0)
        status = problems_add(problems, STATUS_IO, "url", "the temporary file cannot be written");
    if (status == STATUS_OK) fetch->kept_bytes += fetch->bytes;
    return status;
}

enum status fetch_open(const struct fetch_options *options, struct problems *problems, struct fetch **ret_fetch)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    bool global = fetch && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (global) {
        fetch->options = *options;
        fetch->curl = curl_easy_init();
        if (fetch->curl && set_options(fetch)) {
            *ret_fetch = fetch;
            return STATUS_OK;
        }
        fetch_close(fetch);
    } else {
        free(fetch);
    }
    return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for a download");
}

void fetch_close(struct fetch *fetch)
{
    if (!fetch) return;
    curl_easy_cleanup(fetch->curl);
    curl_global_cleanup();
    free(fetch);
}
