/* alert_state.h owns the alerts of a host as a text that is kept between its samples, by whoever comes to see the next:
 *
 *   {"elapsed_ms": …, "unix_ms": …, "monotonic_ms": …,
 *    "alerts": [{"type": "gpu_memory_high", "state": "firing", "since_unix_ms": …, "over_since_ms": …, "value": …,
 *                "peak": …, "current_bytes": …, "total_bytes": …, "index": 0, "uuid": "GPU-…", "name": "…"}]}
 *
 * Those that are ok are left out: nothing of them is needed. */
#pragma once
#include "monitor/alert.h"

struct out;
void alert_state_write(struct out *out, const struct alert_set *set);
/* Into an empty set. Alerts of a type or state that this program does not know are left out. */
enum status alert_state_read(const char *text, size_t length, const char *host, struct alert_set *set,
                             struct arena *arena, struct problems *problems) MUST_CHECK;
