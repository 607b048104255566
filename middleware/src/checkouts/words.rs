//! What the checkout page says, in English and German: messages by their code, rails, countries and amounts.

use firsthand::{
    checkout::{Message, MessageCode},
    order::Address,
};

use crate::lang::Lang;

/// A message, in the customer's language. What another version of the library said stays English.
pub(super) fn message(lang: Lang, message: &Message) -> String {
    match lang {
        Lang::En => message.text.clone(),
        Lang::De => german(message).unwrap_or_else(|| message.text.clone()),
    }
}

/// What it says in German: each code of the library has its text here, and nowhere else.
fn german(message: &Message) -> Option<String> {
    let text = match (message.code, message.count) {
        (MessageCode::QuantityTooLarge, Some(most)) => return Some(format!("Höchstens {most} davon auf einmal.")),
        (MessageCode::QuantityTooLarge, None) => "Das ist zu viel auf einmal.",
        (MessageCode::OutOfStock, Some(left @ 1..)) => return Some(format!("Davon sind nur noch {left} da.")),
        (MessageCode::OutOfStock, _) => "Das ist ausverkauft.",
        (MessageCode::ItemUnavailable, _) => "Das wird nicht mehr verkauft. Bitte entfernen Sie es.",
        (MessageCode::ProofNeeded, _) => "Das muss Ihre Wallet zeigen.",
        (MessageCode::DiscountCodeInvalid, _) => "Dieses Wort gibt hier keinen Rabatt.",
        (MessageCode::DiscountCodesClosed, _) => {
            "Zu viele Rabattwörter waren falsch: Für diese Bestellung werden keine neuen mehr angenommen."
        }
        (MessageCode::DiscountForCustomers, _) => {
            "Diesen Rabatt gibt es einmal pro Kundin oder Kunde: Zeigen Sie, wer Sie sind."
        }
        (MessageCode::DiscountUsed, _) => "Dieser Rabatt wurde schon genutzt.",
        (MessageCode::AddressMissing, _) => "Wohin soll es gehen?",
        (MessageCode::NotSentThere, _) => "Dorthin wird das nicht geschickt.",
        (MessageCode::TooHeavy, Some(grams)) => {
            let most = weight(grams);
            return Some(format!("Das ist zu schwer, um es auf einmal dorthin zu schicken: höchstens {most}."));
        }
        (MessageCode::TooHeavy, None) => "Das ist zu schwer, um es auf einmal dorthin zu schicken.",
        (MessageCode::VatIdNotTaken, _) => {
            "Diese USt-IdNr. ändert nichts, wohin das geht: Die Steuer wird wie üblich berechnet."
        }
        (MessageCode::WayChanged, _) => "So wird es nicht mehr verschickt: Bitte wählen Sie neu.",
        (MessageCode::AddressElsewhere, _) => {
            "An diese Anschrift kostet der Versand etwas anderes: Bitte sehen Sie noch einmal hin."
        }
        (MessageCode::PaymentExpired, _) => "Die Zahlung kam nicht rechtzeitig. Es wurde nichts abgebucht.",
        (MessageCode::PaymentWithdrawn, _) => "Sie haben die Zahlung abgebrochen. Es wurde nichts bezahlt.",
        (MessageCode::PaymentDeclined, _) => "Die Zahlung wurde abgelehnt. Bitte wählen Sie einen anderen Weg.",
        (MessageCode::OrderCancelled, _) => "Die Bestellung wurde zurückgenommen.",
        (MessageCode::OfferChanged, _) => "Preise oder Bestand haben sich geändert: Bitte sehen Sie noch einmal hin.",
        (MessageCode::Interrupted, _) => "Das wurde unterbrochen, und nichts wurde bezahlt. Bitte noch einmal.",
        (MessageCode::StockUnknown, _) => "Der Shop konnte seinen Bestand nicht prüfen. Bitte noch einmal.",
        // The list may grow: a test looks for a text of each.
        _ => return None,
    };
    Some(text.to_owned())
}

/// A weight as people say it in German: `500 g`, `20 kg`, `31,5 kg`.
fn weight(grams: u32) -> String {
    match (grams / 1_000, grams % 1_000) {
        (0, grams) => format!("{grams} g"),
        (whole, 0) => format!("{whole} kg"),
        (whole, rest) => format!("{whole},{} kg", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// What a rail is called where the merchant does not say.
pub(super) fn rail(lang: Lang, id: &str) -> String {
    match id {
        "sepa" => lang.say("Bank transfer", "Überweisung"),
        "psp" => lang.say("Online payment", "Online bezahlen"),
        "fake" => lang.say("Test payment", "Testzahlung"),
        "wallet" => lang.say("With your wallet", "Mit Ihrer Wallet"),
        other => other,
    }
    .to_owned()
}

/// What follows from choosing it.
pub(super) fn rail_note(lang: Lang, id: &str) -> Option<&'static str> {
    Some(match id {
        "sepa" => lang.say(
            "You see where to transfer the money after you have ordered.",
            "Wohin Sie überweisen, sehen Sie nach der Bestellung.",
        ),
        "psp" => lang.say(
            "You pay on the page of the payment provider, and come back.",
            "Sie bezahlen auf der Seite des Zahlungsdienstes und kommen zurück.",
        ),
        _ => return None,
    })
}

/// The countries of the European Economic Area, Switzerland and the United Kingdom: code, English, German.
#[rustfmt::skip]
pub(super) const EUROPE: [(&str, &str, &str); 32] = [
    ("DE", "Germany", "Deutschland"), ("AT", "Austria", "Österreich"), ("CH", "Switzerland", "Schweiz"),
    ("BE", "Belgium", "Belgien"), ("BG", "Bulgaria", "Bulgarien"), ("CY", "Cyprus", "Zypern"),
    ("CZ", "Czechia", "Tschechien"), ("DK", "Denmark", "Dänemark"), ("EE", "Estonia", "Estland"),
    ("ES", "Spain", "Spanien"), ("FI", "Finland", "Finnland"), ("FR", "France", "Frankreich"),
    ("GB", "United Kingdom", "Vereinigtes Königreich"), ("GR", "Greece", "Griechenland"), ("HR", "Croatia", "Kroatien"),
    ("HU", "Hungary", "Ungarn"), ("IE", "Ireland", "Irland"), ("IS", "Iceland", "Island"), ("IT", "Italy", "Italien"),
    ("LI", "Liechtenstein", "Liechtenstein"), ("LT", "Lithuania", "Litauen"), ("LU", "Luxembourg", "Luxemburg"),
    ("LV", "Latvia", "Lettland"), ("MT", "Malta", "Malta"), ("NL", "Netherlands", "Niederlande"),
    ("NO", "Norway", "Norwegen"), ("PL", "Poland", "Polen"), ("PT", "Portugal", "Portugal"),
    ("RO", "Romania", "Rumänien"), ("SE", "Sweden", "Schweden"), ("SI", "Slovenia", "Slowenien"),
    ("SK", "Slovakia", "Slowakei"),
];

/// Some more that shops send to.
#[rustfmt::skip]
const ELSEWHERE: [(&str, &str, &str); 8] = [
    ("AU", "Australia", "Australien"), ("BR", "Brazil", "Brasilien"), ("CA", "Canada", "Kanada"),
    ("JP", "Japan", "Japan"), ("NZ", "New Zealand", "Neuseeland"), ("TR", "Türkiye", "Türkei"),
    ("UA", "Ukraine", "Ukraine"), ("US", "United States", "Vereinigte Staaten"),
];

/// What a country is called; its code where we have no name.
pub(super) fn country(lang: Lang, code: &str) -> String {
    let named = EUROPE.iter().chain(&ELSEWHERE).find(|(known, _, _)| *known == code);
    named.map_or(code, |(_, english, german)| lang.say(english, german)).to_owned()
}

/// An address as a page shows it, with the name of its country.
pub(crate) fn address_lines(lang: Lang, address: &Address) -> Vec<String> {
    let mut lines = address.lines();
    lines.pop();
    lines.push(country(lang, &address.country));
    lines
}

/// A percentage as people write it.
pub(super) fn percent(lang: Lang, rate: &str) -> String {
    match lang {
        Lang::En => format!("{rate}%"),
        Lang::De => format!("{}\u{a0}%", rate.replace('.', ",")),
    }
}

/// A text in groups of four, as account numbers are read.
pub(super) fn grouped(text: &str) -> String {
    let chars: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    chars.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(code: &str, count: Option<u32>) -> Message {
        let text = "In English.";
        serde_json::from_value(json!({"severity": "warning", "code": code, "count": count, "text": text})).unwrap()
    }

    #[test]
    fn each_message_is_said_in_german() {
        for code in MessageCode::ALL {
            for count in [None, Some(0), Some(3)] {
                let message = stored(code.as_str(), count);
                assert!(german(&message).is_some_and(|text| !text.is_empty()), "{code} has no German text");
                assert_eq!(super::message(Lang::En, &message), "In English.");
            }
        }
        assert_eq!(message(Lang::De, &stored("out_of_stock", Some(3))), "Davon sind nur noch 3 da.");
        assert_eq!(message(Lang::De, &stored("out_of_stock", Some(0))), "Das ist ausverkauft.");
        let heavy = |grams| message(Lang::De, &stored("too_heavy", Some(grams)));
        assert!(heavy(31_500).ends_with("höchstens 31,5 kg.") && heavy(500).ends_with("höchstens 500 g."));
        assert!(heavy(20_000).ends_with("höchstens 20 kg.") && heavy(2_050).ends_with("höchstens 2,05 kg."));
        assert_eq!(message(Lang::De, &stored("moon_too_bright", None)), "In English.", "a code of another version");
    }

    #[test]
    fn rates_and_countries_are_written_as_people_do() {
        assert_eq!((percent(Lang::En, "5.5").as_str(), percent(Lang::De, "5.5").as_str()), ("5.5%", "5,5\u{a0}%"));
        assert_eq!(grouped("DE8937 0400440532013000"), "DE89 3704 0044 0532 0130 00");
        assert_eq!((country(Lang::De, "AT").as_str(), country(Lang::En, "ZZ").as_str()), ("Österreich", "ZZ"));
        let address = |country: &str| Address {
            name: "Anna".into(),
            street: "Ring 1".into(),
            postal_code: "1010".into(),
            locality: "Wien".into(),
            country: country.into(),
        };
        assert_eq!(address_lines(Lang::De, &address("AT")), ["Anna", "Ring 1", "1010 Wien", "Österreich"]);
        assert_eq!(address_lines(Lang::De, &address("ZZ"))[3], "ZZ");
    }
}
