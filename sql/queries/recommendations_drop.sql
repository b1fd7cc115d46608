-- The oldest rows that are beyond the limit, a thousand at a time: those before which less than the excess stands.
delete from gpusize.recommendation
where place <= (
    select max(place)
    from (select place, sum(stored_bytes) over (order by place rows unbounded preceding) - stored_bytes as before_bytes
          from (select place, stored_bytes from gpusize.recommendation order by place limit 1000) as oldest) as summed
    where before_bytes < (select bytes - $1 from gpusize.recommendation_size))
