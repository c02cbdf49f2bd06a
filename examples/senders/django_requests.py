"""Sends webhooks in the scheme `timestamped` with `requests`, as a service of a Django project would.

In a project, put `WebhookAuth` and `deliver` into a module, and call `deliver` from a task queue after the transaction
is committed, so that no webhook is sent for a transaction that is rolled back:

    from django.conf import settings
    from django.db import transaction

    def announce(order):
        event = {"type": "order.paid", "id": str(order.pk)}
        body = json.dumps(event, cls=DjangoJSONEncoder).encode()
        transaction.on_commit(lambda: deliver_later.delay(settings.WEBHOOK_URL, body.decode()))

As a program it works like the other senders:

    WEBHOOK_SECRET=… django_requests.py URL [BODY]
"""

import hashlib
import hmac
import os
import sys
import time

import requests
from requests.auth import AuthBase


class WebhookAuth(AuthBase):
    """Signs a request when it is prepared, with the bytes that will be sent.

    Pass the body of the request as `data=<bytes>`. A body that is streamed cannot be signed beforehand.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body if request.body is not None else b""
        if isinstance(body, str):
            body = body.encode()
        if not isinstance(body, bytes):
            raise TypeError("a webhook's body must be bytes")
        timestamp = str(int(time.time()))
        message = timestamp.encode() + b"." + body
        request.headers["X-Webhook-Timestamp"] = timestamp
        request.headers["X-Webhook-Signature"] = hmac.new(self._secret, message, hashlib.sha256).hexdigest()
        return request


def deliver(session: requests.Session, url: str, secret: bytes, body: bytes) -> int:
    """Posts one delivery and returns the status of the answer.

    Retry after a 5xx, 408, 409 or 429, after the seconds in `Retry-After` if it is present. Call this again for each
    retry, because a signature is valid for 300 seconds. Do not retry after another 4xx.
    """
    answer = session.post(
        url,
        data=body,
        auth=WebhookAuth(secret),
        headers={"Content-Type": "application/json"},
        timeout=(3, 10),
        # A redirect would send the body to another address, or turn the POST into a GET.
        allow_redirects=False,
    )
    return answer.status_code


def main() -> int:
    if len(sys.argv) not in (2, 3) or not os.environ.get("WEBHOOK_SECRET"):
        print("usage: WEBHOOK_SECRET=… django_requests.py URL [BODY]", file=sys.stderr)
        return 2
    body = os.fsencode(sys.argv[2]) if len(sys.argv) == 3 else sys.stdin.buffer.read()
    with requests.Session() as session:
        status = deliver(session, sys.argv[1], os.fsencode(os.environ["WEBHOOK_SECRET"]), body)
    print(status)
    return 0 if 200 <= status < 300 else 1


if __name__ == "__main__":
    sys.exit(main())
