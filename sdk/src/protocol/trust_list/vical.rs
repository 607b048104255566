//! VICAL, the list of the authorities that issue mobile driving licences and other mdocs (ISO/IEC 18013-5, annex C): CBOR in
//! a `COSE_Sign1` that brings the certificates of its signer.

use super::{ENTITIES_MAX, Entity, Judge, PublishedList, Service, TrustListError, certificates};
use crate::{
    protocol::{
        cbor::{self, Item, Map},
        cose::Sign1,
    },
    time::UnixTime,
};

/// The media types to ask for.
pub const MEDIA_TYPE: &str = "application/cbor, application/octet-stream, */*;q=0.1";

/// What the certificate of a VICAL's signer is for (C.1.7.2).
const SIGNER: &str = "1.0.18013.5.1.8";

/// How long a list is good that does not say so, in seconds: 90 days.
const VALIDITY_S: u64 = 90 * 24 * 3600;

/// Nesting of a list: its certificates' extensions are the deepest.
const DEPTH_MAX: usize = 16;
/// Items of a list: an entry has some forty.
const ITEMS_MAX: usize = 512 * 1024;

/// Reads a list. Each certificate on it is an entity of its own, whose service is to issue documents of its types.
///
/// # Errors
/// The first check that failed.
pub fn read(list: &[u8], judge: &Judge<'_>) -> Result<PublishedList, TrustListError> {
    let signed = Sign1::parse(judge.bounded(list)?, judge.limits)?;
    let chain = signed.header().x5chain.clone().ok_or(TrustListError::SignerUnknown)?;
    let signer = judge.signer(&chain)?;
    // Under the same root may be anything else; who is configured by name may do what it was configured for.
    let is_for_lists = || signer.certificate.purposes().is_some_and(|purposes| purposes.iter().any(|p| p == SIGNER));
    if !signer.is_pinned && !is_for_lists() {
        return Err(TrustListError::SignerPurpose);
    }
    let payload = signed.verify(&signer.key)?;
    let vical = cbor::read_many(&payload, DEPTH_MAX, ITEMS_MAX)?;
    let vical = vical.map().ok_or(TrustListError::Form("the list is not a map"))?;
    let version = text(vical, "version")?;
    if version != "1" && !version.starts_with("1.") {
        return Err(TrustListError::Version(version.chars().take(32).collect()));
    }
    let sequence = match vical.get("vicalIssueID") {
        None => 0,
        Some(id) => id.integer().and_then(|id| u64::try_from(id).ok()).ok_or(TrustListError::Form("vicalIssueID"))?,
    };
    let issued_at = time(vical, "date")?.ok_or(TrustListError::Form("no date"))?;
    let next_update = time(vical, "nextUpdate")?.unwrap_or(issued_at.plus_s(VALIDITY_S));
    let mut published = PublishedList {
        // A provider signs one list; it is told apart from others by the provider's name.
        list_type: Some(text(vical, "vicalProvider")?.to_owned()),
        sequence,
        issued_at,
        next_update: judge.good_until(issued_at, next_update)?,
        entities: Vec::new(),
        unreadable: 0,
    };
    let listed = vical.get("certificateInfos").and_then(Item::array);
    let listed = listed.ok_or(TrustListError::Form("certificateInfos is not an array"))?;
    if listed.len() > ENTITIES_MAX {
        return Err(TrustListError::TooMany { what: "certificates on one list", max: ENTITIES_MAX });
    }
    for one in listed {
        let one = one.map().ok_or(TrustListError::Form("an element of certificateInfos is not a map"))?;
        let types = one.get("docType").and_then(Item::array).ok_or(TrustListError::Form("docType is not an array"))?;
        let types = types.iter().map(|of_type| of_type.text().map(str::to_owned)).collect::<Option<Vec<_>>>();
        let types = types.ok_or(TrustListError::Form("docType is not an array of texts"))?;
        let der = one.get("certificate").and_then(Item::bytes).map(<[u8]>::to_vec);
        let certificates = certificates(std::iter::once(der), &mut published.unreadable)?;
        published.entities.push(Entity { services: vec![Service { types, certificates }] });
    }
    Ok(published)
}

fn text<'a>(within: &'a Map<'_>, name: &'static str) -> Result<&'a str, TrustListError> {
    within.get(name).and_then(Item::text).ok_or(TrustListError::Form(name))
}

/// A `tdate`: a text of RFC 3339 behind tag 0.
fn time(within: &Map<'_>, name: &'static str) -> Result<Option<UnixTime>, TrustListError> {
    let Some(item) = within.get(name) else { return Ok(None) };
    let at = item.tagged(0).and_then(Item::text).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    at.map(|at| Some(UnixTime::from_secs(at.as_second()))).ok_or(TrustListError::Form(name))
}

#[cfg(test)]
mod tests {
    use ciborium::Value;

    use super::*;
    use crate::{
        limits::Limits,
        protocol::{cose, jose::SigningKey, x509::Certificate},
        testing::authority::{Authority, Leaf},
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
    const DAY_S: u64 = 24 * 3600;
    const MDL: &str = "org.iso.18013.5.1.mDL";

    fn date(at: UnixTime) -> Value {
        Value::Tag(0, Box::new(at.to_string().into()))
    }

    fn info(der: &[u8], types: &[&str]) -> Value {
        cbor::object([
            ("certificate", Value::Bytes(der.to_vec())),
            ("serialNumber", Value::Tag(2, Box::new(Value::Bytes(vec![7; 20])))),
            ("ski", Value::Bytes(vec![1; 20])),
            ("docType", Value::Array(types.iter().map(|&t| t.into()).collect())),
        ])
    }

    fn vical(infos: Vec<Value>) -> Vec<(&'static str, Value)> {
        vec![
            ("version", "1.0".into()),
            ("vicalProvider", "Test".into()),
            ("date", date(NOW)),
            ("vicalIssueID", 7.into()),
            ("nextUpdate", date(NOW.plus_s(DAY_S))),
            ("certificateInfos", Value::Array(infos)),
        ]
    }

    fn signer(purpose: &[u64]) -> Leaf {
        Leaf::new("Signer", NOW).with(|p| {
            p.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Other(purpose.to_vec())];
            // As the North American list has it.
            p.key_usages = vec![rcgen::KeyUsagePurpose::ContentCommitment];
        })
    }

    /// A provider under a root, and an issuing authority.
    struct Fixture {
        provider: Authority,
        issuer: Authority,
        key: SigningKey,
        chain: Vec<Vec<u8>>,
    }

    impl Fixture {
        fn new() -> Self {
            let provider = Authority::new("Provider", NOW);
            let (key, mut chain) = provider.issue(&signer(&[1, 0, 18013, 5, 1, 8]));
            chain.push(provider.root_der().to_vec());
            Self { provider, issuer: Authority::new("IACA", NOW), key, chain }
        }

        fn signed(&self, members: &[(&str, Value)], chain: &[Vec<u8>]) -> Vec<u8> {
            let members = members.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
            let payload = cbor::encode(&Value::Map(members));
            cbor::encode(
                &cose::sign1(&self.key, coset::Header::default(), cose::x5chain(chain), &payload, true).unwrap(),
            )
        }

        fn read(&self, bytes: &[u8], root: &[u8]) -> Result<PublishedList, &'static str> {
            let limits = Limits::default();
            let signers = [Certificate::from_der(root).unwrap()];
            let judge = Judge { signers: &signers, operator: None, grace_s: 0, now: NOW, limits: &limits };
            read(bytes, &judge).map_err(|error| error.code())
        }

        fn with(&self, edit: impl Fn(&mut Vec<(&'static str, Value)>)) -> Result<PublishedList, &'static str> {
            let mut members = vical(vec![info(self.issuer.root_der(), &[MDL])]);
            edit(&mut members);
            self.read(&self.signed(&members, &self.chain), self.provider.root_der())
        }
    }

    #[test]
    fn a_list_says_which_authorities_issue_which_documents() {
        let f = Fixture::new();
        let list = f.with(|_| {}).unwrap();
        assert_eq!((list.sequence, list.issued_at, list.next_update), (7, NOW, NOW.plus_s(DAY_S)));
        assert_eq!(list.list_type.as_deref(), Some("Test"));
        assert_eq!(list.entities[0].services[0].types, [MDL]);
        assert_eq!(list.entities[0].services[0].certificates[0].der(), f.issuer.root_der());
        let without = f.with(|members| members.retain(|(name, _)| !["vicalIssueID", "nextUpdate"].contains(name)));
        let without = without.unwrap();
        assert_eq!((without.sequence, without.next_update), (0, NOW.plus_s(VALIDITY_S)));
        let bad = f.with(|members| members[5].1 = Value::Array(vec![info(b"bad", &[MDL])])).unwrap();
        assert_eq!((bad.entities[0].services[0].certificates.len(), bad.unreadable), (0, 1));
    }

    #[test]
    fn a_list_with_one_thing_wrong_is_refused() {
        let f = Fixture::new();
        for (name, value, code) in [
            ("version", Value::from("2.0"), "trust_list_version"),
            ("version", 1.into(), "trust_list_malformed"),
            ("vicalProvider", Value::Null, "trust_list_malformed"),
            ("date", "2026-11-01T00:00:00Z".into(), "trust_list_malformed"),
            ("date", date(NOW.plus_s(DAY_S)), "trust_list_from_the_future"),
            ("vicalIssueID", (-1).into(), "trust_list_malformed"),
            ("nextUpdate", date(NOW), "trust_list_expired"),
            ("nextUpdate", Value::Null, "trust_list_malformed"),
            ("certificateInfos", Value::Null, "trust_list_malformed"),
            ("certificateInfos", Value::Array(vec![Value::Null]), "trust_list_malformed"),
            ("certificateInfos", Value::Array(vec![cbor::object([("docType", Value::Null)])]), "trust_list_malformed"),
            ("certificateInfos", Value::Array(vec![cbor::object::<0>([]); ENTITIES_MAX + 1]), "trust_list_too_many"),
        ] {
            let refused = f.with(|members| members.iter_mut().find(|m| m.0 == name).unwrap().1 = value.clone());
            assert_eq!(refused.unwrap_err(), code, "{name}: {value:?}");
        }
        let root = f.provider.root_der();
        assert_eq!(f.read(&vec![0; 5 * 1024 * 1024], root).unwrap_err(), "trust_list_too_large");
        assert!(f.read(b"", root).is_err() && f.read(b"{}", root).is_err());
        let whole = f.signed(&vical(Vec::new()), &f.chain);
        assert!(f.read(&whole, root).is_ok());
        for at in 0..whole.len() {
            assert!(f.read(&whole[..at], root).is_err(), "cut off at {at}");
        }
    }

    #[test]
    fn a_list_is_signed_by_a_certificate_made_for_it() {
        let f = Fixture::new();
        let members = vical(Vec::new());
        let under = |chain: &[Vec<u8>], root: &[u8]| f.read(&f.signed(&members, chain), root).map(|_| ());
        let root = f.provider.root_der();
        assert_eq!(under(&f.chain, root), Ok(()));
        assert_eq!(under(&f.chain[..1], root), Ok(()));
        assert_eq!(under(&f.chain, &f.chain[0]), Ok(()), "pinned itself");
        assert_eq!(under(&f.chain, Authority::new("Provider", NOW).root_der()), Err("certificate_key_identifier"));
        let key = f.key.public_key();
        let reader = f.provider.certify(&signer(&[1, 0, 18013, 5, 1, 6]), key);
        assert_eq!(under(&reader, root), Err("trust_list_signer_purpose"));
        let any = f.provider.certify(&Leaf::new("Signer", NOW), key);
        assert_eq!(under(&any, root), Err("trust_list_signer_purpose"));
        let (_, other) = f.provider.issue(&signer(&[1, 0, 18013, 5, 1, 8]));
        assert_eq!(under(&other, root), Err("cose_signature"));
    }
}
