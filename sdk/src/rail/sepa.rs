//! SEPA credit transfers: the rail that needs nobody but a bank account.
//!
//! The customer transfers the money from their own bank: by a QR code that banks' apps read (EPC069-12), by a `payto:`
//! link (RFC 8905), or by typing what the page shows. Nobody stands between, and nobody tells us either: the merchant
//! books what arrived, by its [`Reference`], from the bank's [`Statement`]. What goes back is a file of transfers for that
//! bank ([`PainVersion`]).

mod camt;
mod csv;
pub(crate) mod pain;
pub(crate) mod statement;
mod xml;

use std::{fmt, str::FromStr};

pub use self::{
    csv::{CsvFormat, DayForm},
    pain::PainVersion,
    statement::{
        Direction, FILE_BYTES_MAX, LeftOut, LeftOutBecause, MOVEMENTS_MAX, Movement, MovementKind, Party, Statement,
        StatementError, StatementSource,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    CannotCollect, Means, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest, Rail, RefundOutcome,
    RefundRequest,
    reference::{Reference, compact, has_good_check_digits, in_fours},
};
use crate::{
    money::{Currency, Money},
    qr,
    time::UnixTime,
};

/// The name of this rail.
pub const ID: &str = "sepa";

/// An account number (ISO 13616) of a country in the Single Euro Payments Area: the country's structure and the check
/// digits hold. Whether the account exists, the bank alone knows.
///
/// In JSON it is the text without spaces. Its `Debug` shows the country and nothing else.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Iban(String);

impl Iban {
    /// Without spaces, as a machine reads it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// In groups of four, as a person reads it.
    #[must_use]
    pub fn printed(&self) -> String {
        in_fours(&self.0)
    }

    /// What tells one's own accounts apart and gives none away: `DE89 **** 3000`.
    #[must_use]
    pub fn masked(&self) -> String {
        let (first, last) = (self.0.get(..4), self.0.len().checked_sub(4).and_then(|at| self.0.get(at..)));
        format!("{} **** {}", first.unwrap_or_default(), last.unwrap_or_default())
    }

    /// The two letters of its country.
    #[must_use]
    pub fn country(&self) -> &str {
        self.0.get(..2).unwrap_or_default()
    }
}

impl FromStr for Iban {
    type Err = SepaError;

    /// Reads it as people type it: spaces and small letters do not matter.
    fn from_str(text: &str) -> Result<Self, SepaError> {
        let text = compact(text).ok_or(SepaError::IbanLength)?;
        let country = text.get(..2).unwrap_or_default();
        let account = text.get(4..).unwrap_or_default();
        let (_, structure) = STRUCTURES.iter().find(|(code, _)| *code == country).ok_or(SepaError::IbanCountry)?;
        let kinds = || structure.iter().flat_map(|&(count, kind)| std::iter::repeat_n(kind, count));
        if account.chars().count() != kinds().count() {
            return Err(SepaError::IbanLength);
        }
        if !account.chars().zip(kinds()).all(|(c, kind)| kind.holds(c)) {
            return Err(SepaError::IbanStructure);
        }
        if has_good_check_digits(&text) { Ok(Self(text)) } else { Err(SepaError::IbanCheckDigits) }
    }
}

impl TryFrom<String> for Iban {
    type Error = SepaError;

    fn try_from(text: String) -> Result<Self, SepaError> {
        text.parse()
    }
}

impl From<Iban> for String {
    fn from(iban: Iban) -> Self {
        iban.0
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({}[redacted])", self.country())
    }
}

/// The name of a bank (ISO 9362): 8 or 11 capital letters and digits. Within the European Economic Area the account
/// number says it already.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bic(String);

impl Bic {
    /// As a machine reads it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Bic {
    type Err = SepaError;

    /// Reads it as people type it: spaces and small letters do not matter.
    fn from_str(text: &str) -> Result<Self, SepaError> {
        let text = compact(text).ok_or(SepaError::Bic)?;
        let alphanumeric = text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        let country = text.get(4..6).is_some_and(|country| country.bytes().all(|b| b.is_ascii_uppercase()));
        if matches!(text.len(), 8 | 11) && alphanumeric && country { Ok(Self(text)) } else { Err(SepaError::Bic) }
    }
}

impl TryFrom<String> for Bic {
    type Error = SepaError;

    fn try_from(text: String) -> Result<Self, SepaError> {
        text.parse()
    }
}

impl From<Bic> for String {
    fn from(bic: Bic) -> Self {
        bic.0
    }
}

/// Payment by transfer: to whom, and how long we wait for it.
///
/// ```
/// use firsthand::{
///     money::{Currency, Money},
///     rail::{reference::Reference, sepa::Sepa},
///     time::UnixTime,
/// };
///
/// let sepa = Sepa::new("Weingut Sonnberg GmbH", "DE89 3704 0044 0532 0130 00")?;
/// let now = UnixTime::from_secs(1_795_000_000);
/// let reference = Reference::from_random([7; 8]); // from the random bytes of an order
/// let transfer = sepa.transfer(Money::parse("23.80", Currency::EUR)?, &reference, sepa.due_at(now))?;
/// assert!(transfer.payto().starts_with("payto://iban/DE89370400440532013000?amount=EUR:23.80&"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sepa {
    payee: String,
    iban: Iban,
    bic: Option<Bic>,
    due_s: u64,
    grace_s: u64,
}

/// How long a customer has to pay unless the merchant says otherwise: two weeks, as invoices have it.
const DUE_S: u64 = 14 * 24 * 3600;

/// How long we wait beyond that: a transfer that was sent on the last day is under way over a weekend and holidays.
const GRACE_S: u64 = 7 * 24 * 3600;

/// The longest name of a payee, in characters (EPC069-12, 2: AT-21).
const MAX_PAYEE_CHARS: usize = 70;

/// The largest amount of one transfer, in cents: 999,999,999.99 EUR (EPC069-12, 2: AT-04).
const MAX_CENTS: i64 = 99_999_999_999;

/// The largest QR code, and with it 331 bytes of text (EPC069-12, 2).
const MAX_QR_VERSION: i16 = 13;

impl Sepa {
    /// Money goes to this account. `payee` is the name of its holder as the bank knows it, 1 to 70 characters: since
    /// October 2025 the customer's bank compares the two and warns its customer if they differ (Verification of Payee).
    ///
    /// Letters of the languages of Europe, digits, spaces within, and `/ - ? : ( ) . , ' + &`.
    ///
    /// # Errors
    /// [`SepaError::Payee`], or what is wrong with the account number.
    pub fn new(payee: impl Into<String>, iban: &str) -> Result<Self, SepaError> {
        let payee = payee.into();
        check_name(&payee)?;
        Ok(Self { payee, iban: iban.parse()?, bic: None, due_s: DUE_S, grace_s: GRACE_S })
    }

    /// Names the bank, for customers whose bank is outside the European Economic Area.
    ///
    /// # Errors
    /// [`SepaError::Bic`].
    pub fn bic(self, bic: &str) -> Result<Self, SepaError> {
        Ok(Self { bic: Some(bic.parse()?), ..self })
    }

    /// How long a customer has to pay, in seconds. Two weeks unless said here.
    #[must_use]
    pub const fn due_s(mut self, due_s: u64) -> Self {
        self.due_s = due_s;
        self
    }

    /// How much longer we wait for what may be under way, in seconds. A week unless said here.
    #[must_use]
    pub const fn grace_s(mut self, grace_s: u64) -> Self {
        self.grace_s = grace_s;
        self
    }

    /// The bank, where the merchant named it.
    #[must_use]
    pub const fn bank(&self) -> Option<&Bic> {
        self.bic.as_ref()
    }

    /// Who is paid.
    #[must_use]
    pub fn payee(&self) -> &str {
        &self.payee
    }

    /// The account.
    #[must_use]
    pub const fn iban(&self) -> &Iban {
        &self.iban
    }

    /// Until when an attempt that begins now is to be paid.
    #[must_use]
    pub const fn due_at(&self, begun_at: UnixTime) -> UnixTime {
        begun_at.plus_s(self.due_s)
    }

    /// How long we wait for an attempt in all, in seconds.
    #[must_use]
    pub const fn patience_s(&self) -> u64 {
        self.due_s.saturating_add(self.grace_s)
    }

    /// What the customer is asked to transfer.
    ///
    /// # Errors
    /// [`SepaError::OtherCurrency`], or [`SepaError::Amount`] below 0.01 or above 999,999,999.99.
    pub fn transfer(
        &self,
        amount: Money,
        reference: &Reference,
        due_at: UnixTime,
    ) -> Result<TransferRequest, SepaError> {
        check_amount(amount)?;
        Ok(TransferRequest {
            payee: self.payee.clone(),
            iban: self.iban.clone(),
            bic: self.bic.clone(),
            amount,
            reference: reference.clone(),
            due_at,
        })
    }
}

impl Rail for Sepa {
    fn id(&self) -> &'static str {
        ID
    }

    fn means(&self) -> Means {
        Means::CreditTransfer
    }

    fn patience_s(&self) -> u64 {
        Self::patience_s(self)
    }

    fn takes(&self, amount: Money) -> Result<(), CannotCollect> {
        check_amount(amount).map_err(|error| CannotCollect { rail: ID, amount, reason: error.to_string() })
    }

    /// What is still to come, to be there by [`Sepa::due_s`].
    fn transfer(&self, payment: &PaymentRequest, outstanding: Money) -> Option<TransferRequest> {
        Self::transfer(self, outstanding, &payment.reference, self.due_at(payment.begun_at)).ok()
    }

    fn account(&self) -> Option<&Sepa> {
        Some(self)
    }

    /// Nothing is to be done: the customer transfers, and the merchant books.
    async fn pay(&self, _: &PaymentRequest) -> Outcome {
        Outcome::Pending
    }

    async fn inquire(&self, _: &PaymentRequest) -> Outcome {
        Outcome::Pending
    }

    /// An instruction to the merchant, who carries it out at the bank and says so.
    async fn refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    async fn inquire_refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    /// None: what arrived is booked by the merchant, never by a message from the network.
    async fn notice(&self, _: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        Err(NoticeError::NoNotices)
    }
}

/// Whether an account's holder can be named so.
///
/// # Errors
/// [`SepaError::Payee`].
pub(crate) fn check_name(name: &str) -> Result<(), SepaError> {
    let length = (1..=MAX_PAYEE_CHARS).contains(&name.chars().count());
    if length && name.trim() == name && name.chars().all(is_of_a_name) { Ok(()) } else { Err(SepaError::Payee) }
}

/// A name as a transfer takes it: other characters are left out, and what is too long is cut.
pub(crate) fn fitting_name(name: &str) -> String {
    let fits: String = name.chars().filter(|c| is_of_a_name(*c)).take(MAX_PAYEE_CHARS).collect();
    fits.trim().to_owned()
}

pub(crate) fn check_amount(amount: Money) -> Result<(), SepaError> {
    if amount.currency() != Currency::EUR {
        return Err(SepaError::OtherCurrency { found: amount.currency() });
    }
    if !(1..=MAX_CENTS).contains(&amount.minor()) {
        return Err(SepaError::Amount { amount });
    }
    Ok(())
}

/// A transfer that a customer is asked to make, in every form in which a bank takes it. Made by [`Sepa::transfer`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferRequest {
    /// Who is paid.
    pub payee: String,
    /// The account.
    pub iban: Iban,
    /// The bank, where the merchant named it.
    pub bic: Option<Bic>,
    /// How much, in euro.
    pub amount: Money,
    /// By what it is known when it arrives.
    pub reference: Reference,
    /// Until when.
    pub due_at: UnixTime,
}

impl TransferRequest {
    /// The text of the QR code (EPC069-12, version 2.1, 2): at most 331 bytes, lines ended by a line feed alone, and
    /// nothing after the last element that is there.
    #[must_use]
    pub fn epc_qr_text(&self) -> String {
        let amount = format!("EUR{}", self.amount.decimal());
        [
            "BCD",                                     // service tag
            "002",                                     // version: the bank need not be named
            "1",                                       // UTF-8
            "SCT",                                     // a SEPA credit transfer
            self.bic.as_ref().map_or("", Bic::as_str), // AT-23
            &self.payee,                               // AT-21
            self.iban.as_str(),                        // AT-20
            &amount,                                   // AT-04
            "",                                        // AT-44, a purpose: none
            self.reference.as_str(),                   // AT-05, structured: then there is no text
        ]
        .join("\n")
    }

    /// The QR code as an image: error level M, at most version 13 (EPC069-12, 2), black on its own white ground with
    /// the quiet zone inside, so that it reads on a dark page too. One path, no script, no size of its own.
    ///
    /// # Errors
    /// [`SepaError::QrTooLarge`], for no transfer that [`Sepa::transfer`] made.
    pub fn epc_qr_svg(&self) -> Result<String, SepaError> {
        let code = qr::code(self.epc_qr_text().as_bytes(), MAX_QR_VERSION).ok_or(SepaError::QrTooLarge)?;
        Ok(qr::svg(&code, "EPC QR"))
    }

    /// All of it as a link: the target `iban`, with the options amount, name and message (RFC 8905, 2 and 5).
    #[must_use]
    pub fn payto(&self) -> String {
        let bic = self.bic.as_ref().map(|bic| format!("{}/", bic.as_str())).unwrap_or_default();
        format!(
            "payto://iban/{bic}{}?amount=EUR:{}&receiver-name={}&message={reference}&instruction={reference}",
            self.iban.as_str(),
            self.amount.decimal(),
            percent_encoded(&self.payee),
            reference = self.reference.as_str(),
        )
    }
}

/// Why a transfer cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SepaError {
    /// The name of the payee does not fit into a transfer.
    #[error("the payee must be the account's name: 1 to 70 letters, digits, spaces within, and / - ? : ( ) . , ' + &")]
    Payee,
    /// An account of a country that is not in the area, or no account number at all.
    #[error("the account number must begin with a country of the Single Euro Payments Area")]
    IbanCountry,
    /// Too short or too long for its country.
    #[error("the account number has not the length that its country gives it")]
    IbanLength,
    /// A letter where its country has a digit, or the other way round.
    #[error("the account number has not the structure that its country gives it")]
    IbanStructure,
    /// Something was mistyped.
    #[error("the check digits of the account number do not fit")]
    IbanCheckDigits,
    /// Not the name of a bank.
    #[error("not a BIC: 8 or 11 letters and digits, the fifth and sixth a country")]
    Bic,
    /// Transfers are in euro.
    #[error("a SEPA transfer is in EUR, not in {found}")]
    OtherCurrency {
        /// The currency asked for.
        found: Currency,
    },
    /// Nothing, or too much for one transfer.
    #[error("a SEPA transfer is of 0.01 to 999999999.99 EUR, not of {amount}")]
    Amount {
        /// The amount asked for.
        amount: Money,
    },
    /// The text does not fit into a QR code that banks read.
    #[error("the text does not fit into a QR code of version 13")]
    QrTooLarge,
}

impl SepaError {
    /// A stable name for logs, metrics and tests.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Payee => "sepa_payee",
            Self::IbanCountry => "iban_country",
            Self::IbanLength => "iban_length",
            Self::IbanStructure => "iban_structure",
            Self::IbanCheckDigits => "iban_check_digits",
            Self::Bic => "bic_malformed",
            Self::OtherCurrency { .. } => "sepa_currency",
            Self::Amount { .. } => "sepa_amount",
            Self::QrTooLarge => "sepa_qr_too_large",
        }
    }
}

/// The characters of a name: those that every bank takes (EPC132-08, 1.4), and the letters of Europe's languages and the
/// ampersand of companies, which a bank may write otherwise (EPC217-08).
const fn is_of_a_name(c: char) -> bool {
    matches!(c,
        'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '/' | '-' | '?' | ':' | '(' | ')' | '.' | ',' | '\'' | '+' | '&'
        | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ſ' | 'Ș'..='ț' | 'Ά' | 'Έ'..='ώ' | 'А'..='я')
}

/// A value of an option (RFC 8905, 2): all but the unreserved characters of RFC 3986 stand as their bytes.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// What may stand at a place of an account number, as the registry says it (ISO 13616).
#[derive(Clone, Copy)]
enum Kind {
    /// A digit.
    N,
    /// A capital letter.
    A,
    /// Either.
    C,
}

impl Kind {
    const fn holds(self, c: char) -> bool {
        match self {
            Self::N => c.is_ascii_digit(),
            Self::A => c.is_ascii_uppercase(),
            Self::C => c.is_ascii_digit() || c.is_ascii_uppercase(),
        }
    }
}

/// The countries whose account numbers banks of the area have (EPC409-09), and the structure after the check digits, as
/// in the registry of ISO 13616. (Guernsey, Jersey and Man have British numbers, the French overseas French ones.)
#[rustfmt::skip]
const STRUCTURES: [(&str, &[(usize, Kind)]); 42] = {
    use Kind::{A, C, N};
    [
        ("AD", &[(8, N), (12, C)]), ("AL", &[(8, N), (16, C)]), ("AT", &[(16, N)]), ("BE", &[(12, N)]),
        ("BG", &[(4, A), (6, N), (8, C)]), ("CH", &[(5, N), (12, C)]), ("CY", &[(8, N), (16, C)]), ("CZ", &[(20, N)]),
        ("DE", &[(18, N)]), ("DK", &[(14, N)]), ("EE", &[(16, N)]), ("ES", &[(20, N)]), ("FI", &[(14, N)]),
        ("FR", &[(10, N), (11, C), (2, N)]), ("GB", &[(4, A), (14, N)]), ("GI", &[(4, A), (15, C)]),
        ("GR", &[(7, N), (16, C)]), ("HR", &[(17, N)]), ("HU", &[(24, N)]), ("IE", &[(4, A), (14, N)]),
        ("IS", &[(22, N)]), ("IT", &[(1, A), (10, N), (12, C)]), ("LI", &[(5, N), (12, C)]), ("LT", &[(16, N)]),
        ("LU", &[(3, N), (13, C)]), ("LV", &[(4, A), (13, C)]), ("MC", &[(10, N), (11, C), (2, N)]),
        ("MD", &[(20, C)]), ("ME", &[(18, N)]), ("MK", &[(3, N), (10, C), (2, N)]), ("MT", &[(4, A), (5, N), (18, C)]),
        ("NL", &[(4, A), (10, N)]), ("NO", &[(11, N)]), ("PL", &[(24, N)]), ("PT", &[(21, N)]),
        ("RO", &[(4, A), (16, C)]), ("RS", &[(18, N)]), ("SE", &[(20, N)]), ("SI", &[(15, N)]), ("SK", &[(20, N)]),
        ("SM", &[(1, A), (10, N), (12, C)]), ("VA", &[(18, N)]),
    ]
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use url::Url;

    use super::*;

    const NOON: UnixTime = UnixTime::from_secs(1_795_000_000);
    const ACCOUNT: &str = "DE89 3704 0044 0532 0130 00";

    /// The registry's own example of each country.
    const EXAMPLES: [&str; 42] = [
        "AD1200012030200359100100",
        "AL47212110090000000235698741",
        "AT611904300234573201",
        "BE68539007547034",
        "BG80BNBG96611020345678",
        "CH9300762011623852957",
        "CY17002001280000001200527600",
        "CZ6508000000192000145399",
        "DE89370400440532013000",
        "DK5000400440116243",
        "EE382200221020145685",
        "ES9121000418450200051332",
        "FI2112345600000785",
        "FR1420041010050500013M02606",
        "GB29NWBK60161331926819",
        "GI75NWBK000000007099453",
        "GR1601101250000000012300695",
        "HR1210010051863000160",
        "HU42117730161111101800000000",
        "IE29AIBK93115212345678",
        "IS140159260076545510730339",
        "IT60X0542811101000000123456",
        "LI21088100002324013AA",
        "LT121000011101001000",
        "LU280019400644750000",
        "LV80BANK0000435195001",
        "MC5811222000010123456789030",
        "MD24AG000225100013104168",
        "ME25505000012345678951",
        "MK07250120000058984",
        "MT84MALT011000012345MTLCAST001S",
        "NL91ABNA0417164300",
        "NO9386011117947",
        "PL61109010140000071219812874",
        "PT50000201231234567890154",
        "RO49AAAA1B31007593840000",
        "RS35260005601001611379",
        "SE4550000000058398257466",
        "SI56263300012039086",
        "SK3112000000198742637541",
        "SM86U0322509800000000270100",
        "VA59001123000012345678",
    ];

    fn eur(decimal: &str) -> Money {
        Money::parse(decimal, Currency::EUR).unwrap()
    }

    fn reference() -> Reference {
        "RF18539007547034".parse().unwrap()
    }

    fn sepa(payee: &str) -> Sepa {
        Sepa::new(payee, ACCOUNT).unwrap()
    }

    fn transfer(sepa: &Sepa, decimal: &str) -> TransferRequest {
        sepa.transfer(eur(decimal), &reference(), sepa.due_at(NOON)).unwrap()
    }

    /// The text of a drawing as another library reads it, from pixels, together with the code's version and level.
    fn read(svg: &str) -> (String, usize, u16) {
        let side: usize = svg.split("viewBox=\"0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        let path = svg.split(" d=\"").nth(1).unwrap().split('"').next().unwrap();
        let mut dark = vec![false; side * side];
        for bar in path.split('M').skip(1) {
            let numbers: Vec<usize> =
                bar.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
            let [x, y, length, 1, back] = numbers[..] else { panic!("{bar}") };
            assert_eq!(bar, format!("{x} {y}h{length}v1h-{back}z"));
            assert_eq!(length, back);
            dark[y * side + x..][..length].fill(true);
        }
        let quiet = |x: usize, y: usize| x.min(y).min(side - 1 - x).min(side - 1 - y) < 4;
        assert!((0..side * side).all(|at| !(dark[at] && quiet(at % side, at / side))), "the quiet zone is empty");
        let scale = 5;
        let pixel = |x: usize, y: usize| if dark[y / scale * side + x / scale] { 0 } else { 255 };
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * scale, side * scale, pixel);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        let (meta, text) = grids[0].decode().unwrap();
        (text, meta.version.0, meta.ecc_level)
    }

    #[test]
    fn account_numbers_of_every_country_of_the_area_are_read() {
        for (example, (country, _)) in EXAMPLES.iter().zip(&STRUCTURES) {
            let iban: Iban = example.parse().unwrap_or_else(|e| panic!("{example}: {e}"));
            assert_eq!((iban.as_str(), iban.country()), (*example, *country));
            assert_eq!(iban.printed().to_lowercase().parse(), Ok(iban.clone()));
            assert_eq!(serde_json::from_str::<Iban>(&serde_json::to_string(&iban).unwrap()).unwrap(), iban);
            for (at, digit) in example.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
                let other = char::from_digit((digit.to_digit(10).unwrap() + 1) % 10, 10).unwrap();
                let wrong = format!("{}{other}{}", &example[..at], &example[at + 1..]);
                assert_eq!(wrong.parse::<Iban>(), Err(SepaError::IbanCheckDigits), "{wrong}");
            }
            for wrong in [format!("{example}0"), example[..example.len() - 1].to_owned()] {
                assert_eq!(wrong.parse::<Iban>(), Err(SepaError::IbanLength), "{wrong}");
            }
        }
    }

    #[test]
    fn an_account_number_that_is_none_says_why() {
        let long = "DE89".repeat(1000);
        for (text, why) in [
            ("", SepaError::IbanCountry),
            ("D", SepaError::IbanCountry),
            ("DE", SepaError::IbanLength),
            ("DE89", SepaError::IbanLength),
            (&long, SepaError::IbanLength),
            ("D\u{c9}89370400440532013000", SepaError::IbanCountry),
            ("US89370400440532013000", SepaError::IbanCountry),
            ("TR330006100519786457841326", SepaError::IbanCountry),
            ("89DE370400440532013000", SepaError::IbanCountry),
            ("DE8937040044053201300O", SepaError::IbanStructure),
            ("GB29NWB060161331926819", SepaError::IbanStructure),
            ("NL91ABNAO417164300", SepaError::IbanStructure),
            ("DE8937040044053201300\u{661}", SepaError::IbanStructure),
            ("DE89-3704-0044-0532-0130-00", SepaError::IbanLength),
            ("DE88370400440532013000", SepaError::IbanCheckDigits),
            ("DEAA370400440532013000", SepaError::IbanCheckDigits),
            ("DE+9370400440532013000", SepaError::IbanCheckDigits),
        ] {
            assert_eq!(text.parse::<Iban>(), Err(why), "{text}");
            assert_eq!(Sepa::new("Weingut", text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn an_account_number_is_not_written_into_logs() {
        let sepa = sepa("Weingut");
        assert_eq!(sepa.iban().masked(), "DE89 **** 3000");
        assert_eq!(format!("{:?}", sepa.iban()), "Iban(DE[redacted])");
        for shown in [format!("{sepa:?}"), format!("{:?}", transfer(&sepa, "1"))] {
            assert!(!shown.contains("0532") && !shown.contains("3704"), "{shown}");
        }
    }

    #[test]
    fn a_bank_has_eight_or_eleven_characters() {
        for good in ["COBADEFF", "COBADEFFXXX", "coba de ff", "N26AXXXX", "BFSWDE33BER"] {
            assert!(good.parse::<Bic>().is_ok(), "{good}");
        }
        for bad in ["", "COBADEF", "COBADEFFX", "COBADEFFXX", "COBADEFFXXXX", "COBA1EFF", "COBADEF-", "COBADEFÄ"] {
            assert_eq!(bad.parse::<Bic>(), Err(SepaError::Bic), "{bad}");
            assert_eq!(sepa("Weingut").bic(bad).unwrap_err(), SepaError::Bic, "{bad}");
        }
    }

    #[test]
    fn a_payee_is_a_name_that_fits_into_a_transfer() {
        let longest = "ä".repeat(70);
        for good in ["W", "Weingut Müller & Söhne (GmbH)", "Łódź Şarap Țuică", "Οίνος Α.Ε.", "Винарна", &longest]
        {
            assert_eq!(sepa(good).payee(), good);
        }
        let too_long = "W".repeat(71);
        for bad in [
            "",
            " ",
            " Weingut",
            "Weingut ",
            "Wein\ngut",
            "Wein\rgut",
            "Wein\tgut",
            "Wein\0gut",
            "<b>",
            "Wein\"gut",
            "酒屋",
            "Wein\u{202e}gut",
            "u\u{308}",
            "Wein\u{a0}gut",
            "Wein×gut",
            "Wein\u{2028}gut",
            "🍷",
            &too_long,
        ] {
            assert_eq!(Sepa::new(bad, ACCOUNT).unwrap_err(), SepaError::Payee, "{bad:?}");
        }
    }

    #[test]
    fn a_transfer_is_in_euro_and_within_its_bounds() {
        let sepa = sepa("Weingut");
        let ask = |amount| sepa.transfer(amount, &reference(), NOON).map(|transfer| transfer.amount);
        for good in ["0.01", "23.80", "999999999.99"] {
            assert_eq!(ask(eur(good)), Ok(eur(good)));
        }
        for bad in [eur("0"), eur("1000000000"), Money::new(i64::MAX, Currency::EUR).unwrap()] {
            assert_eq!(ask(bad), Err(SepaError::Amount { amount: bad }));
        }
        let franc = Money::parse("23.80", Currency::CHF).unwrap();
        assert_eq!(ask(franc), Err(SepaError::OtherCurrency { found: Currency::CHF }));
    }

    #[test]
    fn time_to_pay_is_the_merchants() {
        let day = 24 * 3600;
        assert_eq!(sepa("W").due_at(NOON), NOON.plus_s(14 * day));
        assert_eq!(sepa("W").patience_s(), 21 * day);
        let hasty = sepa("W").due_s(day).grace_s(2 * day);
        assert_eq!((hasty.due_at(NOON), hasty.patience_s()), (NOON.plus_s(day), 3 * day));
        assert_eq!(sepa("W").due_s(u64::MAX).patience_s(), u64::MAX);
    }

    #[test]
    fn another_library_reads_every_field_from_the_drawing() {
        let longest = "Ÿ".repeat(70);
        let payees = ["Weingut Sonnberg GmbH", "Müller & Söhne", "Łaźnia Şa Ÿ", "Οίνος", "Винарна", &longest];
        for payee in payees {
            for bic in [None, Some("COBADEFFXXX")] {
                for decimal in ["0.01", "23.80", "999999999.99"] {
                    let sepa = match bic {
                        Some(bic) => sepa(payee).bic(bic).unwrap(),
                        None => sepa(payee),
                    };
                    let transfer = transfer(&sepa, decimal);
                    let (text, version, level) = read(&transfer.epc_qr_svg().unwrap());
                    assert_eq!(text, transfer.epc_qr_text());
                    assert!(text.len() <= 331 && version <= 13, "{version}");
                    assert_eq!(level, 0, "the format information of level M");
                    let amount = format!("EUR{decimal}");
                    let fields: Vec<&str> = text.split('\n').collect();
                    let expected = [
                        "BCD",
                        "002",
                        "1",
                        "SCT",
                        bic.unwrap_or_default(),
                        payee,
                        "DE89370400440532013000",
                        &amount,
                        "",
                        "RF18539007547034",
                    ];
                    assert_eq!(fields, expected);
                }
            }
        }
    }

    #[test]
    fn the_largest_text_fits_into_the_largest_code() {
        let code = |length| qr::code("x".repeat(length).as_bytes(), MAX_QR_VERSION);
        assert_eq!(code(331).unwrap().version(), qrcode::Version::Normal(13));
        assert!(code(332).is_none());
        assert!(code(100_000).is_none());
        // Malta has the longest account numbers; our own references are shorter than the longest there is.
        let sepa = Sepa::new("Ÿ".repeat(70), "MT84MALT011000012345MTLCAST001S").unwrap().bic("COBADEFFXXX").unwrap();
        let reference = "RF39111112222233333444445".parse().unwrap();
        let transfer = sepa.transfer(eur("999999999.99"), &reference, NOON).unwrap();
        assert!(transfer.epc_qr_text().len() <= 331);
        assert!(transfer.epc_qr_svg().is_ok());
    }

    #[test]
    fn the_drawing_is_one_path_on_white_and_runs_nothing() {
        let svg = transfer(&sepa("Müller & Söhne"), "23.80").epc_qr_svg().unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert!(svg.contains("role=\"img\"") && svg.contains("fill=\"#fff\"") && svg.contains("fill=\"#000\""));
        assert_eq!(svg.matches("<path ").count(), 1);
        for without in ["script", "style", "href", "Müller", "&", "RF18"] {
            assert!(!svg.contains(without), "{without}");
        }
    }

    #[test]
    fn a_link_says_what_the_page_says() {
        let payee = "Müller & Söhne + Co. (100 Wein?)/#";
        assert_eq!(Sepa::new(payee, ACCOUNT).unwrap_err(), SepaError::Payee, "no fence in a name");
        let payee = payee.trim_end_matches('#');
        let plain = transfer(&sepa(payee), "12.30").payto();
        let named = transfer(&sepa(payee).bic("COBADEFFXXX").unwrap(), "12.30").payto();
        assert_eq!(
            transfer(&sepa("Weingut Sonnberg"), "12.30").payto(),
            "payto://iban/DE89370400440532013000?amount=EUR:12.30&receiver-name=Weingut%20Sonnberg&message=RF18539007547034&instruction=RF18539007547034"
        );
        for (link, path) in [(plain, "/DE89370400440532013000"), (named, "/COBADEFFXXX/DE89370400440532013000")] {
            // The characters of the grammar alone (RFC 8905, 2): pchar without what separates options.
            assert!(link.bytes().all(|b| b.is_ascii_alphanumeric() || b":/?&=%-._~".contains(&b)), "{link}");
            let url: Url = link.parse().unwrap();
            assert_eq!((url.scheme(), url.host_str(), url.path()), ("payto", Some("iban"), path));
            assert_eq!(url.fragment(), None);
            let options: BTreeMap<_, _> = url.query_pairs().collect();
            assert_eq!(options.len(), 4);
            assert_eq!(options["amount"], "EUR:12.30");
            assert_eq!(options["receiver-name"], payee);
            assert_eq!(options["message"], "RF18539007547034");
            assert_eq!(options["instruction"], "RF18539007547034");
        }
    }
}
