//! The sources, as the other tests read them: whole, or as code alone.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file of the repository.
pub(crate) struct Source {
    /// Its path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

impl Source {
    /// The text without comments, without what stands in quotes, and without the unit tests at its end: what the crate
    /// does. Lines keep their numbers.
    pub(crate) fn code(&self) -> String {
        code(&self.text)
    }

    /// The lines of the code in which one of the words stands as a word, for the message of a failing test.
    pub(crate) fn naming(&self, words: &[&str]) -> Vec<String> {
        let code = self.code();
        let lines = code.lines().enumerate().filter(|(_, line)| words.iter().any(|word| names(line, word)));
        lines.map(|(i, line)| format!("{}:{}: {}", self.path, i + 1, line.trim())).collect()
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The text of one file.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Every text file below these folders or at these paths whose name ends so, in order; nothing that a build has made.
pub(crate) fn files(places: &[&str], endings: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for place in places {
        walk(&root().join(place), endings, &mut found);
    }
    found.sort();
    assert!(!found.is_empty(), "nothing in {places:?} ends in {endings:?}");
    let source = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        Source { text: read(&name), path: name }
    };
    found.iter().map(source).collect()
}

/// The Rust files of one crate's library and programs.
pub(crate) fn rust(folder: &str) -> Vec<Source> {
    files(&[folder], &[".rs"])
}

fn walk(place: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let name = place.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if place.is_dir() {
        if name == "target" || (name.starts_with('.') && name != ".ci") {
            return;
        }
        for entry in fs::read_dir(place).unwrap_or_else(|e| panic!("{}: {e}", place.display())) {
            walk(&entry.unwrap().path(), endings, found);
        }
    } else if endings.iter().any(|ending| name.ends_with(ending)) {
        found.push(place.to_owned());
    }
}

/// Whether `word` stands in `text` with no letter, digit or `_` at the ends where it has one itself.
pub(crate) fn names(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back().is_some_and(part);
        let after = text[at + word.len()..].chars().next().is_some_and(part);
        !(before && word.starts_with(part) || after && word.ends_with(part))
    })
}

fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let blank = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            quoted(rest)
        } else if let Some(length) = raw(rest).filter(|_| !code.ends_with(|c: char| c.is_alphanumeric() || c == '_')) {
            length
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        let taken = if blank == 0 { first.len_utf8() } else { blank };
        if blank == 0 {
            code.push(first);
        } else {
            code.extend(rest[..blank].chars().filter(|c| *c == '\n'));
        }
        rest = &rest[taken..];
    }
    // Unit tests stand last in a file.
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(end) => code[..end].to_owned(),
        None => code,
    }
}

/// The length of a text in quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw text, if it is one.
fn raw(text: &str) -> Option<usize> {
    let body = text.strip_prefix('b').unwrap_or(text).strip_prefix('r')?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

/// The length of a character in quotes; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), Some(escaped)) => {
            let from = 2 + escaped.len_utf8();
            text[from..].find('\'').map_or(0, |at| from + at + 1)
        }
        (Some(c), Some('\'')) => 2 + c.len_utf8(),
        _ => 0,
    }
}

#[test]
fn code_is_what_is_left_without_comments_texts_and_tests() {
    let text =
        "a /* b */ c // d\n\"e \\\" f\" g r#\"h \" i\"# j b'k' '\\'' '\"' 'l: &'static m\n#[cfg(test)]\nmod tests {\nn";
    assert_eq!(code(text), "a  c \n g  j b   'l: &'static m\n");
    assert!(names("a moka::b", "moka") && !names("a mokab", "moka") && !names("_moka", "moka"));
    assert!(names("x.await?", ".await") && !names("x.awaited", ".await"));
}
