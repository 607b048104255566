//! What types and claims are called by those who have them.

use firsthand::ask::documents::{AGE_EU, MDL, PID, PID_MDOC, VDL};

use crate::lang::Lang;

/// How the type of a card ends that a shop gives to its customers.
pub(super) const RELATIONSHIP: &str = "/relationship";

/// How the types of accounts end that the development issuer gives to its people.
const ACCOUNT: &str = ":account:1";

pub(super) fn type_in_words(kind: &str, lang: Lang) -> String {
    match (kind, lang) {
        (PID | PID_MDOC, Lang::En) => "EU identity".to_owned(),
        (PID | PID_MDOC, Lang::De) => "EU-Identität".to_owned(),
        (MDL | VDL, Lang::En) => "Driving licence".to_owned(),
        (MDL | VDL, Lang::De) => "Führerschein".to_owned(),
        (account, Lang::En) if account.ends_with(ACCOUNT) => "Bank account".to_owned(),
        (account, Lang::De) if account.ends_with(ACCOUNT) => "Bankkonto".to_owned(),
        (AGE_EU, Lang::En) => "Proof of age".to_owned(),
        (AGE_EU, Lang::De) => "Altersnachweis".to_owned(),
        (national, Lang::En) if national.starts_with("urn:eudi:pid:") => "National identity".to_owned(),
        (national, Lang::De) if national.starts_with("urn:eudi:pid:") => "Nationale Identität".to_owned(),
        (card, Lang::En) if card.ends_with(RELATIONSHIP) => "Customer card".to_owned(),
        (card, Lang::De) if card.ends_with(RELATIONSHIP) => "Kundenkarte".to_owned(),
        _ => kind.to_owned(),
    }
}

/// A claim as a person calls it; one that is not known keeps its name.
pub(super) fn in_words(names: &[&str], lang: Lang) -> String {
    let age = match names {
        ["age_equal_or_over", years] => Some(*years),
        [.., name] => name.strip_prefix("age_over_"),
        [] => None,
    };
    if let Some(years) = age {
        return match lang {
            Lang::En => format!("At least {years} years old"),
            Lang::De => format!("Mindestens {years} Jahre alt"),
        };
    }
    if let ["payload", member @ ..] = names {
        return of_a_payment(member, lang).map_or_else(|| names.join("."), str::to_owned);
    }
    let [en, de] = match names.last().copied().unwrap_or_default() {
        "given_name" => ["Given name", "Vorname"],
        "family_name" => ["Family name", "Nachname"],
        "birth_given_name" => ["Given name at birth", "Geburtsvorname"],
        "birth_family_name" => ["Family name at birth", "Geburtsname"],
        "birthdate" | "birth_date" => ["Date of birth", "Geburtsdatum"],
        "place_of_birth" | "birth_place" => ["Place of birth", "Geburtsort"],
        "age_in_years" => ["Age", "Alter"],
        "age_birth_year" => ["Year of birth", "Geburtsjahr"],
        "nationalities" | "nationality" => ["Nationality", "Staatsangehörigkeit"],
        "address" => ["Address", "Anschrift"],
        "formatted" => ["Address as written", "Anschrift, wie man sie schreibt"],
        "street_address" | "resident_street" | "resident_address" => ["Street", "Straße"],
        "house_number" => ["House number", "Hausnummer"],
        "postal_code" | "resident_postal_code" => ["Postal code", "Postleitzahl"],
        "locality" | "resident_city" => ["Town", "Ort"],
        "region" => ["Region", "Region"],
        "country" | "resident_country" => ["Country", "Land"],
        "email" => ["E-mail address", "E-Mail-Adresse"],
        "phone_number" => ["Phone number", "Telefonnummer"],
        "picture" | "portrait" => ["Portrait", "Lichtbild"],
        "sex" => ["Sex", "Geschlecht"],
        "masked_iban" => ["Account", "Konto"],
        "display_name" => ["Called", "Name"],
        "shop_did" => {
            ["The name that the shop has towards you alone", "Der Name, den der Shop nur Ihnen gegenüber hat"]
        }
        "personal_administrative_number" => ["Personal number", "Personennummer"],
        _ => return names.join("."),
    };
    match lang {
        Lang::En => en.to_owned(),
        Lang::De => de.to_owned(),
    }
}

/// What a payment says (EUDI TS12, 4.3.1).
fn of_a_payment(member: &[&str], lang: Lang) -> Option<&'static str> {
    let [en, de] = match member {
        ["transaction_id"] => ["Transaction", "Vorgang"],
        ["date_time"] => ["Begun", "Begonnen"],
        ["payee", "name"] => ["Payee", "Empfänger"],
        ["payee", "id"] => ["Payee's account", "Konto des Empfängers"],
        ["payee", "website"] => ["Payee's page", "Seite des Empfängers"],
        ["currency"] => ["Currency", "Währung"],
        ["amount"] => ["Amount", "Betrag"],
        ["execution_date"] => ["Executed", "Ausführung"],
        ["sct_inst"] => ["Instant transfer", "Echtzeitüberweisung"],
        _ => return None,
    };
    Some(match lang {
        Lang::En => en,
        Lang::De => de,
    })
}
