/* serve_sample_metrics.h owns the Prometheus text of one sample of a host: its memory, and each of its GPUs. */
#pragma once
#include "monitor/sample.h"

/* What is not known has no series. */
void serve_sample_metrics(const struct sample *sample, void (*append)(void *sink, const char *text), void *sink);
