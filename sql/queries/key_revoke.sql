update gpusize.api_key set revoked_at = now()
 where revoked_at is null and (id = $1 or lower(name) = lower($1))
returning id
