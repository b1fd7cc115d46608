-- offer_apply.sql owns the change of the catalog to what was staged: only what differs is written.
insert into gpusize.provider (provider) select distinct provider from import_diff where state = 'new'
on conflict do nothing;

insert into gpusize.provider_region (provider, region, source, as_of)
select distinct on (provider, lower(region)) provider, region, source, as_of
  from import_diff n
 where state = 'new' and region <> ''
   and not exists (select from gpusize.provider_region r
                    where r.provider = n.provider and r.live_region = lower(n.region))
 order by provider, lower(region), line;

update import_diff set offer_id = nextval(pg_get_serial_sequence('gpusize.offer', 'id')) where state = 'new';

insert into gpusize.offer (id, provider, instance_type, region, zone, gpu_id, gpu_count, purchase, term_months, vcpus,
                           host_memory_gib)
select offer_id, provider, instance_type, region, zone, gpu_id, gpu_count, purchase, term_months, vcpus, host_memory_gib
  from import_diff where state = 'new';

insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source, url, notes, import_run_id)
select offer_id, usd, price_basis, as_of, source, url, notes,
       currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
  from import_diff where state = 'new';

update gpusize.offer o
   set vcpus = coalesce(n.vcpus, o.vcpus), host_memory_gib = coalesce(n.host_memory_gib, o.host_memory_gib)
  from import_diff n where n.state in ('changed', 'described') and o.live_id = n.offer_id;

insert into gpusize.offer_price (offer_id, usd_per_hour, price_basis, as_of, source, url, notes, import_run_id)
select offer_id, usd, price_basis, as_of, source, url, notes,
       currval(pg_get_serial_sequence('gpusize.import_run', 'id'))
  from import_diff where state = 'changed' and old_usd is null;

update gpusize.offer_price p
   set usd_per_hour = n.usd, price_basis = n.price_basis, as_of = n.as_of, source = n.source, url = n.url,
       notes = n.notes, import_run_id = currval(pg_get_serial_sequence('gpusize.import_run', 'id')),
       valid_from = case when p.usd_per_hour = n.usd then p.valid_from else now() end
  from import_diff n
 where (n.state = 'changed' or n.state = 'described' and p.price_basis <> n.price_basis)
   and p.live_offer_id = n.offer_id and n.old_usd is not null;

delete from gpusize.offer o using import_gone g
 where o.live_id = g.offer_id and current_setting('gpusize.import_complete')::boolean
