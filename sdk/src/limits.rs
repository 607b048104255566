//! Every bound that protects the process from what a stranger sends, in one place, with its reason.

/// Bounds on what is read from wallets, browsers and issuers. The defaults are tested, and fit every credential that
/// a wallet of 2026 presents; a merchant has no reason to raise them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// A wallet's whole answer (the form body). 256 KiB: a PID with a portrait is about 40 KiB.
    pub response_bytes: usize,
    /// A compact JWS or one issuer-signed JWT.
    pub jws_bytes: usize,
    /// A `kid`; longer ones are nobody's key.
    pub kid_bytes: usize,
    /// Nesting of any JSON that a stranger signed or sent.
    pub json_depth: usize,
    /// Nesting of any CBOR that a stranger signed or sent.
    pub cbor_depth: usize,
    /// Items in one such CBOR: 65 536 take about 6 MiB while they are read; a document of every element has 1 000.
    pub cbor_items: usize,
    /// Certificates in one `x5c`.
    pub x5c_certificates: usize,
    /// Presentations in one answer, all queries together.
    pub presentations: usize,
    /// Disclosures of one SD-JWT.
    pub disclosures: usize,
    /// Nesting of disclosed claims in one SD-JWT.
    pub sd_jwt_depth: usize,
    /// A status list token as fetched.
    pub status_token_bytes: usize,
    /// A status list after inflation: 16 MiB hold 128 million one-bit entries.
    pub status_list_bytes: usize,
    /// A list of trusted issuers as fetched. 4 MiB: some thousand issuers with their certificates.
    pub trust_list_bytes: usize,
    /// Credential queries in one DCQL query.
    pub dcql_credentials: usize,
    /// Claims in one credential query, and sets in one `claim_sets` or `credential_sets`.
    pub dcql_claims: usize,
    /// Elements in one claims path.
    pub dcql_path: usize,
    /// Values that one claim, type or authority may have.
    pub dcql_values: usize,
    /// A DPoP proof.
    pub dpop_bytes: usize,
    /// The `jti` of a proof.
    pub jti_bytes: usize,
    /// A DID. 4 KiB: a did:peer:4 carries its whole document, which with three keys and a service is about 2 KiB.
    pub did_bytes: usize,
    /// What a wallet posts to fetch a request object (its metadata and nonce).
    pub request_post_bytes: usize,
    /// A `wallet_nonce`.
    pub wallet_nonce_bytes: usize,
    /// One member of what an authenticator made, decoded: 8 KiB. A key of RSA and the longest name are 2 KiB.
    pub passkey_bytes: usize,
    /// How long ago a wallet may have been shown on this device, in seconds, for what touches a stored address or where
    /// money goes back to: five minutes, the time in which nobody else sits down at the browser unnoticed.
    pub step_up_s: u64,
    /// How long ago a customer may have signed in by the old login, in seconds, to move that account: ten minutes, the time to
    /// find a wallet and show it.
    pub legacy_sign_in_s: u64,
    /// How many ways to be recognised one customer has at most: browsers' keys that nobody uses any more make room. All of
    /// them move in one commit when two records become one.
    pub bindings: usize,
    /// How long after a recovery what spends has to wait, in seconds: three days, in which whoever still has a stronger way
    /// in sees it and can undo it.
    pub cool_down_s: u64,
    /// How long two records that became one can be taken apart again, in seconds: 14 days.
    pub merge_undo_s: u64,
    /// How long a customer's history says what happened, in seconds: a year.
    pub history_kept_s: u64,
    /// How long what a wallet signed for a payment is kept, in seconds: 450 days, since a payer has 13 months to dispute it (PSD2,
    /// article 71).
    pub evidence_kept_s: u64,
    /// How long the delivery address of an order is kept, in seconds: 90 days, to deliver and to take goods back.
    pub delivery_kept_s: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            response_bytes: 256 * 1024,
            jws_bytes: 128 * 1024,
            kid_bytes: 256,
            json_depth: 32,
            cbor_depth: 32,
            cbor_items: 65_536,
            x5c_certificates: 8,
            presentations: 16,
            disclosures: 256,
            sd_jwt_depth: 16,
            status_token_bytes: 4 * 1024 * 1024,
            status_list_bytes: 16 * 1024 * 1024,
            trust_list_bytes: 4 * 1024 * 1024,
            dcql_credentials: 32,
            dcql_claims: 64,
            dcql_path: 16,
            dcql_values: 256,
            dpop_bytes: 8 * 1024,
            jti_bytes: 256,
            did_bytes: 4 * 1024,
            request_post_bytes: 32 * 1024,
            wallet_nonce_bytes: 512,
            passkey_bytes: 8 * 1024,
            step_up_s: 5 * 60,
            legacy_sign_in_s: 10 * 60,
            bindings: 16,
            cool_down_s: 3 * 24 * 3600,
            merge_undo_s: 14 * 24 * 3600,
            history_kept_s: 365 * 24 * 3600,
            evidence_kept_s: 450 * 24 * 3600,
            delivery_kept_s: 90 * 24 * 3600,
        }
    }
}
