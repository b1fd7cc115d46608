/* monitor_view.c owns the drawing of a monitor: bars, sparklines, figures. It writes text and does nothing else. */
#include "cli/monitor_view.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 2048, BAR_CELLS = 24, SPARK_CELLS = 24, PROCESSES_SHOWN = 3 };

#define RED "\x1b[31m"
#define YELLOW "\x1b[33m"
#define GREEN "\x1b[32m"
#define PLAIN "\x1b[0m"

/* --- pieces of lines --- */

static void add(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct out *out, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0) out_raw(out, text, (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

/* "97 %"; "-" for what is not known. */
static void add_figure(struct out *out, const char *before, double value, int decimals, const char *unit)
{
    if (is_known(value))
        add(out, "%s%.*f %s", before, decimals, value, unit);
    else
        add(out, "%s- %s", before, unit);
}

static void add_memory(struct out *out, double used_bytes, double total_bytes)
{
    if (is_known(used_bytes) && is_known(total_bytes))
        add(out, "%.1f/%.1f GiB", used_bytes / GIB, total_bytes / GIB);
    else
        add(out, "-/- GiB");
}

/* --- lines --- */

static void add_gpu(struct out *out, const struct gpu_reading *gpu)
{
    if (*gpu->lost) {
        add(out, " | gpu %d lost: %s", gpu->index, gpu->lost);
        return;
    }
    add(out, " | gpu %d ", gpu->index);
    add_memory(out, gpu_memory_occupied_bytes(gpu), gpu->memory_total_bytes);
    add_figure(out, " ", gpu_memory_usage_ratio(gpu) * 100, 1, "%");
    add_figure(out, ", busy ", gpu->busy_percent, 0, "%");
    add_figure(out, ", ", gpu->power_watts, 0, "W");
    add_figure(out, ", ", gpu->temperature_c, 0, "C");
}

void monitor_view_line(struct out *out, const struct sample *sample)
{
    char time[SAMPLE_TIME_BYTES];
    add(out, "%s  system ", sample_time_format(sample->unix_ms, time));
    add_memory(out, host_memory_used_bytes(&sample->memory), sample->memory.total_bytes);
    add_figure(out, " ", host_memory_usage_ratio(&sample->memory) * 100, 1, "%");
    for (size_t i = 0; i < sample->gpu_count; i++)
        add_gpu(out, &sample->gpus[i]);
    if (sample->gpu_count == 0) add(out, " | no GPU: %s", *sample->reason ? sample->reason : "the driver lists none");
    out_raw(out, "\n", 1);
}

void monitor_view_alert(struct out *out, const struct alert *alert)
{
    char since[SAMPLE_TIME_BYTES];
    add(out, "ALERT %s %s: %s", alert_state_name(alert->state), sample_time_format(alert->since_unix_ms, since),
        alert_type(alert->rule->measure));
    if (alert->gpu_index >= 0) add(out, " gpu %d", alert->gpu_index);
    add(out, ", %.4g against %.4g", alert->value, alert->rule->threshold);
    out_raw(out, "\n", 1);
}

/* --- the frame --- */

struct frame {
    struct out *out;
    const struct view_subject *subject;
    const struct view_style *style;
    size_t first;  /* of the window in the history */
    unsigned rows; /* lines so far */
};

/* Cuts a line to the width: control sequences and the later bytes of a character take no room. */
static void end_line(struct frame *frame, struct out *line)
{
    unsigned columns = 0;
    size_t at = 0;
    for (bool escape = false; at < line->length; at++) {
        const unsigned char c = (unsigned char)line->data[at];
        if (escape) {
            escape = c == '[' || (c >= '0' && c <= '9') || c == ';';
        } else if (c == 0x1b) {
            escape = true;
        } else if ((c & 0xc0) != 0x80 && ++columns > frame->style->columns) {
            break;
        }
    }
    const bool room = frame->rows + 1 < frame->style->rows;
    if (room && !line->failed) {
        out_raw(frame->out, line->data, at);
        if (at < line->length && frame->style->colours) out_raw(frame->out, PLAIN, sizeof PLAIN - 1);
        out_raw(frame->out, "\n", 1);
        frame->rows++;
    }
    out_done(line);
}

static void add_bar(const struct frame *frame, struct out *line, double ratio)
{
    const struct view_subject *subject = frame->subject;
    const char *colour = ratio > subject->threshold                         ? RED
                         : ratio > subject->threshold - subject->hysteresis ? YELLOW
                                                                            : GREEN;
    const int full = is_known(ratio) ? (int)(fmin(fmax(ratio, 0), 1) * BAR_CELLS + 0.5) : 0;
    add(line, "[%s", frame->style->colours ? colour : "");
    for (int i = 0; i < BAR_CELLS; i++)
        add(line, "%s", i < full ? (frame->style->utf8 ? "█" : "#") : (frame->style->utf8 ? "░" : "."));
    add(line, "%s]", frame->style->colours ? PLAIN : "");
}

static double ratio_of(const struct sample *sample, const char *uuid)
{
    const struct gpu_reading *gpu = uuid ? sample_find_gpu(sample, uuid) : NULL;
    if (!uuid) return host_memory_usage_ratio(&sample->memory);
    return gpu ? gpu_memory_usage_ratio(gpu) : UNKNOWN;
}

/* The window from left to right, the highest ratio of each part. */
static void add_spark(const struct frame *frame, struct out *line, const char *uuid)
{
    static const char *const glyphs[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}, *const ascii[] = {"_", ".", ":", "-",
                                                                                                    "=", "+", "*", "#"};
    const struct history *history = frame->subject->view->history;
    const size_t count = history_count(history) - frame->first;
    const size_t cells = count < SPARK_CELLS ? count : SPARK_CELLS;
    add(line, "  ");
    for (size_t cell = 0; cell < cells; cell++) {
        double highest = UNKNOWN;
        for (size_t i = count * cell / cells; i < count * (cell + 1) / cells; i++)
            highest = fmax(highest, ratio_of(history_at(history, frame->first + i), uuid)); /* fmax passes NaN over */
        const int level = is_known(highest) ? (int)(fmin(fmax(highest, 0), 0.999) * 8) : -1;
        add(line, "%s", level < 0 ? " " : frame->style->utf8 ? glyphs[level] : ascii[level]);
    }
}

static void add_memory_line(struct frame *frame, const char *label, const struct memory_statistics *memory,
                            const char *uuid)
{
    struct out line;
    const struct forecast *full = &memory->full_in_minutes;
    out_init(&line, 0);
    add(&line, "%-8s", label);
    add_bar(frame, &line, memory->usage_ratio.current);
    add_figure(&line, " ", memory->usage_ratio.current * 100, 1, "%");
    add(&line, "  ");
    add_memory(&line, memory->current_bytes, memory->total_bytes);
    add_spark(frame, &line, uuid);
    if (is_known(full->value)) add(&line, "  full in %.3g min (%.3g to %.3g)", full->value, full->low, full->high);
    end_line(frame, &line);
}

static void add_throttle(struct out *line, double bits)
{
    /* What the driver names, without "idle", which is no trouble. */
    if (is_known(bits) && ((uint64_t)bits & ~1ULL)) add(line, ", throttled");
}

static void add_gpu_lines(struct frame *frame, const struct gpu_statistics *gpu)
{
    struct out line;
    const struct gpu_reading *reading = gpu->gpu;
    out_init(&line, 0);
    add(&line, "GPU %d %s", reading->index, reading->name);
    if (*reading->lost)
        add(&line, ": lost, %s", reading->lost);
    else {
        add_figure(&line, "  busy ", reading->busy_percent, 0, "%");
        add_figure(&line, ", ", reading->power_watts, 0, "W");
        add_figure(&line, ", ", reading->temperature_c, 0, "C");
        add_figure(&line, ", ", reading->sm_clock_mhz, 0, "MHz");
        add_throttle(&line, reading->throttle_bits);
    }
    end_line(frame, &line);
    add_memory_line(frame, "  memory", &gpu->memory, reading->uuid);
    for (size_t i = 0; i < reading->process_count && i < PROCESSES_SHOWN; i++) {
        const struct gpu_process *process = &reading->processes[i];
        out_init(&line, 0);
        add(&line, "    %lld %s", (long long)process->pid, process->name);
        add_figure(&line, "  ", process->used_bytes / GIB, 2, "GiB");
        end_line(frame, &line);
    }
}

static void add_head(struct frame *frame, const struct sample *last, size_t window_count)
{
    struct out line;
    char time[SAMPLE_TIME_BYTES];
    out_init(&line, 0);
    add(&line, "gpusize monitor  %s  %s  every %g s, %zu samples of %g min", last->host,
        sample_time_format(last->unix_ms, time), frame->subject->interval_s, window_count,
        frame->subject->window_minutes);
    if (frame->subject->view->late) add(&line, ", %llu left out", (unsigned long long)frame->subject->view->late);
    end_line(frame, &line);
    if (frame->subject->overdue_s > 0) {
        out_init(&line, 0);
        add(&line, "The driver has not answered for %.0f s.", frame->subject->overdue_s);
        end_line(frame, &line);
    }
}

static void add_alerts(struct frame *frame)
{
    const struct alert_set *alerts = frame->subject->view->alerts;
    for (size_t i = 0; i < alert_set_count(alerts); i++) {
        const struct alert *alert = alert_set_at(alerts, i);
        struct out line;
        if (alert->state == ALERT_OK) continue;
        out_init(&line, 0);
        monitor_view_alert(&line, alert);
        if (line.length) line.length--; /* its newline */
        end_line(frame, &line);
    }
}

enum status monitor_view_frame(struct out *out, const struct view_subject *subject, const struct view_style *style,
                               struct arena *arena)
{
    const struct history *history = subject->view->history;
    const struct sample *last = history_last(history);
    struct statistics statistics;
    struct frame frame = {
        .out = out, .subject = subject, .style = style, .first = history_window(history, subject->window_minutes)};
    enum status status = statistics_compute(history, subject->window_minutes, NULL, arena, &statistics);
    if (status != STATUS_OK || !last) return status;
    add_head(&frame, last, statistics.sample_count);
    add_memory_line(&frame, "system", &statistics.system_memory, NULL);
    add_alerts(&frame);
    for (size_t i = 0; i < statistics.gpu_count; i++)
        add_gpu_lines(&frame, &statistics.gpus[i]);
    if (*last->reason) {
        struct out line;
        out_init(&line, 0);
        add(&line, "%s%s", last->gpu_count ? "" : "No GPU: ", last->reason);
        end_line(&frame, &line);
    }
    return STATUS_OK;
}

/* --- the end --- */

static void add_row(struct out *out, const char *label, const struct memory_statistics *memory)
{
    const struct series *ratio = &memory->usage_ratio;
    add(out, "%-14s", label);
    const double figures[] = {ratio->avg, ratio->max, ratio->min, ratio->p95, ratio->current};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        if (is_known(figures[i]))
            add(out, " %8.4f", figures[i]);
        else
            add(out, " %8s", "-");
    }
    add(out, "   ");
    add_memory(out, memory->current_bytes, memory->total_bytes);
    if (is_known(memory->full_in_minutes.value)) add(out, ", full in %.3g min", memory->full_in_minutes.value);
    out_raw(out, "\n", 1);
}

void monitor_view_statistics(struct out *out, const struct statistics *statistics)
{
    if (statistics->sample_count == 0) return;
    add(out, "\n%zu samples of the last %g minutes; memory in use over all of it:\n%-14s %8s %8s %8s %8s %8s\n",
        statistics->sample_count, statistics->window_minutes, "", "avg", "max", "min", "p95", "now");
    add_row(out, "system", &statistics->system_memory);
    for (size_t i = 0; i < statistics->gpu_count; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "gpu %d", statistics->gpus[i].gpu->index);
        add_row(out, label, &statistics->gpus[i].memory);
    }
}
