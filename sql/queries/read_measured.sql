copy (
    select source, uid, engine, engine_version, model_id, gpu_id, gpu_count, tensor_parallel, pipeline_parallel,
           expert_parallel, left(weight_dtype, 100) as weight_dtype, left(kv_dtype, 100) as kv_dtype, load, concurrency, input_tokens, output_tokens,
           output_tokens_per_second, total_tokens_per_second, ttft_ms, tpot_ms, e2e_ms, trust,
           to_char(as_of, 'YYYY-MM-DD') as as_of, (import_run_id is not null)::text as own
      from gpusize.observation
     where from_version <= gpusize.reading() and (to_version is null or to_version > gpusize.reading())
       and load <> 'rate' -- of which no arrival rate is kept
) to stdout (format csv, header)
