//! Paths that hold, and the same with one thing wrong.

use rcgen::{
    BasicConstraints as Constraints, CustomExtension, DnType, DnValue, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose,
    NameConstraints as Names, SanType, SignatureAlgorithm,
};

use super::*;
use crate::testing::authority::{Authority, Leaf};

const NOW: UnixTime = UnixTime::from_secs(1_793_500_000);
const HOUR_S: u64 = 3600;

fn leaf() -> Leaf {
    Leaf::new("Issuer", NOW).dns_name("issuer.example.com")
}

fn verify(chain: &[Vec<u8>], root: &Authority) -> Result<VerifiedPath, X509Error> {
    verify_at(chain, root, NOW)
}

fn verify_at(chain: &[Vec<u8>], root: &Authority, now: UnixTime) -> Result<VerifiedPath, X509Error> {
    let root = Certificate::from_der(root.root_der()).unwrap();
    verify_path(chain, &[&root], now, &Limits::default())
}

/// The code of the refusal of `chain` under `root`; "" if it holds.
fn code(chain: &[Vec<u8>], root: &Authority) -> &'static str {
    verify(chain, root).map_or_else(|error| error.code(), |_| "")
}

#[test]
fn a_path_tells_its_leaf_its_key_and_its_authorities() {
    let root = Authority::new("Root", NOW);
    let below = root.intermediate("Issuing CA", NOW);
    let (key, chain) = below.issue(&leaf().uri("https://issuer.example.com/1"));
    let path = verify(&chain, &root).unwrap();
    assert_eq!(path.key, *key.public_key());
    assert_eq!(path.leaf.dns_names(), ["issuer.example.com"]);
    assert_eq!(path.leaf.uris(), ["https://issuer.example.com/1"]);
    assert_eq!(path.leaf.subject(), "CN=Issuer");
    assert_eq!(path.anchor, 0);
    let root_id = Certificate::from_der(root.root_der()).unwrap().subject_key_id().unwrap().to_vec();
    assert_eq!(path.authority_key_ids().len(), 2);
    assert_eq!(path.authority_key_ids()[1], jose::base64url_encode(&root_id));
    assert!(path.leaf.has_dns_name("ISSUER.example.com"));
    assert!(!path.leaf.has_dns_name("example.com"));
}

#[test]
fn the_right_one_of_several_anchors_is_found() {
    let (first, second) = (Authority::new("Root", NOW), Authority::new("Root", NOW));
    let (_, chain) = second.issue(&leaf());
    let anchors = [first.root_der(), second.root_der()].map(|der| Certificate::from_der(der).unwrap());
    let path = verify_path(&chain, &[&anchors[0], &anchors[1]], NOW, &Limits::default()).unwrap();
    assert_eq!(path.anchor, 1);
    assert_eq!(code(&chain, &first), "certificate_key_identifier");
    assert_eq!(code(&chain, &Authority::new("Other", NOW)), "certificate_unknown_anchor");
    // The same name, and no identifiers that would tell the keys apart: the signature decides.
    let (_, chain) = first.issue(&leaf().with(|p| p.use_authority_key_identifier_extension = false));
    assert_eq!(code(&chain, &first), "");
    assert_eq!(code(&chain, &second), "certificate_signature");
}

#[test]
fn an_anchor_that_is_no_authority_is_believed_for_itself_alone() {
    let root = Authority::new("Root", NOW);
    let (key, chain) = root.issue(&leaf().valid(NOW, NOW.plus_s(HOUR_S)));
    let (_, other) = root.issue(&leaf());
    let pin = Certificate::from_der(&chain[0]).unwrap();
    let at = |chain: &[Vec<u8>], now| {
        verify_path(chain, &[&pin], now, &Limits::default()).map(|path| path.key).map_err(|e| e.code())
    };
    assert_eq!(at(&chain, NOW), Ok(key.public_key().clone()));
    // What comes with it is not looked at.
    assert_eq!(at(&[chain[0].clone(), root.root_der().to_vec()], NOW), Ok(key.public_key().clone()));
    assert_eq!(at(&chain, NOW.plus_s(HOUR_S + 1)), Err("certificate_expired"));
    assert_eq!(at(&other, NOW), Err("certificate_unknown_anchor"));
    assert_eq!(at(&[other[0].clone(), chain[0].clone()], NOW), Err("certificate_anchor_in_chain"));
    // It issues nothing.
    let fake = Authority::new_with("Issuer", NOW, |p| p.use_authority_key_identifier_extension = false);
    assert!(at(&fake.issue(&leaf()).1, NOW).is_err());
    let agrees = root.issue(&leaf().with(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement])).1;
    let pin = Certificate::from_der(&agrees[0]).unwrap();
    let refused = verify_path(&agrees, &[&pin], NOW, &Limits::default()).unwrap_err();
    assert_eq!(refused.code(), "certificate_key_usage");
}

/// Who names somebody else's issuer, or an authority between, takes nothing from whoever believes the root.
#[test]
fn an_authority_above_comes_first() {
    let root = Authority::new("Root", NOW);
    let (_, chain) = root.intermediate("CA", NOW).issue(&leaf());
    let anchor = |der: &[u8]| Certificate::from_der(der).unwrap();
    let all = [anchor(&chain[0]), anchor(&chain[1]), anchor(root.root_der())];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let anchors: Vec<&Certificate> = order.iter().map(|&at| &all[at]).collect();
        let path = verify_path(&chain, &anchors, NOW, &Limits::default()).unwrap();
        assert_eq!(anchors[path.anchor], &all[2]);
    }
    // Without the root, the leaf that is named is believed, and an authority between is sent along in vain.
    let path = verify_path(&chain, &[&all[1], &all[0]], NOW, &Limits::default()).unwrap();
    assert_eq!(path.anchor, 1);
    let between = verify_path(&chain, &[&all[1]], NOW, &Limits::default());
    assert_eq!(between.unwrap_err().code(), "certificate_anchor_in_chain");
    assert!(verify_path(&chain[..1], &[&all[1]], NOW, &Limits::default()).is_ok());
}

#[test]
fn a_certificate_says_what_its_key_is_for_and_whose_it_is() {
    let root = Authority::new("Root", NOW);
    let read = |leaf: &Leaf| Certificate::from_der(&root.issue(leaf).1[0]).unwrap();
    assert_eq!(read(&leaf()).purposes(), None);
    let purpose = rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 0, 18013, 5, 1, 2]);
    let named = leaf().with(|p| {
        p.extended_key_usages = vec![purpose];
        p.distinguished_name.push(DnType::OrganizationName, "Bundesdruckerei GmbH");
        p.distinguished_name.push(DnType::CountryName, "DE");
    });
    let named = read(&named);
    assert_eq!(named.purposes().unwrap(), ["1.0.18013.5.1.2"]);
    assert!(named.has_organization("Bundesdruckerei GmbH") && named.has_country("de"));
    assert!(!named.has_organization("Bundesdruckerei") && !named.has_country("FR") && !named.has_organization("DE"));
}

#[test]
fn every_certificate_must_be_valid_now_the_root_too() {
    let ends = |at: &Authority, name: &str| {
        at.intermediate_with(name, NOW, |p| p.not_after = rcgen::date_time_ymd(2026, 11, 1))
    };
    let root = Authority::new("Root", NOW);
    let (_, chain) = root.issue(&leaf().valid(NOW, NOW.plus_s(HOUR_S)));
    for (now, expected) in [
        (NOW.minus_s(1), "certificate_not_yet_valid"),
        (NOW, ""),
        (NOW.plus_s(HOUR_S), ""),
        (NOW.plus_s(HOUR_S + 1), "certificate_expired"),
    ] {
        let got = verify_at(&chain, &root, now).map_or_else(|error| error.code(), |_| "");
        assert_eq!(got, expected, "{now}");
    }
    let (_, chain) = ends(&root, "Issuing CA").issue(&leaf());
    assert!(matches!(verify(&chain, &root), Err(X509Error::Expired { position: 1, .. })));
    let old = Authority::new_with("Root", NOW, |p| p.not_after = rcgen::date_time_ymd(2026, 11, 1));
    let (_, chain) = old.issue(&leaf());
    assert!(matches!(verify(&chain, &old), Err(X509Error::Expired { position: 1, .. })));
}

#[test]
fn only_authorities_issue_and_only_others_sign() {
    let root = Authority::new("Root", NOW);
    let chain = |edit: fn(&mut rcgen::CertificateParams)| root.intermediate_with("CA", NOW, edit).issue(&leaf()).1;
    assert_eq!(code(&chain(|_| {}), &root), "");
    assert_eq!(code(&chain(|p| p.is_ca = IsCa::ExplicitNoCa), &root), "certificate_not_authority");
    assert_eq!(code(&chain(|p| p.is_ca = IsCa::NoCa), &root), "certificate_not_authority");
    assert_eq!(code(&chain(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign]), &root), "certificate_key_usage");
    let signed = |leaf: &Leaf| root.issue(leaf).1;
    assert_eq!(code(&signed(&leaf().with(|p| p.key_usages = Vec::new())), &root), "");
    let seal = leaf().with(|p| p.key_usages = vec![KeyUsagePurpose::ContentCommitment]);
    assert_eq!(code(&signed(&seal), &root), "");
    let wrong = leaf().with(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    assert_eq!(code(&signed(&wrong), &root), "certificate_key_usage");
    let authority = leaf().with(|p| p.is_ca = IsCa::Ca(Constraints::Unconstrained));
    assert_eq!(code(&signed(&authority), &root), "certificate_leaf_is_authority");
}

#[test]
fn path_lengths_hold_the_anchors_too() {
    let limited = |n| move |p: &mut rcgen::CertificateParams| p.is_ca = IsCa::Ca(Constraints::Constrained(n));
    let root = Authority::new("Root", NOW);
    let zero = root.intermediate_with("Zero", NOW, limited(0));
    assert_eq!(code(&zero.issue(&leaf()).1, &root), "");
    let (_, chain) = zero.intermediate("Below", NOW).issue(&leaf());
    assert!(matches!(verify(&chain, &root), Err(X509Error::PathLength { position: 2, allowed: 0, found: 1 })));
    // A self-issued authority does not count.
    assert_eq!(code(&zero.intermediate("Zero", NOW).issue(&leaf()).1, &root), "");
    let root = Authority::new_with("Root", NOW, limited(1));
    let one = root.intermediate("One", NOW);
    assert_eq!(code(&one.issue(&leaf()).1, &root), "");
    assert_eq!(code(&one.intermediate("Two", NOW).issue(&leaf()).1, &root), "certificate_path_length");
}

#[test]
fn the_order_is_the_senders_and_the_root_stays_out() {
    let root = Authority::new("Root", NOW);
    let (_, chain) = root.intermediate("CA", NOW).issue(&leaf());
    let [first, second] = [chain[0].clone(), chain[1].clone()];
    assert_eq!(code(&[second.clone(), first.clone()], &root), "certificate_chain_order");
    assert_eq!(code(&[first.clone(), first.clone(), second.clone()], &root), "certificate_chain_order");
    assert_eq!(code(std::slice::from_ref(&first), &root), "certificate_unknown_anchor");
    assert_eq!(code(&[first.clone(), second, root.root_der().to_vec()], &root), "certificate_anchor_in_chain");
    assert_eq!(code(&[root.root_der().to_vec()], &root), "certificate_self_signed");
    assert_eq!(code(&[], &root), "certificate_chain_empty");
    assert_eq!(code(&vec![first; 9], &root), "certificate_chain_too_long");
}

/// Two authorities that certify each other lead nowhere, however often they are sent.
#[test]
fn a_chain_that_goes_round_in_circles_is_refused() {
    let plain = |p: &mut rcgen::CertificateParams| p.use_authority_key_identifier_extension = false;
    let one = Authority::new_with("One", NOW, plain);
    let two = one.intermediate_with("Two", NOW, plain);
    let again = two.intermediate_with("One", NOW, plain);
    let (_, chain) = again.issue(&leaf().with(plain));
    assert_eq!(code(&chain, &one), "", "one round is a path");
    let root = Authority::new("Root", NOW);
    assert_eq!(code(&chain, &root), "certificate_unknown_anchor");
    let [end, again, two] = [0, 1, 2].map(|at| chain[at].clone());
    let rounds = |n: usize| [vec![end.clone()], vec![[again.clone(), two.clone()]; n].concat()].concat();
    assert_eq!(code(&rounds(3), &root), "certificate_unknown_anchor");
    assert_eq!(code(&rounds(3), &one), "certificate_signature");
    assert_eq!(code(&rounds(4), &one), "certificate_chain_too_long");
}

#[test]
fn critical_extensions_that_are_not_understood_refuse() {
    let root = Authority::new("Root", NOW);
    let extended = |critical: bool| {
        leaf().with(|p| {
            let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
            extension.set_criticality(critical);
            p.custom_extensions.push(extension);
        })
    };
    assert_eq!(code(&root.issue(&extended(false)).1, &root), "");
    assert_eq!(code(&root.issue(&extended(true)).1, &root), "certificate_critical_extension");
    let twice = leaf().with(|p| {
        p.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![3, 2, 7, 128])];
    });
    assert_eq!(code(&root.issue(&twice).1, &root), "certificate_duplicate_extension");
    let policies = leaf().with(|p| {
        // requireExplicitPolicy 0
        let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 36], vec![0x30, 3, 0x80, 1, 0]);
        extension.set_criticality(true);
        p.custom_extensions = vec![extension];
    });
    assert_eq!(code(&root.issue(&policies).1, &root), "certificate_critical_extension");
}

#[test]
fn damaged_certificates_are_refused() {
    let root = Authority::new("Root", NOW);
    let (_, chain) = root.issue(&leaf());
    let der = &chain[0];
    let changed = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut der = der.clone();
        edit(&mut der);
        code(&[der], &root)
    };
    assert_eq!(changed(&|_| {}), "");
    assert_eq!(changed(&|der| der.push(0)), "certificate_malformed");
    assert_eq!(changed(&|der| der.truncate(der.len() - 1)), "certificate_malformed");
    assert_eq!(changed(&|der| *der.last_mut().unwrap() ^= 1), "certificate_signature");
    let oid = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let outer = |der: &[u8]| der.windows(oid.len()).rposition(|window| window == oid).unwrap() + oid.len() - 1;
    assert_eq!(
        changed(&|der| {
            let at = outer(der);
            der[at] = 3;
        }),
        "certificate_algorithm_mismatch"
    );
    let version = |der: &[u8]| der.windows(5).position(|window| window == [0xa0, 3, 2, 1, 2]).unwrap() + 4;
    assert_eq!(
        changed(&|der| {
            let at = version(der);
            der[at] = 1;
        }),
        "certificate_version"
    );
    assert_eq!(code(&[vec![0x30; CERTIFICATE_BYTES_MAX + 1]], &root), "certificate_too_large");
    // Whatever one byte is changed to, the path does not hold.
    for at in 0..der.len() {
        assert_ne!(changed(&|der| der[at] ^= 0x55), "", "byte {at}");
    }
}

#[test]
fn each_accepted_algorithm_signs_certificates() {
    let issued = |algorithm: &'static SignatureAlgorithm| {
        let root = Authority::new_with_key("Root", NOW, KeyPair::generate_for(algorithm).unwrap());
        let (_, mut chain) = root.issue(&leaf());
        let good = code(&chain, &root);
        *chain[0].last_mut().unwrap() ^= 1;
        (good, code(&chain, &root))
    };
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
        &rcgen::PKCS_RSA_SHA384,
        &rcgen::PKCS_RSA_SHA512,
    ] {
        assert_eq!(issued(algorithm), ("", "certificate_signature"), "{algorithm:?}");
    }
}

/// A leaf with these names under an authority with these constraints.
fn constrained(permitted: &[GeneralSubtree], excluded: &[GeneralSubtree], leaf: &Leaf) -> &'static str {
    let names = Names { permitted_subtrees: permitted.to_vec(), excluded_subtrees: excluded.to_vec() };
    let root = Authority::new("Root", NOW);
    let authority = root.intermediate_with("CA", NOW, |p| p.name_constraints = Some(names.clone()));
    let below = code(&authority.issue(leaf).1, &root);
    let further = code(&authority.intermediate("Below", NOW).issue(leaf).1, &root);
    // Whatever the authority below it is called, unless that is what is constrained.
    let directory = |subtree: &GeneralSubtree| matches!(subtree, GeneralSubtree::DirectoryName(_));
    if !permitted.iter().chain(excluded).any(directory) {
        assert_eq!(below, further, "constraints reach through authorities");
    }
    let root = Authority::new_with("Root", NOW, |p| p.name_constraints = Some(names));
    assert_eq!(below, code(&root.issue(leaf).1, &root), "an anchor's constraints count");
    below
}

#[test]
fn host_names_stay_inside_of_their_constraints() {
    const REFUSED: &str = "certificate_name_constraint";
    let dns = |name: &str| [GeneralSubtree::DnsName(name.to_owned())];
    let named = |name: &str| Leaf::new("Issuer", NOW).dns_name(name);
    for (base, name, permitted) in [
        ("example.com", "example.com", true),
        ("example.com", "Issuer.EXAMPLE.com", true),
        ("example.com", "a.b.example.com", true),
        (".example.com", "issuer.example.com", true),
        (".example.com", "example.com", false),
        ("example.com", "badexample.com", false),
        ("example.com", "example.com.evil.example", false),
        ("example.com", "com", false),
    ] {
        assert_eq!(constrained(&dns(base), &[], &named(name)), if permitted { "" } else { REFUSED }, "{base} {name}");
        assert_eq!(constrained(&[], &dns(base), &named(name)), if permitted { REFUSED } else { "" }, "{base} {name}");
    }
    // One name outside is enough, and a leaf without such a name is not constrained.
    assert_eq!(constrained(&dns("example.com"), &[], &named("example.com").dns_name("evil.example")), REFUSED);
    assert_eq!(constrained(&dns("example.com"), &[], &Leaf::new("evil.example", NOW)), "");
}

#[test]
fn other_names_stay_inside_of_their_constraints() {
    const REFUSED: &str = "certificate_name_constraint";
    let directory = |common_name: DnValue| {
        let mut name = rcgen::DistinguishedName::new();
        name.push(DnType::CommonName, common_name);
        [GeneralSubtree::DirectoryName(name)]
    };
    let named = Leaf::new("Issuer", NOW);
    assert_eq!(constrained(&directory("Issuer".into()), &[], &named), "");
    assert_eq!(constrained(&directory("Other".into()), &[], &named), REFUSED);
    assert_eq!(constrained(&[], &directory("Other".into()), &named), "");
    // Another spelling is the same name (RFC 5280 7.1).
    let printable = || DnValue::PrintableString("ISSUER".try_into().unwrap());
    assert_eq!(constrained(&[], &directory(printable()), &named), REFUSED);

    let mail = [GeneralSubtree::Rfc822Name("example.com".to_owned())];
    let mailed = |address: &str| {
        let san = SanType::Rfc822Name(address.try_into().unwrap());
        Leaf::new("Issuer", NOW).with(|p| p.subject_alt_names.push(san))
    };
    assert_eq!(constrained(&mail, &[], &mailed("a@example.com")), "");
    assert_eq!(constrained(&mail, &[], &mailed("a@sub.example.com")), REFUSED);
    assert_eq!(constrained(&[], &mail, &mailed("a@EXAMPLE.com")), REFUSED);

    let network = [GeneralSubtree::IpAddress(rcgen::CidrSubnet::from_v4_prefix([192, 0, 2, 0], 24))];
    let at = |address: [u8; 4]| {
        Leaf::new("Issuer", NOW).with(|p| p.subject_alt_names.push(SanType::IpAddress(address.into())))
    };
    assert_eq!(constrained(&network, &[], &at([192, 0, 2, 7])), "");
    assert_eq!(constrained(&network, &[], &at([192, 0, 3, 7])), REFUSED);
    assert_eq!(constrained(&[], &network, &at([192, 0, 2, 7])), REFUSED);
}

/// rcgen writes no constraints on URIs.
#[test]
fn uris_stay_inside_of_their_constraints() {
    let constrained = |base: &str, uri: &str| {
        let base = base.as_bytes();
        let n = u8::try_from(base.len()).unwrap();
        let value = [&[0x30, n + 6, 0xa0, n + 4, 0x30, n + 2, 0x86, n], base].concat();
        let root = Authority::new("Root", NOW);
        let authority = root.intermediate_with("CA", NOW, |p| {
            let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], value);
            extension.set_criticality(true);
            p.custom_extensions.push(extension);
        });
        code(&authority.issue(&Leaf::new("Issuer", NOW).uri(uri)).1, &root).is_empty()
    };
    assert!(constrained("issuer.example.com", "https://issuer.example.com/pid"));
    assert!(constrained(".example.com", "https://user@issuer.example.com:8443/pid"));
    assert!(!constrained("example.com", "https://issuer.example.com/pid"));
    assert!(!constrained(".example.com", "https://evil.example/issuer.example.com"));
    assert!(!constrained(".example.com", "https://evil.example#@issuer.example.com"));
    assert!(!constrained(".example.com", "urn:example.com"));
    assert!(!constrained(".example.com", "https://192.0.2.1/"));
    assert!(!constrained(".example.com", "https://[2001:db8::1]/"));
}

/// A form that nobody understands here is refused where it is constrained, and only there.
#[test]
fn a_constrained_form_that_is_not_understood_refuses() {
    let root = Authority::new("Root", NOW);
    // permitted: registeredID 1.2.3
    let value = vec![0x30, 8, 0xa0, 6, 0x30, 4, 0x88, 2, 0x2a, 3];
    let authority = root.intermediate_with("CA", NOW, |p| {
        p.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 30], value));
    });
    assert_eq!(code(&authority.issue(&leaf()).1, &root), "");
    let registered = CustomExtension::from_oid_content(&[2, 5, 29, 17], vec![0x30, 4, 0x88, 2, 0x2a, 3]);
    let leaf = Leaf::new("Issuer", NOW).with(|p| p.custom_extensions.push(registered));
    assert_eq!(code(&authority.issue(&leaf).1, &root), "certificate_name_constraint");
    assert_eq!(code(&root.issue(&leaf).1, &root), "");
}

#[test]
fn pem_texts_are_read_whole_or_refused() {
    let (a, b) = (Authority::new("A", NOW).root_pem(), Authority::new("B", NOW).root_pem());
    let both = Certificate::from_pem(&format!("first\n{a}\nsecond\r\n{}", b.replace('\n', "\r\n"))).unwrap();
    assert_eq!(both.iter().map(Certificate::subject).collect::<Vec<_>>(), ["CN=A", "CN=B"]);
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    for text in ["", "no blocks", &a[..a.len() - 8], &format!("{a}{key}"), &a.replace('M', "*"), "-----BEGIN "] {
        assert!(Certificate::from_pem(text).is_err(), "{text}");
    }
}

#[test]
fn debug_and_names_hold_nothing_that_breaks_a_log() {
    let root = Authority::new("Root\nINFO forged", NOW);
    let certificate = Certificate::from_der(root.root_der()).unwrap();
    assert!(!certificate.subject().contains('\n'));
    assert!(!format!("{certificate:?}").contains('\n'));
}
