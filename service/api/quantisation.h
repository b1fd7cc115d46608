/* quantisation.h owns the comparison of number formats in the answer of memory: bytes, GPUs, speed, quality. */
#pragma once
#include "api/replica.h"

/* "savings_ratio", "compression_ratio": one number format for the whole checkpoint, against 16-bit weights. */
void quantisation_put_savings(struct out *out, double bytes, double plain_bytes);

/* "by_dtype": the same GPUs, engine and load with the weights in each number format. */
void quantisation_put(struct call *call, const struct replica_request *request, const struct replica *replica);
