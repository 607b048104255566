//! The query, evaluated again over what holds.

use serde_json::Value;

use super::{
    Captured,
    check::{Check, Failed},
    credential::Believed,
    request::Asked,
};
use crate::{
    ask::{AGE, is_of_age},
    error::AnswerError,
    protocol::dcql::{Candidate, ClaimQuery, CredentialQuery, Matched},
};

/// How the queries are named that are made of a request in the words of documents.
pub(super) const DOCUMENT: &str = "document-";

/// What each credential answers of the query, and the whole of it as the verifier evaluates it.
pub(super) fn judge(captured: &Captured<'_>, asked: &Asked, believed: &[(String, Believed)]) -> Check {
    let mut group = Check::group("query");
    let mut candidates: Vec<(String, Vec<Candidate<'_>>)> = Vec::new();
    for (id, one) in believed {
        let candidate = Candidate {
            format: &one.format,
            types: &one.counts_as,
            holder_bound: one.authentic.holder_bound(),
            claims: one.authentic.claims(),
            authority_key_ids: &one.authority_key_ids,
        };
        if let Some(query) = asked.query.credential(id) {
            group.push(credential(captured, query, &candidate, one));
        }
        match candidates.iter_mut().find(|(known, _)| known == id) {
            Some((_, several)) => several.push(candidate),
            None => candidates.push((id.clone(), vec![candidate])),
        }
    }
    let evaluated = asked.query.evaluate(&candidates);
    group.settle("whole query", &evaluated.as_ref().map_err(|error| Failed::new(error.code(), error)));
    let Ok(matched) = evaluated else { return group };
    group.push(Check::holds("whole query"));
    for age in &captured.ages {
        let path =
            |claim: &ClaimQuery| claim.path.iter().map_while(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
        // Where the request is in the words of documents, its queries are named here.
        let is_of = |id: &str, one: &str| id == one || id.starts_with(DOCUMENT);
        let says = |one: &Matched<'_, '_>| {
            let mut own = age.claims.iter().filter(|(id, _)| is_of(one.id, id));
            let found = own.find_map(|(_, own)| one.claims.iter().find(|(claim, _)| path(claim) == *own))?;
            Some(is_of_age(&found.1, age.years, captured.now))
        };
        let reached = matched.iter().find_map(says).unwrap_or_default();
        group.push(reaches(age.years, reached));
    }
    if let Some(years) = captured.over {
        let is_age = |id: &str| id == AGE || id.strip_prefix(AGE).is_some_and(|rest| rest.starts_with('-'));
        let mut shown = matched.iter().filter(|one| is_age(one.id)).filter_map(|one| one.claims.first());
        let reached = shown.next().is_some_and(|(_, values)| is_of_age(values, years, captured.now));
        group.push(reaches(years, reached));
    }
    group
}

fn reaches(years: u8, reached: bool) -> Check {
    let error = AnswerError::AgeNotReached;
    match reached {
        true => Check::holds("age").text(format!("{years} or more")),
        false => Check::fails("age", error.code(), error),
    }
}

/// One credential against its own query.
fn credential(captured: &Captured<'_>, query: &CredentialQuery, candidate: &Candidate<'_>, one: &Believed) -> Check {
    let mut group = Check::group(query.id.as_str());
    let types = |types: &[String]| if types.is_empty() { "nothing".to_owned() } else { types.join(", ") };
    group.push(if query.accepts_type(candidate.types) {
        Check::holds("type").text(types(candidate.types))
    } else {
        Check::fails("type", "credential_type_mismatch", "its issuer is not trusted for what was asked")
            .expected(&query.meta)
            .found(format!("{}, which counts as {}", types(one.authentic.types()), types(candidate.types)))
    });
    if query.require_cryptographic_holder_binding && !candidate.holder_bound {
        group.push(Check::fails("holder", "holder_binding_missing", "the holder proved nothing"));
    }
    if query.trusted_authorities.is_some() {
        group.push(if query.accepts_authority(candidate.authority_key_ids) {
            Check::holds("authority")
        } else {
            Check::fails("authority", "credential_authority_mismatch", "none of those that were asked for")
                .found(candidate.authority_key_ids.join(", "))
        });
    }
    // Of sets one is enough, so that a claim which is not there may fail nothing.
    let alternatives = query.claim_sets.is_some();
    for claim in query.claims.iter().flatten() {
        let name = claim.printed();
        group.push(match claim.select(candidate.claims) {
            Some(values) if captured.show_claims => {
                Check::holds(name).text(Value::Array(values.into_iter().cloned().collect()))
            }
            Some(_) => Check::holds(name),
            None if alternatives => Check::fact(name, "not there; one of the alternatives is enough"),
            None => Check::fails(name, "claim_missing", "not there, or not with a value that was asked for"),
        });
    }
    let selected = query.select(candidate).map_err(|error| Failed::new(error.code(), error));
    group.settle("claims", &selected);
    group
}
