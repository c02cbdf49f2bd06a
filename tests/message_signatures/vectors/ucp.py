"""Signs the example messages of the UCP specification, whose signatures are placeholders there. The signature bases are
written as in its `signatures.md`. By hand, with a Python that has the package cryptography:

    python ucp.py > ucp.json
"""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

VERSION = "fdcf8934d1b6bfaf54d4d80e66db00f2ba67fad1"
PAGE = "https://github.com/Universal-Commerce-Protocol/ucp, docs/specification/signatures.md and shopping/order/index.md"

# RFC 9421 appendixes B.1.3 and B.1.4. The second one is also an example of the specification.
P256 = ec.derive_private_key(
    int.from_bytes(base64.urlsafe_b64decode("UpuF81l-kOxbjf7T4mNSv0r5tN67Gim7rnf6EFpcYDs=")), ec.SECP256R1()
)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(
    base64.urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU=")
)
THUMBPRINT = "poqkLGiymh_W0uP6PZFw-dvez3QJT5SolqXBCW38r0U"


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def p256_jwk():
    point = P256.public_key().public_numbers()
    x, y = (url64(number.to_bytes(32)) for number in (point.x, point.y))
    return {"kid": "test-key-ecc-p256", "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256"}


def ed25519_jwk():
    public = ED25519.public_key().public_bytes_raw()
    return {"kid": THUMBPRINT, "kty": "OKP", "crv": "Ed25519", "x": url64(public), "use": "sig", "alg": "EdDSA"}


def sign(key, base):
    if key is ED25519:
        return key.sign(base)
    r, s = utils.decode_dss_signature(key.sign(base, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def message(name, key, method, host, path, headers, components, parameters, body=""):
    headers = {"Host": host, **headers}
    if body:
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        headers |= {"Content-Type": "application/json", "Content-Digest": f"sha-256=:{digest}:"}
    lower = {key.lower(): value for key, value in headers.items()}
    lines = []
    for component in components:
        field = component.split('"')[1]
        match field:
            case "@method":
                value = method
            case "@authority":
                value = host
            case "@path":
                value = path
            case "signature-agent":
                value = lower[field].split("=", 1)[1]
            case _:
                value = lower[field]
        lines.append(f"{component}: {value}")
    params = f"({' '.join(components)});{parameters}"
    base = "\n".join([*lines, f'"@signature-params": {params}'])
    signature = base64.b64encode(sign(key, base.encode())).decode()
    headers |= {"Signature-Input": f"sig1={params}", "Signature": f"sig1=:{signature}:"}
    return {"name": name, "method": method, "url": f"https://{host}{path}", "headers": headers, "body": body}


def q(*names):
    return [f'"{name}"' for name in names]


AGENT = {"UCP-Agent": 'profile="https://platform.example/.well-known/ucp"'}
IDEMPOTENCY = {"Idempotency-Key": "550e8400-e29b-41d4-a716-446655440000"}
MERCHANT = {"UCP-Agent": 'profile="https://merchant.example/.well-known/ucp"'}
WBA = {"Signature-Agent": 'sig1="https://platform.example/.well-known/ucp";type=jwks_uri'}
CHECKOUT = '{"line_items":[{"item":{"id":"item_123"},"quantity":2}]}'
MCP = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"complete_checkout","arguments":{"id":"chk_123"}}}'
ORDER = '{"id":"order_abc123","event_id":"evt_123","created_time":"2026-01-15T12:00:00Z"}'
TARGET = ("@method", "@authority", "@path")
KEYID = 'keyid="test-key-ecc-p256"'
DUAL = f'keyid="{THUMBPRINT}";created=1738617600;expires=1738621200;tag="web-bot-auth"'

VECTORS = [
    message("request", P256, "POST", "merchant.example.com", "/checkout-sessions", AGENT | IDEMPOTENCY,
            q(*TARGET, "ucp-agent", "idempotency-key", "content-digest", "content-type"), KEYID, CHECKOUT),
    message("get", P256, "GET", "merchant.example.com", "/checkout-sessions/chk_123", {}, q(*TARGET), KEYID),
    message("dual-audience", ED25519, "POST", "merchant.example.com", "/checkout-sessions", AGENT | WBA | IDEMPOTENCY,
            [*q(*TARGET), '"signature-agent";key="sig1"',
             *q("ucp-agent", "idempotency-key", "content-digest", "content-type")], DUAL, CHECKOUT),
    message("mcp", P256, "POST", "business.example.com", "/mcp", AGENT | IDEMPOTENCY,
            q(*TARGET, "content-digest", "content-type", "ucp-agent", "idempotency-key"), KEYID, MCP),
    message("order-webhook", P256, "POST", "platform.example.com", "/webhooks/ucp/orders", MERCHANT,
            q(*TARGET, "ucp-agent", "content-digest", "content-type"), KEYID, ORDER),
    message("order-webhook-of-the-example", P256, "POST", "platform.example.com", "/webhooks/ucp/orders", MERCHANT,
            q(*TARGET, "content-digest", "content-type"), KEYID, ORDER),
    message("web-bot-minimum", ED25519, "POST", "merchant.example.com", "/checkout-sessions", WBA,
            ['"@authority"', '"signature-agent";key="sig1"'], DUAL, CHECKOUT),
]

print(json.dumps({
    "source": PAGE,
    "version": VERSION,
    "licence": "Apache-2.0; facts only: messages and components. Signed by ucp.py",
    "keys": [p256_jwk(), ed25519_jwk()],
    "vectors": VECTORS,
}, indent=1))
