//! What an issuer says of itself (OpenID4VCI 1.0, section 12.2; RFC 8414), plain and signed, and what its type means
//! (SD-JWT VC, 6).

use serde_json::{Map, Value, json};
use url::Url;

use super::{CredentialFormat, KEYS_MAX, Offered, PROOF_ALGORITHMS, oauth::OPENID_CREDENTIAL, offer};
use crate::{protocol::jose::Algorithm, time::UnixTime};

/// The `typ` of signed metadata (section 12.2.3).
pub const SIGNED_METADATA_TYPE: &str = "openidvci-issuer-metadata+jwt";

/// How clients say who they are at the authorization server, where they must: by attestation
/// (`draft-ietf-oauth-attestation-based-client-auth`).
pub const ATTESTATION_METHOD: &str = "attest_jwt_client_auth";

/// ES256 by its number in COSE (RFC 9053, 2.1), as it stands in what we sign.
const COSE_ES256: i64 = -7;

/// An issuer that is its own authorization server.
#[derive(Clone, Debug)]
pub struct Issuer<'a> {
    /// Its identifier: an https URL without query and fragment, compared letter by letter.
    pub identifier: &'a str,
    /// Where its endpoints are: the credential endpoint is `{endpoints}/credentials`, and so on.
    pub endpoints: &'a Url,
    /// What it is called.
    pub name: &'a str,
    /// What is issued.
    pub offerings: &'a [Offering<'a>],
    /// How many credentials a wallet may get at once, one for each key; 1 is no batch.
    pub batch_size: usize,
    /// Whether wallets and their keys must be attested.
    pub attested: Attested,
    /// Whether wallets may ask for an authorization code.
    pub code_flow: bool,
}

/// One type of credential that is issued.
#[derive(Clone, Copy, Debug)]
pub struct Offering<'a> {
    /// What is issued. The name of a configuration is also its identifier in requests.
    pub offered: Offered<'a>,
    /// The type of the credential: the `vct` of an SD-JWT VC, the document type and the name space of an mdoc.
    pub kind: &'a str,
    /// How a credential is called, for each language (BCP 47).
    pub names: &'a [(&'a str, String)],
    /// What stands in it.
    pub claims: &'a [Claim],
    /// How much of its lifetime a credential has left when a wallet asks for the next one, in seconds; none for one that is
    /// issued once, and by an offer alone.
    pub reissue_at_left_s: Option<u64>,
}

/// A claim of a credential.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its path, with dots between the names; `*` is every element of an array.
    pub path: &'static str,
    /// Whether every credential has it.
    pub mandatory: bool,
    /// Whether its holder chooses to show it: `always`, `allowed` or `never` (SD-JWT VC, 9.3).
    pub sd: &'static str,
}

impl Claim {
    /// Its path in JSON, behind the name space of a format that has one.
    fn path(&self, name_space: Option<&str>) -> Value {
        let parts = self.path.split('.').map(|part| if part == "*" { Value::Null } else { part.into() });
        name_space.map(Value::from).into_iter().chain(parts).collect()
    }
}

/// What is asked of wallets beside a proof of possession.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attested {
    /// Nothing is asked, and nobody's word would count.
    No,
    /// What trusted providers say is read.
    MayBe,
    /// Wallets authenticate by attestation, and their keys are attested (HAIP 1.0, 4.4.1 and 4.5.1).
    Must,
}

impl Issuer<'_> {
    /// The metadata of the credential issuer (section 12.2.4).
    #[must_use]
    pub fn metadata(&self) -> Value {
        let configurations: Map<String, Value> = self
            .offerings
            .iter()
            .flat_map(|one| one.offered.configurations.iter().map(move |configuration| (one, configuration)))
            .map(|(one, (name, format))| ((*name).to_owned(), self.configuration(one, *format)))
            .collect();
        let mut metadata = json!({
            "credential_issuer": self.identifier,
            "credential_endpoint": self.endpoint("credentials"),
            "nonce_endpoint": self.endpoint("nonce"),
            "deferred_credential_endpoint": self.endpoint("deferred"),
            "notification_endpoint": self.endpoint("notifications"),
            "display": [{"name": self.name}],
            "credential_configurations_supported": configurations,
        });
        if self.batch_size > 1
            && let Some(members) = metadata.as_object_mut()
        {
            let size = self.batch_size.min(KEYS_MAX);
            members.insert("batch_credential_issuance".to_owned(), json!({"batch_size": size}));
        }
        metadata
    }

    /// The claims of the signed metadata: the same, and who says so when.
    #[must_use]
    pub fn signed_claims(&self, now: UnixTime, expires_at: UnixTime) -> Value {
        let mut claims = self.metadata();
        if let Some(members) = claims.as_object_mut() {
            let about = [
                ("iss", json!(self.identifier)),
                ("sub", json!(self.identifier)),
                ("iat", json!(now)),
                ("exp", json!(expires_at)),
            ];
            members.extend(about.map(|(name, value)| (name.to_owned(), value)));
        }
        claims
    }

    /// The metadata of the authorization server (RFC 8414, RFC 9126, RFC 9207, RFC 9449).
    #[must_use]
    pub fn authorization_server(&self) -> Value {
        let mut grants = vec![offer::PRE_AUTHORIZED, "refresh_token"];
        if self.code_flow {
            grants.push(offer::AUTHORIZATION_CODE);
        }
        // What is issued by an offer alone is asked for by none.
        let by_scope = self.offerings.iter().filter(|one| one.reissue_at_left_s.is_some());
        let scopes: Vec<&str> = by_scope.map(|one| one.offered.scope).collect();
        let mut metadata = json!({
            "issuer": self.identifier,
            "authorization_endpoint": self.endpoint("authorize"),
            "token_endpoint": self.endpoint("token"),
            "pushed_authorization_request_endpoint": self.endpoint("par"),
            "require_pushed_authorization_requests": true,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": grants,
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": scopes,
            "authorization_details_types_supported": [OPENID_CREDENTIAL],
            "authorization_response_iss_parameter_supported": true,
            "dpop_signing_alg_values_supported": ["ES256", "EdDSA", "Ed25519"],
            "pre-authorized_grant_anonymous_access_supported": self.attested != Attested::Must,
        });
        let methods: &[&str] = match self.attested {
            Attested::No => &["none"],
            Attested::MayBe => &["none", ATTESTATION_METHOD],
            Attested::Must => &[ATTESTATION_METHOD],
        };
        if let Some(members) = metadata.as_object_mut() {
            members.insert("token_endpoint_auth_methods_supported".to_owned(), json!(methods));
            if self.attested != Attested::No {
                for name in [
                    "client_attestation_signing_alg_values_supported",
                    "client_attestation_pop_signing_alg_values_supported",
                ] {
                    members.insert(name.to_owned(), json!([Algorithm::Es256.name()]));
                }
            }
        }
        metadata
    }

    fn configuration(&self, one: &Offering<'_>, format: CredentialFormat) -> Value {
        let proof = json!({"proof_signing_alg_values_supported": PROOF_ALGORITHMS});
        let mut proof_types = Map::from_iter([("jwt".to_owned(), proof.clone())]);
        if self.attested != Attested::No {
            proof_types.insert("attestation".to_owned(), proof);
        }
        if self.attested == Attested::Must {
            for proof in proof_types.values_mut().filter_map(Value::as_object_mut) {
                // Attested, in whatever storage: how good it must be is for an ecosystem to say (HAIP 1.0, 4.5.1).
                proof.insert("key_attestations_required".to_owned(), json!({}));
            }
        }
        let display = |(locale, name): &(&str, String)| json!({"name": name, "locale": locale});
        // Annex C.3: a name space, and an element of it.
        let name_space = (format == CredentialFormat::Mdoc).then_some(one.kind);
        let claim = |claim: &Claim| match claim.mandatory {
            true => json!({"path": claim.path(name_space), "mandatory": true}),
            false => json!({"path": claim.path(name_space)}),
        };
        let mut about = json!({
            "display": one.names.iter().map(display).collect::<Vec<_>>(),
            "claims": one.claims.iter().map(claim).collect::<Vec<_>>(),
        });
        let mut configuration = json!({"proof_types_supported": proof_types});
        if let (Some(left_s), Some(about), Some(members)) =
            (one.reissue_at_left_s, about.as_object_mut(), configuration.as_object_mut())
        {
            let policy = json!({"id": "arf_annex_ii", "options": [self.reuse(left_s)]});
            about.insert("credential_reuse_policy".to_owned(), policy);
            members.insert("scope".to_owned(), json!(one.offered.scope));
        }
        let own = match format {
            CredentialFormat::SdJwtVc => json!({
                "format": "dc+sd-jwt",
                "vct": one.kind,
                "credential_signing_alg_values_supported": [Algorithm::Es256.name()],
                "cryptographic_binding_methods_supported": ["jwk"],
            }),
            CredentialFormat::Mdoc => json!({
                "format": "mso_mdoc",
                "doctype": one.kind,
                "credential_signing_alg_values_supported": [COSE_ES256],
                "cryptographic_binding_methods_supported": ["cose_key"],
            }),
        };
        if let (Some(members), Value::Object(own)) = (configuration.as_object_mut(), own) {
            members.extend(own);
            members.insert("credential_metadata".to_owned(), about);
        }
        configuration
    }

    /// How often a wallet may show the same credential (ETSI TS 119 472-3, 4.2.4.2; ARF, ISSU_39): as often as it likes
    /// while it holds, since only the shop that issued it ever asks for it. A batch is shown in turn.
    fn reuse(&self, reissue_at_left_s: u64) -> Value {
        let details: &[&str] =
            if self.batch_size > 1 { &["limited_time", "rotating-batch"] } else { &["limited_time"] };
        json!({
            "details": details,
            "batch_size": self.batch_size.clamp(1, KEYS_MAX),
            "reissue_trigger_lifetime_left": reissue_at_left_s,
        })
    }

    fn endpoint(&self, name: &str) -> String {
        format!("{}/{name}", self.endpoints.as_str().trim_end_matches('/'))
    }
}

impl Offering<'_> {
    /// The type metadata of the credential (SD-JWT VC, 6.2).
    #[must_use]
    pub fn type_metadata(&self) -> Value {
        let display = |(language, name): &(&str, String)| json!({"locale": language, "name": name});
        json!({
            "vct": self.kind,
            "name": self.names.first().map(|(_, name)| name),
            "display": self.names.iter().map(display).collect::<Vec<_>>(),
            "claims": self.claims.iter().map(|claim| json!({"path": claim.path(None), "sd": claim.sd})).collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attested: Attested, batch_size: usize) -> (Value, Value) {
        let endpoints: Url = "https://shop.example/wallet/issuer".parse().unwrap();
        let names = [("en", "Customer card of Shop".to_owned()), ("de", "Kundenkarte von Shop".to_owned())];
        let issuer = Issuer {
            identifier: "https://shop.example",
            endpoints: &endpoints,
            name: "Shop",
            offerings: &[
                Offering {
                    offered: Offered {
                        scope: "relationship",
                        configurations: &[
                            ("relationship", CredentialFormat::SdJwtVc),
                            ("other", CredentialFormat::Mdoc),
                        ],
                    },
                    kind: "https://shop.example/wallet/relationship",
                    names: &names,
                    claims: &[Claim { path: "sub", mandatory: true, sd: "never" }],
                    reissue_at_left_s: Some(60),
                },
                Offering {
                    offered: Offered { scope: "bill", configurations: &[("bill", CredentialFormat::SdJwtVc)] },
                    kind: "urn:example:bill",
                    names: &names,
                    claims: &[Claim { path: "products.*.name", mandatory: false, sd: "always" }],
                    reissue_at_left_s: None,
                },
            ],
            batch_size,
            attested,
            code_flow: attested != Attested::No,
        };
        let now = UnixTime::from_secs(1_800_000_000);
        let signed = issuer.signed_claims(now, now.plus_s(10));
        for (name, value) in issuer.metadata().as_object().unwrap() {
            assert_eq!(&signed[name], value, "12.2.3: all parameters are claims");
        }
        assert_eq!(signed["sub"], "https://shop.example");
        (issuer.metadata(), issuer.authorization_server())
    }

    #[test]
    fn metadata_say_what_is_asked_of_a_wallet() {
        let (issuer, server) = check(Attested::No, 1);
        let credential = &issuer["credential_configurations_supported"]["relationship"];
        assert_eq!(issuer["credential_endpoint"], "https://shop.example/wallet/issuer/credentials");
        assert!(issuer.get("batch_credential_issuance").is_none(), "a size of 1 is no batch");
        assert_eq!(credential["proof_types_supported"].as_object().unwrap().len(), 1);
        let policy = &credential["credential_metadata"]["credential_reuse_policy"];
        assert_eq!(policy["options"][0]["details"], json!(["limited_time"]));
        assert_eq!(server["pre-authorized_grant_anonymous_access_supported"], true);
        assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["none"]));
        assert_eq!(server["grant_types_supported"], json!([offer::PRE_AUTHORIZED, "refresh_token"]));

        let mdoc = &issuer["credential_configurations_supported"]["other"];
        for (member, value) in [
            ("format", json!("mso_mdoc")),
            ("doctype", json!("https://shop.example/wallet/relationship")),
            ("credential_signing_alg_values_supported", json!([-7])),
            ("cryptographic_binding_methods_supported", json!(["cose_key"])),
        ] {
            assert_eq!(mdoc[member], value);
            assert_ne!(credential[member], value);
        }
        for same in ["scope", "proof_types_supported"] {
            assert_eq!(mdoc[same], credential[same]);
        }
        assert_eq!(mdoc["credential_metadata"]["display"], credential["credential_metadata"]["display"]);
        let path = json!(["https://shop.example/wallet/relationship", "sub"]);
        assert_eq!(mdoc["credential_metadata"]["claims"][0]["path"], path);
        assert!(mdoc.get("vct").is_none() && credential.get("doctype").is_none());

        let bill = &issuer["credential_configurations_supported"]["bill"];
        assert_eq!(bill["credential_metadata"]["claims"], json!([{"path": ["products", null, "name"]}]));
        assert!(bill.get("scope").is_none() && bill["credential_metadata"].get("credential_reuse_policy").is_none());
        assert_eq!(server["scopes_supported"], json!(["relationship"]), "what comes by an offer alone has no scope");

        let (issuer, server) = check(Attested::Must, 4);
        let credential = &issuer["credential_configurations_supported"]["relationship"];
        assert_eq!(issuer["batch_credential_issuance"], json!({"batch_size": 4}));
        for kind in ["jwt", "attestation"] {
            assert_eq!(credential["proof_types_supported"][kind]["key_attestations_required"], json!({}));
        }
        assert_eq!(server["pre-authorized_grant_anonymous_access_supported"], false);
        assert_eq!(server["token_endpoint_auth_methods_supported"], json!([ATTESTATION_METHOD]));
    }
}
