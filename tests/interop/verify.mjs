// How long published libraries take for what `benches/firsthand/beside.rs` tells them to check. The issuer's key is known, as a
// verifier keeps it; each is checked once before it is timed, so that what is timed holds. Prints one line of JSON for each.

import { createHash, createPublicKey, verify as check } from 'node:crypto';

import { DeviceResponse, Verifier } from '@owf/mdoc';
import { SDJwtInstance } from '@sd-jwt/core';
import * as jose from 'jose';

import { context } from './mdoc-crypto.mjs';

const SECONDS = 3;
const WARMING = 200;

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const told = JSON.parse(Buffer.concat(chunks).toString());

const key = (jwk) => ({ key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' });
const issuer = key(told.issuer);
const holds = (data, signature, by) => check('sha256', Buffer.from(data), by, Buffer.from(signature, 'base64url'));

const parts = told.sd_jwt.split('~');
const signed = [parts[0], parts.at(-1)].map((jws) => [jws.slice(0, jws.lastIndexOf('.')), jws.slice(jws.lastIndexOf('.') + 1)]);
const holder = key(told.holder);

const sdJwt = new SDJwtInstance({
  hasher: (data, alg) => new Uint8Array(createHash(alg.replace('-', '')).update(data).digest()),
  hashAlg: 'sha-256',
  verifier: (data, signature) => holds(data, signature, issuer),
  kbVerifier: (data, signature, payload) => holds(data, signature, key(payload.cnf.jwk)),
});
const presented = async (text) => {
  const { payload, kb } = await sdJwt.verify(text, { keyBindingNonce: told.nonce });
  if (kb.payload.aud !== told.client_id || payload.family_name !== 'Adler') throw new Error('another presentation');
};

const own = await jose.importJWK({ ...told.key, d: told.d, alg: 'ECDH-ES' });
const answer = async () => {
  const { plaintext } = await jose.compactDecrypt(told.jwe, own);
  await presented(JSON.parse(new TextDecoder().decode(plaintext)).vp_token.pid[0]);
};

// The library wants a country in the name of the document's signer, which the signers of our tests do not say.
const named = { ...context.x509, getIssuerNameField: (of) => (of.field === 'C' ? ['UT'] : context.x509.getIssuerNameField(of)) };
const transcript = new Uint8Array(Buffer.from(told.transcript, 'base64url'));
const mdoc = async () => {
  const failed = [];
  await Verifier.verifyDeviceResponse(
    {
      deviceResponse: DeviceResponse.fromEncodedForOid4Vp(told.device_response),
      sessionTranscript: transcript,
      trustedCertificates: [],
      disableCertificateChainValidation: true,
      now: new Date(),
      onCheck: ({ status, check: what, reason }) => status === 'FAILED' && failed.push(`${what}: ${reason}`),
    },
    { ...context, x509: named },
  );
  if (failed.length) throw new Error(failed.join('; '));
};

const bare = () => {
  if (!holds(...signed[0], issuer) || !holds(...signed[1], holder)) throw new Error('a signature');
};

/** Processor time of one run, in microseconds, of all threads of this process. */
async function timed(run) {
  for (let turn = 0; turn < WARMING; turn += 1) await run();
  const [used, begun] = [process.cpuUsage(), process.hrtime.bigint()];
  let runs = 0;
  while (process.hrtime.bigint() - begun < SECONDS * 1e9) {
    await run();
    runs += 1;
  }
  const { user, system } = process.cpuUsage(used);
  return (user + system) / runs;
}

const all = [
  [`two ES256 checks (node ${process.versions.node})`, bare],
  ['@sd-jwt/core, SD-JWT VC', () => presented(told.sd_jwt)],
  ['jose and @sd-jwt/core, direct_post.jwt with it', answer],
  ['@owf/mdoc, mdoc', mdoc],
];
for (const [name, run] of all) {
  try {
    process.stdout.write(`${JSON.stringify({ name, processor_us: await timed(run) })}\n`);
  } catch (error) {
    process.stderr.write(`${name}: ${error.stack}\n`);
  }
}
