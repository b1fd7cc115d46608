-- purchase_diff.sql owns the comparison of staged purchase prices with those of the catalog.
create temporary table import_diff on commit drop as
select n.*, p.usd as old_usd, concat_ws(' ', n.gpu_id, n.kind, n.as_of) as label,
       case when p.usd is null then 'new' when p.usd <> n.usd then 'changed' else 'unchanged' end as state
  from import_new n
  left join gpusize.purchase_price p on p.live_gpu_id = lower(n.gpu_id) and p.kind = n.kind and p.as_of = n.as_of;
create temporary table import_gone (offer_id bigint, usd numeric, label text) on commit drop
