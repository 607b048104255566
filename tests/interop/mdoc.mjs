// An issuer, a wallet and a verifier of mdocs (ISO/IEC 18013-5), by @owf/mdoc of the Open Wallet Foundation.
//
// `issue` makes a document and keeps it, `receive` takes one from somebody else's offer, `present` answers a request with what was issued, `respond` makes the same answer for a
// transcript that it is told, and `verify` judges an answer that somebody else made.

import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto';

import {
  DateOnly,
  DeviceKey,
  DeviceRequest,
  DeviceResponse,
  DocRequest,
  Holder,
  Issuer,
  IssuerNamespaces,
  IssuerSigned,
  IssuerSignedItem,
  ItemsRequest,
  SessionTranscript,
  SignatureAlgorithm,
  Verifier,
} from '@owf/mdoc';

import * as jose from 'jose';

import { context, coseKey, newPair } from './mdoc-crypto.mjs';
import { collect } from './openid4vci.mjs';
import { answer, privateOf, read } from './openid4vp.mjs';
import { listen } from './world.mjs';

const DAY_MS = 24 * 60 * 60 * 1000;

const fromBase64 = (text) => new Uint8Array(Buffer.from(text, 'base64'));

/** The documents of this wallet by their type, and the keys that they were issued to. */
const held = new Map();

/** A date in JSON is a full-date in an mdoc. */
const element = (value) => (/^\d{4}-\d\d-\d\d$/.test(value) ? new DateOnly(value) : value);

/**
 * Issues a document for a new key of this wallet. `signer` has the document signer's key (PKCS#8) and its certificates, DER, all
 * in base64; `begins_in_days` and `ends_in_days` are from now.
 */
async function issue({ doctype, namespaces, signer, algorithm = 'ES256', device = 'ES256', digest = 'SHA-256', ...times }) {
  const issuer = new Issuer(doctype, context);
  for (const [namespace, elements] of Object.entries(namespaces)) {
    const values = Object.entries(elements).map(([name, value]) => [name, element(value)]);
    issuer.addIssuerNamespace(namespace, Object.fromEntries(values));
  }
  const { begins_in_days: begins = -1, ends_in_days: ends = 30 } = times;
  // Without fractions of a second (ISO/IEC 18013-5, 7.1).
  const at = (days) => new Date(Math.floor((Date.now() + days * DAY_MS) / 1000) * 1000);
  const pair = newPair(device);
  const publicKey = coseKey(pair.publicKey, { withAlgorithm: false });
  const issuerSigned = await issuer.sign({
    signingKey: coseKey(createPrivateKey({ key: fromBase64(signer.key), format: 'der', type: 'pkcs8' })),
    certificates: signer.chain.map(fromBase64),
    algorithm: SignatureAlgorithm[algorithm],
    digestAlgorithm: digest,
    validityInfo: { signed: at(begins), validFrom: at(begins), validUntil: at(ends) },
    deviceKeyInfo: { deviceKey: DeviceKey.fromDecodedStructure(publicKey.decodedStructure) },
  });
  // As it would come from its issuer: read anew from its bytes.
  held.set(doctype, { issuerSigned: IssuerSigned.fromEncodedForOid4Vci(issuerSigned.encodedForOid4Vci), pair, device });
  return { issuer_signed: issuerSigned.encodedForOid4Vci };
}

/** Takes an offer of a document, and keeps it once the library's own checks of what its issuer signed hold. */
async function receive(offered) {
  const { credential, holder, configuration, accept } = await collect({ ...offered, format: 'mso_mdoc' });
  const key = await jose.exportJWK(await privateOf(holder.publicJwk));
  const pair = {
    privateKey: createPrivateKey({ key, format: 'jwk' }),
    publicKey: createPublicKey({ key, format: 'jwk' }),
  };
  const issuerSigned = IssuerSigned.fromEncodedForOid4Vci(credential);
  const { mobileSecurityObject: signed } = issuerSigned.issuerAuth;
  held.set(signed.docType, { issuerSigned, pair, device: 'ES256' });
  await accept();
  return { doctype: signed.docType, configuration, elements: issuerSigned.getPrettyClaims(signed.docType) };
}

/** The transcript of a channel: by redirects if there is a `response_uri`, else through the browser. */
function transcript({ origin, client_id: clientId, response_uri: responseUri, nonce, thumbprint: jwkThumbprint }) {
  return responseUri
    ? SessionTranscript.forOid4Vp({ clientId, responseUri, nonce, jwkThumbprint }, context)
    : SessionTranscript.forOid4VpDcApi({ origin, nonce, jwkThumbprint }, context);
}

/** What is wrong on purpose: with the transcript, or with the document. */
const wrongTranscript = {
  nonce: { nonce: 'another nonce of another request' },
  client_id: { client_id: 'x509_san_dns:another.example' },
  response_uri: { response_uri: 'https://another.example/response' },
  origin: { origin: 'https://another.example' },
  encryption_key: { thumbprint: new Uint8Array(32) },
};

/** The same document with an element changed after it was signed. */
function forged(issuerSigned, namespace, name) {
  const items = issuerSigned.getIssuerNamespace(namespace).map((item) =>
    item.elementIdentifier === name
      ? IssuerSignedItem.fromOptions({ digestId: item.digestId, random: item.random, elementIdentifier: name, elementValue: 'Eve' })
      : item,
  );
  const issuerNamespaces = IssuerNamespaces.create({ issuerNamespaces: new Map([[namespace, items]]) });
  return IssuerSigned.create({ issuerNamespaces, issuerAuth: issuerSigned.issuerAuth });
}

/** A device response for a document and elements of it, as `[namespace, element]`. */
async function deviceResponse(channel, doctype, paths, wrong) {
  const { issuerSigned, pair, device } = held.get(doctype);
  const namespaces = {};
  for (const [namespace, name] of paths) (namespaces[namespace] ??= {})[name] = false;
  const itemsRequest = ItemsRequest.create({ docType: doctype, namespaces });
  const [[namespace, name]] = paths;
  const response = await Holder.createDeviceResponseForDeviceRequest(
    {
      deviceRequest: DeviceRequest.create({ docRequests: [DocRequest.create({ itemsRequest })] }),
      sessionTranscript: await transcript({ ...channel, ...wrongTranscript[wrong] }),
      issuerSigned: [wrong === 'element' ? forged(issuerSigned, namespace, name) : issuerSigned],
      signature: { signingKey: coseKey(wrong === 'device_key' ? newPair(device).privateKey : pair.privateKey) },
    },
    context,
  );
  return response.encodedForOid4Vp;
}

/** The claims of a query that this wallet shows: all, or the first set of them that it has. */
function shown({ claims, claim_sets: sets }, doctype) {
  const has = ([namespace, name]) =>
    held.get(doctype).issuerSigned.getIssuerNamespace(namespace)?.some((item) => item.elementIdentifier === name);
  const choices = sets ? sets.map((set) => claims.filter(({ id }) => set.includes(id))) : [claims];
  return choices.map((choice) => choice.map(({ path }) => path)).find((paths) => paths.every(has));
}

/** Answers the first query that this wallet has a document for; `document` is one to present instead of the one asked for. */
async function present({ link, data, origin, wrong, document }) {
  const request = await read({ link, data, origin });
  const asked = request.query.credentials.find(({ format, meta }) => format === 'mso_mdoc' && held.has(document ?? meta.doctype_value));
  const doctype = document ?? asked.meta.doctype_value;
  return answer(request, { [asked.id]: [await deviceResponse(request, doctype, shown(asked, doctype), wrong)] });
}

/** The answer for a transcript of which every part is told; `thumbprint` in base64url. */
async function respond({ doctype, paths, wrong, thumbprint, ...channel }) {
  const key = thumbprint && new Uint8Array(Buffer.from(thumbprint, 'base64url'));
  return { device_response: await deviceResponse({ ...channel, thumbprint: key }, doctype, paths, wrong) };
}

/** What the library's verifier says of an answer: the elements by namespace, and which of its checks failed. */
async function verify({ device_response: encoded, root, thumbprint, ...channel }) {
  const key = thumbprint && new Uint8Array(Buffer.from(thumbprint, 'base64url'));
  const response = DeviceResponse.fromEncodedForOid4Vp(encoded);
  const failed = [];
  await Verifier.verifyDeviceResponse(
    {
      deviceResponse: response,
      sessionTranscript: await transcript({ ...channel, thumbprint: key }),
      trustedCertificates: [new Uint8Array(new X509Certificate(root).raw)],
      now: new Date(),
      onCheck: ({ status, check, reason }) => status === 'FAILED' && failed.push(reason ? `${check}: ${reason}` : check),
    },
    context,
  );
  const documents = (response.documents ?? []).map((document) => {
    const { issuerNamespaces } = document.issuerSigned.issuerNamespaces;
    const shown = [...issuerNamespaces.keys()].map((namespace) => [namespace, document.issuerSigned.getPrettyClaims(namespace)]);
    return { doctype: document.docType, elements: Object.fromEntries(shown) };
  });
  return { failed, documents };
}

await listen({ issue, receive, present, respond, verify });
