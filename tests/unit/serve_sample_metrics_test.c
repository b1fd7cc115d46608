/* serve_sample_metrics_test.c owns the proof of the Prometheus text of a sample: escapes, and no series for what is not
 * known. */
#include "cli/serve_sample_metrics.h"

#include "wire/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void append(void *sink, const char *text)
{
    out_raw(sink, text, strlen(text));
}

static void print(struct out *out, const struct gpu_reading *gpus, size_t count, double total_bytes)
{
    const struct sample sample = {
        .host = "h", .memory = {.total_bytes = total_bytes, .available_bytes = 1}, .gpus = gpus, .gpu_count = count};
    out_init(out, 0);
    serve_sample_metrics(&sample, append, out);
    out_raw(out, "", 1);
    assert_false(out->failed);
}

static struct gpu_reading unknown_gpu(void)
{
    struct gpu_reading gpu = gpu_reading_unknown();
    gpu.index = 3;
    return gpu;
}

static size_t count_series(const char *text)
{
    size_t count = strncmp(text, "gpusize_gpu_", 12) == 0;
    for (const char *at = text; (at = strstr(at, "\ngpusize_gpu_")); at++)
        count++;
    return count;
}

static void test_labels_are_escaped(void **state)
{
    struct out out;
    struct gpu_reading gpu = unknown_gpu();
    (void)state;
    strncpy(gpu.uuid, "a\"b\\c\nd\xff", sizeof gpu.uuid - 1);
    memset(gpu.name, '"', sizeof gpu.name - 1);
    print(&out, &gpu, 1, 3);
    assert_non_null(strstr(out.data, "\ngpusize_gpu_lost{gpu=\"3\",uuid=\"a\\\"b\\\\c?d?\"} 0\n"));
    assert_non_null(strstr(out.data, "\\\"\"} 1\n")); /* whole, however long it is */
    out_done(&out);
}

static void test_what_is_not_known_has_no_series(void **state)
{
    struct out out;
    struct gpu_reading gpu = unknown_gpu();
    (void)state;
    print(&out, &gpu, 1, UNKNOWN);
    assert_int_equal(count_series(out.data), 2); /* info, lost */
    assert_null(strstr(out.data, "gpusize_host_"));
    out_done(&out);
    print(&out, &gpu, 0, 3);
    assert_string_equal(out.data, "# HELP gpusize_host_memory_total_bytes Memory of this host.\n"
                                  "# TYPE gpusize_host_memory_total_bytes gauge\ngpusize_host_memory_total_bytes 3\n"
                                  "# HELP gpusize_host_memory_used_bytes Memory that cannot be had without swapping.\n"
                                  "# TYPE gpusize_host_memory_used_bytes gauge\ngpusize_host_memory_used_bytes 2\n");
    out_done(&out);
}

static void test_bytes_are_exact(void **state)
{
    struct out out;
    struct gpu_reading gpu = unknown_gpu();
    (void)state;
    gpu.memory_total_bytes = 150754820097.0;
    gpu.memory_used_bytes = gpu.memory_total_bytes / 4;
    gpu.throttle_bits = 1 << 2;
    print(&out, &gpu, 1, 3);
    assert_non_null(strstr(out.data, "gpusize_gpu_memory_total_bytes{gpu=\"3\",uuid=\"\"} 150754820097\n"));
    assert_non_null(strstr(out.data, "gpusize_gpu_memory_usage_ratio{gpu=\"3\",uuid=\"\"} 0.25\n"));
    assert_non_null(strstr(out.data, "gpusize_gpu_throttled{gpu=\"3\",uuid=\"\",reason=\"sw_power_cap\"} 1\n"));
    assert_non_null(strstr(out.data, "gpusize_gpu_throttled{gpu=\"3\",uuid=\"\",reason=\"hw_slowdown\"} 0\n"));
    out_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_what_is_not_known_has_no_series),
        cmocka_unit_test(test_bytes_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
