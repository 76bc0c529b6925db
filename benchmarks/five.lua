wrk.method = "POST"
wrk.body = '{"sku":"chair","quantity":1}'
wrk.headers["Content-Type"] = "application/json"
