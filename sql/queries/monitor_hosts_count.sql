select count(*) from gpusize.monitor_host where ($1::text is null or host = $1) and (not $2 or alert_count > 0)
