// The world of the shop under test: its time, the way to its address, the signers that wallets believe, and the loop that reads
// one command a line and answers with one line of JSON.
//
// The shop listens on loopback, and its address is https://shop.example. What a wallet sends there is carried to loopback;
// a wallet that calls anybody else stops.

import { X509Certificate } from 'node:crypto';
import { createInterface } from 'node:readline';

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

const reach = globalThis.fetch;

export async function carry(input, init) {
  const url = new URL(typeof input === 'string' ? input : (input.url ?? input));
  if (url.origin !== SHOP_ORIGIN) throw new Error(`the wallet calls ${url.origin}`);
  return reach(`${SHOP_ADDRESS}${url.pathname}${url.search}`, { redirect: 'error', ...init });
}

// Whatever a library fetches by itself goes the same way.
globalThis.fetch = carry;

/** The key of a certificate chain that leads to one of the roots; DER, leaf first. */
export function keyOf(chain, roots = [new X509Certificate(SHOP_ROOT)]) {
  const certificates = chain.map((der) => new X509Certificate(der));
  for (const [at, certificate] of certificates.entries()) {
    const above = certificates[at + 1] ? [certificates[at + 1]] : roots;
    const issued = above.some((issuer) => certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey));
    if (!issued) throw new Error('an unknown signer');
  }
  return certificates[0].publicKey;
}

/** Answers commands until nobody is left to ask. */
export async function listen(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, ...of } = JSON.parse(line);
    try {
      process.stdout.write(`${JSON.stringify(await commands[command](of))}\n`);
    } catch (error) {
      const told = JSON.stringify({ error: `${error.stack}`, response: error.response ?? error.errorResponse ?? null });
      process.stdout.write(`${told}\n`);
    }
  }
}
