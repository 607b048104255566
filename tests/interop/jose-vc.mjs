// Credentials of the data model 2.0 as JWTs (VC-JOSE-COSE 1.0), by panva's JOSE.

import * as jose from 'jose';

export { forge } from './jwt-vc.mjs';

export const contexts = ['https://www.w3.org/ns/credentials/v2'];

const signed = (payload, typ, { alg, method, key }) =>
  new jose.SignJWT(payload).setProtectedHeader({ alg, typ, kid: method }).sign(key);

export function issue({ begins, ends, subject, ...credential }, issuer) {
  const claims = { ...credential, issuer: issuer.did, validFrom: begins, validUntil: ends, credentialSubject: subject };
  return signed({ ...claims, iss: issuer.did, sub: subject.id }, 'vc+jwt', issuer);
}

export function present(credential, holder, { audience, nonce }) {
  const enveloped = { '@context': contexts, id: `data:application/vc+jwt,${credential}`, type: 'EnvelopedVerifiableCredential' };
  const presentation = { '@context': contexts, type: 'VerifiablePresentation', holder: holder.did, verifiableCredential: [enveloped] };
  const iat = Math.floor(Date.now() / 1000);
  return signed({ ...presentation, iss: holder.did, aud: audience, nonce, iat }, 'vp+jwt', holder);
}
