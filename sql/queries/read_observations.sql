copy (
    select uid, source, engine, engine_version, to_char(as_of, 'YYYY-MM-DD') as date, model_id as model,
           weight_dtype as precision_weights, kv_dtype as precision_kv, gpu_id as gpu, gpu_count as gpus_total,
           tensor_parallel as tp, pipeline_parallel as pp, expert_parallel as ep, input_tokens as isl,
           output_tokens as osl, concurrency,
           -- What an import counted to batches of one: a prompt alone; tokens without the prompt's time, whose rate and
           -- time per token are one figure.
           case when load = 'static_batch' and concurrency = 1 and output_tokens_per_second is null
                     and total_tokens_per_second is null and tpot_ms is null and e2e_ms is null
                then 'batch-1 prefill'
                when load = 'static_batch' and concurrency = 1
                     and abs(tpot_ms * output_tokens_per_second - 1000) < 10
                then 'batch-1 decode'
                else load end as load_mode,
           output_tokens_per_second as out_tok_s_total, total_tokens_per_second as total_tok_s_total,
           prefill_tokens_per_second as prefill_tok_s, ttft_ms, tpot_ms, e2e_ms / 1000 as e2e_s, trust, notes
      from gpusize.observation
     where to_version is null and import_run_id is not null -- not those that came with the program
     order by source, uid
) to stdout (format csv, header)
