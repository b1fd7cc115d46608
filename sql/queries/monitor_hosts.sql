select host, (extract(epoch from sampled_at) * 1000)::bigint as newest_unix_ms, sample::text as sample,
       alerts::text as alerts, alert_count
  from gpusize.monitor_host
 where ($1::text is null or host = $1) and (not $2 or alert_count > 0)
 order by host collate "C"
offset $3 limit $4
