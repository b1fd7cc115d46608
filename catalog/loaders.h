/* loaders.h owns the list of what each catalog file becomes. Each reads its files and adds to the snapshot; what it
 * refuses, it reports. Later ones refer to what earlier ones have loaded. */
#pragma once
#include "catalog/table.h"

void load_gpus(struct loading *loading);
void load_models(struct loading *loading);
void load_engine_profiles(struct loading *loading);
void load_engine_support(struct loading *loading); /* after GPUs and profiles */
void load_aliases(struct loading *loading);        /* after GPUs, models and profiles */
void load_regions(struct loading *loading);
void load_offers(struct loading *loading); /* after GPUs and regions */
void load_purchase_prices(struct loading *loading);
void load_operating_costs(struct loading *loading);
void load_api_prices(struct loading *loading);
void load_measurements(struct loading *loading); /* after GPUs, models and profiles */
void load_calibrations(struct loading *loading); /* after GPUs */
void load_training(struct loading *loading);     /* of the program itself, as the next */
void load_qualities(struct loading *loading);

extern const struct table gpu_table, model_table, offer_table;

/* The index of a GPU id; one that is not empty and not there is reported as a bad cell. */
bool loading_find_gpu(struct loading *loading, const struct rows *rows, uint32_t line, const char *field,
                      const char *id, uint32_t *ret_gpu);
