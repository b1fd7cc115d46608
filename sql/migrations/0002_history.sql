-- 0002_history.sql owns what makes former prices quick to find by the day on which they held.

create index offer_price_day on gpusize.offer_price (offer_id, as_of, from_version);
comment on index gpusize.offer_price_day is 'The price of an offer on a day: the last entry up to it.';

-- Both functions are one stable SELECT each, which PostgreSQL writes into the query that calls them: ended_on is looked
-- up only where it is asked for, so ask once for each offer.
create function gpusize.price_on(offer bigint, day date, version bigint) returns setof gpusize.offer_price
    language sql stable rows 1 as $$
    select * from gpusize.offer_price
     where offer_id = offer and as_of <= day and from_version <= version
     order by as_of desc, from_version desc limit 1
$$;
comment on function gpusize.price_on is
    'The price of an offer that held on a day, as it was known in a version; what was entered last counts. Whether the '
    'offer had ended is told by offers_known.';

create function gpusize.offers_known(version bigint) returns table (
    id bigint, provider gpusize.name_id, instance_type gpusize.name_id, region text, zone text,
    gpu_id gpusize.name_id, gpu_count integer, purchase text, term_months integer, vcpus double precision,
    host_memory_gib double precision, ended_on date
) language sql stable as $$
    select o.id, o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase, o.term_months,
           o.vcpus, o.host_memory_gib,
           (select (v.created_at at time zone 'UTC')::date
              from gpusize.catalog_version v
             where v.number <= version
               and v.number = least(o.to_version, (
                       select p.to_version from gpusize.offer_price p
                        where p.offer_id = o.id and p.from_version <= version
                        order by p.from_version desc limit 1)))
      from (select distinct on (id) * from gpusize.offer
             where from_version <= version
             order by id, from_version desc) o
$$;
comment on function gpusize.offers_known is
    'Every offer that there has been up to a version, as it was last, and the day (UTC) on which it or its price ended; '
    'null while it holds. An offer that ended and came back has several ids.';
