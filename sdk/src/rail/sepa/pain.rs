//! A file of transfers that a merchant hands to their bank: pain.001 of ISO 20022, as banks of the Single Euro Payments
//! Area take it (EPC132-08).
//!
//! Every character of it is one that every bank takes; names are written in them (EPC217-08).

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{Bic, Iban};
use crate::{
    money::{Money, MoneyError},
    time::{Day, UnixTime},
};

/// Which version of pain.001 a bank takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PainVersion {
    /// `pain.001.001.09`: what the rulebooks demand since 2023.
    #[default]
    V09,
    /// `pain.001.001.03`, for banks that take nothing later.
    V03,
}

/// The longest name, in characters (EPC132-08: AT-01, AT-21).
const NAME_CHARS_MAX: usize = 70;
/// The longest text of a transfer, in characters (EPC132-08: AT-05).
const TEXT_CHARS_MAX: usize = 140;

/// A file of transfers from one account.
#[derive(Clone)]
pub(crate) struct TransferFile<'a> {
    /// Its name, and that of the one batch in it: 1 to 35 letters, digits and hyphens.
    pub(crate) id: &'a str,
    pub(crate) version: PainVersion,
    pub(crate) made_at: UnixTime,
    pub(crate) execution_on: &'a Day,
    /// From which account.
    pub(crate) holder: &'a str,
    pub(crate) iban: &'a Iban,
    pub(crate) bic: Option<&'a Bic>,
    pub(crate) transfers: &'a [FiledTransfer],
}

/// One transfer of a file.
#[derive(Clone)]
pub(crate) struct FiledTransfer {
    /// Its name: 1 to 35 letters, digits and hyphens.
    pub(crate) end_to_end: String,
    /// How much, in euro.
    pub(crate) amount: Money,
    /// To whom.
    pub(crate) holder: String,
    pub(crate) iban: Iban,
    /// What the payee reads.
    pub(crate) text: String,
}

impl TransferFile<'_> {
    /// The file.
    ///
    /// # Errors
    /// [`MoneyError`] if the amounts are not of one currency, or more than can be counted together.
    pub(crate) fn xml(&self) -> Result<String, MoneyError> {
        let sum = Money::sum(self.transfers.iter().map(|transfer| transfer.amount), crate::money::Currency::EUR)?;
        let totals = format!("<NbOfTxs>{}</NbOfTxs><CtrlSum>{}</CtrlSum>", self.transfers.len(), sum.decimal());
        let (version, bic, (from, to)) = match self.version {
            PainVersion::V09 => ("09", "BICFI", ("<Dt>", "</Dt>")),
            PainVersion::V03 => ("03", "BIC", ("", "")),
        };
        let bank = match self.bic {
            Some(code) => format!("<{bic}>{}</{bic}>", code.as_str()),
            None => "<Othr><Id>NOTPROVIDED</Id></Othr>".to_owned(),
        };
        let (id, holder) = (self.id, name(self.holder));
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}\"><CstmrCdtTrfInitn>\n\
             <GrpHdr><MsgId>{id}</MsgId><CreDtTm>{}</CreDtTm>{totals}<InitgPty><Nm>{holder}</Nm></InitgPty></GrpHdr>\n\
             <PmtInf><PmtInfId>{id}</PmtInfId><PmtMtd>TRF</PmtMtd><BtchBookg>false</BtchBookg>{totals}\
             <PmtTpInf><SvcLvl><Cd>SEPA</Cd></SvcLvl></PmtTpInf><ReqdExctnDt>{from}{}{to}</ReqdExctnDt>\
             <Dbtr><Nm>{holder}</Nm></Dbtr><DbtrAcct><Id><IBAN>{}</IBAN></Id></DbtrAcct>\
             <DbtrAgt><FinInstnId>{bank}</FinInstnId></DbtrAgt><ChrgBr>SLEV</ChrgBr>\n",
            self.made_at,
            self.execution_on,
            self.iban.as_str(),
        );
        for transfer in self.transfers {
            // Writing into a text does not fail.
            let _ = writeln!(
                xml,
                "<CdtTrfTxInf><PmtId><EndToEndId>{}</EndToEndId></PmtId>\
                 <Amt><InstdAmt Ccy=\"EUR\">{}</InstdAmt></Amt><Cdtr><Nm>{}</Nm></Cdtr>\
                 <CdtrAcct><Id><IBAN>{}</IBAN></Id></CdtrAcct><RmtInf><Ustrd>{}</Ustrd></RmtInf></CdtTrfTxInf>",
                transfer.end_to_end,
                transfer.amount.decimal(),
                name(&transfer.holder),
                transfer.iban.as_str(),
                plain(&transfer.text, TEXT_CHARS_MAX),
            );
        }
        xml.push_str("</PmtInf>\n</CstmrCdtTrfInitn></Document>\n");
        Ok(xml)
    }
}

fn name(text: &str) -> String {
    let name = plain(text, NAME_CHARS_MAX);
    if name.is_empty() { "NOTPROVIDED".to_owned() } else { name }
}

/// A text in the characters that every bank takes (EPC132-08, 1.4): none of them means anything in XML.
fn plain(text: &str, chars_max: usize) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '/' | '-' | '?' | ':' | '(' | ')' | '.' | ',' | '\'' | '+' => {
                plain.push(c);
            }
            c if c.is_whitespace() => plain.push(' '),
            other => plain.push_str(PLAIN.iter().find(|(from, _)| from.contains(other)).map_or(".", |(_, to)| to)),
        }
    }
    let cut: String = plain.trim().chars().take(chars_max).collect();
    cut.trim_end().to_owned()
}

/// How letters of Europe's languages are written (EPC217-08); German ones as their speakers write them without dots.
const PLAIN: &[(&str, &str)] = &[
    ("ä", "ae"),
    ("Ä", "Ae"),
    ("öœ", "oe"),
    ("ÖŒ", "Oe"),
    ("ü", "ue"),
    ("Ü", "Ue"),
    ("ß", "ss"),
    ("æ", "ae"),
    ("Æ", "AE"),
    ("þθΘ", "th"),
    ("Þ", "TH"),
    ("&", "+"),
    ("àáâãåāăąάαа", "a"),
    ("ÀÁÂÃÅĀĂĄΆΑА", "A"),
    ("çćĉċč", "c"),
    ("ÇĆĈĊČ", "C"),
    ("ðďđδд", "d"),
    ("ÐĎĐΔД", "D"),
    ("èéêëēĕėęěέεе", "e"),
    ("ÈÉÊËĒĔĖĘĚΈΕЕ", "E"),
    ("ĝğġģγг", "g"),
    ("ĜĞĠĢΓГ", "G"),
    ("ĥħх", "h"),
    ("ĤĦХ", "H"),
    ("ìíîïĩīĭįıήίϊΐηιий", "i"),
    ("ÌÍÎÏĨĪĬĮİΉΊΪΗΙИЙ", "I"),
    ("ĵ", "j"),
    ("Ĵ", "J"),
    ("ķĸκк", "k"),
    ("ĶΚК", "K"),
    ("ĺļľŀłλл", "l"),
    ("ĹĻĽĿŁΛЛ", "L"),
    ("μм", "m"),
    ("ΜМ", "M"),
    ("ñńņňŉŋνн", "n"),
    ("ÑŃŅŇŊΝН", "N"),
    ("òóôõøōŏőόώοωо", "o"),
    ("ÒÓÔÕØŌŎŐΌΏΟΩО", "O"),
    ("πп", "p"),
    ("ΠП", "P"),
    ("ŕŗřρр", "r"),
    ("ŔŖŘΡР", "R"),
    ("śŝşšșſσςс", "s"),
    ("ŚŜŞŠȘΣС", "S"),
    ("ţťŧțτт", "t"),
    ("ŢŤŦȚΤТ", "T"),
    ("ùúûũūŭůűųу", "u"),
    ("ÙÚÛŨŪŬŮŰŲУ", "U"),
    ("ŵ", "w"),
    ("Ŵ", "W"),
    ("ýÿŷύϋΰυыь", "y"),
    ("ÝŸŶΎΫΥЫЬ", "Y"),
    ("źżžζз", "z"),
    ("ŹŻŽΖЗ", "Z"),
    ("βб", "b"),
    ("в", "v"),
    ("ΒБ", "B"),
    ("В", "V"),
    ("φф", "f"),
    ("ΦФ", "F"),
    ("ξ", "x"),
    ("Ξ", "X"),
    ("χ", "ch"),
    ("Χ", "Ch"),
    ("ψ", "ps"),
    ("Ψ", "Ps"),
    ("ж", "zh"),
    ("Ж", "Zh"),
    ("ц", "ts"),
    ("Ц", "Ts"),
    ("ч", "ch"),
    ("Ч", "Ch"),
    ("ш", "sh"),
    ("Ш", "Sh"),
    ("щ", "sht"),
    ("Щ", "Sht"),
    ("ъ", "a"),
    ("Ъ", "A"),
    ("ю", "yu"),
    ("Ю", "Yu"),
    ("я", "ya"),
    ("Я", "Ya"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_every_bank_takes_them() {
        for (text, expected) in [
            ("Müller & Söhne", "Mueller + Soehne"),
            ("Łódź Şarap Țuică", "Lodz Sarap Tuica"),
            ("Οίνος Α.Ε.", "Oinos A.E."),
            ("Винарна", "Vinarna"),
            ("<b>\"x\"&amp;", ".b..x.+amp."),
            ("A\nB\u{a0}C", "A B C"),
            ("🍷", "."),
            ("", "NOTPROVIDED"),
            ("  ", "NOTPROVIDED"),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
        assert_eq!(name(&"ß".repeat(70)).len(), 70);
        for c in '\0'..='\u{2000}' {
            let taken = |c: char| c.is_ascii_alphanumeric() || " /-?:().,'+".contains(c);
            assert!(plain(&c.to_string(), 9).chars().all(taken), "{c}");
        }
    }
}
