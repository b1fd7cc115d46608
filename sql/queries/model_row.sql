select e.key as name, e.value
  from gpusize.model m, jsonb_each_text((to_jsonb(m) - 'config') || jsonb_build_object('version', from_version)) e
 where m.live_id = lower($1) and e.value is not null
