insert into gpusize.api_key (id, name, role, secret_hash, requests_per_second, expires_at)
values ($1, $2, $3, $4, $5, $6)
