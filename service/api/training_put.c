/* training_put.c owns how the answer about a training run is written. */
#include "api/training.h"

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

static void put_cost(struct out *out, const struct training_plan *plan)
{
    const struct pack *pack = plan->pack;
    if (!pack) {
        out_null(out, "cost");
        return;
    }
    const struct offer *offer = pack->offer;
    out_object(out, "cost");
    out_text(out, "provider", offer ? offer->provider : NULL);
    out_text(out, "instance_type", offer && *offer->instance_type ? offer->instance_type : NULL);
    out_text(out, "region", offer && *offer->region ? offer->region : NULL);
    out_text(out, "purchase", purchase_name(pack->purchase));
    out_integer(out, "instance_count", plan->fleet.instances);
    out_integer(out, "gpus_paid", plan->fleet.gpus_paid);
    put_usd(out, "usd_per_hour", plan->cost.per_hour_usd);
    put_usd(out, "hardware_usd", plan->cost.hardware_usd);
    put_usd(out, "operating_usd", plan->cost.operating_usd);
    api_put_predicted(out, "total_usd", plan->cost_usd);
    api_put_predicted(out, "usd_per_million_tokens", predicted_scale(plan->cost_usd, 1e6 / plan->tokens));
    out_object_end(out);
}

static void put_plan(struct out *out, const char *key, const struct training_plan *plan)
{
    out_object(out, key);
    out_text(out, "gpu", plan->setup.gpu->id);
    put_layout(out, &plan->setup);
    put_memory(out, &plan->memory);
    put_recompute(out, &plan->setup);
    put_time(out, plan);
    put_restarts(out, plan);
    put_cost(out, plan);
    api_put_number(out, "meets_deadline_probability_ratio", plan->deadline_probability);
    api_put_number(out, "meets_budget_probability_ratio", plan->budget_probability);
    out_object_end(out);
}

static void put_rejections(struct call *call, const struct training_answer *answer)
{
    const struct snapshot *snapshot = call->snapshot;
    struct out *out = call->out;
    out_array(out, "rejected");
    for (size_t i = 0; i < snapshot->gpu_count; i++) {
        const struct training_rejection *rejection = &answer->search.rejections[i];
        if (rejection->reason == TRAINING_EXCLUDED || rejection->reason == TRAINING_OK) continue;
        out_object(out, NULL);
        out_text(out, "gpu", snapshot->gpus[i].id);
        out_text(out, "reason", training_reject_name(rejection->reason));
        api_put_number(out, "needed", rejection->needed);
        api_put_number(out, "available", rejection->available);
        out_text(out, "unit", rejection->unit && *rejection->unit ? rejection->unit : NULL);
        out_object_end(out);
    }
    out_array_end(out);
}

static void put_relaxations(struct out *out, const struct training_relaxations *relaxations)
{
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
        out_object_end(out);
    }
    out_array_end(out);
}

void training_put(struct call *call, const struct training_request *request, const struct training_answer *answer)
{
    const struct training_search *search = &answer->search;
    const struct training_plan *plan = search->found                                   ? &search->best
                                       : answer->question.fixed && search->has_nearest ? &search->nearest
                                                                                       : NULL;
    struct out *out = call->out;
    api_put_head(call, request->fleet.as_of);
    api_put_model(out, &answer->model);
    out_bool(out, "feasible", search->found);
    if (plan)
        put_plan(out, "plan", plan);
    else
        out_null(out, "plan");
    put_rejections(call, answer);
    put_relaxations(out, &answer->relaxations);
}
