insert into gpusize.monitor_sample (host, sampled_at, sample)
select $1, (entry ->> 'time')::timestamptz, entry from jsonb_array_elements($2) entry
on conflict do nothing
