copy (
    select o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
           p.usd_per_hour, o.vcpus, o.host_memory_gib, p.price_basis, to_char(p.as_of, 'YYYY-MM-DD') as as_of,
           p.source, p.url, p.notes, o.id, greatest(o.from_version, p.from_version) as version
      from gpusize.offer o
      join gpusize.offer_price p on p.offer_id = o.id
     where o.from_version <= gpusize.reading() and (o.to_version is null or o.to_version > gpusize.reading())
       and p.from_version <= gpusize.reading() and (p.to_version is null or p.to_version > gpusize.reading())
) to stdout (format csv, header)
