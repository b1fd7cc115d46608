select (extract(epoch from sampled_at) * 1000)::bigint as unix_ms, sample::text as sample
  from gpusize.monitor_sample
 where host = $1
   and sampled_at >= timestamptz 'epoch' + $2::bigint * interval '1 ms'
   and sampled_at <= timestamptz 'epoch' + $3::bigint * interval '1 ms'
 order by sampled_at desc
 limit $4
