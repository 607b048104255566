// Keys that are their own name (did:key), by Digital Bazaar's multikeys: of issuers and of holders.

import * as EcdsaMultikey from '@digitalbazaar/ecdsa-multikey';
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import * as jose from 'jose';

/** A new key for an algorithm of JOSE: its DID, the URL of its one method, and what signs with it. */
export async function newDid(alg) {
  const { privateKey: key } = await jose.generateKeyPair(alg, { extractable: true, crv: 'Ed25519' });
  const library = alg === 'EdDSA' ? Ed25519Multikey : EcdsaMultikey;
  const pair = await library.fromJwk({ jwk: await jose.exportJWK(key), secretKey: true });
  const did = `did:key:${pair.publicKeyMultibase}`;
  const method = `${did}#${pair.publicKeyMultibase}`;
  return { alg, did, method, key, signer: { ...pair.signer(), id: method } };
}

/** One key under the name of another. */
export const underTheNameOf = (named, { signer, key }) => ({ ...named, key, signer: { ...signer, id: named.method } });
