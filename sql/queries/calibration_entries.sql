select count(*) filter (where c.id = any ($2::text[])) as count,
       coalesce(jsonb_agg(to_jsonb(c) - '{gpu_id,report_id,from_version,to_version,live_id,live_gpu_id}'::text[]
                          || jsonb_build_object('gpu', c.gpu_id, 'version', c.from_version,
                              'started_at', to_char(c.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
                          order by c.gpu_id, c.id)
                    filter (where c.id = any ($2::text[])), '[]')::text as entries,
       coalesce(jsonb_agg(jsonb_build_object('id', c.id, 'gpu', c.gpu_id, 'driver', c.driver, 'as_of', c.as_of,
                                             'sm_clock_max_mhz', c.sm_clock_max_mhz, 'reason', c.reason)
                          order by c.gpu_id, c.id)
                    filter (where c.id <> all ($2::text[]) and c.state = 'retired'
                                  and c.from_version = nullif(current_setting('gpusize.version', true), '')::bigint),
                '[]')::text as retired
  from gpusize.calibration c where c.to_version is null and c.pool = $1
