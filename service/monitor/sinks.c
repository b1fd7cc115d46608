/* sinks.c owns the ways out: a signed POST, a program, a batch for a service. */
#include "monitor/sinks.h"

#include "fetch/post.h"
#include "monitor/run_program.h"
#include "monitor/sample_json.h"
#include "wire/out.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ALERT_MAX_BYTES = 16 << 10,
    HEADER_BYTES = 256,
    HTTP_OK = 200,
    HTTP_REDIRECTS = 300,
    HTTP_REQUEST_TIMEOUT = 408,
    HTTP_TOO_MANY_REQUESTS = 429,
    HTTP_SERVER_ERROR = 500,
    ALERT_TRIES = 8, /* with pauses of 0.5 … 60 s: about two minutes */
    PAUSE_MIN_MS = 500,
    PAUSE_MAX_MS = 60000,
    DRAIN_MS = 3000,
};

struct sinks {
    struct sink_settings settings;
    char *report_url;
    struct outbox *outboxes[SINKS];
};

const char *sink_name(enum sink sink)
{
    static const char *const names[SINKS] = {"webhook", "exec", "report"};
    return names[sink];
}

/* --- webhook --- */

static enum outbox_result result_of(int http_status, char why[], size_t why_bytes)
{
    if (http_status >= HTTP_OK && http_status < HTTP_REDIRECTS) return OUTBOX_SENT;
    if (http_status) (void)snprintf(why, why_bytes, "the server answers %d", http_status);
    return http_status == 0 || http_status == HTTP_REQUEST_TIMEOUT || http_status == HTTP_TOO_MANY_REQUESTS ||
                   http_status >= HTTP_SERVER_ERROR
               ? OUTBOX_AGAIN
               : OUTBOX_REFUSED;
}

/* "X-Gpusize-Signature: sha256=…" of "<timestamp>.<body>". */
static void sign(const char *secret, const char *timestamp, const struct outbox_text *body,
                 char ret_header[HEADER_BYTES])
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[sizeof mac * 2 + 1];
    crypto_auth_hmacsha256_state state;
    (void)crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)timestamp, strlen(timestamp));
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    (void)crypto_auth_hmacsha256_update(&state, (const unsigned char *)body->bytes, body->length);
    (void)crypto_auth_hmacsha256_final(&state, mac);
    (void)snprintf(ret_header, HEADER_BYTES, "X-Gpusize-Signature: sha256=%s",
                   sodium_bin2hex(hex, sizeof hex, mac, sizeof mac));
}

static enum outbox_result send_webhook(void *data, const struct outbox_text *texts, size_t count,
                                       const atomic_bool *stop, char why[], size_t why_bytes)
{
    const struct sinks *sinks = data;
    char timestamp[24], time_header[HEADER_BYTES], signature[HEADER_BYTES] = "";
    (void)count; /* 1 */
    (void)snprintf(timestamp, sizeof timestamp, "%lld", (long long)time(NULL));
    (void)snprintf(time_header, sizeof time_header, "X-Gpusize-Timestamp: %s", timestamp);
    if (*sinks->settings.webhook_secret) sign(sinks->settings.webhook_secret, timestamp, texts, signature);
    const char *const headers[] = {time_header, *signature ? signature : NULL, NULL};
    const struct post post = {.url = sinks->settings.webhook,
                              .content_type = "application/json",
                              .headers = headers,
                              .body = texts->bytes,
                              .length = texts->length,
                              .timeout_s = sinks->settings.timeout_s,
                              .stop = stop};
    return result_of(post_send(&post, why, why_bytes), why, why_bytes);
}

/* --- program --- */

static enum outbox_result send_exec(void *data, const struct outbox_text *texts, size_t count, const atomic_bool *stop,
                                    char why[], size_t why_bytes)
{
    const struct sinks *sinks = data;
    (void)count; /* 1 */
    const struct program program = {.arguments = sinks->settings.exec,
                                    .input = texts->bytes,
                                    .input_length = texts->length,
                                    .timeout_s = sinks->settings.timeout_s,
                                    .stop = stop};
    return run_program(&program, why, why_bytes) ? OUTBOX_SENT : OUTBOX_REFUSED;
}

/* --- service --- */

static void write_batch(struct out *out, const char *host, const struct outbox_text *texts, size_t count)
{
    out_object(out, NULL);
    out_text(out, "schema", SAMPLE_SCHEMA);
    out_text(out, "host", host);
    out_array(out, "samples");
    for (size_t i = 0; i < count; i++) {
        if (i) out_raw(out, ",", 1);
        out_raw(out, texts[i].bytes, texts[i].length);
    }
    out_array_end(out);
    out_object_end(out);
}

/* What would help goes to the log: the samples of a refused batch are lost. */
static enum outbox_result report_result_of(int http_status, char why[], size_t why_bytes)
{
    static const struct {
        int http_status;
        const char *hint;
    } hints[] = {{401, "a key is wanted: --report-key-file"},
                 {403, "the key may not report: a writer's is wanted"},
                 {404, "is it a gpusize service that takes samples?"},
                 {405, "is it a gpusize service that takes samples?"}};
    const enum outbox_result result = result_of(http_status, why, why_bytes);
    for (size_t i = 0; i < sizeof hints / sizeof *hints; i++) {
        const size_t said = strlen(why);
        if (hints[i].http_status == http_status) (void)snprintf(why + said, why_bytes - said, "; %s", hints[i].hint);
    }
    return result;
}

static enum outbox_result send_report(void *data, const struct outbox_text *texts, size_t count,
                                      const atomic_bool *stop, char why[], size_t why_bytes)
{
    const struct sinks *sinks = data;
    char authorization[HEADER_BYTES];
    struct out body;
    (void)snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", sinks->settings.report_key);
    out_init(&body, 0);
    write_batch(&body, sinks->settings.host, texts, count);
    const char *const headers[] = {*sinks->settings.report_key ? authorization : NULL, NULL};
    const struct post post = {.url = sinks->report_url,
                              .content_type = "application/json",
                              .headers = headers,
                              .body = body.data,
                              .length = body.length,
                              .timeout_s = sinks->settings.timeout_s,
                              .stop = stop};
    enum outbox_result result = OUTBOX_AGAIN;
    if (body.failed)
        (void)snprintf(why, why_bytes, "no memory for the batch");
    else if (sinks->settings.take)
        result = sinks->settings.take(sinks->settings.data, body.data, body.length, why, why_bytes);
    else
        result = report_result_of(post_send(&post, why, why_bytes), why, why_bytes);
    out_done(&body);
    return result;
}

/* --- all --- */

/* "https://gpus.example/" has it as "https://gpus.example/v1/monitor/samples". */
static char *report_url(const char *base)
{
    static const char path[] = "/v1/monitor/samples";
    size_t length = strlen(base);
    while (length > 0 && base[length - 1] == '/')
        length--;
    char *url = malloc(length + sizeof path);
    if (url) (void)snprintf(url, length + sizeof path, "%.*s%s", (int)length, base, path);
    return url;
}

enum status sinks_check(const struct sink_settings *settings, struct problems *problems)
{
    if (*settings->webhook) (void)!post_check_url(settings->webhook, "alert_webhook", problems);
    if (*settings->report_to) (void)!post_check_url(settings->report_to, "report_to", problems);
    if (strpbrk(settings->report_to, "?#"))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "report_to",
                           "is the address of a service alone, such as https://gpus.example.org");
    if (settings->exec && !run_program_exists(settings->exec[0]))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "alert_exec",
                           "%s is no program that may be run: a path or a name in PATH is wanted, such as "
                           "/usr/local/bin/page",
                           settings->exec[0]);
    if (strlen(settings->report_key) > HEADER_BYTES / 2 || strpbrk(settings->report_key, "\r\n"))
        (void)problems_add(problems, STATUS_INVALID_VALUE, "report_key_file", "holds no key");
    return problems_status(problems);
}

static enum status open_outbox(struct sinks *sinks, enum sink sink, bool wanted, const struct outbox_settings *own,
                               struct problems *problems)
{
    if (!wanted) return STATUS_OK;
    struct outbox_settings settings = *own;
    settings.name = sink_name(sink);
    settings.pause_min_ms = PAUSE_MIN_MS;
    settings.pause_max_ms = PAUSE_MAX_MS;
    settings.drain_ms = DRAIN_MS;
    settings.data = sinks;
    settings.report = sinks->settings.report;
    return outbox_new(&settings, problems, &sinks->outboxes[sink]);
}

enum status sinks_new(const struct sink_settings *settings, struct problems *problems, struct sinks **ret_sinks)
{
    enum status status = sinks_check(settings, problems);
    if (status != STATUS_OK) return status;
    struct sinks *sinks = calloc(1, sizeof *sinks);
    if (sinks) sinks->report_url = report_url(settings->report_to);
    if (!sinks || !sinks->report_url || sodium_init() < 0) {
        sinks_free(sinks);
        return problems_add(problems, STATUS_OUT_OF_MEMORY, "", "no memory for the sinks");
    }
    sinks->settings = *settings;
    const struct outbox_settings webhook = {
        .queue_max = settings->queue_max, .batch_max = 1, .tries_max = ALERT_TRIES, .send = send_webhook};
    const struct outbox_settings exec = {
        .queue_max = settings->queue_max, .batch_max = 1, .tries_max = 1, .send = send_exec};
    const struct outbox_settings report = {.queue_max = settings->samples_max,
                                           .batch_max = OUTBOX_BATCH_MAX,
                                           .gather_ms = (unsigned)(settings->report_interval_s * MS_PER_S),
                                           .send = send_report};
    status = open_outbox(sinks, SINK_WEBHOOK, *settings->webhook, &webhook, problems);
    if (status == STATUS_OK) status = open_outbox(sinks, SINK_EXEC, settings->exec, &exec, problems);
    if (status == STATUS_OK)
        status = open_outbox(sinks, SINK_REPORT, *settings->report_to || settings->take, &report, problems);
    if (status == STATUS_OK)
        *ret_sinks = sinks;
    else
        sinks_free(sinks);
    return status;
}

void sinks_free(struct sinks *sinks)
{
    if (!sinks) return;
    for (size_t i = 0; i < SINKS; i++)
        outbox_free(sinks->outboxes[i]);
    free(sinks->report_url);
    free(sinks);
}

void sinks_alert(struct sinks *sinks, const struct alert *alert)
{
    struct out out;
    out_init(&out, ALERT_MAX_BYTES);
    alert_write(&out, NULL, alert);
    if (!out.failed && sinks->outboxes[SINK_WEBHOOK]) outbox_add(sinks->outboxes[SINK_WEBHOOK], out.data, out.length);
    if (!out.failed && sinks->outboxes[SINK_EXEC]) outbox_add(sinks->outboxes[SINK_EXEC], out.data, out.length);
    out_raw(&out, "", 1);
    if (!out.failed && sinks->settings.log && sinks->settings.report) sinks->settings.report(out.data);
    out_done(&out);
}

void sinks_sample(struct sinks *sinks, const struct sample *sample)
{
    struct out out;
    if (!sinks->outboxes[SINK_REPORT]) return;
    out_init(&out, SAMPLES_MAX_BYTES / OUTBOX_BATCH_MAX); /* so that a whole batch fits */
    sample_write(&out, NULL, sample, true);
    if (out.failed) { /* a thousand processes: without them */
        out_done(&out);
        out_init(&out, SAMPLES_MAX_BYTES / OUTBOX_BATCH_MAX);
        sample_write(&out, NULL, sample, false);
    }
    if (!out.failed) outbox_add(sinks->outboxes[SINK_REPORT], out.data, out.length);
    out_done(&out);
}

bool sinks_count(struct sinks *sinks, enum sink sink, struct outbox_counts *ret_counts)
{
    if (!sinks->outboxes[sink]) return false;
    *ret_counts = outbox_count(sinks->outboxes[sink]);
    return true;
}
