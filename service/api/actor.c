/* actor.c owns what a write is known by: its caller, and the hash of all that was asked. */
#include "api/actor.h"

#include "catalog/text.h"

#include <string.h>

enum status api_store_required(struct call *call)
{
    if (call->store) return STATUS_OK;
    return problems_add(call->problems, STATUS_READ_ONLY, "", "the built-in catalog cannot be changed: %s",
                        status_hint(STATUS_READ_ONLY));
}

static void add_line(struct out *out, const char *name, const char *value)
{
    out_raw(out, name, strlen(name) + 1); /* with its NUL, so that no two requests read alike */
    out_raw(out, value, strlen(value) + 1);
}

/* Of the operation, its parameters and its body. */
static const char *hash_request(struct call *call)
{
    struct out asked;
    char *hash = arena_alloc(call->arena, HASH_TEXT_BYTES);
    out_init(&asked, 0);
    add_line(&asked, "operation", call->operation->id);
    add_line(&asked, "If-Match", call->if_match ? call->if_match : "");
    for (size_t i = 0; i < call->pair_count; i++)
        add_line(&asked, call->pairs[i].name, call->pairs[i].value);
    out_raw(&asked, call->body ? call->body : "", call->body_length);
    bool complete = hash && !asked.failed;
    if (complete) text_hash(asked.data, asked.length, hash);
    out_done(&asked);
    return complete ? hash : NULL;
}

enum status api_actor_init(struct call *call, struct store_actor *ret_actor)
{
    struct store_actor actor = {.caller = call->caller, .idempotency_key = call->idempotency_key};
    if (actor.idempotency_key) {
        size_t length = strlen(actor.idempotency_key);
        bool plain = length > 0 && length <= IDEMPOTENCY_KEY_MAX_BYTES;
        for (size_t i = 0; plain && i < length; i++)
            plain = actor.idempotency_key[i] > ' ' && actor.idempotency_key[i] < 0x7f;
        if (!plain)
            return problems_add(call->problems, STATUS_INVALID_VALUE, "Idempotency-Key",
                                "must be 1 to %d printable characters without blanks, such as a UUID",
                                (int)IDEMPOTENCY_KEY_MAX_BYTES);
        actor.request_hash = hash_request(call);
        if (!actor.request_hash)
            return problems_add(call->problems, STATUS_OUT_OF_MEMORY, "", "no memory for the request");
    }
    *ret_actor = actor;
    return STATUS_OK;
}
