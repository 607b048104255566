//! The tree of checks, and how it is printed.

use std::fmt::{self, Write};

use serde::Serialize;

/// Characters of any text of a stranger's that are shown.
const TEXT_CHARS_MAX: usize = 400;
/// Characters of a digest, a nonce or a key that are shown, unless two that differ begin alike.
const SHORT_CHARS: usize = 12;
/// The longest line that is printed.
const WIDTH: usize = 100;
/// Where the text beside a name begins.
const TEXT_AT: usize = 42;

/// One check, a fact beside the checks, or a heading over several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What is checked.
    pub name: String,
    /// Whether it holds; none for a fact. A heading has the verdict of what stands below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// For a check that fails: its stable name, which the verifier logs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The fact, why the check fails, or why it was not made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What should stand there, where two values disagree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The parts of it, in the order in which the verifier makes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Self>,
}

/// What is known of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was made, and holds.
    Holds,
    /// It was made, and does not hold.
    Fails,
    /// It was not made: something that it needs failed, or was not given.
    NotChecked,
}

impl Check {
    /// A heading, whose verdict follows from what is put below it.
    pub(super) fn group(name: impl Into<String>) -> Self {
        Self {
            name: tame(&name.into()),
            verdict: None,
            code: None,
            text: None,
            expected: None,
            found: None,
            checks: Vec::new(),
        }
    }

    /// Something to know beside the checks.
    pub(super) fn fact(name: impl Into<String>, text: impl fmt::Display) -> Self {
        Self { text: Some(tame(&text.to_string())), ..Self::group(name) }
    }

    pub(super) fn holds(name: impl Into<String>) -> Self {
        Self { verdict: Some(Verdict::Holds), ..Self::group(name) }
    }

    pub(super) fn fails(name: impl Into<String>, code: &'static str, why: impl fmt::Display) -> Self {
        Self { verdict: Some(Verdict::Fails), code: Some(code), ..Self::fact(name, why) }
    }

    pub(super) fn not_made(name: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { verdict: Some(Verdict::NotChecked), ..Self::fact(name, why) }
    }

    /// A check that was made: it holds, or fails with this code and text.
    pub(super) fn made<T>(name: impl Into<String>, result: &Result<T, Failed>) -> Self {
        match result {
            Ok(_) => Self::holds(name),
            Err(Failed { code, why }) => Self::fails(name, code, why),
        }
    }

    /// A check of two values that should be the same.
    pub(super) fn same(
        name: impl Into<String>,
        code: &'static str,
        expected: impl fmt::Display,
        found: Option<&str>,
    ) -> Self {
        let expected = expected.to_string();
        match found {
            Some(found) if found == expected => Self::holds(name).text(expected),
            Some(found) => Self::fails(name, code, "differs").expected(expected).found(found),
            None => Self::fails(name, code, "missing").expected(expected),
        }
    }

    pub(super) fn text(mut self, text: impl fmt::Display) -> Self {
        self.text = Some(tame(&text.to_string()));
        self
    }

    pub(super) fn expected(mut self, value: impl fmt::Display) -> Self {
        self.expected = Some(tame(&value.to_string()));
        self
    }

    pub(super) fn found(mut self, value: impl fmt::Display) -> Self {
        self.found = Some(tame(&value.to_string()));
        self
    }

    /// Both values of a check that fails; nothing for one that holds, where they are the same.
    pub(super) fn between(self, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        match self.verdict {
            Some(Verdict::Fails) => self.expected(expected).found(found),
            _ => self,
        }
    }

    pub(super) fn push(&mut self, check: Self) {
        self.checks.push(check);
    }

    /// Gives every heading the verdict of what stands below it.
    pub(super) fn concluded(mut self) -> Self {
        self.checks = self.checks.into_iter().map(Self::concluded).collect();
        if self.verdict.is_none() && !self.checks.is_empty() {
            let any = |verdict| self.checks.iter().any(|check| check.verdict == Some(verdict));
            self.verdict = [Verdict::Fails, Verdict::NotChecked, Verdict::Holds].into_iter().find(|it| any(*it));
        }
        self
    }

    /// The first check that fails, in the order in which the verifier makes them: what it refused the answer for.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Self> {
        let below = self.checks.iter().find_map(Self::first_failure);
        below.or_else(|| (self.verdict == Some(Verdict::Fails) && self.checks.is_empty()).then_some(self))
    }

    /// The checks that were not made, in the order of the tree.
    pub fn skipped(&self) -> impl Iterator<Item = &Self> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            while let Some(check) = open.pop() {
                if check.checks.is_empty() && check.verdict == Some(Verdict::NotChecked) {
                    return Some(check);
                }
                open.extend(check.checks.iter().rev());
            }
            None
        })
    }

    /// Holds what is printed here against what the verifier itself says of all of it. The verifier is right: a failure
    /// that the single checks did not show first is put before them, and one that it does not share is taken back.
    pub(super) fn settle<T>(&mut self, name: &str, verifier: &Result<T, Failed>) {
        match verifier {
            Ok(_) => self.take_back(),
            Err(Failed { code, why }) => {
                if self.first_failure().and_then(|first| first.code) != Some(code) {
                    let at = if self.first_failure().is_some() { 0 } else { self.checks.len() };
                    self.checks.insert(at, Self::fails(name, code, why));
                }
            }
        }
    }

    fn take_back(&mut self) {
        if self.verdict == Some(Verdict::Fails) && self.checks.is_empty() {
            self.verdict = Some(Verdict::NotChecked);
            self.text = Some("the verifier does not demand it".to_owned());
        }
        self.checks.iter_mut().for_each(Self::take_back);
    }

    fn print(&self, depth: usize, out: &mut String) -> fmt::Result {
        let mark = match self.verdict {
            Some(Verdict::Holds) => "holds",
            Some(Verdict::Fails) => "FAILS",
            Some(Verdict::NotChecked) => "  -",
            None => "",
        };
        let head = format!("{mark:<7}{:indent$}{}", "", self.name, indent = 2 * depth);
        let mut text = String::new();
        // What a heading says of itself is said; why it fails stands below it.
        if self.verdict == Some(Verdict::NotChecked) && self.checks.is_empty() {
            text.push_str("not checked: ");
        }
        text.push_str(self.text.as_deref().unwrap_or_default());
        if let Some(code) = self.code {
            write!(text, " [{code}]")?;
        }
        columns(&head, &text, out)?;
        for (label, value) in [("expected", &self.expected), ("found", &self.found)] {
            if let Some(value) = value {
                columns(&format!("{:indent$}{label}", "", indent = 9 + 2 * depth), value, out)?;
            }
        }
        self.checks.iter().try_for_each(|check| check.print(depth + 1, out))
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.print(0, &mut out)?;
        f.write_str(&out)
    }
}

/// A check that failed, in the words of the verifier.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    pub(super) code: &'static str,
    pub(super) why: String,
}

impl Failed {
    pub(super) fn new(code: &'static str, why: impl fmt::Display) -> Self {
        Self { code, why: why.to_string() }
    }
}

/// A head, and beside it a text in as many lines as it needs.
fn columns(head: &str, text: &str, out: &mut String) -> fmt::Result {
    if text.is_empty() {
        return writeln!(out, "{head}");
    }
    let mut head = head.to_owned();
    if head.chars().count() >= TEXT_AT {
        writeln!(out, "{head}")?;
        head.clear();
    }
    for line in wrapped(text, WIDTH - TEXT_AT) {
        writeln!(out, "{head:<TEXT_AT$}{line}")?;
        head.clear();
    }
    Ok(())
}

/// Lines of at most `width` characters, broken between words where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let long: Vec<char> = word.chars().collect();
        for (at, part) in long.chunks(width).enumerate() {
            let space = usize::from(used > 0 && at == 0);
            if used + space + part.len() > width || at > 0 {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                if used > 0 {
                    line.push(' ');
                    used += 1;
                }
                line.extend(part);
                used += part.len();
            }
        }
    }
    lines
}

/// A text with nothing in it that steers a terminal or hides what it says, and of a length that can be read.
pub(super) fn tame(text: &str) -> String {
    let harmless = |c: char| {
        let turns =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if c.is_control() || turns { '?' } else { c }
    };
    let mut tamed: String = text.chars().take(TEXT_CHARS_MAX).map(harmless).collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        tamed.push('…');
    }
    tamed
}

/// The beginning of a digest, a nonce or a key.
pub(super) fn short(text: &str) -> String {
    shortened(text, SHORT_CHARS)
}

/// The beginnings of two that should be the same, as far as it takes to tell them apart.
pub(super) fn short_both(one: &str, other: &str) -> (String, String) {
    let common = one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    let chars = SHORT_CHARS.max(common + 4);
    (shortened(one, chars), shortened(other, chars))
}

fn shortened(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_aligned_and_no_line_is_too_long() {
        let mut group = Check::group("holder binding");
        group.push(Check::holds("signature").text("ES256"));
        group.push(Check::same("audience", "key_binding_audience", "x".repeat(130), Some("y")));
        group.push(Check::not_made("a name that is much longer than there is room for", "it depends on the signature"));
        let text = group.concluded().to_string();
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let starts = |with: &str| text.lines().filter(|line| line.starts_with(with)).count();
        assert_eq!((starts("FAILS"), starts("holds"), starts("  -")), (2, 1, 1), "{text}");
    }

    #[test]
    fn a_strangers_text_steers_nothing() {
        let text = Check::fact("subject", "CN=\u{1b}[2J\u{202e}evil\nFAILS").to_string();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(tame(&"a".repeat(10_000)).chars().count() <= TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn values_are_shortened_until_they_can_be_told_apart() {
        assert_eq!(short("abc"), "abc");
        assert_eq!(short_both(&"a".repeat(40), &"b".repeat(40)), ("a".repeat(12) + "…", "b".repeat(12) + "…"));
        let (one, other) = short_both(&("a".repeat(20) + "bcccc"), &("a".repeat(20) + "dcccc"));
        assert_ne!(one, other);
    }

    #[test]
    fn the_verifier_is_right_about_what_failed_first() {
        let mut group = Check::group("g");
        group.push(Check::fails("a", "a", "a"));
        group.settle("all", &Err::<(), _>(Failed::new("b", "b")));
        assert_eq!(group.first_failure().unwrap().code, Some("b"));
        group.settle("all", &Ok(()));
        assert!(group.first_failure().is_none());
    }
}
