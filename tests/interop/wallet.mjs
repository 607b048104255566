// A wallet for SD-JWT VCs, of published parts: OpenID4VCI and SD-JWT of the Open Wallet Foundation. `receive` takes an offer,
// `present` answers a request with what was received.

import { randomBytes } from 'node:crypto';

import { SDJwtInstance } from '@sd-jwt/core';
import * as jose from 'jose';

import { collect } from './openid4vci.mjs';
import { answer, hash, privateOf, read } from './openid4vp.mjs';
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
  const { id } = request.query.credentials.find(({ format }) => format === 'dc+sd-jwt');
  const kb = { payload: { aud: origin ? `origin:${origin}` : request.client_id, nonce: request.nonce, iat: Math.floor(Date.now() / 1000) } };
  return answer(request, { [id]: [await sdJwt().present(held.credential, {}, { kb })] });
}

await listen({ receive, present });
