/* monitor_view.h owns what people see of a monitor: lines for a log, and a frame with bars for a terminal. */
#pragma once
#include "monitor/monitor.h"
#include "wire/out.h"

struct view_style {
    unsigned columns, rows;
    bool utf8, colours;
};

struct view_subject {
    const struct monitor_view *view;
    double interval_s, window_minutes, threshold, hysteresis;
    double overdue_s; /* the driver has not answered for so long; 0 = it does */
    const char *log;  /* the last line of the log; "" = there is none */
};

/* One line of text, ended by a newline. */
void monitor_view_line(struct out *out, const struct sample *sample);
void monitor_view_alert(struct out *out, const struct alert *alert);
/* Lines of at most `columns` characters, at most `rows` - 1 of them, each ended by a newline. */
enum status monitor_view_frame(struct out *out, const struct view_subject *subject, const struct view_style *style,
                               struct arena *arena) MUST_CHECK;
/* The table of figures that is left when watching ends. */
void monitor_view_statistics(struct out *out, const struct statistics *statistics);
