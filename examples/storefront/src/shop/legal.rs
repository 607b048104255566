//! What a shop has to say of itself and of its sales, each on a page of its own.

use super::words::Words;

/// One of these pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// The terms of sale.
    Terms,
    /// What becomes of data about people.
    Privacy,
    /// How to withdraw.
    Withdrawal,
    /// Who sells.
    Imprint,
}

impl Leaf {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Terms, Self::Withdrawal, Self::Privacy, Self::Imprint];

    /// Where it is.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Terms => "/terms",
            Self::Privacy => "/privacy",
            Self::Withdrawal => "/withdrawal",
            Self::Imprint => "/imprint",
        }
    }

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> Words {
        match self {
            Self::Terms => Words("Terms", "AGB"),
            Self::Privacy => Words("Privacy notice", "Datenschutz"),
            Self::Withdrawal => Words("Right of withdrawal", "Widerrufsrecht"),
            Self::Imprint => Words("Imprint", "Impressum"),
        }
    }

    /// What it says, paragraph by paragraph.
    #[must_use]
    pub const fn text(self) -> &'static [Words] {
        match self {
            Self::Terms => &[
                Words(
                    "You buy from Blatt & Rebe GmbH. The contract is made when you press the button that says so; the page after it \
                     confirms the order.",
                    "Sie kaufen bei der Blatt & Rebe GmbH. Der Vertrag kommt zustande, wenn Sie den Knopf drücken, auf dem das steht; die \
                     Seite danach bestätigt die Bestellung.",
                ),
                Words(
                    "Prices include tax and delivery within the European Union. You pay by transfer, and the parcel leaves when the \
                     money has come. What is not paid within the time on your order's page is cancelled.",
                    "Die Preise enthalten Mehrwertsteuer und Versand in der Europäischen Union. Sie zahlen per Überweisung, und das Paket \
                     geht los, sobald das Geld da ist. Was in der Frist auf der Seite Ihrer Bestellung nicht bezahlt ist, wird storniert.",
                ),
                Words(
                    "Wine is sold to adults alone. What is faulty is put right as the law says.",
                    "Wein wird nur an Erwachsene verkauft. Für Mängel haften wir nach dem Gesetz.",
                ),
            ],
            Self::Privacy => &[
                Words(
                    "Responsible is Blatt & Rebe GmbH, whose address stands in the imprint. We set no cookie and count no visitor. Your \
                     basket stands in the address of the page.",
                    "Verantwortlich ist die Blatt & Rebe GmbH, deren Anschrift im Impressum steht. Wir setzen keinen Cookie und zählen \
                     keine Besucher. Ihr Korb steht in der Adresse der Seite.",
                ),
                Words(
                    "For an order we keep what was sold and what was paid for it as long as the law on accounts wants it, and the address \
                     of the parcel until nobody needs it (GDPR, Art. 6(1)(b) and (c)). For ten minutes we know by a checksum that the \
                     same was ordered before, so that nothing is ordered twice by mistake.",
                    "Zu einer Bestellung heben wir auf, was verkauft und dafür bezahlt wurde, so lange das Gesetz für Bücher es verlangt, und \
                     die Anschrift des Pakets, bis niemand sie mehr braucht (DSGVO, Art. 6 Abs. 1 b und c). Zehn Minuten lang wissen wir an \
                     einer Prüfsumme, dass dasselbe schon bestellt wurde, damit nichts versehentlich doppelt bestellt wird.",
                ),
                Words(
                    "What your wallet shows us stands under “My data”, where you can also be forgotten. You may ask what we know of you, \
                     have it corrected or erased, and complain to the authority for data protection.",
                    "Was Ihre Wallet uns zeigt, steht unter „Meine Daten“, wo Sie sich auch vergessen lassen können. Sie dürfen fragen, was \
                     wir über Sie wissen, es berichtigen oder löschen lassen und sich bei der Aufsichtsbehörde beschweren.",
                ),
            ],
            Self::Withdrawal => &[
                Words(
                    "Consumers may withdraw from the contract within fourteen days after the last goods have arrived, without a reason: by \
                     the button on your order's page, or by any clear statement to us.",
                    "Verbraucher können den Vertrag binnen vierzehn Tagen nach Ankunft der letzten Ware ohne Angabe von Gründen widerrufen: \
                     mit dem Knopf auf der Seite der Bestellung oder durch jede eindeutige Erklärung an uns.",
                ),
                Words(
                    "You get back what you paid, the delivery included, within fourteen days after your statement; we may wait for the \
                     goods. Send them within fourteen days. The return costs you the postage.",
                    "Sie erhalten binnen vierzehn Tagen nach Ihrer Erklärung zurück, was Sie gezahlt haben, den Versand eingeschlossen; auf die \
                     Ware dürfen wir warten. Senden Sie sie binnen vierzehn Tagen zurück. Das Porto der Rücksendung tragen Sie.",
                ),
            ],
            Self::Imprint => &[
                Words(
                    "Blatt & Rebe GmbH, Rebenweg 3, 67346 Speyer, Germany. VAT id DE123456789.",
                    "Blatt & Rebe GmbH, Rebenweg 3, 67346 Speyer, Deutschland. USt-IdNr. DE123456789.",
                ),
                Words(
                    "A demonstration: this company is made up, and nothing is really sold.",
                    "Eine Vorführung: Diese Firma ist erfunden, und verkauft wird nichts.",
                ),
            ],
        }
    }
}
