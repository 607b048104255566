//! Statements as banks make them, put together for tests.
#![allow(dead_code, reason = "not every suite needs all of it")]

/// What a statement is of.
#[derive(Clone)]
pub struct Camt {
    pub message: &'static str,
    pub version: &'static str,
    pub account: String,
    pub entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone)]
pub struct Entry {
    pub amount: String,
    pub currency: &'static str,
    pub credit: bool,
    pub status: &'static str,
    pub reversal: bool,
    pub day: &'static str,
    pub bank_name: String,
    pub batch: String,
    pub details: Vec<Detail>,
}

/// One payment of an entry.
#[derive(Clone, Default)]
pub struct Detail {
    pub bank_name: String,
    pub end_to_end: String,
    /// Its own amount, where there are several.
    pub amount: String,
    pub name: String,
    pub iban: String,
    pub ultimate: String,
    pub text: String,
    pub structured: String,
    pub returned: &'static str,
}

impl Camt {
    pub fn statement(account: &str, entries: Vec<Entry>) -> Self {
        Self { message: "053", version: "08", account: account.to_owned(), entries }
    }

    /// The same, as a notification.
    pub fn notification(self) -> Self {
        Self { message: "054", ..self }
    }

    /// The same, in another version.
    pub fn version(self, version: &'static str) -> Self {
        Self { version, ..self }
    }

    /// The name of its schema.
    pub fn schema(&self) -> String {
        format!("camt.{}.001.{}", self.message, self.version)
    }

    pub fn xml(&self) -> String {
        let (root, report) =
            if self.message == "053" { ("BkToCstmrStmt", "Stmt") } else { ("BkToCstmrDbtCdtNtfctn", "Ntfctn") };
        let entries: String = self.entries.iter().map(|entry| entry.xml(self.version)).collect();
        let balance = |code| {
            format!(
                "<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy=\"EUR\">1000.00</Amt>\
                 <CdtDbtInd>CRDT</CdtDbtInd><Dt><Dt>2026-11-23</Dt></Dt></Bal>"
            )
        };
        let balances = if self.message == "053" { balance("OPBD") + &balance("CLBD") } else { String::new() };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:{}\">\
             <{root}><GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-11-23T06:00:00</CreDtTm></GrpHdr>\
             <{report}><Id>S1</Id><CreDtTm>2026-11-23T06:00:00</CreDtTm>\
             <Acct><Id><IBAN>{}</IBAN></Id><Ccy>EUR</Ccy></Acct>{balances}{entries}</{report}></{root}></Document>",
            self.schema(),
            self.account
        )
    }
}

impl Entry {
    /// A payment that arrived and is booked.
    pub fn credit(amount: &str, bank_name: &str, detail: Detail) -> Self {
        Self {
            amount: amount.to_owned(),
            currency: "EUR",
            credit: true,
            status: "BOOK",
            reversal: false,
            day: "2026-11-23",
            bank_name: bank_name.to_owned(),
            batch: String::new(),
            details: vec![detail],
        }
    }

    /// A payment that left.
    pub fn debit(amount: &str, bank_name: &str, end_to_end: &str) -> Self {
        let detail = Detail { end_to_end: end_to_end.to_owned(), ..Detail::default() };
        Self { credit: false, ..Self::credit(amount, bank_name, detail) }
    }

    fn xml(&self, version: &str) -> String {
        let way = if self.credit { "CRDT" } else { "DBIT" };
        let status = if version < "08" { self.status.to_owned() } else { element("Cd", self.status) };
        let reversal = if self.reversal { "<RvslInd>true</RvslInd>" } else { "" };
        let details: String = self.details.iter().map(|detail| detail.xml(self, version)).collect();
        let batch = match (self.batch.as_str(), self.details.len()) {
            ("", _) => String::new(),
            (id, count) => format!("<Btch>{}<NbOfTxs>{}</NbOfTxs></Btch>", element("PmtInfId", id), count.max(2)),
        };
        let inner = format!("{batch}{details}");
        format!(
            "<Ntry><Amt Ccy=\"{}\">{}</Amt><CdtDbtInd>{way}</CdtDbtInd>{reversal}<Sts>{status}</Sts>{}{}\
             <BkTxCd><Prtry><Cd>NTRF+166</Cd></Prtry></BkTxCd>{}</Ntry>\n",
            self.currency,
            self.amount,
            if self.day.is_empty() { String::new() } else { element("BookgDt", &element("Dt", self.day)) },
            element("AcctSvcrRef", &self.bank_name),
            element("NtryDtls", &inner),
        )
    }
}

impl Detail {
    /// What somebody pays, with this text.
    pub fn saying(text: &str) -> Self {
        Self {
            name: "Erika Mustermann".to_owned(),
            iban: "DE02120300000000202051".to_owned(),
            text: text.to_owned(),
            ..Self::default()
        }
    }

    /// The same with the reference in its own place.
    pub fn structured(reference: &str) -> Self {
        Self { structured: reference.to_owned(), text: String::new(), ..Self::saying("") }
    }

    fn xml(&self, entry: &Entry, version: &str) -> String {
        let way = if entry.credit { "CRDT" } else { "DBIT" };
        // Version 04 alone demands an amount of each.
        let amount = if version == "04" && self.amount.is_empty() { &entry.amount } else { &self.amount };
        let amount = match (amount.as_str(), version) {
            ("", _) => String::new(),
            (amount, "02") => {
                format!("<AmtDtls><TxAmt><Amt Ccy=\"{}\">{amount}</Amt></TxAmt></AmtDtls>", entry.currency)
            }
            (amount, _) => {
                format!("<Amt Ccy=\"{}\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd>", entry.currency)
            }
        };
        let refs = element("AcctSvcrRef", &self.bank_name) + &element("EndToEndId", &self.end_to_end);
        let who = if entry.credit { ["Dbtr", "DbtrAcct", "UltmtDbtr"] } else { ["Cdtr", "CdtrAcct", "UltmtCdtr"] };
        let party = |tag: &str, name: &str| {
            let name = element("Nm", name);
            element(tag, &if version < "08" || name.is_empty() { name } else { element("Pty", &name) })
        };
        let account = element(who[1], &element("Id", &element("IBAN", &self.iban)));
        // The schema has both parties of one kind before the ultimate ones of the same.
        let parties = if entry.credit {
            party(who[0], &self.name) + &account + &party(who[2], &self.ultimate)
        } else {
            party(who[0], &self.name) + &account
        };
        let strd = "<Strd><CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp>";
        let strd = match self.structured.as_str() {
            "" => String::new(),
            reference => format!("{strd}{}</CdtrRefInf></Strd>", element("Ref", reference)),
        };
        let returned = match self.returned {
            "" => String::new(),
            reason => element("RtrInf", &element("Rsn", &element("Cd", reason))),
        };
        element(
            "TxDtls",
            &[
                element("Refs", &refs),
                amount,
                element("RltdPties", &parties),
                element("RmtInf", &(element("Ustrd", &self.text) + &strd)),
                returned,
            ]
            .concat(),
        )
    }
}

/// An element, if anything is in it.
fn element(name: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<{name}>{content}</{name}>") }
}
