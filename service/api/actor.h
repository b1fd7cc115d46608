/* actor.h owns what all operations that write have in common: they need a database, and say who asks for what. */
#pragma once
#include "api/operation.h"
#include "store/actor.h"

/* STATUS_READ_ONLY, saying how to have a database, if there is none. */
enum status api_store_required(struct call *call) MUST_CHECK;
/* Borrows from the call. Refuses an Idempotency-Key that cannot be one. */
enum status api_actor_init(struct call *call, struct store_actor *ret_actor) MUST_CHECK;
