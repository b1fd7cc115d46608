/* operations.c owns the table of operations and the frame around running one. */
#include "api/operation.h"

#include <string.h>

const struct operation *const operations[] = {
    &operation_recommend, &operation_memory,  &operation_throughput, &operation_cost,           &operation_gpus,
    &operation_models,    &operation_engines, &operation_offers,     &operation_offers_history, NULL,
};

const struct operation *const writes[] = {
    &operation_offers_import,
    &operation_gpu_create,
    &operation_gpu_update,
    &operation_gpu_retire,
    &operation_model_create,
    &operation_model_update,
    &operation_model_retire,
    &operation_offer_create,
    &operation_offer_update,
    &operation_offer_retire,
    NULL,
};

const struct operation *operation_find(const char *id)
{
    for (size_t i = 0; operations[i]; i++) {
        if (strcmp(operations[i]->id, id) == 0) return operations[i];
    }
    return NULL;
}

enum status operation_run(const struct operation *operation, struct call *call)
{
    call->id[0] = '\0';
    call->operation = operation;
    enum status status = operation->run(call);
    if (status == STATUS_OK && call->out->failed) {
        return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the answer");
    }
    return status;
}
