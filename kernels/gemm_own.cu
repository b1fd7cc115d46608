/* gemm_own.cu owns which of our kernels takes which product, and the data of products. */
#include "kernels/fragment.h"
#include "kernels/gemm.cuh"

/* Compute capability from which there is a kernel: int8 of ours needs mma.m16n8k32, tf32 has none. */
static int own_capability(enum gemm_dtype dtype)
{
    if (dtype == GEMM_TF32) return INT32_MAX;
    if (dtype == GEMM_INT8) return 80;
    return gemm_format_of(dtype)->capability;
}

bool gemm_own_takes(enum gemm_dtype dtype, int capability)
{
    return capability >= own_capability(dtype);
}

cudaError_t gemm_own_prepare(const struct gemm_problem *problem)
{
    if (problem->dtype == GEMM_TF32) return cudaErrorNotSupported;
    if (problem->dtype == GEMM_FP32) return cudaSuccess;
    return problem->dtype == GEMM_INT4_BF16 ? gemm_int4_prepare(problem) : gemm_mma_prepare(problem);
}

cudaError_t gemm_own_launch(const struct gemm_problem *problem, const struct gemm_buffers *buffers, int sm_count,
                            cudaStream_t stream)
{
    if (problem->dtype == GEMM_TF32) return cudaErrorNotSupported;
    if (problem->dtype == GEMM_FP32) return gemm_fp32_launch(problem, buffers, stream);
    if (problem->dtype == GEMM_INT4_BF16) return gemm_int4_launch(problem, buffers, sm_count, stream);
    return gemm_mma_launch(problem, buffers, sm_count, stream);
}

/* --- data: gemm_element is exact in its format, so rounding it again changes nothing --- */

template <enum gemm_dtype dtype>
__global__ void fill_kernel(void *data, uint64_t elements, enum gemm_operand operand, uint64_t first)
{
    for (uint64_t i = grid_index(); i < elements; i += grid_step()) {
        float value = gemm_element(dtype, operand, first + i);
        if (dtype == GEMM_FP32 || dtype == GEMM_TF32) ((float *)data)[i] = value;
        if (dtype == GEMM_BF16 || dtype == GEMM_INT4_BF16) ((uint16_t *)data)[i] = bf16_of_float(value);
        if (dtype == GEMM_FP16) ((uint16_t *)data)[i] = fp16_of_float(value);
        if (dtype == GEMM_E4M3) ((uint8_t *)data)[i] = e4m3_of_float(value);
        if (dtype == GEMM_INT8) ((int8_t *)data)[i] = (int8_t)value;
    }
}

__global__ void fill_int4_kernel(uint32_t *data, uint64_t words, uint64_t first)
{
    for (uint64_t i = grid_index(); i < words; i += grid_step()) {
        uint64_t group = first + i / 4 * INT4_GROUP;
        uint32_t word = 0;
        for (uint32_t nibble = 0; nibble < 8; nibble++) {
            uint64_t element = group + int4_element((uint32_t)(i % 4), nibble);
            word |= (uint32_t)((int)gemm_element(GEMM_INT4_BF16, GEMM_WEIGHTS, element) + 8) << (4 * nibble);
        }
        data[i] = word;
    }
}

void gemm_fill(const struct gemm_problem *problem, enum gemm_operand operand, uint64_t first_row, void *data)
{
    static void (*const fills[GEMM_DTYPES])(void *, uint64_t, enum gemm_operand, uint64_t) = {
        fill_kernel<GEMM_BF16>, fill_kernel<GEMM_FP16>, fill_kernel<GEMM_TF32>,     fill_kernel<GEMM_FP32>,
        fill_kernel<GEMM_E4M3>, fill_kernel<GEMM_INT8>, fill_kernel<GEMM_INT4_BF16>};
    static const int blocks = 1024, threads = 256;
    uint64_t rows = operand == GEMM_WEIGHTS ? problem->n : problem->m, elements = rows * problem->k;
    uint64_t first = first_row * problem->k;
    if (problem->dtype == GEMM_INT4_BF16 && operand == GEMM_WEIGHTS)
        fill_int4_kernel<<<blocks, threads>>>((uint32_t *)data, elements / 8, first);
    else
        fills[problem->dtype]<<<blocks, threads>>>(data, elements, operand, first);
}
