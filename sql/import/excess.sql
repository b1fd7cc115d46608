-- excess.sql owns whether the offers, or the measured runs, have become more text than services load:
-- gpusize.import_max_bytes.
select format('the %s would have %s MiB as CSV, and services load %s: nothing was changed', what, bytes >> 20,
              current_setting('gpusize.import_max_bytes')::bigint >> 20)
  from (select 'offers' as what, -- the header; separators, and quotes around most texts
               200 + sum(40 + octet_length(replace(concat(
                   o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
                   p.usd_per_hour, o.vcpus, o.host_memory_gib, p.price_basis, p.as_of, p.source, p.url, p.notes, o.id,
                   greatest(o.from_version, p.from_version)), '"', '""')))::bigint as bytes -- columns of read_offers.sql
          from gpusize.offer o join gpusize.offer_price p on p.live_offer_id = o.live_id
        union all
        select 'measured runs', 400 + sum(40 + octet_length(replace(concat(
                   source, uid, engine, engine_version, model_id, gpu_id, gpu_count, tensor_parallel, pipeline_parallel,
                   expert_parallel, weight_dtype, kv_dtype, load, concurrency, input_tokens, output_tokens,
                   output_tokens_per_second, total_tokens_per_second, ttft_ms, tpot_ms, e2e_ms, trust, as_of, 'false'),
                   '"', '""')))::bigint -- columns of read_measured.sql
          from gpusize.observation where to_version is null) text
 where bytes > current_setting('gpusize.import_max_bytes')::bigint
   and exists (select from import_diff where state in ('new', 'changed', 'described'))
 order by bytes desc
