select e.key as name, e.value
  from gpusize.offer o
  join gpusize.offer_price p on p.live_offer_id = o.id,
       jsonb_each_text(to_jsonb(o) || to_jsonb(p)
                       || jsonb_build_object('version', greatest(o.from_version, p.from_version))) e
 where o.live_id = $1 and e.value is not null
