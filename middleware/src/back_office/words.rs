//! What the pages say, in English and German.

mod acknowledged;
mod happened;
mod told;

use firsthand::{
    merchant::{Became, Order, Refund, WaitsBecause},
    order::{AdjustmentReason, AdjustmentState, Attempt, Fulfilment, OrderState, RefundReason, RefundState},
    rail::{
        ActOutcome, Outcome, WalletRail,
        sepa::{self, LeftOutBecause},
    },
};
use http::StatusCode;

pub(super) use self::{acknowledged::acknowledgement, happened::happened, told::told};
use super::html::{Html, html};
use crate::lang::Lang;

/// English and German.
pub(super) type Words = (&'static str, &'static str);

/// What was done, by the tag that stands in the address.
pub(super) fn done(tag: &str) -> Option<Words> {
    Some(match tag {
        "cancelled" => (
            "The order is called off. What was paid stands under “Refunds”.",
            "Die Bestellung ist storniert. Was bezahlt war, steht unter „Erstattungen“.",
        ),
        "refunded" => (
            "The refund is owed now and stands under “Refunds”.",
            "Die Erstattung ist jetzt geschuldet und steht unter „Erstattungen“.",
        ),
        "captured" => (
            "The payment provider was told to collect it. What came of it stands below under “Payments”.",
            "Der Zahlungsanbieter wurde beauftragt, es einzuziehen. Was daraus wurde, steht unten unter „Zahlungen“.",
        ),
        "closed" => (
            "Nothing more will be collected: the order is paid as far as it will be.",
            "Es wird nichts mehr eingezogen: Die Bestellung ist bezahlt, so weit sie es wird.",
        ),
        "let_go" => (
            "It may be sent: it stands under “To send”.",
            "Es darf gesendet werden: Die Bestellung steht unter „Zu versenden“.",
        ),
        "released" => {
            ("What was left of the authorisation is given up.", "Was von der Zusage übrig war, ist freigegeben.")
        }
        "decided" => ("Noted. The order goes on from there.", "Vermerkt. Die Bestellung geht von dort weiter."),
        "parcel_sent" => (
            "Noted: it has left the shop, and the customer sees it.",
            "Vermerkt: Es hat den Shop verlassen, und der Kunde sieht es.",
        ),
        "parcel_delivered" => (
            "Noted: it has arrived. The time to withdraw runs once everything has.",
            "Vermerkt: Es ist angekommen. Die Widerrufsfrist läuft, sobald alles da ist.",
        ),
        "adjusted" => (
            "Noted. What goes back for it stands under “Refunds”.",
            "Vermerkt. Was dafür zurückgeht, steht unter „Erstattungen“.",
        ),
        "withdrawn" => (
            "Noted: the customer has withdrawn. Send them the acknowledgement that stands below at once; settle it there, too.",
            "Vermerkt: Der Kunde hat widerrufen. Senden Sie ihm sofort die Bestätigung, die unten steht; abrechnen können Sie dort auch.",
        ),
        "settled" => (
            "The withdrawal is settled. What goes back for it stands under “Refunds”.",
            "Der Widerruf ist abgerechnet. Was dafür zurückgeht, steht unter „Erstattungen“.",
        ),
        "received" => (
            "It is on the shelf. The same item of the same delivery note counts once.",
            "Es ist im Bestand. Derselbe Artikel desselben Lieferscheins zählt einmal.",
        ),
        "counted" => ("So many can be had from now on.", "So viele sind ab jetzt zu haben."),
        "named" => ("Noted: it goes to that account.", "Vermerkt: Es geht an dieses Konto."),
        "sent" => (
            "The payment provider was told to send it back. How far it is stands here until it is done.",
            "Der Zahlungsanbieter wurde beauftragt, es zurückzuzahlen. Wie weit das ist, steht hier, bis es erledigt ist.",
        ),
        "by_hand" => (
            "Noted: you transfer it yourself. Nothing has been sent yet: what to transfer stands below.",
            "Vermerkt: Sie überweisen es selbst. Noch ist nichts gesendet: Was zu überweisen ist, steht unten.",
        ),
        "sent_by_hand" => ("Noted: the money has left.", "Vermerkt: Das Geld ist abgegangen."),
        "reopened" => (
            "Noted: the bank did not carry it out. It may stand in the next file.",
            "Vermerkt: Die Bank hat es nicht ausgeführt. Es kann in der nächsten Datei stehen.",
        ),
        "booked" => ("Booked to its order:", "Zur Bestellung gebucht:"),
        "booked_unmatched" => (
            "Booked, but no order has that reference: it waits below.",
            "Gebucht, aber keine Bestellung hat diesen Verwendungszweck: Sie wartet unten.",
        ),
        "booked_before" => (
            "This transfer was booked before. Nothing changed.",
            "Diese Überweisung war schon gebucht. Nichts hat sich geändert.",
        ),
        "assigned" => ("The transfer now belongs to this order:", "Die Überweisung gehört jetzt zu dieser Bestellung:"),
        "returned" => ("Noted: it was sent back.", "Vermerkt: Sie wurde zurückgezahlt."),
        "same" => ("Noted: it is no payment of its own.", "Vermerkt: Sie ist keine eigene Zahlung."),
        "replayed" => {
            ("It is sent once more in the next round.", "Es wird in der nächsten Runde noch einmal gesendet.")
        }
        "enabled" => (
            "It is sent what happens from now on. Send below what it missed.",
            "Ihm wird gesendet, was von nun an geschieht. Senden Sie unten, was er verpasst hat.",
        ),
        _ => return None,
    })
}

/// Why nothing was done, by the code of the refusal.
pub(super) fn trouble(code: &str, status: StatusCode) -> Words {
    match code {
        "form_over" => (
            "That form was too old or already used. Nothing changed: please do it again below.",
            "Dieses Formular war zu alt oder schon benutzt. Nichts hat sich geändert: Bitte füllen Sie es unten noch einmal aus.",
        ),
        "not_sure" => (
            "Please tick that you are sure. Nothing changed.",
            "Bitte bestätigen Sie, dass Sie sicher sind. Nichts hat sich geändert.",
        ),
        "amount_unreadable" | "no_amount" => (
            "That is no amount that we can read. Write it as 28.50, without anything between thousands.",
            "Diesen Betrag können wir nicht lesen. Schreiben Sie ihn als 28,50, ohne etwas zwischen Tausendern.",
        ),
        "count_unreadable" => {
            ("That is no number of things. Write it as 3.", "Das ist keine Anzahl. Schreiben Sie sie als 3.")
        }
        "invalid_parts" => (
            "Say of at least one item how many. Nothing changed.",
            "Sagen Sie mindestens bei einem Artikel, wie viele. Nichts hat sich geändert.",
        ),
        "no_such_item" => (
            "That item is not in this order. Nothing changed.",
            "Dieser Artikel ist nicht in dieser Bestellung. Nichts hat sich geändert.",
        ),
        "more_than_bought" => (
            "That is more than there is left of it in this order. Nothing changed.",
            "Das ist mehr, als davon in dieser Bestellung übrig ist. Nichts hat sich geändert.",
        ),
        "key_differs" => (
            "That was said before, and otherwise. Nothing changed: what stands counts.",
            "Das wurde schon gesagt, und zwar anders. Nichts hat sich geändert: Es gilt, was hier steht.",
        ),
        "not_to_be_sent" => (
            "Nobody has paid or promised to pay: nothing is sent yet.",
            "Niemand hat gezahlt oder es zugesagt: Noch wird nichts gesendet.",
        ),
        "sending_stopped" => (
            "This order is stopped: money for it was taken back, goes back, or will not come. Look at it first.",
            "Diese Bestellung ist angehalten: Geld dafür wurde zurückgeholt, geht zurück oder kommt nicht. Sehen Sie erst nach.",
        ),
        "taken_already" => (
            "The payment provider has taken this money back by itself: send nothing. If it is settled, say that it is done.",
            "Der Zahlungsanbieter hat dieses Geld selbst zurückgeholt: Senden Sie nichts. Ist es erledigt, bestätigen Sie das.",
        ),
        "invalid_parcel" => (
            "The carrier and the tracking number are up to 64 characters each, and the address of a page about it begins with https.",
            "Versender und Sendungsnummer haben je bis zu 64 Zeichen, und die Adresse einer Seite dazu beginnt mit https.",
        ),
        "no_such_parcel" => ("No such parcel was sent.", "Ein solches Paket wurde nicht gesendet."),
        "no_such_withdrawal" => ("There is no such withdrawal.", "Einen solchen Widerruf gibt es nicht."),
        "withdrawal_over" => (
            "The time to withdraw from that is over. You may take it back all the same: as an adjustment.",
            "Die Frist, das zu widerrufen, ist um. Sie können es trotzdem zurücknehmen: als Änderung.",
        ),
        "withdrawal_exempt" => (
            "There is no right to withdraw from that. You may take it back all the same: as an adjustment.",
            "Dafür gibt es kein Widerrufsrecht. Sie können es trotzdem zurücknehmen: als Änderung.",
        ),
        "after_sale_full" => (
            "So many parcels, adjustments or withdrawals are kept of no order. Nothing changed.",
            "So viele Pakete, Änderungen oder Widerrufe hat keine Bestellung. Nichts hat sich geändert.",
        ),
        "item_unreadable" => (
            "Name the item (up to 64 characters), and the delivery note (up to 128). Nothing was counted.",
            "Nennen Sie den Artikel (bis zu 64 Zeichen) und den Lieferschein (bis zu 128). Nichts wurde gezählt.",
        ),
        "item_not_on_shelf" => (
            "No such item was ever on the shelf. Choose one that is, or tick that it is new. Nothing was counted.",
            "Einen solchen Artikel gab es noch nie im Bestand. Wählen Sie einen vorhandenen, oder bestätigen Sie, dass er neu ist. Nichts wurde gezählt.",
        ),
        "stock_moved" => (
            "Some were sold or came in since you looked. Nothing changed: please count again.",
            "Seit Sie nachgesehen haben, wurde davon verkauft oder geliefert. Nichts hat sich geändert: Bitte zählen Sie noch einmal.",
        ),
        "account_unreadable" => {
            ("These are no name and IBAN of an account.", "Das sind kein Name und keine IBAN eines Kontos.")
        }
        "iban_mistyped" => (
            "The IBAN has a slip in it: its check digits do not fit. Compare it figure by figure. Nothing changed.",
            "In der IBAN ist ein Tippfehler: Die Prüfziffern passen nicht. Vergleichen Sie sie Zeichen für Zeichen. Nichts hat sich geändert.",
        ),
        "iban_incomplete" => (
            "The IBAN is too short, too long, or has a letter in the wrong place. A German one has DE and 20 figures. Nothing changed.",
            "Die IBAN ist zu kurz, zu lang oder hat einen Buchstaben am falschen Platz. Eine deutsche hat DE und 20 Ziffern. Nichts hat sich geändert.",
        ),
        "iban_elsewhere" => (
            "The IBAN has to begin with the two letters of a country of the SEPA area, such as DE or AT. Nothing changed.",
            "Die IBAN muss mit den zwei Buchstaben eines Landes im SEPA-Raum beginnen, etwa DE oder AT. Nichts hat sich geändert.",
        ),
        "transfer_missing" => (
            "The bank’s number of the transfer is missing: by it we know that it is booked only once.",
            "Die Nummer der Überweisung bei der Bank fehlt: An ihr erkennen wir, dass sie nur einmal gebucht wird.",
        ),
        "day_unreadable" => {
            ("That is no day. Write it as 2026-11-23.", "Das ist kein Tag. Schreiben Sie ihn als 2026-11-23.")
        }
        "period_backwards" => (
            "That period ends before it begins. No file was made.",
            "Dieser Zeitraum endet, bevor er beginnt. Es wurde keine Datei erstellt.",
        ),
        "not_found" => ("There is no such page.", "Eine solche Seite gibt es nicht."),
        "method_not_allowed" => (
            "That page takes no such request. Nothing changed.",
            "Diese Seite nimmt eine solche Anfrage nicht an. Nichts hat sich geändert.",
        ),
        "act_unknown" => (
            "That form asks for nothing that can be done here. Nothing changed.",
            "Dieses Formular verlangt nichts, was hier geht. Nichts hat sich geändert.",
        ),
        "statement_unreadable" | "body_too_large" => (
            "That file is no statement that we can read, or not whole. Nothing was booked: hand in camt.053, camt.054 or CSV-CAMT, as the bank gives it out.",
            "Diese Datei ist kein Auszug, den wir lesen können, oder nicht ganz. Nichts wurde gebucht: Bitte reichen Sie camt.053, camt.054 oder CSV-CAMT ein, wie die Bank es herausgibt.",
        ),
        "statement_other_account" => (
            "That is the statement of another account. Nothing was booked.",
            "Das ist der Auszug eines anderen Kontos. Nichts wurde gebucht.",
        ),
        "no_such_order" => ("There is no such order.", "Eine solche Bestellung gibt es nicht."),
        "no_such_transfer" | "transfer_differs" => (
            "That transfer does not wait any more, or it reads otherwise. Nothing changed: look at the list again.",
            "Diese Überweisung wartet nicht mehr oder lautet anders. Nichts hat sich geändert: Bitte sehen Sie noch einmal auf die Liste.",
        ),
        "transfer_number_used" => (
            "That number is booked already, with another amount or other words: if it waits below, assign it there. Nothing changed.",
            "Diese Nummer ist schon gebucht, mit anderem Betrag oder anderem Text: Wartet sie unten, ordnen Sie sie dort zu. Nichts hat sich geändert.",
        ),
        "nothing_owed" => (
            "There is no such refund. Nothing changed.",
            "Eine solche Erstattung gibt es nicht. Nichts hat sich geändert.",
        ),
        "nothing_to_file" => (
            "No refund waits for a file: each stands in one, or nobody knows its account.",
            "Keine Erstattung wartet auf eine Datei: Jede steht in einer, oder niemand kennt ihr Konto.",
        ),
        "no_such_refund_file" => ("There is no such file.", "Eine solche Datei gibt es nicht."),
        "no_such_webhook" => {
            ("The shop has no endpoint of that name any more.", "Der Shop hat keinen Empfänger dieses Namens mehr.")
        }
        "no_such_rail" => (
            "The shop has no account or payment of that kind.",
            "Der Shop hat kein Konto oder keinen Zahlungsweg dieser Art.",
        ),
        "refund_too_large" => (
            "That is more than can be refunded. Nothing changed.",
            "Das ist mehr, als erstattet werden kann. Nichts hat sich geändert.",
        ),
        "order_not_paid" => (
            "Only a paid order is refunded. Nothing changed.",
            "Nur eine bezahlte Bestellung wird erstattet. Nichts hat sich geändert.",
        ),
        "capture_too_large" => (
            "That is more than can be collected. Nothing changed.",
            "Das ist mehr, als eingezogen werden kann. Nichts hat sich geändert.",
        ),
        "nothing_captured" => (
            "Nothing was collected yet: cancel the order instead.",
            "Es wurde noch nichts eingezogen: Stornieren Sie die Bestellung stattdessen.",
        ),
        "already_paid" => {
            ("The order is paid: refund it instead.", "Die Bestellung ist bezahlt: Erstatten Sie sie stattdessen.")
        }
        "order_over" => ("The order is over.", "Die Bestellung ist beendet."),
        "payment_under_way" | "payment_in_doubt" => (
            "A payment of this order is under way or in doubt: wait until that is known, or decide it below.",
            "Eine Zahlung dieser Bestellung läuft oder ist ungewiss: Warten Sie, bis es feststeht, oder entscheiden Sie es unten.",
        ),
        "not_in_doubt" => (
            "That is not in doubt any more. Nothing changed.",
            "Das ist nicht mehr ungewiss. Nichts hat sich geändert.",
        ),
        "already_refunded" => (
            "This was refunded, or is on its way. Nothing changed.",
            "Das wurde erstattet oder ist unterwegs. Nichts hat sich geändert.",
        ),
        "refund_account_unknown" => (
            "Nobody has told us yet where this money is to go.",
            "Noch hat uns niemand gesagt, wohin dieses Geld soll.",
        ),
        "refund_not_begun" => (
            "Begin this refund first: that settles the account that it goes to.",
            "Beginnen Sie diese Erstattung zuerst: Damit steht fest, an welches Konto sie geht.",
        ),
        "refund_differs" | "capture_differs" | "refund_file_differs" => (
            "That form was used for something else. Nothing changed: please do it again below.",
            "Dieses Formular war schon für etwas anderes benutzt. Nichts hat sich geändert: Bitte füllen Sie es unten noch einmal aus.",
        ),
        _ if status.is_server_error() => (
            "That did not work, and it is not your fault. Try again later; the log says more.",
            "Das hat nicht geklappt, und es liegt nicht an Ihnen. Versuchen Sie es später; im Protokoll steht mehr.",
        ),
        _ => (
            "That cannot be done from where it stands now. Nothing changed.",
            "Das geht von hier aus jetzt nicht. Nichts hat sich geändert.",
        ),
    }
}

/// Where an order stands.
pub(super) const fn state(state: OrderState) -> Words {
    match state {
        OrderState::Placed => ("Placed", "Bestellt"),
        OrderState::Paying => ("Payment under way", "Zahlung läuft"),
        OrderState::Authorised => ("Payment authorised", "Zahlung zugesagt"),
        OrderState::Paid => ("Paid", "Bezahlt"),
        OrderState::Declined => ("Payment declined", "Zahlung abgelehnt"),
        OrderState::Unknown => ("Payment in doubt", "Zahlung ungewiss"),
        OrderState::Cancelled => ("Cancelled", "Storniert"),
        OrderState::Expired => ("Expired", "Verfallen"),
        _ => ("In another state", "In einem anderen Zustand"),
    }
}

/// Where this order stands: who transfers by hand is waited for, and a part of it may be there.
pub(super) fn state_of(order: &Order) -> Words {
    let by_transfer = order.attempts().last().is_some_and(|attempt| attempt.rail == sepa::ID);
    match order.state() {
        OrderState::Paying if !order.ledger().received.is_zero() => ("Partly paid", "Teilweise bezahlt"),
        OrderState::Paying if by_transfer => ("Waiting for the transfer", "Überweisung erwartet"),
        other => state(other),
    }
}

/// The states by their names in addresses.
pub(super) const STATES: [OrderState; 8] = [
    OrderState::Placed,
    OrderState::Paying,
    OrderState::Authorised,
    OrderState::Paid,
    OrderState::Declined,
    OrderState::Unknown,
    OrderState::Cancelled,
    OrderState::Expired,
];

/// How much of an order has been sent.
pub(super) const fn fulfilment(fulfilment: Fulfilment) -> Words {
    match fulfilment {
        Fulfilment::NotSent => ("Nothing was sent yet", "Noch nichts gesendet"),
        Fulfilment::Partly => ("Sent in part", "Zum Teil gesendet"),
        Fulfilment::Sent => ("Sent", "Gesendet"),
        Fulfilment::Delivered => ("Arrived", "Angekommen"),
        _ => ("Otherwise", "Anders"),
    }
}

/// The reasons that a merchant can give by themselves.
pub(super) const REASONS: [AdjustmentReason; 4] = [
    AdjustmentReason::Returned,
    AdjustmentReason::NotSupplied,
    AdjustmentReason::Damaged,
    AdjustmentReason::PriceCorrection,
];

/// Why an order is adjusted.
pub(super) const fn adjusted(reason: AdjustmentReason) -> Words {
    match reason {
        AdjustmentReason::Withdrawn => ("The customer withdrew from it", "Der Kunde hat es widerrufen"),
        AdjustmentReason::Returned => ("Taken back", "Zurückgenommen"),
        AdjustmentReason::NotSupplied => ("Cannot be supplied", "Nicht lieferbar"),
        AdjustmentReason::Damaged => {
            ("Damaged; the customer keeps it for less", "Beschädigt; der Kunde behält es für weniger")
        }
        AdjustmentReason::PriceCorrection => ("Price corrected", "Preis berichtigt"),
        _ => ("For another reason", "Aus einem anderen Grund"),
    }
}

/// How far an adjustment has come.
pub(super) const fn adjustment_state(state: AdjustmentState) -> Words {
    match state {
        AdjustmentState::Owed => ("to be sent back", "zurückzuzahlen"),
        AdjustmentState::UnderWay => ("on its way back", "auf dem Rückweg"),
        AdjustmentState::Done => ("done", "erledigt"),
        _ => ("in another state", "in einem anderen Zustand"),
    }
}

/// Why money goes back. What goes back after the sale says so in the beginning of its key.
pub(super) fn reason(refund: &Refund) -> Words {
    match refund.reason() {
        RefundReason::Overpaid => ("came too much, twice or too late", "kam zu viel, doppelt oder zu spät"),
        RefundReason::OrderEnded => {
            ("the order is over, and a part was paid", "die Bestellung ist beendet, und ein Teil war bezahlt")
        }
        RefundReason::Requested => after_sale(refund.key()),
        _ => ("for another reason", "aus einem anderen Grund"),
    }
}

/// Why money goes back that the merchant decided to give back, by the key of the refund.
fn after_sale(key: &str) -> Words {
    match key.split_once('/') {
        Some(("withdrawn", _)) => ("the customer withdrew from it", "der Kunde hat es widerrufen"),
        Some(("adjusted", _)) => ("taken back, or made cheaper", "zurückgenommen oder nachgelassen"),
        _ => ("you decided so", "von Ihnen erstattet"),
    }
}

/// How far a refund has come.
pub(super) const fn refund_state(state: RefundState) -> Words {
    match state {
        RefundState::Owed => ("to be sent", "zu senden"),
        RefundState::Sending => ("being sent", "wird gesendet"),
        RefundState::InDoubt => {
            ("in doubt: the payment provider is asked", "ungewiss: Der Zahlungsanbieter wird gefragt")
        }
        RefundState::ByHand => ("with you: not transferred yet", "bei Ihnen: noch nicht überwiesen"),
        RefundState::Done => ("done", "erledigt"),
        _ => ("in another state", "in einem anderen Zustand"),
    }
}

/// By which way somebody pays.
pub(super) fn rail(lang: Lang, id: &str) -> Html {
    match id {
        sepa::ID => html!("{}", lang.say("Bank transfer", "Überweisung")),
        WalletRail::ID => html!("{}", lang.say("Payment by wallet", "Zahlung mit der Wallet")),
        other => html!("{} <code>{}</code>", lang.say("Payment by", "Zahlung über"), other),
    }
}

/// How an attempt to pay went, as far as it matters by now: nobody waits for it on an order that is settled.
pub(super) fn stands(lang: Lang, order: &Order, attempt: &Attempt) -> Html {
    let words = match &attempt.outcome {
        None | Some(Outcome::Pending | Outcome::Continue(_)) if order.state() == OrderState::Paid => {
            ("the order is paid", "die Bestellung ist bezahlt")
        }
        None | Some(Outcome::Pending | Outcome::Continue(_)) if order.state().is_over() => {
            ("not paid in time", "nicht rechtzeitig bezahlt")
        }
        None => ("no answer yet", "noch keine Antwort"),
        Some(Outcome::Authorised { .. }) => ("authorised", "zugesagt"),
        Some(Outcome::Paid) => ("paid", "bezahlt"),
        Some(Outcome::Pending) => ("waits for the customer", "wartet auf den Kunden"),
        Some(Outcome::Continue(_)) => ("the customer pays at the provider", "der Kunde zahlt beim Anbieter"),
        Some(Outcome::Declined(code)) => return declined(lang, code.as_str()),
        Some(Outcome::Unknown) => ("in doubt", "ungewiss"),
        Some(_) => ("something else", "etwas anderes"),
    };
    html!("{}", lang.say(words.0, words.1))
}

/// That it was declined, with the code of whoever declined folded away.
fn declined(lang: Lang, code: &str) -> Html {
    html!(
        "{} <details><summary>{}</summary><code>{}</code></details>",
        lang.say("declined", "abgelehnt"),
        lang.say("code of the payment provider", "Code des Zahlungsanbieters"),
        code
    )
}

/// What a rail said of a capture, or of giving up.
pub(super) fn act_outcome(lang: Lang, outcome: Option<&ActOutcome>) -> Html {
    let words = match outcome {
        None => ("no answer yet", "noch keine Antwort"),
        Some(ActOutcome::Done) => ("done", "erledigt"),
        Some(ActOutcome::UnderWay) => ("under way", "läuft"),
        Some(ActOutcome::Declined(code)) => return declined(lang, code.as_str()),
        Some(ActOutcome::Unknown) => ("in doubt", "ungewiss"),
        Some(_) => ("something else", "etwas anderes"),
    };
    html!("{}", lang.say(words.0, words.1))
}

/// Why a transfer waits.
pub(super) const fn waits(why: WaitsBecause) -> Words {
    match why {
        WaitsBecause::NoOrder => ("No order has that reference", "Keine Bestellung hat diesen Verwendungszweck"),
        WaitsBecause::Differs => (
            "The bank used its number for another transfer before",
            "Die Bank hat ihre Nummer schon für eine andere Überweisung benutzt",
        ),
        WaitsBecause::MaybeSame => (
            "It may be booked already, from another kind of file",
            "Sie ist vielleicht schon gebucht, aus einer anderen Art von Datei",
        ),
        WaitsBecause::CameBack => {
            ("It came back, or the bank took it back", "Sie kam zurück, oder die Bank hat sie zurückgenommen")
        }
        WaitsBecause::Batch => (
            "It is several payments that the bank does not tell apart",
            "Es sind mehrere Zahlungen, die die Bank nicht einzeln nennt",
        ),
        _ => ("Somebody has to look at it", "Jemand muss sie ansehen"),
    }
}

/// What became of a line of a statement.
pub(super) const fn became(became: &Became) -> Words {
    match became {
        Became::Booked { .. } => ("Booked", "Gebucht"),
        Became::Known => ("Booked before", "Schon gebucht"),
        Became::Waits { why, .. } => waits(*why),
        Became::RefundDone { .. } => ("A refund that has left", "Eine Erstattung, die abgegangen ist"),
        Became::RefundTwice { .. } => ("Refunded twice: ask for it back", "Zweimal erstattet: bitte zurückfordern"),
        Became::RefundReturned { .. } => {
            ("A refund came back: name another account", "Eine Erstattung kam zurück: bitte ein anderes Konto nennen")
        }
        Became::RefundDiffers { .. } => ("A refund of another amount", "Eine Erstattung über einen anderen Betrag"),
        Became::TakenBack { .. } => ("The bank took a payment back", "Die Bank hat eine Zahlung zurückgenommen"),
        Became::Outgoing => ("Left the account otherwise", "Sonst abgegangen"),
        Became::LeftOut(LeftOutBecause::NotBooked) => ("Not booked by the bank yet", "Von der Bank noch nicht gebucht"),
        _ => ("Nothing to book", "Nichts zu buchen"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_an_address_says_nothing_of_its_own() {
        assert!(done("cancelled").is_some());
        for unknown in ["", "<script>", "Cancelled", "paid%20twice"] {
            assert_eq!(done(unknown), None);
        }
    }

    #[test]
    fn whatever_is_refused_after_the_sale_has_words_of_its_own() {
        let otherwise = trouble("nobody_knows", StatusCode::CONFLICT);
        for code in [
            "invalid_parts",
            "no_such_item",
            "more_than_bought",
            "key_differs",
            "not_to_be_sent",
            "sending_stopped",
            "taken_already",
            "invalid_parcel",
            "no_such_parcel",
            "no_such_withdrawal",
            "withdrawal_over",
            "withdrawal_exempt",
            "after_sale_full",
            "item_unreadable",
            "item_not_on_shelf",
            "stock_moved",
            "count_unreadable",
        ] {
            assert_ne!(trouble(code, StatusCode::CONFLICT), otherwise, "{code}");
        }
        for tag in ["parcel_sent", "parcel_delivered", "adjusted", "withdrawn", "settled", "received", "counted"] {
            assert!(done(tag).is_some(), "{tag}");
        }
        for reason in REASONS.into_iter().chain([AdjustmentReason::Withdrawn]) {
            assert_ne!(adjusted(reason), ("For another reason", "Aus einem anderen Grund"), "{reason:?}");
        }
    }

    #[test]
    fn every_state_has_words() {
        for one in STATES {
            assert_ne!(state(one), ("In another state", "In einem anderen Zustand"), "{one:?}");
        }
    }
}
