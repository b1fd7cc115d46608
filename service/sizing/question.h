/* question.h owns the way from a request to what the search works with: defaults, names, contradictions.
 * Private to sizing. */
#pragma once
#include "sizing/search.h"

/* Fills the defaults of `request` and reads it. Reports every bad field. The arrays live in the arena. */
enum status question_read(const struct recommend_context *context, struct recommend_request *request,
                          struct arena *arena, struct problems *problems, struct question *ret_question) MUST_CHECK;

/* Which GPUs and which offers the lists of a request allow; NULL when out of memory. Names that mean nothing are
 * problems. */
const bool *question_gpus(const struct snapshot *snapshot, const struct recommend_request *request, struct arena *arena,
                          struct problems *problems);
const bool *question_offers(const struct snapshot *snapshot, const struct recommend_request *request,
                            struct arena *arena);
