// The package http-message-signatures of npm. By hand, in a directory where it is installed:
//     node npm.mjs sign > npm.json
//     node npm.mjs verify hookwarden.json
// `verify` also changes each body, which this package does not notice: it compares no digest.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { createSigner, createVerifier, httpbis } = createRequire(`${process.cwd()}/`)('http-message-signatures');

const jwk = {
  ed25519: { kty: 'OKP', crv: 'Ed25519', d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' },
  'ecdsa-p256-sha256': {
    kty: 'EC', crv: 'P-256', d: 'ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE',
    x: 'YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y', y: 'eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk',
  },
};
const rsa = readFileSync(new URL('../../public_keys/keys/rsa_a.pem', import.meta.url));
const keys = Object.fromEntries(['hmac-sha256', 'ed25519', 'ecdsa-p256-sha256', 'rsa-v1_5-sha256'].map((alg) => {
  if (alg === 'hmac-sha256') return [alg, { private: Buffer.from('a-subscription-secret'), public: Buffer.from('a-subscription-secret') }];
  const key = alg in jwk ? createPrivateKey({ key: jwk[alg], format: 'jwk' }) : createPrivateKey(rsa);
  return [alg, { private: key, public: createPublicKey(key) }];
}));

const url = 'https://hooks.example.com/webhooks/acme?id=7&kind=a';
const body = '{"event":"user.created"}';
const digest = (text) => `sha-256=:${createHash('sha256').update(text).digest('base64')}:`;

if (process.argv[2] === 'sign') {
  const messages = [];
  for (const algorithm of Object.keys(keys)) {
    const headers = { 'Content-Type': 'application/json', 'Content-Digest': digest(body) };
    const key = createSigner(keys[algorithm].private, algorithm, '2027-01');
    const signed = await httpbis.signMessage({
      key,
      name: 'peer',
      params: ['created', 'expires', 'nonce', 'keyid', 'alg'],
      fields: ['@method', '@target-uri', '@query-param;name="id"', 'content-type', 'content-digest'],
      paramValues: { created: new Date(1_800_000_000_000), expires: new Date(1_800_000_300_000), nonce: 'nonce-1' },
    }, { method: 'POST', url, headers });
    messages.push({ algorithm, headers: signed.headers });
  }
  console.log(JSON.stringify(messages, null, 1));
} else {
  for (const { algorithm, headers } of JSON.parse(readFileSync(process.argv[3]))) {
    const verifier = createVerifier(keys[algorithm].public, algorithm);
    const keyLookup = async () => ({ id: '2027-01', algs: [algorithm], verify: verifier });
    const config = { keyLookup, notAfter: new Date(1_800_000_001_000), requiredFields: ['@method', '@target-uri', 'content-digest'] };
    Date.now = () => 1_800_000_001_000;
    const verify = (request) => httpbis.verifyMessage(config, request).catch((error) => error.message);
    const genuine = await verify({ method: 'POST', url, headers });
    const digestFits = Object.entries(headers).some(([name, value]) => name.toLowerCase() === 'content-digest' && value === digest(body));
    const other = await verify({ method: 'POST', url: url.replace('7', '8'), headers });
    console.log(algorithm, 'verifies:', genuine, 'digest fits:', digestFits, 'other URL:', other);
    console.log(algorithm, 'with another body:', await verify({ method: 'POST', url, headers, body: '{}' }));
  }
}
