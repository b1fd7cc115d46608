select o.id, o.provider, o.instance_type, o.region, o.zone, r.country, r.continent, o.gpu_id, o.gpu_count, o.purchase,
       o.term_months,
       case when $4::text[] is null or lower(o.gpu_id) in (select lower(wanted) from unnest($4) wanted)
            then exists (select from gpusize.price_on(o.id, $3, $1)) and coalesce(o.ended_on, 'infinity') > $2
            else false end as held
  from gpusize.offers_known($1) o
  left join (
           select distinct on (provider, lower(region)) provider, region, country, continent
             from gpusize.provider_region
            where from_version <= $1
            order by provider, lower(region), from_version desc) r
    on r.provider = o.provider and lower(r.region) = lower(o.region)
 order by lower(o.gpu_id) collate "C", array_position('{on_demand,spot,reserved}', o.purchase), o.gpu_count,
          o.term_months, o.provider collate "C", lower(o.region) collate "C", lower(o.zone) collate "C",
          lower(o.instance_type) collate "C", o.id
