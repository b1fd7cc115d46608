/* judge.c owns the limits beyond which a figure is doubted, and the signs of other users of a GPU. */
#include "kernels/judge.h"

#include <math.h>
#include <string.h>

#define SPREAD_MAX_RATIO 1.10 /* p90 against p10 */
#define DRIFT_MAX_RATIO 0.05  /* the same, measured again half a minute later */
#define PEAK_MAX_RATIO 1.03   /* clocks are rounded where peaks are stated */
#define PEAK_MIN_RATIO 0.5    /* the lowest published figure of a read is 0.73 */
#define BUSY_MAX_PERCENT 5.0
#define FOREIGN_MAX_BYTES 1073741824.0

bool judge_is_dram(const struct probe_result *result)
{
    static const char *const names[] = {"dram_read", "dram_copy", "dram_triad", "dram_memcpy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(result->name, names[i]) == 0) return true;
    }
    return false;
}

static unsigned doubts_of(const struct kept_result *kept, double peak_dram_gb_per_s)
{
    const struct probe_result *result = &kept->result;
    unsigned doubts = 0;
    if (result->p90 > SPREAD_MAX_RATIO * result->p10) doubts |= DOUBT_SPREAD;
    if (fabs(kept->again / result->value - 1) > DRIFT_MAX_RATIO) doubts |= DOUBT_DRIFT; /* never of a NaN */
    if (!(peak_dram_gb_per_s > 0) || !judge_is_dram(result)) return doubts;
    if (result->value > PEAK_MAX_RATIO * peak_dram_gb_per_s) doubts |= DOUBT_ABOVE_PEAK;
    if (result->value < PEAK_MIN_RATIO * peak_dram_gb_per_s) doubts |= DOUBT_UNDER_HALF;
    return doubts;
}

void judge_results(struct results *results, double peak_dram_gb_per_s)
{
    for (size_t i = 0; i < results->count; i++) {
        struct kept_result *kept = &results->items[i];
        if (kept->result.status == PROBE_PASSED) kept->doubts = doubts_of(kept, peak_dram_gb_per_s);
    }
}

static bool same_question(const struct probe_result *a, const struct probe_result *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->shape.dtype, b->shape.dtype) == 0 && a->shape.m == b->shape.m &&
           a->shape.bytes == b->shape.bytes;
}

void judge_note_again(struct results *results, const struct results *again)
{
    for (size_t i = 0; i < results->count; i++) {
        for (size_t j = 0; j < again->count; j++) {
            const struct probe_result *second = &again->items[j].result;
            if (second->status == PROBE_PASSED && same_question(&results->items[i].result, second))
                results->items[i].again = second->value;
        }
    }
}

/* Comparisons with NaN are false: what is not known is no sign. */
static bool shows_others(const struct nvml_facts *facts)
{
    return facts->known &&
           (facts->used_bytes > FOREIGN_MAX_BYTES || facts->process_count > 0 || facts->mps_process_count > 0);
}

bool judge_is_shared(const struct nvml_facts *before, const struct nvml_facts *after, bool mps_environment)
{
    /* Afterwards the GPU is still said to be busy by what we did. */
    bool busy = before->known && before->busy_percent > BUSY_MAX_PERCENT;
    return mps_environment || busy || shows_others(before) || shows_others(after);
}
