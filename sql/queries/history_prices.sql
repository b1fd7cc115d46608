with chosen as materialized (
    select c.id, c.offer, o.ended_on
      from unnest($2::bigint[], $3::bigint[]) c (id, offer)
      join gpusize.offers_known($1) o on o.id = c.id
     where o.id = any ($2)
), held as (
    select distinct on (c.offer, p.as_of) c.offer, p.as_of, p.usd_per_hour, p.source, c.ended_on
      from chosen c
      join gpusize.offer_price p on p.offer_id = c.id and p.from_version <= $1
     order by c.offer, p.as_of, p.from_version desc
), spans as (
    select offer, as_of, least(ended_on, lead(as_of) over (partition by offer order by as_of)) as until, usd_per_hour,
           source
      from held
)
select offer, as_of, until, usd_per_hour, source
  from spans
 where as_of <= $5 and (until is null or until > greatest(as_of, $4))
 order by offer, as_of
 limit $6
