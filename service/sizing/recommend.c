/* recommend.c owns the answer to the main question: it reads the question, searches, and puts together options,
 * reasons, relaxations, Pareto set and words. */
#include "sizing/recommend.h"

#include "sizing/article.h"
#include "sizing/explain.h"
#include "sizing/question.h"
#include "sizing/relax.h"

#include <stdlib.h>
#include <string.h>

static const char *const reject_names[REJECT_COUNT] = {
    [REJECT_NONE] = "none",
    [REJECT_EXCLUDED] = "excluded",
    [REJECT_UNSUPPORTED] = "unsupported",
    [REJECT_UNKNOWN_FACTS] = "unknown_facts",
    [REJECT_NO_PRICE] = "no_price",
    [REJECT_MEMORY] = "memory",
    [REJECT_SLO] = "slo",
    [REJECT_MAX_GPUS] = "max_gpus",
    [REJECT_QUOTA] = "quota",
    [REJECT_POWER] = "power",
    [REJECT_BUDGET] = "budget",
    [REJECT_BUDGET_PER_HOUR] = "budget_per_hour",
    [REJECT_PRICE_AGE] = "price_age",
    [REJECT_BASIS] = "basis",
    [REJECT_OUTRANKED] = "outranked",
};

const char *reject_reason_name(enum reject_reason reason)
{
    return reject_names[reason];
}

/* --- options --------------------------------------------------------------------------------------------------- */

/* The recommended option first, then the others as they came out of the search: best first. */
static void rank_options(struct recommendation *answer)
{
    for (size_t i = 0; i < answer->option_count && !answer->has_recommended; i++) {
        if (answer->options[i].excluded_by != REJECT_NONE) continue;
        struct option best = answer->options[i];
        memmove(answer->options + 1, answer->options, i * sizeof best);
        answer->options[0] = best;
        answer->has_recommended = true;
    }
    for (size_t i = 0; i < answer->option_count; i++)
        answer->options[i].rank = (uint32_t)i + 1;
}

static enum status finish_option(const struct question *question, struct option *option, struct arena *arena)
{
    enum dtype native = question->model->native_dtype;
    enum dtype used = option->deployment.weight_dtype;
    option->quality_unverified = used != native && dtype_bits(used) < dtype_bits(native);
    option->explanation = explain_option(question, option, arena);
    option->launch_command = explain_launch_command(question, option, arena);
    option->verify_command = explain_verify_command(question, option, arena);
    return option->explanation && option->launch_command && option->verify_command ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

static bool dominates(const struct option *a, const struct option *b)
{
    const double left[] = {usd_to_double(a->cost.total_usd), -a->capacity_output_tokens_per_second.value,
                           a->performance.e2e_ms.value};
    const double right[] = {usd_to_double(b->cost.total_usd), -b->capacity_output_tokens_per_second.value,
                            b->performance.e2e_ms.value};
    bool better = false;
    for (size_t i = 0; i < 3; i++) {
        if (left[i] > right[i]) return false;
        better = better || left[i] < right[i];
    }
    return better;
}

/* Options that no other beats in cost, capacity and latency together. */
static enum status fill_pareto(struct recommendation *answer, struct arena *arena)
{
    answer->pareto = ARENA_ARRAY(arena, answer->option_count + 1, uint32_t);
    if (!answer->pareto) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < answer->option_count; i++) {
        bool beaten = false;
        for (size_t j = 0; j < answer->option_count && !beaten; j++) {
            beaten = dominates(&answer->options[j], &answer->options[i]);
        }
        if (!beaten) answer->pareto[answer->pareto_count++] = answer->options[i].rank;
    }
    return STATUS_OK;
}

/* --- reasons --------------------------------------------------------------------------------------------------- */

static bool is_shown(const struct recommendation *answer, uint32_t gpu)
{
    for (size_t i = 0; i < answer->option_count; i++) {
        if (answer->options[i].gpu == gpu) return true;
    }
    return false;
}

static enum status fill_rejections(const struct question *question, const struct search_result *result,
                                   struct recommendation *answer, struct arena *arena)
{
    answer->rejected = ARENA_ARRAY(arena, question->snapshot->gpu_count, struct rejection);
    if (!answer->rejected) return STATUS_OUT_OF_MEMORY;
    for (uint32_t gpu = 0; gpu < question->snapshot->gpu_count; gpu++) {
        if (is_shown(answer, gpu)) continue;
        struct rejection *rejection = &answer->rejected[answer->rejected_count++];
        *rejection = result->rejections[gpu];
        rejection->detail = explain_rejection(question, rejection, arena);
        if (!rejection->detail) return STATUS_OUT_OF_MEMORY;
    }
    return STATUS_OK;
}

static const char *explain_feasible(const struct question *question, const struct option *option,
                                    const struct recommendation *answer, struct arena *arena)
{
    const char *name = option->deployment.gpu->name, *words = explain_option(question, option, arena);
    if (!words) return NULL;
    if (is_shown(answer, option->gpu)) return arena_printf(arena, "%s is among the options: %s", name, words);
    if (option->excluded_by != REJECT_NONE) {
        const struct rejection gated = {
            .gpu = option->gpu, .reason = option->excluded_by, .needed = UNKNOWN, .available = UNKNOWN};
        const char *why = explain_rejection(question, &gated, arena);
        return why ? arena_printf(arena, "%s Else: %s", why, words) : NULL;
    }
    double best_usd = usd_to_double(answer->options[0].cost.total_usd);
    double more = 100 * (usd_to_double(option->cost.total_usd) / best_usd - 1);
    if (!answer->has_recommended || !isfinite(more)) return arena_printf(arena, "%s would do: %s", name, words);
    return arena_printf(arena, "%s would do for %.3g %% %s than the recommended option: %s", name, fabs(more),
                        more < 0 ? "less" : "more", words);
}

/* The asked GPU alone, whatever the others do. */
static enum status explain_gpu(const struct question *question, struct arena *arena, struct recommendation *answer)
{
    struct question alone = *question;
    bool *allowed = ARENA_ARRAY(arena, question->snapshot->gpu_count, bool);
    if (!allowed) return STATUS_OUT_OF_MEMORY;
    size_t index = (size_t)(question->explained - question->snapshot->gpus);
    allowed[index] = question->gpu_allowed[index];
    alone.gpu_allowed = allowed;
    alone.options_max = 1;
    struct search_result result;
    enum status status = search_run(&alone, arena, &result);
    if (status != STATUS_OK) return status;
    answer->gpu_explanation = result.option_count ? explain_feasible(question, &result.options[0], answer, arena)
                                                  : explain_rejection(question, &result.rejections[index], arena);
    return answer->gpu_explanation ? STATUS_OK : STATUS_OUT_OF_MEMORY;
}

/* --- assumptions and warnings ----------------------------------------------------------------------------------- */

enum { NOTES_MAX = 16 };
struct notes {
    const char *items[NOTES_MAX];
    size_t count;
    bool failed; /* a text found no memory */
};

static void note(struct notes *notes, const char *text)
{
    if (!text) notes->failed = true;
    if (text && notes->count < NOTES_MAX) notes->items[notes->count++] = text;
}

static enum status keep_notes(const struct notes *notes, struct arena *arena, const char *const **ret_items,
                              size_t *ret_count)
{
    const char **items = ARENA_ARRAY(arena, notes->count + 1, const char *);
    if (!items || notes->failed) return STATUS_OUT_OF_MEMORY;
    memcpy(items, notes->items, notes->count * sizeof *items);
    *ret_items = items;
    *ret_count = notes->count;
    return STATUS_OK;
}

static void note_assumptions(const struct recommend_context *context, const struct question *question,
                             const struct recommendation *answer, struct arena *arena, struct notes *notes)
{
    bool owned = false, rented = false;
    for (size_t i = 0; i < answer->option_count; i++) {
        owned = owned || !answer->options[i].offer;
        rented = rented || answer->options[i].offer;
    }
    if (context->model_assumed) {
        note(notes,
             "Only the size of the model is known: layers, heads and KV cache are those of a usual dense model of "
             "that size.");
    }
    if (rented) note(notes, "Rented capacity is assumed to be available: the catalog has prices, not stock.");
    if (owned) {
        note(notes, arena_printf(arena,
                                 "Owned: host, network and rack cost %.2g of the GPUs (host_cost_ratio); power %.2g of "
                                 "TDP at PUE %.3g and %.3g USD/kWh; %.2g of the hardware is left at the end.",
                                 question->terms.host_cost_ratio, question->terms.rates.utilization_ratio,
                                 question->terms.rates.pue_ratio, question->terms.rates.electricity_usd_per_kwh,
                                 question->terms.residual_value_ratio));
    }
    if (question->demand.kind == DEMAND_RATE) {
        note(notes, arena_printf(arena,
                                 "Arrivals are spread evenly over the replicas, with a squared coefficient of "
                                 "variation of %.3g.",
                                 question->demand.arrival_cv2));
    }
    const char *notes_of_traffic[TRAFFIC_NOTES_MAX];
    size_t count =
        traffic_notes(&question->demand.traffic, question->extras.draft_tokens, question->extras.max_loras > 0,
                      question->demand.kind == DEMAND_RATE, arena, notes_of_traffic);
    for (size_t i = 0; i < count; i++)
        note(notes, notes_of_traffic[i]);
    const struct slo *slo = &question->slo;
    bool limits = is_known(slo->ttft_ms) || is_known(slo->tpot_ms) || is_known(slo->e2e_ms);
    if (question->demand.kind == DEMAND_JOB && limits) {
        note(notes, "A job runs saturated and nobody waits for its answers: the latency limits are not applied.");
    }
    if (question->demand.kind == DEMAND_NONE && question->objective == OBJECTIVE_COST) {
        note(notes, "No demand was given: the cheapest single replica that runs the model is meant.");
    }
}

static void note_warnings(const struct recommendation *answer, struct notes *notes)
{
    bool gated = false, compressed = false, extrapolated = false, pipeline = false;
    for (size_t i = 0; i < answer->option_count; i++) {
        const struct option *option = &answer->options[i];
        gated = gated || option->excluded_by != REJECT_NONE;
        compressed = compressed || option->quality_unverified;
        extrapolated = extrapolated || option->performance.basis == BASIS_EXTRAPOLATED;
        pipeline = pipeline || option->deployment.pipeline_parallel > 1;
    }
    if (!answer->has_recommended && !answer->relaxation_count)
        note(notes, "Nothing fits, and no change of one constraint alone would help: loosen two or more.");
    if (gated)
        note(notes,
             "Alternatives with excluded_by are shown but cannot be recommended: min_basis or max_price_age_days.");
    if (compressed)
        note(notes, "Options with quality_unverified use fewer bits than the published weights: measure the quality.");
    if (extrapolated)
        note(notes, "Some predictions are extrapolated: the GPU, the model or the engine was not in the fit.");
    if (pipeline) {
        note(notes,
             "Pipeline parallelism is not measured here: such options are extrapolated. Stages on several instances "
             "are considered for whole hosts only, and need a fast network between them.");
    }
}

static enum status fill_notes(const struct recommend_context *context, const struct question *question,
                              struct recommendation *answer, struct arena *arena)
{
    struct notes assumptions = {0}, warnings = {0};
    note_assumptions(context, question, answer, arena, &assumptions);
    note_warnings(answer, &warnings);
    enum status status = keep_notes(&assumptions, arena, &answer->assumptions, &answer->assumption_count);
    if (status != STATUS_OK) return status;
    return keep_notes(&warnings, arena, &answer->warnings, &answer->warning_count);
}

/* --- the whole --------------------------------------------------------------------------------------------------- */

static enum status relax_and_explain(const struct question *question, const struct recommend_request *request,
                                     struct arena *arena, struct recommendation *answer)
{
    enum status status = relax(question, request, arena, answer);
    for (size_t i = 0; i < answer->relaxation_count && status == STATUS_OK; i++) {
        answer->relaxations[i].detail = explain_relaxation(&answer->relaxations[i], arena);
        if (!answer->relaxations[i].detail) status = STATUS_OUT_OF_MEMORY;
    }
    return status;
}

enum status recommend(const struct recommend_context *context, struct recommend_request *request, struct arena *arena,
                      struct problems *problems, struct recommendation *ret_answer)
{
    if (request->estimator == ESTIMATOR_ARTICLE) {
        return article_recommend(context, request, arena, problems, ret_answer);
    }
    struct question question;
    enum status status = question_read(context, request, arena, problems, &question);
    if (status != STATUS_OK) return status;
    struct search_result result;
    status = search_run(&question, arena, &result);
    if (status != STATUS_OK) return status;
    struct recommendation answer = {.request = request, .options = result.options, .option_count = result.option_count};
    rank_options(&answer);
    for (size_t i = 0; i < answer.option_count && status == STATUS_OK; i++) {
        status = finish_option(&question, &answer.options[i], arena);
    }
    if (status == STATUS_OK) status = fill_rejections(&question, &result, &answer, arena);
    if (status == STATUS_OK) status = fill_pareto(&answer, arena);
    if (status == STATUS_OK && !answer.has_recommended) status = relax_and_explain(&question, request, arena, &answer);
    if (status == STATUS_OK) status = fill_notes(context, &question, &answer, arena);
    if (status == STATUS_OK && question.explained) status = explain_gpu(&question, arena, &answer);
    if (status != STATUS_OK) return status;
    *ret_answer = answer;
    return STATUS_OK;
}

enum status recommend_check(const struct recommend_context *context, struct recommend_request *request,
                            struct arena *arena, struct problems *problems)
{
    struct question question;
    if (request->estimator == ESTIMATOR_ARTICLE) return STATUS_OK;
    return question_read(context, request, arena, problems, &question);
}
