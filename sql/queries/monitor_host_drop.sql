delete from gpusize.monitor_host
 where host = (select host from gpusize.monitor_host
                where sampled_at < now() - interval '1 day'
                order by sampled_at limit 1)
