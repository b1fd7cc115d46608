-- observation_apply.sql owns the change of the measurements to what was staged.
insert into gpusize.observation (source, uid, engine, engine_version, model_id, gpu_id, gpu_count, tensor_parallel,
       pipeline_parallel, expert_parallel, weight_dtype, kv_dtype, load, concurrency, input_tokens, output_tokens,
       output_tokens_per_second, total_tokens_per_second, prefill_tokens_per_second, ttft_ms, tpot_ms, e2e_ms, trust,
       notes, as_of, import_run_id)
select p.source, p.uid, p.engine, p.engine_version, p.model_id, p.gpu_id, p.gpu_count, p.tensor_parallel,
       p.pipeline_parallel, p.expert_parallel, p.weight_dtype, p.kv_dtype, p.load, p.concurrency, p.input_tokens,
       p.output_tokens, p.output_tokens_per_second, p.total_tokens_per_second, p.prefill_tokens_per_second, p.ttft_ms,
       p.tpot_ms, p.e2e_ms, p.trust, p.notes, p.as_of, currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
  from import_diff n cross join lateral jsonb_populate_record(null::gpusize.observation, n.cells) p
 where n.state = 'new';

update gpusize.observation o
   set engine = p.engine, engine_version = p.engine_version, model_id = p.model_id, gpu_id = p.gpu_id,
       gpu_count = p.gpu_count, tensor_parallel = p.tensor_parallel, pipeline_parallel = p.pipeline_parallel,
       expert_parallel = p.expert_parallel, weight_dtype = p.weight_dtype, kv_dtype = p.kv_dtype, load = p.load,
       concurrency = p.concurrency, input_tokens = p.input_tokens, output_tokens = p.output_tokens,
       output_tokens_per_second = p.output_tokens_per_second, total_tokens_per_second = p.total_tokens_per_second,
       prefill_tokens_per_second = p.prefill_tokens_per_second, ttft_ms = p.ttft_ms, tpot_ms = p.tpot_ms,
       e2e_ms = p.e2e_ms, trust = p.trust, notes = p.notes, as_of = p.as_of,
       import_run_id = currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
  from import_diff n cross join lateral jsonb_populate_record(null::gpusize.observation, n.cells) p
 where n.state = 'changed' and o.to_version is null and o.source = n.source and o.live_uid = n.uid
