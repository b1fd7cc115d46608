/* training.h owns what the operation training is asked and what it has found, until it is written. */
#pragma once
#include "api/common.h"
#include "sizing/recommend.h"
#include "sizing/training_search.h"

/* As decoded: NaN, VALUE_ABSENT, NULL or count 0 where the caller said nothing. */
struct training_request {
    struct model_ref model;
    const char *gpu;
    int64_t method, optimizer, precision, recompute, sharding, offload, lora_rank, adapter_targets;
    int64_t flash_attention, fused_loss, fused_backward, sequence_parallel, packed, objective;
    int64_t sequence_tokens, micro_batch_sequences, batch_sequences, framework;
    double mean_document_tokens, training_tokens, deadline_hours, network_gb_per_s;
    int64_t gpu_count, tensor_parallel, pipeline_parallel, virtual_stages, context_parallel, expert_parallel,
        data_parallel;
    struct training_interruptions interruptions;
    struct recommend_request fleet; /* its constraints */
    int64_t estimator, parameter_bits;
    double optimizer_factor, activation_factor;
};

/* What the GPUs of a plan cost under one way to pay. */
struct training_payment {
    bool found;
    struct training_plan plan;
};

struct training_answer {
    struct api_model model;
    struct training_question question;
    struct training_search search;
    struct training_relaxations relaxations;
    const bool *offers; /* that may be used if every way to pay may */
    struct training_payment payments[PURCHASE_COUNT];
};

/* The plan that the answer tells; NULL: none. */
const struct training_plan *training_answer_plan(const struct training_answer *answer);
/* Fills in the payments: the plan's GPUs and layout under each way to pay, without deadline and budget. */
enum status training_pay(struct call *call, struct training_answer *answer) MUST_CHECK;

/* The members of the answer before `request`. */
void training_put(struct call *call, const struct training_request *request, const struct training_answer *answer);
