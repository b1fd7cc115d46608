/* gemm.cuh owns what a matrix product is to probes: outputs [m][n] = activations [m][k] by weights [n][k] transposed,
 * as a linear layer stores them. Own kernels write float (int32 of int8); cuBLASLt writes as engines ask it to. */
#pragma once
#include "kernels/device.cuh"

struct gemm_problem {
    enum gemm_dtype dtype;
    uint32_t m, n, k;
};

static inline uint64_t gemm_activation_bytes(const struct gemm_problem *problem)
{
    return (uint64_t)problem->m * problem->k * gemm_format_of(problem->dtype)->activation_bits / 8;
}

static inline uint64_t gemm_weight_bytes(const struct gemm_problem *problem)
{
    return (uint64_t)problem->n * problem->k * gemm_format_of(problem->dtype)->weight_bits / 8;
}

/* Random data, gemm_element; int4 weights packed as fragment.h has them. `first_row` is of the whole operand. */
void gemm_fill(const struct gemm_problem *problem, enum gemm_operand operand, uint64_t first_row, void *data);

/* --- own kernels --- */

struct gemm_buffers {
    const void *activations, *weights;
    void *outputs;
};

/* capability: 10 * major + minor. k is a multiple of 128. */
bool gemm_own_takes(enum gemm_dtype dtype, int capability);
/* Once for each problem and device, before the first launch and outside of captures. */
cudaError_t gemm_own_prepare(const struct gemm_problem *problem);
cudaError_t gemm_own_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                            cudaStream_t stream);

/* What gemm_own_… choose from; each file takes its types. */
cudaError_t gemm_mma_prepare(const struct gemm_problem *problem);
cudaError_t gemm_mma_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                            cudaStream_t stream);
cudaError_t gemm_int4_prepare(const struct gemm_problem *problem);
cudaError_t gemm_int4_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                             cudaStream_t stream);
cudaError_t gemm_fp32_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers,
                             cudaStream_t stream);

/* --- cuBLASLt, if it can be loaded --- */

enum gemm_output { OUTPUT_FP32, OUTPUT_INT32, OUTPUT_BF16, OUTPUT_FP16 };

struct lt_plan; /* one problem, ready to be launched */

/* NULL: *ret_why says so. e4m3 wants m in multiples of 16. */
struct lt_plan *lt_plan_make(const struct gemm_problem *problem, enum gemm_output *ret_output, const char **ret_why);
int lt_plan_launch(const struct lt_plan *plan, const struct gemm_buffers *buffers,
                   cudaStream_t stream); /* 0: enqueued */
void lt_plan_free(struct lt_plan *plan);
