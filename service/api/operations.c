/* operations.c owns the table of operations and the frame around running one. */
#include "api/operation.h"

#include <string.h>

const struct operation *const operations[] = {
    &operation_recommend,
    &operation_memory,
    &operation_throughput,
    &operation_cost,
    &operation_batch_plan,
    &operation_gpus,
    &operation_models,
    &operation_engines,
    &operation_offers,
    &operation_offers_history,
    &operation_calibrations,
    &operation_training,
    NULL,
};

const struct operation *const writes[] = {
    &operation_offers_import,      &operation_gpu_create,
    &operation_gpu_update,         &operation_gpu_retire,
    &operation_model_create,       &operation_model_update,
    &operation_model_retire,       &operation_offer_create,
    &operation_offer_update,       &operation_offer_retire,
    &operation_calibration_create, &operation_calibration_retire,
    &operation_observations_add,   NULL,
};

const struct operation *const monitors[] = {
    &operation_monitor_report,     &operation_monitor_gpus,    &operation_monitor_alerts,
    &operation_monitor_statistics, &operation_monitor_history, NULL,
};

const struct operation *operation_find(const char *id)
{
    for (size_t i = 0; operations[i]; i++) {
        if (strcmp(operations[i]->id, id) == 0) return operations[i];
    }
    return NULL;
}

enum status answer_id_check(const char *text, struct problems *problems)
{
    if (strlen(text) == ANSWER_ID_DIGITS && strspn(text, "0123456789abcdef") == ANSWER_ID_DIGITS) return STATUS_OK;
    return problems_add(problems, STATUS_INVALID_VALUE, "id",
                        "an answer's id is %d digits of 0 to 9 and a to f, as the answer begins with",
                        ANSWER_ID_DIGITS);
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
