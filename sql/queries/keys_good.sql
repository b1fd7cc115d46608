select id, name, role, secret_hash, requests_per_second, extract(epoch from nullif(expires_at, 'infinity'))::bigint as expires_unix_s
  from gpusize.api_key where revoked_at is null and (expires_at is null or expires_at > now())
