//! Topic `rdfc`: the test suite of RDFC-1.0, and graphs that another implementation canonicalised.

use std::collections::BTreeMap;

use firsthand::protocol::vc::rdfc::{self, Hash, Node, Object, Quad, RdfcError};
use firsthand_tests::{Tally, vector};

#[test]
fn the_suite_of_the_standard() {
    let mut tally = Tally::new("rdfc/rdfc10");
    for case in vector("rdfc/rdfc10_shared.json").as_array().unwrap() {
        let name = case["id"].as_str().unwrap();
        let hash = if case["hashAlgorithm"] == "SHA384" { Hash::Sha384 } else { Hash::Sha256 };
        let canonical = rdfc::canonicalize(quads(case["input"].as_str().unwrap()), hash);
        match case["type"].as_str().unwrap() {
            // A poison graph: it has to be refused, and soon.
            "rdfc:RDFC10NegativeEvalTest" => {
                let refused = matches!(canonical, Err(RdfcError::TooMuchWork { .. }));
                tally.holds(name, refused, || "accepted".to_owned());
            }
            "rdfc:RDFC10MapTest" => {
                let expected: BTreeMap<String, String> = match &case["result"] {
                    serde_json::Value::String(text) => serde_json::from_str(text).unwrap(),
                    map => serde_json::from_value(map.clone()).unwrap(),
                };
                let labels = canonical.unwrap().labels;
                tally.holds(name, labels == expected, || format!("{labels:?}"));
            }
            _ => {
                let text = canonical.unwrap().lines().concat();
                tally.holds(name, text == case["result"].as_str().unwrap(), || text.clone());
            }
        }
    }
    tally.finish(57);
}

#[test]
fn as_another_implementation_names_them() {
    let mut tally = Tally::new("rdfc/generated");
    for case in vector("rdfc/generated/own_shared.json").as_array().unwrap() {
        let canonical = rdfc::canonicalize(quads(case["input"].as_str().unwrap()), Hash::Sha256);
        let text = canonical.unwrap().lines().concat();
        tally.holds(case["name"].as_str().unwrap(), text == case["result"].as_str().unwrap(), || text.clone());
    }
    tally.finish(6);
}

/// Reads N-Quads, as much of it as the vectors use.
fn quads(text: &str) -> Vec<Quad> {
    text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(quad).collect()
}

fn quad(line: &str) -> Quad {
    let mut rest = line.trim();
    let mut terms = Vec::new();
    while !rest.starts_with('.') {
        let (term, after) = term(rest);
        terms.push(term);
        rest = after.trim_start();
    }
    let node = |object: &Object| match object {
        Object::Node(node) => node.clone(),
        literal => panic!("{line}: {literal:?}"),
    };
    let Node::Iri(predicate) = node(&terms[1]) else { panic!("{line}") };
    Quad { subject: node(&terms[0]), predicate, object: terms[2].clone(), graph: terms.get(3).map(node) }
}

fn term(text: &str) -> (Object, &str) {
    if let Some(iri) = text.strip_prefix('<') {
        let (iri, rest) = iri.split_once('>').unwrap();
        return (Object::Node(Node::Iri(unescaped(iri))), rest);
    }
    if let Some(label) = text.strip_prefix("_:") {
        let end = label.find([' ', '\t']).unwrap_or(label.len());
        return (Object::Node(Node::Blank(label[..end].to_owned())), &label[end..]);
    }
    let body = text.strip_prefix('"').unwrap();
    let mut escaped = false;
    let end = body
        .find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap();
    let (value, rest) = (unescaped(&body[..end]), &body[end + 1..]);
    if let Some(tag) = rest.strip_prefix('@') {
        let end = tag.find([' ', '\t']).unwrap();
        let datatype = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString".to_owned();
        return (Object::Literal { value, datatype, language: Some(tag[..end].to_owned()) }, &tag[end..]);
    }
    if let Some(datatype) = rest.strip_prefix("^^<") {
        let (datatype, rest) = datatype.split_once('>').unwrap();
        return (Object::Literal { value, datatype: unescaped(datatype), language: None }, rest);
    }
    let datatype = "http://www.w3.org/2001/XMLSchema#string".to_owned();
    (Object::Literal { value, datatype, language: None }, rest)
}

fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let escape = characters.next().unwrap();
        let digits = match escape {
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let hex: String = characters.by_ref().take(digits).collect();
        out.push(match escape {
            'u' | 'U' => char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap(),
            't' => '\t',
            'b' => '\u{8}',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            plain => plain,
        });
    }
    out
}
