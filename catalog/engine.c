/* engine.c owns the table of coefficients and the order of versions. */
#include "catalog/engine.h"

#include <stdlib.h>
#include <string.h>

const struct coef_info coef_infos[] = {
#define COEF(name, unit, meaning) {#name, unit, meaning, offsetof(struct engine_coefs, name)},
#include "catalog/engine_coef.def"
#undef COEF
};
const size_t coef_count = sizeof coef_infos / sizeof *coef_infos;

static const char *const fit_load_names[FIT_LOAD_COUNT] = {"served", "saturated", "static"};

const char *fit_load_name(enum fit_load load)
{
    return fit_load_names[load];
}

int engine_fit_compare(const void *a, const void *b)
{
    const struct engine_fit *x = a, *y = b;
    if (x->load != y->load) return x->load < y->load ? -1 : 1;
    int order = strcmp(x->gpu, y->gpu);
    if (order == 0) order = strcmp(x->family, y->family);
    return order ? order : (int)x->weight_dtype - (int)y->weight_dtype;
}

const struct engine_fit *engine_find_fit(const struct engine_profile *profile, enum fit_load load, const char *gpu,
                                         const char *family, enum dtype weight_dtype)
{
    const struct engine_fit wanted = {.load = load, .gpu = gpu, .family = family, .weight_dtype = weight_dtype};
    if (profile->fit_count == 0) return NULL;
    return bsearch(&wanted, profile->fits, profile->fit_count, sizeof wanted, engine_fit_compare);
}

bool engine_tells_family(const struct engine_profile *profile, enum fit_load load, const char *family,
                         enum dtype weight_dtype)
{
    for (size_t i = 0; i < profile->fit_count; i++) {
        const struct engine_fit *fit = &profile->fits[i];
        if (fit->load == load && fit->weight_dtype == weight_dtype && strcmp(fit->family, family) == 0) return true;
    }
    return false;
}

double engine_extrapolated_factor(const struct engine_profile *profile, enum fit_load load)
{
    const struct engine_coefs *coef = &profile->coef;
    const double factors[FIT_LOAD_COUNT] = {[FIT_LOAD_SERVED] = coef->tpot_extrapolated_factor,
                                            [FIT_LOAD_SATURATED] = coef->saturated_extrapolated_factor,
                                            [FIT_LOAD_STATIC] = coef->static_extrapolated_factor};
    return factors[load];
}

bool engine_keeps_kv(const struct engine_support *support, enum dtype dtype)
{
    if (dtype == DTYPE_FP8) return support->fp8_kv;
    if (dtype == DTYPE_Q8_0) return support->weight_dtypes & (1u << DTYPE_Q8_0);
    return dtype == DTYPE_UNKNOWN || dtype == DTYPE_BF16 || dtype == DTYPE_FP16 || dtype == DTYPE_FP32;
}

struct engine_kin engine_find_kin(const struct engine_profile *profile, enum fit_load load, const char *architecture,
                                  const char *family, enum dtype weight_dtype)
{
    double time = 0, ttft = 0, time_count = 0, ttft_count = 0, rows = 0;
    for (size_t i = 0; i < profile->fit_count; i++) {
        const struct engine_fit *fit = &profile->fits[i];
        if (fit->load != load || fit->weight_dtype != weight_dtype || strcmp(fit->architecture, architecture) != 0 ||
            strcmp(fit->family, family) != 0)
            continue;
        time += log(fit->time_ratio);
        time_count++;
        rows += fit->rows;
        if (!is_known(fit->ttft_ratio)) continue;
        ttft += log(fit->ttft_ratio);
        ttft_count++;
    }
    return (struct engine_kin){
        .time_ratio = time_count > 0 ? exp(ENGINE_KIN_WEIGHT * time / time_count) : 1,
        .ttft_ratio = ttft_count > 0 ? exp(ENGINE_KIN_WEIGHT * ttft / ttft_count) : 1,
        .rows = rows,
    };
}

static bool is_digit(char letter)
{
    return letter >= '0' && letter <= '9';
}

/* Compares the numbers that begin both texts, of any length, and steps over them. No digits count as 0, so that
 * "0.17" and "0.17.0" are one version. */
static int compare_number(const char **a, const char **b)
{
    while (**a == '0')
        ++*a;
    while (**b == '0')
        ++*b;
    size_t digits_a = strspn(*a, "0123456789"), digits_b = strspn(*b, "0123456789");
    int order = digits_a != digits_b ? (digits_a < digits_b ? -1 : 1) : strncmp(*a, *b, digits_a);
    *a += digits_a;
    *b += digits_b;
    return order;
}

/* How a part goes on behind its number: "1.0rc2" comes before "1.0", "1.0.post3" and "1.0b" of a build after it. */
static int suffix_rank(const char *text)
{
    if (strncmp(text, "rc", 2) == 0 || strncmp(text, "dev", 3) == 0) return -1;
    return *text && *text != '.';
}

const char *engine_version_find(const char *text, size_t *ret_length)
{
    static const char digits[] = "0123456789";
    *ret_length = 0;
    for (text += strcspn(text, digits); *text; text += strcspn(text, digits)) {
        size_t major = strspn(text, digits), minor = text[major] == '.' ? strspn(text + major + 1, digits) : 0;
        if (minor > 0) {
            *ret_length = major + 1 + minor;
            return text;
        }
        text += major;
    }
    return text;
}

int engine_version_compare(const char *a, const char *b)
{
    while (*a || *b) {
        if (*a == '.') a++;
        if (*b == '.') b++;
        int order = is_digit(*a) || is_digit(*b) ? compare_number(&a, &b) : 0;
        if (order == 0) order = suffix_rank(a) - suffix_rank(b);
        if (order != 0) return order;
        for (; *a && *b && *a != '.' && !is_digit(*a) && !is_digit(*b); a++, b++) {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
        }
    }
    return 0;
}

bool engine_profile_covers(const struct engine_profile *profile, const char *version)
{
    if (engine_version_compare(version, profile->version_from) < 0) return false;
    const char *to = profile->version_to;
    size_t length = strlen(to);
    bool within = strncmp(version, to, length) == 0 && !is_digit(version[length]); /* "0.19.1" in "0.19"; any in "" */
    return *to == '\0' || within || engine_version_compare(version, to) <= 0;
}
