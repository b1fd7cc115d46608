/* training_search.c owns the enumeration of layouts: for each GPU, kind of host and number of GPUs the fastest layout
 * that surely fits, since money is hours times a price; then the ways to pay for it. */
#include "sizing/training_search.h"

#include "catalog/value.h"
#include "sizing/plan.h"

#include <string.h>

static const char *const reject_names[TRAINING_REJECT_COUNT] = {
    [TRAINING_OK] = "none",         [TRAINING_EXCLUDED] = "excluded",   [TRAINING_FRAMEWORK] = "framework",
    [TRAINING_FACTS] = "precision", [TRAINING_NO_PRICE] = "no_price",   [TRAINING_LAYOUT] = "layout",
    [TRAINING_MEMORY] = "memory",   [TRAINING_LIMITS] = "limits",       [TRAINING_DEADLINE] = "deadline",
    [TRAINING_BUDGET] = "budget",   [TRAINING_OUTRANKED] = "outranked",
};

const char *training_reject_name(enum training_reject reason)
{
    return reject_names[reason];
}

enum { MICRO_BATCH_MOST = 16, TENSOR_MOST = 8, STAGES_MOST = 16, EXPERT_RANKS_MOST = 64, GPUS_MOST = 4096 };

enum layout_state { LAYOUT_NONE, LAYOUT_TOO_LARGE, LAYOUT_TIGHT, LAYOUT_FITS };

/* One number of GPUs of one part on one kind of host: the best of its layouts. */
struct layouts {
    struct training_setup setup;
    struct training_memory memory;
    struct training_time time;
    enum layout_state state;
    bool rate_known;
};

struct searcher {
    const struct training_question *question;
    struct arena *arena;
    struct training_search *result;
};

/* Of what does not fit, what is smaller is better, however fast. */
static bool is_no_smaller(const struct layouts *best, enum layout_state state, const struct training_memory *memory)
{
    return state == LAYOUT_TOO_LARGE && best->state == state &&
           !(memory->total_bytes.value < best->memory.total_bytes.value);
}

/* Whether what was found now is better: what fits is, then what is faster. */
static bool is_better(const struct layouts *best, enum layout_state state, const struct training_time *time)
{
    if (state != best->state) return state > best->state;
    if (state == LAYOUT_TOO_LARGE) return true; /* is_no_smaller was asked before */
    return time->tokens_per_second.value > best->time.tokens_per_second.value;
}

static enum layout_state state_of(const struct training_memory *memory)
{
    return memory->fits_safely ? LAYOUT_FITS : memory->fits ? LAYOUT_TIGHT : LAYOUT_TOO_LARGE;
}

static void consider(struct searcher *searcher, const struct training_setup *setup, struct layouts *best)
{
    struct training_memory memory;
    struct training_time time;
    searcher->result->evaluated++;
    training_memory_size(setup, &memory);
    enum layout_state state = state_of(&memory);
    if (state < best->state || is_no_smaller(best, state, &memory)) return;
    best->rate_known = training_time_predict(setup, &time);
    if (!best->rate_known || !is_better(best, state, &time)) return;
    best->setup = *setup;
    best->memory = memory;
    best->time = time;
    best->state = state;
}

/* Micro-batches of a step: whole ones. Where the batch was not asked for, a sequence for each GPU at least: so many are
 * without model parallelism, and a pipeline that had fewer would be compared by its bubble. */
static bool set_micro_batches(const struct training_question *question, struct training_setup *setup)
{
    double ranks = training_data_parallel(setup) * setup->micro_batch_sequences;
    if (setup->fused_backward) { /* a gradient that is used at once cannot be summed up */
        setup->micro_batches = 1;
        return !(question->batch_sequences > 0) || question->batch_sequences == ranks;
    }
    if (question->batch_sequences > 0) {
        setup->micro_batches = question->batch_sequences / ranks;
        return setup->micro_batches >= 1 && setup->micro_batches == floor(setup->micro_batches);
    }
    setup->micro_batches = ceil(fmax(fmax(question->batch_sequences_default, setup->gpus), ranks) / ranks);
    return true;
}

static void try_batches(struct searcher *searcher, struct training_setup *setup, struct layouts *best)
{
    const struct training_question *question = searcher->question;
    uint32_t asked = (uint32_t)question->micro_batch_sequences;
    for (uint32_t sequences = asked ? asked : MICRO_BATCH_MOST; sequences; sequences /= 2) {
        setup->micro_batch_sequences = sequences;
        if (set_micro_batches(question, setup)) consider(searcher, setup, best);
        if (asked) break;
    }
}

/* What the states alone are too large for, no recompute and no micro-batch makes better than what is known. */
static bool is_hopeless(const struct layouts *best, const struct training_setup *setup)
{
    const struct training_memory *known = &best->memory;
    double most = best->state == LAYOUT_TOO_LARGE ? known->total_bytes.value : known->available_bytes;
    return best->state != LAYOUT_NONE && training_states_bytes(setup) >= most;
}

static void try_recompute(struct searcher *searcher, struct training_setup *setup, struct layouts *best)
{
    int64_t asked = searcher->question->recompute;
    if (is_hopeless(best, setup)) return;
    for (int recompute = RECOMPUTE_NONE; recompute < RECOMPUTE_COUNT; recompute++) {
        if (asked != VALUE_ABSENT && asked != recompute) continue;
        setup->recompute = (enum training_recompute)recompute;
        try_batches(searcher, setup, best);
    }
}

/* DDP and ZeRO-1 with any layout, FSDP where nothing else divides the model. */
static void try_shardings(struct searcher *searcher, struct training_setup *setup, struct layouts *best)
{
    static const enum training_sharding usual[] = {SHARDING_DDP, SHARDING_ZERO1, SHARDING_FSDP, SHARDING_FSDP_HYBRID};
    const struct training_question *question = searcher->question;
    bool plain = setup->tensor_parallel == 1 && setup->pipeline_parallel == 1 && setup->expert_parallel == 1;
    bool copies = training_data_parallel(setup) > 1;
    setup->profile = question->profile ? question->profile : plain ? question->fsdp : question->megatron;
    setup->sequence_parallel = setup->sequence_parallel && setup->tensor_parallel > 1;
    if (question->sharding != VALUE_ABSENT) {
        setup->sharding = (enum training_sharding)question->sharding;
        try_recompute(searcher, setup, best);
        return;
    }
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (usual[i] != SHARDING_DDP && !copies) break;
        if (usual[i] == SHARDING_FSDP && !plain) break;
        if (usual[i] == SHARDING_FSDP_HYBRID && setup->gpus <= setup->host_gpus) break;
        setup->sharding = usual[i];
        try_recompute(searcher, setup, best);
    }
}

static bool divides(double part, double whole)
{
    return part > 0 && floor(whole / part) * part == whole;
}

static bool is_possible(const struct training_question *question, const struct training_setup *setup)
{
    const struct model *model = setup->model;
    double ranks = (double)setup->tensor_parallel * setup->pipeline_parallel * setup->context_parallel;
    double data = setup->gpus / ranks;
    double fast = fmax(setup->host_gpus, setup->gpu->link_gb_per_s > 0 ? setup->gpu->link_domain_gpus : 1);
    if (!divides(ranks, setup->gpus) || setup->tensor_parallel > fast) return false;
    if (model->attention_heads && !divides(setup->tensor_parallel, model->attention_heads)) return false;
    if (setup->pipeline_parallel * setup->virtual_stages > model->layers) return false;
    if (setup->expert_parallel > 1 &&
        (!divides(setup->expert_parallel, model->experts) ||
         !divides(setup->expert_parallel * (double)setup->pipeline_parallel, setup->gpus)))
        return false;
    return !question->data_parallel || data == question->data_parallel;
}

static uint32_t first_of(uint32_t asked)
{
    return asked ? asked : 1;
}

/* The next power of two that may be tried, or 0. */
static uint32_t next_of(uint32_t asked, uint32_t value, uint32_t most)
{
    return asked || value * 2 > most ? 0 : value * 2;
}

static void try_experts(struct searcher *searcher, struct training_setup *setup, struct layouts *best)
{
    const struct training_question *question = searcher->question;
    uint32_t most = model_is_moe(setup->model) ? EXPERT_RANKS_MOST : 1;
    for (uint32_t ep = first_of(question->expert_parallel); ep; ep = next_of(question->expert_parallel, ep, most)) {
        setup->expert_parallel = ep;
        if (is_possible(question, setup)) try_shardings(searcher, setup, best);
    }
}

/* Every layout of so many GPUs on such hosts. */
static struct layouts find_layout(struct searcher *searcher, const struct gpu *gpu, uint32_t host_gpus, uint32_t gpus)
{
    const struct training_question *question = searcher->question;
    struct layouts best = {.rate_known = true};
    for (uint32_t tp = first_of(question->tensor_parallel); tp;
         tp = next_of(question->tensor_parallel, tp, TENSOR_MOST)) {
        for (uint32_t pp = first_of(question->pipeline_parallel); pp;
             pp = next_of(question->pipeline_parallel, pp, STAGES_MOST)) {
            struct training_setup setup = question->setup;
            setup.gpu = gpu;
            setup.host_gpus = host_gpus;
            setup.gpus = gpus;
            setup.tensor_parallel = tp;
            setup.pipeline_parallel = pp;
            try_experts(searcher, &setup, &best);
        }
    }
    return best;
}

/* --- what was found already ------------------------------------------------------------------------------------- */

struct known_layout {
    uint32_t host_gpus, gpus;
    struct layouts layouts;
    struct known_layout *next;
};

struct training_memo {
    struct known_layout **of_gpu;
};

struct training_memo *training_memo_make(const struct snapshot *snapshot, struct arena *arena)
{
    struct training_memo *memo = ARENA_NEW(arena, struct training_memo);
    if (memo) memo->of_gpu = ARENA_ARRAY(arena, snapshot->gpu_count, struct known_layout *);
    return memo && memo->of_gpu ? memo : NULL;
}

static struct layouts recall_layout(struct searcher *searcher, uint32_t gpu, uint32_t host_gpus, uint32_t gpus)
{
    const struct training_question *question = searcher->question;
    const struct gpu *part = &question->fleet.snapshot->gpus[gpu];
    if (!question->memo) return find_layout(searcher, part, host_gpus, gpus);
    struct known_layout **first = &question->memo->of_gpu[gpu];
    for (struct known_layout *known = *first; known; known = known->next) {
        if (known->host_gpus == host_gpus && known->gpus == gpus) return known->layouts;
    }
    struct known_layout *found = ARENA_NEW(searcher->arena, struct known_layout);
    struct layouts layouts = find_layout(searcher, part, host_gpus, gpus);
    if (found) *first = memcpy(found, &(struct known_layout){host_gpus, gpus, layouts, *first}, sizeof *found);
    return layouts;
}

/* --- ways to pay ------------------------------------------------------------------------------------------------ */

/* Of a run whose length nobody told, hours and money are as its tokens: it is ranked by GPU-hours and price. */
static double rank_of(const struct training_question *question, const struct training_plan *plan)
{
    double cost = plan->cost_usd.value;
    double per_second = usd_to_double(plan->cost.per_hour_usd) / 3600;
    if (!is_known(question->tokens)) return 1e6 * per_second / plan->time.tokens_per_second.value;
    if (question->least == TRAINING_LEAST_HOURS) return plan->hours.value;
    if (question->least == TRAINING_LEAST_GPUS) return plan->setup.gpus;
    return is_known(cost) ? cost : INFINITY;
}

static const char *rank_unit(const struct training_question *question)
{
    static const char *const units[] = {
        [TRAINING_LEAST_COST] = "USD", [TRAINING_LEAST_HOURS] = "h", [TRAINING_LEAST_GPUS] = "GPUs"};
    return is_known(question->tokens) ? units[question->least] : "USD per million tokens";
}

static bool plan_wins(const struct training_question *question, const struct training_plan *plan,
                      const struct training_plan *best)
{
    double a = round6(rank_of(question, plan)), b = round6(rank_of(question, best));
    if (a != b) return a < b;
    if (plan->hours.value != best->hours.value) return plan->hours.value < best->hours.value;
    return plan->setup.gpus < best->setup.gpus;
}

static struct training_rejection rejected(enum training_reject reason, double needed, double available,
                                          const char *unit)
{
    return (struct training_rejection){reason, round6(needed), round6(available), unit};
}

double training_safe_limit(struct predicted quantity, double deviate)
{
    return quantity.value / demand_safe_ratio(quantity, deviate);
}

/* Whether the fleet of a plan can be had. */
static struct training_rejection judge_fleet(const struct training_question *question, const struct training_plan *plan)
{
    struct question unpriced = question->fleet;
    unpriced.budget_usd = USD_UNKNOWN; /* a run's cost is uncertain: judged by its probability */
    uint32_t gpu = (uint32_t)(plan->setup.gpu - unpriced.snapshot->gpus);
    struct cost cost = plan->cost;
    if (!is_known(question->tokens)) cost.total_usd = cost.per_hour_usd; /* that it has a price counts */
    struct shortfall short_of = fleet_check(&unpriced, gpu, &plan->fleet, &cost);
    if (short_of.reason == REJECT_NONE) return rejected(TRAINING_OK, UNKNOWN, UNKNOWN, "");
    if (short_of.reason == REJECT_NO_PRICE) return rejected(TRAINING_NO_PRICE, UNKNOWN, UNKNOWN, "");
    return rejected(TRAINING_LIMITS, short_of.needed, short_of.available, short_of.unit);
}

static struct training_rejection too_large(const struct training_memory *memory)
{
    return rejected(TRAINING_MEMORY, memory->total_bytes.high / GIB, memory->available_bytes / GIB, "GiB");
}

/* GPUs that were asked about need no price, unless money is limited. */
static struct training_rejection judge(const struct training_question *question, const struct training_plan *plan)
{
    const struct question *fleet = &question->fleet;
    if (!plan->memory.fits_safely) return too_large(&plan->memory); /* asked for as it is */
    if (!plan->pack && usd_known(fleet->budget_usd)) return rejected(TRAINING_NO_PRICE, UNKNOWN, UNKNOWN, "");
    if (is_known(question->tokens) && !isfinite(plan->hours.value)) /* interruptions leave no time */
        return rejected(TRAINING_DEADLINE, UNKNOWN, question->deadline_hours, "h");
    struct training_rejection found =
        plan->pack ? judge_fleet(question, plan) : rejected(TRAINING_OK, UNKNOWN, UNKNOWN, "");
    if (found.reason != TRAINING_OK) return found;
    if (!(plan->deadline_probability >= fleet->probability))
        return rejected(TRAINING_DEADLINE, training_safe_limit(plan->hours, fleet->deviate), question->deadline_hours,
                        "h");
    if (!(plan->budget_probability >= fleet->probability))
        return rejected(TRAINING_BUDGET, training_safe_limit(plan->cost_usd, fleet->deviate),
                        usd_to_double(fleet->budget_usd), "USD");
    return rejected(TRAINING_OK, rank_of(question, plan), UNKNOWN, rank_unit(question));
}

/* Keeps the reason that got furthest, and among equals the one that lacks least. */
static void note(struct searcher *searcher, uint32_t gpu, struct training_rejection found)
{
    struct training_rejection *kept = &searcher->result->rejections[gpu];
    bool was_possible = kept->reason == TRAINING_OK && kept->unit;
    if (was_possible && (found.reason != TRAINING_OK || !(found.needed < kept->needed))) return;
    bool nearer = found.reason == kept->reason && found.needed - found.available < kept->needed - kept->available;
    if (found.reason == TRAINING_OK || found.reason > kept->reason || nearer || !kept->unit) *kept = found;
}

static void try_pack(struct searcher *searcher, const struct layouts *layout, const struct pack *pack)
{
    const struct training_question *question = searcher->question;
    struct training_search *result = searcher->result;
    struct training_plan plan = {.setup = layout->setup,
                                 .memory = layout->memory,
                                 .time = layout->time,
                                 .pack = pack,
                                 .tokens = question->tokens};
    uint32_t gpu = (uint32_t)(plan.setup.gpu - question->fleet.snapshot->gpus);
    if (pack && (pack->stale || !fleet_place(pack, 1, 1, plan.setup.gpus, &plan.fleet))) return;
    training_plan_finish(&question->fleet, &question->interruptions, question->deadline_hours, &plan);
    struct training_rejection found = judge(question, &plan);
    note(searcher, gpu, found);
    if (!result->has_nearest || plan_wins(question, &plan, &result->nearest)) {
        result->nearest = plan;
        result->has_nearest = true;
    }
    if (found.reason != TRAINING_OK || (result->found && !plan_wins(question, &plan, &result->best))) return;
    result->best = plan;
    result->found = true;
}

/* --- the search ------------------------------------------------------------------------------------------------- */

static void note_layout(struct searcher *searcher, uint32_t gpu, const struct layouts *layout)
{
    if (!layout->rate_known)
        note(searcher, gpu, rejected(TRAINING_FACTS, UNKNOWN, UNKNOWN, ""));
    else if (layout->state == LAYOUT_NONE)
        note(searcher, gpu, rejected(TRAINING_LAYOUT, UNKNOWN, UNKNOWN, ""));
    else
        note(searcher, gpu, too_large(&layout->memory));
}

static bool pack_serves(const struct pack *pack, uint32_t gpus)
{
    return gpus <= pack->instance_gpus || pack->spans;
}

/* Whether anything can be paid for: else a plan for given GPUs has no cost, and the usual host. */
static bool priced_for(const struct packs *packs, uint32_t gpus)
{
    for (size_t i = 0; i < packs->count; i++) {
        if (pack_serves(&packs->items[i], gpus) && !packs->items[i].stale) return true;
    }
    return false;
}

/* All ways to pay for so many GPUs on one kind of host. */
static void try_size(struct searcher *searcher, uint32_t gpu, const struct packs *packs, uint32_t host_gpus,
                     uint32_t gpus)
{
    const struct training_question *question = searcher->question;
    struct layouts layout = recall_layout(searcher, gpu, host_gpus, gpus);
    bool enough = layout.state == LAYOUT_FITS || (question->fixed && layout.state != LAYOUT_NONE);
    bool paid = false;
    if (layout.state != LAYOUT_FITS) note_layout(searcher, gpu, &layout);
    for (size_t i = 0; enough && i < packs->count; i++) {
        if (packs->items[i].instance_gpus != host_gpus || !pack_serves(&packs->items[i], gpus)) continue;
        try_pack(searcher, &layout, &packs->items[i]);
        paid = true;
    }
    if (enough && !paid && question->fixed && !priced_for(packs, gpus)) try_pack(searcher, &layout, NULL);
}

static bool seen_before(const struct packs *packs, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (packs->items[i].instance_gpus == packs->items[index].instance_gpus &&
            (packs->items[i].purchase == PURCHASE_OWNED) == (packs->items[index].purchase == PURCHASE_OWNED))
            return true;
    }
    return false;
}

/* Whole hosts, doubling; owned GPUs also in parts of a host. */
static void try_host(struct searcher *searcher, uint32_t gpu, const struct packs *packs, size_t index)
{
    const struct training_question *question = searcher->question;
    const struct pack *pack = &packs->items[index];
    uint32_t host = pack->instance_gpus, most = question->fleet.max_gpus;
    if (most > GPUS_MOST) most = GPUS_MOST;
    if (question->gpus) {
        try_size(searcher, gpu, packs, host, question->gpus);
        return;
    }
    uint32_t least = pack->purchase == PURCHASE_OWNED ? 1 : host;
    for (uint32_t gpus = least; gpus <= most; gpus *= 2)
        try_size(searcher, gpu, packs, host, gpus);
}

/* Where not even one host may be had, nothing was tried. */
static void note_untried(struct searcher *searcher, uint32_t gpu, const struct packs *packs)
{
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < packs->count; i++)
        least = packs->items[i].instance_gpus < least ? packs->items[i].instance_gpus : least;
    if (packs->count && !searcher->result->rejections[gpu].unit)
        note(searcher, gpu, rejected(TRAINING_LIMITS, least, searcher->question->fleet.max_gpus, "GPUs"));
}

static enum status try_gpu(struct searcher *searcher, uint32_t gpu)
{
    const struct training_question *question = searcher->question;
    const struct gpu *part = &question->fleet.snapshot->gpus[gpu];
    struct packs packs;
    enum status status = packs_collect(&question->fleet, gpu, searcher->arena, &packs);
    if (status != STATUS_OK) return status;
    bool priced = false;
    for (size_t i = 0; i < packs.count; i++) {
        if (seen_before(&packs, i)) continue;
        try_host(searcher, gpu, &packs, i);
        priced = true;
    }
    if (question->fixed && !priced_for(&packs, question->gpus)) {
        uint32_t host = part->node_gpus ? part->node_gpus : 1;
        try_size(searcher, gpu, &packs, host, question->gpus);
    }
    note_untried(searcher, gpu, &packs);
    if (!priced && !question->fixed) note(searcher, gpu, rejected(TRAINING_NO_PRICE, UNKNOWN, UNKNOWN, ""));
    return STATUS_OK;
}

/* What could train but is dearer, or slower, than what is recommended. */
static void note_outranked(const struct training_question *question, struct training_search *result)
{
    double best = result->found ? round6(rank_of(question, &result->best)) : UNKNOWN;
    for (uint32_t gpu = 0; gpu < question->fleet.snapshot->gpu_count; gpu++) {
        struct training_rejection *kept = &result->rejections[gpu];
        bool chosen = result->found && result->best.setup.gpu == &question->fleet.snapshot->gpus[gpu];
        if (kept->reason != TRAINING_OK || chosen) continue;
        kept->reason = TRAINING_OUTRANKED;
        kept->available = best;
    }
}

enum status training_search_run(const struct training_question *question, struct arena *arena,
                                struct training_search *ret_search)
{
    const struct snapshot *snapshot = question->fleet.snapshot;
    struct training_search result = {.rejections = ARENA_ARRAY(arena, snapshot->gpu_count, struct training_rejection)};
    struct searcher searcher = {question, arena, &result};
    if (!result.rejections) return STATUS_OUT_OF_MEMORY;
    for (uint32_t gpu = 0; gpu < snapshot->gpu_count; gpu++) {
        enum status status = STATUS_OK;
        if (!question->fleet.gpu_allowed[gpu])
            note(&searcher, gpu, rejected(TRAINING_EXCLUDED, UNKNOWN, UNKNOWN, ""));
        else if (!training_knows_part(&snapshot->gpus[gpu]))
            note(&searcher, gpu, rejected(TRAINING_FRAMEWORK, UNKNOWN, UNKNOWN, ""));
        else if (!training_has_precision(&snapshot->gpus[gpu], question->setup.precision))
            note(&searcher, gpu, rejected(TRAINING_FACTS, UNKNOWN, UNKNOWN, ""));
        else
            status = try_gpu(&searcher, gpu);
        if (status != STATUS_OK) return status;
    }
    note_outranked(question, &result);
    *ret_search = result;
    return STATUS_OK;
}
