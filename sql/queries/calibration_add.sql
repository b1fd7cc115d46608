insert into gpusize.calibration (id, pool, gpu_id, memory_gb_per_s, kv_gb_per_s, fp32_tflops, tf32_tflops, fp16_tflops,
                                 fp8_tflops, int8_tops, fp4_tflops, launch_us, allreduce_gpus, allreduce_us,
                                 allreduce_gb_per_s, state, driver, source, as_of, started_at, device_key,
                                 sm_clock_max_mhz, reason, report_id)
select p.id, p.pool, p.gpu_id, p.memory_gb_per_s, p.kv_gb_per_s, p.fp32_tflops, p.tf32_tflops, p.fp16_tflops,
       p.fp8_tflops, p.int8_tops, p.fp4_tflops, p.launch_us, p.allreduce_gpus, p.allreduce_us, p.allreduce_gb_per_s,
       p.state, p.driver, p.source, p.as_of, p.started_at, p.device_key, p.sm_clock_max_mhz, p.reason, p.report_id
  from jsonb_populate_record(null::gpusize.calibration, $1) p
 where not exists (select from gpusize.calibration o
                    where o.pool = p.pool and o.live_id = lower(p.id) and o.live_gpu_id = lower(p.gpu_id))
