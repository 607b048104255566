//! What of an answer is for which ask.

use serde_json::{Value, json};

use crate::{
    ask::{AGE, Ask, Device, Established, Serves, is_of_age},
    error::AnswerError,
    format::Authentic,
    presentation::{Claims, Verified},
    protocol::dcql::{ClaimQuery, Matched},
    time::UnixTime,
};

/// What an answer shows to one ask.
#[derive(Default)]
pub(super) struct Shown<'a> {
    over: Option<u8>,
    /// What says the age, of the first credential that does.
    age: Option<Vec<&'a Value>>,
    names: Vec<String>,
    claims: Vec<Claims>,
}

impl<'a> Shown<'a> {
    /// Nothing yet, to an ask that asks about this age.
    pub(super) fn to(over: Option<u8>) -> Self {
        Self { over, ..Self::default() }
    }

    /// Takes what is this ask's of a credential that answers it, and perhaps others.
    pub(super) fn take(&mut self, one: &Serves<'_>, is_shared: bool, matched: &Matched<'_, 'a>, authentic: &Authentic) {
        let path =
            |claim: &ClaimQuery| claim.path.iter().map_while(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
        let own: Vec<&(&ClaimQuery, Vec<&'a Value>)> = if is_shared {
            // What another ask wants of the same credential is that one's alone.
            let (all_of, one_of) = one.wanted.paths();
            let own = |own: &Vec<String>| matched.claims.iter().find(|(claim, _)| path(claim) == *own);
            all_of.iter().chain(&one_of).filter_map(own).collect()
        } else {
            matched.claims.iter().collect()
        };
        // The date of birth was asked for to compute an age, and that is done: the value goes no further.
        if self.over.is_some() && one.asked_for.id() == AGE {
            let first = own.first().map(|(_, values)| values.clone());
            self.age = self.age.take().or(first);
            self.claims.push(Claims::selected(AGE, one.wanted, authentic, &[]));
            return;
        }
        // A claim that says no was shown, and opens no gate.
        let says_no = |values: &[&Value]| !values.is_empty() && values.iter().all(|value| *value == &json!(false));
        for (claim, _) in own.iter().filter(|(_, values)| !says_no(values)) {
            let path = path(claim);
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            if let Some(name) = one.wanted.name_of(&path).and_then(|name| name.first())
                && !self.names.contains(name)
            {
                self.names.push(name.clone());
            }
        }
        let selected: Vec<&ClaimQuery> = own.iter().map(|(claim, _)| *claim).collect();
        self.claims.push(Claims::selected(one.asked_for.id(), one.wanted, authentic, &selected));
    }

    pub(super) fn verified(
        self,
        ask: &Ask,
        recognised: bool,
        device: Device,
        now: UnixTime,
    ) -> Result<Verified, AnswerError> {
        let Self { over, age, names, claims } = self;
        if over.is_some_and(|years| !age.is_some_and(|values| is_of_age(&values, years, now))) {
            return Err(AnswerError::AgeNotReached);
        }
        let outcome = Established { over, shown: names, recognised };
        Ok(Verified::of(ask.name().to_owned(), outcome, claims, device))
    }
}
