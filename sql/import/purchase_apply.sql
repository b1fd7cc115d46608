-- purchase_apply.sql owns the change of the purchase prices to what was staged.
insert into gpusize.purchase_price (gpu_id, usd, kind, as_of, source, notes)
select gpu_id, usd, kind, as_of, source, notes from import_diff where state = 'new';

update gpusize.purchase_price p set usd = n.usd, source = n.source, notes = n.notes
  from import_diff n
 where n.state = 'changed' and p.live_gpu_id = lower(n.gpu_id) and p.kind = n.kind and p.as_of = n.as_of
