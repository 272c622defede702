#!/bin/sh
# Colorize one photo; sent again while the service is busy, after the time that it asks for.
#
#   one-photo.sh photo.jpg colour.png
#   CHROMASERVE_URL=https://photos.example CHROMASERVE_API_KEY=... one-photo.sh photo.jpg colour.png
set -eu
url=${CHROMASERVE_URL:-http://localhost:8000}

# Between quotes a name may have , and ; in it, which curl takes for its own elsewhere.
photo=$(printf '%s' "$1" | sed 's/["\\]/\\&/g')
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# --retry waits for Retry-After, or twice as long every time; 503 and 429 are among its reasons.
# With --fail-with-body what is wrong is in the output file, as JSON, and the status is 22.
if ! curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --retry-max-time 60 \
    ${CHROMASERVE_API_KEY:+--header "Authorization: Bearer $CHROMASERVE_API_KEY"} \
    --form "file=@\"$photo\"" --output "$answer" "$url/colorize?vividness=0.8"
then
    cat "$answer" >&2
    exit 1
fi
cat "$answer" > "$2"
