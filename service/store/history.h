/* history.h owns what may be asked about former prices: which offers there have been, what each has cost and until
 * when, and what GPUs cost on given days. Everything is as it was known in one version of the catalog, so that the
 * answers to a question do not change. */
#pragma once
#include "catalog/value.h"
#include "store/store.h"

/* What to look at, as numbers of the caller: ids with one `offer` are one offer, offers with one `series` are counted
 * together. */
struct store_history_id {
    int64_t id, offer, series;
};
struct store_history {
    int64_t version;
    date_t from, to;                 /* both included */
    const struct text_list *gpu_ids; /* whose offers are wanted; NULL: all */
    const struct store_history_id *ids;
    size_t id_count;
    size_t rows_max; /* what is beyond is left out */
};

struct store_offers {          /* side by side, in the arena */
    const struct offer *items; /* without price, facts and the index of the GPU */
    const char *const *gpu_ids;
    const int64_t *ids;
    const bool *held; /* whether it is wanted and had a price on some day of the range */
    size_t count;
};

/* Every offer that there has been, by GPU, purchase, size and place. One that ended and came back has several ids,
 * which follow each other. Neither ids nor rows_max matter. */
enum status store_history_offers(struct store *store, const struct store_history *history, struct arena *arena,
                                 struct problems *problems, struct store_offers *ret_offers) MUST_CHECK;

/* Rows are handed over when all of them have come; their texts are borrowed for the call. */

struct store_price {
    int64_t offer;
    date_t from, until; /* the first day on which it no longer held; DATE_UNKNOWN: it holds */
    usd_t usd_per_hour;
    const char *source;
};

/* The prices that held on some day of the range, by offer, the oldest first. */
enum status store_history_prices(struct store *store, const struct store_history *history,
                                 void (*take)(void *context, const struct store_price *row), void *context,
                                 struct problems *problems) MUST_CHECK;

enum store_step { STORE_STEP_DAY, STORE_STEP_WEEK, STORE_STEP_MONTH };

struct store_price_day { /* per GPU and hour, over each provider's cheapest price that held on the day */
    int64_t series;
    date_t day;
    usd_t min_usd, median_usd, max_usd;
    int64_t provider_count, offer_count;
};

/* On `to` and on every step before it back to `from`; by series, the oldest day first. A day without any price has no
 * row. */
enum status store_history_days(struct store *store, const struct store_history *history, enum store_step step,
                               void (*take)(void *context, const struct store_price_day *row), void *context,
                               struct problems *problems) MUST_CHECK;
/* How many days that are, or one more. */
int64_t store_history_day_count(const struct store_history *history, enum store_step step);
