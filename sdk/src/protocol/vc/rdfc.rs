//! RDF Dataset Canonicalization (RDFC-1.0): names for the blank nodes of a graph that do not depend on how it was
//! written, so that it can be hashed and signed.
//!
//! Some small graphs take for ever ("poison graphs", section 7.1 of the standard), and a signature can be checked only
//! after this. So the work is counted, and ends with [`RdfcError::TooMuchWork`].

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{self, SHA256, SHA384};

/// What one canonicalisation may cost: [hashed](RdfcError::TooMuchWork) bytes. Four million take some ten milliseconds;
/// a credential takes some ten thousand.
pub const WORK_MAX: usize = 4_000_000;

/// Blank nodes of one graph: each may be one step deeper into the recursion.
pub const BLANK_NODES_MAX: usize = 256;

/// The name of a string that has no other type.
const XSD_STRING: &str = "http://www.w3.org/2001/XMLSchema#string";

/// Why a graph is not canonicalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdfcError {
    /// Too many blank nodes.
    #[error("a graph has {found} blank nodes, and {limit} are read")]
    TooManyBlankNodes {
        /// How many it has.
        found: usize,
        /// The bound.
        limit: usize,
    },
    /// Its blank nodes are so much alike that to tell them apart would take too long.
    #[error("the blank nodes of a graph are too much alike to be told apart in {limit} steps")]
    TooMuchWork {
        /// The bound.
        limit: usize,
    },
}

impl RdfcError {
    /// A stable name for logs and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooManyBlankNodes { .. } => "graph_too_many_blank_nodes",
            Self::TooMuchWork { .. } => "graph_too_much_work",
        }
    }
}

/// The hash function of a canonicalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256, where nothing else is said.
    Sha256,
    /// SHA-384, with keys on P-384.
    Sha384,
}

impl Hash {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }

    fn hex(self, text: &str) -> String {
        self.of(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A node with a name of its own, or one with a name for this graph alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// An IRI.
    Iri(String),
    /// A blank node, by its label without `_:`.
    Blank(String),
}

/// What a statement says of its subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A node.
    Node(Node),
    /// A text of a type.
    Literal {
        /// The text.
        value: String,
        /// The IRI of the type.
        datatype: String,
        /// The language, of a text in one.
        language: Option<String>,
    },
}

/// A statement of a graph.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quad {
    /// Of whom.
    pub subject: Node,
    /// What: an IRI.
    pub predicate: String,
    /// The value.
    pub object: Object,
    /// The graph that it stands in, if not the default one.
    pub graph: Option<Node>,
}

/// A graph whose blank nodes have their canonical names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical {
    quads: BTreeSet<Quad>,
    /// The label of each blank node, and its canonical one.
    pub labels: BTreeMap<String, String>,
}

impl Canonical {
    /// The statements in canonical N-Quads, each with its line end, sorted by their code points.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.relabeled(|label| self.labels.get(label).cloned().unwrap_or_default())
    }

    /// The same with names made from the blank nodes' own labels.
    pub(super) fn relabeled(&self, name: impl Fn(&str) -> String) -> Vec<String> {
        let mut lines: Vec<String> = self.quads.iter().map(|quad| line(quad, &name)).collect();
        lines.sort_unstable();
        lines
    }
}

/// Canonicalises a graph. One statement twice is one statement.
///
/// # Errors
/// [`RdfcError`] if it has too many blank nodes, or they are too much alike.
pub fn canonicalize(quads: impl IntoIterator<Item = Quad>, hash: Hash) -> Result<Canonical, RdfcError> {
    let quads: BTreeSet<Quad> = quads.into_iter().collect();
    let mut of_node: BTreeMap<&str, Vec<&Quad>> = BTreeMap::new();
    for quad in &quads {
        for (label, _) in blanks(quad) {
            let there = of_node.entry(label).or_default();
            // A statement that names one node twice is one statement about it.
            if there.last().is_none_or(|last| !std::ptr::eq(*last, quad)) {
                there.push(quad);
            }
        }
    }
    if of_node.len() > BLANK_NODES_MAX {
        return Err(RdfcError::TooManyBlankNodes { found: of_node.len(), limit: BLANK_NODES_MAX });
    }
    let mut state = State { hash, of_node, first: BTreeMap::new(), canonical: Names::new("c14n"), work: WORK_MAX };

    // Section 4.4.3, steps 3 to 5: whoever differs at first sight.
    let mut alike: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let labels: Vec<String> = state.of_node.keys().map(|label| (*label).to_owned()).collect();
    for label in labels {
        let hash = state.first_degree(&label)?;
        state.first.insert(label.clone(), hash.clone());
        alike.entry(hash).or_default().push(label);
    }
    for label in alike.values().filter(|labels| labels.len() == 1).flatten() {
        state.canonical.issue(label);
    }
    // Step 6: the others by their neighbours.
    for labels in alike.values().filter(|labels| labels.len() > 1) {
        let mut paths = Vec::new();
        for label in labels {
            if state.canonical.of(label).is_none() {
                let mut names = Names::new("b");
                names.issue(label);
                paths.push(state.n_degree(label, names)?);
            }
        }
        paths.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (_, names) in paths {
            for label in names.order {
                state.canonical.issue(&label);
            }
        }
    }
    let labels = state.canonical.names;
    Ok(Canonical { quads, labels })
}

/// Where a blank node stands in a statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    Subject,
    Object,
    Graph,
}

/// The blank nodes of a statement.
fn blanks(quad: &Quad) -> impl Iterator<Item = (&str, Position)> {
    let object = match &quad.object {
        Object::Node(node) => Some(node),
        Object::Literal { .. } => None,
    };
    let places =
        [(Some(&quad.subject), Position::Subject), (object, Position::Object), (quad.graph.as_ref(), Position::Graph)];
    places.into_iter().filter_map(|(node, position)| match node {
        Some(Node::Blank(label)) => Some((label.as_str(), position)),
        _ => None,
    })
}

/// New names in the order in which they were given (section 4.3).
#[derive(Clone)]
struct Names {
    prefix: &'static str,
    names: BTreeMap<String, String>,
    order: Vec<String>,
}

impl Names {
    fn new(prefix: &'static str) -> Self {
        Self { prefix, names: BTreeMap::new(), order: Vec::new() }
    }

    fn of(&self, label: &str) -> Option<&str> {
        self.names.get(label).map(String::as_str)
    }

    fn issue(&mut self, label: &str) -> String {
        if let Some(name) = self.names.get(label) {
            return name.clone();
        }
        let name = format!("{}{}", self.prefix, self.order.len());
        self.names.insert(label.to_owned(), name.clone());
        self.order.push(label.to_owned());
        name
    }
}

struct State<'a> {
    hash: Hash,
    /// The statements that name each blank node.
    of_node: BTreeMap<&'a str, Vec<&'a Quad>>,
    /// What each looks like at first sight.
    first: BTreeMap<String, String>,
    canonical: Names,
    /// The bytes that may still be hashed or copied.
    work: usize,
}

impl State<'_> {
    fn spend(&mut self, work: usize) -> Result<(), RdfcError> {
        self.work = self.work.checked_sub(work).ok_or(RdfcError::TooMuchWork { limit: WORK_MAX })?;
        Ok(())
    }

    fn hashed(&mut self, text: &str) -> Result<String, RdfcError> {
        self.spend(text.len())?;
        Ok(self.hash.hex(text))
    }

    /// Hash First Degree Quads (section 4.6).
    fn first_degree(&mut self, label: &str) -> Result<String, RdfcError> {
        let own = |other: &str| if other == label { "a".to_owned() } else { "z".to_owned() };
        let mut lines: Vec<String> =
            self.of_node.get(label).into_iter().flatten().map(|quad| line(quad, &own)).collect();
        lines.sort_unstable();
        self.hashed(&lines.concat())
    }

    /// Hash Related Blank Node (section 4.7).
    fn related(&mut self, label: &str, quad: &Quad, names: &Names, position: Position) -> Result<String, RdfcError> {
        let mut text = match position {
            Position::Subject => format!("s<{}>", quad.predicate),
            Position::Object => format!("o<{}>", quad.predicate),
            Position::Graph => "g".to_owned(),
        };
        match self.canonical.of(label).or_else(|| names.of(label)) {
            Some(name) => {
                text.push_str("_:");
                text.push_str(name);
            }
            None => text.push_str(self.first.get(label).map_or("", String::as_str)),
        }
        self.hashed(&text)
    }

    /// Hash N-Degree Quads (section 4.8). It goes no deeper than there are blank nodes, since each step names one.
    fn n_degree(&mut self, label: &str, mut names: Names) -> Result<(String, Names), RdfcError> {
        let mut neighbours: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let quads = self.of_node.get(label).cloned().unwrap_or_default();
        for quad in quads {
            for (other, position) in blanks(quad).filter(|(other, _)| *other != label) {
                let hash = self.related(other, quad, &names, position)?;
                neighbours.entry(hash).or_default().push(other.to_owned());
            }
        }
        let mut data = String::new();
        for (hash, mut others) in neighbours {
            data.push_str(&hash);
            others.sort_unstable();
            let mut chosen: Option<(String, Names)> = None;
            loop {
                if let Some((path, issued)) = self.path(&others, &names, chosen.as_ref().map(|(path, _)| path))? {
                    chosen = Some((path, issued));
                }
                if !next_permutation(&mut others) {
                    break;
                }
            }
            if let Some((path, issued)) = chosen {
                data.push_str(&path);
                names = issued;
            }
        }
        Ok((self.hashed(&data)?, names))
    }

    /// The path through neighbours in one order, unless one that was found is smaller (steps 5.4.1 to 5.4.6).
    fn path(
        &mut self,
        others: &[String],
        names: &Names,
        smallest: Option<&String>,
    ) -> Result<Option<(String, Names)>, RdfcError> {
        let mut issued = names.clone();
        // What the copy of the names costs, so that no order is free.
        self.spend(64 + 64 * issued.order.len())?;
        let is_larger =
            |path: &String| smallest.is_some_and(|smallest| path.len() >= smallest.len() && path > smallest);
        let (mut path, mut deeper) = (String::new(), Vec::new());
        for other in others {
            let name = match self.canonical.of(other) {
                Some(name) => name.to_owned(),
                None => {
                    if issued.of(other).is_none() {
                        deeper.push(other);
                    }
                    issued.issue(other)
                }
            };
            path.push_str("_:");
            path.push_str(&name);
            if is_larger(&path) {
                return Ok(None);
            }
        }
        for other in deeper {
            let (hash, found) = self.n_degree(other, issued.clone())?;
            path.push_str(&format!("_:{}<{hash}>", issued.issue(other)));
            issued = found;
            if is_larger(&path) {
                return Ok(None);
            }
        }
        Ok(smallest.is_none_or(|smallest| path < *smallest).then_some((path, issued)))
    }
}

/// The next order of the items, in lexicographic order; false after the last.
fn next_permutation(items: &mut [String]) -> bool {
    let Some(pivot) = items.windows(2).rposition(|pair| pair.first() < pair.last()) else { return false };
    let Some(successor) = items.iter().rposition(|item| items.get(pivot).is_some_and(|pivot| item > pivot)) else {
        return false;
    };
    items.swap(pivot, successor);
    if let Some(tail) = items.get_mut(pivot + 1..) {
        tail.reverse();
    }
    true
}

/// A statement in canonical N-Quads (RDFC-1.0 section 5), blank nodes by new names.
fn line(quad: &Quad, name: &impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let node = |out: &mut String, node: &Node| match node {
        Node::Iri(iri) => {
            out.push('<');
            out.push_str(iri);
            out.push('>');
        }
        Node::Blank(label) => {
            out.push_str("_:");
            out.push_str(&name(label));
        }
    };
    node(&mut out, &quad.subject);
    out.push_str(" <");
    out.push_str(&quad.predicate);
    out.push_str("> ");
    match &quad.object {
        Object::Node(object) => node(&mut out, object),
        Object::Literal { value, datatype, language } => {
            literal(&mut out, value);
            match language {
                Some(language) => {
                    out.push('@');
                    out.push_str(language);
                }
                None if datatype != XSD_STRING => {
                    out.push_str("^^<");
                    out.push_str(datatype);
                    out.push('>');
                }
                None => {}
            }
        }
    }
    if let Some(graph) = &quad.graph {
        out.push(' ');
        node(&mut out, graph);
    }
    out.push_str(" .\n");
    out
}

fn literal(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            control @ ('\0'..='\u{1f}' | '\u{7f}') => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(from: usize, to: usize) -> Quad {
        Quad {
            subject: Node::Blank(format!("n{from}")),
            predicate: "https://example.org/knows".to_owned(),
            object: Object::Node(Node::Blank(format!("n{to}"))),
            graph: None,
        }
    }

    /// Everybody knows everybody: nothing tells them apart.
    fn clique(nodes: usize) -> Vec<Quad> {
        (0..nodes).flat_map(|a| (0..nodes).filter(move |b| *b != a).map(move |b| link(a, b))).collect()
    }

    #[test]
    fn a_graph_of_nodes_that_are_all_alike_ends_at_the_bound() {
        assert!(canonicalize(clique(4), Hash::Sha256).is_ok());
        for nodes in [8, 12, 40] {
            let refused = canonicalize(clique(nodes), Hash::Sha256);
            assert_eq!(refused, Err(RdfcError::TooMuchWork { limit: WORK_MAX }), "{nodes}");
        }
        // As deep as it gets: each node leads to one more.
        for nodes in [20, BLANK_NODES_MAX] {
            let ring = (0..nodes).map(|at| link(at, (at + 1) % nodes));
            assert_eq!(canonicalize(ring, Hash::Sha256).is_ok(), nodes == 20, "{nodes}");
        }
        let many = (0..2 * BLANK_NODES_MAX).map(|at| link(at, at + 1));
        assert!(matches!(canonicalize(many, Hash::Sha256), Err(RdfcError::TooManyBlankNodes { .. })));
    }

    #[test]
    fn the_names_do_not_depend_on_the_labels() {
        let chain: Vec<Quad> = (0..20).map(|at| link(at, at + 1)).collect();
        let lines = canonicalize(chain, Hash::Sha256).unwrap().lines();
        let other: Vec<Quad> = (0..20).map(|at| link((at * 7 + 3) % 23, ((at + 1) * 7 + 3) % 23)).collect();
        assert_eq!(canonicalize(other, Hash::Sha256).unwrap().lines(), lines);
        assert_eq!(canonicalize([], Hash::Sha256).unwrap().lines(), Vec::<String>::new());
    }
}
