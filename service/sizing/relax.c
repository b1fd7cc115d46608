/* relax.c owns the search for single relaxations: each row of the tables loosens one constraint. The search finds the
 * option that needs least of it where an objective measures the need, lists are left out as a whole, and the rest is
 * bisected. */
#include "sizing/relax.h"

#include "sizing/relaxers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

double relax_outwards(double from, double to)
{
    double rounded = round6(to);
    if (to == from || (to > from ? rounded >= to : rounded <= to)) return rounded;
    double digit = pow(10, floor(log10(fabs(to))) - 5);
    return round6(to > from ? to + digit : to - digit);
}

struct relaxing {
    const struct question *question;
    const struct recommend_request *request;
    struct arena *arena;
    struct recommendation *answer;
};

/* The best option of a loosened question; NULL if there is none. */
static enum status best_option(const struct relaxing *relaxing, struct question *loosened,
                               const struct option **ret_best)
{
    struct search_result result;
    loosened->options_max = 1;
    *ret_best = NULL;
    enum status status = search_run(loosened, relaxing->arena, &result);
    if (status != STATUS_OK) return status;
    if (result.option_count && result.options[0].excluded_by == REJECT_NONE) *ret_best = &result.options[0];
    return STATUS_OK;
}

static void add_relaxation(const struct relaxing *relaxing, const char *constraint, double from, double to,
                           const struct option *option)
{
    struct recommendation *answer = relaxing->answer;
    assert(answer->relaxation_count < RELAXATIONS_MAX);
    answer->relaxations[answer->relaxation_count++] = (struct relaxation){
        .constraint = constraint,
        .from = round6(from),
        .to = relax_outwards(from, to),
        .relative_change = round6(fabs(to - from) / from),
        .option = option,
    };
}

static enum status run_relaxer(const struct relaxing *relaxing, const struct relaxer *relaxer)
{
    const struct recommend_request *request = relaxing->request;
    struct question loosened = *relaxing->question;
    double from = relaxer->from(&loosened, request);
    if (!is_known(from)) return STATUS_OK;
    relaxer->loosen(&loosened);
    const struct option *best = NULL;
    enum status status = best_option(relaxing, &loosened, &best);
    if (status != STATUS_OK || !best) return status;
    double to = relaxer->needs(relaxing->question, request, best);
    if (!is_known(to) || to == from) return STATUS_OK;
    if (relaxer->apply) {
        loosened = *relaxing->question;
        relaxer->apply(&loosened, request, to);
        status = best_option(relaxing, &loosened, &best);
    }
    if (status == STATUS_OK && best) add_relaxation(relaxing, relaxer->constraint, from, to, best);
    return status;
}

static enum status add_if_feasible(const struct relaxing *relaxing, const char *constraint, struct question *loosened)
{
    const struct option *best = NULL;
    enum status status = best_option(relaxing, loosened, &best);
    if (status == STATUS_OK && best) add_relaxation(relaxing, constraint, UNKNOWN, UNKNOWN, best);
    return status;
}

static enum status run_names(const struct relaxing *relaxing, const struct names_relaxer *relaxer)
{
    static const struct text_list no_names = {0};
    struct question loosened = *relaxing->question;
    struct recommend_request request = *relaxing->request;
    struct text_list names;
    memcpy(&names, (const char *)&request + relaxer->offset, sizeof names);
    if (!names.count) return STATUS_OK;
    memcpy((char *)&request + relaxer->offset, &no_names, sizeof no_names);
    enum status status = relaxer->allow(&loosened, &request, relaxing->arena);
    return status == STATUS_OK ? add_if_feasible(relaxing, relaxer->constraint, &loosened) : status;
}

static enum status run_list(const struct relaxing *relaxing, const struct list_relaxer *relaxer)
{
    struct question loosened = *relaxing->question;
    if (!relaxer->is_set(&loosened, relaxing->request)) return STATUS_OK;
    enum status status = relaxer->loosen(&loosened, relaxing->request, relaxing->arena);
    return status == STATUS_OK ? add_if_feasible(relaxing, relaxer->constraint, &loosened) : status;
}

/* Every value told was asked itself: `low` fails, `high` works. */
static enum status run_bisected(const struct relaxing *relaxing, const struct bisected *row)
{
    double from = row->from(relaxing->question, relaxing->request), low = from;
    if (!is_known(from)) return STATUS_OK;
    double high = row->loosest(relaxing->question, from), value = high;
    const struct option *best = NULL;
    for (int step = 0; step <= row->halvings; step++) {
        struct question loosened = *relaxing->question;
        const struct option *tried = NULL;
        row->apply(&loosened, relaxing->request, value);
        enum status status = best_option(relaxing, &loosened, &tried);
        if (status != STATUS_OK) return status;
        if (tried)
            high = value, best = tried;
        else
            low = value;
        if (!best) return STATUS_OK; /* not even the loosest value helps */
        value = row->tidy(row->geometric ? sqrt(low * high) : (low + high) / 2);
        if (value == low || value == high) break;
    }
    if (high != from) add_relaxation(relaxing, row->constraint, from, high, best);
    return STATUS_OK;
}

/* The safe rate of the fleet with most throughput is the answer if it works: a bound that the arrivals themselves, or
 * what the prediction at them rests on, may still miss. Then it is bisected. */
static enum status run_demand(const struct relaxing *relaxing)
{
    struct bisected row = demand_relaxer;
    row.constraint = relaxers_demand_name(relaxing->request);
    if (!row.constraint) return STATUS_OK;
    struct question loosened = *relaxing->question, less = loosened;
    double asked_rps = loosened.demand.requests_per_second, from = row.from(&loosened, relaxing->request);
    const struct option *most = NULL, *best = NULL;
    relaxers_loosen_demand(&loosened);
    enum status status = best_option(relaxing, &loosened, &most);
    if (status != STATUS_OK || !most) return status;
    double to = relax_outwards(from, from * most->safe_requests_per_second / asked_rps);
    row.apply(&less, relaxing->request, to);
    if (to < from) status = best_option(relaxing, &less, &best);
    if (status == STATUS_OK && best) add_relaxation(relaxing, row.constraint, from, to, best);
    return status != STATUS_OK || best ? status : run_bisected(relaxing, &row);
}

static int compare_relaxations(const void *left, const void *right)
{
    const struct relaxation *a = left, *b = right;
    if (is_known(a->relative_change) != is_known(b->relative_change)) return is_known(a->relative_change) ? -1 : 1;
    if (a->relative_change < b->relative_change) return -1;
    if (a->relative_change > b->relative_change) return 1;
    return strcmp(a->constraint, b->constraint);
}

enum status relax(const struct question *question, const struct recommend_request *request, struct arena *arena,
                  struct recommendation *answer)
{
    const struct relaxing relaxing = {question, request, arena, answer};
    answer->relaxations = ARENA_ARRAY(arena, RELAXATIONS_MAX, struct relaxation);
    if (!answer->relaxations) return STATUS_OUT_OF_MEMORY;
    enum status status = STATUS_OK;
    for (size_t i = 0; relaxers[i].constraint && status == STATUS_OK; i++)
        status = run_relaxer(&relaxing, &relaxers[i]);
    for (size_t i = 0; names_relaxers[i].constraint && status == STATUS_OK; i++)
        status = run_names(&relaxing, &names_relaxers[i]);
    for (size_t i = 0; list_relaxers[i].constraint && status == STATUS_OK; i++)
        status = run_list(&relaxing, &list_relaxers[i]);
    for (size_t i = 0; bisected_relaxers[i].constraint && status == STATUS_OK; i++)
        status = run_bisected(&relaxing, &bisected_relaxers[i]);
    if (status == STATUS_OK) status = run_demand(&relaxing);
    if (status != STATUS_OK) return status;
    qsort(answer->relaxations, answer->relaxation_count, sizeof answer->relaxations[0], compare_relaxations);
    return STATUS_OK;
}
