-- Reads from the oldest on, and only until what remains is small enough.
delete from gpusize.recommendation
using gpusize.recommendation_size as size
where size.bytes > $1
  and place <= (
    select place
    from (select place, sum(stored_bytes) over (order by place rows unbounded preceding) as bytes
          from gpusize.recommendation) as up_to
    where up_to.bytes >= (select bytes - $1 from gpusize.recommendation_size)
    order by place
    limit 1)
