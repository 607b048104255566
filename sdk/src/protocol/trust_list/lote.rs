//! Lists of Trusted Entities (ETSI TS 119 602 V1.1.1), in their JSON binding: a compact JWS whose payload is the list
//! (clause 6.8, JAdES baseline B).
//!
//! Members that feed no decision (addresses, names, notices) are not looked at.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value};

use super::{
    ENTITIES_MAX, Entity, Judge, Operator, PublishedList, SERVICES_MAX, Service, Signer, TrustListError, certificates,
};
use crate::{
    limits::Limits,
    protocol::jose::{JoseError, Jws},
    time::UnixTime,
};

/// The media types to ask for.
pub const MEDIA_TYPE: &str = "application/jose, application/jwt, */*;q=0.1";

/// Members of the header that JAdES (ETSI TS 119 182-1) lists in `crit`. The time of signing is less than what the list
/// itself says of its time, which is checked; all others are read by whoever reads a JWS.
const UNDERSTOOD: [&str; 7] = ["sigT", "iat", "x5t#S256", "x5c", "alg", "typ", "cty"];

/// The version of the format that is read (clause 6.3.1).
const VERSION: u64 = 1;

/// Reads a list.
///
/// # Errors
/// The first check that failed.
pub fn read(list: &[u8], judge: &Judge<'_>) -> Result<PublishedList, TrustListError> {
    let text = std::str::from_utf8(judge.bounded(list)?).map_err(|_| JoseError::Parts { expected: 3 })?;
    let limits = Limits { jws_bytes: judge.limits.trust_list_bytes, ..judge.limits.clone() };
    let jws = Jws::parse_understanding(text.trim_ascii(), &UNDERSTOOD, &limits)?;
    let (signer, mut payload) = verified(jws, judge)?;
    // The schema has a member `LoTE` around the list; publishers leave it out.
    let whole = match payload.remove("LoTE") {
        Some(Value::Object(list)) => list,
        Some(_) => return Err(TrustListError::Form("LoTE is not an object")),
        None => payload,
    };
    let scheme = object(&whole, "ListAndSchemeInformation")?;
    if let Some(signer) = signer.filter(|signer| !signer.is_pinned) {
        is_operator(&signer, scheme, judge.operator)?;
    }
    no_critical_extension(scheme, "SchemeExtensions")?;
    let version = scheme.get("LoTEVersionIdentifier").ok_or(TrustListError::Form("no LoTEVersionIdentifier"))?;
    if version.as_u64() != Some(VERSION) {
        return Err(TrustListError::Version(version.to_string().chars().take(32).collect()));
    }
    let sequence = scheme.get("LoTESequenceNumber").and_then(Value::as_u64);
    let sequence = sequence.ok_or(TrustListError::Form("LoTESequenceNumber is not a number from 0 on"))?;
    let issued_at = time(scheme, "ListIssueDateTime")?.ok_or(TrustListError::Form("no ListIssueDateTime"))?;
    let next_update = scheme.get("NextUpdate").ok_or(TrustListError::Form("no NextUpdate"))?;
    // Clause 6.3.15: null on a list that ends here. It is taken, so that an earlier one is not believed any longer.
    let is_closed = next_update.is_null();
    let next_update = if is_closed {
        issued_at.plus_s(super::VALIDITY_MAX_S)
    } else {
        time(scheme, "NextUpdate")?.ok_or(TrustListError::Form("no NextUpdate"))?
    };
    let mut published = PublishedList {
        list_type: text_of(scheme, "LoTEType")?.map(str::to_owned),
        sequence,
        issued_at,
        next_update: judge.good_until(issued_at, next_update)?,
        entities: Vec::new(),
        unreadable: 0,
    };
    let has_entities = !is_closed && whole.contains_key("TrustedEntitiesList");
    let entities = if has_entities { array(&whole, "TrustedEntitiesList")? } else { &[] };
    if entities.len() > ENTITIES_MAX {
        return Err(TrustListError::TooMany { what: "entities on one list", max: ENTITIES_MAX });
    }
    for listed in entities {
        let listed = listed.as_object().ok_or(TrustListError::Form("an entity is not an object"))?;
        published.entities.push(entity(listed, judge.now, &mut published.unreadable)?);
    }
    Ok(published)
}

/// Clause 6.8: the signature holds under a certificate that the header carries and the configuration believes, or under
/// one that is configured itself.
fn verified(jws: Jws<'_>, judge: &Judge<'_>) -> Result<(Option<Signer>, Map<String, Value>), TrustListError> {
    if let Some(chain) = jws.header().x5c.clone() {
        let signer = judge.signer(&chain)?;
        let payload = jws.verify(&signer.key, &[Jws::ANY_TYPE])?;
        return Ok((Some(signer), payload));
    }
    let fits = judge.signers.iter().filter(|certificate| !certificate.is_authority()).find_map(|certificate| {
        let signer = judge.signer(&[certificate.der().to_vec()]).ok()?;
        jws.clone().verify(&signer.key, &[Jws::ANY_TYPE]).ok()
    });
    fits.map(|payload| (None, payload)).ok_or(TrustListError::SignerUnknown)
}

/// Clause 6.8: the certificate names the operator and the territory of the scheme. Who that is does the merchant say: an
/// authority certifies others too, and any of them could write its own name into the list.
fn is_operator(
    signer: &Signer,
    scheme: &Map<String, Value>,
    operator: Option<&Operator>,
) -> Result<(), TrustListError> {
    let Operator { organization, country } = operator.ok_or(TrustListError::SignerName)?;
    let mut names = array(scheme, "SchemeOperatorName")?.iter().filter_map(|name| name.get("value")?.as_str());
    let fits = names.any(|name| name == organization)
        && text_of(scheme, "SchemeTerritory")?.is_none_or(|territory| territory == country)
        && signer.certificate.has_organization(organization)
        && signer.certificate.has_country(country);
    if fits { Ok(()) } else { Err(TrustListError::SignerName) }
}

fn entity(listed: &Map<String, Value>, now: UnixTime, unreadable: &mut usize) -> Result<Entity, TrustListError> {
    no_critical_extension(object(listed, "TrustedEntityInformation")?, "TEInformationExtensions")?;
    let services = array(listed, "TrustedEntityServices")?;
    if services.len() > SERVICES_MAX {
        return Err(TrustListError::TooMany { what: "services of one entity", max: SERVICES_MAX });
    }
    let mut entity = Entity::default();
    for service in services {
        let service = service.as_object().ok_or(TrustListError::Form("a service is not an object"))?;
        let information = object(service, "ServiceInformation")?;
        no_critical_extension(information, "ServiceInformationExtensions")?;
        if !is_current(information, now)? {
            continue;
        }
        let Some(of_type) = text_of(information, "ServiceTypeIdentifier")? else { continue };
        let identity = object(information, "ServiceDigitalIdentity")?;
        // Who is named by keys or names alone is not believed: credentials bring certificates.
        let listed = if identity.contains_key("X509Certificates") { array(identity, "X509Certificates")? } else { &[] };
        let ders = listed.iter().map(|one| BASE64_STANDARD.decode(one.get("val")?.as_str()?).ok());
        let certificates = certificates(ders, unreadable)?;
        entity.services.push(Service { types: vec![of_type.to_owned()], certificates });
    }
    Ok(entity)
}

/// Whether a service is in force (clause 6.6.4): where the scheme gives it a status, only `notified` is.
fn is_current(information: &Map<String, Value>, now: UnixTime) -> Result<bool, TrustListError> {
    let holds = match text_of(information, "ServiceStatus")? {
        Some(status) => status.rsplit('/').next() == Some("notified"),
        None => true,
    };
    let begins_at = time(information, "StatusStartingTime")?;
    Ok(holds && begins_at.is_none_or(|at| at <= now.plus_s(super::CLOCK_SKEW_S)))
}

/// Clauses 6.3.17 and 6.6.9: who does not understand a critical extension does not use the list. The form of extensions
/// is left open, so that whatever calls itself critical is.
fn no_critical_extension(within: &Map<String, Value>, name: &'static str) -> Result<(), TrustListError> {
    let critical = |extension: &Value| ["critical", "Critical"].iter().any(|c| extension.get(c) == Some(&true.into()));
    match within.get(name).and_then(Value::as_array) {
        Some(extensions) if extensions.iter().any(critical) => Err(TrustListError::CriticalExtension),
        _ => Ok(()),
    }
}

/// Clause 6.1.3: a date and time in UTC.
fn time(within: &Map<String, Value>, name: &'static str) -> Result<Option<UnixTime>, TrustListError> {
    match within.get(name) {
        None => Ok(None),
        Some(value) => {
            let at = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
            at.map(|at| Some(UnixTime::from_secs(at.as_second()))).ok_or(TrustListError::Form(name))
        }
    }
}

fn object<'a>(within: &'a Map<String, Value>, name: &'static str) -> Result<&'a Map<String, Value>, TrustListError> {
    within.get(name).and_then(Value::as_object).ok_or(TrustListError::Form(name))
}

fn array<'a>(within: &'a Map<String, Value>, name: &'static str) -> Result<&'a [Value], TrustListError> {
    within.get(name).and_then(Value::as_array).map(Vec::as_slice).ok_or(TrustListError::Form(name))
}

fn text_of<'a>(within: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, TrustListError> {
    match within.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(TrustListError::Form(name)),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::DnType;
    use serde_json::json;

    use super::*;
    use crate::{
        protocol::{jose::SigningKey, x509::Certificate},
        testing::{
            authority::{Authority, Leaf},
            list::{OPERATOR, lote, signed},
        },
    };

    const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
    const DAY_S: u64 = 24 * 3600;
    const ISSUANCE: &str = "http://uri.etsi.org/19602/SvcType/PID/Issuance";

    fn operator(name: &str, country: &str) -> Leaf {
        Leaf::new("Signer", NOW).with(|p| {
            p.distinguished_name.push(DnType::OrganizationName, name);
            p.distinguished_name.push(DnType::CountryName, country);
        })
    }

    fn at(list: &str, signers: &[Certificate], now: UnixTime, grace_s: u64) -> Result<PublishedList, &'static str> {
        let limits = Limits::default();
        let operator = Operator { organization: OPERATOR.0.to_owned(), country: OPERATOR.1.to_owned() };
        let judge = Judge { signers, operator: Some(&operator), grace_s, now, limits: &limits };
        read(list.as_bytes(), &judge).map_err(|error| error.code())
    }

    /// A list, its signer pinned.
    struct Fixture {
        key: SigningKey,
        chain: Vec<Vec<u8>>,
        pin: Vec<Certificate>,
        root: Authority,
    }

    impl Fixture {
        fn new() -> Self {
            let (key, chain) = Authority::new("Any CA", NOW).issue(&Leaf::new("Signer", NOW));
            let pin = vec![Certificate::from_der(&chain[0]).unwrap()];
            Self { key, chain, pin, root: Authority::new("DE", NOW) }
        }

        fn list(&self) -> Value {
            lote(7, NOW, &[(ISSUANCE, self.root.root_der())])
        }

        fn read(&self, list: &Value) -> Result<PublishedList, &'static str> {
            at(&signed(list, &self.key, &self.chain).unwrap(), &self.pin, NOW, 0)
        }

        fn edited(&self, edit: impl Fn(&mut Value)) -> Result<PublishedList, &'static str> {
            let mut list = self.list();
            edit(&mut list);
            self.read(&list)
        }
    }

    #[test]
    fn a_list_says_who_is_on_it_and_how_long_it_is_good() {
        let f = Fixture::new();
        for list in [f.list(), json!({"LoTE": f.list()})] {
            let list = f.read(&list).unwrap();
            assert_eq!((list.sequence, list.issued_at, list.next_update), (7, NOW, NOW.plus_s(30 * DAY_S)));
            assert!(list.list_type.unwrap().ends_with("EUPIDProvidersList"));
            let services = &list.entities[0].services;
            assert_eq!(services[0].types, [ISSUANCE]);
            assert_eq!(services[0].certificates[0].der(), f.root.root_der());
            assert_eq!(list.unreadable, 0);
        }
        // Leaves are listed too, and what is bad is left out.
        let list = f.edited(|list| {
            let listed = &mut list["TrustedEntitiesList"][0]["TrustedEntityServices"][0]["ServiceInformation"];
            let certificates = listed["ServiceDigitalIdentity"]["X509Certificates"].as_array_mut().unwrap();
            certificates.push(json!({"val": BASE64_STANDARD.encode(&f.chain[0])}));
            certificates.extend([json!({"val": "AAAA"}), json!({"val": "*"}), json!({}), json!(7)]);
        });
        let list = list.unwrap();
        assert_eq!((list.entities[0].services[0].certificates.len(), list.unreadable), (2, 4));
    }

    #[test]
    fn a_list_with_one_thing_wrong_is_refused() {
        const SCHEME: &str = "ListAndSchemeInformation";
        let f = Fixture::new();
        let scheme = |name: &str, value: Value| f.edited(|list| list[SCHEME][name] = value.clone()).map(|_| ());
        for (name, value, code) in [
            ("LoTEVersionIdentifier", json!(2), "trust_list_version"),
            ("LoTEVersionIdentifier", json!("1"), "trust_list_version"),
            ("LoTESequenceNumber", json!(-1), "trust_list_malformed"),
            ("LoTESequenceNumber", json!("7"), "trust_list_malformed"),
            ("LoTESequenceNumber", json!(true), "trust_list_malformed"),
            ("LoTEType", json!(["x"]), "trust_list_malformed"),
            ("ListIssueDateTime", json!("yesterday"), "trust_list_malformed"),
            ("ListIssueDateTime", json!(NOW.plus_s(301).to_string()), "trust_list_from_the_future"),
            ("NextUpdate", json!(NOW.to_string()), "trust_list_expired"),
            ("NextUpdate", json!(1_893_500_000), "trust_list_malformed"),
            ("SchemeExtensions", json!([{"critical": true}]), "trust_list_critical_extension"),
        ] {
            assert_eq!(scheme(name, value.clone()), Err(code), "{name}: {value}");
        }
        assert_eq!(scheme("SchemeExtensions", json!([{"critical": false}])), Ok(()));
        for name in ["LoTEVersionIdentifier", "LoTESequenceNumber", "ListIssueDateTime", "NextUpdate"] {
            let without = f.edited(|list| drop(list[SCHEME].as_object_mut().unwrap().remove(name)));
            assert_eq!(without.unwrap_err(), "trust_list_malformed", "{name}");
        }
        let entities = |value: Value| f.edited(|list| list["TrustedEntitiesList"] = value.clone()).map(|_| ());
        assert_eq!(entities(json!({})), Err("trust_list_malformed"));
        assert_eq!(entities(json!([7])), Err("trust_list_malformed"));
        assert_eq!(entities(json!([{"TrustedEntityServices": []}])), Err("trust_list_malformed"));
        let many = json!(vec![json!({"TrustedEntityInformation": {}, "TrustedEntityServices": []}); ENTITIES_MAX + 1]);
        assert_eq!(entities(many), Err("trust_list_too_many"));
        assert_eq!(f.read(&json!({"LoTE": 7})).unwrap_err(), "trust_list_malformed");
        let huge = "a".repeat(4 * 1024 * 1024 + 1);
        assert_eq!(at(&huge, &f.pin, NOW, 0).unwrap_err(), "trust_list_too_large");
        for garbage in ["", "{}", "a.b.c", "<TrustServiceStatusList/>"] {
            assert!(at(garbage, &f.pin, NOW, 0).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_list_lasts_until_its_next_update_and_the_merchants_grace_and_a_year_at_most() {
        let f = Fixture::new();
        let text = signed(&f.list(), &f.key, &f.chain).unwrap();
        let end = NOW.plus_s(30 * DAY_S);
        for (now, grace_s, expected) in [
            (end.minus_s(1), 0, Ok(end)),
            (end, 0, Err("trust_list_expired")),
            (end, 60, Ok(end)),
            (end.plus_s(60), 60, Err("trust_list_expired")),
        ] {
            assert_eq!(at(&text, &f.pin, now, grace_s).map(|list| list.next_update), expected, "{now}");
        }
        let far = f.edited(|list| list["ListAndSchemeInformation"]["NextUpdate"] = json!("2099-01-01T00:00:00Z"));
        assert_eq!(far.unwrap().next_update, NOW.plus_s(super::super::VALIDITY_MAX_S));
        let closed = f.edited(|list| list["ListAndSchemeInformation"]["NextUpdate"] = Value::Null).unwrap();
        assert!(closed.entities.is_empty());
    }

    #[test]
    fn only_services_in_force_count() {
        let f = Fixture::new();
        let with = |name: &str, value: Value| {
            let list = f.edited(|list| {
                let services = &mut list["TrustedEntitiesList"][0]["TrustedEntityServices"];
                services[0]["ServiceInformation"][name] = value.clone();
            });
            list.unwrap().entities[0].services.len()
        };
        let status = |name: &str| json!(format!("http://uri.etsi.org/19602/PubEAAProvidersList/SvcStatus/{name}"));
        assert_eq!(with("ServiceStatus", status("notified")), 1);
        assert_eq!(with("ServiceStatus", status("withdrawn")), 0);
        assert_eq!(with("ServiceStatus", status("unknown")), 0);
        assert_eq!(with("StatusStartingTime", json!(NOW.to_string())), 1);
        assert_eq!(with("StatusStartingTime", json!(NOW.plus_s(DAY_S).to_string())), 0);
        assert_eq!(with("ServiceTypeIdentifier", json!("urn:another")), 1);
    }

    #[test]
    fn a_list_is_signed_by_who_is_configured() {
        let f = Fixture::new();
        let read = |key: &SigningKey, chain: &[Vec<u8>], signers: &[Certificate]| {
            at(&signed(&f.list(), key, chain).unwrap(), signers, NOW, 0).map(|_| ())
        };
        let certificate = |der: &[u8]| Certificate::from_der(der).unwrap();
        // The certificate itself is configured: with or without it in the header.
        assert_eq!(read(&f.key, &f.chain, &f.pin), Ok(()));
        assert_eq!(read(&f.key, &[], &f.pin), Ok(()));
        let (other_key, other) = Authority::new("Any CA", NOW).issue(&Leaf::new("Signer", NOW));
        assert_eq!(read(&other_key, &other, &f.pin), Err("certificate_unknown_anchor"));
        assert_eq!(read(&other_key, &[], &f.pin), Err("trust_list_signer_unknown"));
        assert_eq!(read(&other_key, &f.chain, &f.pin), Err("jose_signature"));

        // An authority is configured: then the certificate names the operator, or anybody else below it could sign.
        let ca = Authority::new("CA", NOW);
        let anchors = [certificate(ca.root_der())];
        let below = |leaf: &Leaf| {
            let (key, mut chain) = ca.issue(leaf);
            let alone = read(&key, &chain, &anchors);
            chain.push(ca.root_der().to_vec());
            assert_eq!(read(&key, &chain, &anchors), alone, "publishers send the root along");
            assert_eq!(read(&key, &[], &anchors), Err("trust_list_signer_unknown"));
            alone
        };
        assert_eq!(below(&operator(OPERATOR.0, OPERATOR.1)), Ok(()));
        assert_eq!(below(&operator("Somebody Else", OPERATOR.1)), Err("trust_list_signer_name"));
        assert_eq!(below(&operator(OPERATOR.0, "XX")), Err("trust_list_signer_name"));
        assert_eq!(below(&Leaf::new(OPERATOR.0, NOW)), Err("trust_list_signer_name"));
        // Whom it certifies too may not make a list of their own by writing their own name into it.
        let (key, chain) = ca.issue(&operator("Somebody Else", OPERATOR.1));
        let mut list = f.list();
        list["ListAndSchemeInformation"]["SchemeOperatorName"] = json!([{"lang": "en", "value": "Somebody Else"}]);
        let theirs = at(&signed(&list, &key, &chain).unwrap(), &anchors, NOW, 0).map(|_| ());
        assert_eq!(theirs, Err("trust_list_signer_name"));
        let old = operator(OPERATOR.0, OPERATOR.1).valid(NOW.minus_s(DAY_S), NOW.minus_s(1));
        assert_eq!(below(&old), Err("certificate_expired"));
        // Nobody is configured by being sent.
        let (key, chain) = ca.issue(&operator(OPERATOR.0, OPERATOR.1));
        assert_eq!(read(&key, &[chain[0].clone(), ca.root_der().to_vec()], &f.pin), Err("certificate_unknown_anchor"));
    }

    #[test]
    fn critical_members_of_the_header_are_those_of_jades() {
        let f = Fixture::new();
        let with = |members: Value| {
            let mut header = members.as_object().cloned().unwrap();
            header.insert("x5c".to_owned(), json!([BASE64_STANDARD.encode(&f.chain[0])]));
            at(&f.key.sign_jws(&header, &f.list()).unwrap(), &f.pin, NOW, 0).map(|_| ())
        };
        assert_eq!(with(json!({"sigT": "2026-11-01T00:00:00Z", "crit": ["sigT"], "cty": "json"})), Ok(()));
        for wrong in [
            json!({"crit": ["sigT"]}),
            json!({"crit": []}),
            json!({"crit": "sigT", "sigT": "x"}),
            json!({"crit": ["sigD"], "sigD": {}}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"b64": true}),
        ] {
            assert!(with(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
