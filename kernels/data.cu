/* data.cu owns filling buffers and adding them up on the device. */
#include "kernels/device.cuh"

enum { THREADS = 256, BLOCKS = 1024 };

__global__ void fill_pattern_kernel(uint32_t *data, uint64_t words, uint32_t seed)
{
    for (uint64_t i = grid_index(); i < words; i += grid_step())
        data[i] = pattern_word(i, seed);
}

__global__ void fill_bf16_kernel(uint16_t *data, uint64_t elements, uint32_t stream)
{
    for (uint64_t i = grid_index(); i < elements; i += grid_step())
        data[i] = bf16_of_float(random_unit(stream, i));
}

__global__ void sum_kernel(const uint32_t *data, uint64_t words, uint32_t *total)
{
    uint32_t sum = 0;
    for (uint64_t i = grid_index(); i < words; i += grid_step())
        sum += data[i];
    add_to_sum(sum, total);
}

void fill_pattern(void *data, uint64_t words, uint32_t seed)
{
    fill_pattern_kernel<<<BLOCKS, THREADS>>>((uint32_t *)data, words, seed);
}

void fill_bf16(void *data, uint64_t elements, uint32_t stream)
{
    fill_bf16_kernel<<<BLOCKS, THREADS>>>((uint16_t *)data, elements, stream);
}

bool sum_words(const void *data, uint64_t words, uint32_t *ret_sum, struct probe_result *result)
{
    struct device_buffer total;
    uint32_t sum = 0;
    if (!total.take(sizeof sum, result) || !probe_ok(cudaMemset(total.data, 0, sizeof sum), result)) return false;
    sum_kernel<<<BLOCKS, THREADS>>>((const uint32_t *)data, words, total.as<uint32_t>());
    if (!probe_ok(cudaGetLastError(), result) ||
        !probe_ok(cudaMemcpy(&sum, total.data, sizeof sum, cudaMemcpyDeviceToHost), result))
        return false;
    *ret_sum = sum;
    return true;
}

bool check_pattern(const void *data, uint64_t words, uint32_t seed, struct probe_result *result)
{
    uint32_t sum = 0, expected = pattern_sum(words, seed);
    if (!sum_words(data, words, &sum, result)) return false;
    if (sum == expected) return true;
    probe_fail(result, PROBE_ERROR, REASON_VERIFICATION, "the buffer adds up to %08x instead of %08x", sum, expected);
    return false;
}
