//! The OpenAPI document: what a program of another language reads about the mounted routes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
};

use serde_json::Value;

use crate::sources::{files, read, root};

/// A document: where it lies, what the crate writes, where its routes are, and its server.
struct Document {
    path: &'static str,
    written: fn() -> String,
    sources: &'static [&'static str],
    server: &'static str,
}

const DOCUMENTS: [Document; 2] = [
    Document {
        path: "openapi/openapi.json",
        written: || firsthand_axum::openapi_json("/wallet"),
        sources: &["middleware/src/routes.rs", "middleware/src/routes", "middleware/src/checkouts"],
        server: "/wallet",
    },
    Document {
        path: "openapi/merchant.json",
        written: || firsthand_axum::merchant_openapi_json("/merchant"),
        sources: &["middleware/src/back_office/api.rs", "middleware/src/back_office/api"],
        server: "/merchant/api",
    },
];

#[test]
fn the_documents_are_those_that_the_crate_writes() {
    for Document { path, written, .. } in DOCUMENTS {
        let written = written() + "\n";
        if env::var_os("FIRSTHAND_WRITE_OPENAPI").is_some() {
            fs::create_dir_all(root().join("openapi")).unwrap();
            fs::write(root().join(path), &written).unwrap();
        }
        assert!(
            read(path) == written,
            "{path} is stale: run this test with FIRSTHAND_WRITE_OPENAPI=1 and look at the difference"
        );
    }
}

#[test]
fn every_route_is_in_its_document_and_nothing_else() {
    for document in &DOCUMENTS {
        let documented = document.operations().into_keys().collect::<BTreeSet<_>>();
        let routed = document.routes();
        assert!(routed.len() > 12, "the routes are not found any more: {routed:?}");
        assert_eq!(routed, documented, "routes on the left, the document on the right");
    }
}

#[test]
fn every_operation_says_what_it_is_for_and_how_it_goes_well() {
    let mut ids = BTreeSet::new();
    for (name, operation) in DOCUMENTS.iter().flat_map(Document::operations) {
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name:?} has no operationId"));
        assert!(ids.insert(id.to_owned()), "{id} twice");
        let said = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
        assert!(said.len() > 10, "{name:?} does not say what it is for");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name:?} never goes well");
        for (status, response) in responses.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            // Wallets are refused in the words of OAuth, people by a page where one is made, everybody else by problems.
            let refusal = match operation["tags"][0].as_str() {
                Some("issuer") => "application/json",
                Some("browser") if response["content"]["text/html"].is_object() => "text/html",
                _ => "application/problem+json",
            };
            let described = &response["content"][refusal];
            assert!(described.is_object() || status == "501", "{name:?}: {status} is no {refusal}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for document in &DOCUMENTS {
        let value = document.value();
        let mut open = vec![&value];
        while let Some(found) = open.pop() {
            match found {
                Value::Object(members) => {
                    if let Some(Value::String(reference)) = members.get("$ref") {
                        let pointer = reference.strip_prefix('#').unwrap();
                        assert!(value.pointer(pointer).is_some(), "{reference} leads nowhere");
                    }
                    open.extend(members.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        assert_eq!(value["servers"][0]["url"], document.server);
    }
}

impl Document {
    fn value(&self) -> Value {
        serde_json::from_str(&(self.written)()).unwrap()
    }

    /// The operations of the document by method and path.
    fn operations(&self) -> BTreeMap<(String, String), Value> {
        let document = self.value();
        let paths = document["paths"].as_object().unwrap();
        let of = |path: &String, item: &Value| {
            let one = |(method, operation): (&String, &Value)| ((method.clone(), path.clone()), operation.clone());
            // What lies at the root of the origin names its own server.
            let methods = item.as_object().unwrap().iter().filter(|(name, _)| *name != "servers");
            methods.map(one).collect::<Vec<_>>()
        };
        paths.iter().flat_map(|(path, item)| of(path, item)).collect()
    }

    /// The routes as its sources mount them.
    fn routes(&self) -> BTreeSet<(String, String)> {
        let sources = files(self.sources, &[".rs"]);
        let mut found = BTreeSet::new();
        for call in sources.iter().flat_map(|source| source.text.split(".route(\"").skip(1)) {
            let (path, rest) = call.split_once('"').unwrap();
            let line = rest.lines().next().unwrap();
            for method in ["get", "post", "put", "patch", "delete"] {
                let handled = [", ", ").", " .", ".merge("].map(|before| format!("{before}{method}("));
                if handled.iter().any(|text| line.contains(text)) {
                    found.insert((method.to_owned(), path.to_owned()));
                }
            }
        }
        found
    }
}
