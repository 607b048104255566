//! The checks of a verification, one after the other, for whoever wants to know which of them hold.
//!
//! A verifier makes its checks through a [`Watch`]. Under [`Strict`] the first one that fails ends it: that is how answers are
//! verified. Under [`Told`] each is written down, and what does not depend on it is checked all the same: that is how a
//! refusal is explained. So nothing can be explained that is not checked, and what comes out under `Told` is dropped.

use crate::protocol::jose::PublicKey;

/// What a check compared, for an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing that could be shown.
    Nothing,
    /// What it looked at.
    Text(String),
    /// What should stand there, and what does.
    Pair(String, Option<String>),
    /// The same of nonces, keys and names of people: nobody is shown more of them than tells them apart.
    Short(String, Option<String>),
    /// A key.
    Key(PublicKey),
}

/// How the checks of a verification are made; `E` is why one fails.
pub(crate) trait Watch<E> {
    /// Whether anybody is told anything.
    const TELLS: bool;

    /// What follows belongs to this part of the whole.
    fn enter(&mut self, part: &'static str);

    /// A part that others do not depend on.
    fn part(&mut self, part: &'static str, checks: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E>;

    /// Something to know beside the checks.
    fn fact(&mut self, name: &'static str, seen: impl FnOnce() -> Seen);

    /// A check that others do not depend on.
    fn check(&mut self, name: &'static str, seen: impl FnOnce() -> Seen, made: Result<(), E>) -> Result<(), E>;

    /// A check whose outcome the others need.
    fn need<T>(&mut self, name: &'static str, seen: impl FnOnce(&T) -> Seen, made: Result<T, E>) -> Result<T, E>;

    /// The same where something that nobody believes can stand in for the outcome, if anybody is told.
    fn need_or<T>(&mut self, name: &'static str, made: Result<T, E>, unbelieved: Option<T>) -> Result<T, E>;
}

/// Ends at the first check that fails, and tells nobody anything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strict;

impl<E> Watch<E> for Strict {
    const TELLS: bool = false;

    fn enter(&mut self, _: &'static str) {}

    fn part(&mut self, _: &'static str, checks: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        checks(self)
    }

    fn fact(&mut self, _: &'static str, _: impl FnOnce() -> Seen) {}

    fn check(&mut self, _: &'static str, _: impl FnOnce() -> Seen, made: Result<(), E>) -> Result<(), E> {
        made
    }

    fn need<T>(&mut self, _: &'static str, _: impl FnOnce(&T) -> Seen, made: Result<T, E>) -> Result<T, E> {
        made
    }

    fn need_or<T>(&mut self, _: &'static str, made: Result<T, E>, _: Option<T>) -> Result<T, E> {
        made
    }
}

/// The checks of one part, in their order.
#[derive(Clone, Debug)]
pub struct Part {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
}

/// One check, or a fact.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) seen: Seen,
    pub(crate) made: Made,
}

/// What is known of a check.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    /// It is none.
    Fact,
    Holds,
    Fails(Failure),
    /// What it needs failed.
    NotReached,
}

/// A check that failed, in the words of the verifier.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) why: String,
}

impl Part {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, steps: Vec::new() }
    }

    pub(crate) fn push(&mut self, name: &'static str, seen: Seen, made: Made) {
        self.steps.push(Step { name, seen, made });
    }
}

/// Writes down every check that is made.
#[derive(Debug)]
pub(crate) struct Told<E> {
    parts: Vec<Part>,
    failure: fn(&E) -> Failure,
    /// Whether the failure that is on its way out was written down.
    written: bool,
}

impl<E> Told<E> {
    /// What a verification tells, and what came out of it, which nobody may believe. `failure` puts an error into words.
    pub(crate) fn of<T>(
        failure: fn(&E) -> Failure,
        verify: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> (Vec<Part>, Option<T>) {
        let mut told = Self { parts: Vec::new(), failure, written: false };
        let unbelieved = verify(&mut told).map_err(|error| told.ended(&error)).ok();
        (told.parts, unbelieved)
    }

    /// What needed this is not reached.
    fn ended(&mut self, error: &E) {
        if !self.written {
            self.push("form", Seen::Nothing, Made::Fails((self.failure)(error)));
        }
        self.written = false;
        self.push("the rest", Seen::Nothing, Made::NotReached);
    }

    fn push(&mut self, name: &'static str, seen: Seen, made: Made) {
        if self.parts.is_empty() {
            self.parts.push(Part::new("form"));
        }
        if let Some(part) = self.parts.last_mut() {
            part.push(name, seen, made);
        }
    }
}

impl<E> Watch<E> for Told<E> {
    const TELLS: bool = true;

    fn enter(&mut self, part: &'static str) {
        self.parts.push(Part::new(part));
    }

    fn part(&mut self, part: &'static str, checks: impl FnOnce(&mut Self) -> Result<(), E>) -> Result<(), E> {
        self.enter(part);
        if let Err(error) = checks(self) {
            self.ended(&error);
        }
        Ok(())
    }

    fn fact(&mut self, name: &'static str, seen: impl FnOnce() -> Seen) {
        self.push(name, seen(), Made::Fact);
    }

    fn check(&mut self, name: &'static str, seen: impl FnOnce() -> Seen, made: Result<(), E>) -> Result<(), E> {
        let made = made.map_or_else(|error| Made::Fails((self.failure)(&error)), |()| Made::Holds);
        self.push(name, seen(), made);
        Ok(())
    }

    fn need<T>(&mut self, name: &'static str, seen: impl FnOnce(&T) -> Seen, made: Result<T, E>) -> Result<T, E> {
        match &made {
            Ok(outcome) => self.push(name, seen(outcome), Made::Holds),
            Err(error) => {
                self.push(name, Seen::Nothing, Made::Fails((self.failure)(error)));
                self.written = true;
            }
        }
        made
    }

    fn need_or<T>(&mut self, name: &'static str, made: Result<T, E>, unbelieved: Option<T>) -> Result<T, E> {
        match (made, unbelieved) {
            (Err(error), Some(unbelieved)) => {
                self.push(name, Seen::Nothing, Made::Fails((self.failure)(&error)));
                Ok(unbelieved)
            }
            (made, _) => self.need(name, |_| Seen::Nothing, made),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A verification with a part that nothing depends on, and a check that everything depends on.
    fn verify<W: Watch<u8>>(watch: &mut W, wrong: &[u8]) -> Result<u8, u8> {
        let made = |at: u8| if wrong.contains(&at) { Err(at) } else { Ok(()) };
        watch.part("holder", |watch| {
            watch.check("nonce", || Seen::Nothing, made(1))?;
            watch.need("key", |()| Seen::Nothing, made(2))?;
            watch.check("signature", || Seen::Nothing, made(3))
        })?;
        watch.enter("issuer");
        watch.need_or("signature", made(4), Some(()))?;
        made(5)?;
        watch.check("time", || Seen::Nothing, made(6))?;
        Ok(7)
    }

    #[test]
    fn who_is_strict_ends_at_the_first_that_fails() {
        assert_eq!(verify(&mut Strict, &[]), Ok(7));
        for first in 1..=6 {
            assert_eq!(verify(&mut Strict, &[first, 6]), Err(first));
        }
    }

    #[test]
    fn who_is_told_hears_of_each_that_is_reached() {
        let told = |wrong: &[u8]| -> Vec<String> {
            let failure = |at: &u8| Failure { code: "wrong", why: at.to_string() };
            let (parts, _) = Told::of(failure, |told| verify(told, wrong));
            let step = |step: &Step| match &step.made {
                Made::Fact | Made::Holds => step.name.to_owned(),
                Made::Fails(failure) => format!("{} {}", step.name, failure.why),
                Made::NotReached => "..".to_owned(),
            };
            parts.iter().flat_map(|part| part.steps.iter().map(step)).collect()
        };
        assert_eq!(told(&[]), ["nonce", "key", "signature", "signature", "time"]);
        assert_eq!(told(&[1, 3, 4, 6]), ["nonce 1", "key", "signature 3", "signature 4", "time 6"]);
        assert_eq!(told(&[2, 6]), ["nonce", "key 2", "..", "signature", "time 6"]);
        assert_eq!(told(&[5]), ["nonce", "key", "signature", "signature", "form 5", ".."]);
    }
}
