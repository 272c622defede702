#!/usr/bin/env bash
# The configurations of this folder with a real nginx before a real service, on this machine:
#   deploy/nginx/check.sh          needs nginx, openssl and curl; PYTHON names the interpreter
# Ports, names of files and certificates are replaced; everything else is as it stands.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
here=$PWD/deploy/nginx
work=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
https=$((port + 1)) path=$((port + 2)) rooted=$((port + 3))
key=0123456789abcdef-check
pids=()
end() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    rm -rf "$work"
}
trap end EXIT

openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=photos.example.org \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
mkdir "$work/snippets"
cp "$here/chromaserve-proxy.conf" "$work/snippets/"
sed -e "s/127.0.0.1:8000/127.0.0.1:$port/; s/listen 80;/listen 127.0.0.1:$((port + 4));/" \
    -e "s/listen 443 /listen 127.0.0.1:$https /" \
    -e "s#/etc/letsencrypt/.*/fullchain.pem#$work/cert.pem#; s#/etc/letsencrypt/.*/privkey.pem#$work/key.pem#" \
    "$here/chromaserve.conf" > "$work/own.conf"
sed "s#http://chromaserve/#http://rooted/#" "$here/chromaserve-path.conf" > "$work/path.conf"
cat > "$work/nginx.conf" <<NGINX
daemon off;
pid $work/nginx.pid;
error_log $work/error.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/body;
    proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi;
    uwsgi_temp_path $work/uwsgi;
    scgi_temp_path $work/scgi;
    include $work/own.conf;
    upstream rooted { server 127.0.0.1:$rooted; keepalive 8; keepalive_timeout 4s; }
    server { listen 127.0.0.1:$path; server_name photos.example.org; include $work/path.conf; }
}
NGINX
nginx -p "$work" -c "$work/nginx.conf" & pids+=($!)

serve() { # PORT SETTING=VALUE...
    env CHROMASERVE_PORT="$1" CHROMASERVE_FORWARDED_ALLOW_IPS=127.0.0.1 "${@:2}" \
        "$PYTHON" -m app > "$work/service-$1.log" 2>&1 &
    pids+=($!)
    for _ in $(seq 600); do
        curl -sf "http://127.0.0.1:$1/readyz" > /dev/null && return
        sleep 0.2
    done
    cat "$work/service-$1.log"
    exit 1
}
serve "$port" CHROMASERVE_API_KEYS="$key" CHROMASERVE_TRUSTED_HOSTS=photos.example.org
serve "$rooted" CHROMASERVE_ROOT_PATH=/colour

photo=samples/grey/picos-de-europa.jpg
ask() { # what curl -w says of an answer
    curl -s --cacert "$work/cert.pem" --connect-to "photos.example.org:443:127.0.0.1:$https" \
        --connect-to "photos.example.org:80:127.0.0.1:$path" -D "$work/head" -o "$work/answer" "$@"
}
check() { # NAME EXPECTED ACTUAL
    if [[ $3 == $2 ]]; then echo "ok   $1: $3"; else echo "FAIL $1: $3, not $2"; cat "$work/answer"; exit 1; fi
}
own=https://photos.example.org bearer="Authorization: Bearer $key"
check "a photo over TLS" "200 image/png 2" \
    "$(ask -w '%{http_code} %{content_type} %{http_version}' -H "$bearer" -F "file=@$photo" $own/colorize)"
check "without a key" "401 application/problem+json" \
    "$(ask -w '%{http_code} %{content_type}' -F "file=@$photo" $own/colorize)"
check "one id in both logs" "[0-9a-f]*" "$(sed -n 's/^x-request-id: \(.*\)\r$/\1/Ip' "$work/head")"
grep -q "$(sed -n 's/^x-request-id: \(.*\)\r$/\1/Ip' "$work/head")" "$work/service-$port.log"
head -c 68000000 /dev/zero > "$work/large"
check "more than 64 MiB" "413 application/problem+json" \
    "$(ask -w '%{http_code} %{content_type}' -H "$bearer" -H 'Content-Type: image/png' \
        --data-binary "@$work/large" "$own/colorize")"
for spelling in metrics metrics%0A /metrics %6detrics; do
    check "$spelling is not for the world" "404 text/html" \
        "$(ask -w '%{http_code} %{content_type}' -H "$bearer" "$own/$spelling")"
done
check "hints of 12 KB in a URL come through" "422 application/problem+json" \
    "$(ask -w '%{http_code} %{content_type}' -H "$bearer" -F "file=@$photo" "$own/colorize?hints=$(printf '%012000d' 0)")"
for hidden in models/reload v2/repository/models/colorizer/load; do
    check "$hidden is not for the world" "404 text/html" \
        "$(ask -w '%{http_code} %{content_type}' -H "$bearer" -X POST "$own/$hidden")"
done
check "a slash too much" "307 $own/models" "$(ask -w '%{http_code} %{redirect_url}' -H "$bearer" $own/models/)"
check "many photos as a ZIP" "200 application/zip" \
    "$(ask -w '%{http_code} %{content_type}' -H "$bearer" -F "file=@$photo" -F "file=@$photo" $own/colorize)"

under=http://photos.example.org/colour
check "a photo under a path" "200 image/png" "$(ask -w '%{http_code} %{content_type}' -F "file=@$photo" $under/colorize)"
check "a slash too much under it" "307 $under/models" "$(ask -w '%{http_code} %{redirect_url}' $under/models/)"
check "its documentation" "200 200" \
    "$(ask -w '%{http_code}' $under/docs) $(ask -w '%{http_code}' $under/docs/swagger-ui.css)"
check "loading is hidden under it" "404 text/html" \
    "$(ask -w '%{http_code} %{content_type}' -X POST $under/v2/repository/models/colorizer/load)"
check "metrics are hidden under it" "404 text/html" "$(ask -w '%{http_code} %{content_type}' "$under/metrics%0A")"
check "its page" "200" "$(ask -w '%{http_code}' -L $under/)"
check "a problem" "415" "$(ask -w '%{http_code}' -F "file=@Makefile" $under/colorize)"
type=$("$PYTHON" -c "import json, sys; print(json.load(open(sys.argv[1]))['type'])" "$work/answer")
check "what it refers to" "/colour/problems/unsupported-format 200" "$type $(ask -w '%{http_code}' "http://photos.example.org$type")"
echo "all as it should be, with $(nginx -v 2>&1)"
