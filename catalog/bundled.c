/* bundled.c owns the facts that are built into the program. */
#include "catalog/embed.h"
#include "catalog/load.h"

#include <string.h>
#include <threads.h>

static const char *const file_names[CATALOG_FILE_COUNT] = {
    [FILE_GPUS] = "gpus.csv",
    [FILE_GPU_ALIASES] = "gpu_aliases.csv",
    [FILE_MODELS] = "models.csv",
    [FILE_MODEL_ALIASES] = "model_aliases.csv",
    [FILE_ENGINE_PROFILES] = "engine_profiles.csv",
    [FILE_ENGINE_SUPPORT] = "engine_support.csv",
    [FILE_ENGINE_ALIASES] = "engine_aliases.csv",
    [FILE_REGIONS] = "regions.csv",
    [FILE_OFFERS] = "offers.csv",
    [FILE_PURCHASE_PRICES] = "purchase_prices.csv",
    [FILE_OPERATING_COSTS] = "operating_costs.csv",
    [FILE_API_PRICES] = "api_prices.csv",
    [FILE_MEASURED] = "measured.csv",
    [FILE_CALIBRATIONS] = "calibrations.csv",
};
static struct catalog_text bundled[CATALOG_FILE_COUNT];
static struct catalog_text own[OWN_FILE_COUNT] = {
    [OWN_TRAINING] = {.name = "training_profiles.csv"},
    [OWN_QUALITIES] = {.name = "quantisation_quality.csv"},
};
static once_flag bundled_once = ONCE_FLAG_INIT;

static void find_file(struct catalog_text *text)
{
    for (const struct embedded_file *file = catalog_data; file->name; file++) {
        if (strcmp(file->name, text->name) != 0) continue;
        text->text = file->begin;
        text->length = (size_t)(file->end - file->begin);
    }
}

static void find_files(void)
{
    for (size_t i = 0; i < CATALOG_FILE_COUNT; i++) {
        bundled[i].name = file_names[i];
        find_file(&bundled[i]);
    }
    for (size_t i = 0; i < OWN_FILE_COUNT; i++)
        find_file(&own[i]);
}

const struct catalog_text *catalog_bundled(void)
{
    call_once(&bundled_once, find_files);
    return bundled;
}

const struct catalog_text *catalog_own(void)
{
    call_once(&bundled_once, find_files);
    return own;
}
