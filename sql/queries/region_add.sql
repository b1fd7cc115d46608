with known as (select provider from gpusize.provider where lower(provider) = lower($1)),
     made as (insert into gpusize.provider select $1 where not exists (select from known))
insert into gpusize.provider_region (provider, region, source, as_of)
select coalesce((select provider from known), $1), $2::text, $3, gpusize.day_of($4)
 where $2::text <> '' and not exists (select from gpusize.provider_region r
                                 where lower(r.provider) = lower($1) and r.live_region = lower($2::text))
