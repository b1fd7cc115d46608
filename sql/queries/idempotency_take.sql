insert into gpusize.idempotency_key (api_key, key, request_hash) values ($1, $2, $3) on conflict do nothing
