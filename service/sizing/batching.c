/* batching.c owns the packing of requests into batches, and what a plan of them takes. */
#include "sizing/batching.h"

#include <stdlib.h>

static const char *const order_names[BATCH_ORDER_COUNT] = {
    [BATCH_GREEDY_ASCENDING] = "greedy_ascending",
    [BATCH_BEST_FIT_DECREASING] = "best_fit_decreasing",
};
const char *const batch_kind_names[BATCH_KIND_COUNT + 1] = {"paged", "padded", NULL};
static const char *const fit_names[BATCH_FIT_COUNT] = {
    [BATCH_FITS] = "fits",
    [BATCH_TOO_LONG] = "context_too_long",
    [BATCH_NO_ROOM] = "kv_pool_too_small",
};

const char *batch_order_name(enum batch_order order)
{
    return order_names[order];
}

const char *batch_fit_name(enum batch_fit fit)
{
    return fit_names[fit];
}

struct batch_limits batch_limits_make(const struct deployment *deployment, const struct memory *memory)
{
    return (struct batch_limits){
        .deployment = deployment, .layout = kv_layout_first(deployment), .kv_units = memory->kv_units};
}

static double total_tokens(const struct request_lengths *request)
{
    return request->input_tokens + request->output_tokens;
}

static double units_of(const struct batch_limits *limits, double tokens)
{
    return kv_layout_sequence_units(&limits->layout, limits->deployment, tokens);
}

enum batch_fit batch_judge(const struct batch_limits *limits, const struct request_lengths *request)
{
    double tokens = total_tokens(request);
    if (tokens > limits->deployment->max_model_len_tokens) return BATCH_TOO_LONG;
    return units_of(limits, tokens) > limits->kv_units ? BATCH_NO_ROOM : BATCH_FITS;
}

/* --- order -------------------------------------------------------------------------------------------------------- */

static int compare_numbers(double a, double b)
{
    return (a > b) - (a < b);
}

/* Shorter ones first, then those of shorter prompts, then the earlier: units grow with the length. */
static int compare_lengths(const void *left, const void *right, void *context)
{
    const struct request_lengths *items = context;
    const uint32_t *a = left, *b = right;
    int order = compare_numbers(total_tokens(&items[*a]), total_tokens(&items[*b]));
    if (order == 0) order = compare_numbers(items[*a].input_tokens, items[*b].input_tokens);
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

uint32_t *batch_sort(const struct request_list *requests, const struct batch_limits *limits, struct arena *arena,
                     size_t *ret_count)
{
    uint32_t *sorted = ARENA_ARRAY(arena, requests->count, uint32_t);
    size_t count = 0;
    if (!sorted) return NULL;
    for (size_t i = 0; i < requests->count; i++) {
        if (batch_judge(limits, &requests->items[i]) == BATCH_FITS) sorted[count++] = (uint32_t)i;
    }
    qsort_r(sorted, count, sizeof *sorted, compare_lengths, (void *)(uintptr_t)requests->items);
    *ret_count = count;
    return sorted;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

bool batch_plan_init(struct batch_plan *plan, struct arena *arena, size_t requests)
{
    *plan = (struct batch_plan){.batches = ARENA_ARRAY(arena, requests + 1, struct batch),
                                .batch_of = ARENA_ARRAY(arena, requests, uint32_t)};
    return plan->batches && plan->batch_of;
}

/* A packing on its way. */
struct packing {
    const struct request_lengths *items;
    const struct batch_limits *limits;
    enum batch_kind kind;
    struct batch_plan *plan;
};

/* The batch with one more request. */
static struct batch joined(const struct packing *packing, const struct batch *batch,
                           const struct request_lengths *request)
{
    struct batch more = *batch;
    more.requests++;
    more.input_tokens += request->input_tokens;
    more.output_tokens += request->output_tokens;
    more.longest_input_tokens = fmax(batch->longest_input_tokens, request->input_tokens);
    more.longest_output_tokens = fmax(batch->longest_output_tokens, request->output_tokens);
    if (packing->kind == BATCH_PAGED)
        more.kv_units += units_of(packing->limits, total_tokens(request));
    else
        more.kv_units =
            more.requests * units_of(packing->limits, more.longest_input_tokens + more.longest_output_tokens);
    return more;
}

static bool holds(const struct packing *packing, const struct batch *batch)
{
    const struct deployment *deployment = packing->limits->deployment;
    bool padded = packing->kind == BATCH_PADDED;
    double longest = padded ? batch->longest_input_tokens + batch->longest_output_tokens : 0;
    return batch->requests <= deployment->max_sequences && batch->kv_units <= packing->limits->kv_units &&
           longest <= deployment->max_model_len_tokens;
}

/* Batches are counted from 1 while they are packed: 0 is no batch. */
static uint32_t open_batch(const struct packing *packing)
{
    struct batch_plan *plan = packing->plan;
    plan->batches[++plan->count] = (struct batch){0};
    return (uint32_t)plan->count;
}

static void pack_greedy(const struct packing *packing, const uint32_t *sorted, size_t count)
{
    struct batch_plan *plan = packing->plan;
    for (size_t i = 0; i < count; i++) {
        const struct request_lengths *request = &packing->items[sorted[i]];
        struct batch more = joined(packing, &plan->batches[plan->count], request);
        if (plan->count == 0 || !holds(packing, &more))
            more = joined(packing, &plan->batches[open_batch(packing)], request);
        plan->batches[plan->count] = more;
        plan->batch_of[sorted[i]] = (uint32_t)plan->count;
    }
}

/* --- paged: a balanced tree of the batches with room, by the units that are left ---------------------------------- */

/* An AA tree (Andersson 1993): a child on the right may be of the same level, its own right child may not. Batch 0 is
 * the leaf of all, of level 0. */
static bool before(const struct batch *batches, uint32_t a, uint32_t b)
{
    int order = compare_numbers(batches[b].kv_units, batches[a].kv_units); /* the fuller has less room */
    return order != 0 ? order < 0 : a < b;
}

static uint32_t tree_skew(struct batch *batches, uint32_t top)
{
    uint32_t left = batches[top].left;
    if (top == 0 || batches[left].level != batches[top].level) return top;
    batches[top].left = batches[left].right;
    batches[left].right = top;
    return left;
}

static uint32_t tree_split(struct batch *batches, uint32_t top)
{
    uint32_t right = batches[top].right;
    if (top == 0 || batches[batches[right].right].level != batches[top].level) return top;
    batches[top].right = batches[right].left;
    batches[right].left = top;
    batches[right].level++;
    return right;
}

static uint32_t tree_add(struct batch *batches, uint32_t top, uint32_t batch)
{
    if (top == 0) {
        batches[batch].left = batches[batch].right = 0;
        batches[batch].level = 1;
        return batch;
    }
    if (before(batches, batch, top))
        batches[top].left = tree_add(batches, batches[top].left, batch);
    else
        batches[top].right = tree_add(batches, batches[top].right, batch);
    return tree_split(batches, tree_skew(batches, top));
}

/* After a child became lower. */
static uint32_t tree_level(struct batch *batches, uint32_t top)
{
    uint32_t left = batches[batches[top].left].level, right = batches[batches[top].right].level;
    uint32_t level = (left < right ? left : right) + 1;
    if (level < batches[top].level) {
        batches[top].level = level;
        if (level < right) batches[batches[top].right].level = level;
    }
    top = tree_skew(batches, top);
    if (batches[top].right) {
        uint32_t below = batches[top].right = tree_skew(batches, batches[top].right);
        if (batches[below].right) batches[below].right = tree_skew(batches, batches[below].right);
    }
    top = tree_split(batches, top);
    if (batches[top].right) batches[top].right = tree_split(batches, batches[top].right);
    return top;
}

/* Takes the first batch below `top` out. */
static uint32_t tree_take_first(struct batch *batches, uint32_t top, uint32_t *ret_first)
{
    if (batches[top].left == 0) {
        *ret_first = top;
        return batches[top].right;
    }
    batches[top].left = tree_take_first(batches, batches[top].left, ret_first);
    return tree_level(batches, top);
}

static uint32_t tree_remove(struct batch *batches, uint32_t top, uint32_t batch)
{
    if (top == batch) {
        uint32_t next = 0, right = batches[top].right;
        if (right == 0) return batches[top].left;
        right = tree_take_first(batches, right, &next);
        batches[next].left = batches[top].left;
        batches[next].right = right;
        batches[next].level = batches[top].level;
        return tree_level(batches, next);
    }
    if (before(batches, batch, top))
        batches[top].left = tree_remove(batches, batches[top].left, batch);
    else
        batches[top].right = tree_remove(batches, batches[top].right, batch);
    return tree_level(batches, top);
}

/* The fullest batch that has room for `units`; 0 if none has. */
static uint32_t tree_best(const struct packing *packing, uint32_t top, double units)
{
    const struct batch *batches = packing->plan->batches;
    uint32_t best = 0;
    while (top) {
        bool room = batches[top].kv_units + units <= packing->limits->kv_units;
        if (room) best = top;
        top = room ? batches[top].left : batches[top].right;
    }
    return best;
}

static void pack_paged(const struct packing *packing, const uint32_t *sorted, size_t count)
{
    struct batch_plan *plan = packing->plan;
    struct batch *batches = plan->batches;
    uint32_t top = 0;
    for (size_t i = count; i-- > 0;) {
        const struct request_lengths *request = &packing->items[sorted[i]];
        uint32_t best = tree_best(packing, top, units_of(packing->limits, total_tokens(request)));
        if (best)
            top = tree_remove(batches, top, best);
        else
            best = open_batch(packing);
        batches[best] = joined(packing, &batches[best], request);
        plan->batch_of[sorted[i]] = best;
        if (batches[best].requests < packing->limits->deployment->max_sequences) top = tree_add(batches, top, best);
    }
}

/* --- padded: the newest batches ----------------------------------------------------------------------------------- */

/* Where lengths only shrink, a batch is full before the next is opened, but for those whose prompts and answers differ:
 * a few of the newest are enough. */
enum { OPEN_BATCHES = 8 };

static double padded_tokens(const struct batch *batch)
{
    return batch->requests * (batch->longest_input_tokens + batch->longest_output_tokens);
}

static void pack_padded(const struct packing *packing, const uint32_t *sorted, size_t count)
{
    struct batch_plan *plan = packing->plan;
    for (size_t i = count; i-- > 0;) {
        const struct request_lengths *request = &packing->items[sorted[i]];
        uint32_t oldest = plan->count < OPEN_BATCHES ? 1 : (uint32_t)plan->count - OPEN_BATCHES + 1, best = 0;
        double least = INFINITY;
        struct batch with_it = {0};
        for (uint32_t batch = (uint32_t)plan->count; batch >= oldest && batch > 0; batch--) {
            struct batch more = joined(packing, &plan->batches[batch], request);
            double added = padded_tokens(&more) - padded_tokens(&plan->batches[batch]);
            if (added >= least || !holds(packing, &more)) continue;
            least = added;
            best = batch;
            with_it = more;
        }
        if (best == 0) {
            best = open_batch(packing);
            with_it = joined(packing, &plan->batches[best], request);
        }
        plan->batches[best] = with_it;
        plan->batch_of[sorted[i]] = best;
    }
}

void batch_pack(const struct request_list *requests, const uint32_t *sorted, size_t count,
                const struct batch_limits *limits, enum batch_kind kind, enum batch_order order,
                struct batch_plan *plan)
{
    const struct packing packing = {requests->items, limits, kind, plan};
    plan->count = 0;
    plan->batches[0] = (struct batch){0};
    for (size_t i = 0; i < requests->count; i++)
        plan->batch_of[i] = 0;
    if (order == BATCH_GREEDY_ASCENDING)
        pack_greedy(&packing, sorted, count);
    else
        (kind == BATCH_PAGED ? pack_paged : pack_padded)(&packing, sorted, count);
}

/* --- the article's DynamicBatchManager ---------------------------------------------------------------------------- */

#define ARTICLE_SHARE 0.8 /* of the memory beside the model */

/* "sequence_length * hidden_size * 2  # FP16", and "sequence_length ** 2 * 2" for the attention matrix. */
static int64_t article_sequence_bytes(int64_t tokens, int64_t hidden_size)
{
    return tokens * hidden_size * 2 + tokens * tokens * 2;
}

static double article_room_bytes(double vram_gb, double model_gb)
{
    return (vram_gb * GIB - model_gb * GIB) * ARTICLE_SHARE;
}

double article_batch_size(double vram_gb, double model_gb, int64_t sequence_tokens, int64_t hidden_size)
{
    double bytes = (double)article_sequence_bytes(sequence_tokens, hidden_size);
    return fmax(1, trunc(article_room_bytes(vram_gb, model_gb) / bytes));
}

/* "sorted(requests, key=lambda x: x['sequence_length'])" keeps equal ones in their order. */
static int compare_article(const void *left, const void *right, void *context)
{
    const struct request_lengths *items = context;
    const uint32_t *a = left, *b = right;
    int order = compare_numbers(total_tokens(&items[*a]), total_tokens(&items[*b]));
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

void article_batches(double vram_gb, double model_gb, const struct request_list *requests, uint32_t *sorted,
                     struct batch_plan *plan)
{
    double room_bytes = article_room_bytes(vram_gb, model_gb);
    int64_t batch_bytes = 0;
    for (size_t i = 0; i < requests->count; i++)
        sorted[i] = (uint32_t)i;
    qsort_r(sorted, requests->count, sizeof *sorted, compare_article, (void *)(uintptr_t)requests->items);
    plan->count = 0;
    for (size_t i = 0; i < requests->count; i++) {
        int64_t bytes = article_sequence_bytes((int64_t)total_tokens(&requests->items[sorted[i]]), ARTICLE_HIDDEN_SIZE);
        bool fits = (double)(batch_bytes + bytes) <= room_bytes;
        if (plan->count == 0 || !fits) {
            plan->batches[++plan->count] = (struct batch){0};
            batch_bytes = 0;
        }
        batch_bytes += bytes;
        plan->batches[plan->count].requests++;
        plan->batch_of[sorted[i]] = (uint32_t)plan->count;
    }
}
