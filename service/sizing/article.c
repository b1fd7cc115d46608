/* article.c owns the article's estimator: bandwidth in GB/s over 1,000 as tokens per second, and one GPU more than
 * the memory needs. Kept for comparison; every formula is the article's. */
#include "sizing/article.h"

#include "sizing/demand.h"
#include "sizing/explain.h"
#include "sizing/relax.h"

#include <stdlib.h>
#include <string.h>

enum { ARTICLE_GPUS_MAX = 16, ARTICLE_ALTERNATIVES = 2, ARTICLE_FLEET_MAX = 1000000 };

struct article_part {
    uint32_t gpu;
    double price_usd, vram_gb, bandwidth_gb_per_s;
};

struct article_question {
    const struct snapshot *snapshot;
    double size_gb, throughput, hours, operating_usd_per_hour;
    double budget_usd; /* NaN = none */
};

double article_memory_gib(double parameters, double bits)
{
    return parameters * (bits / 8) / GIB;
}

/* The article's own list: facts of the catalog under article_* keys. */
static size_t list_parts(const struct snapshot *snapshot, struct article_part parts[ARTICLE_GPUS_MAX])
{
    size_t count = 0;
    for (uint32_t gpu = 0; gpu < snapshot->gpu_count && count < ARTICLE_GPUS_MAX; gpu++) {
        const char *id = snapshot->gpus[gpu].id;
        const struct operating_cost *price = snapshot_operating_cost(snapshot, "article_price_usd", id);
        const struct operating_cost *vram = snapshot_operating_cost(snapshot, "article_vram_gb", id);
        const struct operating_cost *bandwidth = snapshot_operating_cost(snapshot, "article_bandwidth_gb_per_s", id);
        if (!price || !vram || !bandwidth) continue;
        parts[count++] = (struct article_part){gpu, price->value, vram->value, bandwidth->value};
    }
    return count;
}

static double operating_rate(const struct snapshot *snapshot)
{
    static const char *const keys[] = {"article_power_usd_per_hour", "article_cooling_usd_per_hour",
                                       "article_maintenance_usd_per_hour"};
    double sum = 0;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const struct operating_cost *fact = snapshot_operating_cost(snapshot, keys[i], "all");
        sum += fact ? fact->value : UNKNOWN;
    }
    return sum;
}

static uint32_t memory_gpus(const struct article_question *question, const struct article_part *part)
{
    return (uint32_t)(question->size_gb / part->vram_gb) + 1;
}

static struct option article_option(const struct article_question *question, const struct article_part *part)
{
    uint32_t gpus = memory_gpus(question, part);
    double throughput = part->bandwidth_gb_per_s * gpus / 1000;
    if (throughput < question->throughput) {
        double multiplier = question->throughput / throughput;
        gpus = (uint32_t)(gpus * multiplier) + 1;
        throughput *= multiplier;
    }
    double hardware = part->price_usd * gpus, operating = question->operating_usd_per_hour * gpus * question->hours;
    struct predicted speed = predicted_make(throughput, UNKNOWN, UNKNOWN, BASIS_EXTRAPOLATED);
    return (struct option){
        .deployment = {.gpu = &question->snapshot->gpus[part->gpu],
                       .tensor_parallel = gpus,
                       .pipeline_parallel = 1,
                       .weight_dtype = DTYPE_FP16},
        .memory = {.weights_bytes = question->size_gb * GB / gpus,
                   .activations_bytes = UNKNOWN,
                   .overhead_bytes = UNKNOWN,
                   .kv_pool_bytes = UNKNOWN,
                   .available_bytes = part->vram_gb * GB,
                   .max_concurrency = UNKNOWN,
                   .kv_bytes_per_token = UNKNOWN},
        .gpu = part->gpu,
        .purchase = PURCHASE_OWNED,
        .instance_count = gpus,
        .gpus_per_instance = 1,
        .gpu_count = gpus,
        .gpus_used = gpus,
        .replicas = 1,
        .kv_needed_bytes = UNKNOWN,
        .performance = {.requests_per_second = PREDICTED_UNKNOWN,
                        .output_tokens_per_second = speed,
                        .total_tokens_per_second = PREDICTED_UNKNOWN,
                        .prefill_tokens_per_second = PREDICTED_UNKNOWN,
                        .ttft_ms = PREDICTED_UNKNOWN,
                        .tpot_ms = PREDICTED_UNKNOWN,
                        .e2e_ms = PREDICTED_UNKNOWN,
                        .watts = UNKNOWN,
                        .tdp_watts = UNKNOWN,
                        .basis = BASIS_EXTRAPOLATED},
        .meets_slo_probability_ratio = UNKNOWN,
        .capacity_requests_per_second = PREDICTED_UNKNOWN,
        .capacity_output_tokens_per_second = speed,
        .cost = {.hardware_usd = usd_from_double(hardware),
                 .operating_usd = usd_from_double(operating),
                 .total_usd = usd_from_double(hardware + operating),
                 .per_hour_usd = usd_from_double((hardware + operating) / question->hours),
                 .per_million_tokens_usd = PREDICTED_UNKNOWN,
                 .per_million_input_tokens_usd = PREDICTED_UNKNOWN,
                 .per_million_output_tokens_usd = PREDICTED_UNKNOWN,
                 .per_gb_vram_usd = round6(hardware / (part->vram_gb * gpus)),
                 .per_gb_per_s_bandwidth_usd = round6(hardware / (part->bandwidth_gb_per_s * gpus)),
                 .per_throughput_usd =
                     predicted_make((hardware + operating) / throughput, UNKNOWN, UNKNOWN, BASIS_EXTRAPOLATED)},
        .power_watts = UNKNOWN,
    };
}

/* The article has no limit; counts and money have. Its memory rule stays far below at any size of a model. */
static bool within_reach(const struct article_question *question, const struct article_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (question->throughput * 1000 > parts[i].bandwidth_gb_per_s * ARTICLE_FLEET_MAX) return false;
    }
    return true;
}

/* "Sort by cost efficiency (cost per throughput)". */
static int compare_efficiency(const void *left, const void *right)
{
    const struct option *a = left, *b = right;
    double x = a->cost.per_throughput_usd.value, y = b->cost.per_throughput_usd.value;
    if (x != y) return x < y ? -1 : 1;
    return strcmp(a->deployment.gpu->id, b->deployment.gpu->id);
}

static enum status add_relaxation(struct recommendation *answer, const char *constraint, double from, double to,
                                  const struct option *option, const char *detail)
{
    if (!detail) return STATUS_OUT_OF_MEMORY;
    answer->relaxations[answer->relaxation_count++] = (struct relaxation){
        .constraint = constraint,
        .from = from,
        .to = relax_outwards(from, to),
        .relative_change = round6(fabs(to - from) / from),
        .option = option,
        .detail = detail,
    };
    return STATUS_OK;
}

/* The largest throughput below which the article's own rounding stays within the budget: int(g·r/t) + 1 ≤ n holds
 * while r < n·bandwidth/1000. */
static enum status relax_throughput(const struct article_question *question, const struct article_part *parts,
                                    size_t count, struct arena *arena, struct recommendation *answer)
{
    double best = 0;
    struct option *option = ARENA_NEW(arena, struct option);
    if (!option) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        double each = parts[i].price_usd + question->operating_usd_per_hour * question->hours;
        double affordable = floor(question->budget_usd / each);
        double limit = affordable * parts[i].bandwidth_gb_per_s / 1000;
        if (affordable < memory_gpus(question, &parts[i]) || limit <= best) continue;
        best = limit;
        struct article_question smaller = *question;
        smaller.throughput = limit * (1 - 1e-9);
        *option = article_option(&smaller, &parts[i]);
    }
    if (best == 0) return STATUS_OK; /* the memory alone needs more than the budget buys */
    return add_relaxation(answer, "throughput_tokens_per_second", question->throughput, best, option,
                          arena_printf(arena, "below %.6g tokens/s: %u × %s for %.2f USD.", best, option->gpu_count,
                                       option->deployment.gpu->name, usd_to_double(option->cost.total_usd)));
}

static enum status relax_duration(const struct article_question *question, const struct option *options, size_t count,
                                  struct arena *arena, struct recommendation *answer)
{
    double best = 0;
    struct option *option = ARENA_NEW(arena, struct option);
    if (!option) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        double left = question->budget_usd - usd_to_double(options[i].cost.hardware_usd);
        double hours = floor(left / (question->operating_usd_per_hour * options[i].gpu_count));
        if (hours <= best) continue;
        best = hours;
        *option = options[i];
    }
    if (best == 0) return STATUS_OK; /* the hardware alone is over the budget */
    return add_relaxation(
        answer, "duration_hours", question->hours, best, option,
        arena_printf(arena, "%g hours: %u × %s.", best, option->gpu_count, option->deployment.gpu->name));
}

static enum status relax_article(const struct article_question *question, const struct article_part *parts,
                                 const struct option *options, size_t count, struct arena *arena,
                                 struct recommendation *answer)
{
    answer->relaxations = ARENA_ARRAY(arena, 3, struct relaxation);
    struct option *cheapest = ARENA_NEW(arena, struct option);
    if (!answer->relaxations || !cheapest) return STATUS_OUT_OF_MEMORY;
    *cheapest = options[0];
    for (size_t i = 1; i < count; i++) {
        if (usd_compare(options[i].cost.total_usd, cheapest->cost.total_usd) < 0) *cheapest = options[i];
    }
    double total = usd_to_double(cheapest->cost.total_usd);
    enum status status = relax_throughput(question, parts, count, arena, answer);
    if (status == STATUS_OK) status = relax_duration(question, options, count, arena, answer);
    if (status != STATUS_OK) return status;
    return add_relaxation(answer, "budget_usd", question->budget_usd, total, cheapest,
                          arena_printf(arena, "budget + %.2f USD, to %.2f: %u × %s.", total - question->budget_usd,
                                       total, cheapest->gpu_count, cheapest->deployment.gpu->name));
}

static enum status keep_affordable(const struct article_question *question, struct option *all, size_t count,
                                   size_t options_max, struct arena *arena, struct recommendation *answer)
{
    answer->options = ARENA_ARRAY(arena, count, struct option);
    answer->rejected = ARENA_ARRAY(arena, count, struct rejection);
    if (!answer->options || !answer->rejected) return STATUS_OUT_OF_MEMORY;
    for (size_t i = 0; i < count; i++) {
        double total = usd_to_double(all[i].cost.total_usd);
        bool affordable = !is_known(question->budget_usd) || total <= question->budget_usd;
        if (affordable && answer->option_count < options_max) {
            struct option *option = &answer->options[answer->option_count++];
            *option = all[i];
            option->rank = (uint32_t)answer->option_count;
            option->explanation = arena_printf(
                arena, "%u × %s by the article's rule: %.6g GB/s × GPUs / 1000 tokens/s.", option->gpu_count,
                option->deployment.gpu->name, option->deployment.gpu->memory_bandwidth_gb_per_s);
            if (!option->explanation) return STATUS_OUT_OF_MEMORY;
            continue;
        }
        struct rejection *rejection = &answer->rejected[answer->rejected_count++];
        *rejection = (struct rejection){
            .gpu = all[i].gpu,
            .reason = affordable ? REJECT_OUTRANKED : REJECT_BUDGET,
            .needed = total,
            .available = affordable ? UNKNOWN : question->budget_usd,
            .unit = "USD",
            .detail =
                arena_printf(arena, "%u × %s cost %.2f USD.", all[i].gpu_count, all[i].deployment.gpu->name, total),
        };
        if (!rejection->detail) return STATUS_OUT_OF_MEMORY;
    }
    answer->has_recommended = answer->option_count > 0;
    return STATUS_OK;
}

static const char *const article_assumptions[] = {
    ("The article's arithmetic, kept for comparison: no KV cache, activations or engine memory, one GPU more than the "
     "weights fill, bandwidth in GB/s over 1000 as tokens per second."),
    "Prices and running costs are the article's own of 2024.",
    "Of the constraints only budget_usd and duration_hours are read; of the demand only the output tokens per second.",
};

/* As given where it was given: lengths that cancel out must not round it, the article's int() would see it. */
static double article_throughput(const struct recommend_request *request, const struct demand *demand)
{
    if (is_known(request->throughput_tokens_per_second)) return request->throughput_tokens_per_second;
    if (is_known(request->output_tokens_per_second)) return request->output_tokens_per_second;
    return demand->requests_per_second * demand->output_tokens;
}

static double article_size_gb(const struct recommend_context *context, const struct recommend_request *request)
{
    if (is_known(request->model.weights_gb)) return request->model.weights_gb;
    return context->model->parameters * 2 / GB;
}

enum status article_recommend(const struct recommend_context *context, struct recommend_request *request,
                              struct arena *arena, struct problems *problems, struct recommendation *ret_answer)
{
    if (request->alternatives == VALUE_ABSENT) request->alternatives = ARTICLE_ALTERNATIVES;
    if (!is_known(request->duration_hours)) request->duration_hours = HOURS_PER_YEAR;
    if (!date_known(request->as_of)) request->as_of = context->today;
    if (!is_known(request->arrival_cv2)) request->arrival_cv2 = 1;
    struct demand demand;
    enum status status = demand_read(request, problems, &demand);
    if (status != STATUS_OK) return status;
    if (demand.kind != DEMAND_RATE) {
        return problems_add(problems, STATUS_MISSING_FIELD, "workload.throughput_tokens_per_second",
                            "the article's estimator needs a throughput in tokens per second");
    }
    const struct article_question question = {
        .snapshot = context->snapshot,
        .size_gb = article_size_gb(context, request),
        .throughput = article_throughput(request, &demand),
        .hours = request->duration_hours,
        .operating_usd_per_hour = operating_rate(context->snapshot),
        .budget_usd = request->budget_usd,
    };
    struct article_part parts[ARTICLE_GPUS_MAX];
    size_t count = list_parts(context->snapshot, parts);
    if (!within_reach(&question, parts, count)) {
        return problems_add(problems, STATUS_OUT_OF_RANGE, "workload.throughput_tokens_per_second",
                            "%.6g tokens/s take more than %d GPUs by the article's rule", question.throughput,
                            (int)ARTICLE_FLEET_MAX);
    }
    struct option all[ARTICLE_GPUS_MAX];
    for (size_t i = 0; i < count; i++)
        all[i] = article_option(&question, &parts[i]);
    struct recommendation answer = {.request = request,
                                    .assumptions = article_assumptions,
                                    .assumption_count = sizeof article_assumptions / sizeof article_assumptions[0]};
    if (count == 0) {
        *ret_answer = answer;
        return STATUS_OK;
    }
    if (is_known(question.budget_usd)) {
        status = relax_article(&question, parts, all, count, arena, &answer);
        if (status != STATUS_OK) return status;
    }
    qsort(all, count, sizeof all[0], compare_efficiency);
    status = keep_affordable(&question, all, count, (size_t)request->alternatives + 1, arena, &answer);
    if (status != STATUS_OK) return status;
    if (answer.has_recommended) answer.relaxation_count = 0;
    *ret_answer = answer;
    return STATUS_OK;
}
