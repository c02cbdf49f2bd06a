#!/bin/sh
# Sends a webhook in the scheme `timestamped`, with openssl and curl.
#
#     WEBHOOK_SECRET=… openssl.sh URL [BODY]
#
# The body is the second argument or else standard input, byte for byte. Prints the status of the answer, and ends with 1
# unless it is a 2xx.
#
# openssl takes the key of an HMAC as an argument, which every user of the machine can read in the list of processes while
# it runs. On a machine that you share, use one of the other senders or `hookwarden send`.
set -eu

if [ "$#" -lt 1 ] || [ "$#" -gt 2 ] || [ -z "${WEBHOOK_SECRET:-}" ]; then
  echo "usage: WEBHOOK_SECRET=… openssl.sh URL [BODY]" >&2
  exit 2
fi
url=$1

# A file, as a shell's variable holds neither a zero byte nor the newlines at the end.
body=$(mktemp)
trap 'rm -f "$body"' EXIT
trap 'exit 1' HUP INT TERM
if [ "$#" -eq 2 ]; then printf '%s' "$2" >"$body"; else cat >"$body"; fi

# In hex, so that no byte of the secret means anything to openssl.
key=$(printf '%s' "$WEBHOOK_SECRET" | od -An -v -tx1 | tr -d ' \n')
timestamp=$(date +%s)
signature=$({ printf '%s.' "$timestamp"; cat "$body"; } |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r | cut -d ' ' -f 1)

# `--data-binary` sends the file as it is; `--data` would take its line ends away. The empty `Expect` spares a round trip.
status=$(curl --silent --show-error --max-time 10 --output /dev/null --write-out '%{http_code}' \
  --header 'Content-Type: application/json' \
  --header 'Expect:' \
  --header "X-Webhook-Timestamp: $timestamp" \
  --header "X-Webhook-Signature: $signature" \
  --data-binary "@$body" "$url")
echo "$status"
case $status in 2??) ;; *) exit 1 ;; esac
