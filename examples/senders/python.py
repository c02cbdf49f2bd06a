#!/usr/bin/env python3
"""Sends a webhook in the scheme `timestamped`. Needs only Python's standard library.

    WEBHOOK_SECRET=… python.py URL [BODY]

The body is the second argument, or standard input without one. Prints the status of the answer. The exit code is 1
unless the status is a 2xx.
"""

import hashlib
import hmac
import os
import sys
import time
import urllib.error
import urllib.request


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: they would send the delivery to another address and turn the POST into a GET."""

    def redirect_request(self, *_):
        return None


def signed_headers(secret: bytes, body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    # Sign the bytes that are sent. Do not serialize a document again for the signature.
    message = timestamp.encode() + b"." + body
    signature = hmac.new(secret, message, hashlib.sha256).hexdigest()
    return {"X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature}


def post(url: str, secret: bytes, body: bytes) -> int:
    # Call this again for each retry, because a signature is valid for 300 seconds.
    headers = {"Content-Type": "application/json", **signed_headers(secret, body)}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def main() -> int:
    if len(sys.argv) not in (2, 3) or not os.environ.get("WEBHOOK_SECRET"):
        print("usage: WEBHOOK_SECRET=… python.py URL [BODY]", file=sys.stderr)
        return 2
    body = os.fsencode(sys.argv[2]) if len(sys.argv) == 3 else sys.stdin.buffer.read()
    status = post(sys.argv[1], os.fsencode(os.environ["WEBHOOK_SECRET"]), body)
    print(status)
    return 0 if 200 <= status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
