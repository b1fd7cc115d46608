select e.key as name, e.value
  from gpusize.gpu g, jsonb_each_text(to_jsonb(g) || jsonb_build_object('version', from_version)) e
 where g.live_id = lower($1) and e.value is not null
