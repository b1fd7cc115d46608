copy (
    select id, pool, gpu_id, memory_gb_per_s, kv_gb_per_s, fp32_tflops, tf32_tflops, fp16_tflops, fp8_tflops, int8_tops,
           fp4_tflops, launch_us, allreduce_gpus, allreduce_us, allreduce_gb_per_s, state, driver, source,
           to_char(as_of, 'YYYY-MM-DD') as as_of, reason,
           to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as started_at
      from gpusize.calibration
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
) to stdout (format csv, header)
