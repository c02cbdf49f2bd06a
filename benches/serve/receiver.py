"""A webhook receiver on Starlette and uvicorn with the checks of the guarded Rust receivers, for comparison.

It prints the port that it listens on, and exits when its standard input ends.
"""

import hashlib
import hmac
import os
import re
import socket
import sys
import threading
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

KEYS = {"acme": hmac.new(b"a-secret-of-fifty-characters-or-more-for-benchmarks", digestmod=hashlib.sha256)}
TOLERANCE = 300
BURST, PERIOD = 60_000_000, 60 / 60_000_000
BODY_LIMIT = 1 << 20
TIMESTAMP = re.compile(r"[1-9][0-9]{0,18}")
SIGNATURE = re.compile(r"[0-9A-Fa-f]{64}")

# By webhook id: the time at which its quota is full again.
quotas: dict[str, float] = {}
# By webhook id and MAC, in the order of arrival: the time at which the entry expires.
seen: dict[tuple[str, bytes], float] = {}


def refused() -> Response:
    return Response(status_code=401, headers={"WWW-Authenticate": "Webhook"})


def is_within_quota(webhook_id: str, now: float) -> bool:
    whole_at = max(quotas.get(webhook_id, now), now) + PERIOD
    if whole_at - now > BURST * PERIOD:
        return False
    quotas[webhook_id] = whole_at
    return True


def is_new(webhook_id: str, mac: bytes, until: float, now: float) -> bool:
    while seen:
        oldest = next(iter(seen))
        if seen[oldest] > now:
            break
        del seen[oldest]
    if (webhook_id, mac) in seen:
        return False
    seen[webhook_id, mac] = until
    return True


async def receive(request: Request) -> Response:
    timestamps = request.headers.getlist("x-webhook-timestamp")
    signatures = request.headers.getlist("x-webhook-signature")
    if len(timestamps) != 1 or len(signatures) != 1:
        return refused()
    if not TIMESTAMP.fullmatch(timestamps[0]) or not SIGNATURE.fullmatch(signatures[0]):
        return refused()
    now = time.time()
    timestamp = int(timestamps[0])
    if abs(int(now) - timestamp) > TOLERANCE:
        return refused()
    webhook_id = request.path_params["id"]
    keyed = KEYS.get(webhook_id)
    if keyed is None:
        return refused()
    mac = keyed.copy()
    mac.update(timestamps[0].encode() + b".")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            return Response(status_code=413)
        mac.update(chunk)
    digest = mac.digest()
    if not hmac.compare_digest(digest, bytes.fromhex(signatures[0])):
        return refused()
    if not is_new(webhook_id, digest, timestamp + TOLERANCE, now):
        return Response(status_code=200)
    if not is_within_quota(webhook_id, time.monotonic()):
        del seen[webhook_id, digest]
        return Response(status_code=429, headers={"Retry-After": "1"})
    return PlainTextResponse(str(len(body)))


def end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    threading.Thread(target=end_with_input, daemon=True).start()
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = Starlette(routes=[Route("/webhooks/{id}", receive, methods=["POST"])])
    config = uvicorn.Config(app, log_level="error", access_log=False, loop="uvloop", http="httptools", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


main()
