/* training_relax.c owns what to give way on where no GPUs train a model as asked for: one field at a time, by the
 * least that helps. */
#include "sizing/training_search.h"

#include "catalog/value.h"

enum { MORE_GPUS = 4096 };

static struct training_relaxation *add(struct training_relaxations *relaxations, const struct training_plan *plan)
{
    if (relaxations->count == TRAINING_RELAXATIONS_MAX) return NULL;
    struct training_relaxation *item = &relaxations->items[relaxations->count++];
    *item = (struct training_relaxation){.from = UNKNOWN, .to = UNKNOWN, .plan = *plan};
    return item;
}

/* The value that a limit must have, so that a quantity is below it with the probability asked for. */
static double safe_limit(struct predicted quantity, double deviate)
{
    return quantity.value / demand_safe_ratio(quantity, deviate);
}

static enum status relax_number(struct training_question question, const char *field, double from, struct arena *arena,
                                struct training_relaxations *relaxations)
{
    struct training_search search;
    enum status status = training_search_run(&question, arena, &search);
    if (status != STATUS_OK || !search.found) return status;
    struct training_relaxation *item = add(relaxations, &search.best);
    if (!item) return STATUS_OK;
    double deviate = question.fleet.deviate;
    item->field = field;
    item->from = from;
    item->to = question.least == TRAINING_LEAST_GPUS    ? search.best.setup.gpus
               : question.least == TRAINING_LEAST_HOURS ? safe_limit(search.best.hours, deviate)
                                                        : safe_limit(search.best.cost_usd, deviate);
    return STATUS_OK;
}

static enum status relax_method(struct training_question question, enum training_method method, struct arena *arena,
                                struct training_relaxations *relaxations)
{
    struct training_search search;
    question.setup.method = method;
    if (!question.setup.lora_rank) question.setup.lora_rank = 16;
    enum status status = training_search_run(&question, arena, &search);
    if (status != STATUS_OK || !search.found) return status;
    struct training_relaxation *item = add(relaxations, &search.best);
    if (!item) return STATUS_OK;
    item->field = "training.method";
    item->word = training_method_names[method];
    return STATUS_OK;
}

enum status training_relax(const struct training_question *question, struct arena *arena,
                           struct training_relaxations *ret_relaxations)
{
    struct training_relaxations relaxations = {.count = 0};
    struct training_question free = *question;
    enum status status = STATUS_OK;
    if (usd_known(question->fleet.budget_usd)) {
        free.fleet.budget_usd = USD_UNKNOWN;
        status = relax_number(free, "constraints.budget_usd", usd_to_double(question->fleet.budget_usd), arena,
                              &relaxations);
    }
    if (status == STATUS_OK && is_known(question->deadline_hours)) {
        free = *question;
        free.deadline_hours = UNKNOWN;
        free.least = TRAINING_LEAST_HOURS;
        status = relax_number(free, "workload.deadline_hours", question->deadline_hours, arena, &relaxations);
    }
    if (status == STATUS_OK && !question->gpus) {
        free = *question;
        free.fleet.max_gpus = MORE_GPUS;
        free.least = TRAINING_LEAST_GPUS;
        status = relax_number(free, "constraints.max_gpus", question->fleet.max_gpus, arena, &relaxations);
    }
    bool full = question->setup.method == TRAINING_FULL;
    if (status == STATUS_OK && full) status = relax_method(*question, TRAINING_LORA, arena, &relaxations);
    if (status == STATUS_OK && (full || question->setup.method == TRAINING_LORA))
        status = relax_method(*question, TRAINING_QLORA, arena, &relaxations);
    if (status == STATUS_OK) *ret_relaxations = relaxations;
    return status;
}
