delete from gpusize.idempotency_key where created_at < now() - interval '1 day'
