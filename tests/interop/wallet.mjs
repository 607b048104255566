// A wallet of published parts: OpenID4VCI and OpenID4VP of the Open Wallet Foundation, SD-JWT of the same, JOSE by panva.
// It reads one command a line and answers with one line of JSON: `receive` takes an offer, `present` answers a request.
//
// The shop under test listens on loopback, and its address is https://shop.example. This file carries requests from the one
// to the other, tells the wallet the shop's time, and says which roots the wallet believes. All else is the libraries'.

import { X509Certificate, createHash, randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';

import { clientAuthenticationAnonymous, setGlobalConfig } from '@openid4vc/oauth2';
import { Openid4vciClient } from '@openid4vc/openid4vci';
import { Openid4vpClient } from '@openid4vc/openid4vp';
import { SDJwtInstance } from '@sd-jwt/core';
import * as jose from 'jose';

const { SHOP_ORIGIN, SHOP_ADDRESS, SHOP_NOW, SHOP_ROOT } = process.env;

// The shop's clock stands still where the test put it, and so does the wallet's.
const RealDate = Date;
const ahead = Number(SHOP_NOW) * 1000 - RealDate.now();
globalThis.Date = class extends RealDate {
  constructor(...of) {
    super(...(of.length ? of : [RealDate.now() + ahead]));
  }
  static now() {
    return RealDate.now() + ahead;
  }
};

setGlobalConfig({ allowInsecureUrls: false });

const carry = async (input, init) => {
  const url = new URL(typeof input === 'string' ? input : (input.url ?? input));
  if (url.origin !== SHOP_ORIGIN) throw new Error(`the wallet calls ${url.origin}`);
  return fetch(`${SHOP_ADDRESS}${url.pathname}${url.search}`, { redirect: 'error', ...init });
};

const root = new X509Certificate(SHOP_ROOT);

/** The key of a certificate chain that leads to the root. */
async function keyOf(x5c) {
  const chain = x5c.map((text) => new X509Certificate(Buffer.from(text, 'base64')));
  for (const [at, certificate] of chain.entries()) {
    const issuer = chain[at + 1] ?? root;
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) throw new Error('an unknown signer');
  }
  return chain[0].publicKey;
}

const keys = new Map();

async function newKey() {
  const pair = await jose.generateKeyPair('ES256', { extractable: true });
  const jwk = await jose.exportJWK(pair.publicKey);
  keys.set(await jose.calculateJwkThumbprint(jwk), pair.privateKey);
  return { method: 'jwk', alg: 'ES256', publicJwk: jwk };
}

const privateOf = async (jwk) => keys.get(await jose.calculateJwkThumbprint(jwk));

const hash = (data, alg) => new Uint8Array(createHash(String(alg).replace('-', '')).update(data).digest());

const callbacks = {
  fetch: carry,
  hash,
  generateRandom: (length) => new Uint8Array(randomBytes(length)),
  clientAuthentication: clientAuthenticationAnonymous(),
  signJwt: async (signer, { header, payload }) => ({
    jwt: await new jose.SignJWT(payload).setProtectedHeader(header).sign(await privateOf(signer.publicJwk)),
    signerJwk: signer.publicJwk,
  }),
  verifyJwt: async (signer, { compact }) => {
    const key = await keyOf(signer.x5c);
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
    const names = new X509Certificate(Buffer.from(text, 'base64')).subjectAltName?.split(', ') ?? [];
    const of = (kind) => names.filter((name) => name.startsWith(kind)).map((name) => name.slice(kind.length));
    return { sanDnsNames: of('DNS:'), sanUriNames: of('URI:') };
  },
};

let held;

async function receive({ offer, tx_code: txCode }) {
  const client = new Openid4vciClient({ callbacks });
  const credentialOffer = await client.resolveCredentialOffer(offer);
  const issuerMetadata = await client.resolveIssuerMetadata(credentialOffer.credential_issuer);
  const tokens = await client.retrievePreAuthorizedCodeAccessTokenFromOffer({
    credentialOffer,
    issuerMetadata,
    txCode,
    dpop: { signer: await newKey() },
  });
  const { access_token: accessToken, token_type: tokenType } = tokens.accessTokenResponse;
  const [credentialConfigurationId] = credentialOffer.credential_configuration_ids;
  const { c_nonce: nonce } = await client.requestNonce({ issuerMetadata });
  const holder = await newKey();
  const { jwt } = await client.createCredentialRequestJwtProof({
    issuerMetadata,
    credentialConfigurationId,
    signer: holder,
    nonce,
  });
  const { credentialResponse, dpop } = await client.retrieveCredentials({
    issuerMetadata,
    credentialConfigurationId,
    accessToken,
    proofs: { jwt: [jwt] },
    dpop: tokens.dpop,
  });
  const [{ credential }] = credentialResponse.credentials;
  held = { credential, holder };
  const claims = await sdJwt().verify(credential);
  await client.sendNotification({
    issuerMetadata,
    accessToken,
    notification: { notificationId: credentialResponse.notification_id, event: 'credential_accepted' },
    dpop: { ...tokens.dpop, ...dpop },
  });
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
      await jose.compactVerify(`${data}.${signature}`, await keyOf(x5c));
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

async function present({ link }) {
  const client = new Openid4vpClient({ callbacks });
  const { params } = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: link });
  const resolved = await client.resolveOpenId4vpAuthorizationRequest({ authorizationRequestPayload: params });
  const request = resolved.authorizationRequestPayload;
  const [{ id }] = resolved.dcql.query.credentials;
  const kb = { payload: { aud: request.client_id, nonce: request.nonce, iat: Math.floor(Date.now() / 1000) } };
  const presentation = await sdJwt().present(held.credential, {}, { kb });
  const response = await client.createOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    clientMetadata: request.client_metadata,
    authorizationResponsePayload: { vp_token: { [id]: [presentation] } },
    jarm: {
      encryption: { nonce: randomBytes(16).toString('base64url') },
      serverMetadata: {
        authorization_signing_alg_values_supported: ['ES256'],
        authorization_encryption_alg_values_supported: ['ECDH-ES'],
        authorization_encryption_enc_values_supported: ['A128GCM', 'A256GCM'],
      },
    },
  });
  const submitted = await client.submitOpenid4vpAuthorizationResponse({
    authorizationRequestPayload: request,
    authorizationResponsePayload: response.authorizationResponsePayload,
    jarm: response.jarm,
  });
  return { status: submitted.response.status, body: await submitted.response.json() };
}

const commands = { receive, present };

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...of } = JSON.parse(line);
  try {
    process.stdout.write(`${JSON.stringify(await commands[command](of))}\n`);
  } catch (error) {
    const told = JSON.stringify({ error: `${error.stack}`, response: error.response ?? error.errorResponse ?? null });
    process.stdout.write(`${told}\n`);
  }
}
