/* history.c owns the ring of samples. */
#include "monitor/history.h"

#include <stdlib.h>

#define MS_PER_MINUTE 60000.0

struct slot {
    struct sample *sample;
    int64_t elapsed_ms;
};

struct history {
    size_t max, count, first;
    struct sample_clock clock;
    struct slot slots[];
};

struct history *history_new(size_t max)
{
    struct history *history = calloc(1, sizeof *history + max * sizeof history->slots[0]);
    if (history) history->max = max;
    return history;
}

void history_free(struct history *history)
{
    for (size_t i = 0; history && i < history->max; i++)
        free(history->slots[i].sample);
    free(history);
}

bool history_add(struct history *history, const struct sample *sample)
{
    struct sample *copy = sample_copy(sample);
    if (!copy) return false;
    bool full = history->count == history->max;
    struct slot *slot = &history->slots[(history->first + history->count) % history->max];
    free(slot->sample);
    *slot = (struct slot){copy, sample_clock_add(&history->clock, sample)};
    if (full)
        history->first = (history->first + 1) % history->max;
    else
        history->count++;
    return true;
}

size_t history_count(const struct history *history)
{
    return history->count;
}

static const struct slot *slot_at(const struct history *history, size_t index)
{
    return &history->slots[(history->first + index) % history->max];
}

const struct sample *history_at(const struct history *history, size_t index)
{
    return slot_at(history, index)->sample;
}

const struct sample *history_last(const struct history *history)
{
    return history->count ? history_at(history, history->count - 1) : NULL;
}

int64_t history_elapsed_ms(const struct history *history, size_t index)
{
    return slot_at(history, index)->elapsed_ms;
}

size_t history_window(const struct history *history, double minutes)
{
    size_t first = history->count;
    while (first > 0 &&
           (double)(history->clock.elapsed_ms - history_elapsed_ms(history, first - 1)) <= minutes * MS_PER_MINUTE)
        first--;
    return first;
}
