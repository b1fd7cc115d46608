/* training_relax.c owns what to give way on where no GPUs train a model as asked for: one field by the least that
 * helps, several together where none alone does, or another method. */
#include "sizing/training_search.h"

#include "catalog/value.h"

enum { MORE_GPUS = 4096 };
enum { BUDGET = 1, DEADLINE = 2, GPUS = 4 };

/* In the order in which they are tried and told. Without the budget the answer is the cheapest plan within the
 * deadline, without the deadline the fastest within the budget. */
static const struct attempt {
    unsigned given_up;
    enum training_least least;
} attempts[] = {
    {BUDGET, TRAINING_LEAST_COST},
    {DEADLINE, TRAINING_LEAST_HOURS},
    {GPUS, TRAINING_LEAST_GPUS},
    {BUDGET | GPUS, TRAINING_LEAST_COST},
    {DEADLINE | GPUS, TRAINING_LEAST_HOURS},
    {BUDGET | DEADLINE, TRAINING_LEAST_COST},
    {BUDGET | DEADLINE | GPUS, TRAINING_LEAST_COST},
};

static struct training_relaxation *add(struct training_relaxations *relaxations, const struct training_plan *plan)
{
    if (relaxations->count == TRAINING_RELAXATIONS_MAX) return NULL;
    struct training_relaxation *item = &relaxations->items[relaxations->count++];
    *item = (struct training_relaxation){.plan = *plan};
    return item;
}

static void tell(const struct training_question *question, unsigned given_up, struct training_relaxation *item)
{
    const struct training_plan *plan = &item->plan;
    double deviate = question->fleet.deviate;
    const struct {
        unsigned limit;
        struct training_change change;
    } changes[] = {
        {BUDGET,
         {"constraints.budget_usd", usd_to_double(question->fleet.budget_usd),
          training_safe_limit(plan->cost_usd, deviate), NULL}},
        {DEADLINE,
         {"workload.deadline_hours", question->deadline_hours, training_safe_limit(plan->hours, deviate), NULL}},
        {GPUS, {"constraints.max_gpus", question->fleet.max_gpus, plan->setup.gpus, NULL}},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (given_up & changes[i].limit) item->changes[item->change_count++] = changes[i].change;
    }
}

/* Limits of the question that can be given up at all. */
static unsigned limits_of(const struct training_question *question)
{
    unsigned limits = usd_known(question->fleet.budget_usd) ? BUDGET : 0;
    if (is_known(question->deadline_hours)) limits |= DEADLINE;
    return question->gpus ? limits : limits | GPUS;
}

static enum status relax_limits(const struct training_question *question, const struct attempt *attempt,
                                struct arena *arena, struct training_relaxations *relaxations)
{
    struct training_search search;
    struct training_question free = *question;
    free.least = attempt->least;
    if (attempt->given_up & BUDGET) free.fleet.budget_usd = USD_UNKNOWN;
    if (attempt->given_up & DEADLINE) free.deadline_hours = UNKNOWN;
    if (attempt->given_up & GPUS) free.fleet.max_gpus = MORE_GPUS;
    enum status status = training_search_run(&free, arena, &search);
    if (status != STATUS_OK || !search.found) return status;
    struct training_relaxation *item = add(relaxations, &search.best);
    if (item) tell(question, attempt->given_up, item);
    return STATUS_OK;
}

static enum status relax_method(struct training_question question, enum training_method method, struct arena *arena,
                                struct training_relaxations *relaxations)
{
    struct training_search search;
    question.setup.method = method;
    question.memo = NULL;
    if (!question.setup.lora_rank) question.setup.lora_rank = TRAINING_LORA_RANK;
    enum status status = training_search_run(&question, arena, &search);
    if (status != STATUS_OK || !search.found) return status;
    struct training_relaxation *item = add(relaxations, &search.best);
    if (item)
        item->changes[item->change_count++] =
            (struct training_change){"training.method", UNKNOWN, UNKNOWN, training_method_names[method]};
    return STATUS_OK;
}

/* What contains a set that is enough by itself is not tried. */
static bool is_needless(unsigned given_up, const unsigned *enough, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if ((given_up & enough[i]) == enough[i]) return true;
    }
    return false;
}

enum status training_relax(const struct training_question *question, struct arena *arena,
                           struct training_relaxations *ret_relaxations)
{
    struct training_relaxations relaxations = {.count = 0};
    unsigned limits = limits_of(question), enough[sizeof attempts / sizeof *attempts];
    enum status status = STATUS_OK;
    for (size_t i = 0, found = 0; i < sizeof attempts / sizeof *attempts && status == STATUS_OK; i++) {
        unsigned given_up = attempts[i].given_up;
        if ((given_up & limits) != given_up || is_needless(given_up, enough, found)) continue;
        status = relax_limits(question, &attempts[i], arena, &relaxations);
        if (relaxations.count > found) enough[found++] = given_up;
    }
    bool full = question->setup.method == TRAINING_FULL;
    if (status == STATUS_OK && full) status = relax_method(*question, TRAINING_LORA, arena, &relaxations);
    if (status == STATUS_OK && (full || question->setup.method == TRAINING_LORA))
        status = relax_method(*question, TRAINING_QLORA, arena, &relaxations);
    if (status == STATUS_OK) *ret_relaxations = relaxations;
    return status;
}
