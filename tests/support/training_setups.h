/* training_setups.h owns the setups that tests of training start from: one model on GPUs of one part, everything else
 * as plain as it can be. */
#pragma once
#include "sizing/training.h"

/* AdamW, bf16 mixed, one sequence of 4096 tokens on each of `gpus` in hosts of 8, DDP, nothing recomputed. Fails the
 * test if the catalog has no such GPU. */
struct training_setup training_setup_plain(const struct snapshot *snapshot, const struct model *model, const char *gpu,
                                           uint32_t gpus);
/* Fails the test if there is none. */
const struct model *training_model(const struct snapshot *snapshot, const char *id);
struct training_memory training_memory_of(struct training_setup setup);
/* Fails the test if the time is not known. */
struct training_time training_time_of(struct training_setup setup);
/* Seconds of one GPU for each token. */
double training_seconds_of(struct training_setup setup);
/* A dense transformer of 16-bit weights with as many KV heads as heads of 128. */
struct model training_dense_model(double parameters, uint32_t layers, uint32_t hidden, uint32_t intermediate,
                                  uint32_t vocabulary);
