/* traffic.c owns the arithmetic of lengths, of cached prefixes and of drafted tokens. */
#include "sizing/traffic.h"

struct lengths lengths_of_mean(double tokens)
{
    return (struct lengths){.classes = {{tokens, 1}}, .count = 1, .mean = tokens};
}

/* The shortest bucket that is longer than `above`; its weight is that of all buckets of this length. */
static struct length_bucket next_longer(const struct length_histogram *histogram, double above)
{
    struct length_bucket next = {INFINITY, 0};
    for (size_t i = 0; i < histogram->count; i++) {
        const struct length_bucket *bucket = &histogram->items[i];
        if (!(bucket->weight > 0) || bucket->tokens <= above || bucket->tokens > next.tokens) continue;
        next.weight = bucket->tokens < next.tokens ? bucket->weight : next.weight + bucket->weight;
        next.tokens = bucket->tokens;
    }
    return next;
}

static double total_weight(const struct length_histogram *histogram)
{
    double weight = 0;
    for (size_t i = 0; i < histogram->count; i++)
        weight += histogram->items[i].weight;
    return weight;
}

/* Whether a bucket goes into the last class: as long as that is below its part of all requests, so that the shares of
 * the tails stay small, and where no class is left, as after buckets that are nearly all of the weight. */
static bool joins_last(const struct lengths *lengths, double seen)
{
    return lengths->count &&
           (lengths->count == LENGTH_CLASSES_MAX || seen * LENGTH_CLASSES_MAX < (double)lengths->count);
}

static void add_bucket(struct lengths *lengths, struct length_bucket bucket, double share, bool joins)
{
    struct length_class *last = &lengths->classes[lengths->count ? lengths->count - 1 : 0];
    if (joins) {
        double both = last->share + share;
        last->tokens = (last->tokens * last->share + bucket.tokens * share) / both;
        last->share = both;
    } else {
        lengths->classes[lengths->count++] = (struct length_class){bucket.tokens, share};
    }
}

static bool fits_classes(const struct length_histogram *histogram)
{
    double tokens = 0;
    for (size_t count = 0; count <= LENGTH_CLASSES_MAX; count++) {
        tokens = next_longer(histogram, tokens).tokens;
        if (!isfinite(tokens)) return true;
    }
    return false;
}

struct lengths lengths_of_histogram(const struct length_histogram *histogram)
{
    struct lengths lengths = {0};
    double total = total_weight(histogram), squares = 0, sum = 0, seen = 0;
    bool few = fits_classes(histogram);
    for (struct length_bucket bucket = next_longer(histogram, 0); isfinite(bucket.tokens);
         bucket = next_longer(histogram, bucket.tokens)) {
        double share = bucket.weight / total;
        add_bucket(&lengths, bucket, share, !few && joins_last(&lengths, seen));
        seen += share;
        sum += share * bucket.tokens;
        squares += share * bucket.tokens * bucket.tokens;
    }
    if (lengths.count == 1 && lengths.classes[0].share > 0) return lengths_of_mean(lengths.classes[0].tokens);
    lengths.mean = round6(sum);
    lengths.cv2 = squares / (sum * sum) - 1;
    return lengths;
}

struct traffic traffic_of_means(double input_tokens, double output_tokens)
{
    return (struct traffic){
        .input = lengths_of_mean(input_tokens),
        .output = lengths_of_mean(output_tokens),
        .prefix_cache_hit_ratio = UNKNOWN,
    };
}

void traffic_set_cache(struct traffic *traffic, double shared_prefix_tokens, double prefix_cache_hit_ratio)
{
    traffic->shared_prefix_tokens = is_known(shared_prefix_tokens) ? shared_prefix_tokens : 0;
    traffic->prefix_cache_hit_ratio = prefix_cache_hit_ratio;
}

struct traffic traffic_of_asked(const struct asked_traffic *asked)
{
    struct traffic traffic = traffic_of_means(asked->input_tokens, asked->output_tokens);
    if (asked->input_histogram->count) traffic.input = lengths_of_histogram(asked->input_histogram);
    if (asked->output_histogram->count) traffic.output = lengths_of_histogram(asked->output_histogram);
    traffic_set_cache(&traffic, asked->shared_prefix_tokens, asked->prefix_cache_hit_ratio);
    if (is_known(asked->draft_acceptance_ratio)) traffic.draft_acceptance_ratio = asked->draft_acceptance_ratio;
    return traffic;
}

double traffic_longest_tokens(double mean, const struct length_histogram *histogram)
{
    for (size_t i = 0; i < histogram->count; i++)
        mean = fmax(i ? mean : 0, histogram->items[i].tokens);
    return mean;
}

/* The last token is always computed: its output is the first token of the answer. */
static double cached_tokens(const struct traffic *traffic, double input_tokens, double block_tokens)
{
    double ratio = traffic->prefix_cache_hit_ratio;
    double found = is_known(ratio) ? ratio * input_tokens : traffic->shared_prefix_tokens;
    return floor(fmax(0, fmin(found, input_tokens - 1)) / block_tokens) * block_tokens;
}

struct prompt_work traffic_prompt_work_of(const struct traffic *traffic, double input_tokens, double block_tokens)
{
    double cached = cached_tokens(traffic, input_tokens, block_tokens);
    return (struct prompt_work){input_tokens - cached, input_tokens * input_tokens - cached * cached};
}

struct prompt_work traffic_prompt_work(const struct traffic *traffic, double block_tokens)
{
    struct prompt_work mean = {0, 0};
    for (size_t i = 0; i < traffic->input.count; i++) {
        const struct length_class *class = &traffic->input.classes[i];
        struct prompt_work one = traffic_prompt_work_of(traffic, class->tokens, block_tokens);
        mean.tokens += class->share * one.tokens;
        mean.tokens_squared += class->share * one.tokens_squared;
    }
    return mean;
}

double traffic_held_tokens(const struct traffic *traffic)
{
    return traffic->input.mean + traffic->output.mean * (1 + traffic->output.cv2);
}

double traffic_context_tokens(const struct traffic *traffic)
{
    return traffic->input.mean + traffic->output.mean * (1 + traffic->output.cv2) / 2;
}

double traffic_tokens_per_step(const struct traffic *traffic, double draft_tokens)
{
    double accepted = traffic->draft_acceptance_ratio;
    return accepted < 1 ? (1 - pow(accepted, draft_tokens + 1)) / (1 - accepted) : draft_tokens + 1;
}

size_t traffic_notes(const struct traffic *traffic, double draft_tokens, bool adapters, bool queued,
                     struct arena *arena, const char *ret_notes[TRAFFIC_NOTES_MAX])
{
    size_t count = 0;
    if (queued && traffic->input.count == 1 && traffic->output.count == 1) {
        ret_notes[count++] =
            "All requests are taken to have the mean lengths: where lengths vary, give histograms, and "
            "waits and percentiles are theirs.";
    }
    if (traffic->shared_prefix_tokens > 0 || traffic->prefix_cache_hit_ratio > 0) {
        double computed = traffic_prompt_work(traffic, 1).tokens;
        ret_notes[count++] = arena_printf(arena,
                                          "The prefix cache is warm: up to %.3g %% of the prompts' tokens are not "
                                          "computed again. No measured row has such a cache.",
                                          100 * (1 - computed / traffic->input.mean));
    }
    if (draft_tokens > 0) {
        ret_notes[count++] =
            arena_printf(arena,
                         "Drafted tokens are accepted with probability %.3g each, independently: %.3g "
                         "tokens in a step. No measured row drafts.",
                         traffic->draft_acceptance_ratio, traffic_tokens_per_step(traffic, draft_tokens));
    }
    if (adapters)
        ret_notes[count++] =
            "Adapters take memory, and no time: their products are not predicted. No measured row has adapters.";
    return count;
}
