// Calls the functions of the module that is given as the argument.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

// The module imports nothing, so it has no clock and no random numbers.
const { instance } = await WebAssembly.instantiate(await readFile(process.argv[2]), {});
const { verify, sign } = instance.exports;
const [accepted, stale, early, mismatch] = [0, 1, 2, 3];
const signed = 1_800_000_000n;

assert.equal(verify(signed, 0), accepted);
assert.equal(verify(signed + 300n, 0), accepted);
assert.equal(verify(signed + 301n, 0), stale);
assert.equal(verify(signed - 300n, 0), accepted);
assert.equal(verify(signed - 301n, 0), early);
assert.equal(verify(signed, 1), mismatch);
assert.equal(sign(BigInt(Math.floor(Date.now() / 1000))), 1);
console.log('wasm32-unknown-unknown: 7 results as expected');
