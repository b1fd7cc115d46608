/* serve_sample_metrics.c owns the names, units and labels under which Prometheus gets what a sample has. */
#include "cli/serve_sample_metrics.h"

#include "hw/nvml.h"

#include <stdio.h>

enum { LABEL_BYTES = 2 * GPU_TEXT_BYTES /* each byte may need an escape */, LINE_BYTES = 1024 };
#define HERTZ_PER_MHZ 1e6

struct page {
    void (*append)(void *sink, const char *text);
    void *sink;
};

static void write_head(const struct page *page, const char *name, const char *type, const char *help)
{
    char text[LINE_BYTES];
    (void)snprintf(text, sizeof text, "# HELP gpusize_%s %s\n# TYPE gpusize_%s %s\n", name, help, name, type);
    page->append(page->sink, text);
}

/* The text format is UTF-8 with these escapes; what a driver tells beyond ASCII is of no known encoding. */
static const char *escape(const char *text, char ret_label[LABEL_BYTES + 1])
{
    size_t length = 0;
    for (; *text && length + 2 <= LABEL_BYTES; text++) {
        if (*text == '"' || *text == '\\') ret_label[length++] = '\\';
        ret_label[length++] = *text >= ' ' && *text <= '~' ? *text : '?';
    }
    ret_label[length] = '\0';
    return ret_label;
}

/* `more`: another label, `,name="value"`, or "". */
static void write_gpu(const struct page *page, const char *name, const struct gpu_reading *gpu, const char *more,
                      double value)
{
    char text[LINE_BYTES], uuid[LABEL_BYTES + 1];
    if (!is_known(value)) return;
    (void)snprintf(text, sizeof text, "gpusize_gpu_%s{gpu=\"%d\",uuid=\"%s\"%s} %.15g\n", name, gpu->index,
                   escape(gpu->uuid, uuid), more, value);
    page->append(page->sink, text);
}

static const struct figure {
    const char *name, *type, *help;
    size_t offset;
    double scale; /* to the unit of the name */
} figures[] = {
#define FIGURE(name, type, member, scale, help)                                                                        \
    {                                                                                                                  \
        name, type, help, offsetof(struct gpu_reading, member), scale                                                  \
    }
    FIGURE("memory_total_bytes", "gauge", memory_total_bytes, 1, "Memory of a GPU of this host."),
    FIGURE("memory_used_bytes", "gauge", memory_used_bytes, 1, "Memory that processes use."),
    FIGURE("memory_reserved_bytes", "gauge", memory_reserved_bytes, 1, "Memory that the driver keeps for itself."),
    FIGURE("busy_ratio", "gauge", busy_percent, 1e-2, "Share of the time in which it computed."),
    FIGURE("memory_busy_ratio", "gauge", memory_busy_percent, 1e-2, "Share of the time in which its memory was used."),
    FIGURE("power_watts", "gauge", power_watts, 1, "Power that it takes."),
    FIGURE("power_limit_watts", "gauge", power_limit_watts, 1, "Power that it may take."),
    FIGURE("temperature_celsius", "gauge", temperature_c, 1, "Its temperature."),
    FIGURE("sm_clock_hertz", "gauge", sm_clock_mhz, HERTZ_PER_MHZ, "Clock of its processors."),
    FIGURE("memory_clock_hertz", "gauge", memory_clock_mhz, HERTZ_PER_MHZ, "Clock of its memory."),
    FIGURE("energy_joules_total", "counter", energy_joules, 1, "Energy since the driver was loaded."),
    FIGURE("ecc_corrected_total", "counter", ecc_corrected, 1, "Errors of memory that were corrected."),
    FIGURE("ecc_uncorrected_total", "counter", ecc_uncorrected, 1, "Errors of memory that were not corrected."),
#undef FIGURE
};

static void write_figures(const struct page *page, const struct sample *sample)
{
    char name[LINE_BYTES];
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const struct figure *figure = &figures[i];
        (void)snprintf(name, sizeof name, "gpu_%s", figure->name);
        write_head(page, name, figure->type, figure->help);
        for (size_t g = 0; g < sample->gpu_count; g++) {
            const char *member = (const char *)&sample->gpus[g] + figure->offset;
            write_gpu(page, figure->name, &sample->gpus[g], "", *(const double *)(const void *)member * figure->scale);
        }
    }
}

static void write_states(const struct page *page, const struct sample *sample)
{
    char more[LABEL_BYTES + sizeof ",name=\"\""], label[LABEL_BYTES + 1];
    write_head(page, "gpu_info", "gauge", "Names of the GPUs of this host.");
    for (size_t g = 0; g < sample->gpu_count; g++) {
        (void)snprintf(more, sizeof more, ",name=\"%s\"", escape(sample->gpus[g].name, label));
        write_gpu(page, "info", &sample->gpus[g], more, 1);
    }
    write_head(page, "gpu_lost", "gauge", "1: it was there and no longer answers.");
    for (size_t g = 0; g < sample->gpu_count; g++)
        write_gpu(page, "lost", &sample->gpus[g], "", *sample->gpus[g].lost ? 1 : 0);
    write_head(page, "gpu_memory_usage_ratio", "gauge", "Memory in use, the driver's own included.");
    for (size_t g = 0; g < sample->gpu_count; g++)
        write_gpu(page, "memory_usage_ratio", &sample->gpus[g], "", round6(gpu_memory_usage_ratio(&sample->gpus[g])));
}

/* A series for each reason, so that a rule can ask for one that is not. */
static void write_throttling(const struct page *page, const struct sample *sample)
{
    char more[LABEL_BYTES];
    const char *reason = NULL;
    write_head(page, "gpu_throttled", "gauge", "1: its clocks are held down for that reason.");
    for (size_t g = 0; g < sample->gpu_count; g++) {
        const double bits = sample->gpus[g].throttle_bits;
        for (unsigned bit = 0; is_known(bits) && (reason = nvml_throttle_name(bit)); bit++) {
            (void)snprintf(more, sizeof more, ",reason=\"%s\"", reason);
            write_gpu(page, "throttled", &sample->gpus[g], more, (double)((uint64_t)bits >> bit & 1));
        }
    }
}

static void write_host(const struct page *page, const char *name, const char *help, double value)
{
    char text[LINE_BYTES];
    if (!is_known(value)) return;
    write_head(page, name, "gauge", help);
    (void)snprintf(text, sizeof text, "gpusize_%s %.15g\n", name, value);
    page->append(page->sink, text);
}

void serve_sample_metrics(const struct sample *sample, void (*append)(void *sink, const char *text), void *sink)
{
    const struct page page = {append, sink};
    write_host(&page, "host_memory_total_bytes", "Memory of this host.", sample->memory.total_bytes);
    write_host(&page, "host_memory_used_bytes", "Memory that cannot be had without swapping.",
               host_memory_used_bytes(&sample->memory));
    if (!sample->gpu_count) return;
    write_states(&page, sample);
    write_figures(&page, sample);
    write_throttling(&page, sample);
}
