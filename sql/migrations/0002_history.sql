-- 0002_history.sql owns what makes former prices quick to find by the day on which they held.

create index offer_price_day on gpusize.offer_price (offer_id, as_of, from_version);
comment on index gpusize.offer_price_day is 'The price of an offer on a day: the last entry up to it.';

-- Both functions are one stable SELECT each, which PostgreSQL writes into the query that calls them.
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
    select distinct on (o.id) o.id, o.provider, o.instance_type, o.region, o.zone, o.gpu_id, o.gpu_count, o.purchase,
           o.term_months, o.vcpus, o.host_memory_gib,
           (select (v.created_at at time zone 'UTC')::date from gpusize.catalog_version v
             where v.number = least(o.to_version, p.to_version) and v.number <= version)
      from gpusize.offer o
      left join lateral (
               select to_version from gpusize.offer_price
                where offer_id = o.id and from_version <= version
                order by from_version desc limit 1) p on true
     where o.from_version <= version
     order by o.id, o.from_version desc
$$;
comment on function gpusize.offers_known is
    'Every offer that there has been up to a version, as it was last, and the day (UTC) on which it or its price ended; '
    'null while it holds. An offer that ended and came back has several ids.';
