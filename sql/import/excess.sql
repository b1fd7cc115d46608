-- excess.sql owns whether the offers have become more text than services load: gpusize.import_max_bytes.
select format('the offers would have %s MiB as CSV, and services load %s: nothing was changed',
              bytes >> 20, current_setting('gpusize.import_max_bytes')::bigint >> 20)
  from (select 200 + sum(40 + octet_length(replace(concat( -- the header; separators, and quotes around most texts
                   o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
                   p.usd_per_hour, o.vcpus, o.host_memory_gib, p.price_basis, p.as_of, p.source, p.url, p.notes, o.id,
                   greatest(o.from_version, p.from_version)), '"', '""')))::bigint as bytes -- columns of read_offers.sql
          from gpusize.offer o join gpusize.offer_price p on p.live_offer_id = o.live_id) text
 where bytes > current_setting('gpusize.import_max_bytes')::bigint
   and exists (select from import_diff where state in ('new', 'changed', 'described'))
