#!/bin/sh
# Colorize several photos in one request and unpack the answer into a new folder.
#
#   many-photos.sh folder one.jpg two.png ...
set -eu
url=${CHROMASERVE_URL:-http://localhost:8000}
folder=$1
shift
[ ! -e "$folder" ] || { echo "$folder is there already" >&2; exit 1; }
for photo in "$@"; do
    # Between quotes a name may have , and ; in it, which curl takes for its own elsewhere.
    name=$(printf '%s' "$photo" | sed 's/["\\]/\\&/g')
    set -- "$@" --form "file=@\"$name\""
    shift
done
archive=$(mktemp)
trap 'rm -f "$archive"' EXIT
curl --silent --show-error --fail-with-body --retry 5 --retry-max-time 60 \
    ${CHROMASERVE_API_KEY:+--header "Authorization: Bearer $CHROMASERVE_API_KEY"} --header 'Accept: application/zip' \
    "$@" --output "$archive" "$url/colorize" || { cat "$archive" >&2; exit 1; }
mkdir -p "$folder"
# Any unzip does; Python's is there where chromaserve is. manifest.json tells what failed.
python3 -m zipfile -e "$archive" "$folder"
