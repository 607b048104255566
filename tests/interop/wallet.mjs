// A wallet for SD-JWT VCs, of published parts: OpenID4VCI and SD-JWT of the Open Wallet Foundation. `receive` takes an offer,
// `present` answers a request with what was received, `pay` authorises a payment with what somebody gave it to `hold`.

import { randomBytes, randomUUID } from 'node:crypto';

import { SDJwtInstance } from '@sd-jwt/core';
import * as jose from 'jose';

import { collect } from './openid4vci.mjs';
import { answer, hash, newKey, privateOf, read } from './openid4vp.mjs';
import { keyOf, listen } from './world.mjs';

let held;

async function receive(offered) {
  const { credential, holder, token_type: tokenType, accept } = await collect(offered);
  held = { credential, holder };
  const claims = await sdJwt().verify(credential);
  await accept();
  return { token_type: tokenType, claims: claims.payload };
}

/** The SD-JWT library with our keys: the issuer's by its certificates, the holder's of this wallet. */
function sdJwt() {
  return new SDJwtInstance({
    hasher: hash,
    hashAlg: 'sha-256',
    saltGenerator: () => randomBytes(16).toString('base64url'),
    verifier: async (data, signature) => {
      const { x5c } = jose.decodeProtectedHeader(`${data}.${signature}`);
      await jose.compactVerify(`${data}.${signature}`, keyOf(x5c.map((text) => Buffer.from(text, 'base64'))));
      return true;
    },
    kbSignAlg: 'ES256',
    kbSigner: async (data) => {
      const [header, payload] = data.split('.').map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()));
      const signed = new jose.SignJWT(payload).setProtectedHeader(header);
      return (await signed.sign(await privateOf(held.holder.publicJwk))).split('.')[2];
    },
  });
}

async function present({ link, data, origin }) {
  const request = await read({ link, data, origin });
  const { id, claims } = request.query.credentials.find(({ format }) => format === 'dc+sd-jwt');
  // What always shows is not chosen.
  const chosen = (claims ?? []).filter(({ path: [name] }) => name !== 'sub');
  const frame = Object.fromEntries(chosen.map(({ path: [name] }) => [name, true]));
  const kb = { payload: { aud: origin ? `origin:${origin}` : request.client_id, nonce: request.nonce, iat: Math.floor(Date.now() / 1000) } };
  return answer(request, { [id]: [await sdJwt().present(held.credential, frame, { kb })] });
}

/** A key that a bank gives an attestation to. */
async function key() {
  const holder = await newKey();
  held = { holder };
  return holder.publicJwk;
}

async function hold({ credential }) {
  held.credential = credential;
  return {};
}

/** Authorises the payment that is asked for (EUDI TS12), but for the claim of the holder's proof that is `left_out`. */
async function pay({ link, data, origin, left_out: leftOut }) {
  const request = await read({ link, data, origin });
  const [asked] = request.payload.transaction_data;
  const { type, credential_ids: [id], payload } = JSON.parse(Buffer.from(asked, 'base64url').toString());
  if (type !== 'urn:eudi:sca:payment:1' || payload.amount !== 21.5 || payload.currency !== 'EUR') throw new Error('another payment');
  const claims = {
    aud: origin ? `origin:${origin}` : request.client_id,
    nonce: request.nonce,
    iat: Math.floor(Date.now() / 1000),
    jti: randomUUID(),
    response_mode: request.payload.response_mode,
    amr: [{ inherence: 'face_device' }, { possession: 'key_in_local_native_wscd' }],
    transaction_data_hashes: [Buffer.from(hash(asked, 'sha-256')).toString('base64url')],
    transaction_data_hashes_alg: 'sha-256',
  };
  delete claims[leftOut];
  return answer(request, { [id]: [await sdJwt().present(held.credential, { masked_iban: true }, { kb: { payload: claims } })] });
}

await listen({ receive, present, key, hold, pay });
