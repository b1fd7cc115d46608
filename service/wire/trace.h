/* trace.h owns traces: requests with their lengths, one JSON object a line (NDJSON), read line by line. */
#pragma once
#include "catalog/status.h"
#include "catalog/value.h"

enum { TRACE_REQUESTS_MAX = 100000, TRACE_LINE_MAX_BYTES = 4096, TRACE_ID_MAX_BYTES = 40 };

/* {"id": "a", "input_tokens": 1024, "output_tokens": 256}, or sequence_length for both; empty lines are passed over. A
 * problem names each line that is none, up to PROBLEMS_MAX, and one says that a trace has no lines, or too many. The
 * list and its texts live in the arena; what a line takes beside them does not outlast it. */
enum status trace_read(struct arena *arena, const char *text, size_t length, struct problems *problems,
                       struct request_list *ret_requests) MUST_CHECK;
