select (extract(epoch from sampled_at) * 1000)::bigint as newest_unix_ms, alerts::text as alerts
  from gpusize.monitor_host
 where host = $1
