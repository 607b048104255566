// What @owf/mdoc leaves to its user, by Node: randomness, hashes, signatures and certificates.

import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';

import { CoseKey, Curve, KeyType, SignatureAlgorithm } from '@owf/mdoc';

import { keyOf } from './world.mjs';

const { ES256, ES384, ES512, EdDSA } = SignatureAlgorithm;

/** The hash of a signature; Ed25519 has its own. */
const hashOf = { [ES256]: 'sha256', [ES384]: 'sha384', [ES512]: 'sha512', [EdDSA]: null };

const curveOf = {
  'P-256': [Curve['P-256'], ES256],
  'P-384': [Curve['P-384'], ES384],
  'P-521': [Curve['P-521'], ES512],
  Ed25519: [Curve.Ed25519, EdDSA],
};

const decoded = (text) => text && new Uint8Array(Buffer.from(text, 'base64url'));

/** A key of Node as a COSE_Key. */
export function coseKey(key, { withAlgorithm = true } = {}) {
  const { kty, crv, x, y, d } = key.export({ format: 'jwk' });
  const [curve, algorithm] = curveOf[crv];
  return CoseKey.create({
    keyType: kty === 'EC' ? KeyType.Ec : KeyType.Okp,
    curve,
    x: decoded(x),
    y: decoded(y),
    d: decoded(d),
    algorithm: withAlgorithm ? algorithm : undefined,
  });
}

function jwk(key) {
  const [[crv]] = Object.entries(curveOf).filter(([, [curve]]) => curve === key.curve);
  const members = Object.entries({ x: key.x, y: key.y, d: key.d }).filter(([, value]) => value);
  const encoded = members.map(([name, value]) => [name, Buffer.from(value).toString('base64url')]);
  return { kty: key.keyType === KeyType.Ec ? 'EC' : 'OKP', crv, ...Object.fromEntries(encoded) };
}

/** A new pair of keys for an algorithm, such as `ES384`. */
export function newPair(algorithm) {
  const [[name]] = Object.entries(curveOf).filter(([, [, its]]) => its === SignatureAlgorithm[algorithm]);
  return name === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: name });
}

const field = (name, wanted) =>
  name.split('\n').map((line) => line.split('=')).filter(([kind]) => kind === wanted).map(([, value]) => value);

export const context = {
  crypto: {
    random: (length) => new Uint8Array(randomBytes(length)),
    digest: ({ digestAlgorithm, bytes }) =>
      new Uint8Array(createHash(digestAlgorithm.replace('-', '')).update(bytes).digest()),
  },
  cose: {
    sign1: {
      sign: ({ toBeSigned, key, algorithm }) => {
        const from = { key: createPrivateKey({ key: jwk(key), format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
        return new Uint8Array(sign(hashOf[algorithm], toBeSigned, from));
      },
      verify: ({ key, sign1 }) => {
        const by = { key: createPublicKey({ key: jwk(key), format: 'jwk' }), dsaEncoding: 'ieee-p1363' };
        return verify(hashOf[SignatureAlgorithm[sign1.signatureAlgorithmName]], sign1.toBeSigned, by, sign1.signature);
      },
    },
  },
  x509: {
    getIssuerNameField: ({ certificate, field: wanted }) => field(new X509Certificate(certificate).issuer, wanted),
    getPublicKey: ({ certificate }) => coseKey(new X509Certificate(certificate).publicKey),
    verifyCertificateChain: ({ trustedCertificates, x5chain }) => {
      keyOf(x5chain, trustedCertificates.map((der) => new X509Certificate(der)));
    },
    getCertificateData: ({ certificate }) => {
      const read = new X509Certificate(certificate);
      return {
        issuerName: read.issuer,
        subjectName: read.subject,
        serialNumber: read.serialNumber,
        thumbprint: read.fingerprint256,
        notBefore: new Date(read.validFrom),
        notAfter: new Date(read.validTo),
        pem: `${read}`,
      };
    },
  },
};
