#!/usr/bin/env node
// Sends a webhook in the scheme `timestamped`. Needs only Node.js 18 or later.
//
//     WEBHOOK_SECRET=… node node.mjs URL [BODY]
//
// The body is the second argument, or standard input without one. Prints the status of the answer. The exit code is 1
// unless the status is a 2xx.

import { createHmac } from "node:crypto";
import { buffer } from "node:stream/consumers";

function signedHeaders(secret, body) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  // Sign the bytes that are sent. Do not serialize a document again for the signature.
  const signature = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex");
  return { "X-Webhook-Timestamp": timestamp, "X-Webhook-Signature": signature };
}

async function post(url, secret, body) {
  // Call this again for each retry, because a signature is valid for 300 seconds.
  const headers = { "Content-Type": "application/json", ...signedHeaders(secret, body) };
  const signal = AbortSignal.timeout(10_000);
  // A redirect would send the delivery to another address.
  const answer = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  await answer.arrayBuffer();
  return answer.status;
}

const [url, text, ...more] = process.argv.slice(2);
const secret = process.env.WEBHOOK_SECRET;
if (!url || !secret || more.length > 0) {
  console.error("usage: WEBHOOK_SECRET=… node node.mjs URL [BODY]");
  process.exit(2);
}
const body = text === undefined ? await buffer(process.stdin) : Buffer.from(text);
const status = await post(url, secret, body);
console.log(status);
process.exitCode = status >= 200 && status < 300 ? 0 : 1;
