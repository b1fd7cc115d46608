#!/usr/bin/python3
"""make_dashboard.py owns the dashboard for Grafana: writes deploy/helm/gpusize/files/dashboard.json from the table below;
with --check it only tells whether the file is as it would be written.

A panel is (title, unit, kind, [(expression, legend)], what it says). Selectors {S} are the dashboard's choices."""
import json
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "deploy" / "helm" / "gpusize" / "files" / "dashboard.json"
S = 'namespace=~"$namespace",job=~"$job",instance=~"$instance"'
ASKED = S + ',operation!~"livez|readyz|metrics"'
ROWS = [
    ("Is it well?", 4, [
        ("Processes ready", "short", "stat", [(f"count(gpusize_catalog_info{{{S}}})", "")], "Those that have a catalog."),
        ("Requests", "reqps", "stat", [(f"sum(rate(gpusize_http_requests_total{{{ASKED}}}[$__rate_interval]))", "")],
         "Of all processes, without probes."),
        ("Failed", "percentunit", "stat",
         [(f'(sum(rate(gpusize_http_requests_total{{{ASKED},status=~"5..|999"}}[$__rate_interval])) or vector(0)) / '
           f"sum(rate(gpusize_http_requests_total{{{ASKED}}}[$__rate_interval]))", "")], "Statuses of 5xx."),
        ("Catalogs", "short", "stat", [(f"count(count by (version) (gpusize_catalog_info{{{S}}}))", "")],
         "More than one for longer than seconds: processes answer differently."),
        ("Newest price", "d", "stat", [(f"min(gpusize_catalog_age_days{{{S}}})", "")], "Age in days."),
        ("Database", "bool_yes_no", "stat", [(f"min(gpusize_database_up{{{S}}})", "")],
         "Whether all processes reach it; empty without one."),
    ]),
    ("Requests", 8, [
        ("By status", "reqps", "timeseries",
         [(f"sum by (status) (rate(gpusize_http_requests_total{{{ASKED}}}[$__rate_interval]))", "{{status}}")], ""),
        ("By operation", "reqps", "timeseries",
         [(f"sum by (operation) (rate(gpusize_http_requests_total{{{ASKED}}}[$__rate_interval]))", "{{operation}}")], ""),
        ("Time to the last byte", "s", "timeseries",
         [(f"histogram_quantile({q}, sum by (le) (rate(gpusize_http_request_duration_seconds_bucket{{{ASKED}}}"
           "[$__rate_interval])))", f"p{q * 100:g}") for q in (0.5, 0.95, 0.99)], "With waiting and sending."),
        ("Time to the last byte, p99 by operation", "s", "timeseries",
         [(f"histogram_quantile(0.99, sum by (le, operation) (rate(gpusize_http_request_duration_seconds_bucket{{{ASKED}}}"
           "[$__rate_interval])))", "{{operation}}")], ""),
    ]),
    ("Computing", 8, [
        ("Time of an estimate", "s", "timeseries",
         [(f"histogram_quantile({q}, sum by (le, operation) (rate(gpusize_estimator_duration_seconds_bucket{{{S}}}"
           "[$__rate_interval])))", "{{operation}} " + f"p{q * 100:g}") for q in (0.5, 0.99)],
         "Of questions that no cache answered, without the wait for a thread."),
        ("Answered from the cache", "percentunit", "timeseries",
         [(f"sum(rate(gpusize_cache_hits_total{{{S}}}[$__rate_interval])) / (sum(rate(gpusize_cache_hits_total{{{S}}}"
           f"[$__rate_interval])) + sum(rate(gpusize_cache_misses_total{{{S}}}[$__rate_interval])))", "share"),
          (f"sum(rate(gpusize_cache_evictions_total{{{S}}}[$__rate_interval]))", "evictions/s")], ""),
        ("Waiting", "short", "timeseries",
         [(f"sum by (instance) (gpusize_queue_depth{{{S}}})", "{{instance}} computations"),
          (f"sum by (instance) (gpusize_waiting_requests{{{S}}})", "{{instance}} for the database"),
          (f"sum by (instance) (gpusize_waiting_writes{{{S}}})", "{{instance}} changes"),
          (f"min(gpusize_queue_max{{{S}}})", "limit of computations")], ""),
        ("Connections", "short", "timeseries",
         [(f"sum by (instance) (gpusize_connections{{{S}}})", "{{instance}}"),
          (f"min(gpusize_connections_max{{{S}}})", "limit"),
          (f"sum(rate(gpusize_connections_cut_total{{{S}}}[$__rate_interval]))", "cut/s")], ""),
    ]),
    ("Catalog and database", 8, [
        ("Age of the catalog", "s", "timeseries", [(f"gpusize_snapshot_age_seconds{{{S}}}", "{{instance}}")],
         "Since it was last known to be the database's newest."),
        ("Loads", "short", "timeseries",
         [(f"sum(increase(gpusize_snapshot_reloads_total{{{S}}}[$__rate_interval]))", "loaded"),
          (f"sum(increase(gpusize_snapshot_load_failures_total{{{S}}}[$__rate_interval]))", "failed")], ""),
        ("Age of imports", "s", "timeseries",
         [(f"min by (kind) (gpusize_import_age_seconds{{{S}}})", "{{kind}}")], ""),
        ("Age of prices", "d", "bargauge",
         [(f"sort_desc(min by (provider) (gpusize_provider_price_age_days{{{S}}} and gpusize_provider_offers{{{S}}} > 0))",
           "{{provider}}")], ""),
        ("Answers kept", "short", "timeseries",
         [(f"sum(rate(gpusize_recommendations_stored_total{{{S}}}[$__rate_interval]))", "stored/s"),
          (f"sum(rate(gpusize_recommendations_dropped_total{{{S}}}[$__rate_interval]))", "lost/s")], ""),
        ("Answers that wait to be kept", "bytes", "timeseries",
         [(f"gpusize_recommendation_queue_bytes{{{S}}}", "{{instance}}")], ""),
    ]),
    ("Calibration", 8, [
        ("Share of what the part can do", "percentunit", "timeseries",
         [(f"min by (gpu, pool, figure) (gpusize_calibration_share_ratio{{{S}}})", "{{gpu}} {{pool}} {{figure}}")], ""),
        ("Newest over earlier", "percentunit", "timeseries",
         [(f"min by (gpu, pool, figure) (gpusize_calibration_drift_ratio{{{S}}})", "{{gpu}} {{pool}} {{figure}}")], ""),
        ("Calibrations", "short", "timeseries", [(f"max by (state) (gpusize_calibrations{{{S}}})", "{{state}}")], ""),
    ]),
    ("GPUs of hosts that a service watches itself", 8, [
        ("Memory in use", "percentunit", "timeseries",
         [(f"gpusize_gpu_memory_usage_ratio{{{S}}}", "{{instance}} {{gpu}}")], "The driver's own included."),
        ("Busy", "percentunit", "timeseries", [(f"gpusize_gpu_busy_ratio{{{S}}}", "{{instance}} {{gpu}}")], ""),
        ("Power", "watt", "timeseries", [(f"gpusize_gpu_power_watts{{{S}}}", "{{instance}} {{gpu}}")], ""),
        ("Temperature", "celsius", "timeseries", [(f"gpusize_gpu_temperature_celsius{{{S}}}", "{{instance}} {{gpu}}")], ""),
    ]),
    ("Process", 8, [
        ("Processor", "short", "timeseries",
         [(f"rate(process_cpu_seconds_total{{{S}}}[$__rate_interval])", "{{instance}}")], "Cores."),
        ("Memory", "bytes", "timeseries",
         [(f"process_resident_memory_bytes{{{S}}}", "{{instance}}"),
          (f"sum(gpusize_cache_bytes{{{S}}})", "of which answers")], ""),
        ("Since the start", "s", "timeseries", [(f"time() - process_start_time_seconds{{{S}}}", "{{instance}}")], ""),
        ("Versions", "short", "timeseries", [(f"count by (version) (gpusize_build_info{{{S}}})", "{{version}}")], ""),
        ("Lines of the log that were lost", "short", "timeseries",
         [(f"sum by (instance) (increase(gpusize_log_lines_dropped_total{{{S}}}[$__rate_interval]))", "{{instance}}")], ""),
    ]),
]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OPTIONS = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
    "bargauge": {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal", "displayMode": "basic"},
    "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
}


def panel(number, position, content):
    title, unit, kind, targets, about = content
    made = {"id": number, "title": title, "type": kind, "datasource": SOURCE, "gridPos": position,
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []}, "options": OPTIONS[kind],
            "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend,
                         "instant": kind == "bargauge"} for i, (expression, legend) in enumerate(targets)]}
    return {**made, "description": about} if about else made


def panels():
    made, y, number = [], 0, 1
    for title, height, row in ROWS:
        made.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                     "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        number, y = number + 1, y + 1
        width = 4 if height == 4 else 12 if len(row) % 2 == 0 else 8
        for i, content in enumerate(row):
            across = 24 // width
            position = {"x": i % across * width, "y": y + i // across * height, "w": width, "h": height}
            made.append(panel(number, position, content))
            number += 1
        y += height * -(-len(row) // (24 // width))
    return made


def choice(name, query, label):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2, "sort": 1,
            "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def dashboard():
    known = "gpusize_build_info"
    variables = [{"name": "datasource", "label": "Source", "type": "datasource", "query": "prometheus"},
                 choice("namespace", f"label_values({known}, namespace)", "Namespace"),
                 choice("job", f'label_values({known}{{namespace=~"$namespace"}}, job)', "Job"),
                 choice("instance", f'label_values({known}{{namespace=~"$namespace",job=~"$job"}}, instance)', "Process")]
    return {"uid": "gpusize", "title": "gpusize", "tags": ["gpusize"], "schemaVersion": 39, "editable": True,
            "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "utc", "graphTooltip": 1,
            "templating": {"list": variables}, "annotations": {"list": []}, "panels": panels()}


def text():
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if FILE.read_text() == text() else f"{FILE} is old: run tools/make_dashboard.py")
    FILE.write_text(text())
