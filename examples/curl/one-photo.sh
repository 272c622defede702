#!/bin/sh
# Colorize one photo; sent again while the service is busy, after the time that it asks for.
#
#   one-photo.sh photo.jpg colour.png
#   CHROMASERVE_URL=https://photos.example CHROMASERVE_API_KEY=... one-photo.sh photo.jpg colour.png
set -eu
url=${CHROMASERVE_URL:-http://localhost:8000}

# --retry waits for Retry-After, or twice as long every time; 503 and 429 are among its reasons.
# With --fail-with-body what is wrong is in the output file, as JSON, and the status is 22.
if ! curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused --retry-max-time 60 \
    ${CHROMASERVE_API_KEY:+--header "Authorization: Bearer $CHROMASERVE_API_KEY"} \
    --form "file=@$1" --output "$2" "$url/colorize?vividness=0.8"
then
    [ -f "$2" ] && cat "$2" >&2 && rm "$2"
    exit 1
fi
