select count(*) as count from unnest($1::text[]) name
 where exists (select from gpusize.engine_profile where to_version is null)
   and not exists (select from gpusize.engine_profile where to_version is null and coefficient = name)
