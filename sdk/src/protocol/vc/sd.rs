//! `ecdsa-sd-2023`: a proof that its holder derived, over the statements that they show (Data Integrity ECDSA
//! Cryptosuites 1.0, section 3.5). The issuer signed the statements that always show together, and with a key made for
//! this credential each of the others alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    VcError,
    data_integrity::in_context,
    ld::{self, Contexts, LdError},
    rdfc::{self, Hash},
};
use crate::protocol::jose::{Algorithm, PublicKey, base64url_decode, base64url_encode};

/// What a derived proof begins with (section 3.5.7); one that the issuer made, and that shows all to everybody, ends in 0.
const DERIVED: [u8; 3] = [0xd9, 0x5d, 0x01];
/// The multicodec of a P-256 key.
const P256: [u8; 2] = [0x80, 0x24];
/// Statements of one credential that show, and blank nodes.
const ENTRIES_MAX: u64 = 1024;

/// Verifies the statements of `document` (section 3.5.9).
pub(super) fn verify(
    document: &Map<String, Value>,
    options: &Map<String, Value>,
    value: &str,
    key: &PublicKey,
    contexts: &Contexts,
) -> Result<(), VcError> {
    let derived = Derived::read(value).ok_or(VcError::ProofValue)?;
    let canonical = |members: &Map<String, Value>| {
        let quads = ld::quads(members, contexts)?;
        rdfc::canonicalize(quads, Hash::Sha256).map_err(LdError::from)
    };
    let options = canonical(&in_context(options, document))?.lines().concat();
    let graph = canonical(document)?;

    // The issuer's own names for the blank nodes, which do not tell how many more there are.
    let names: BTreeMap<&String, &String> =
        graph.labels.iter().filter_map(|(label, name)| Some((label, derived.labels.get(name)?))).collect();
    if names.len() != graph.labels.len() || names.values().collect::<BTreeSet<_>>().len() != names.len() {
        return Err(VcError::ProofValue);
    }
    let lines = graph.relabeled(|label| names.get(&label.to_owned()).map_or_else(String::new, |name| (*name).clone()));
    let (mut mandatory, mut others) = (String::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        if derived.mandatory.contains(&at) {
            mandatory.push_str(line);
        } else {
            others.push(line);
        }
    }
    if derived.mandatory.last().is_some_and(|last| *last >= lines.len()) || others.len() != derived.signatures.len() {
        return Err(VcError::ProofValue);
    }
    let signed =
        [Hash::Sha256.of(options.as_bytes()), derived.own_key.clone(), Hash::Sha256.of(mandatory.as_bytes())].concat();
    key.verify(&signed, &derived.base).map_err(|_| VcError::Proof)?;
    let own_key = derived.own_key.strip_prefix(&P256).ok_or(VcError::ProofValue)?;
    let own_key = PublicKey::from_compressed_point(Algorithm::Es256, own_key)?;
    for (line, signature) in others.iter().zip(&derived.signatures) {
        own_key.verify(line.as_bytes(), signature).map_err(|_| VcError::Proof)?;
    }
    Ok(())
}

/// The parts of a derived proof (section 3.5.7).
struct Derived {
    base: Vec<u8>,
    own_key: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    labels: BTreeMap<String, String>,
    mandatory: BTreeSet<usize>,
}

impl Derived {
    fn read(value: &str) -> Option<Self> {
        let bytes = base64url_decode(value.strip_prefix('u')?).ok()?;
        let mut reader = Reader { bytes: bytes.strip_prefix(&DERIVED)? };
        if reader.head(ARRAY)? != 5 {
            return None;
        }
        let (base, own_key) = (reader.bytes()?, reader.bytes()?);
        let mut signatures = Vec::new();
        for _ in 0..reader.entries(ARRAY)? {
            signatures.push(reader.bytes()?);
        }
        let mut labels = BTreeMap::new();
        for _ in 0..reader.entries(MAP)? {
            let name = format!("c14n{}", reader.head(UNSIGNED)?);
            let own = format!("u{}", base64url_encode(&reader.bytes()?));
            if labels.insert(name, own).is_some() {
                return None;
            }
        }
        let mut mandatory = BTreeSet::new();
        for _ in 0..reader.entries(ARRAY)? {
            mandatory.insert(usize::try_from(reader.head(UNSIGNED)?).ok()?);
        }
        reader.bytes.is_empty().then_some(Self { base, own_key, signatures, labels, mandatory })
    }
}

/// The major types of CBOR (RFC 8949 section 3.1) that a derived proof is made of.
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Reads the little CBOR that there is in a proof: definite lengths, no tags, no nesting to speak of.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    /// The number behind a major type.
    fn head(&mut self, major: u8) -> Option<u64> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        if first >> 5 != major {
            return None;
        }
        let length = match first & 0x1f {
            small @ 0..=23 => return Some(small.into()),
            24 => 1,
            25 => 2,
            26 => 4,
            _ => return None,
        };
        let (number, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn entries(&mut self, major: u8) -> Option<u64> {
        self.head(major).filter(|count| *count <= ENTRIES_MAX)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.head(BYTES)?).ok()?;
        let (bytes, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(bytes.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_proof_has_one_form() {
        let good = [0xd9, 0x5d, 0x01, 0x85, 0x41, 1, 0x41, 2, 0x81, 0x41, 3, 0xa1, 0, 0x41, 4, 0x83, 0, 1, 0x18, 40];
        let read = |bytes: &[u8]| Derived::read(&format!("u{}", base64url_encode(bytes)));
        let derived = read(&good).unwrap();
        assert_eq!(derived.signatures, [vec![3]]);
        assert_eq!(derived.mandatory, BTreeSet::from([0, 1, 40]));
        assert_eq!(derived.labels, BTreeMap::from([("c14n0".to_owned(), "uBA".to_owned())]));
        for end in 0..good.len() {
            assert!(read(&good[..end]).is_none(), "{end}");
        }
        assert!(read(&[good.as_slice(), &[0]].concat()).is_none());
        // The issuer's own proof, other lengths, an array that promises more than is read.
        for (at, byte) in [(2, 0), (3, 0x84), (3, 0x9f), (4, 0x5f), (4, 0x61), (8, 0x9b), (11, 0xa2)] {
            let mut changed = good;
            changed[at] = byte;
            assert!(read(&changed).is_none(), "{at}");
        }
        assert!(Derived::read("z2").is_none() && Derived::read("").is_none());
    }
}
