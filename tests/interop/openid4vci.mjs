// The wallet's side of OpenID4VCI 1.0, by the Open Wallet Foundation's library: takes an offer and gets the credential. What the
// credential is made of is the business of each format.

import { Openid4vciClient } from '@openid4vc/openid4vci';

import { callbacks, newKey } from './openid4vp.mjs';

/** Gets the credential of an offer in the configuration of this format; `accept` tells its issuer that it is kept. */
export async function collect({ offer, tx_code: txCode, format = 'dc+sd-jwt' }) {
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
  const { knownCredentialConfigurations: configurations } = issuerMetadata;
  const credentialConfigurationId = credentialOffer.credential_configuration_ids.find((id) => configurations[id].format === format);
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
  const accept = () =>
    client.sendNotification({
      issuerMetadata,
      accessToken,
      notification: { notificationId: credentialResponse.notification_id, event: 'credential_accepted' },
      dpop: { ...tokens.dpop, ...dpop },
    });
  return { credential, holder, token_type: tokenType, configuration: configurations[credentialConfigurationId], accept };
}
