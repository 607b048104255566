//! What the merchant's desk shows and is told.

use std::fmt;

use serde::Deserialize;

use super::{
    after::Thing,
    database::{
        sales::{Sale, Steps},
        stock::Stock,
    },
    order::{Drawing, OrderSummary, OrderView, OwedBecause, OwedState},
    words::Words,
};

/// The desk: what is open, and what it takes.
#[derive(Clone, Debug)]
pub struct DeskView {
    /// The token of the page's forms: a form sent twice does its work once.
    pub form: String,
    /// What has just happened.
    pub notice: Option<Notice>,
    /// What is to be packed, those who have waited longest first.
    pub to_send: Vec<PackView>,
    /// Orders that somebody still has to pay, or to be asked about.
    pub open: Vec<OrderSummary>,
    /// What was typed about a transfer, on a page that comes back.
    pub typed: TransferForm,
    /// Transfers without an order.
    pub unmatched: Vec<UnmatchedView>,
    /// Orders with a withdrawal that waits to be settled.
    pub withdrawn: Vec<OrderSummary>,
    /// Money to be sent back.
    pub owed: Vec<DeskOwed>,
    /// The files of repayments that were made for the bank, the newest first.
    pub files: Vec<String>,
    /// The day that a new file proposes for the bank to carry it out: `2026-11-23`.
    pub file_on: String,
    /// What purchases took: guests, first, returning.
    pub steps: [Steps; 3],
    /// What stands on the shelf.
    pub stock: Stock,
}

/// An order that is to be packed.
#[derive(Clone, Debug)]
pub struct PackView {
    /// The order.
    pub order: OrderSummary,
    /// What is still to be sent of it.
    pub things: Vec<Thing>,
}

/// What the desk wants to know of whoever is on the telephone.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct CallForm {
    /// The token of the form.
    pub form: String,
    /// Why it is asked.
    pub purpose: String,
    /// What both screens show.
    pub message: String,
}

/// The question who is on the telephone or at the counter.
#[derive(Clone, Debug)]
pub struct CallView {
    /// The token of the page's forms.
    pub form: String,
    /// How far it is.
    pub state: CallState,
    /// Where the number is typed, as a code to scan at the counter.
    pub qr: Option<Drawing>,
}

/// How far a question at the desk is.
#[derive(Clone)]
pub enum CallState {
    /// It is not asked yet.
    Ask {
        /// Whether what was typed cannot be shown to a customer.
        unreadable: bool,
    },
    /// The number is being said.
    Waiting {
        /// What the desk looks with.
        ticket: String,
        /// The number.
        number: String,
        /// Where it is typed.
        link: String,
    },
    /// The customer has proved who they are.
    Known {
        /// The name under which they are known.
        customer: String,
        /// By what.
        rung: &'static str,
        /// Until when the desk sees it, in seconds since 1970.
        until_s: i64,
    },
    /// The customer said no.
    Refused,
    /// Nobody answered in time.
    Over,
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallState([redacted])")
    }
}

/// All orders.
#[derive(Clone, Debug)]
pub struct DeskOrders {
    /// The orders, the newest first.
    pub orders: Vec<OrderSummary>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// A sale, as the desk shows it.
#[derive(Clone, Debug)]
pub struct DeskSale {
    /// The order; its door does not matter here.
    pub order: OrderView,
    /// The name under which the customer is known; `None` for a guest.
    pub customer: Option<String>,
    /// The token of the page's forms.
    pub form: String,
    /// What has just happened.
    pub notice: Option<Notice>,
    /// Whether something may be sent: it is paid, or promised.
    pub may_send: bool,
    /// What can still be refunded, in euro cents.
    pub refundable_minor: i64,
    /// The amount that was typed, on a page that comes back.
    pub typed: String,
    /// What was asked of the customer for it.
    pub asked: Vec<AskedView>,
    /// What is kept of it.
    pub kept: Vec<KeptView>,
    /// What it took.
    pub sale: Option<Sale>,
}

/// One thing that a wallet was asked for a sale.
#[derive(Clone, Debug)]
pub struct AskedView {
    /// The ask: `age`, `address`.
    pub ask: String,
    /// Why.
    pub purpose: String,
    /// When it was answered, in seconds since 1970.
    pub at_s: i64,
}

/// One thing that is kept of a sale.
#[derive(Clone, Debug)]
pub struct KeptView {
    /// What.
    pub what: KeptWhat,
    /// Until when, in seconds since 1970; `None` for the books, which are kept as long as the law says.
    pub until_s: Option<i64>,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptWhat {
    /// What was sold, for how much, and what came for it.
    Order,
    /// The address of the parcel.
    Address,
    /// That the customer is an adult, and when that was shown.
    Adult,
    /// Who paid, and from which account.
    Payer,
}

impl KeptWhat {
    /// A few words for it.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::Order => Words("What was sold, and what came for it", "Was verkauft wurde, und was dafür kam"),
            Self::Address => Words("The address of the parcel", "Die Anschrift des Pakets"),
            Self::Adult => Words(
                "That the customer is an adult, and when that was shown",
                "Dass der Kunde erwachsen ist, und wann er es zeigte",
            ),
            Self::Payer => Words("Who paid, and from which account", "Wer bezahlt hat, und von welchem Konto"),
        }
    }
}

/// A transfer that belongs to no order.
#[derive(Clone, Debug)]
pub struct UnmatchedView {
    /// Its name in forms.
    pub transfer: String,
    /// How much, in euro cents.
    pub amount_minor: i64,
    /// What stood on the statement.
    pub reference: String,
    /// Who sent it.
    pub payer: String,
    /// From which account, if the bank said so.
    pub payer_iban: Option<String>,
    /// When it was booked, in seconds since 1970.
    pub booked_s: i64,
    /// Why it waits, if not because it names no order.
    pub why: Option<Words>,
}

/// Money to be sent back.
#[derive(Clone, Debug)]
pub struct DeskOwed {
    /// Its name in forms.
    pub id: String,
    /// The order, by name and number, if there is one.
    pub order: Option<(String, String)>,
    /// How much, in euro cents.
    pub amount_minor: i64,
    /// Why.
    pub because: OwedBecause,
    /// How far it is.
    pub state: OwedState,
    /// To whom.
    pub payee: Option<String>,
    /// To which account.
    pub iban: Option<String>,
    /// What to write on the transfer.
    pub reference: String,
    /// Whether it stands in a file for the bank.
    pub filed: bool,
}

/// The form that books a transfer, as typed from the bank's statement.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct TransferForm {
    /// The token of the form.
    pub form: String,
    /// The bank's number of the transfer: the same one is booked once.
    pub transfer: String,
    /// The amount.
    pub amount: String,
    /// What stands on the statement.
    pub reference: String,
    /// Who sent it.
    pub payer: String,
    /// From which account; may be empty.
    pub payer_iban: String,
}

impl fmt::Debug for TransferForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransferForm").field("transfer", &self.transfer).finish_non_exhaustive()
    }
}

/// The form that says what becomes of an unmatched transfer.
#[derive(Clone, Debug, Deserialize)]
pub struct UnmatchedForm {
    /// The token of the form.
    pub form: String,
    /// Which: [`UnmatchedView::transfer`].
    pub transfer: String,
    /// What becomes of it.
    pub act: UnmatchedAct,
    /// The number of the order, if it belongs to one.
    #[serde(default)]
    pub number: String,
}

/// What becomes of an unmatched transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnmatchedAct {
    /// It belongs to an order.
    Assign,
    /// It was sent back.
    SentBack,
    /// It is the same money as one that was booked.
    Same,
}

/// The form that carries a repayment out, or says that it is done.
#[derive(Clone, Debug, Deserialize)]
pub struct OwedForm {
    /// The token of the form.
    pub form: String,
    /// Which: [`DeskOwed::id`].
    pub owed: String,
    /// What was done.
    pub act: OwedAct,
    /// Whose account it goes to, if that is what is said.
    #[serde(default)]
    pub name: String,
    /// The account.
    #[serde(default)]
    pub iban: String,
}

/// What was done about money to be sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwedAct {
    /// The customer has told, by letter or in person, where it is to go.
    Account,
    /// The bank was told.
    CarryOut,
    /// It has left the account.
    Done,
    /// The bank did not take the file that it stands in.
    Reopen,
}

/// What a statement of the bank did.
#[derive(Clone, Debug)]
pub struct ReportView {
    /// What became of how many of its movements.
    pub counts: Vec<(Words, usize)>,
    /// Those that somebody has to look at.
    pub looks: Vec<ReportLine>,
    /// Those that were booked, or are done.
    pub done: Vec<ReportLine>,
}

/// One movement of a statement.
#[derive(Clone, Debug)]
pub struct ReportLine {
    /// Which entry of the file.
    pub place: u32,
    /// How much, as it is read: `14,80 €`.
    pub amount: String,
    /// What became of it.
    pub words: Words,
    /// The order that it is about.
    pub order: Option<String>,
}

/// The form that makes a file of repayments for the bank.
#[derive(Clone, Debug, Deserialize)]
pub struct FileForm {
    /// The token of the form.
    pub form: String,
    /// When the bank is to carry it out: `2026-11-23`.
    pub on: String,
    /// Whether the bank takes the old version of 2009 alone.
    #[serde(default)]
    pub old: Option<String>,
}

/// The form that refunds.
#[derive(Clone, Debug, Deserialize)]
pub struct RefundForm {
    /// The token of the form.
    pub form: String,
    /// How much, as typed.
    pub amount: String,
}

/// What the desk says after a form. It stands in the address (`?said=booked`), so that a reload says it again and does
/// nothing again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A transfer was booked, and its order is paid.
    Paid,
    /// A transfer was booked, and its order is not paid in full.
    PartlyPaid,
    /// A transfer was booked, and something of it goes back.
    Excess,
    /// A transfer was booked for which no order was found.
    Unmatched,
    /// The transfer was booked before; nothing changed.
    Again,
    /// An unmatched transfer was given to an order.
    Assigned,
    /// An unmatched transfer is marked as sent back.
    MarkedSentBack,
    /// Where a repayment goes is known now.
    AccountNoted,
    /// A repayment is under way.
    CarriedOut,
    /// A repayment is done.
    Done,
    /// A refund is owed now.
    Refunded,
    /// A parcel is on its way.
    ParcelSent,
    /// A parcel has arrived.
    ParcelArrived,
    /// A withdrawal is settled.
    WithdrawalSettled,
    /// The parcel holds nothing that is to be sent, or its texts cannot be shown.
    ParcelUnfit,
    /// The amount cannot be read.
    AmountUnreadable,
    /// The bank's number is missing.
    TransferMissing,
    /// The IBAN is none.
    IbanUnreadable,
    /// The bank's number was booked before, with another amount or reference.
    TransferDiffers,
    /// There is no order of that number.
    NumberUnknown,
    /// More was to be refunded than was received.
    RefundTooLarge,
    /// The file is no statement that can be read.
    StatementUnreadable,
    /// The statement is another account's.
    StatementOfOther,
    /// The day cannot be read.
    DayUnreadable,
    /// No repayment is ready for a file.
    NothingToFile,
    /// A transfer is marked as known by another name.
    MarkedSame,
    /// A repayment was taken out of its file.
    Reopened,
    /// Nobody knows where the money is to go.
    AccountUnknown,
    /// The form is too old, or was used for something else.
    FormOver,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 29] = [
        Self::Paid,
        Self::PartlyPaid,
        Self::Excess,
        Self::Unmatched,
        Self::Again,
        Self::Assigned,
        Self::MarkedSentBack,
        Self::AccountNoted,
        Self::CarriedOut,
        Self::Done,
        Self::Refunded,
        Self::ParcelSent,
        Self::ParcelArrived,
        Self::WithdrawalSettled,
        Self::ParcelUnfit,
        Self::AmountUnreadable,
        Self::TransferMissing,
        Self::IbanUnreadable,
        Self::TransferDiffers,
        Self::NumberUnknown,
        Self::RefundTooLarge,
        Self::StatementUnreadable,
        Self::StatementOfOther,
        Self::DayUnreadable,
        Self::NothingToFile,
        Self::MarkedSame,
        Self::Reopened,
        Self::AccountUnknown,
        Self::FormOver,
    ];

    /// The notice of a tag.
    #[must_use]
    pub fn of_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.tag() == tag)
    }

    /// Its name in addresses.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::PartlyPaid => "partly_paid",
            Self::Excess => "excess",
            Self::Unmatched => "unmatched",
            Self::Again => "again",
            Self::Assigned => "assigned",
            Self::MarkedSentBack => "marked_sent_back",
            Self::AccountNoted => "account_noted",
            Self::CarriedOut => "carried_out",
            Self::Done => "done",
            Self::Refunded => "refunded",
            Self::ParcelSent => "parcel_sent",
            Self::ParcelArrived => "parcel_arrived",
            Self::WithdrawalSettled => "withdrawal_settled",
            Self::ParcelUnfit => "parcel_unfit",
            Self::AmountUnreadable => "amount_unreadable",
            Self::TransferMissing => "transfer_missing",
            Self::IbanUnreadable => "iban_unreadable",
            Self::TransferDiffers => "transfer_differs",
            Self::NumberUnknown => "number_unknown",
            Self::RefundTooLarge => "refund_too_large",
            Self::StatementUnreadable => "statement_unreadable",
            Self::StatementOfOther => "statement_of_other",
            Self::DayUnreadable => "day_unreadable",
            Self::NothingToFile => "nothing_to_file",
            Self::MarkedSame => "marked_same",
            Self::Reopened => "reopened",
            Self::AccountUnknown => "account_unknown",
            Self::FormOver => "form_over",
        }
    }

    /// Whether nothing was done.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(
            self,
            Self::AmountUnreadable
                | Self::TransferMissing
                | Self::IbanUnreadable
                | Self::TransferDiffers
                | Self::NumberUnknown
                | Self::RefundTooLarge
                | Self::StatementUnreadable
                | Self::StatementOfOther
                | Self::DayUnreadable
                | Self::NothingToFile
                | Self::AccountUnknown
                | Self::ParcelUnfit
                | Self::FormOver
        )
    }

    /// What it says.
    #[must_use]
    pub const fn words(self) -> Words {
        match self {
            Self::Paid => Words("Booked. The order is paid.", "Gebucht. Die Bestellung ist bezahlt."),
            Self::PartlyPaid => Words(
                "Booked. The order is not paid in full yet.",
                "Gebucht. Die Bestellung ist noch nicht ganz bezahlt.",
            ),
            Self::Excess => Words(
                "Booked. It was more than was open; the rest stands under “Refunds”.",
                "Gebucht. Es war mehr, als offen war; der Rest steht unter „Erstattungen“.",
            ),
            Self::Unmatched => Words(
                "Booked, but no order has that reference. It stands under “Transfers without an order”.",
                "Gebucht, aber keine Bestellung hat diesen Verwendungszweck. Sie steht unter „Überweisungen ohne Bestellung“.",
            ),
            Self::Again => Words(
                "This transfer was booked before. Nothing changed.",
                "Diese Überweisung war schon gebucht. Nichts hat sich geändert.",
            ),
            Self::Assigned => {
                Words("The transfer now belongs to that order.", "Die Überweisung gehört jetzt zu dieser Bestellung.")
            }
            Self::MarkedSentBack => Words("Marked as sent back.", "Als zurückgezahlt vermerkt."),
            Self::AccountNoted => Words("Noted: it goes to that account.", "Vermerkt: Es geht an dieses Konto."),
            Self::CarriedOut => Words(
                "Noted: you transfer it yourself. Nothing has been sent yet.",
                "Vermerkt: Sie überweisen es selbst. Noch ist nichts gesendet.",
            ),
            Self::Done => Words("Noted: the money has left.", "Vermerkt: Das Geld ist abgegangen."),
            Self::Refunded => Words(
                "The refund is owed now and stands under “Refunds”.",
                "Die Erstattung ist jetzt geschuldet und steht unter „Erstattungen“.",
            ),
            Self::ParcelSent => Words("Noted: the parcel is on its way.", "Vermerkt: Das Paket ist unterwegs."),
            Self::ParcelArrived => Words("Noted: the parcel has arrived.", "Vermerkt: Das Paket ist angekommen."),
            Self::WithdrawalSettled => Words(
                "The withdrawal is settled. What goes back stands under “Refunds”.",
                "Der Widerruf ist erledigt. Was zurückgeht, steht unter „Erstattungen“.",
            ),
            Self::ParcelUnfit => Words(
                "Nothing was noted: say what is in the parcel, at most what is still to be sent, and an address that begins with https.",
                "Nichts wurde vermerkt: Bitte sagen Sie, was im Paket ist, höchstens was noch fehlt, und eine Adresse mit https.",
            ),
            Self::AmountUnreadable => Words(
                "That is no amount that we can read. Write it as 28.50, without dots between thousands.",
                "Diesen Betrag können wir nicht lesen. Schreiben Sie ihn als 28,50, ohne Punkte zwischen Tausendern.",
            ),
            Self::TransferMissing => Words(
                "The bank’s number of the transfer is missing: by it we know that it is booked only once.",
                "Die Nummer der Überweisung bei der Bank fehlt: An ihr erkennen wir, dass sie nur einmal gebucht wird.",
            ),
            Self::IbanUnreadable => Words(
                "These are no name and IBAN of an account. Leave the IBAN empty if there is none.",
                "Das sind kein Name und keine IBAN eines Kontos. Lassen Sie die IBAN leer, wenn es keine gibt.",
            ),
            Self::TransferDiffers => Words(
                "A transfer of that number is booked already, and it reads otherwise. Nothing changed: look at the statement again.",
                "Eine Überweisung mit dieser Nummer ist schon gebucht und lautet anders. Nichts hat sich geändert: Bitte sehen Sie noch \
                 einmal auf den Auszug.",
            ),
            Self::NumberUnknown => {
                Words("There is no order of that number.", "Eine Bestellung mit dieser Nummer gibt es nicht.")
            }
            Self::RefundTooLarge => Words(
                "That is more than can be refunded. Nothing changed.",
                "Das ist mehr, als erstattet werden kann. Nichts hat sich geändert.",
            ),
            Self::StatementUnreadable => Words(
                "That file is no statement that we can read, or not whole. Nothing was booked: hand in camt.053, camt.054 or CSV-CAMT, as \
                 the bank gives it out.",
                "Diese Datei ist kein Auszug, den wir lesen können, oder nicht ganz. Nichts wurde gebucht: Bitte reichen Sie camt.053, \
                 camt.054 oder CSV-CAMT ein, wie die Bank es herausgibt.",
            ),
            Self::StatementOfOther => Words(
                "That is the statement of another account. Nothing was booked.",
                "Das ist der Auszug eines anderen Kontos. Nichts wurde gebucht.",
            ),
            Self::DayUnreadable => {
                Words("That is no day. Nothing changed.", "Das ist kein Tag. Nichts hat sich geändert.")
            }
            Self::NothingToFile => Words(
                "No repayment waits for a file: each stands in one, or nobody knows its account.",
                "Keine Rückzahlung wartet auf eine Datei: Jede steht in einer, oder niemand kennt ihr Konto.",
            ),
            Self::MarkedSame => {
                Words("Noted: it is the same money as before.", "Vermerkt: Es ist dasselbe Geld wie zuvor.")
            }
            Self::Reopened => Words(
                "Noted: the bank did not carry it out. It may stand in the next file.",
                "Vermerkt: Die Bank hat es nicht ausgeführt. Es kann in der nächsten Datei stehen.",
            ),
            Self::AccountUnknown => Words(
                "Nobody has told us yet where this money is to go.",
                "Noch hat uns niemand gesagt, wohin dieses Geld soll.",
            ),
            Self::FormOver => Words(
                "That form was too old or already used. Nothing changed: please do it again below.",
                "Dieses Formular war zu alt oder schon benutzt. Nichts hat sich geändert: Bitte füllen Sie es unten noch einmal aus.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_comes_back_from_its_address() {
        for notice in Notice::ALL {
            assert_eq!(Notice::of_tag(notice.tag()), Some(notice));
        }
        assert_eq!(Notice::of_tag("<script>"), None);
    }
}
