// Credentials of the data model 1.1 as JWTs, by did-jwt-vc of the Decentralized Identity Foundation.

import { createVerifiableCredentialJwt, createVerifiablePresentationJwt } from 'did-jwt-vc';

export const contexts = ['https://www.w3.org/2018/credentials/v1'];

const signing = ({ did, alg, signer }) => ({
  did,
  alg,
  signer: async (data) => Buffer.from(await signer.sign({ data: new TextEncoder().encode(data) })).toString('base64url'),
});

const header = ({ method }) => ({ header: { typ: 'JWT', kid: method } });

export function issue({ begins, ends, subject, ...credential }, issuer) {
  const payload = { ...credential, issuer: issuer.did, issuanceDate: begins, expirationDate: ends, credentialSubject: subject };
  return createVerifiableCredentialJwt(payload, signing(issuer), header(issuer));
}

export function present(credential, holder, { audience, nonce }) {
  const presentation = { '@context': contexts, type: ['VerifiablePresentation'], holder: holder.did, verifiableCredential: [credential] };
  return createVerifiablePresentationJwt(presentation, signing(holder), { ...header(holder), domain: audience, challenge: nonce });
}

/** The credential with a claim changed under the issuer's signature. */
export function forge(credential, name, value) {
  const [head, payload, signature] = credential.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  (claims.vc ?? claims).credentialSubject[name] = value;
  return [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
}
