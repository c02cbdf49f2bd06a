#!/bin/sh
# Sends a webhook in the scheme `timestamped`, with openssl and curl.
#
#     WEBHOOK_SECRET=… openssl.sh URL [BODY]
#
# The body is the second argument, or standard input without one. Prints the status of the answer. The exit code is 1
# unless the status is a 2xx.
#
# openssl takes the key of an HMAC as an argument, so every user of the machine can read it in the process list while
# openssl runs. On a shared machine, use one of the other senders or `hookwarden send`.
set -eu

if [ "$#" -lt 1 ] || [ "$#" -gt 2 ] || [ -z "${WEBHOOK_SECRET:-}" ]; then
  echo "usage: WEBHOOK_SECRET=… openssl.sh URL [BODY]" >&2
  exit 2
fi
url=$1

# A shell variable cannot hold zero bytes or trailing newlines, so use a file.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
trap 'exit 1' HUP INT TERM
if [ "$#" -eq 2 ]; then printf '%s' "$2" >"$body"; else cat >"$body"; fi

# In hex, so that openssl does not interpret any byte of the secret.
key=$(printf '%s' "$WEBHOOK_SECRET" | od -An -v -tx1 | tr -d ' \n')
timestamp=$(date +%s)
signature=$({ printf '%s.' "$timestamp"; cat "$body"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r | cut -d ' ' -f 1)

# `--data-binary` sends the file unchanged; `--data` would remove line breaks. The empty `Expect` saves a round trip.
status=$(curl --silent --show-error --max-time 10 --output /dev/null --write-out '%{http_code}' \
  --header 'Content-Type: application/json' \
  --header 'Expect:' \
  --header "X-Webhook-Timestamp: $timestamp" \
  --header "X-Webhook-Signature: $signature" \
  --data-binary "@$body" "$url")
echo "$status"
case $status in 2??) ;; *) exit 1 ;; esac
