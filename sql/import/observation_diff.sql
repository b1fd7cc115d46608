-- observation_diff.sql owns the comparison of staged measurements with those of the catalog. Their day alone is no change.
create temporary table import_diff on commit drop as
select n.*, null::bigint as offer_id, null::numeric as old_usd, concat_ws(' ', n.source, n.uid) as label,
       case when o.uid is null then 'new'
            when o.as_of > n.as_of then 'older'
            when to_jsonb(o) - kept = to_jsonb(jsonb_populate_record(null::gpusize.observation, n.cells)) - kept
            then 'unchanged' else 'changed' end as state
  from import_new n
 cross join (values (array['as_of', 'import_run_id', 'from_version', 'to_version', 'live_uid', 'live_gpu_id'])) k (kept)
  left join gpusize.observation o on o.to_version is null and o.source = n.source and o.live_uid = n.uid;
create temporary table import_gone (offer_id bigint, usd numeric, label text) on commit drop
