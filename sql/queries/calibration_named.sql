select count(*) as count,
       coalesce(jsonb_agg(to_jsonb(c) - '{gpu_id,report_id,from_version,to_version,live_id,live_gpu_id}'::text[]
                          || jsonb_build_object('gpu', c.gpu_id, 'version', c.from_version,
                              'started_at', to_char(c.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
                          order by c.pool, c.gpu_id),
                '[]')::text as entries
  from gpusize.calibration c
 where c.to_version is null and c.live_id = lower($1) and ($2::text is null or c.pool = $2)
