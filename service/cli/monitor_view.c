/* monitor_view.c owns the drawing of a monitor: bars, sparklines, figures. It writes text and does nothing else. */
#include "cli/monitor_view.h"

#include "hw/nvml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 2048, PROCESSES_SHOWN = 3 };

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

/* "72.0/80.0 GiB", with blanks before it up to a width. */
static void add_memory(struct out *out, double used_bytes, double total_bytes, int width)
{
    char text[64] = "-/- GiB";
    if (is_known(used_bytes) && is_known(total_bytes))
        (void)snprintf(text, sizeof text, "%.1f/%.1f GiB", used_bytes / GIB, total_bytes / GIB);
    add(out, "%*s", width, text);
}

/* Reasons but "gpu_idle", which is no trouble. */
static void add_throttle(struct out *out, double bits)
{
    const char *before = ", throttled: ", *name = NULL;
    for (unsigned bit = 1; is_known(bits) && (name = nvml_throttle_name(bit)); bit++) {
        if (!((uint64_t)bits >> bit & 1)) continue;
        add(out, "%s%s", before, name);
        before = " ";
    }
}

static void add_activity(struct out *out, const struct gpu_reading *gpu)
{
    add_figure(out, ", busy ", gpu->busy_percent, 0, "%");
    add_figure(out, ", ", gpu->power_watts, 0, "W");
    add_figure(out, ", ", gpu->temperature_c, 0, "C");
    add_figure(out, ", ", gpu->sm_clock_mhz, 0, "MHz");
    add_throttle(out, gpu->throttle_bits);
}

/* --- lines --- */

static void add_gpu(struct out *out, const struct gpu_reading *gpu)
{
    if (*gpu->lost) {
        add(out, " | gpu %d lost: %s", gpu->index, gpu->lost);
        return;
    }
    add(out, " | gpu %d ", gpu->index);
    add_memory(out, gpu_memory_occupied_bytes(gpu), gpu->memory_total_bytes, 0);
    add_figure(out, " ", gpu_memory_usage_ratio(gpu) * 100, 1, "%");
    add_activity(out, gpu);
    for (size_t i = 0; i < gpu->instance_count; i++) {
        add(out, ", slice %zu ", i);
        add_memory(out, gpu->instances[i].memory_used_bytes, gpu->instances[i].memory_total_bytes, 0);
    }
}

void monitor_view_line(struct out *out, const struct sample *sample)
{
    char time[SAMPLE_TIME_BYTES];
    add(out, "%s  system ", sample_time_format(sample->unix_ms, time));
    add_memory(out, host_memory_used_bytes(&sample->memory), sample->memory.total_bytes, 0);
    add_figure(out, " ", host_memory_usage_ratio(&sample->memory) * 100, 1, "%");
    if (sample->memory.pressure_some_percent > 0)
        add_figure(out, ", pressure ", sample->memory.pressure_some_percent, 1, "%");
    for (size_t i = 0; i < sample->gpu_count; i++)
        add_gpu(out, &sample->gpus[i]);
    if (sample->gpu_count == 0)
        add(out, " | no GPU: %s", *sample->reason ? sample->reason : "the driver lists none");
    else if (*sample->reason)
        add(out, " | %s", sample->reason);
    out_raw(out, "\n", 1);
}

void monitor_view_alert(struct out *out, const struct alert *alert)
{
    char since[SAMPLE_TIME_BYTES];
    add(out, "ALERT %s: %s", alert_states[alert->state], alert_types[alert->rule->measure]);
    if (alert->gpu_index >= 0) add(out, " gpu %d", alert->gpu_index);
    if (alert->rule->measure != ALERT_GPU_LOST) add(out, ", %.4g against %.4g", alert->value, alert->rule->threshold);
    if (is_known(alert->total_bytes)) {
        add(out, ", ");
        add_memory(out, alert->current_bytes, alert->total_bytes, 0);
    }
    add(out, ", since %s", sample_time_format(alert->since_unix_ms, since));
    out_raw(out, "\n", 1);
}

/* --- the frame --- */

/* What goes first where the terminal is too low. */
enum weight { EXTRA, USEFUL, NEEDED };

struct row {
    const char *text; /* in the arena, cut to the width */
    size_t length;
    enum weight weight;
};

/* What a line of memory has beside its label: cells of the bar and of the sparkline, 0 for none. */
struct layout {
    unsigned bar, spark;
    bool memory; /* bytes */
};

struct frame {
    const struct view_subject *subject;
    const struct view_style *style;
    struct arena *arena;
    struct layout layout;
    size_t first; /* of the window in the history */
    struct row *rows;
    size_t count, room;
    bool failed; /* no memory */
};

enum { LABEL = 10, RATIO = 8, MEMORY = 18, BRACKETS = 2, GAP = 2, CELLS_MIN = 8, CELLS_MAX = 40 };

static struct layout lay_out(unsigned columns)
{
    const unsigned least = LABEL + BRACKETS + RATIO, all = least + MEMORY + GAP;
    struct layout layout = {.memory = columns >= all + CELLS_MIN};
    if (columns >= all + 2 * CELLS_MIN) {
        layout.spark = (columns - all) / 2 < CELLS_MAX ? (columns - all) / 2 : CELLS_MAX;
        layout.bar = layout.spark;
    } else if (layout.memory) {
        layout.bar = columns - all;
    } else if (columns > least) {
        layout.bar = columns - least;
    }
    return layout;
}

/* Bytes of a line that fit: control sequences and the later bytes of a character take no room. */
static size_t fitting_length(const struct out *line, unsigned columns_max)
{
    unsigned columns = 0;
    bool escape = false;
    for (size_t at = 0; at < line->length; at++) {
        const unsigned char c = (unsigned char)line->data[at];
        if (escape)
            escape = c == '[' || (c >= '0' && c <= '9') || c == ';';
        else if (c == 0x1b)
            escape = true;
        else if ((c & 0xc0) != 0x80 && ++columns > columns_max)
            return at;
    }
    return line->length;
}

/* Room for one more; NULL when out of memory. */
static struct row *next_row(struct frame *frame)
{
    if (frame->count == frame->room) {
        struct row *rows = ARENA_ARRAY(frame->arena, frame->room * 2 + 32, struct row);
        if (!rows) return NULL;
        if (frame->count) memcpy(rows, frame->rows, frame->count * sizeof *rows);
        frame->room = frame->room * 2 + 32;
        frame->rows = rows;
    }
    return frame->rows + frame->count;
}

static void add_row(struct frame *frame, enum weight weight, struct out *line)
{
    const size_t length = fitting_length(line, frame->style->columns);
    const char *plain = length < line->length && frame->style->colours ? PLAIN : "";
    struct row *row = line->failed ? NULL : next_row(frame);
    const char *text =
        row ? arena_printf(frame->arena, "%.*s%s", (int)length, line->length ? line->data : "", plain) : NULL;
    if (text) {
        *row = (struct row){text, strlen(text), weight};
        frame->count++;
    } else {
        frame->failed = true;
    }
    out_done(line);
}

static void add_bar(const struct frame *frame, struct out *line, double ratio)
{
    const struct view_subject *subject = frame->subject;
    const char *colour = ratio > subject->threshold                         ? RED
                         : ratio > subject->threshold - subject->hysteresis ? YELLOW
                                                                            : GREEN;
    const unsigned cells = frame->layout.bar;
    const unsigned full = is_known(ratio) ? (unsigned)(fmin(fmax(ratio, 0), 1) * cells + 0.5) : 0;
    add(line, "[%s", frame->style->colours ? colour : "");
    for (unsigned i = 0; i < cells; i++)
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
    const size_t cells = count < frame->layout.spark ? count : frame->layout.spark;
    add(line, "%*s", GAP, "");
    for (size_t cell = 0; cell < cells; cell++) {
        double highest = UNKNOWN;
        for (size_t i = count * cell / cells; i < count * (cell + 1) / cells; i++)
            highest = fmax(highest, ratio_of(history_at(history, frame->first + i), uuid)); /* fmax passes NaN over */
        const int level = is_known(highest) ? (int)(fmin(fmax(highest, 0), 0.999) * 8) : -1;
        add(line, "%s", level < 0 ? " " : frame->style->utf8 ? glyphs[level] : ascii[level]);
    }
}

/* Label, bar, share, bytes. */
static void begin_memory(const struct frame *frame, struct out *line, const char *label, double used_bytes,
                         double total_bytes)
{
    const double ratio = total_bytes > 0 ? used_bytes / total_bytes : UNKNOWN;
    out_init(line, 0);
    add(line, "%-*s", LABEL, label);
    add_bar(frame, line, ratio);
    if (is_known(ratio))
        add(line, "%*.1f %%", RATIO - 2, ratio * 100);
    else
        add(line, "%*s", RATIO, "- %");
    if (frame->layout.memory) add_memory(line, used_bytes, total_bytes, MEMORY);
}

static void add_memory_rows(struct frame *frame, const char *label, const struct memory_statistics *memory, bool known,
                            const char *uuid)
{
    struct out line;
    const struct forecast *full = &memory->full_in_minutes;
    begin_memory(frame, &line, label, known ? memory->current_bytes : UNKNOWN, known ? memory->total_bytes : UNKNOWN);
    add_spark(frame, &line, uuid);
    add_row(frame, NEEDED, &line);
    if (!is_known(full->value)) return;
    out_init(&line, 0);
    add(&line, "%*sfull in %.3g min (%.3g to %.3g)", LABEL, "", full->value, full->low, full->high);
    add_row(frame, NEEDED, &line);
}

static void add_system_rows(struct frame *frame, const struct memory_statistics *statistics,
                            const struct memory_reading *memory)
{
    struct out line;
    add_memory_rows(frame, "system", statistics, is_known(host_memory_usage_ratio(memory)), NULL);
    out_init(&line, 0);
    add(&line, "%*s%s", LABEL, "", memory->swap_total_bytes == 0 ? "no swap" : "swap ");
    if (memory->swap_total_bytes != 0)
        add_memory(&line, memory->swap_total_bytes - memory->swap_free_bytes, memory->swap_total_bytes, 0);
    add_figure(&line, ", waiting for memory ", memory->pressure_some_percent, 1, "% of the time");
    add_row(frame, USEFUL, &line);
}

static void add_gpu_rows(struct frame *frame, const struct gpu_statistics *gpu)
{
    struct out line;
    const struct gpu_reading *reading = gpu->gpu;
    out_init(&line, 0);
    add(&line, "GPU %d %s", reading->index, reading->name);
    if (*reading->lost)
        add(&line, ": lost, %s", reading->lost);
    else
        add_activity(&line, reading);
    add_row(frame, NEEDED, &line);
    add_memory_rows(frame, "  memory", &gpu->memory, !*reading->lost, reading->uuid);
    for (size_t i = 0; i < reading->instance_count; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "  slice %zu", i);
        begin_memory(frame, &line, label, reading->instances[i].memory_used_bytes,
                     reading->instances[i].memory_total_bytes);
        add_row(frame, USEFUL, &line);
    }
    for (size_t i = 0; i < reading->process_count && i < PROCESSES_SHOWN; i++) {
        const struct gpu_process *process = &reading->processes[i];
        out_init(&line, 0);
        add(&line, "%*s%lld %s", LABEL, "", (long long)process->pid, process->name);
        add_figure(&line, "  ", process->used_bytes / GIB, 2, "GiB");
        if (i + 1 == PROCESSES_SHOWN && reading->process_count > PROCESSES_SHOWN)
            add(&line, "  and %zu processes more", reading->process_count - PROCESSES_SHOWN);
        add_row(frame, EXTRA, &line);
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
    add_row(frame, NEEDED, &line);
    if (frame->subject->overdue_s > 0) {
        out_init(&line, 0);
        add(&line, "The driver has not answered for %.0f s.", frame->subject->overdue_s);
        add_row(frame, NEEDED, &line);
    }
}

static void add_text(struct frame *frame, const char *before, const char *text)
{
    struct out line;
    if (!*text) return;
    out_init(&line, 0);
    add(&line, "%s%s", before, text);
    add_row(frame, NEEDED, &line);
}

static void add_alerts(struct frame *frame)
{
    const struct alert_set *alerts = frame->subject->view->alerts;
    for (size_t i = 0; i < alert_set_count(alerts); i++) {
        const struct alert *alert = alert_set_at(alerts, i);
        const bool firing = alert->state == ALERT_FIRING;
        struct out line;
        if (alert->state == ALERT_OK) continue;
        out_init(&line, 0);
        if (firing && frame->style->colours) add(&line, RED);
        monitor_view_alert(&line, alert);
        if (line.length) line.length--; /* its newline */
        if (firing && frame->style->colours) add(&line, PLAIN);
        add_row(frame, firing ? NEEDED : USEFUL, &line);
    }
}

/* Those that fit, the least important left out first; and how many are left out. */
static void write_rows(const struct frame *frame, struct out *out)
{
    const size_t most = frame->style->rows > 1 ? frame->style->rows - 1 : 0;
    const size_t shown_max = frame->count <= most ? frame->count : most > 0 ? most - 1 : 0; /* one says so */
    size_t left[NEEDED + 1] = {0}, excess = frame->count - shown_max;
    for (enum weight weight = EXTRA; weight <= NEEDED; weight++) {
        for (size_t i = 0; i < frame->count; i++)
            left[weight] += frame->rows[i].weight == weight;
        const size_t cut = excess < left[weight] ? excess : left[weight];
        left[weight] -= cut;
        excess -= cut;
    }
    for (size_t i = 0; i < frame->count; i++) {
        const struct row *row = &frame->rows[i];
        if (left[row->weight] == 0) continue;
        left[row->weight]--;
        out_raw(out, row->text, row->length);
        out_raw(out, "\n", 1);
    }
    if (shown_max == frame->count || most == 0) return;
    char said[LINE_BYTES];
    (void)snprintf(said, sizeof said, "%zu lines more: a taller window shows them", frame->count - shown_max);
    add(out, "%.*s\n", (int)frame->style->columns, said);
}

enum status monitor_view_frame(struct out *out, const struct view_subject *subject, const struct view_style *style,
                               struct arena *arena)
{
    const struct history *history = subject->view->history;
    const struct sample *last = history_last(history);
    struct statistics statistics;
    struct frame frame = {.subject = subject,
                          .style = style,
                          .arena = arena,
                          .layout = lay_out(style->columns),
                          .first = history_window(history, subject->window_minutes)};
    enum status status = statistics_compute(history, subject->window_minutes, arena, &statistics);
    if (status != STATUS_OK || !last) return status;
    add_head(&frame, last, statistics.sample_count);
    add_system_rows(&frame, &statistics.system_memory, &last->memory);
    add_alerts(&frame);
    add_text(&frame, "Log: ", subject->log);
    add_text(&frame, last->gpu_count ? "" : "No GPU: ", last->reason);
    for (size_t i = 0; i < statistics.gpu_count; i++)
        add_gpu_rows(&frame, &statistics.gpus[i]);
    if (frame.failed) return STATUS_OUT_OF_MEMORY;
    write_rows(&frame, out);
    return STATUS_OK;
}

/* --- the end --- */

static void add_statistics(struct out *out, const char *label, const struct memory_statistics *memory)
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
    add_memory(out, memory->current_bytes, memory->total_bytes, 0);
    if (is_known(memory->full_in_minutes.value)) add(out, ", full in %.3g min", memory->full_in_minutes.value);
    out_raw(out, "\n", 1);
}

void monitor_view_statistics(struct out *out, const struct statistics *statistics)
{
    if (statistics->sample_count == 0) return;
    add(out, "\n%zu sample%s of the last %g minutes; memory in use over all of it:\n%-14s %8s %8s %8s %8s %8s\n",
        statistics->sample_count, statistics->sample_count == 1 ? "" : "s", statistics->window_minutes, "", "avg",
        "max", "min", "p95", "now");
    add_statistics(out, "system", &statistics->system_memory);
    for (size_t i = 0; i < statistics->gpu_count; i++) {
        char label[32];
        (void)snprintf(label, sizeof label, "gpu %d", statistics->gpus[i].gpu->index);
        add_statistics(out, label, &statistics->gpus[i].memory);
    }
}
