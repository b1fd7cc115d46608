update gpusize.idempotency_key set http_status = $3, answer = $4 where api_key = $1 and key = $2
