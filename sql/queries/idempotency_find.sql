select request_hash, http_status, answer from gpusize.idempotency_key where api_key = $1 and key = $2
