copy (
    select distinct on (o.provider, lower(o.instance_type), lower(o.region), lower(o.zone), lower(o.gpu_id),
                        o.gpu_count, o.purchase, o.term_months)
           o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
           p.usd_per_hour, o.vcpus, o.host_memory_gib, p.price_basis, to_char(p.as_of, 'YYYY-MM-DD') as as_of,
           p.source, p.url, p.notes
      from (select current_setting('gpusize.day')::date as day) asked
     cross join gpusize.offers_known(gpusize.reading()) o
     cross join gpusize.price_on(o.id, asked.day, gpusize.reading()) p
     where coalesce(o.ended_on, 'infinity') > asked.day
     order by o.provider, lower(o.instance_type), lower(o.region), lower(o.zone), lower(o.gpu_id), o.gpu_count,
              o.purchase, o.term_months, p.as_of desc, p.from_version desc
) to stdout (format csv, header)
