/* trace_fuzz.c owns fuzzing of a trace: whatever the bytes, it is read or refused with reasons, and what was read is
 * within the bounds that packing relies on. */
#include "fuzz.h"

#include "wire/trace.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS_MAX 1e8

static void require(bool holds)
{
    if (!holds) abort();
}

static void check_request(const struct request_lengths *request, uint32_t line_before)
{
    require(request->input_tokens >= 1 && request->input_tokens <= TOKENS_MAX);
    require(!(request->output_tokens < 0) && !(request->output_tokens > TOKENS_MAX));
    require(request->line > line_before);
    require(!request->id || strlen(request->id) <= TRACE_ID_MAX_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct problems problems;
    struct request_list requests = {0};
    arena_init(&arena, 64 << 20);
    problems_init(&problems, &arena);
    enum status status = trace_read(&arena, (const char *)data, size, &problems, &requests);
    require((status == STATUS_OK) == (problems.count == 0));
    require(status != STATUS_OK || (requests.count > 0 && requests.count <= TRACE_REQUESTS_MAX));
    for (size_t i = 0; i < requests.count; i++)
        check_request(&requests.items[i], i ? requests.items[i - 1].line : 0);
    arena_done(&arena);
    return 0;
}
