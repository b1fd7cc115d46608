with chosen as materialized (
    select c.id, c.offer, c.series, o.provider, o.gpu_count, coalesce(o.ended_on, 'infinity') as ended_on
      from unnest($2::bigint[], $3::bigint[], $4::bigint[]) c (id, offer, series)
      join gpusize.offers_known($1) o on o.id = c.id
     where o.id = any ($2)
), held as (
    select distinct on (c.offer, d.day) c.series, d.day, c.provider,
           p.usd_per_hour::double precision / c.gpu_count as usd
      from chosen c
     cross join (select ($6::date - n * $7::interval)::date as day from generate_series(0, $8::bigint - 1) n) d
     cross join gpusize.price_on(c.id, d.day, $1) p
     where d.day >= $5 and c.ended_on > d.day
     order by c.offer, d.day, p.as_of desc, p.from_version desc
), providers as (
    select series, day, min(usd) as usd, count(*) as offer_count from held group by series, day, provider
)
select series, day, min(usd) as min_usd, percentile_cont(0.5) within group (order by usd) as median_usd,
       max(usd) as max_usd, count(*) as provider_count, sum(offer_count)::bigint as offer_count
  from providers
 group by series, day
 order by series, day
 limit $9
