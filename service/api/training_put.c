/* training_put.c owns how the answer about a training run is written. */
#include "api/training.h"

#include <stdlib.h>
#include <string.h>

static void put_layout(struct out *out, const struct training_setup *setup)
{
    out_object(out, "layout");
    out_integer(out, "gpu_count", setup->gpus);
    out_integer(out, "gpus_per_host", setup->host_gpus);
    out_integer(out, "data_parallel", (int64_t)training_data_parallel(setup));
    out_integer(out, "tensor_parallel", setup->tensor_parallel);
    out_integer(out, "pipeline_parallel", setup->pipeline_parallel);
    out_integer(out, "virtual_stages", setup->virtual_stages);
    out_integer(out, "context_parallel", setup->context_parallel);
    out_integer(out, "expert_parallel", setup->expert_parallel);
    out_text(out, "sharding", training_sharding_names[setup->sharding]);
    out_text(out, "recompute", training_recompute_names[setup->recompute]);
    out_text(out, "offload", training_offload_names[setup->offload]);
    out_integer(out, "micro_batch_sequences", (int64_t)setup->micro_batch_sequences);
    out_integer(out, "micro_batches", (int64_t)setup->micro_batches);
    out_integer(out, "batch_sequences",
                (int64_t)(setup->micro_batch_sequences * setup->micro_batches * training_data_parallel(setup)));
    out_text(out, "framework", setup->profile->name);
    out_object_end(out);
}

static void put_gib(struct out *out, const char *key, struct predicted bytes)
{
    api_put_predicted(out, key, predicted_scale(bytes, 1 / GIB));
}

static void put_memory(struct out *out, const struct training_memory *memory)
{
    out_object(out, "memory");
    api_put_gib(out, "weights_gib", memory->weights_bytes);
    api_put_gib(out, "gradients_gib", memory->gradients_bytes);
    api_put_gib(out, "optimizer_gib", memory->optimizer_bytes);
    api_put_gib(out, "gathered_gib", memory->gathered_bytes);
    api_put_gib(out, "activations_gib", memory->activations_bytes);
    api_put_gib(out, "logits_gib", memory->logits_bytes);
    api_put_gib(out, "overhead_gib", memory->overhead_bytes);
    put_gib(out, "total_gib", memory->total_bytes);
    api_put_gib(out, "available_gib", memory->available_bytes);
    api_put_gib(out, "headroom_gib", memory->available_bytes - memory->total_bytes.value);
    out_bool(out, "fits", memory->fits);
    out_bool(out, "fits_safely", memory->fits_safely);
    api_put_gib(out, "host_gib", memory->host_bytes);
    api_put_gib(out, "nvme_gib", memory->nvme_bytes);
    out_object_end(out);
}

static void put_saving(struct out *out, const char *key, const struct training_setup *setup,
                       enum training_recompute recompute)
{
    struct training_saving saving;
    if (!training_recompute_saving(setup, recompute, &saving)) {
        out_null(out, key);
        return;
    }
    out_object(out, key);
    api_put_number(out, "memory_saved_ratio", saving.memory_ratio);
    api_put_number(out, "activations_saved_ratio", saving.activation_ratio);
    api_put_number(out, "time_added_ratio", saving.time_ratio);
    out_object_end(out);
}

static void put_recompute(struct out *out, const struct training_setup *setup)
{
    out_object(out, "recompute");
    put_saving(out, "selective", setup, RECOMPUTE_SELECTIVE);
    put_saving(out, "full", setup, RECOMPUTE_FULL);
    out_object_end(out);
}

/* Shares of the time of a step. */
static void put_terms(struct out *out, const struct training_terms *terms)
{
    const struct {
        const char *key;
        double seconds;
    } shares[] = {
        {"products_ratio", terms->products},
        {"experts_ratio", terms->experts},
        {"attention_ratio", terms->attention},
        {"activations_ratio", terms->passes},
        {"recompute_ratio", terms->recompute},
        {"tensor_parallel_ratio", terms->tensor_comm},
        {"expert_parallel_ratio", terms->expert_comm},
        {"data_parallel_ratio", terms->shard_comm},
        {"launch_ratio", terms->launch},
        {"pipeline_bubble_ratio", terms->bubble},
        {"optimizer_ratio", terms->update},
    };
    double sum = training_terms_sum(terms);
    out_object(out, "breakdown");
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        api_put_number(out, shares[i].key, shares[i].seconds / sum);
    out_object_end(out);
}

static void put_time(struct out *out, const struct training_plan *plan)
{
    const struct training_time *time = &plan->time;
    out_object(out, "time");
    api_put_predicted(out, "tokens_per_second", time->tokens_per_second);
    api_put_predicted(out, "tokens_per_second_per_gpu",
                      predicted_scale(time->tokens_per_second, 1.0 / plan->setup.gpus));
    api_put_predicted(out, "step_seconds", time->step_seconds);
    api_put_number(out, "step_tokens", time->step_tokens);
    api_put_number(out, "mfu_ratio", time->mfu_ratio);
    api_put_number(out, "gflops_per_token", time->flops_per_token / 1e9);
    api_put_predicted(out, "compute_hours", plan->compute_hours);
    api_put_predicted(out, "hours", plan->hours);
    api_put_predicted(out, "days", predicted_scale(plan->hours, 1.0 / 24));
    api_put_predicted(out, "energy_kwh", plan->energy_kwh);
    put_terms(out, &time->terms);
    out_object_end(out);
}

static void put_restarts(struct out *out, const struct training_plan *plan)
{
    const struct training_restarts *restarts = &plan->restarts;
    double extra_hours = plan->compute_hours.value * restarts->extra_ratio;
    out_object(out, "interruptions");
    api_put_gib(out, "checkpoint_gib", restarts->checkpoint_bytes);
    api_put_number(out, "checkpoint_seconds", restarts->write_seconds);
    api_put_number(out, "checkpoint_interval_minutes", restarts->interval_seconds / 60);
    api_put_number(out, "interruptions_per_hour", restarts->interruptions_per_hour);
    api_put_number(out, "expected_interruptions", plan->tokens > 0 ? restarts->expected_interruptions : UNKNOWN);
    api_put_number(out, "extra_hours", extra_hours);
    api_put_number(out, "extra_usd", usd_to_double(plan->cost.per_hour_usd) * extra_hours);
    api_put_number(out, "extra_ratio", restarts->extra_ratio);
    out_object_end(out);
}

static void put_usd(struct out *out, const char *key, usd_t amount)
{
    api_put_number(out, key, usd_to_double(amount));
}

/* Null where there is no price. */
static void put_price(struct out *out, const struct training_plan *plan)
{
    const struct offer *offer = plan->pack ? plan->pack->offer : NULL;
    out_text(out, "purchase", plan->pack ? purchase_name(plan->pack->purchase) : NULL);
    out_text(out, "provider", offer ? offer->provider : NULL);
    out_text(out, "instance_type", offer && *offer->instance_type ? offer->instance_type : NULL);
    out_text(out, "region", offer && *offer->region ? offer->region : NULL);
    out_integer(out, "instance_count", plan->pack ? plan->fleet.instances : VALUE_ABSENT);
    out_integer(out, "gpus_paid", plan->pack ? plan->fleet.gpus_paid : VALUE_ABSENT);
    put_usd(out, "usd_per_hour", plan->cost.per_hour_usd);
    put_usd(out, "hardware_usd", plan->cost.hardware_usd);
    put_usd(out, "operating_usd", plan->cost.operating_usd);
    api_put_predicted(out, "total_usd", plan->cost_usd);
}

static void put_cost(struct out *out, const struct training_plan *plan)
{
    out_object(out, "cost");
    put_price(out, plan);
    api_put_predicted(out, "usd_per_million_tokens", predicted_scale(plan->cost_usd, 1e6 / plan->tokens));
    out_object_end(out);
}

/* Hours of training after which owning has cost less than renting by the hour, as they are lived one after another. */
static double break_even_hours(const struct training_answer *answer)
{
    const struct training_payment *owned = &answer->payments[PURCHASE_OWNED];
    const struct training_payment *rented = &answer->payments[PURCHASE_ON_DEMAND];
    if (!owned->found || !rented->found) return UNKNOWN;
    double hours = isfinite(owned->plan.hours.value) ? owned->plan.hours.value : 1;
    double running = usd_to_double(owned->plan.cost.operating_usd) / hours;
    double saved = usd_to_double(rented->plan.cost.per_hour_usd) - running;
    return saved > 0 ? usd_to_double(owned->plan.cost.hardware_usd) / saved : UNKNOWN;
}

/* The same GPUs and layout under each way to pay that there is. */
static void put_payments(struct out *out, const struct training_answer *answer)
{
    out_array(out, "payments");
    for (int purchase = 0; purchase < PURCHASE_COUNT; purchase++) {
        const struct training_payment *payment = &answer->payments[purchase];
        if (!payment->found) continue;
        out_object(out, NULL);
        put_price(out, &payment->plan);
        api_put_predicted(out, "hours", payment->plan.hours);
        api_put_number(out, "break_even_hours", purchase == PURCHASE_OWNED ? break_even_hours(answer) : UNKNOWN);
        out_object_end(out);
    }
    out_array_end(out);
}

static void put_plan(struct out *out, const char *key, const struct training_question *question,
                     const struct training_plan *plan)
{
    bool deadline = is_known(question->deadline_hours), budget = usd_known(question->fleet.budget_usd);
    out_object(out, key);
    out_text(out, "gpu", plan->setup.gpu->id);
    put_layout(out, &plan->setup);
    put_memory(out, &plan->memory);
    put_recompute(out, &plan->setup);
    put_time(out, plan);
    put_restarts(out, plan);
    put_cost(out, plan);
    api_put_number(out, "meets_deadline_probability_ratio", deadline ? plan->deadline_probability : UNKNOWN);
    api_put_number(out, "meets_budget_probability_ratio", budget ? plan->budget_probability : UNKNOWN);
    out_object_end(out);
}

/* Those that got furthest come first, of equal ones those that lack least. */
struct ranked {
    const struct training_rejection *rejection;
    uint32_t gpu;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    const struct training_rejection *one = a->rejection, *other = b->rejection;
    if (one->reason != other->reason) return one->reason > other->reason ? -1 : 1;
    double lacks = one->needed / one->available, other_lacks = other->needed / other->available;
    if (is_known(lacks) && is_known(other_lacks) && lacks != other_lacks) return lacks < other_lacks ? -1 : 1;
    return a->gpu < b->gpu ? -1 : a->gpu > b->gpu;
}

static void put_rejection(struct out *out, const struct gpu *gpu, const struct training_rejection *rejection)
{
    out_object(out, NULL);
    out_text(out, "gpu", gpu->id);
    out_text(out, "reason", training_reject_name(rejection->reason));
    api_put_number(out, "needed", rejection->needed);
    api_put_number(out, "available", rejection->available);
    out_text(out, "unit", rejection->unit && *rejection->unit ? rejection->unit : NULL);
    out_object_end(out);
}

static void put_rejections(struct call *call, const struct training_answer *answer)
{
    const struct snapshot *snapshot = call->snapshot;
    struct ranked *ranked = ARENA_ARRAY(call->arena, snapshot->gpu_count, struct ranked);
    size_t count = 0;
    if (!ranked) call->out->failed = true;
    for (uint32_t i = 0; ranked && i < snapshot->gpu_count; i++) {
        const struct training_rejection *rejection = &answer->search.rejections[i];
        if (rejection->reason != TRAINING_EXCLUDED && rejection->reason != TRAINING_OK)
            ranked[count++] = (struct ranked){rejection, i};
    }
    if (count) qsort(ranked, count, sizeof *ranked, compare_ranked);
    out_array(call->out, "rejected");
    for (size_t i = 0; i < count; i++)
        put_rejection(call->out, &snapshot->gpus[ranked[i].gpu], ranked[i].rejection);
    out_array_end(call->out);
}

/* "constraints.budget_usd from 50 to 812.4: 8 h100-sxm, 14.2 hours, 700 USD" */
static const char *detail_of(const struct training_relaxation *item, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < item->change_count && text; i++) {
        const struct training_change *change = &item->changes[i];
        const char *name = strchr(change->field, '.') + 1, *comma = i ? ", and " : "";
        text = change->word
                   ? arena_printf(arena, "%s%s%s %s", text, comma, name, change->word)
                   : arena_printf(arena, "%s%s%s %.6g instead of %.6g", text, comma, name, change->to, change->from);
    }
    const struct training_plan *plan = &item->plan;
    if (!text || !isfinite(plan->hours.value) || !isfinite(plan->cost_usd.value))
        return text ? arena_printf(arena, "%s: %u %s", text, plan->setup.gpus, plan->setup.gpu->id) : NULL;
    return arena_printf(arena, "%s: %u %s for %.4g hours, %.0f USD", text, plan->setup.gpus, plan->setup.gpu->id,
                        plan->hours.value, plan->cost_usd.value);
}

static void put_relaxations(struct call *call, const struct training_relaxations *relaxations)
{
    struct out *out = call->out;
    out_array(out, "relaxations");
    for (size_t i = 0; i < relaxations->count; i++) {
        const struct training_relaxation *item = &relaxations->items[i];
        out_object(out, NULL);
        out_array(out, "changes");
        for (size_t j = 0; j < item->change_count; j++) {
            const struct training_change *change = &item->changes[j];
            out_object(out, NULL);
            out_text(out, "field", change->field);
            api_put_number(out, "from", change->from);
            api_put_number(out, "to", change->to);
            out_text(out, "value", change->word);
            out_object_end(out);
        }
        out_array_end(out);
        out_text(out, "gpu", item->plan.setup.gpu->id);
        out_integer(out, "gpu_count", item->plan.setup.gpus);
        api_put_predicted(out, "hours", item->plan.hours);
        api_put_predicted(out, "total_usd", item->plan.cost_usd);
        const char *detail = detail_of(item, call->arena);
        if (!detail) out->failed = true;
        out_text(out, "detail", detail);
        out_object_end(out);
    }
    out_array_end(out);
}

/* --- what was taken for granted -------------------------------------------------------------------------------- */

static const char *step_taken(const struct training_request *request, const struct training_plan *plan,
                              struct arena *arena)
{
    if (request->batch_sequences != VALUE_ABSENT) return NULL;
    return arena_printf(arena, "A step of the optimizer takes %.0f tokens: batch_sequences says otherwise.",
                        training_step_tokens(&plan->setup));
}

static const char *network_taken(const struct training_request *request, const struct training_plan *plan,
                                 struct arena *arena)
{
    const struct training_setup *setup = &plan->setup;
    if (is_known(request->network_gb_per_s) || setup->gpus <= setup->host_gpus) return NULL;
    return arena_printf(arena, "Each GPU reaches other hosts at %.4g GB/s: network_gb_per_s says otherwise.",
                        training_network_gb_per_s(setup));
}

static const char *spot_taken(const struct training_request *request, const struct training_plan *plan,
                              struct arena *arena)
{
    bool spot = plan->pack && plan->pack->purchase == PURCHASE_SPOT;
    if (!spot || is_known(request->interruptions.per_instance_hour)) return NULL;
    return arena_printf(
        arena, "A spot instance is lost about every %.0f hours: interruptions_per_instance_hour says otherwise.",
        1 / plan->setup.profile->coef.spot_interruptions_per_hour);
}

static const char *ownership_taken(const struct training_request *request, const struct training_plan *plan,
                                   struct arena *arena)
{
    bool owned = plan->pack && plan->pack->purchase == PURCHASE_OWNED;
    if (!owned || request->fleet.residual_value_ratio > 0) return NULL;
    return arena_printf(arena, "Owned GPUs are paid for in full by this run: residual_value_ratio says what is left.");
}

static const char *offload_taken(const struct training_request *request, const struct training_plan *plan,
                                 struct arena *arena)
{
    if (request->offload == OFFLOAD_NONE) return NULL;
    return arena_printf(
        arena, "Each host has %.0f GiB of memory free for what is offloaded, and no run with offload was measured.",
        ceil(plan->memory.host_bytes / GIB));
}

static void put_assumptions(struct call *call, const struct training_request *request,
                            const struct training_answer *answer, const struct training_plan *plan)
{
    static const char *(*const sentences[])(const struct training_request *, const struct training_plan *,
                                            struct arena *) = {step_taken, network_taken, spot_taken, ownership_taken,
                                                               offload_taken};
    out_array(call->out, "assumptions");
    if (answer->model.assumed)
        out_text(
            call->out, NULL,
            "Only the size of the model is known: layers and heads are those of a usual dense model of that size.");
    for (size_t i = 0; plan && i < sizeof sentences / sizeof *sentences; i++) {
        const char *sentence = sentences[i](request, plan, call->arena);
        if (sentence) out_text(call->out, NULL, sentence);
    }
    out_array_end(call->out);
}

void training_put(struct call *call, const struct training_request *request, const struct training_answer *answer)
{
    const struct training_plan *plan = training_answer_plan(answer);
    struct out *out = call->out;
    api_put_head(call, request->fleet.as_of);
    api_put_model(out, &answer->model);
    out_text(out, "estimator", estimator_names[ESTIMATOR_ROOFLINE]);
    out_bool(out, "feasible", answer->search.found);
    call->found_nothing = !answer->search.found;
    if (plan)
        put_plan(out, "plan", &answer->question, plan);
    else
        out_null(out, "plan");
    put_payments(out, answer);
    put_rejections(call, answer);
    put_relaxations(call, &answer->relaxations);
    put_assumptions(call, request, answer, plan);
}
