//! Payments that a wallet authorises (EUDI TS12 1.0.1, on OpenID4VP 1.0, 8.4): what is to be signed, and what the holder's
//! proof must say beside the hash of it.
//!
//! An attestation of a bank or a scheme signs, and nobody's identification data. That it may is said by the metadata of its
//! type: see [`Chain::signs`](super::type_metadata::Chain::signs).

mod authentication;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use url::Url;

pub use self::authentication::{Authentication, Category, ScaError};
use crate::time::UnixTime;

/// The schema of a payment (4.3.1), also the type of the transaction data unless a scheme has its own.
pub const PAYMENT: &str = "urn:eudi:sca:payment:1";
/// The category of the types of attestation that sign (3).
pub const CATEGORY: &str = "urn:eu:europa:ec:eudi:sua:sca";
/// The longest name of a transaction, in characters (schema of `urn:eudi:sca:payment:1`).
const TRANSACTION_ID_MAX: usize = 36;
/// The longest text of ours, in bytes: what the wallet shows.
const TEXT_BYTES_MAX: usize = 140;
/// The longest address, in bytes; a logo may be one that holds the picture.
const ADDRESS_BYTES_MAX: usize = 16 * 1024;
/// Why no payment is made of these parts. Always the merchant's to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PaymentError {
    /// The name of the transaction is empty, too long or no plain text.
    #[error("a transaction is named by 1 to {TRANSACTION_ID_MAX} visible ASCII characters")]
    TransactionId,
    /// A text is empty, too long or has control characters.
    #[error("{0} must be one line of 1 to {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    /// An address is longer than a wallet should read.
    #[error("{0} is longer than {ADDRESS_BYTES_MAX} bytes")]
    Address(&'static str),
    /// The currency is not three capital letters.
    #[error("a currency is three capital letters (ISO 4217)")]
    Currency,
    /// More decimals than any currency has.
    #[error("an amount has at most 4 decimals")]
    Decimals,
    /// The day of execution is over.
    #[error("the execution lies in the past")]
    Past,
}

impl PaymentError {
    /// The stable name of what is wrong.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TransactionId => "payment_transaction_id",
            Self::Text(_) => "payment_text",
            Self::Address(_) => "payment_address",
            Self::Currency => "payment_currency",
            Self::Decimals => "payment_decimals",
            Self::Past => "payment_in_past",
        }
    }
}

/// An exact decimal number: a count of the currency's smallest unit, and how many decimals that makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    minor: u64,
    decimals: u8,
}

impl Decimal {
    /// `minor` units of which 10 to the power of `decimals` are one.
    ///
    /// # Errors
    /// [`PaymentError::Decimals`] for more than four.
    pub const fn new(minor: u64, decimals: u8) -> Result<Self, PaymentError> {
        if decimals > 4 { Err(PaymentError::Decimals) } else { Ok(Self { minor, decimals }) }
    }

    /// As a JSON number with all of its decimals (4.3.1), which no floating point number was on the way to.
    #[must_use]
    pub fn to_json(self) -> String {
        let one = 10_u64.pow(u32::from(self.decimals));
        match self.decimals {
            0 => self.minor.to_string(),
            decimals => format!("{}.{:0width$}", self.minor / one, self.minor % one, width = usize::from(decimals)),
        }
    }
}

/// Who is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payee {
    name: String,
    id: String,
    logo: Option<Url>,
    website: Option<Url>,
}

impl Payee {
    /// By the name that the wallet shows, and by what the payment system knows them by, such as an IBAN.
    ///
    /// # Errors
    /// [`PaymentError::Text`].
    pub fn new(name: impl Into<String>, id: impl Into<String>) -> Result<Self, PaymentError> {
        let (name, id) = (name.into(), id.into());
        line("the payee's name", &name)?;
        line("the payee's id", &id)?;
        Ok(Self { name, id, logo: None, website: None })
    }

    /// With a picture: an https address, or one that holds it (RFC 2397).
    ///
    /// # Errors
    /// [`PaymentError::Address`].
    pub fn logo(mut self, logo: Url) -> Result<Self, PaymentError> {
        self.logo = Some(short("the payee's logo", logo)?);
        Ok(self)
    }

    /// With a page.
    ///
    /// # Errors
    /// [`PaymentError::Address`].
    pub fn website(mut self, website: Url) -> Result<Self, PaymentError> {
        self.website = Some(short("the payee's website", website)?);
        Ok(self)
    }

    /// The name that the wallet shows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the payment system knows them by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Who initiates the payment for the payee, under a licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pisp {
    /// Their legal name.
    pub legal_name: String,
    /// The name that people know.
    pub brand_name: String,
    /// The domain of their certificate (QWAC).
    pub domain_name: String,
}

/// How often a payment is repeated, in the codes of ISO 20022.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Frequency {
    /// Several times a day.
    #[serde(rename = "INDA")]
    Intraday,
    /// Every day.
    #[serde(rename = "DAIL")]
    Daily,
    /// Every week.
    #[serde(rename = "WEEK")]
    Weekly,
    /// Every two weeks.
    #[serde(rename = "TOWK")]
    TwoWeekly,
    /// Twice a month.
    #[serde(rename = "TWMN")]
    TwiceAMonth,
    /// Every month.
    #[serde(rename = "MNTH")]
    Monthly,
    /// Every two months.
    #[serde(rename = "TOMN")]
    TwoMonthly,
    /// Every three months.
    #[serde(rename = "QUTR")]
    Quarterly,
    /// Every four months.
    #[serde(rename = "FOMN")]
    FourMonthly,
    /// Twice a year.
    #[serde(rename = "SEMI")]
    TwiceAYear,
    /// Every year.
    #[serde(rename = "YEAR")]
    Yearly,
    /// Every two years.
    #[serde(rename = "TYEA")]
    TwoYearly,
}

/// A payment that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recurrence {
    /// How often.
    pub frequency: Frequency,
    /// When it begins.
    pub start_date: Option<UnixTime>,
    /// When it ends.
    pub end_date: Option<UnixTime>,
    /// How many times.
    pub number: Option<u32>,
    /// What the payee may vary, where the payee initiates.
    pub mit_options: Option<MitOptions>,
}

/// What a payee who initiates repeated payments may vary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MitOptions {
    /// Whether later amounts may differ from the first.
    pub amount_variable: Option<bool>,
    /// The least of one payment.
    pub min_amount: Option<Decimal>,
    /// The most of one payment.
    pub max_amount: Option<Decimal>,
    /// All payments together.
    pub total_amount: Option<Decimal>,
    /// What the first ones are instead.
    pub initial_amount: Option<Decimal>,
    /// How many these are.
    pub initial_amount_number: Option<u32>,
    /// The annual percentage rate of an instalment that bears interest.
    pub apr: Option<Decimal>,
}

/// When a payment is executed: `execution_date` and `recurrence` exclude each other (4.3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    AtOnce,
    At(UnixTime),
    Again(Recurrence),
}

/// The payload of `urn:eudi:sca:payment:1` (4.3.1). It has the members of the schema and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    transaction_id: String,
    payee: Payee,
    currency: String,
    amount: Decimal,
    date_time: Option<UnixTime>,
    pisp: Option<Pisp>,
    when: When,
    amount_estimated: Option<bool>,
    amount_earmarked: Option<bool>,
    sct_inst: Option<bool>,
}

impl Payment {
    /// So much to this payee, at once. Wallets log `transaction_id` (5.3): it means nothing to anybody else.
    ///
    /// # Errors
    /// [`PaymentError::TransactionId`], [`PaymentError::Currency`].
    pub fn new(
        transaction_id: impl Into<String>,
        payee: Payee,
        currency: impl Into<String>,
        amount: Decimal,
    ) -> Result<Self, PaymentError> {
        let (transaction_id, currency) = (transaction_id.into(), currency.into());
        let named = (1..=TRANSACTION_ID_MAX).contains(&transaction_id.len());
        if !named || !transaction_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(PaymentError::TransactionId);
        }
        if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(PaymentError::Currency);
        }
        Ok(Self {
            transaction_id,
            payee,
            currency,
            amount,
            date_time: None,
            pisp: None,
            when: When::AtOnce,
            amount_estimated: None,
            amount_earmarked: None,
            sct_inst: None,
        })
    }

    /// With when the customer was first asked.
    #[must_use]
    pub const fn begun_at(mut self, at: UnixTime) -> Self {
        self.date_time = Some(at);
        self
    }

    /// Initiated by somebody with a licence for that.
    ///
    /// # Errors
    /// [`PaymentError::Text`].
    pub fn pisp(mut self, pisp: Pisp) -> Result<Self, PaymentError> {
        line("the legal name of the PISP", &pisp.legal_name)?;
        line("the brand of the PISP", &pisp.brand_name)?;
        line("the domain of the PISP", &pisp.domain_name)?;
        self.pisp = Some(pisp);
        Ok(self)
    }

    /// Executed then, and not at once. The standard's text speaks of a date, its schema of a date with a time: it is written as
    /// the schema has it.
    ///
    /// # Errors
    /// [`PaymentError::Past`]: it must not lie in the past (4.3.1).
    pub fn executed_at(mut self, at: UnixTime, now: UnixTime) -> Result<Self, PaymentError> {
        if at < now {
            return Err(PaymentError::Past);
        }
        self.when = When::At(at);
        Ok(self)
    }

    /// Executed again and again.
    #[must_use]
    pub fn recurring(mut self, recurrence: Recurrence) -> Self {
        self.when = When::Again(recurrence);
        self
    }

    /// Of an amount that is not final, or is set aside until then, where the payee initiates.
    #[must_use]
    pub const fn amount_is(mut self, estimated: Option<bool>, earmarked: Option<bool>) -> Self {
        self.amount_estimated = estimated;
        self.amount_earmarked = earmarked;
        self
    }

    /// As a SEPA instant credit transfer.
    #[must_use]
    pub const fn instant(mut self) -> Self {
        self.sct_inst = Some(true);
        self
    }

    /// As JSON text: numbers stand in it as they are meant, which no value of a JSON library promises.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut payee = Object::default();
        payee.text("name", &self.payee.name).text("id", &self.payee.id);
        payee.texts("logo", self.payee.logo.as_ref()).texts("website", self.payee.website.as_ref());
        let mut payload = Object::default();
        payload.text("transaction_id", &self.transaction_id).texts("date_time", self.date_time);
        payload.raw("payee", payee.end());
        if let Some(Pisp { legal_name, brand_name, domain_name }) = &self.pisp {
            let mut pisp = Object::default();
            pisp.text("legal_name", legal_name).text("brand_name", brand_name).text("domain_name", domain_name);
            payload.raw("pisp", pisp.end());
        }
        payload.text("currency", &self.currency).raw("amount", self.amount.to_json());
        payload.plain("amount_estimated", self.amount_estimated).plain("amount_earmarked", self.amount_earmarked);
        payload.plain("sct_inst", self.sct_inst);
        match &self.when {
            When::AtOnce => {}
            When::At(at) => drop(payload.text("execution_date", &at.to_string())),
            When::Again(recurrence) => drop(payload.raw("recurrence", recurrence.to_json())),
        }
        payload.end()
    }
}

impl Recurrence {
    fn to_json(&self) -> String {
        let mut object = Object::default();
        object.raw("frequency", serde_json::to_string(&self.frequency).unwrap_or_default());
        object.texts("start_date", self.start_date).texts("end_date", self.end_date).plain("number", self.number);
        if let Some(options) = &self.mit_options {
            let amount = |amount: Option<Decimal>| amount.map(Decimal::to_json);
            let mut mit = Object::default();
            mit.plain("amount_variable", options.amount_variable);
            mit.plain("min_amount", amount(options.min_amount)).plain("max_amount", amount(options.max_amount));
            mit.plain("total_amount", amount(options.total_amount));
            mit.plain("initial_amount", amount(options.initial_amount));
            mit.plain("initial_amount_number", options.initial_amount_number).plain("apr", amount(options.apr));
            object.raw("mit_options", mit.end());
        }
        object.end()
    }
}

/// A JSON object in the making.
#[derive(Default)]
struct Object(String);

impl Object {
    fn raw(&mut self, name: &str, json: impl std::fmt::Display) -> &mut Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{comma}\"{name}\":{json}");
        self
    }

    fn text(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(name, Value::from(text))
    }

    fn texts(&mut self, name: &str, text: Option<impl ToString>) -> &mut Self {
        match text {
            Some(text) => self.text(name, &text.to_string()),
            None => self,
        }
    }

    /// A member whose text is its JSON.
    fn plain(&mut self, name: &str, value: Option<impl std::fmt::Display>) -> &mut Self {
        match value {
            Some(value) => self.raw(name, value),
            None => self,
        }
    }

    fn end(self) -> String {
        format!("{{{}}}", self.0)
    }
}

fn line(what: &'static str, text: &str) -> Result<(), PaymentError> {
    let fits = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits && !text.trim().is_empty() { Ok(()) } else { Err(PaymentError::Text(what)) }
}

fn short(what: &'static str, url: Url) -> Result<Url, PaymentError> {
    if url.as_str().len() <= ADDRESS_BYTES_MAX { Ok(url) } else { Err(PaymentError::Address(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn euros(minor: u64) -> Decimal {
        Decimal::new(minor, 2).unwrap()
    }

    fn payment() -> Payment {
        let payee = Payee::new("Weingut \"Sonnberg\"", "DE89370400440532013000").unwrap();
        Payment::new("tGQ1d4c2TtKvbTbS", payee, "EUR", euros(2150)).unwrap()
    }

    #[test]
    fn an_amount_is_written_exactly() {
        for (minor, decimals, text) in [
            (2150, 2, "21.50"),
            (5, 2, "0.05"),
            (0, 2, "0.00"),
            (1299, 0, "1299"),
            (1_234, 3, "1.234"),
            (u64::MAX, 4, "1844674407370955.1615"),
            // No floating point number is this.
            (900_719_925_474_099_301, 2, "9007199254740993.01"),
        ] {
            assert_eq!(Decimal::new(minor, decimals).unwrap().to_json(), text);
        }
        assert_eq!(Decimal::new(1, 5), Err(PaymentError::Decimals));
        assert!(payment().to_json().contains(r#""amount":21.50"#), "{}", payment().to_json());
    }

    #[test]
    fn a_payload_has_the_members_of_the_schema_and_no_others() {
        let minimal: Value = serde_json::from_str(&payment().to_json()).unwrap();
        let mut members: Vec<&String> = minimal.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["amount", "currency", "payee", "transaction_id"]);
        assert_eq!(minimal["payee"], json!({ "name": "Weingut \"Sonnberg\"", "id": "DE89370400440532013000" }));
        let at = UnixTime::from_secs(1_795_348_800);
        let website = Url::parse("https://shop.example/").unwrap();
        let payee = Payee::new("Shop", "1").unwrap().website(website.clone()).unwrap();
        let payee = payee.logo(Url::parse("data:image/png;base64,AA==").unwrap()).unwrap();
        let whole = Payment::new("1", payee, "EUR", euros(999)).unwrap().begun_at(at).instant();
        let pisp = Pisp { legal_name: "P GmbH".into(), brand_name: "P".into(), domain_name: "p.example".into() };
        let whole = whole.pisp(pisp).unwrap().amount_is(Some(false), Some(true));
        let once: Value = serde_json::from_str(&whole.clone().executed_at(at, at).unwrap().to_json()).unwrap();
        assert_eq!(once["execution_date"], "2026-11-22T12:00:00Z");
        assert_eq!(once["date_time"], "2026-11-22T12:00:00Z");
        assert_eq!((&once["sct_inst"], &once["amount_earmarked"]), (&json!(true), &json!(true)));
        assert_eq!(once["payee"]["website"], website.as_str());
        let mit_options = MitOptions { max_amount: Some(euros(5000)), apr: Some(euros(399)), ..MitOptions::default() };
        let recurrence = Recurrence {
            frequency: Frequency::Monthly,
            start_date: Some(at),
            end_date: None,
            number: Some(12),
            mit_options: Some(mit_options),
        };
        let often = whole.executed_at(at, at).unwrap().recurring(recurrence).to_json();
        assert!(often.contains(r#""max_amount":50.00,"apr":3.99"#), "{often}");
        let often: Value = serde_json::from_str(&often).unwrap();
        assert_eq!((&often["recurrence"]["frequency"], &often["recurrence"]["number"]), (&json!("MNTH"), &json!(12)));
        assert!(often.get("execution_date").is_none(), "never both");
    }

    #[test]
    fn what_the_schema_does_not_allow_is_not_made() {
        let payee = || Payee::new("Shop", "1").unwrap();
        for id in ["", &"x".repeat(37), "a b", "ä"] {
            assert_eq!(Payment::new(id, payee(), "EUR", euros(1)), Err(PaymentError::TransactionId), "{id}");
        }
        for currency in ["eur", "EU", "EURO", "E1R", ""] {
            assert_eq!(Payment::new("1", payee(), currency, euros(1)), Err(PaymentError::Currency), "{currency}");
        }
        for name in ["", " ", "a\nb", &"x".repeat(141)] {
            assert!(Payee::new(name, "1").is_err() && Payee::new("Shop", name).is_err(), "{name}");
        }
        let now = UnixTime::from_secs(100);
        assert_eq!(payment().executed_at(now.minus_s(1), now), Err(PaymentError::Past));
    }
}
