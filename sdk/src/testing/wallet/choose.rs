//! What of a wallet answers a question, and what its owner may choose among.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Request, Wallet, WalletError};

impl Wallet {
    /// What this wallet would show: for each credential of the query the first of its own that satisfies it, with the
    /// first set of claims that it can show (6.4.1), and of each set of credentials the first option that is complete
    /// (6.4.2).
    ///
    /// # Errors
    /// [`WalletError::Unanswerable`] if the wallet has not what is required.
    pub fn choose(&self, request: &Request) -> Result<Choice, WalletError> {
        self.choose_by(request, None)
    }

    /// All that this wallet could show instead, what [`choose`](Self::choose) chooses first: where the verifier takes one
    /// of several credentials, each that is there.
    #[must_use]
    pub fn choices(&self, request: &Request) -> Vec<Choice> {
        let mut choices: Vec<Choice> = self.choose(request).into_iter().collect();
        for (set, options) in request.query.credential_sets.iter().flatten().enumerate() {
            for option in 0..options.options.len() {
                match self.choose_by(request, Some((set, option))) {
                    Ok(other) if !choices.contains(&other) => choices.push(other),
                    _ => {}
                }
            }
        }
        choices
    }

    /// The same with one option of one set before the others of that set.
    fn choose_by(&self, request: &Request, first: Option<(usize, usize)>) -> Result<Choice, WalletError> {
        let mut found = BTreeMap::new();
        for query in &request.query.credentials {
            let chosen =
                self.holdings.iter().enumerate().find_map(|(at, holding)| Some((at, holding.satisfies(query)?)));
            found.extend(
                chosen.map(|(holding, paths)| (query.id.as_str(), Chosen { query: query.id.clone(), holding, paths })),
            );
        }
        let mut wanted = BTreeSet::new();
        match &request.query.credential_sets {
            None => wanted.extend(request.query.credentials.iter().map(|query| query.id.as_str())),
            Some(sets) => {
                for (at, set) in sets.iter().enumerate() {
                    let complete = |option: &&Vec<String>| option.iter().all(|id| found.contains_key(id.as_str()));
                    let first = first.filter(|(set, _)| *set == at).and_then(|(_, option)| set.options.get(option));
                    match first.into_iter().chain(&set.options).find(complete) {
                        Some(option) => wanted.extend(option.iter().map(String::as_str)),
                        None if set.required => return Err(WalletError::Unanswerable),
                        None => {}
                    }
                }
            }
        }
        let shown: Option<Vec<Chosen>> = wanted.into_iter().map(|id| found.remove(id)).collect();
        match shown {
            Some(shown) if !shown.is_empty() => Ok(Choice { shown }),
            _ => Err(WalletError::Unanswerable),
        }
    }
}

/// What a wallet is about to show: for a consent screen, and for [`Wallet::answer`].
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub(super) shown: Vec<Chosen>,
}

impl Choice {
    /// The credentials that will be shown.
    #[must_use]
    pub fn shown(&self) -> &[Chosen] {
        &self.shown
    }
}

/// One credential that will be shown.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Chosen {
    /// The id of the query that it answers.
    pub query: String,
    /// Which of [`Wallet::holdings`] it is.
    pub holding: usize,
    /// The claims that will be shown, as paths of the query (7).
    pub paths: Vec<Vec<Value>>,
}

impl Chosen {
    /// The claims by name, such as `address.locality`.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        let name = |component: &Value| match component {
            Value::String(name) => name.clone(),
            Value::Null => "*".to_owned(),
            other => other.to_string(),
        };
        self.paths.iter().map(|path| path.iter().map(name).collect::<Vec<_>>().join(".")).collect()
    }
}
