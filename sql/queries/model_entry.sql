select (to_jsonb(e) - '{from_version,to_version,live_id,config}'::text[])::text as entry, from_version as version
  from gpusize.model e where live_id = lower($1)
