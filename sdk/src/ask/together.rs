//! Several asks as one question: which credential queries it has, and what each of them answers.
//!
//! Every ask is answered as if it had been asked alone, and shown nothing of another's. Where two of them want the same
//! credential they share one query for it, so that a wallet shows one card; which combinations a wallet may choose from is
//! written out, so that nobody shows for one ask what another has got elsewhere.

use super::{Ask, AskedFor, OWN_RECEIPT, Wanted};

/// The most ways to answer that are written out. Asks with more of them share nothing, and are answered one by one.
const OPTIONS_MAX: usize = 64;

/// Several asks, in the words of one query.
#[derive(Clone, Debug)]
pub(crate) struct Together<'a> {
    pub(crate) queries: Vec<Combined<'a>>,
    /// The ids that are enough together, for each thing that has to be answered: the better way first.
    pub(crate) sets: Vec<Vec<Vec<String>>>,
}

/// One credential query.
#[derive(Clone, Debug)]
pub(crate) struct Combined<'a> {
    pub(crate) id: String,
    /// What is asked for: the claims of all that it serves.
    pub(crate) wanted: Wanted,
    pub(crate) serves: Vec<Serves<'a>>,
}

/// What one credential query answers of one ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Serves<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) asked_for: &'a AskedFor,
    pub(crate) wanted: &'a Wanted,
}

impl Serves<'_> {
    /// Whether a receipt of the shop itself is meant, and nobody else's.
    pub(crate) fn is_own_receipt(&self) -> bool {
        self.ask.wants_receipt() && self.asked_for.id() == OWN_RECEIPT
    }
}

/// One thing that an ask wants, with the ways to answer it.
struct Member<'a> {
    ask: usize,
    ways: Vec<(String, Serves<'a>)>,
}

impl<'a> Together<'a> {
    /// What these asks ask for of what `can` be asked for.
    pub(crate) fn of(asks: &[&'a Ask], can: impl Fn(&Wanted) -> bool) -> Self {
        let mut members = Vec::new();
        for (at, &ask) in asks.iter().enumerate() {
            for asked_for in ask.asked_for() {
                let named = |id: String| if asks.len() == 1 { id } else { format!("{}-{id}", at + 1) };
                let asked = asked_for.alternatives().iter().filter(|one| can(one)).enumerate();
                let way = |(at, wanted)| (named(asked_for.query_id(at)), Serves { ask, asked_for, wanted });
                let ways = asked.map(way).collect();
                members.push(Member { ask: at, ways });
            }
        }
        let mut together = Self { queries: Vec::new(), sets: Vec::new() };
        for related in related(members) {
            let ways = related.iter().try_fold(1_usize, |ways, member| ways.checked_mul(member.ways.len()));
            if ways.is_some_and(|ways| ways <= OPTIONS_MAX) {
                together.answer(&related);
            } else {
                related.iter().for_each(|member| together.answer(std::slice::from_ref(member)));
            }
        }
        together
    }

    /// The query of an id.
    pub(crate) fn query(&self, id: &str) -> Option<&Combined<'a>> {
        self.queries.iter().find(|query| query.id == id)
    }

    /// The ids of the queries that answer one thing which an ask wants.
    pub(crate) fn answering(&self, ask: &Ask, credential: &str) -> impl Iterator<Item = &str> {
        let serves = move |one: &Serves<'_>| one.ask.name() == ask.name() && one.asked_for.id() == credential;
        self.queries.iter().filter(move |query| query.serves.iter().any(serves)).map(|query| query.id.as_str())
    }

    /// Writes out the ways to answer these at once: each in its own order of preference, the first of them first.
    fn answer(&mut self, members: &[Member<'a>]) {
        let mut ways: Vec<Vec<(usize, &(String, Serves<'a>))>> = vec![Vec::new()];
        for member in members {
            let with = |way: &Vec<_>| {
                let longer = |one| way.iter().copied().chain([(member.ask, one)]).collect::<Vec<_>>();
                member.ways.iter().map(longer).collect::<Vec<_>>()
            };
            ways = ways.iter().flat_map(with).collect();
        }
        let mut options: Vec<Vec<String>> = Vec::new();
        for way in ways {
            let option = self.option(&way);
            if !options.contains(&option) {
                options.push(option);
            }
        }
        self.sets.push(options);
    }

    /// The ids of the queries of one way, in which one credential answers whatever it can.
    fn option(&mut self, way: &[(usize, &(String, Serves<'a>))]) -> Vec<String> {
        let mut cards: Vec<(Vec<usize>, Combined<'a>)> = Vec::new();
        for (ask, (id, serves)) in way {
            // What one ask wants twice is two credentials.
            let shared = cards.iter_mut().find_map(|(asks, card)| {
                let wanted = card.wanted.united(serves.wanted).filter(|_| !asks.contains(ask))?;
                Some((asks, card, wanted))
            });
            match shared {
                Some((asks, card, wanted)) => {
                    card.wanted = wanted;
                    card.id = format!("{}_{id}", card.id);
                    card.serves.push(*serves);
                    asks.push(*ask);
                }
                None => {
                    let card = Combined { id: id.clone(), wanted: serves.wanted.clone(), serves: vec![*serves] };
                    cards.push((vec![*ask], card));
                }
            }
        }
        let ids = cards.iter().map(|(_, card)| card.id.clone()).collect();
        for (_, card) in cards {
            if self.query(&card.id).is_none() {
                self.queries.push(card);
            }
        }
        ids
    }
}

/// Puts together what may be answered by one credential.
fn related(members: Vec<Member<'_>>) -> Vec<Vec<Member<'_>>> {
    let share = |one: &Member<'_>, other: &Member<'_>| {
        let with = |(_, a): &(String, Serves<'_>)| other.ways.iter().any(|(_, b)| a.wanted.united(b.wanted).is_some());
        one.ask != other.ask && one.ways.iter().any(with)
    };
    let mut groups: Vec<Vec<Member<'_>>> = Vec::new();
    for member in members {
        let (near, far): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| group.iter().any(|known| share(known, &member)));
        groups = far;
        groups.push(near.into_iter().flatten().chain([member]).collect());
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{PID, documents};

    fn options(asks: &[&Ask], can: impl Fn(&Wanted) -> bool) -> Vec<Vec<Vec<String>>> {
        Together::of(asks, can).sets
    }

    fn address() -> Ask {
        Ask::new("address", "To send it").credential("pid", documents::name_and_address())
    }

    #[test]
    fn one_card_answers_what_stands_in_one() {
        let (age, address) = (Ask::new("age", "Wine").over(18), address());
        let pid = |one: &Wanted| one.types() == [PID];
        let together = Together::of(&[&age, &address], pid);
        assert_eq!(together.sets, [[["1-age_2-pid"]]]);
        let [one] = together.queries.as_slice() else { panic!("{:?}", together.queries) };
        assert_eq!(one.serves.len(), 2);
        let (all_of, one_of) = one.wanted.paths();
        assert_eq!((all_of.len(), one_of.len()), (3, 3));
        // Alone, an ask is what it was.
        assert_eq!(options(&[&age], pid), [[["age"]]]);
    }

    #[test]
    fn nobody_shows_more_than_the_asks_ask_for_alone() {
        let (age, address) = (Ask::new("age", "Wine").over(18), address());
        let can = |one: &Wanted| {
            one.types() == [PID] || one.types() == [documents::AGE_EU] || one.types() == [documents::MDL]
        };
        let all = options(&[&age, &address], can);
        // Who has an attestation of age shows that and no age beside the address; whoever has one document shows one.
        let ways = [
            vec!["1-age", "2-pid"],
            vec!["1-age", "2-pid-2"],
            vec!["1-age-2", "2-pid"],
            vec!["1-age-2_2-pid-2"],
            vec!["1-age-3_2-pid"],
            vec!["1-age-3", "2-pid-2"],
        ];
        assert_eq!(all, [ways]);
    }

    #[test]
    fn what_cannot_be_said_in_one_query_is_two() {
        let pid = |ask: &str, wanted: fn(Wanted) -> Wanted| {
            Ask::new(ask, "p").credential("pid", wanted(Wanted::sd_jwt_vc(PID)))
        };
        let any = |_: &Wanted| true;
        let name = pid("name", |it| it.claim(["given_name"]));
        let same = pid("same", |it| it.claim(["given_name"]));
        let either = pid("either", |it| it.either(["email"]).either(["phone"]));
        let other = pid("other", |it| it.either(["email"]).either(["birthdate"]));
        assert_eq!(options(&[&name, &same], any), [[["1-pid_2-pid"]]]);
        assert_eq!(options(&[&name, &either], any), [[["1-pid_2-pid"]]]);
        assert_eq!(options(&[&either, &other], any), [[["1-pid"]], [["2-pid"]]]);
        let card = Ask::new("card", "p").credential("pid", Wanted::sd_jwt_vc("urn:card").claim(["given_name"]));
        assert_eq!(options(&[&name, &card], any), [[["1-pid"]], [["2-pid"]]]);
        let twice = Ask::new("twice", "p")
            .credential("a", Wanted::sd_jwt_vc(PID).claim(["given_name"]))
            .credential("b", Wanted::sd_jwt_vc(PID).claim(["email"]));
        assert_eq!(options(&[&twice], any), [[["a"]], [["b"]]], "what one ask wants twice is two credentials");
        assert_eq!(options(&[&name, &twice], any), [[["1-pid_2-a", "2-b"]]]);
    }

    #[test]
    fn a_multitude_of_ways_is_not_written_out() {
        let many = |ask: &str| {
            let ways = (0..9).map(|n| Wanted::sd_jwt_vc(format!("urn:{n}")));
            let any = ways.map(crate::ask::AnyOf::from).reduce(crate::ask::AnyOf::or).unwrap();
            Ask::new(ask, "p").credential("it", any)
        };
        let (one, other) = (many("one"), many("other"));
        let sets = options(&[&one, &other], |_| true);
        assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [9, 9]);
    }
}
