"""The package http-message-signatures of PyPI. By hand, with a Python that has it:

    python pypi.py sign > pypi.json
    python pypi.py random > random.json
    python pypi.py verify hookwarden.json
"""

import datetime
import json
import pathlib
import random
import sys
from types import SimpleNamespace

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    algorithms,
)

RSA = pathlib.Path(__file__).resolve().parents[2] / "public_keys/keys/rsa_a.pem"
ED25519 = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
P256 = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
KEYS = {
    "hmac-sha256": (algorithms.HMAC_SHA256, b"a-subscription-secret"),
    "ed25519": (algorithms.ED25519, ed25519.Ed25519PrivateKey.from_private_bytes(ED25519)),
    "ecdsa-p256-sha256": (algorithms.ECDSA_P256_SHA256, ec.derive_private_key(P256, ec.SECP256R1())),
    "rsa-v1_5-sha256": (algorithms.RSA_V1_5_SHA256, load_pem_private_key(RSA.read_bytes(), None)),
}
URL = "https://hooks.example.com/webhooks/acme?id=7&kind=a"
BODY = b'{"event":"user.created"}'


class Resolver(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_private_key(self, key_id):
        return self.key

    def resolve_public_key(self, key_id):
        return self.key if isinstance(self.key, bytes) else self.key.public_key()


def at(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def sign():
    messages = []
    for name, (algorithm, key) in KEYS.items():
        request = SimpleNamespace(method="POST", url=URL, headers={"Content-Type": "application/json"})
        HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Resolver(key)).sign(
            request,
            key_id="2027-01",
            created=at(1_800_000_000),
            expires=at(1_800_000_300),
            nonce="nonce-1",
            label="peer",
            covered_component_ids=("@method", "@target-uri", '"@query-param";name="id"', "content-type"),
            body=BODY,
        )
        messages.append({"algorithm": name, "headers": dict(request.headers)})
    print(json.dumps(messages, indent=1))


COMPONENTS = (
    "@method @target-uri @authority @scheme @path @query content-type x-text "
    '"@query-param";name="a" "@query-param";name="b" "@query-param";name="a%20b" "@query-param";name="x%20y" '
    '"x-text";bs x-dict "x-dict";bs "x-dict";key="a" "x-dict";key="b"'
).split(" ")
DICTIONARIES = (
    "a=1, b=2;x=1;y=2, c=(a   b   c)", "a, b=?0", "a=:AAAA:;q=1.5", 'a="x\\"y", b=tok/en;z', "a=(1 2);p, b=1.0",
)


def text(most, characters='abcXYZ019 ,;="\\:()/*?-_~\t'):
    return "".join(random.choice(characters) for _ in range(random.randint(0, most)))


def encoded(most):
    choices = [*"abcXYZ019-._~+*!$',;:@", "%20", "%22", "%25", "%2B", "%41"]
    return "".join(random.choice(choices) for _ in range(random.randint(0, most)))


def randomly():
    """Signs random components of random requests. Those that this package refuses are left out."""
    random.seed(9421)
    messages = []
    algorithm, key = KEYS["hmac-sha256"]
    while len(messages) < 100:
        names = ("a=", "b=", "c=", "a%20b=", "x+y=")
        query = "&".join(random.choice(names) + encoded(5) for _ in range(random.randint(0, 4)))
        target = "/" + encoded(6) + (f"?{query}" if query else random.choice(["", "?"]))
        headers = {"Content-Type": "application/json", "X-Text": text(20), "X-Dict": random.choice(DICTIONARIES)}
        request = SimpleNamespace(
            method=random.choice(["POST", "PUT"]), url=f"https://hooks.example.com{target}", headers=headers
        )
        body = text(30)
        try:
            HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=Resolver(key)).sign(
                request,
                key_id=text(8, 'ab"\\ ;=') or "k",
                created=at(1_800_000_000),
                expires=at(1_800_000_300),
                nonce=text(8, 'ab"\\ ,') or "n",
                label=random.choice(["sig", "a*b", "x-1.2"]),
                tag=random.choice([None, 't "x"']),
                covered_component_ids=random.sample(COMPONENTS, random.randint(0, 6)),
                body=body.encode(),
            )
        except HTTPMessageSignaturesException:
            continue
        messages.append({"method": request.method, "target": target, "headers": dict(request.headers), "body": body})
    print("[\n" + ",\n".join(json.dumps(message) for message in messages) + "\n]")


def verify(path):
    real = datetime.datetime

    class Then(real):
        @classmethod
        def now(cls, tz=None):
            return real.fromtimestamp(1_800_000_001, tz)

    datetime.datetime = Then
    for message in json.loads(pathlib.Path(path).read_text()):
        algorithm, key = KEYS[message["algorithm"]]
        verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=Resolver(key))
        for what, url, body in (("genuine", URL, BODY), ("other URL", URL + "0", BODY), ("other body", URL, b"{}")):
            request = SimpleNamespace(method="POST", url=url, headers=dict(message["headers"]))
            try:
                verifier.verify(request, body=body, max_age=datetime.timedelta(seconds=300))
                print(message["algorithm"], what, "verifies")
            except Exception as error:
                print(message["algorithm"], what, "refused:", error)


if sys.argv[1] == "sign":
    sign()
elif sys.argv[1] == "random":
    randomly()
else:
    verify(sys.argv[2])
