// Runs the providers' SDKs for the test binary `sdks`: it reads a request and writes an answer per line, as JSON. The
// protocol is in ../README.md.
//
//     node check.mjs [PROVIDER…]    (all providers if none is named)
//
// Each provider has an entry with its package, the limits of the SDK, and a function for each operation. The functions
// call the SDK as its documentation says. Nothing here computes or compares a signature.

import { Console } from 'node:console';
import { createHash, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

// Some SDKs print to the console. Standard output is for answers.
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }), process.stderr);
// No check may call a provider.
Socket.prototype.connect = () => {
  throw new TypeError('an SDK opened a connection');
};
const require = createRequire(import.meta.url);

const ALPHANUMERIC = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const alphanumeric = (length) => Array.from(randomBytes(length), (byte) => ALPHANUMERIC[byte % 62]).join('');
const hex = (bytes) => randomBytes(bytes).toString('hex');
const base64 = (bytes) => randomBytes(bytes).toString('base64');
const whsec = () => `whsec_${base64(24)}`;
const placeholder = 'unused'; // API keys and ids that constructors need and checks do not.

// A request as Node's HTTP server passes it on: header names are in lower case.
class Delivery {
  constructor({ headers, body, secret, url, method, algorithm, components, parameters }) {
    this.headers = Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    this.bytes = Buffer.from(body ?? '', 'base64');
    this.secret = secret;
    this.url = url ?? 'https://hooks.example.com/';
    this.method = method ?? 'POST';
    Object.assign(this, { algorithm, components, parameters });
  }

  get text() {
    return this.bytes.toString('utf8');
  }

  get json() {
    return JSON.parse(this.text);
  }

  get path() {
    const { pathname, search } = new URL(this.url);
    return pathname + search;
  }

  get message() {
    return { method: this.method, url: this.url, headers: this.headers, body: this.text };
  }

  // Returns the header's value, or an empty string: most SDKs take only strings.
  header(name) {
    return this.headers[name] ?? '';
  }

  // Returns the headers, and others that the provider always sends and does not sign.
  headersWith(others) {
    return { ...others, ...this.headers };
  }

  get fetchRequest() {
    return new Request(this.url, { method: this.method, headers: this.headers, body: this.bytes });
  }
}

const standardHeaders = (prefix, webhook, { now, text }) => {
  const id = `msg_${alphanumeric(27)}`;
  return {
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(now),
    [`${prefix}-signature`]: webhook.sign(id, new Date(now * 1000), text),
  };
};

const standard = { tolerance: true, future: true, secret: whsec };

// Both versions of the signature.
const hook0 = {
  package: 'hook0-client',
  signatures: 'last',
  binary: true,
  tolerance: true,
  future: true,
  load: async () => require('hook0-client'),
  verify: ({ verifyWebhookSignature }, d) => verifyWebhookSignature(d.header('x-hook0-signature'), d.bytes, new Headers(d.headers), d.secret, 300),
  secret: () => randomUUID(),
};

// `verify` returns a boolean, or throws if the SDK refuses the delivery. Some SDKs also throw for an unknown type of event,
// after they verified the signature: `passed` recognises these errors. `refused` recognises refusals among the errors that
// look like a fault of this script.
const PROVIDERS = {
  anthropic: {
    ...standard,
    package: '@anthropic-ai/sdk',
    body: 'json',
    load: async () => new (await import('@anthropic-ai/sdk')).Anthropic({ apiKey: placeholder }),
    verify: (client, d) => accepts(client.beta.webhooks.unwrap(d.text, { headers: d.headers, key: d.secret })),
  },
  clerk: {
    ...standard,
    package: '@clerk/backend',
    body: 'json',
    load: async () => await import('@clerk/backend/webhooks'),
    verify: async ({ verifyWebhook }, d) => accepts(await verifyWebhook(d.fetchRequest, { signingSecret: d.secret })),
  },
  coinbase_commerce: {
    package: 'coinbase-commerce-node',
    load: async () => require('coinbase-commerce-node').Webhook,
    verify: (webhook, d) => webhook.verifySigHeader(d.text, d.header('x-cc-webhook-signature'), d.secret),
    sign: (webhook, d) => ({ 'X-CC-Webhook-Signature': webhook.computeSignature(d.text, d.secret) }),
    secret: () => randomUUID(),
  },
  contentful: {
    package: '@contentful/node-apps-toolkit',
    tolerance: true,
    query: false,
    load: async () => await import('@contentful/node-apps-toolkit'),
    verify: ({ verifyRequest }, d) => verifyRequest(d.secret, { method: d.method, path: d.path, headers: d.headers, body: d.text }, 30),
    sign: ({ signRequest }, d) => signRequest(
      d.secret,
      { method: d.method, path: d.path, headers: { 'content-type': 'application/json' }, body: d.text },
      d.now * 1000,
    ),
    signedHeaders: { 'content-type': 'application/json' },
    secret: () => alphanumeric(64),
  },
  creem: {
    ...standard,
    package: 'creem',
    load: async () => await import('creem/webhooks'),
    verify: async ({ verifyWebhookSignature }, d) => accepts(await verifyWebhookSignature(d.bytes, d.headers, d.secret)),
  },
  creem_legacy: {
    package: 'creem',
    load: async () => await import('creem/webhooks'),
    verify: async ({ verifyWebhookSignature }, d) => accepts(await verifyWebhookSignature(d.bytes, d.headers, d.secret)),
    secret: () => `whsec_${alphanumeric(22)}`,
  },
  crisp: {
    package: 'crisp-api',
    body: 'compact',
    headers: { 'X-Crisp-Request-Timestamp': 'now_ms' },
    load: async () => {
      const { Crisp } = require('crisp-api');
      const client = new Crisp();
      client.setRtmMode(Crisp.RTM_MODES.WebHooks);
      client.on('message:send', () => {}); // The SDK refuses hooks without a listener.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      return client;
    },
    verify: (client, d) => client.verifyHook(d.secret, d.json, d.header('x-crisp-request-timestamp'), d.header('x-crisp-signature')),
  },
  cronofy: {
    package: 'cronofy',
    binary: true,
    load: async () => require('cronofy'),
    verify: (Cronofy, d) => new Cronofy({ client_secret: d.secret }).hmacValid({ hmac: d.header('cronofy-hmac-sha256'), body: d.bytes }),
  },
  discord: {
    package: 'discord-interactions',
    binary: true,
    load: async () => require('discord-interactions'),
    verify: ({ verifyKey }, d) => verifyKey(d.bytes, d.header('x-signature-ed25519'), d.header('x-signature-timestamp'), d.secret),
    secret: () => ed25519('hex'),
  },
  dodo_payments: {
    ...standard,
    package: 'dodopayments',
    body: 'json',
    load: async () => new (await import('dodopayments')).DodoPayments({ bearerToken: placeholder }),
    verify: (client, d) => accepts(client.webhooks.unwrap(d.text, { headers: d.headers, key: d.secret })),
  },
  easypost: {
    package: '@easypost/api',
    body: 'json',
    load: async () => {
      const EasyPost = require('@easypost/api');
      return new EasyPost(placeholder);
    },
    verify: (client, d) => accepts(client.Utils.validateWebhook(d.bytes, d.headers, d.secret)),
  },
  fathom: {
    ...standard,
    package: 'fathom-typescript',
    body: 'json',
    load: async () => (await import('fathom-typescript')).Fathom,
    verify: (Fathom, d) => accepts(Fathom.verifyWebhook(d.secret, d.headers, d.text)),
  },
  fintoc: {
    package: 'fintoc',
    signatures: 'last',
    tolerance: true,
    future: true,
    load: async () => require('fintoc').WebhookSignature,
    verify: (signature, d) => accepts(signature.verifyHeader(d.text, d.header('fintoc-signature'), d.secret)),
    secret: () => `whsec_${alphanumeric(32)}`,
  },
  github: {
    package: '@octokit/webhooks-methods',
    empty: false,
    load: async () => await import('@octokit/webhooks-methods'),
    verify: ({ verify }, d) => verify(d.secret, d.text, d.header('x-hub-signature-256')),
    refused: (error) => error.message.endsWith('& signature required'),
    sign: async ({ sign }, d) => ({ 'X-Hub-Signature-256': await sign(d.secret, d.text) }),
  },
  gocardless: {
    package: 'gocardless-nodejs',
    binary: true,
    load: async () => await import('gocardless-nodejs/webhooks'),
    verify: ({ verifySignature }, d) => accepts(verifySignature(d.bytes, d.secret, d.header('webhook-signature'))),
  },
  hook0_v0: hook0,
  hook0_v1: hook0,
  hookdeck: {
    package: '@hookdeck/sdk',
    load: async () => require('@hookdeck/sdk/webhooks/helpers'),
    verify: async ({ verifyWebhookSignature }, d) =>
      (await verifyWebhookSignature({ headers: d.headers, rawBody: d.text, signingSecret: d.secret })).isValidSignature,
    secret: () => alphanumeric(48),
  },
  // The caller of this package computes and compares Content-Digest.
  http_message_signatures: {
    package: 'http-message-signatures',
    load: async () => require('http-message-signatures'),
    verify: ({ createVerifier, httpbis }, d) => httpbis.verifyMessage({
      keyLookup: async () => ({ algs: [d.algorithm], verify: createVerifier(d.secret, d.algorithm) }),
      requiredFields: ['content-digest'],
    }, d.message),
    sign: async ({ createSigner, httpbis }, d) => {
      const digest = `sha-256=:${createHash('sha256').update(d.bytes).digest('base64')}:`;
      const { nonce, label, key_id: keyid } = d.parameters;
      const { headers } = await httpbis.signMessage({
        key: createSigner(d.secret, d.algorithm, keyid),
        name: label,
        fields: [...d.components, 'content-digest'],
        params: ['created', 'expires', 'nonce', 'keyid', 'alg'],
        paramValues: { created: new Date(d.now * 1000), expires: new Date((d.now + 300) * 1000), nonce },
      }, { ...d.message, headers: { ...d.headers, 'content-digest': digest } });
      return headers;
    },
  },
  imagekit: {
    ...standard,
    package: '@imagekit/nodejs',
    body: 'json',
    load: async () => new (await import('@imagekit/nodejs')).ImageKit({ privateKey: placeholder }),
    verify: (client, d) => accepts(client.webhooks.unwrap(d.text, { headers: d.headers, key: d.secret })),
    secret: () => `whsec_${alphanumeric(32)}`,
  },
  kontent_ai: {
    package: '@kontent-ai/webhook-helper',
    load: async () => require('@kontent-ai/webhook-helper').signatureHelper,
    verify: (helper, d) => helper.isValidSignatureFromString(d.text, d.secret, d.header('x-kontent-ai-signature')),
    sign: (helper, d) => ({ 'X-Kontent-ai-Signature': helper.getHashFromString(d.text, d.secret) }),
    secret: () => base64(32),
  },
  line: {
    package: '@line/bot-sdk',
    binary: true,
    load: async () => await import('@line/bot-sdk'),
    verify: ({ validateSignature }, d) => validateSignature(d.bytes, d.secret, d.header('x-line-signature')),
    secret: () => hex(16),
  },
  linear: {
    package: '@linear/sdk',
    body: 'json',
    fields: { webhookTimestamp: 'now_ms' },
    load: async () => (await import('@linear/sdk/webhooks')).LinearWebhookClient,
    verify: (Client, d) => new Client(d.secret).verify(d.bytes, d.header('linear-signature')),
    secret: () => `lin_wh_${alphanumeric(40)}`,
  },
  lithic: {
    ...standard,
    package: 'lithic',
    body: 'json',
    load: async () => new (await import('lithic')).Lithic({ apiKey: placeholder }),
    verify: (client, d) => accepts(client.webhooks.verifySignature(d.text, d.headers, d.secret)),
  },
  liveblocks: {
    ...standard,
    package: '@liveblocks/node',
    body: 'json',
    load: async () => (await import('@liveblocks/node')).WebhookHandler,
    verify: (Handler, d) => accepts(new Handler(d.secret).verifyRequest({ headers: d.headers, rawBody: d.text })),
    passed: (error) => error.message.startsWith('Unknown event type'),
  },
  lovable: {
    package: '@lovable.dev/webhooks-js',
    body: 'json',
    tolerance: true,
    future: true,
    load: async () => await import('@lovable.dev/webhooks-js'),
    verify: async ({ verifyWebhookRequest }, d) => accepts(await verifyWebhookRequest({ req: d.fetchRequest, secret: d.secret })),
  },
  metronome: {
    package: '@metronome/sdk',
    tolerance: true,
    future: true,
    load: async () => new (await import('@metronome/sdk')).Metronome({ bearerToken: placeholder }),
    verify: (client, d) => accepts(client.webhooks.verifySignature(d.text, d.headers, d.secret)),
    secret: () => hex(32),
  },
  modern_treasury: {
    package: 'modern-treasury',
    load: async () => new (await import('modern-treasury')).ModernTreasury({ apiKey: placeholder, organizationID: placeholder }),
    verify: (client, d) => client.webhooks.validateSignature(d.text, d.headers, { key: d.secret }),
    sign: (client, d) => ({ 'X-Signature': client.webhooks.getSignature(d.text, { key: d.secret }) }),
  },
  mollie: {
    package: 'mollie-api-typescript',
    load: async () => (await import('mollie-api-typescript')).SignatureValidator,
    verify: (validator, d) => validator.validate(d.text, d.secret, d.header('x-mollie-signature').split(', ')),
    sign: async (validator, d) => ({ 'X-Mollie-Signature': `sha256=${await validator.createSignature(d.text, d.secret)}` }),
  },
  mux: {
    package: '@mux/mux-node',
    tolerance: true,
    load: async () => new (await import('@mux/mux-node')).Mux({ tokenId: placeholder, tokenSecret: placeholder }),
    verify: async (client, d) => accepts(await client.webhooks.verifySignature(d.text, d.headers, d.secret)),
  },
  nango: {
    package: '@nangohq/node',
    load: async () => (await import('@nangohq/node')).Nango,
    verify: (Nango, d) => new Nango({ secretKey: placeholder, webhookSigningKey: d.secret }).verifyIncomingWebhookRequest(d.text, d.headers),
    secret: () => randomUUID(),
  },
  notion: {
    package: '@notionhq/client',
    binary: true,
    load: async () => require('@notionhq/client'),
    verify: ({ verifyWebhookSignature }, d) =>
      verifyWebhookSignature({ body: d.bytes, signature: d.header('x-notion-signature'), verificationToken: d.secret }),
    sign: async ({ signWebhookPayload }, d) => ({
      'X-Notion-Signature': await signWebhookPayload({ body: d.bytes, verificationToken: d.secret }),
    }),
    secret: () => `secret_${alphanumeric(43)}`,
  },
  nylas: {
    package: 'nylas', // Later versions have no check. This one is for API v2, which has the scheme of v3.
    binary: true,
    load: async () => require('nylas/lib/models/webhook-notification').default,
    verify: (notification, d) => notification.verifyWebhookSignature(d.header('x-nylas-signature'), d.bytes, d.secret),
  },
  onfido: {
    package: '@onfido/api',
    body: 'json',
    load: async () => require('@onfido/api').WebhookEventVerifier,
    verify: (Verifier, d) => accepts(new Verifier(d.secret).readPayload(d.bytes, d.header('x-sha2-signature'))),
    refused: (error) => error instanceof RangeError, // The signature has another length.
  },
  openai: {
    ...standard,
    package: 'openai',
    load: async () => new (await import('openai')).OpenAI({ apiKey: placeholder }),
    verify: async (client, d) => accepts(await client.webhooks.verifySignature(d.text, d.headers, d.secret)),
  },
  paddle: {
    package: '@paddle/paddle-node-sdk',
    signatures: 'last',
    tolerance: true,
    load: async () => new (await import('@paddle/paddle-node-sdk')).Paddle(placeholder),
    verify: (client, d) => client.webhooks.isSignatureValid(d.text, d.secret, d.header('paddle-signature')),
    secret: () => `pdl_ntfset_${alphanumeric(26).toLowerCase()}_${alphanumeric(32)}`,
  },
  privy: {
    ...standard,
    package: '@privy-io/node',
    body: 'json',
    load: async () => new (await import('@privy-io/node')).PrivyClient({ appId: placeholder, appSecret: placeholder }),
    verify: (client, d) => accepts(client.webhooks().verify({ payload: d.text, headers: d.headers, signing_secret: d.secret })),
  },
  pusher: {
    package: 'pusher',
    body: 'json',
    load: async () => require('pusher'),
    verify: (Pusher, d) => new Pusher({
      appId: '1', key: d.header('x-pusher-key') || placeholder, secret: d.secret, cluster: 'eu',
    }).webhook({
      headers: d.headersWith({ 'x-pusher-key': placeholder, 'content-type': 'application/json' }),
      rawBody: d.text,
    }).isValid(),
    secret: () => hex(10),
  },
  razorpay: {
    package: 'razorpay',
    load: async () => require('razorpay'),
    verify: (Razorpay, d) => Razorpay.validateWebhookSignature(d.text, d.header('x-razorpay-signature'), d.secret),
  },
  replicate: {
    ...standard,
    package: 'replicate',
    tolerance: false,
    future: false,
    empty: false,
    load: async () => (await import('replicate')).validateWebhook,
    verify: (validateWebhook, d) => validateWebhook({
      id: d.header('webhook-id'),
      timestamp: d.header('webhook-timestamp'),
      signature: d.header('webhook-signature'),
      body: d.text,
      secret: d.secret,
    }),
  },
  resend: {
    ...standard,
    package: 'resend',
    body: 'json',
    load: async () => new (await import('resend')).Resend(placeholder),
    verify: (client, d) => accepts(client.webhooks.verify({
      payload: d.text,
      headers: { id: d.header('svix-id'), timestamp: d.header('svix-timestamp'), signature: d.header('svix-signature') },
      webhookSecret: d.secret,
    })),
  },
  retell: {
    package: 'retell-sdk',
    signatures: 'one',
    tolerance: true,
    future: true,
    load: async () => (await import('retell-sdk')).Retell,
    verify: (Retell, d) => Retell.verify(d.text, d.secret, d.header('x-retell-signature')),
    sign: async (Retell, d) => ({ 'X-Retell-Signature': await Retell.sign(d.text, d.secret) }), // It reads the clock.
    secret: () => `key_${hex(14)}`,
  },
  sanity: {
    package: '@sanity/webhook',
    signatures: 'one',
    empty: false,
    load: async () => await import('@sanity/webhook'),
    verify: ({ isValidSignature }, d) => isValidSignature(d.text, d.header('sanity-webhook-signature'), d.secret),
    sign: async ({ encodeSignatureHeader }, d) => ({
      'sanity-webhook-signature': await encodeSignatureHeader(d.text, d.now * 1000, d.secret),
    }),
  },
  scalekit: {
    ...standard,
    package: '@scalekit-sdk/node',
    load: async () => new (await import('@scalekit-sdk/node')).ScalekitClient('https://scalekit.invalid', placeholder, placeholder),
    verify: (client, d) => client.verifyWebhookPayload(d.secret, d.headers, d.text),
  },
  seam: {
    ...standard,
    package: '@seamapi/webhook',
    body: 'json',
    load: async () => (await import('@seamapi/webhook')).SeamWebhook,
    verify: (Webhook, d) => accepts(new Webhook(d.secret).verify(d.text, d.headers)),
  },
  sendgrid: {
    package: '@sendgrid/eventwebhook',
    load: async () => new (require('@sendgrid/eventwebhook').EventWebhook)(),
    verify: (webhook, d) => webhook.verifySignature(
      webhook.convertPublicKeyToECDSA(d.secret),
      d.text,
      d.header('x-twilio-email-event-webhook-signature'),
      d.header('x-twilio-email-event-webhook-timestamp'),
    ),
    secret: () => {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return {
        secret: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
        public_key: publicKey.export({ format: 'der', type: 'spki' }).toString('base64'),
      };
    },
  },
  shopify: {
    package: '@shopify/shopify-api',
    signatures: 'last',
    empty: false,
    load: async () => {
      await import('@shopify/shopify-api/adapters/node');
      return await import('@shopify/shopify-api');
    },
    verify: async ({ shopifyApi, ApiVersion, LogSeverity }, d) => {
      const shopify = shopifyApi({
        apiKey: placeholder,
        apiSecretKey: d.secret,
        apiVersion: Object.values(ApiVersion)[0],
        hostName: 'hooks.example.com',
        isEmbeddedApp: false,
        logger: { level: LogSeverity.Error },
      });
      const headers = d.headersWith({
        'x-shopify-topic': 'orders/create',
        'x-shopify-shop-domain': 'example.myshopify.com',
        'x-shopify-api-version': '2026-01',
        'x-shopify-webhook-id': randomUUID(),
        // A signature header without X- needs these.
        'shopify-topic': 'orders/create',
        'shopify-shop-domain': 'example.myshopify.com',
        'shopify-api-version': '2026-01',
        'shopify-webhook-id': randomUUID(),
        'shopify-event-id': randomUUID(),
      });
      const result = await shopify.webhooks.validate({
        rawBody: d.text,
        rawRequest: { method: d.method, url: d.path, headers },
        rawResponse: {},
      });
      return result.valid || refuse(`${result.reason} ${result.missingHeaders ?? ''}`);
    },
    secret: () => `shpss_${hex(16)}`,
  },
  sinch_conversation: {
    package: '@sinch/sdk-core',
    load: async () => require('@sinch/sdk-core'),
    verify: ({ ConversationCallbackWebhooks }, d) =>
      new ConversationCallbackWebhooks(d.secret).validateAuthenticationHeader(d.headers, d.text),
    sign: ({ calculateWebhookSignature, computeSignedData }, d) => {
      const nonce = alphanumeric(26);
      return {
        'x-sinch-webhook-signature': calculateWebhookSignature(computeSignedData(d.text, nonce, d.now), d.secret),
        'x-sinch-webhook-signature-nonce': nonce,
        'x-sinch-webhook-signature-timestamp': String(d.now),
        'x-sinch-webhook-signature-algorithm': 'HmacSHA256',
      };
    },
  },
  sinch_numbers: {
    package: '@sinch/sdk-core',
    load: async () => require('@sinch/sdk-core').NumbersCallbackWebhooks,
    verify: (Webhooks, d) => new Webhooks(d.secret).validateAuthenticationHeader(d.headers, d.text),
  },
  slack: {
    package: '@slack/bolt',
    tolerance: true,
    load: async () => require('@slack/bolt'),
    verify: ({ verifySlackRequest }, d) => accepts(verifySlackRequest({
      signingSecret: d.secret,
      headers: {
        'x-slack-signature': d.header('x-slack-signature'),
        'x-slack-request-timestamp': Number(d.header('x-slack-request-timestamp')),
      },
      body: d.text,
    })),
    secret: () => hex(16),
  },
  standard_webhooks: {
    ...standard,
    package: 'standardwebhooks',
    load: async () => (await import('standardwebhooks')).Webhook,
    verify: (Webhook, d) => accepts(new Webhook(d.secret).verify(d.text, d.headers, { jsonParse: false })),
    sign: (Webhook, d) => standardHeaders('webhook', new Webhook(d.secret), d),
  },
  stream_chat: {
    package: 'stream-chat',
    binary: true,
    load: async () => (await import('stream-chat')).StreamChat,
    verify: (StreamChat, d) => new StreamChat(placeholder, d.secret).verifyWebhook(d.bytes, d.header('x-signature')),
    secret: () => alphanumeric(64).toLowerCase(),
  },
  stripe: {
    package: 'stripe',
    body: 'json',
    tolerance: true,
    load: async () => new (await import('stripe')).Stripe(placeholder),
    verify: (client, d) => accepts(client.webhooks.constructEvent(d.bytes, d.header('stripe-signature'), d.secret)),
    sign: (client, d) => ({
      'Stripe-Signature': client.webhooks.generateTestHeaderString({ payload: d.text, secret: d.secret, timestamp: d.now }),
    }),
    secret: () => `whsec_${alphanumeric(32)}`,
  },
  svix: {
    ...standard,
    package: 'svix',
    body: 'json',
    load: async () => (await import('svix')).Webhook,
    verify: (Webhook, d) => accepts(new Webhook(d.secret).verify(d.text, d.headers)),
    sign: (Webhook, d) => standardHeaders('svix', new Webhook(d.secret), d),
  },
  trigger_dev: {
    package: '@trigger.dev/sdk',
    body: 'json',
    load: async () => (await import('@trigger.dev/sdk')).webhooks,
    verify: async (webhooks, d) => accepts(await webhooks.constructEvent(d.fetchRequest, d.secret)),
    passed: (error) => error.message.startsWith('Webhook parsing failed'),
  },
  turnkey: {
    package: '@turnkey/crypto',
    binary: true,
    tolerance: true,
    future: true,
    load: async () => await import('@turnkey/crypto'),
    verify: ({ verifyTurnkeyWebhookSignature }, d) => {
      const result = verifyTurnkeyWebhookSignature({
        headers: d.headersWith({ 'x-turnkey-signature-algorithm': 'ed25519', 'x-turnkey-signature-version': 'v1' }),
        body: d.bytes,
        verificationKeys: [{ keyId: d.header('x-turnkey-signature-key-id'), publicKey: d.secret, algorithm: 'ed25519' }],
        maxTimestampAgeMs: 300_000,
      });
      return result.ok || refuse(result.reason);
    },
    secret: () => {
      const { secret, public_key } = ed25519('hex');
      return { secret: Buffer.from(secret, 'hex').toString('base64'), public_key };
    },
  },
  viber: {
    package: 'viber-bot',
    load: async () => require('viber-bot/lib/message/message-validator'),
    verify: (Validator, d) => new Validator({ debug() {} }, d.secret).validateMessage(d.header('x-viber-content-signature'), d.text),
    secret: () => `${hex(8)}-${hex(8)}-${hex(8)}`,
  },
  webflow: {
    package: 'webflow-api',
    load: async () => new (require('webflow-api').WebflowClient)({ accessToken: placeholder }),
    verify: (client, d) => client.webhooks.verifySignature({ headers: d.headers, body: d.text, secret: d.secret }),
    secret: () => hex(32),
  },
  workos: {
    package: '@workos-inc/node',
    signatures: 'first',
    body: 'compact',
    tolerance: true,
    load: async () => new (await import('@workos-inc/node')).WorkOS(placeholder, { clientId: placeholder }),
    verify: (client, d) => client.webhooks.verifyHeader({ payload: d.json, sigHeader: d.header('workos-signature'), secret: d.secret }),
    sign: async (client, d) => ({
      'WorkOS-Signature': `t=${d.now * 1000}, v1=${await client.webhooks.computeSignature(d.now * 1000, d.json, d.secret)}`,
    }),
  },
  zoom: {
    package: '@zoom/rivet',
    body: 'compact',
    fields: { event: 'meeting.started' },
    load: async () => (await import('@zoom/rivet/users')).AwsLambdaReceiver,
    verify: async (Receiver, d) => {
      const receiver = new Receiver({ webhooksSecretToken: d.secret });
      receiver.init({ eventEmitter: { emit: async () => {} } });
      const answer = await receiver.start()({ body: d.text, headers: d.headers, isBase64Encoded: false }, {});
      return answer.statusCode === 200 || refuse(answer.body);
    },
    secret: () => alphanumeric(22),
  },
};

// Returns true: the SDK's function throws if it refuses the delivery.
function accepts(_result) {
  return true;
}

class Refused extends Error {}

function refuse(reason) {
  throw new Refused(reason);
}

function ed25519(encoding) {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    secret: privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32).toString(encoding),
    public_key: publicKey.export({ format: 'der', type: 'spki' }).subarray(-32).toString(encoding),
  };
}

async function load(names) {
  const loaded = new Map();
  const providers = {};
  const missing = {};
  for (const name of names) {
    const { package: of, load, verify, sign, secret, passed, refused, signedHeaders, ...limits } = PROVIDERS[name];
    try {
      const api = await load();
      const { version } = JSON.parse(readFileSync(new URL(`./node_modules/${of}/package.json`, import.meta.url)));
      loaded.set(name, { api, verify, sign, secret, passed, refused, signedHeaders });
      providers[name] = { package: `${of} ${version}`, sign: Boolean(sign), ...limits };
    } catch (error) {
      missing[name] = `${of}: ${error?.message ?? error}`;
    }
  }
  return { loaded, providers, missing };
}

// Errors of these classes are faults of the SDK or of this script, not refusals.
const FAULTS = [TypeError, ReferenceError, RangeError, SyntaxError];

async function answer(loaded, request) {
  const provider = loaded.get(request.provider);
  if (!provider) {
    return { fault: `unknown provider ${request.provider}` };
  }
  if (request.op === 'secret') {
    const secret = (provider.secret ?? (() => alphanumeric(32)))();
    return typeof secret === 'string' ? { secret } : secret;
  }
  const delivery = new Delivery(request);
  if (request.op === 'sign' && provider.sign) {
    delivery.now = request.now;
    return { headers: { ...provider.signedHeaders, ...(await provider.sign(provider.api, delivery)) } };
  }
  if (request.op !== 'verify') {
    return { fault: `${request.provider} cannot ${request.op}` };
  }
  try {
    const ok = await provider.verify(provider.api, delivery);
    return typeof ok === 'boolean' ? { ok } : { fault: `not a boolean: ${ok}` };
  } catch (error) {
    if (provider.passed?.(error)) {
      return { ok: true };
    }
    if (!provider.refused?.(error) && FAULTS.some((fault) => error instanceof fault)) {
      throw error;
    }
    return { ok: false, error: String(error?.message ?? error) };
  }
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PROVIDERS);
const { loaded, providers, missing } = await load(names);
const print = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
print({ providers, missing });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    print(await answer(loaded, JSON.parse(line)));
  } catch (error) {
    print({ fault: String(error?.stack ?? error).split('\n').slice(0, 3).join(' ') });
  }
}
process.exit(0);
