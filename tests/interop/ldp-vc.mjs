// Credentials of the data model 2.0 with Data Integrity proofs, by Digital Bazaar.

import { contexts as published } from '@digitalbazaar/credentials-context';
import { DataIntegrityProof } from '@digitalbazaar/data-integrity';
import * as ecdsaJcs from '@digitalbazaar/ecdsa-jcs-2019-cryptosuite';
import { cryptosuite as ecdsaRdfc } from '@digitalbazaar/ecdsa-rdfc-2019-cryptosuite';
import * as ecdsaSd from '@digitalbazaar/ecdsa-sd-2023-cryptosuite';
import * as eddsaJcs from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import { cryptosuite as eddsaRdfc } from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import * as vc from '@digitalbazaar/vc';

/** What the terms of the test's own credentials mean: the shop pins the same text. */
const { OWN_CONTEXT_URL, OWN_CONTEXT } = process.env;

const contexts = ['https://www.w3.org/ns/credentials/v2', OWN_CONTEXT_URL];

/** Contexts are never fetched. */
function documentLoader(url) {
  const document = url === OWN_CONTEXT_URL ? JSON.parse(OWN_CONTEXT) : published.get(url);
  if (!document) throw new Error(`an unknown context: ${url}`);
  return { contextUrl: null, documentUrl: url, document };
}

const proof = (cryptosuite, signer) => new DataIntegrityProof({ signer, cryptosuite, date: new Date() });

/** The credential with a claim changed under the issuer's proof. */
const forge = (credential, name, value) => ({
  ...credential,
  credentialSubject: { ...credential.credentialSubject, [name]: value },
});

/** A way of securing: how issuers sign, how holders sign, and what a holder makes of a credential for the claims asked for. */
const securedBy = (issuing, holding, derive = (credential) => credential) => ({
  contexts,
  forge,
  issue({ begins, ends, subject, ...credential }, issuer) {
    const claims = { ...credential, issuer: issuer.did, validFrom: begins, validUntil: ends, credentialSubject: subject };
    return vc.issue({ credential: claims, suite: proof(issuing, issuer.signer), documentLoader });
  },
  async present(credential, holder, { audience, nonce, paths }) {
    const verifiableCredential = await derive(credential, paths);
    // Whether the credential is over is for the shop to find.
    const presentation = vc.createPresentation({ verifiableCredential, holder: holder.did, now: credential.validFrom });
    const suite = proof(holding, holder.signer);
    return vc.signPresentation({ presentation, suite, challenge: nonce, domain: audience, documentLoader });
  },
});

/** Shows some claims of a credential, beside those that its issuer wants to be seen always. */
function disclose(verifiableCredential, paths) {
  const selectivePointers = paths.map((path) => `/${path.join('/')}`);
  const suite = proof(ecdsaSd.createDiscloseCryptosuite({ selectivePointers }));
  return vc.derive({ verifiableCredential, suite, documentLoader });
}

const mandatoryPointers = ['/issuer', '/validFrom', '/validUntil'];

export const cryptosuites = {
  'ecdsa-rdfc-2019': securedBy(ecdsaRdfc, ecdsaRdfc),
  'eddsa-rdfc-2022': securedBy(eddsaRdfc, eddsaRdfc),
  'ecdsa-jcs-2019': securedBy(ecdsaJcs.createSignCryptosuite(), ecdsaJcs.createSignCryptosuite()),
  'eddsa-jcs-2022': securedBy(eddsaJcs.createSignCryptosuite(), eddsaJcs.createSignCryptosuite()),
  'ecdsa-sd-2023': securedBy(ecdsaSd.createSignCryptosuite({ mandatoryPointers }), ecdsaRdfc, disclose),
};
