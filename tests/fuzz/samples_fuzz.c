/* samples_fuzz.c owns the fuzzing of what agents send: any bytes are samples that statistics and alerts can use, and
 * that are read again as they are written, or reasons. */
#include "fuzz.h"
#include "monitor/alert.h"
#include "monitor/sample_json.h"
#include "monitor/statistics.h"
#include "wire/out.h"

#include <assert.h>
#include <string.h>

static void pass_over(void *data, const struct alert *alert)
{
    (void)data;
    assert(alert->state == ALERT_FIRING || alert->state == ALERT_RESOLVED);
}

static void write_again(const struct sample *sample, struct arena *arena, struct problems *problems)
{
    struct out first, second;
    struct sample again;
    out_init(&first, 0);
    out_init(&second, 0);
    sample_write(&first, NULL, sample, true);
    enum status status = sample_read(first.data, first.length, sample->host, arena, problems, &again);
    assert(status == STATUS_OK);
    sample_write(&second, NULL, &again, true);
    assert(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    out_done(&first);
    out_done(&second);
}

static void use(const struct sample_batch *batch, struct arena *arena, struct problems *problems)
{
    struct alert_rule rules[ALERT_RULES];
    struct statistics statistics;
    struct out out;
    alert_rules(ALERT_RATIO_DEFAULT, ALERT_HYSTERESIS_DEFAULT, ALERT_TEMPERATURE_DEFAULT_C, 1, rules);
    struct alert_set *alerts = alert_set_new(rules, ALERT_RULES);
    struct history *history = history_new(4);
    for (size_t i = 0; i < batch->count; i++) {
        write_again(&batch->samples[i], arena, problems);
        assert(history_add(history, &batch->samples[i]) &&
               alert_set_update(alerts, &batch->samples[i], pass_over, NULL));
    }
    enum status status = statistics_compute(history, WINDOW_MINUTES_DEFAULT, arena, &statistics);
    assert(status == STATUS_OK && statistics.sample_count > 0);
    out_init(&out, 0);
    statistics_write(&out, NULL, &statistics);
    assert(!out.failed);
    out_done(&out);
    alert_set_free(alerts);
    history_free(history);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct sample_batch batch;
    arena_init(&arena, 0);
    problems_init(&problems, &arena);
    enum status status = sample_batch_read((const char *)data, size, &arena, &problems, &batch);
    assert((status == STATUS_OK) == (problems.count == 0));
    if (status == STATUS_OK) use(&batch, &arena, &problems);
    arena_done(&arena);
    return 0;
}
