// The wallet's side of OpenID4VP 1.0, by the Open Wallet Foundation's library with JOSE by panva: reads what the shop asks, by a
// link or through the browser, and brings it an answer. What stands in the answer is the business of each format.

import { X509Certificate, createHash, randomBytes } from 'node:crypto';

import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2';
import { Openid4vpClient } from '@openid4vc/openid4vp';
import * as jose from 'jose';

import { carry, keyOf } from './world.mjs';

setGlobalConfig({ allowInsecureUrls: false });

const keys = new Map();

export async function newKey() {
  const pair = await jose.generateKeyPair('ES256', { extractable: true });
  const jwk = await jose.exportJWK(pair.publicKey);
  keys.set(await jose.calculateJwkThumbprint(jwk), pair.privateKey);
  return { method: 'jwk', alg: 'ES256', publicJwk: jwk };
}

export const privateOf = async (jwk) => keys.get(await jose.calculateJwkThumbprint(jwk));

export const hash = (data, alg) => new Uint8Array(createHash(String(alg).replace('-', '')).update(data).digest());

const fromBase64 = (text) => Buffer.from(text, 'base64');

export const callbacks = {
  fetch: carry,
  hash,
  generateRandom: (length) => new Uint8Array(randomBytes(length)),
  clientAuthentication: clientAuthenticationAnonymous(),
  signJwt: async (signer, { header, payload }) => ({
    jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(await privateOf(signer.publicJwk)),
    signerJwk: signer.publicJwk,
  }),
  verifyJwt: async (signer, { compact }) => {
    const key = keyOf(signer.x5c.map(fromBase64));
    await jose.compactVerify(compact, key);
    return { verified: true, signerJwk: await jose.exportJWK(key) };
  },
  decryptJwe: async () => ({ decrypted: false }),
  encryptJwe: async (encryptor, data) => {
    const header = { alg: encryptor.alg, enc: encryptor.enc, kid: encryptor.publicJwk.kid };
    const jwe = new jose.CompactEncrypt(new TextEncoder().encode(data)).setProtectedHeader(header);
    return { encryptionJwk: encryptor.publicJwk, jwe: await jwe.encrypt(await jose.importJWK(encryptor.publicJwk, encryptor.alg)) };
  },
  getX509CertificateMetadata: (text) => {
    const names = new X509Certificate(fromBase64(text)).subjectAltName?.split(', ') ?? [];
    const of = (kind) => names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
    return { sanDnsNames: of('DNS:'), sanUriNames: of('URI:') };
  },
};

const client = new Openid4vpClient({ callbacks });

/** How this wallet encrypts, where a request wants it. */
const ENCRYPTION = {
  encryption: { nonce: randomBytes(16).toString('base64url') },
  serverMetadata: {
    authorization_signing_alg_values_supported: ['ES256'],
    authorization_encryption_alg_values_supported: ['ECDH-ES'],
    authorization_encryption_enc_values_supported: ['A128GCM', 'A256GCM'],
  },
};

/** What is asked: by a `link`, or by the `data` of a request that the page at `origin` hands to the browser. */
export async function read({ link, data, origin }) {
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link ?? data });
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params, origin });
  const request = resolved.authorizationRequestPayload;
  const jwk = request.client_metadata?.jwks?.keys.find((key) => key.alg === 'ECDH-ES');
  return {
    payload: request,
    origin,
    query: resolved.dcql.query,
    nonce: request.nonce,
    client_id: request.client_id,
    response_uri: request.response_uri,
    // By which an mdoc says what its answer is encrypted to (B.2.6).
    thumbprint: jwk && new Uint8Array(Buffer.from(await jose.calculateJwkThumbprint(jwk), 'base64url')),
  };
}

/** The answer to a request with this `vp_token`: sent to its `response_uri`, or given back for the browser to bring. */
export async function answer(request, vpToken) {
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request.payload,
    origin: request.origin,
    clientMetadata: request.payload.client_metadata,
    authorizationResponsePayload: { vp_token: vpToken },
    jarm: request.payload.response_mode.endsWith('.jwt') ? ENCRYPTION : undefined,
  });
  if (request.origin) return response.jarm ? { response: response.jarm.responseJwt } : response.authorizationResponsePayload;
  const submitted = await client.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request.payload,
    authorizationResponsePayload: response.authorizationResponsePayload,
    jarm: response.jarm,
  });
  return { status: submitted.response.status, body: await submitted.response.json() };
}
