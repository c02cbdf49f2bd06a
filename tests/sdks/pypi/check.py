#!/usr/bin/env python3
"""Runs the providers' SDKs for the test binary `sdks`: it reads a request and writes an answer per line, as JSON. The
protocol is in ../README.md.

    check.py [PROVIDER...]    (all providers if none is named)

Each provider has an entry with its package, the limits of the SDK, and a function for each operation. The functions call
the SDK as its documentation says. Nothing here computes or compares a signature.
"""

import base64, datetime, importlib, importlib.metadata, json, logging, os, secrets, string, sys, uuid, warnings

# Some SDKs print. Standard output is for answers.
answers, sys.stdout = sys.stdout, open(os.devnull, "w")
warnings.simplefilter("ignore")
logging.disable()


def offline(event, _arguments):
    """No check may call a provider."""
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise OSError("an SDK opened a connection")


sys.addaudithook(offline)

module = importlib.import_module
PLACEHOLDER = "unused"  # API keys and ids that constructors need and checks do not.


def alphanumeric(length):
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def whsec():
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def base64_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def ed25519(encode):
    from nacl.signing import SigningKey
    key = SigningKey.generate()
    return {"secret": encode(bytes(key)), "public_key": encode(bytes(key.verify_key))}


def ecdsa_p256():
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
    public = key.public_key().public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    return {"secret": base64.b64encode(private).decode(), "public_key": base64.b64encode(public).decode()}


class Headers(dict):
    """Headers as web frameworks pass them on: names match in any case."""

    def __init__(self, headers):
        super().__init__((name.lower(), value) for name, value in headers.items())

    def __getitem__(self, name):
        return super().__getitem__(name.lower())

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Delivery:
    """A request, with the attributes that SDKs read from the requests of frameworks."""

    def __init__(self, request):
        self.headers = Headers(request.get("headers") or {})
        self.body = self.data = base64.b64decode(request.get("body") or "")
        self.secret = request.get("secret", "")
        self.url = request.get("url") or "https://hooks.example.com/"
        self.method = request.get("method") or "POST"
        self.now = request.get("now")
        # For HTTP Message Signatures.
        self.algorithm = request.get("algorithm")
        self.components = request.get("components")
        self.parameters = request.get("parameters")
        self.check_body = request.get("check_body")

    @property
    def text(self):
        return self.body.decode()

    def header(self, name):
        """The header's value, or an empty string: most SDKs take only strings."""
        return self.headers.get(name, "")


def accepts(_result):
    """Returns true: the SDK's function raises an error if it refuses the delivery."""
    return True


def standard_headers(prefix, webhook, d):
    message = f"msg_{alphanumeric(27)}"
    at = datetime.datetime.fromtimestamp(d.now, datetime.UTC)
    return {f"{prefix}-id": message, f"{prefix}-timestamp": str(d.now), f"{prefix}-signature": webhook.sign(message, at, d.text)}


def message_signature(sdk, role, d):
    """Returns the package's signer or verifier with the key and the algorithm of the request."""
    key = d.secret.encode()
    keys = type("Keys", (sdk.HTTPSignatureKeyResolver,), {
        "resolve_private_key": lambda _self, _key_id: key, "resolve_public_key": lambda _self, _key_id: key})
    algorithm = d.algorithm.upper().replace("-", "_")
    return getattr(sdk, f"HTTPMessage{role}")(
        signature_algorithm=getattr(sdk.algorithms, algorithm), key_resolver=keys())


def message_signature_headers(sdk, d):
    at = lambda seconds: datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    d.headers = dict(d.headers)
    message_signature(sdk, "Signer", d).sign(
        d, created=at(d.now), expires=at(d.now + 300), covered_component_ids=d.components, body=d.body, **d.parameters)
    return d.headers


def attribute(path):
    """Returns the object at a path such as `package.module:Class`."""
    name, _, one = path.partition(":")
    return getattr(module(name), one)


def is_a(path):
    """Returns a function that tests whether an error has the class at `path`."""
    return lambda error: isinstance(error, attribute(path))


not_parsed = is_a("pydantic:ValidationError")
TIMED = {"tolerance": True, "future": True}
STANDARD = TIMED | {"secret": whsec}
LITERAL = TIMED | {"body": "json"}

# `verify` returns a boolean, or raises an error if the SDK refuses the delivery. Some SDKs also raise an error for an
# unknown type of event, after they verified the signature: `passed` recognises these errors.
PROVIDERS = {
    "adyen": {
        "package": "Adyen", "binary": True,
        "load": lambda: module("Adyen.util"),
        "verify": lambda util, d: util.is_valid_hmac_payload(d.header("HmacSignature"), d.secret, d.body),
        "sign": lambda util, d: {"HmacSignature": util.generate_payload_sig(d.body, d.secret).decode()},
        "secret": lambda: secrets.token_hex(32).upper(),
    },
    "airtable": {
        "package": "pyairtable", "body": "json", "ascii": True,
        "load": lambda: attribute("pyairtable.models.webhook:WebhookNotification"),
        "verify": lambda notification, d: accepts(
            notification.from_request(d.text, d.header("X-Airtable-Content-MAC"), d.secret)),
        "passed": not_parsed,
        "secret": base64_key,
    },
    "anthropic": STANDARD | {
        "package": "anthropic", "body": "json",
        "load": lambda: attribute("anthropic:Anthropic")(api_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.beta.webhooks.unwrap(d.text, headers=d.headers, key=d.secret)),
    },
    "box": TIMED | {
        "package": "boxsdk", "signatures": "first",
        "load": lambda: attribute("box_sdk_gen.managers.webhooks:WebhooksManager"),
        "verify": lambda manager, d: manager.validate_message(
            d.text, {"box-signature-version": "1", "box-signature-algorithm": "HmacSHA256"} | d.headers, d.secret),
    },
    "castle": {
        "package": "castle", "binary": True, "empty": False,
        "load": lambda: (attribute("castle.webhooks.verify:WebhooksVerify"), attribute("castle.configuration:Configuration")),
        "verify": lambda castle, d: accepts(castle[0].call(d, configured(castle[1](), api_secret=d.secret))),
    },
    "coinbase_commerce": {
        "package": "coinbase-commerce",
        "load": lambda: attribute("coinbase_commerce.webhook:WebhookSignature"),
        "verify": lambda signature, d: signature.verify_sig_header(d.text, d.header("X-CC-Webhook-Signature"), d.secret),
        "secret": lambda: str(uuid.uuid4()),
    },
    "composio": LITERAL | {
        "package": "composio",
        "fields": {"trigger_name": "T", "connection_id": "c", "trigger_id": "t", "payload": {}},
        "load": lambda: attribute("composio:Composio")(api_key=PLACEHOLDER, allow_tracking=False).triggers,
        "verify": lambda triggers, d: accepts(triggers.verify_webhook(
            id=d.header("webhook-id"), payload=d.text, secret=d.secret,
            signature=d.header("webhook-signature"), timestamp=d.header("webhook-timestamp"))),
        "secret": lambda: alphanumeric(64),
    },
    "cronofy": {
        "package": "pycronofy",
        "load": lambda: attribute("pycronofy:Client"),
        "verify": lambda Client, d: Client(client_secret=d.secret).hmac_valid(d.header("Cronofy-HMAC-SHA256"), d.text),
    },
    "discord": {
        "package": "discord-interactions", "binary": True,
        "load": lambda: attribute("discord_interactions:verify_key"),
        "verify": lambda verify_key, d: verify_key(
            d.body, d.header("X-Signature-Ed25519"), d.header("X-Signature-Timestamp"), d.secret),
        "secret": lambda: ed25519(bytes.hex),
    },
    "dodo_payments": STANDARD | {
        "package": "dodopayments", "body": "json",
        "load": lambda: attribute("dodopayments:DodoPayments")(bearer_token=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.webhooks.unwrap(d.text, headers=d.headers, key=d.secret)),
    },
    "easypost": {
        "package": "easypost", "body": "json",
        "load": lambda: attribute("easypost.util:validate_webhook"),
        "verify": lambda validate_webhook, d: accepts(validate_webhook(d.body, d.headers, d.secret)),
    },
    "elevenlabs": {
        "package": "elevenlabs", "signatures": "last", "body": "json", "tolerance": True,
        "load": lambda: attribute("elevenlabs.client:ElevenLabs")(api_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.webhooks.construct_event(d.text, d.header("ElevenLabs-Signature"), d.secret)),
        "secret": lambda: f"wsec_{secrets.token_hex(32)}",
    },
    "fintoc": {
        "package": "fintoc", "signatures": "last", "tolerance": True,
        "load": lambda: attribute("fintoc.webhook:WebhookSignature"),
        "verify": lambda signature, d: signature.verify_header(d.text, d.header("Fintoc-Signature"), d.secret),
        "secret": lambda: f"whsec_{alphanumeric(32)}",
    },
    "gocardless": {
        "package": "gocardless-pro", "body": "json", "fields": {"events": []},
        "load": lambda: module("gocardless_pro.webhooks"),
        "verify": lambda webhooks, d: accepts(webhooks.parse(d.body, d.secret, d.header("Webhook-Signature"))),
    },
    "hook0_v0": TIMED | {
        "package": "hook0-client", "signatures": "last", "binary": True,
        "load": lambda: attribute("hook0:verify_webhook_signature"),
        "verify": lambda verify, d: verify(d.header("X-Hook0-Signature"), d.body, d.headers, d.secret, 300),
        "secret": lambda: str(uuid.uuid4()),
    },
    "hook0_v1": TIMED | {
        "package": "hook0-client", "signatures": "last", "binary": True,
        "load": lambda: attribute("hook0:verify_webhook_signature"),
        "verify": lambda verify, d: verify(d.header("X-Hook0-Signature"), d.body, d.headers, d.secret, 300),
        "secret": lambda: str(uuid.uuid4()),
    },
    "http_message_signatures": {
        "package": "http-message-signatures",
        "load": lambda: module("http_message_signatures"),
        "verify": lambda sdk, d: accepts(message_signature(sdk, "Verifier", d).verify(
            d, body=d.body if d.check_body else None)),
        "sign": message_signature_headers,
    },
    "hubspot_v3": {
        "package": "hubspot-api-client", "tolerance": True,
        "load": lambda: attribute("hubspot.utils.signature:Signature"),
        "verify": lambda signature, d: signature.is_valid(
            signature=d.header("X-HubSpot-Signature-v3"), client_secret=d.secret, request_body=d.text, http_uri=d.url,
            http_method=d.method, signature_version="v3", timestamp=d.headers.get("X-HubSpot-Request-Timestamp")),
        "sign": lambda signature, d: {
            "X-HubSpot-Request-Timestamp": str(d.now * 1000),
            "X-HubSpot-Signature-v3": signature.get_signature(d.secret, d.text, "v3", d.url, d.method, str(d.now * 1000)),
        },
        "secret": lambda: str(uuid.uuid4()),
    },
    "imagekit": LITERAL | {
        "package": "imagekitio",
        "load": lambda: attribute("imagekitio:ImageKit")(private_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.webhooks.unwrap(d.text, headers=d.headers, key=d.secret)),
        "secret": lambda: f"whsec_{alphanumeric(32)}",
    },
    "increase": LITERAL | {
        "package": "increase",
        "load": lambda: attribute("increase:Increase")(api_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(
            client.with_options(webhook_secret=d.secret).events.unwrap(d.text, headers=d.headers)),
    },
    "line": {
        "package": "line-bot-sdk",
        "load": lambda: attribute("linebot.v3.webhook:SignatureValidator"),
        "verify": lambda Validator, d: Validator(d.secret).validate(d.text, d.header("X-Line-Signature")),
        "secret": lambda: secrets.token_hex(16),
    },
    "lithic": STANDARD | {
        "package": "lithic", "body": "json",
        "load": lambda: attribute("lithic:Lithic")(api_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.webhooks.verify_signature(d.body, d.headers, secret=d.secret)),
    },
    "liveblocks": STANDARD | {
        "package": "liveblocks", "body": "json",
        "load": lambda: attribute("liveblocks.webhooks:WebhookHandler"),
        "verify": lambda Handler, d: accepts(Handler(d.secret).verify_request(headers=d.headers, raw_body=d.text)),
        "passed": lambda error: str(error).startswith("Unknown event type"),
    },
    "modern_treasury": {
        "package": "modern-treasury",
        "load": lambda: attribute("modern_treasury:ModernTreasury")(api_key=PLACEHOLDER, organization_id=PLACEHOLDER),
        "verify": lambda client, d: client.webhooks.validate_signature(d.text, d.headers, key=d.secret),
        "sign": lambda client, d: {"X-Signature": client.webhooks.get_signature(d.text, key=d.secret)},
    },
    "mollie": {
        "package": "mollie-api-py",
        "load": lambda: attribute("mollie.utils.webhooks:SignatureValidator"),
        "verify": lambda validator, d: validator.validate(d.text, d.secret, d.header("X-Mollie-Signature").split(", ")),
        "sign": lambda validator, d: {"X-Mollie-Signature": "sha256=" + validator.create_signature(d.text, d.secret)},
    },
    "onfido": {
        "package": "onfido-python", "body": "json",
        "load": lambda: attribute("onfido:WebhookEventVerifier"),
        "verify": lambda Verifier, d: accepts(Verifier(d.secret).read_payload(d.text, d.header("X-SHA2-Signature"))),
        "passed": not_parsed,
    },
    "openai": STANDARD | {
        "package": "openai",
        "load": lambda: attribute("openai:OpenAI")(api_key=PLACEHOLDER),
        "verify": lambda client, d: accepts(client.webhooks.verify_signature(d.body, d.headers, secret=d.secret)),
    },
    "paddle": TIMED | {
        "package": "paddle-python-sdk",
        "load": lambda: (attribute("paddle_billing.Notifications:Verifier"), attribute("paddle_billing.Notifications:Secret")),
        "verify": lambda paddle, d: paddle[0]().verify(d, paddle[1](d.secret)),
        "secret": lambda: f"pdl_ntfset_{alphanumeric(26).lower()}_{alphanumeric(32)}",
    },
    "polar": LITERAL | {
        "package": "polar-sdk",
        "load": lambda: attribute("polar.v2026_10.webhooks:validate_event"),
        "verify": lambda validate_event, d: accepts(validate_event(d.body, d.headers, d.secret)),
        "passed": is_a("polar.webhooks:PolarWebhookUnknownTypeError"),
        "secret": lambda: f"polar_whs_{alphanumeric(32)}",
    },
    "pusher": {
        "package": "pusher", "body": "json", "fields": {"time_ms": "now_ms"},
        "load": lambda: attribute("pusher:Pusher"),
        "verify": lambda Pusher, d: Pusher(app_id="1", key=PLACEHOLDER, secret=d.secret).validate_webhook(
            d.headers.get("X-Pusher-Key", PLACEHOLDER), d.header("X-Pusher-Signature"), d.text) is not None,
        "secret": lambda: secrets.token_hex(10),
    },
    "razorpay": {
        "package": "razorpay",
        "load": lambda: attribute("razorpay:Client")(auth=(PLACEHOLDER, PLACEHOLDER)).utility,
        "verify": lambda utility, d: utility.verify_webhook_signature(d.text, d.header("X-Razorpay-Signature"), d.secret),
    },
    "replicate": STANDARD | {
        "package": "replicate", "tolerance": False, "future": False, "empty": False,
        "load": lambda: (attribute("replicate.webhook:Webhooks"), attribute("replicate.webhook:WebhookSigningSecret")),
        "verify": lambda replicate, d: accepts(replicate[0].validate(
            headers=d.headers, body=d.text, secret=replicate[1](key=d.secret))),
    },
    "resend": STANDARD | {
        "package": "resend", "body": "json",
        "load": lambda: attribute("resend:Webhooks"),
        "verify": lambda webhooks, d: accepts(webhooks.verify({
            "payload": d.text,
            "headers": {name: d.header(f"svix-{name}") for name in ("id", "timestamp", "signature")},
            "webhook_secret": d.secret,
        })),
    },
    "retell": TIMED | {
        "package": "retell-sdk", "signatures": "one",
        "load": lambda: (attribute("retell:Retell")(api_key=PLACEHOLDER), attribute("retell.lib.webhook_auth:symmetric")),
        "verify": lambda retell, d: retell[0].verify(d.text, d.secret, d.header("X-Retell-Signature")),
        "sign": lambda retell, d: {"X-Retell-Signature": retell[1]["sign"](d.text, d.secret, d.now * 1000)},
        "secret": lambda: f"key_{secrets.token_hex(14)}",
    },
    "sendgrid": {
        "package": "sendgrid",
        "load": lambda: attribute("sendgrid.helpers.eventwebhook:EventWebhook"),
        "verify": lambda Webhook, d: Webhook(d.secret).verify_signature(
            d.text, d.header("X-Twilio-Email-Event-Webhook-Signature"), d.header("X-Twilio-Email-Event-Webhook-Timestamp")),
        "secret": ecdsa_p256,
    },
    "sinch_conversation": {
        "package": "sinch",
        "load": lambda: attribute("sinch:SinchClient")(project_id=PLACEHOLDER, key_id=PLACEHOLDER, key_secret=PLACEHOLDER),
        "verify": lambda client, d: client.conversation.sinch_events(d.secret).validate_authentication_header(d.headers, d.body),
    },
    "sinch_numbers": {
        "package": "sinch",
        "load": lambda: attribute("sinch:SinchClient")(project_id=PLACEHOLDER, key_id=PLACEHOLDER, key_secret=PLACEHOLDER),
        "verify": lambda client, d: client.numbers.sinch_events(d.secret).validate_authentication_header(d.headers, d.body),
    },
    "slack": TIMED | {
        "package": "slack-sdk",
        "load": lambda: attribute("slack_sdk.signature:SignatureVerifier"),
        "verify": lambda Verifier, d: Verifier(d.secret).is_valid_request(d.body, d.headers),
        "sign": lambda Verifier, d: {
            "X-Slack-Request-Timestamp": str(d.now),
            "X-Slack-Signature": Verifier(d.secret).generate_signature(timestamp=str(d.now), body=d.body),
        },
        "secret": lambda: secrets.token_hex(16),
    },
    "square": {
        "package": "squareup", "empty": False,
        "load": lambda: attribute("square.utils.webhooks_helper:verify_signature"),
        "verify": lambda verify_signature, d: verify_signature(
            request_body=d.text, signature_header=d.header("x-square-hmacsha256-signature"), signature_key=d.secret,
            notification_url=d.url),
        "secret": lambda: alphanumeric(22),
    },
    "standard_webhooks": STANDARD | {
        "package": "standardwebhooks",
        "load": lambda: attribute("standardwebhooks:Webhook"),
        "verify": lambda Webhook, d: accepts(Webhook(d.secret).verify(d.body, d.headers, json_parse=False)),
        "sign": lambda Webhook, d: standard_headers("webhook", Webhook(d.secret), d),
    },
    "stream_chat": {
        "package": "stream-chat", "binary": True,
        "load": lambda: attribute("stream_chat:StreamChat"),
        "verify": lambda StreamChat, d: StreamChat(PLACEHOLDER, d.secret).verify_webhook(d.body, d.header("X-Signature")),
        "secret": lambda: alphanumeric(64).lower(),
    },
    "stripe": {
        "package": "stripe", "tolerance": True,
        "load": lambda: attribute("stripe:WebhookSignature"),
        "verify": lambda signature, d: signature.verify_header(d.body, d.header("Stripe-Signature"), d.secret, 300),
        "sign": lambda signature, d: {"Stripe-Signature": signature.generate_signature_header(d.text, d.secret, d.now)},
        "secret": lambda: f"whsec_{alphanumeric(32)}",
    },
    "svix": STANDARD | {
        "package": "svix",
        "load": lambda: attribute("svix.webhooks:Webhook"),
        "verify": lambda Webhook, d: accepts(Webhook(d.secret).verify(d.body, d.headers)),
        "sign": lambda Webhook, d: standard_headers("svix", Webhook(d.secret), d),
    },
    "telnyx": TIMED | {
        "package": "telnyx",
        "load": lambda: attribute("telnyx.lib.webhook_verification:verify_webhook_signature"),
        "verify": lambda verify, d: accepts(verify(d.body, d.headers, d.secret)),
        "secret": lambda: ed25519(lambda key: base64.b64encode(key).decode()),
    },
    "viber": {
        "package": "viberbot", "binary": True,
        "load": lambda: (attribute("viberbot:Api"), attribute("viberbot:BotConfiguration")),
        "verify": lambda viber, d: viber[0](viber[1](name="bot", avatar="", auth_token=d.secret)).verify_signature(
            d.body, d.header("X-Viber-Content-Signature")),
        "secret": lambda: "-".join(secrets.token_hex(8) for _ in range(3)),
    },
    "whop": LITERAL | {
        "package": "whop-sdk",
        "load": lambda: attribute("whop_sdk.lib.verify_webhook:unwrap"),
        "verify": lambda unwrap, d: accepts(unwrap(d.body, headers=d.headers, key=d.secret)),
        "secret": lambda: f"ws_{secrets.token_hex(32)}",
    },
}


def configured(configuration, **values):
    for name, value in values.items():
        setattr(configuration, name, value)
    return configuration


def load(names):
    loaded, providers, missing = {}, {}, {}
    for name in names:
        provider = PROVIDERS[name]
        limits = {key: value for key, value in provider.items() if not callable(value) and key != "package"}
        try:
            sdk = provider["load"]()
            package = f"{provider['package']} {importlib.metadata.version(provider['package'])}"
        except Exception as error:
            missing[name] = f"{provider['package']}: {type(error).__name__}: {error}"
            continue
        loaded[name] = sdk, provider
        providers[name] = {"package": package, "sign": "sign" in provider} | limits
    return loaded, providers, missing


# Errors of these classes are faults of the SDK or of this script, not refusals.
FAULTS = (TypeError, AttributeError, NameError, LookupError, UnicodeError, OSError)


def answer(loaded, request):
    name, operation = request["provider"], request["op"]
    if name not in loaded:
        return {"fault": f"unknown provider {name}"}
    sdk, provider = loaded[name]
    if operation == "secret":
        secret = provider.get("secret", lambda: alphanumeric(32))()
        return secret if isinstance(secret, dict) else {"secret": secret}
    if operation not in ("verify", "sign") or operation not in provider:
        return {"fault": f"{name} cannot {operation}"}
    delivery = Delivery(request)
    if operation == "sign":
        return {"headers": provider["sign"](sdk, delivery)}
    try:
        right = provider["verify"](sdk, delivery)
        return {"ok": right} if isinstance(right, bool) else {"fault": f"not a boolean: {right!r}"}
    except Exception as error:
        if "passed" in provider and provider["passed"](error):
            return {"ok": True}
        if isinstance(error, FAULTS):
            raise
        return {"ok": False, "error": f"{type(error).__name__}: {error}"[:500]}


def main():
    write = lambda value: print(json.dumps(value), file=answers, flush=True)
    loaded, providers, missing = load(sys.argv[1:] or PROVIDERS)
    write({"providers": providers, "missing": missing})
    for line in sys.stdin:
        try:
            write(answer(loaded, json.loads(line)))
        except Exception as error:
            write({"fault": f"{type(error).__name__}: {error}"[:500]})
    answers.flush()
    os._exit(0)  # Some SDKs keep threads.


if __name__ == "__main__":
    main()
