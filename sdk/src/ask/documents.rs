//! What well-known documents call the facts that shops ask for.
//!
//! A fact is read by one name, whichever document it came from: the name is that of the EU's identification data as SD-JWT
//! VC (PID Rulebook).

use super::{AnyOf, Wanted};

/// The type under which the identification data of the EU wallet are asked for, whichever member state issued them.
pub const PID: &str = "urn:eudi:pid:1";

/// The document type, and the namespace, of the same identification data as an mdoc.
pub const PID_MDOC: &str = "eu.europa.ec.eudi.pid.1";

/// The document type, and the namespace, of the EU's attestation of age.
pub const AGE_EU: &str = "eu.europa.ec.av.1";

/// The document type of the mobile driving licence (ISO/IEC 18013-5, 7.2.1).
pub const MDL: &str = "org.iso.18013.5.1.mDL";

/// The namespace of the mobile driving licence.
pub const MDL_NAMESPACE: &str = "org.iso.18013.5.1";

/// The document type of the photo id (ISO/IEC TS 23220-4, annex C).
pub const PHOTO_ID: &str = "org.iso.23220.photoid.1";

/// The namespace of what all photo ids have (ISO/IEC TS 23220-2).
pub const PHOTO_ID_NAMESPACE: &str = "org.iso.23220.1";

/// The same licence as a W3C credential (Verifiable Driver's License Vocabulary 0.1): the full name of its type.
pub const VDL: &str = "https://w3id.org/vdl#Iso18013DriversLicenseCredential";

/// The type of a receipt (WE BUILD, eReceipt rulebook 2.0).
pub const RECEIPT: &str = "eu.we-build.ereceipt.1";

/// Where in the subject of such a credential the licence stands. What it says is called as in the mobile one.
const VDL_LICENCE: &str = "driversLicense";

/// Whether somebody is at least so old, in every document that tells it, the one that tells least first.
///
/// The attestation of age says nothing else about its holder; a licence or a photo id says who attests it; identification
/// data come last, and behind them the licence as a W3C credential, which most wallets can only show whole. Not public: asked
/// for as any other credential, it would only be shown, and nobody would look at the age.
pub(super) fn age(years: u8) -> AnyOf {
    let over = || [format!("age_over_{years}")];
    let or_birth_date = |wanted: Wanted| wanted.either(over()).either_as(["birthdate"], ["birth_date"]);
    age_eu(years)
        .or(or_birth_date(Wanted::mdoc(MDL, MDL_NAMESPACE)))
        .or(or_birth_date(Wanted::mdoc(PHOTO_ID, PHOTO_ID_NAMESPACE)))
        .or(Wanted::sd_jwt_vc(PID)
            .either(["age_equal_or_over".to_owned(), years.to_string()])
            .either(over())
            .either(["birthdate"]))
        .or(or_birth_date(Wanted::mdoc(PID_MDOC, PID_MDOC)))
        .or(vdl(|wanted| {
            let [name] = over();
            wanted.claim_as([name.clone()], [VDL_LICENCE.to_owned(), name])
        }))
}

/// Whether somebody is at least so old, by the EU's attestation of age alone.
pub(super) fn age_eu(years: u8) -> Wanted {
    Wanted::mdoc(AGE_EU, AGE_EU).claim([format!("age_over_{years}")])
}

/// Given name, family name and where somebody lives: `given_name`, `family_name`, and `address` with the members
/// `street_address`, `locality`, `postal_code` and `country`, as in OpenID Connect Core, 5.1.1.
pub fn name_and_address() -> AnyOf {
    let person = |wanted: Wanted| wanted.claim(["given_name"]).claim(["family_name"]);
    let resident = |wanted: Wanted, street: &str| {
        person(wanted)
            .claim_as(["address", "street_address"], [street])
            .claim_as(["address", "locality"], ["resident_city"])
            .claim_as(["address", "postal_code"], ["resident_postal_code"])
            .claim_as(["address", "country"], ["resident_country"])
    };
    let licensed = |wanted: Wanted| {
        wanted
            .claim_as(["given_name"], [VDL_LICENCE, "given_name"])
            .claim_as(["family_name"], [VDL_LICENCE, "family_name"])
            .claim_as(["address", "street_address"], [VDL_LICENCE, "resident_address"])
            .claim_as(["address", "locality"], [VDL_LICENCE, "resident_city"])
            .claim_as(["address", "postal_code"], [VDL_LICENCE, "resident_postal_code"])
            .claim_as(["address", "country"], [VDL_LICENCE, "resident_country"])
    };
    person(Wanted::sd_jwt_vc(PID))
        .claim(["address"])
        .or(resident(Wanted::mdoc(PID_MDOC, PID_MDOC), "resident_street"))
        .or(resident(Wanted::mdoc(MDL, MDL_NAMESPACE), "resident_address"))
        .or(vdl(licensed))
}

/// A receipt, by its number alone: of whichever shop is trusted for it. [`Ask::receipt`](super::Ask::receipt) asks for one
/// of this shop.
pub fn receipt() -> Wanted {
    Wanted::sd_jwt_vc(RECEIPT).claim(["receiptNumber"])
}

/// The licence as a W3C credential: with a proof of which a part can be shown, before a token, which is shown whole.
fn vdl(asking: impl Fn(Wanted) -> Wanted) -> AnyOf {
    asking(Wanted::ldp_vc(VDL)).or(asking(Wanted::jwt_vc(VDL)))
}

/// Whether a type is identification data, of the EU or of one member state.
pub(crate) fn is_identity(kind: &str) -> bool {
    kind == "urn:eudi:pid" || kind.starts_with("urn:eudi:pid:") || kind.starts_with("eu.europa.ec.eudi.pid.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_has_one_name_in_all_documents() {
        let names = |wanted: &AnyOf| wanted.names().map(|name| name.join(".")).collect::<Vec<_>>();
        assert_eq!(names(&age(18)), ["age_over_18", "birthdate", "age_equal_or_over.18"]);
        let person = name_and_address();
        let licence = person.alternatives().iter().find(|one| one.types() == [MDL]).unwrap();
        assert_eq!(licence.name_of(&[MDL_NAMESPACE, "resident_city"]).unwrap(), ["address", "locality"]);
        assert_eq!(licence.name_of(&[MDL_NAMESPACE, "portrait"]), None);
        assert_eq!(licence.name_of(&["given_name"]), None);
        for licence in person.alternatives().iter().filter(|one| one.types() == [VDL]) {
            let town = ["credentialSubject", "driversLicense", "resident_city"];
            assert_eq!(licence.name_of(&town).unwrap(), ["address", "locality"], "{}", licence.format());
            assert_eq!(licence.name_of(&["resident_city"]), None);
        }
    }

    #[test]
    fn identification_data_are_known_in_every_format() {
        for kind in ["urn:eudi:pid:1", "urn:eudi:pid:de:1", PID_MDOC] {
            assert!(is_identity(kind), "{kind}");
        }
        for kind in [AGE_EU, MDL, "urn:example:sca"] {
            assert!(!is_identity(kind), "{kind}");
        }
    }
}
