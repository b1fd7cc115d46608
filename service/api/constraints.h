/* constraints.h owns the fields of constraints on offers that questions share: of a request that has a struct
 * recommend_request at `base`, in the runs in which tables of fields have them. */
#pragma once
#include "sizing/recommend.h"
#include "wire/input.h"

#define CONSTRAINT(base, member, form, ...)                                                                            \
    {                                                                                                                  \
        .name = #member, .group = "constraints", .kind = form,                                                         \
        .offset = (base) + offsetof(struct recommend_request, member), __VA_ARGS__                                     \
    }
#define CONSTRAINT_TEXTS(base, member, sentence) CONSTRAINT(base, member, FIELD_TEXTS, .help = sentence)
#define CONSTRAINT_COUNTS(base, member, sentence)                                                                      \
    CONSTRAINT(base, member, FIELD_COUNTS, .min = 0, .max = 100000, .unit = "GPUs", .help = sentence)
#define CONSTRAINT_NUMBER(base, member, low, high, in_unit, default_text, sentence)                                    \
    CONSTRAINT(base, member, FIELD_NUMBER, .min = low, .max = high, .unit = in_unit, .preset = default_text,           \
               .help = sentence)

#define CONSTRAINT_BUDGET(base)                                                                                        \
    CONSTRAINT(base, budget_usd, FIELD_NUMBER, .alias = "budget", .min = 0.01, .max = 1e12, .unit = "USD",             \
               .help = "Most to spend over the duration.")
#define CONSTRAINTS_OFFERS(base)                                                                                       \
    {.name = "purchase",                                                                                               \
     .group = "constraints",                                                                                           \
     .kind = FIELD_CHOICES,                                                                                            \
     .offset = (base) + offsetof(struct recommend_request, purchases),                                                 \
     .names = purchase_names,                                                                                          \
     .preset = "on_demand",                                                                                            \
     .help = "Ways to pay that may be used."},                                                                         \
        CONSTRAINT_TEXTS(base, providers, "Only these providers."),                                                    \
        CONSTRAINT_TEXTS(base, exclude_providers, "Not these providers."),                                             \
        CONSTRAINT_TEXTS(base, regions, "Only these provider regions, countries or continents."),                      \
        CONSTRAINT_TEXTS(base, gpus, "Only these GPUs: ids, aliases or families."),                                    \
        CONSTRAINT_TEXTS(base, exclude_gpus, "Not these GPUs.")
#define CONSTRAINT_MAX_GPUS(base, default_text)                                                                        \
    CONSTRAINT(base, max_gpus, FIELD_INTEGER, .min = 1, .max = 100000, .unit = "GPUs", .preset = default_text,         \
               .help = "Most GPUs to pay for.")
#define CONSTRAINTS_HELD(base)                                                                                         \
    CONSTRAINT_NUMBER(base, max_power_watts, 1, 1e9, "W", NULL, "Most power of all GPUs together, by TDP."),           \
        CONSTRAINT_COUNTS(base, inventory, "GPUs that you have: no hardware cost, running cost counted."),             \
        CONSTRAINT_COUNTS(base, quota, "Most GPUs of a part that you may use.")
#define CONSTRAINT_PRICE_AGE(base)                                                                                     \
    CONSTRAINT(base, max_price_age_days, FIELD_INTEGER, .min = 0, .max = 36500, .unit = "days",                        \
               .help = "Older prices cannot be recommended.")
#define CONSTRAINTS_MONEY(base)                                                                                        \
    CONSTRAINT_NUMBER(base, host_cost_ratio, 0, 10, "ratio", "0.35",                                                   \
                      "Owned: cost of host, network and rack per cost of GPUs."),                                      \
        CONSTRAINT_NUMBER(base, residual_value_ratio, 0, 1, "ratio", "0",                                              \
                          "Owned: share of the hardware's price left at the end."),                                    \
        CONSTRAINT_NUMBER(base, electricity_usd_per_kwh, 0, 10, "USD/kWh", "the catalog's",                            \
                          "Owned: price of electricity."),                                                             \
        CONSTRAINT(base, price_adjustments, FIELD_ADJUSTMENTS, .min = 0, .max = 1e6,                                   \
                   .help = "Your contracts: per provider a discount_ratio, or usd_per_hour added to every instance.")
