// An issuer and a wallet of W3C credentials. `issue` makes a credential and keeps it, `present` answers a request with it.

import { newDid, underTheNameOf } from './did-key.mjs';
import * as jose from './jose-vc.mjs';
import * as jwt from './jwt-vc.mjs';
import { cryptosuites } from './ldp-vc.mjs';
import { answer, read } from './openid4vp.mjs';
import { listen } from './world.mjs';

const DAY_MS = 24 * 60 * 60 * 1000;

/** The ways in which a credential is secured. */
const securing = { jwt, jose, ...cryptosuites };

/** The format of OpenID4VP that each belongs to. */
const formatOf = (as) => (as in cryptosuites ? 'ldp_vc' : 'jwt_vc_json');

const issuers = new Map();
const held = [];

/** The DID of an issuer, which is made when it is first named. */
async function issuer({ name, alg }) {
  if (!issuers.has(name)) issuers.set(name, await newDid(alg));
  return { did: issuers.get(name).did };
}

/** Issues a credential to a new key of this wallet, which keeps it in the place of what it had. */
async function issue({ by, as, type, alg, claims, begins_in_days: begins = -1, ends_in_days: ends = 30, wrong }) {
  const at = (days) => `${new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 19)}Z`;
  const holder = await newDid(alg);
  const known = issuers.get(by);
  const signer = wrong === 'issuer_key' ? underTheNameOf(known, await newDid(known.alg)) : known;
  const credential = await securing[as].issue(
    {
      '@context': securing[as].contexts,
      type: ['VerifiableCredential', type],
      begins: at(begins),
      ends: at(ends),
      subject: { id: holder.did, ...claims },
    },
    signer,
  );
  held.splice(0, held.length, { as, credential, holder });
  return { credential };
}

/** Answers with what this wallet holds, and one thing wrong if that is asked for. */
async function present({ link, data, origin, wrong }) {
  const request = await read({ link, data, origin });
  const [{ as, credential, holder }] = held;
  const asked = request.query.credentials.find((query) => query.format === formatOf(as));
  const paths = asked.claims.map(({ path }) => path);
  const signer = {
    holder: async () => newDid(holder.alg),
    holder_key: async () => underTheNameOf(holder, await newDid(holder.alg)),
  };
  const presentation = await securing[as].present(
    wrong === 'claim' ? securing[as].forge(credential, paths[0].at(-1), 'Eve') : credential,
    await (signer[wrong]?.() ?? holder),
    {
      audience: wrong === 'audience' ? 'x509_san_dns:another.example' : (origin ? `origin:${origin}` : request.client_id),
      nonce: wrong === 'nonce' ? 'another nonce of another request' : request.nonce,
      paths,
    },
  );
  return answer(request, { [asked.id]: [presentation] });
}

await listen({ issuer, issue, present });
