//! A document of OpenAPI, as far as a request is to be found in it.

use http::Method;
use serde_json::Value;

/// An operation by its name.
pub type OperationId = String;

/// A document, and where its operations are.
pub struct Document {
    /// What it is called below `openapi/`.
    #[allow(dead_code, reason = "it is for whoever reads the file")]
    pub name: &'static str,
    /// The path of its server.
    #[allow(dead_code, reason = "it is for whoever reads the file")]
    pub base: String,
    operations: Vec<Operation>,
}

/// An operation.
pub struct Operation {
    pub id: OperationId,
    method: Method,
    /// The type of what it takes, if it takes something.
    #[allow(dead_code, reason = "it is for whoever measures what a body costs")]
    pub takes: Option<String>,
    /// Its path from the root of the origin.
    parts: Vec<String>,
}

impl Document {
    pub fn read(name: &'static str, text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap();
        let base = value["servers"][0]["url"].as_str().unwrap().to_owned();
        let mut operations = Vec::new();
        for (path, item) in value["paths"].as_object().unwrap() {
            let server = item["servers"][0]["url"].as_str().unwrap_or(&base).trim_end_matches('/');
            let path = format!("{server}{path}");
            for (method, operation) in item.as_object().unwrap().iter().filter(|(name, _)| *name != "servers") {
                let content = operation["requestBody"]["content"].as_object();
                operations.push(Operation {
                    takes: content.and_then(|content| content.keys().next().cloned()),
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase().parse().unwrap(),
                    parts: path.split('/').map(str::to_owned).collect(),
                });
            }
        }
        Self { name, base, operations }
    }

    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation of a request; what is written out goes before what is a parameter.
    pub fn operation(&self, method: &Method, path: &str) -> Option<OperationId> {
        let parts: Vec<&str> = path.split('/').collect();
        let parameters = |operation: &&Operation| operation.parts.iter().filter(|part| part.starts_with('{')).count();
        let fits = |operation: &&Operation| {
            let all = || operation.parts.iter().zip(&parts);
            operation.method == *method
                && operation.parts.len() == parts.len()
                && all().all(|(part, found)| part.starts_with('{') && !found.is_empty() || part == found)
        };
        self.operations.iter().filter(fits).min_by_key(parameters).map(|operation| operation.id.clone())
    }
}
