//! JSON-LD, as far as a signature needs it: which statements a document makes, by contexts that are compiled in.
//!
//! This is the only file that reads JSON-LD, and does so by `ssi`. It is given documents that were found safe, and does one thing: it turns them
//! into statements. Canonical names, hashes, signatures and times are ours.
//!
//! What a document says to whoever reads its JSON must be what was signed. So everything that JSON-LD would drop silently
//! is refused: terms without a definition, relative IRIs, keywords in disguise. As the last line of defence the values of
//! the JSON are counted, and each must be there in what was signed.

use std::{
    collections::{HashMap, HashSet},
    fmt, mem,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task, thread,
};

use serde_json::{Map, Value};
use ssi::{
    json_ld::{self, CompactJsonLd, ContextLoader, Expandable, Id, Node, Object, syntax::Parse},
    rdf::{AnyLdEnvironment, LdEnvironment, LexicalQuad},
};

use super::{CONTEXT_V1, CONTEXT_V2, rdfc};
use crate::protocol::{jcs, json};

/// Contexts that are compiled in: those of the data models, of the proofs, and of credentials in the field.
const PINNED: [&str; 17] = [
    CONTEXT_V1,
    CONTEXT_V2,
    "https://www.w3.org/2018/credentials/examples/v1",
    "https://www.w3.org/ns/credentials/examples/v2",
    "https://w3id.org/security/v1",
    "https://w3id.org/security/v2",
    "https://w3id.org/security/data-integrity/v1",
    "https://w3id.org/security/data-integrity/v2",
    "https://w3id.org/security/multikey/v1",
    "https://w3id.org/security/suites/ed25519-2020/v1",
    "https://w3id.org/security/suites/jws-2020/v1",
    "https://w3id.org/citizenship/v1",
    "https://w3id.org/vaccination/v1",
    "https://w3id.org/traceability/v1",
    "https://w3id.org/vc/status-list/2021/v1",
    "https://w3id.org/vdl/v1",
    "https://purl.imsglobal.org/spec/ob/v3p0/context.json",
];

/// Contexts of one document. Credentials have two or three, and the largest ones cost some ten milliseconds each.
const CONTEXTS_MAX: usize = 5;
/// Objects of one document.
const OBJECTS_MAX: usize = 512;
/// Objects without an absolute `id`: each is a blank node of the graph, and what makes canonical names costly.
const ANONYMOUS_MAX: usize = 64;
/// A document as text, in bytes: with a portrait it is some 40 KiB.
const DOCUMENT_BYTES_MAX: usize = 128 * 1024;
/// A merchant's own context, in bytes.
const CONTEXT_BYTES_MAX: usize = 256 * 1024;
/// Kinds of credentials whose full types are remembered: as many as a shop's issuers have, and room.
const FULL_TYPES_MAX: usize = 256;
/// How deep a document or a context may be nested.
const DEPTH_MAX: usize = 24;
/// The stack on which a document is read, in bytes: some 200 KiB for each level, and as much again for contexts in contexts.
/// Memory is taken for what of it is used.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Why a document is not read as JSON-LD.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LdError {
    /// A context that is not pinned. None is ever fetched.
    #[error("a context is not one of those pinned: give it to the builder with its text")]
    UnknownContext,
    /// A context in another place than at the top of a credential, a presentation or a proof, or defined in place.
    #[error("contexts must be named at the top of a document, and at most {limit} of them")]
    ContextPlace {
        /// The bound.
        limit: usize,
    },
    /// A keyword of JSON-LD, which changes what the members around it mean.
    #[error("a document must not use the keywords of JSON-LD but for `@context` and in language strings")]
    Keyword,
    /// A member by the full name of its term, or by a prefix: it says the same to whoever checks the signature, and nothing
    /// to whoever reads the JSON.
    #[error("a document must name its members by the terms of its contexts")]
    FullName,
    /// Two objects with one `id` and members each: a signature does not tell which of the two says what.
    #[error("a document says things of one `id` in two places")]
    SameId,
    /// A merchant's context that gives another name to what every credential has, such as its status.
    #[error("a context must not give another name to {0}, which every credential calls so")]
    Alias(String),
    /// A blank node with a label: with them a small document can keep a verifier busy for ever.
    #[error("a document must not name blank nodes")]
    BlankNode,
    /// More than is read.
    #[error("a document has more than {limit} {what}")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// Something in the document would be left out of what was signed: a term without definition, a relative IRI.
    #[error("the document says something that its contexts do not define, so that no signature speaks for it")]
    Undefined,
    /// The graph cannot be canonicalised.
    #[error(transparent)]
    Graph(#[from] rdfc::RdfcError),
}

impl LdError {
    /// A stable name for logs and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownContext => "ld_unknown_context",
            Self::ContextPlace { .. } => "ld_context_place",
            Self::Keyword => "ld_keyword",
            Self::FullName => "ld_full_name",
            Self::SameId => "ld_same_id",
            Self::Alias(_) => "ld_context_alias",
            Self::BlankNode => "ld_blank_node",
            Self::TooLarge { .. } => "ld_too_large",
            Self::Undefined => "ld_undefined",
            Self::Graph(error) => error.code(),
        }
    }
}

/// The contexts that documents may name: those compiled in, and a merchant's own. None is ever fetched.
#[derive(Clone)]
pub struct Contexts {
    own: Arc<HashMap<String, String>>,
    loader: ContextLoader,
    /// The full names of the types that were asked for. Clones share them.
    full_types: Arc<Mutex<FullTypes>>,
}

/// Contexts and types as a credential has them, and what the types are called in full.
type FullTypes = HashMap<(Vec<String>, Vec<String>), Option<Vec<String>>>;

impl Contexts {
    /// Those that are compiled in.
    #[must_use]
    pub fn new() -> Self {
        Self { own: Arc::default(), loader: ContextLoader::default(), full_types: Arc::default() }
    }

    /// With one more, by its URL and its text, which from now on is what the URL stands for.
    ///
    /// # Errors
    /// [`LdError::UnknownContext`] if the text is no strict JSON object with `@context`, the URL none, or one that is
    /// compiled in; [`LdError::Alias`].
    pub fn with(self, url: &str, text: &str) -> Result<Self, LdError> {
        if text.len() > CONTEXT_BYTES_MAX {
            return Err(LdError::TooLarge { what: "bytes", limit: CONTEXT_BYTES_MAX });
        }
        let context = json::parse(text.as_bytes(), DEPTH_MAX).map_err(|_| LdError::UnknownContext)?;
        if PINNED.contains(&url) || context.get("@context").is_none() {
            return Err(LdError::UnknownContext);
        }
        no_alias(&context)?;
        let mut own = (*self.own).clone();
        own.insert(url.to_owned(), text.to_owned());
        let loader = ContextLoader::default().with_context_map_from(own.clone());
        let loader = loader.map_err(|_| LdError::UnknownContext)?;
        Ok(Self { own: Arc::new(own), loader, full_types: Arc::default() })
    }

    /// Whether a context is pinned.
    #[must_use]
    pub fn knows(&self, url: &str) -> bool {
        PINNED.contains(&url) || self.own.contains_key(url)
    }

    /// These names, each with whether it is pinned, for an operator.
    pub(crate) fn told(&self, names: &[String]) -> String {
        let told = |name: &String| format!("{name} ({})", if self.knows(name) { "pinned" } else { "not pinned" });
        names.iter().map(told).collect::<Vec<_>>().join(", ")
    }
}

impl Default for Contexts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts").field("own", &self.own.keys().collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

/// The statements that a document makes.
///
/// # Errors
/// [`LdError`] if it is too large, unsafe, or says something that would be left out.
pub fn quads(document: &Map<String, Value>, contexts: &Contexts) -> Result<Vec<rdfc::Quad>, LdError> {
    expand(document, contexts, |mut environment, expanded| {
        environment.quads_of(&expanded).ok()?.into_iter().map(quad).collect()
    })
}

/// What the types of a document are called in full, in their order, by its own contexts; none if these are not pinned or
/// do not define them.
///
/// An issuer's credentials all have the same contexts and types, so the answer is remembered: to find it costs more than
/// to verify a signature.
#[must_use]
pub fn full_types(context: &[String], types: &[String], contexts: &Contexts) -> Option<Vec<String>> {
    let key = (context.to_vec(), types.to_vec());
    let lock = || contexts.full_types.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lock().get(&key) {
        return known.clone();
    }
    let found = expand_types(context, types, contexts);
    let mut known = lock();
    if known.len() >= FULL_TYPES_MAX {
        known.clear();
    }
    known.insert(key, found.clone());
    found
}

fn expand_types(context: &[String], types: &[String], contexts: &Contexts) -> Option<Vec<String>> {
    let members = [("@context", Value::from(context.to_vec())), ("type", Value::from(types.to_vec()))];
    let document = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let names = |_, expanded: json_ld::ExpandedDocument| {
        let node = expanded.objects().first()?.as_node()?;
        node.types.as_ref()?.iter().map(|id| Some(id.as_iri()?.as_str().to_owned())).collect()
    };
    expand(&document, contexts, names).ok()
}

/// Checks that the contexts of a document are pinned, and that nothing in it means something else than it seems to.
///
/// # Errors
/// [`LdError`].
pub fn check(document: &Map<String, Value>, contexts: &Contexts) -> Result<(), LdError> {
    let mut guard = Guard { contexts, objects: 0, anonymous: 0, described: HashSet::new() };
    guard.document(document, DEPTH_MAX)
}

/// Expands a document that is safe, and takes what is needed from that.
fn expand<T: Send>(
    document: &Map<String, Value>,
    contexts: &Contexts,
    take: impl FnOnce(LdEnvironment, json_ld::ExpandedDocument) -> Option<T> + Send,
) -> Result<T, LdError> {
    check(document, contexts)?;
    // The text is written by us: what `serde_json` writes depends on the features that others switch on.
    let document = Value::Object(document.clone());
    let text = jcs::canonicalize(&document).map_err(|_| LdError::Undefined)?;
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(LdError::TooLarge { what: "bytes", limit: DOCUMENT_BYTES_MAX });
    }
    let expanded = apart(|| {
        let (parsed, _) = json_ld::syntax::Value::parse_str(&text).ok()?;
        let mut environment = LdEnvironment::default();
        let parsed = CompactJsonLd(parsed);
        let expanded = now(parsed.expand_with(&mut environment, &contexts.loader))?.ok()?;
        let signed = expanded.objects().iter().map(|object| values(object)).sum::<Option<usize>>();
        if signed.is_none() || signed != leaves(&document) { None } else { take(environment, expanded) }
    });
    expanded.ok_or(LdError::Undefined)
}

/// Does work on a stack of its own, and waits for it. Expansion goes deep, more so unoptimised, and must not depend on how
/// much of its stack the caller has left; a panic in it ends there, and means that the document was not read.
fn apart<T: Send>(work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("json-ld".to_owned()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, work).ok()?.join().ok()?
    })
}

/// The outcome of work that never waits. Expansion is written to be able to fetch contexts; all of ours are in memory, so
/// it is ready when it is first asked, and what is not would have had to wait for somebody.
fn now<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(outcome) => Some(outcome),
        task::Poll::Pending => None,
    }
}

/// What the JSON of a credential is read for, wherever it stands: a signature over statements does not say by which name.
const READ: [&str; 10] = [
    "credentialStatus",
    "credentialSubject",
    "expirationDate",
    "holder",
    "issuanceDate",
    "issuer",
    "proof",
    "validFrom",
    "validUntil",
    "verifiableCredential",
];
/// Where the terms of [`READ`] are defined.
const CREDENTIALS: &str = "https://www.w3.org/2018/credentials";
const SECURITY: &str = "https://w3id.org/security";

/// Whether a merchant's context leaves what is read its name: whoever holds a credential may name it by any of two.
fn no_alias(context: &Value) -> Result<(), LdError> {
    let members = match context {
        Value::Array(items) => return items.iter().try_for_each(no_alias),
        Value::Object(members) => members,
        _ => return Ok(()),
    };
    for (term, definition) in members {
        let meant = match definition {
            Value::String(meant) => Some(meant.as_str()),
            other => other.get("@id").and_then(Value::as_str),
        };
        if let Some(meant) = meant {
            let is_theirs = !meant.contains("://") || meant.starts_with(CREDENTIALS) || meant.starts_with(SECURITY);
            let name = meant.rsplit(['#', '/', ':']).next().unwrap_or_default();
            let is_alias = match term.as_str() {
                "@vocab" | "@base" => meant.starts_with(CREDENTIALS) || meant.starts_with(SECURITY),
                keyword if keyword.starts_with('@') => false,
                "id" | "type" => false,
                term if meant.starts_with('@') => term != meant,
                term => is_theirs && READ.contains(&name) && term != name,
            };
            if is_alias {
                return Err(LdError::Alias(meant.to_owned()));
            }
        }
        no_alias(definition)?;
    }
    Ok(())
}

/// Walks through a document before JSON-LD does.
struct Guard<'a> {
    contexts: &'a Contexts,
    objects: usize,
    anonymous: usize,
    /// The `id`s of which something was said in this graph.
    described: HashSet<&'a str>,
}

impl<'a> Guard<'a> {
    /// A credential, a presentation, or a proof: what may name contexts, and is a graph of its own.
    fn document(&mut self, document: &'a Map<String, Value>, depth: usize) -> Result<(), LdError> {
        let around = mem::take(&mut self.described);
        self.graph(document, depth)?;
        self.described = around;
        Ok(())
    }

    fn graph(&mut self, document: &'a Map<String, Value>, depth: usize) -> Result<(), LdError> {
        let place = LdError::ContextPlace { limit: CONTEXTS_MAX };
        let named = match document.get("@context") {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) if several.len() <= CONTEXTS_MAX => {
                let names: Option<_> = several.iter().map(Value::as_str).collect();
                names.ok_or_else(|| place.clone())?
            }
            Some(_) => return Err(place),
        };
        if !named.iter().all(|url| self.contexts.knows(url)) {
            return Err(LdError::UnknownContext);
        }
        let depth = self.object(document, depth)?;
        for (name, member) in document {
            match (name.as_str(), member) {
                ("@context", _) => {}
                ("proof" | "verifiableCredential", Value::Object(inner)) => self.document(inner, depth)?,
                ("proof" | "verifiableCredential", Value::Array(inner)) => {
                    for inner in inner {
                        match inner {
                            Value::Object(inner) => self.document(inner, depth)?,
                            other => self.value(other, depth)?,
                        }
                    }
                }
                _ => self.member(name, member, depth)?,
            }
        }
        Ok(())
    }

    fn object(&mut self, members: &'a Map<String, Value>, depth: usize) -> Result<usize, LdError> {
        self.objects += 1;
        let name = members.get("id").and_then(Value::as_str).filter(|id| id.contains(':'));
        self.anonymous += usize::from(name.is_none());
        // A graph puts together what is said of one name, so what stood in one of two objects could be moved to the other.
        if members.len() > 1 && name.is_some_and(|name| !self.described.insert(name)) {
            return Err(LdError::SameId);
        }
        if self.objects > OBJECTS_MAX {
            return Err(LdError::TooLarge { what: "objects", limit: OBJECTS_MAX });
        }
        if self.anonymous > ANONYMOUS_MAX {
            return Err(LdError::TooLarge { what: "objects without an absolute `id`", limit: ANONYMOUS_MAX });
        }
        depth.checked_sub(1).ok_or(LdError::TooLarge { what: "levels", limit: DEPTH_MAX })
    }

    fn member(&mut self, name: &str, member: &'a Value, depth: usize) -> Result<(), LdError> {
        if name.starts_with('@') {
            return Err(LdError::Keyword);
        }
        if name.starts_with("_:") {
            return Err(LdError::BlankNode);
        }
        if name.contains(':') {
            return Err(LdError::FullName);
        }
        self.value(member, depth)
    }

    fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), LdError> {
        match value {
            Value::String(text) if text.starts_with("_:") => Err(LdError::BlankNode),
            Value::Array(items) => {
                let depth = depth.checked_sub(1).ok_or(LdError::TooLarge { what: "levels", limit: DEPTH_MAX })?;
                items.iter().try_for_each(|item| self.value(item, depth))
            }
            // A text in a language (VCDM 2.0 section 11.1).
            Value::Object(text) if text.contains_key("@value") => {
                let is_text = text.iter().all(|(name, value)| {
                    matches!(name.as_str(), "@value" | "@language" | "@direction") && value.is_string()
                });
                if is_text { Ok(()) } else { Err(LdError::Keyword) }
            }
            Value::Object(members) => {
                if members.contains_key("@context") {
                    return Err(LdError::ContextPlace { limit: CONTEXTS_MAX });
                }
                let depth = self.object(members, depth)?;
                members.iter().try_for_each(|(name, member)| self.member(name, member, depth))
            }
            _ => Ok(()),
        }
    }
}

/// How many values a document has to its reader; none if an array names one of them twice, which a graph says once.
fn leaves(value: &Value) -> Option<usize> {
    match value {
        Value::Null => Some(0),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(1),
        Value::Array(items) => {
            // Two things without a name are two, however alike they are.
            let mut named = items.iter().filter(|item| item.as_object().is_none_or(|item| item.contains_key("id")));
            let mut seen = HashSet::new();
            let mut is_new = |item| jcs::canonicalize(item).is_ok_and(|text| seen.insert(text));
            if named.all(&mut is_new) { items.iter().map(leaves).sum() } else { None }
        }
        Value::Object(text) if text.contains_key("@value") => Some(1),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| *name != "@context").map(|(_, member)| leaves(member)).sum()
        }
    }
}

/// How many values an expanded object has; none if something in it is no part of a graph.
fn values(object: &Object) -> Option<usize> {
    match object {
        Object::Value(json_ld::Value::Json(json)) => Some(json_leaves(json)),
        Object::Value(json_ld::Value::Literal(json_ld::object::Literal::Null, _)) => None,
        Object::Value(_) => Some(1),
        Object::List(list) => list.iter().map(|object| values(object)).sum(),
        Object::Node(node) => node_values(node),
    }
}

fn node_values(node: &Node) -> Option<usize> {
    if node.included.is_some() || node.reverse_properties.is_some() {
        return None;
    }
    let ids = node.id.iter().chain(node.types.iter().flatten());
    let ids = ids.map(is_iri).sum::<Option<usize>>()?;
    let graph = node.graph.iter().flatten().map(|object| values(object)).sum::<Option<usize>>()?;
    let properties = node.properties.iter().map(|(name, objects)| {
        is_iri(name)?;
        objects.iter().map(|object| values(object)).sum::<Option<usize>>()
    });
    Some(ids + graph + properties.sum::<Option<usize>>()?)
}

/// One, if it is an absolute IRI.
fn is_iri(id: &Id) -> Option<usize> {
    id.as_iri().map(|_| 1)
}

fn json_leaves(json: &json_ld::syntax::Value) -> usize {
    use json_ld::syntax::Value as Json;
    match json {
        Json::Null => 0,
        Json::Boolean(_) | Json::Number(_) | Json::String(_) => 1,
        Json::Array(items) => items.iter().map(json_leaves).sum(),
        Json::Object(members) => members.iter().map(|entry| json_leaves(&entry.value)).sum(),
    }
}

/// The same statement in our own types.
fn quad(quad: LexicalQuad) -> Option<rdfc::Quad> {
    use json_ld::rdf_types::{Id, LiteralType, Term};
    let node = |id: Id| match id {
        Id::Iri(iri) => rdfc::Node::Iri(String::from(iri)),
        Id::Blank(blank) => rdfc::Node::Blank(blank.suffix().to_owned()),
    };
    let object = match quad.2 {
        Term::Id(id) => rdfc::Object::Node(node(id)),
        Term::Literal(literal) => {
            let (datatype, language) = match literal.type_ {
                LiteralType::Any(iri) => (String::from(iri), None),
                LiteralType::LangString(tag) => (RDF_LANG_STRING.to_owned(), Some(tag.to_string())),
            };
            rdfc::Object::Literal { value: literal.value, datatype, language }
        }
    };
    Some(rdfc::Quad { subject: node(quad.0), predicate: String::from(quad.1), object, graph: quad.3.map(node) })
}

/// The type of a text in a language.
const RDF_LANG_STRING: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#langString";
