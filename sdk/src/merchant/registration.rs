//! What the shop has registered as a relying party in the EU: made from what it asks.

use serde_json::{Map, Value, json};

use super::{Merchant, meta_of};
use crate::{ask::Wanted, presentation::query_of};

/// A registration as far as the shop knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationDraft {
    /// The data set of a `WalletRelyingParty` (EUDI TS5 and TS6), in JSON: an intended use for each ask. As in TS5's schema,
    /// `meta` and `path` are JSON texts.
    pub document: Value,
    /// What the registrar needs beside it and nobody here knows.
    pub by_hand: Vec<ByHand>,
}

/// A member that the merchant adds to the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByHand {
    /// Where it stands: a JSON pointer; `-` stands for each intended use.
    pub member: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// TS6, section 2.1, without what [`Merchant::registration_draft`] fills in.
const BY_HAND: [ByHand; 12] = [
    ByHand {
        member: "/legalPerson/legalName",
        what: "the name in the official record; a natural person has naturalPerson",
    },
    ByHand { member: "/tradeName", what: "the name that customers know" },
    ByHand {
        member: "/identifier",
        what: "the official identifier, of type http://data.europa.eu/eudi/id/EUID if there is one",
    },
    ByHand { member: "/country", what: "where the merchant is established, two letters" },
    ByHand { member: "/postalAddress", what: "where the merchant is established" },
    ByHand { member: "/supportURI", what: "where customers ask for help, and for their data to be deleted" },
    ByHand {
        member: "/srvDescription",
        what: "what the shop sells, in each language: an array of arrays of {lang, content}",
    },
    ByHand {
        member: "/supervisoryAuthority",
        what: "the data protection authority: name, country, and email, phone or formURI",
    },
    ByHand { member: "/intendedUse/-/privacyPolicy", what: "the address of the privacy policy, as {type, policyURI}" },
    ByHand {
        member: "/intendedUse/-/purpose",
        what: "the purpose in every other language of the countries that are served",
    },
    ByHand { member: "/intendedUse/-/createdAt", what: "from when on, YYYY-MM-DD" },
    ByHand { member: "/intendedUse/-/intendedUseIdentifier", what: "the name that the registrar gives it" },
];

/// A merchant that relies on what wallets show (ETSI TS 119 475, annex A.2).
const SERVICE_PROVIDER: &str = "https://uri.etsi.org/19475/Entitlement/Service_Provider";

impl Merchant {
    /// The registration of a relying party (Regulation (EU) 2025/848, annex I; EUDI TS5 and TS6) that covers what the
    /// declared asks ask for, each in each format, and no more. `lang` is the language of the asks' purposes, such as `en`.
    ///
    /// An ask by [`age_eu`](crate::Ask::age_eu) needs no registration and is left out.
    #[must_use]
    pub fn registration_draft(&self, lang: &str) -> RegistrationDraft {
        let relationship = self.relationship_type();
        let meta = |one: &Wanted| meta_of(one, &self.0.formats, self.0.trusted.configured());
        let intended_use = self.asks().filter(|ask| !ask.is_age_eu()).map(|ask| {
            let query = query_of(&[ask], relationship.as_str(), meta);
            let credentials = query.credentials.iter().map(|credential| {
                let path = |path: &Vec<Value>| json!({ "path": Value::Array(path.clone()).to_string() });
                let claims = credential.claims.iter().flatten().map(|claim| path(&claim.path));
                let mut one = Map::new();
                one.insert("format".to_owned(), credential.format.as_str().into());
                one.insert("meta".to_owned(), credential.meta.to_string().into());
                let claims: Vec<Value> = claims.collect();
                if !claims.is_empty() {
                    one.insert("claims".to_owned(), claims.into());
                }
                Value::Object(one)
            });
            json!({
                "purpose": [{ "lang": lang, "content": ask.purpose() }],
                "credentials": credentials.collect::<Vec<_>>(),
            })
        });
        let document = json!({
            "entitlements": [SERVICE_PROVIDER],
            "isPSB": false,
            "isIntermediary": false,
            "infoURI": [self.origin().as_str()],
            "intendedUse": intended_use.collect::<Vec<_>>(),
        });
        RegistrationDraft { document, by_hand: BY_HAND.to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limits::Limits,
        protocol::{jose::base64url_encode, registration::RegistrationCertificate},
        testing::TestShop,
    };

    #[test]
    fn what_is_registered_covers_what_is_asked() {
        let shop = TestShop::new();
        let merchant = shop.merchant();
        let draft = merchant.registration_draft("en");
        let uses = draft.document["intendedUse"].as_array().unwrap();
        let purposes: Vec<_> = uses.iter().map(|one| one["purpose"][0]["content"].as_str().unwrap()).collect();
        assert_eq!(purposes, ["To send you what you order", "Wine is sold to adults"]);
        assert_eq!(uses[0]["credentials"][0]["claims"][2]["path"], r#"["address"]"#);
        for by_hand in draft.by_hand {
            assert_eq!(draft.document.pointer(&by_hand.member.replace("/-/", "/9/")), None, "{by_hand:?}");
        }
        // A registrar certifies each use, and the shop that asks for it starts; no other ask is covered by it.
        let certificate = |credentials: &Value| {
            let part = |value: &Value| base64url_encode(value.to_string().as_bytes());
            let header = part(&json!({ "typ": RegistrationCertificate::TYP, "alg": "ES256" }));
            let jwt = format!("{header}.{}.AA", part(&json!({ "credentials": credentials })));
            RegistrationCertificate::parse(&jwt, &Limits::default()).unwrap()
        };
        let meta = |one: &Wanted| meta_of(one, &merchant.0.formats, merchant.0.trusted.configured());
        for (at, ask) in merchant.asks().enumerate() {
            let query = query_of(&[ask], merchant.relationship_type().as_str(), meta);
            for (of, one) in uses.iter().enumerate() {
                let covers = certificate(&one["credentials"]).covers(&query);
                assert_eq!(covers.is_ok(), at == of, "{} by {of}: {covers:?}", ask.name());
            }
        }
    }
}
