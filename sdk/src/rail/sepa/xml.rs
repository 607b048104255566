//! XML as banks' files have it, and nothing more of it: elements of one namespace, text, and the five entities.
//!
//! A document type, a reference to any other entity, and an element of another namespace are refused; depth, length and
//! number are bounded. What is read is read once, from the beginning to the end.

use quick_xml::{
    NsReader,
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
};

use super::statement::StatementError;

/// The deepest that any statement goes is 16.
const DEPTH_MAX: usize = 24;
/// The longest text of one element, in bytes: the longest of the standard is 500 characters.
const TEXT_BYTES_MAX: usize = 4 * 1024;
/// The longest tag, in bytes.
const TAG_BYTES_MAX: usize = 2 * 1024;
/// The most elements of one part that is looked at as a whole.
const ELEMENTS_MAX: usize = 4_000;

/// A part of a document.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// The attribute `Ccy`.
    pub(super) currency: String,
    /// Its own text, without the spaces around it.
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

/// What comes next in a document.
#[derive(Debug)]
pub(super) enum Next {
    /// An element begins.
    Open { name: String, currency: String },
    /// Text.
    Text(String),
    /// An element ends.
    Close,
    /// The document ends.
    End,
}

/// Reads a document of one namespace.
pub(super) struct Xml<'a> {
    reader: NsReader<&'a [u8]>,
    namespace: String,
    depth: usize,
    ended: bool,
    /// An element without content was opened, and is to be closed.
    closing: bool,
}

impl<'a> Xml<'a> {
    /// Reads the tag of the root, which says of what namespace all is. `Err` with what it is if `is_ours` does not know it.
    pub(super) fn open(
        text: &'a str,
        root: &str,
        is_ours: impl Fn(&str) -> bool,
    ) -> Result<(Self, String), StatementError> {
        let mut reader = NsReader::from_str(text);
        reader.resolver_mut().set_max_namespace_bindings(16);
        let mut xml = Self { reader, namespace: String::new(), depth: 0, ended: false, closing: false };
        loop {
            let (bound, event) = xml.reader.read_resolved_event().map_err(|_| StatementError::Broken)?;
            match event {
                Event::Start(start) => {
                    let namespace = match bound {
                        ResolveResult::Bound(Namespace(found)) => found.to_owned(),
                        _ => String::new(),
                    };
                    check_tag(&start)?;
                    if start.local_name().as_ref() != root || !is_ours(&namespace) {
                        let found = format!("{} {namespace}", start.local_name().as_ref());
                        return Err(StatementError::Namespace { found: found.trim().chars().take(80).collect() });
                    }
                    xml.namespace.clone_from(&namespace);
                    xml.depth = 1;
                    return Ok((xml, namespace));
                }
                Event::DocType(_) => return Err(StatementError::Entities),
                Event::Text(text) if text.trim().is_empty() => {}
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                _ => return Err(StatementError::Broken),
            }
        }
    }

    /// What comes next. After the end of the root, nothing but the end of the document may.
    pub(super) fn next(&mut self) -> Result<Next, StatementError> {
        if std::mem::take(&mut self.closing) {
            return Ok(Next::Close);
        }
        loop {
            let (bound, event) = self.reader.read_resolved_event().map_err(|_| StatementError::Broken)?;
            let empty = matches!(event, Event::Empty(_));
            match event {
                Event::Start(start) | Event::Empty(start) if !self.ended => {
                    if bound != ResolveResult::Bound(Namespace(&self.namespace)) {
                        return Err(StatementError::Namespace { found: "elements of another namespace".to_owned() });
                    }
                    let currency = check_tag(&start)?;
                    if self.depth >= DEPTH_MAX {
                        return Err(StatementError::Bounds);
                    }
                    self.closing = empty;
                    self.depth += usize::from(!empty);
                    return Ok(Next::Open { name: start.local_name().as_ref().to_owned(), currency });
                }
                Event::End(_) if !self.ended => {
                    self.depth = self.depth.saturating_sub(1);
                    self.ended = self.depth == 0;
                    return Ok(Next::Close);
                }
                Event::Text(text) if self.ended && text.trim().is_empty() => {}
                Event::Text(text) if !self.ended => return bounded(text.xml10_content().into_owned()),
                Event::CData(text) if !self.ended => return bounded(text.xml10_content().into_owned()),
                Event::GeneralRef(name) if !self.ended => return character(&name).map(Next::Text),
                Event::Comment(_) | Event::PI(_) => {}
                Event::DocType(_) => return Err(StatementError::Entities),
                Event::Eof if self.ended => return Ok(Next::End),
                _ => return Err(StatementError::Broken),
            }
        }
    }

    /// What stands in an element that was opened, up to its end. What `give` takes of it, as it is closed, is left out.
    pub(super) fn element(
        &mut self,
        name: String,
        currency: String,
        give: &mut dyn FnMut(Element) -> Result<Option<Element>, StatementError>,
    ) -> Result<Element, StatementError> {
        let mut open = vec![Element { name, currency, ..Element::default() }];
        let mut elements = 0_usize;
        loop {
            match self.next()? {
                Next::Open { name, .. } if name == "SplmtryData" => self.skip()?,
                Next::Open { name, currency } => {
                    elements += 1;
                    if elements > ELEMENTS_MAX {
                        return Err(StatementError::Bounds);
                    }
                    open.push(Element { name, currency, ..Element::default() });
                }
                Next::Text(more) => {
                    let Some(element) = open.last_mut() else { return Err(StatementError::Broken) };
                    if element.text.len() + more.len() > TEXT_BYTES_MAX {
                        return Err(StatementError::Bounds);
                    }
                    element.text.push_str(&more);
                }
                Next::Close => {
                    let Some(mut element) = open.pop() else { return Err(StatementError::Broken) };
                    element.text = element.text.trim().to_owned();
                    let Some(parent) = open.last_mut() else { return Ok(element) };
                    let inside = count(&element);
                    match give(element)? {
                        Some(element) => parent.children.push(element),
                        None => elements = elements.saturating_sub(inside),
                    }
                }
                Next::End => return Err(StatementError::Broken),
            }
        }
    }

    /// Passes an element that was opened, whatever namespace it holds: what a bank adds of its own is nobody else's.
    pub(super) fn skip(&mut self) -> Result<(), StatementError> {
        if std::mem::take(&mut self.closing) {
            return Ok(());
        }
        let (begin, mut inside) = (self.depth, self.depth);
        loop {
            match self.reader.read_event().map_err(|_| StatementError::Broken)? {
                Event::Start(_) if inside < begin + DEPTH_MAX => inside += 1,
                Event::Start(_) => return Err(StatementError::Bounds),
                Event::End(_) => inside = inside.saturating_sub(1),
                Event::DocType(_) => return Err(StatementError::Entities),
                Event::GeneralRef(name) => drop(character(&name)?),
                Event::Eof => return Err(StatementError::Broken),
                _ => {}
            }
            if inside < begin {
                self.depth = inside;
                return Ok(());
            }
        }
    }
}

impl Element {
    /// The one child of that name, or none.
    pub(super) fn one(&self, name: &'static str, place: u32) -> Result<Option<&Self>, StatementError> {
        let mut found = self.children.iter().filter(|child| child.name == name);
        let first = found.next();
        match found.next() {
            Some(_) => Err(StatementError::Missing { place, what: name }),
            None => Ok(first),
        }
    }

    /// Every element along a path.
    pub(super) fn all<'e>(&'e self, path: &[&str]) -> Vec<&'e Self> {
        let mut found = vec![self];
        for name in path {
            found = found.into_iter().flat_map(|e| e.children.iter().filter(|child| child.name == *name)).collect();
        }
        found
    }

    /// The text of the first element along a path that has any.
    pub(super) fn text_at(&self, path: &[&str]) -> &str {
        self.all(path).into_iter().map(|e| e.text.as_str()).find(|text| !text.is_empty()).unwrap_or_default()
    }
}

fn count(element: &Element) -> usize {
    element.children.iter().map(count).sum::<usize>() + 1
}

/// Bounds a tag, and reads the one attribute that says something.
fn check_tag(start: &BytesStart<'_>) -> Result<String, StatementError> {
    if start.len() > TAG_BYTES_MAX {
        return Err(StatementError::Bounds);
    }
    let mut currency = String::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| StatementError::Broken)?;
        if attribute.value.contains('&') {
            return Err(StatementError::Entities);
        }
        if attribute.key.as_ref() == "Ccy" {
            currency = attribute.value.to_string();
        }
    }
    Ok(currency)
}

fn bounded(text: String) -> Result<Next, StatementError> {
    if text.len() > TEXT_BYTES_MAX { Err(StatementError::Bounds) } else { Ok(Next::Text(text)) }
}

/// The character of a reference: one of the five, or one by its number.
fn character(name: &quick_xml::events::BytesRef<'_>) -> Result<String, StatementError> {
    if let Some(c) = name.resolve_char_ref().map_err(|_| StatementError::Broken)? {
        let legal = matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
        return if legal { Ok(c.to_string()) } else { Err(StatementError::Broken) };
    }
    let known = match &**name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return Err(StatementError::Entities),
    };
    Ok(known.to_owned())
}
