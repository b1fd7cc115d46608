/* sinks.h owns where alerts go: the log, a webhook, a program; and samples to a service. What and where is the
 * configuration's only: nothing here may come from a request.
 *
 * A webhook gets one alert as the body of a POST, application/json, with
 *   X-Gpusize-Timestamp: 1790000000
 *   X-Gpusize-Signature: sha256=<hex of HMAC-SHA256(secret, "<timestamp>.<body>")>     if there is a secret
 * and is tried again, later and later, on a failure of the connection, 408, 429 and 5xx. A program is started for each
 * alert, without a shell, with the alert on its standard input; an exit status other than 0 is a failure that is
 * reported and not tried again. */
#pragma once
#include "catalog/status.h"
#include "monitor/alert.h"
#include "monitor/outbox.h"

struct sink_settings {
    const char *host;           /* whose samples they are */
    bool log;                   /* one line of JSON for each alert, by `report` */
    const char *webhook;        /* URL of http or https; "" = none */
    const char *webhook_secret; /* "" = not signed */
    char *const *exec;          /* program and arguments, ended by NULL; NULL = none */
    const char *report_to;      /* the service whose /v1/monitor/samples gets the samples: "https://gpus.example"; "" */
    const char *report_key;     /* its key; "" = none */
    /* Takes a batch of samples, as it would be posted, where the service is in this process; NULL: it is not. */
    enum outbox_result (*take)(void *data, const char *batch, size_t length, char why[], size_t why_bytes);
    void *data;
    double timeout_s;         /* of one delivery */
    double report_interval_s; /* samples are gathered for so long before they are sent */
    size_t queue_max;         /* alerts that wait for a sink */
    size_t samples_max;       /* samples that wait for the service */
    void (*report)(const char *line);
};

/* Every bad setting is a problem. */
enum status sinks_check(const struct sink_settings *settings, struct problems *problems) MUST_CHECK;

struct sinks;
/* Texts of the settings are borrowed. Starts a thread for each sink: block signals before. */
enum status sinks_new(const struct sink_settings *settings, struct problems *problems,
                      struct sinks **ret_sinks) MUST_CHECK;
/* Both return at once. */
void sinks_alert(struct sinks *sinks, const struct alert *alert);
void sinks_sample(struct sinks *sinks, const struct sample *sample);
void sinks_free(struct sinks *sinks); /* accepts NULL */

enum sink { SINK_WEBHOOK, SINK_EXEC, SINK_REPORT, SINKS };
const char *sink_name(enum sink sink);
/* false: there is no such sink. */
bool sinks_count(struct sinks *sinks, enum sink sink, struct outbox_counts *ret_counts);
