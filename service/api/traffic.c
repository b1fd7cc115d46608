/* traffic.c owns the contradictions among the fields that say what requests are like. */
#include "api/traffic.h"

static double shortest_tokens(double mean, const struct length_histogram *histogram)
{
    for (size_t i = 0; i < histogram->count; i++)
        mean = fmin(i ? mean : INFINITY, histogram->items[i].tokens);
    return mean;
}

/* A mean or a histogram, not both. */
static void check_histogram(struct call *call, const char *field, const char *name, double mean,
                            const struct length_histogram *histogram)
{
    if (histogram->count && is_known(mean))
        (void)problems_add(call->problems, STATUS_CONTRADICTION, field, "give %s or its histogram, not both", name);
}

static void check_prefix(struct call *call, const struct asked_traffic *asked)
{
    double input = is_known(asked->input_tokens) ? asked->input_tokens : DEFAULT_INPUT_TOKENS;
    double shortest = shortest_tokens(input, asked->input_histogram);
    if (is_known(asked->shared_prefix_tokens) && asked->shared_prefix_tokens > shortest) {
        (void)problems_add(call->problems, STATUS_CONTRADICTION, "workload.shared_prefix_tokens",
                           "no prompt is longer than its prefix: the shortest has %.12g tokens", shortest);
    }
}

static void check_draft(struct call *call, const struct asked_traffic *asked)
{
    bool drafts = asked->draft_tokens != VALUE_ABSENT, accepts = is_known(asked->draft_acceptance_ratio);
    if (drafts && !accepts) {
        (void)problems_add(call->problems, STATUS_MISSING_FIELD, "workload.draft_acceptance_ratio",
                           "say how often a drafted token is accepted: the speed depends on it");
    } else if (accepts && !drafts) {
        (void)problems_add(call->problems, STATUS_MISSING_FIELD, "serving.draft_tokens",
                           "say how many tokens are drafted in each step");
    }
}

enum status api_traffic_check(struct call *call, const struct asked_traffic *asked)
{
    check_histogram(call, "workload.input_tokens_histogram", "input_tokens", asked->input_tokens,
                    asked->input_histogram);
    check_histogram(call, "workload.output_tokens_histogram", "output_tokens", asked->output_tokens,
                    asked->output_histogram);
    check_prefix(call, asked);
    check_draft(call, asked);
    return problems_status(call->problems);
}
