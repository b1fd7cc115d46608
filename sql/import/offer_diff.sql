-- offer_diff.sql owns the comparison of what was staged with what the catalog has.
update import_new n set provider = p.provider
  from gpusize.provider p where lower(p.provider) = lower(n.provider) and p.provider <> n.provider;

create temporary table import_diff on commit drop as
select n.*, o.id as offer_id, p.usd_per_hour as old_usd, p.as_of as old_as_of,
       concat_ws(' ', n.provider, n.instance_type, nullif(n.region, ''), nullif(n.zone, ''), n.purchase,
                 nullif(n.term_months, 0) || ' months') as label,
       case when o.id is null then 'new'
            when p.as_of > n.as_of then 'older'
            when p.usd_per_hour is distinct from n.usd then 'changed'
            when p.price_basis <> n.price_basis or o.vcpus is distinct from coalesce(n.vcpus, o.vcpus)
                 or o.host_memory_gib is distinct from coalesce(n.host_memory_gib, o.host_memory_gib) then 'described'
            else 'unchanged' end as state
  from import_new n
  left join gpusize.offer o on o.to_version is null and o.provider = n.provider
       and lower(o.instance_type) = lower(n.instance_type) and lower(o.region) = lower(n.region)
       and lower(o.zone) = lower(n.zone) and lower(o.gpu_id) = lower(n.gpu_id) and o.gpu_count = n.gpu_count
       and o.purchase = n.purchase and o.term_months = n.term_months
  left join gpusize.offer_price p on p.live_offer_id = o.id;

create temporary table import_gone on commit drop as
select o.id as offer_id, p.usd_per_hour as usd,
       concat_ws(' ', o.provider, o.instance_type, nullif(o.region, ''), nullif(o.zone, ''), o.purchase,
                 nullif(o.term_months, 0) || ' months') as label
  from gpusize.offer o left join gpusize.offer_price p on p.live_offer_id = o.id
 where o.to_version is null and o.provider in (select provider from import_new)
   and o.id not in (select offer_id from import_diff where offer_id is not null);
analyze import_diff
