insert into gpusize.monitor_host (host, sampled_at, sample, alerts, alert_count)
values ($1, timestamptz 'epoch' + $2::bigint * interval '1 ms', $3, $4, $5)
on conflict (host) do update
   set sampled_at = excluded.sampled_at, sample = excluded.sample, alerts = excluded.alerts,
       alert_count = excluded.alert_count, received_at = now()
