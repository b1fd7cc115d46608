select ((to_jsonb(o) || to_jsonb(p)
         || jsonb_build_object('region', nullif(o.region, ''), 'zone', nullif(o.zone, ''),
                               'term_months', nullif(o.term_months, 0)))
        - '{offer_id,from_version,to_version,live_id,live_region,live_gpu_id,live_offer_id}'::text[])::text as entry,
       greatest(o.from_version, p.from_version) as version
  from gpusize.offer o join gpusize.offer_price p on p.live_offer_id = o.id where o.live_id = $1
