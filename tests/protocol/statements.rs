//! Statements of banks: published ones, made ones, and the same with one thing wrong.

use std::{fmt::Write, fs, path::Path};

use firsthand::{
    money::MoneyError,
    rail::{
        Reference,
        sepa::{
            CsvFormat, DayForm, Direction, FILE_BYTES_MAX, LeftOutBecause, MOVEMENTS_MAX, Movement, MovementKind,
            Statement, StatementError, StatementSource,
        },
    },
};
use proptest::prelude::*;

use crate::{
    made_statements::{Camt, Detail, Entry},
    xmllint,
};

const ACCOUNT: &str = "DE89370400440532013000";
const RF: &str = "RF18539007547034";

/// A movement on one line.
fn line(movement: &Movement) -> String {
    let way = if movement.direction == Direction::In { "in" } else { "out" };
    let kind = match &movement.kind {
        MovementKind::Payment => String::new(),
        other => format!(" {other:?}"),
    };
    let said = |name: &str, value: Option<&str>| {
        value.filter(|value| !value.is_empty()).map(|value| format!(" {name}={value}")).unwrap_or_default()
    };
    format!(
        "{} {way} {} {}{kind}{}{}{}{}{}{}{} '{}'",
        movement.place,
        movement.amount,
        movement.day,
        said("bank", movement.bank_name.as_deref()),
        said("rf", movement.reference.as_ref().map(Reference::as_str)),
        said("e2e", movement.end_to_end.as_deref()),
        said("batch", movement.batch.as_deref()),
        said("name", Some(&movement.party.name)),
        said("ultimate", Some(&movement.party.ultimate)),
        said("iban", movement.party.iban.as_ref().map(|iban| iban.as_str())),
        movement.text
    )
}

fn lines(statement: &Statement) -> Vec<String> {
    statement.movements().iter().map(line).collect()
}

/// What is read of a statement that its schema accepts.
#[track_caller]
fn read(camt: &Camt) -> Statement {
    let xml = camt.xml();
    xmllint::accepts(&camt.schema(), xml.as_bytes());
    Statement::read(xml.as_bytes()).unwrap()
}

#[track_caller]
fn refused(file: impl AsRef<[u8]>) -> StatementError {
    Statement::read(file.as_ref()).unwrap_err()
}

fn tea() -> Entry {
    Entry::credit("14.80", "B1", Detail::saying(&format!("Bestellung {RF}")))
}

#[test]
fn published_statements_are_read_as_their_schemas_accept_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join("iso20022");
    let mut names: Vec<_> = fs::read_dir(folder.join("published")).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    let mut found = String::new();
    for name in &names {
        let file = fs::read(folder.join("published").join(name)).unwrap();
        let text = String::from_utf8(file.clone()).unwrap();
        let schema = text.split("tech:xsd:").nth(1).unwrap().split('"').next().unwrap().to_owned();
        xmllint::accepts(&schema, &file);
        writeln!(found, "== {}", name.to_str().unwrap()).unwrap();
        match Statement::read(&file) {
            Err(error) => writeln!(found, "refused: {}", error.code()).unwrap(),
            Ok(statement) => {
                let left = statement.left_out().iter().map(|left| left.why.code()).collect::<Vec<_>>();
                writeln!(found, "{} {left:?}", statement.source().name()).unwrap();
                for one in lines(&statement) {
                    writeln!(found, "{one}").unwrap();
                }
            }
        }
    }
    if std::env::var_os("FIRSTHAND_WRITE_STATEMENTS").is_some() {
        fs::write(folder.join("expected.txt"), &found).unwrap();
    }
    assert!(names.len() >= 19);
    assert_eq!(found, fs::read_to_string(folder.join("expected.txt")).unwrap());
}

#[test]
fn every_version_of_both_messages_says_the_same() {
    let batch = Entry {
        batch: "P1".to_owned(),
        details: vec![
            Detail { amount: "10.00".to_owned(), bank_name: "D1".to_owned(), ..Detail::saying("one") },
            Detail { amount: "4.80".to_owned(), bank_name: "D2".to_owned(), ..Detail::structured(RF) },
        ],
        ..tea()
    };
    let whole = Entry { batch: "P1".to_owned(), details: Vec::new(), ..tea() };
    let entries = vec![
        tea(),
        batch,
        Entry { bank_name: "B3".to_owned(), ..whole },
        Entry { bank_name: "B4".to_owned(), status: "PDNG", ..tea() },
        Entry { bank_name: "B5".to_owned(), reversal: true, credit: false, ..tea() },
        Entry::credit("5.00", "B6", Detail { returned: "AC04", end_to_end: "E6".to_owned(), ..Detail::saying("x") }),
        Entry { bank_name: String::new(), ..Entry::debit("7.00", "", "E7") },
        Entry { amount: "0.00".to_owned(), bank_name: "B8".to_owned(), ..tea() },
        Entry { currency: "CHF", amount: "14.80000".to_owned(), bank_name: "B9".to_owned(), ..tea() },
        Entry { currency: "XTS", bank_name: "B10".to_owned(), ..tea() },
    ];
    let expected = [
        "1 in 14.80 EUR 2026-11-23 bank=B1 rf=RF18539007547034 name=Erika Mustermann iban=DE02120300000000202051 'Bestellung RF18539007547034'",
        "2 in 10.00 EUR 2026-11-23 bank=D1 batch=P1 name=Erika Mustermann iban=DE02120300000000202051 'one'",
        "2 in 4.80 EUR 2026-11-23 bank=D2 rf=RF18539007547034 batch=P1 name=Erika Mustermann iban=DE02120300000000202051 'RF18539007547034'",
        "3 in 14.80 EUR 2026-11-23 Batch bank=B3 batch=P1 ''",
        "5 out 14.80 EUR 2026-11-23 Reversal bank=B5 rf=RF18539007547034 name=Erika Mustermann iban=DE02120300000000202051 'Bestellung RF18539007547034'",
        "6 in 5.00 EUR 2026-11-23 Return(\"AC04\") bank=B6 e2e=E6 name=Erika Mustermann iban=DE02120300000000202051 'x'",
        "7 out 7.00 EUR 2026-11-23 e2e=E7 ''",
        "9 in 14.80 CHF 2026-11-23 bank=B9 rf=RF18539007547034 name=Erika Mustermann iban=DE02120300000000202051 'Bestellung RF18539007547034'",
    ];
    for version in ["02", "04", "08"] {
        let statement = Camt::statement(ACCOUNT, entries.clone()).version(version);
        for camt in [statement.clone(), statement.notification()] {
            let statement = read(&camt);
            assert_eq!(lines(&statement), expected, "{}", camt.schema());
            let left: Vec<_> = statement.left_out().iter().map(|left| (left.place, left.why)).collect();
            let why = [LeftOutBecause::NotBooked, LeftOutBecause::Nothing, LeftOutBecause::Currency];
            assert_eq!(left, [(4, why[0]), (8, why[1]), (10, why[2])]);
            assert_eq!(statement.account().as_str(), ACCOUNT);
        }
    }
    // Later versions call their elements the same.
    let later = Camt::statement(ACCOUNT, entries).xml().replace("camt.053.001.08", "camt.053.001.13");
    assert_eq!(lines(&Statement::read(later.as_bytes()).unwrap()), expected);
}

#[test]
fn a_structured_reference_is_worth_more_than_a_text_and_two_are_worth_nothing() {
    let other = Reference::from_random([9; 8]);
    let said = |detail: Detail| {
        let statement = read(&Camt::statement(ACCOUNT, vec![Entry::credit("1.00", "B1", detail)]));
        statement.movements()[0].reference.as_ref().map(|reference| reference.as_str().to_owned())
    };
    let both = Detail { text: format!("for {other}"), ..Detail::structured(RF) };
    assert_eq!(said(both).as_deref(), Some(RF));
    assert_eq!(said(Detail { text: format!("for {other}"), ..Detail::structured("1234") }), Some(other.to_string()));
    assert_eq!(said(Detail { end_to_end: RF.to_owned(), ..Detail::saying("tea") }).as_deref(), Some(RF));
    assert_eq!(said(Detail { end_to_end: "NOTPROVIDED".to_owned(), ..Detail::saying("tea") }), None);
    assert_eq!(said(Detail::saying(&format!("{RF} and {other}"))), None);
    let entry = Entry::credit("1.00", "B1", Detail::structured(RF));
    let twice = Camt::statement(ACCOUNT, vec![entry]).xml();
    let one = format!("<CdtrRefInf><Tp><CdOrPrtry><Cd>SCOR</Cd></CdOrPrtry></Tp><Ref>{RF}</Ref></CdtrRefInf>");
    let twice = twice.replace(
        &format!("<Strd>{one}</Strd>"),
        &format!("<Strd>{one}</Strd><Strd>{}</Strd>", one.replace(RF, other.as_str())),
    );
    xmllint::accepts("camt.053.001.08", twice.as_bytes());
    assert_eq!(Statement::read(twice.as_bytes()).unwrap().movements()[0].reference, None);
}

#[test]
fn a_batch_is_its_parts_only_if_they_are_all_of_it() {
    let part = |amount: &str, name: &str| Detail {
        amount: amount.to_owned(),
        bank_name: name.to_owned(),
        ..Detail::saying(RF)
    };
    let read_batch = |details: Vec<Detail>| {
        let entry = Entry { amount: "30.00".to_owned(), batch: "P".to_owned(), details, ..tea() };
        lines(&read(&Camt::statement(ACCOUNT, vec![entry])))
            .iter()
            .map(|line| line[..18].to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(read_batch(vec![part("10.00", "1"), part("20.00", "2")]), ["1 in 10.00 EUR 202", "1 in 20.00 EUR 202"]);
    let whole = ["1 in 30.00 EUR 202"];
    assert_eq!(read_batch(vec![part("10.00", "1"), part("20.01", "2")]), whole, "too much");
    assert_eq!(read_batch(vec![part("10.00", "1"), part("19.99", "2")]), whole, "too little");
    assert_eq!(read_batch(vec![part("10.00", "1"), part("", "2")]), whole, "one says nothing");
    assert_eq!(read_batch(vec![part("30.00", "1"), part("0.00", "2")]), whole, "one is of nothing");
    // A name that the bank gives to two of them names neither.
    let entry = Entry { amount: "30.00".to_owned(), details: vec![part("10.00", "1"), part("20.00", "1")], ..tea() };
    let statement = read(&Camt::statement(ACCOUNT, vec![entry]));
    assert!(statement.movements().iter().all(|movement| movement.bank_name.is_none()));
    // Equal ones are told apart by their place among them.
    let equal = Entry { amount: "20.00".to_owned(), details: vec![part("10.00", ""), part("10.00", "")], ..tea() };
    let statement = read(&Camt::statement(ACCOUNT, vec![equal]));
    assert_eq!(statement.movements().iter().map(|movement| movement.ordinal).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn a_statement_with_one_thing_wrong_is_refused() {
    let good = Camt::statement(ACCOUNT, vec![tea(), Entry { bank_name: "B2".to_owned(), ..tea() }]).xml();
    assert_eq!(Statement::read(good.as_bytes()).unwrap().movements().len(), 2);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        refused(good.replacen(from, to, 1))
    };
    let missing = |what| StatementError::Missing { place: 1, what };
    let value = |what| StatementError::Value { place: 1, what };
    let amount = |source| StatementError::Amount { place: 1, source };
    let eur = firsthand::money::Currency::EUR;
    for (from, to, expected) in [
        ("<Amt Ccy=\"EUR\">14.80</Amt>", "", missing("Amt")),
        ("<Amt Ccy=\"EUR\">14.80</Amt>", "<Amt Ccy=\"EUR\">14.80</Amt><Amt Ccy=\"EUR\">9</Amt>", missing("Amt")),
        ("<CdtDbtInd>CRDT</CdtDbtInd><Sts>", "<Sts>", missing("CdtDbtInd")),
        ("CRDT</CdtDbtInd><Sts>", "CREDIT</CdtDbtInd><Sts>", value("CdtDbtInd")),
        ("<Sts><Cd>BOOK</Cd></Sts>", "", missing("Sts")),
        ("<Sts>", "<RvslInd>yes</RvslInd><Sts>", value("RvslInd")),
        (">14.80<", ">-14.80<", amount(MoneyError::NotAnAmount)),
        (">14.80<", ">14,80<", amount(MoneyError::NotAnAmount)),
        (">14.80<", ">1e3<", amount(MoneyError::NotAnAmount)),
        (">14.80<", "><", amount(MoneyError::NotAnAmount)),
        (">14.80<", ">.<", amount(MoneyError::NotAnAmount)),
        (">14.80<", ">14.801<", amount(MoneyError::TooManyDecimals { currency: eur })),
        (">14.80<", ">92233720368547758.08<", amount(MoneyError::TooLarge)),
        ("<IBAN>DE89", "<IBAN>DE88", StatementError::NoAccount),
        ("<Acct>", "<Acct2>", StatementError::Broken),
        (" xmlns=\"urn", " xmlns:x=\"urn", StatementError::Namespace { found: "Document".to_owned() }),
        ("</Document>", "", StatementError::Broken),
        ("</Document>", "</Document><Document/>", StatementError::Broken),
        ("</Document>", "</Document>tea", StatementError::Broken),
        ("</Ntry>", "", StatementError::Broken),
        ("<Document", "<!DOCTYPE Document><Document", StatementError::Entities),
        ("Bestellung", "&tea;", StatementError::Entities),
        ("Bestellung", "&#0;", StatementError::Broken),
        ("Bestellung", "&#7;", StatementError::Broken),
        ("Bestellung", "&", StatementError::Broken),
        ("\"EUR\">14.80", "\"&eur;\">14.80", StatementError::Entities),
        ("\"EUR\">14.80", "\"EUR\" Ccy=\"CHF\">14.80", StatementError::Broken),
        (
            "<Ntry>",
            "<Ntry xmlns=\"urn:other\">",
            StatementError::Namespace { found: "elements of another namespace".to_owned() },
        ),
        ("<Ntry>", "<x:Ntry>", StatementError::Namespace { found: "elements of another namespace".to_owned() }),
        ("Bestellung", &"x".repeat(5000), StatementError::Bounds),
        ("<Ntry>", &format!("<Ntry a=\"{}\">", "x".repeat(5000)), StatementError::Bounds),
    ] {
        assert_eq!(with(from, to), expected, "{to}");
    }
    for other in ["camt.053.001.01", "camt.053.001.8", "camt.053.001.080", "camt.052.001.08", "pain.001.001.09"] {
        let found = with("camt.053.001.08", other);
        assert_eq!(found.code(), "statement_namespace", "{other}");
    }
    let notification = good.replace("camt.053.001.08", "camt.054.001.08");
    assert_eq!(refused(notification).code(), "statement_namespace", "the message of another namespace");
    let other = good.replacen(
        "<Stmt>",
        "<Stmt><Id>0</Id><Acct><Id><IBAN>DE02120300000000202051</IBAN></Id></Acct></Stmt><Stmt>",
        1,
    );
    assert_eq!(refused(other), StatementError::SeveralAccounts);
    // Cut off anywhere, it is no statement.
    for end in 0..good.len() {
        assert!(Statement::read(&good.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn what_a_bank_adds_of_its_own_is_passed_and_what_is_written_is_read_as_it_is() {
    let entry = Entry::credit("1.00", "B1", Detail::saying("Tee &amp; <![CDATA[<Wein>]]> &#x20AC;&#10;2"));
    let xml = Camt::statement(ACCOUNT, vec![entry]).xml();
    let more = "</Stmt><SplmtryData><Envlp><x:a xmlns:x=\"urn:x\"><x:b>&amp;</x:b></x:a></Envlp></SplmtryData></BkToCstmrStmt>";
    let xml = xml.replace("</Stmt></BkToCstmrStmt>", more).replace("<Stmt>", "<!-- a bank -->\n<?bank says?><Stmt>");
    xmllint::accepts("camt.053.001.08", xml.as_bytes());
    assert_eq!(Statement::read(xml.as_bytes()).unwrap().movements()[0].text, "Tee & <Wein> € 2");
    let prefixed = Camt::statement(ACCOUNT, vec![tea()]).xml();
    let prefixed = prefixed.replace("</", "</c:").replace("xmlns=", "xmlns:c=");
    let prefixed: String = prefixed
        .split('<')
        .enumerate()
        .map(|(at, part)| match part.chars().next() {
            _ if at == 0 => part.to_owned(),
            Some('?' | '/') => format!("<{part}"),
            _ => format!("<c:{part}"),
        })
        .collect();
    xmllint::accepts("camt.053.001.08", prefixed.as_bytes());
    assert_eq!(Statement::read(prefixed.as_bytes()).unwrap().movements().len(), 1);
    let latin = Camt::statement(ACCOUNT, vec![Entry::credit("1.00", "B1", Detail::saying("Grüße"))]).xml();
    let latin: Vec<u8> = latin.replace("UTF-8", "ISO-8859-1").chars().map(|c| c as u8).collect();
    xmllint::accepts("camt.053.001.08", &latin);
    assert_eq!(Statement::read(&latin).unwrap().movements()[0].text, "Grüße");
    let lying = String::from_utf8_lossy(&latin).replace("ISO-8859-1", "UTF-16");
    assert_eq!(refused(lying), StatementError::Encoding);
    let not_utf_8: Vec<u8> = [&b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a>"[..], b"\xff</a>"].concat();
    assert_eq!(refused(not_utf_8), StatementError::Encoding);
}

#[test]
fn bombs_stop_at_their_bounds() {
    let laughs =
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><Document>&b;</Document>";
    assert_eq!(refused(laughs), StatementError::Entities);
    let good = Camt::statement(ACCOUNT, vec![tea()]).xml();
    let deep = good.replacen("<Ntry>", &format!("<Ntry>{}", "<a>".repeat(100_000)), 1);
    assert_eq!(refused(deep), StatementError::Bounds);
    let wide = good.replacen("<Ntry>", &format!("<Ntry>{}", "<a/>".repeat(100_000)), 1);
    assert_eq!(refused(wide), StatementError::Bounds);
    let supplement = format!("<SplmtryData>{}", "<a>".repeat(100_000));
    assert_eq!(refused(good.replacen("<Stmt>", &format!("{supplement}<Stmt>"), 1)), StatementError::Bounds);
    assert_eq!(refused(vec![b' '; FILE_BYTES_MAX + 1]), StatementError::TooLarge);
    assert_eq!(refused(vec![b'<'; FILE_BYTES_MAX]), StatementError::Broken);
    let names: String = (0..100).map(|number| format!(" xmlns:n{number}=\"urn:{number}\"")).collect();
    assert_eq!(refused(good.replacen("<Document", &format!("<Document{names}"), 1)), StatementError::Broken);
    let entry = "<Ntry><Amt Ccy=\"EUR\">1</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
                 <BookgDt><Dt>2026-11-23</Dt></BookgDt></Ntry>";
    let many = |count: usize| good.replacen("</Stmt>", &format!("{}</Stmt>", entry.repeat(count)), 1);
    assert_eq!(Statement::read(many(MOVEMENTS_MAX - 1).as_bytes()).unwrap().movements().len(), MOVEMENTS_MAX);
    assert_eq!(refused(many(MOVEMENTS_MAX)), StatementError::TooMany);
    let part = "<TxDtls><RmtInf><Ustrd>x</Ustrd></RmtInf></TxDtls>";
    let parts = good.replacen("<NtryDtls>", &format!("<NtryDtls>{}", part.repeat(MOVEMENTS_MAX + 1)), 1);
    assert_eq!(refused(parts), StatementError::TooMany);
}

const CSV_CAMT: &str = "\"Auftragskonto\";\"Buchungstag\";\"Valutadatum\";\"Buchungstext\";\"Verwendungszweck\";\"Glaeubiger ID\";\
    \"Mandatsreferenz\";\"Kundenreferenz (End-to-End)\";\"Sammlerreferenz\";\"Lastschrift Ursprungsbetrag\";\
    \"Auslagenersatz Ruecklastschrift\";\"Beguenstigter/Zahlungspflichtiger\";\"Kontonummer/IBAN\";\"BIC (SWIFT-Code)\";\
    \"Betrag\";\"Waehrung\";\"Info\"\r\n";

fn csv_camt(day: &str, text: &str, amount: &str, currency: &str, info: &str) -> String {
    format!(
        "\"{ACCOUNT}\";\"{day}\";\"{day}\";\"GUTSCHR. UEBERWEISUNG\";\"{text}\";\"\";\"\";\"NOTPROVIDED\";\"\";\"\";\"\";\
         \"Erika Mustermann\";\"DE02120300000000202051\";\"BYLADEM1001\";\"{amount}\";\"{currency}\";\"{info}\"\r\n"
    )
}

#[test]
fn exports_of_banks_are_read() {
    let text = format!("Grüße; \"\"Tee\"\"\n{RF}");
    let file = [
        CSV_CAMT,
        &csv_camt("23.11.26", &text, "1.014,80", "EUR", "Umsatz gebucht"),
        &csv_camt("24.11.26", "Miete", "-800,00", "EUR", "Umsatz gebucht"),
        &csv_camt("24.11.26", RF, "14,80", "EUR", "Umsatz vorgemerkt"),
        &csv_camt("24.11.26", "nichts", "0,00", "EUR", "Umsatz gebucht"),
    ]
    .concat();
    let expected = [
        "1 in 1014.80 EUR 2026-11-23 rf=RF18539007547034 name=Erika Mustermann iban=DE02120300000000202051 'Grüße; \"Tee\" RF18539007547034'",
        "2 out 800.00 EUR 2026-11-24 name=Erika Mustermann iban=DE02120300000000202051 'Miete'",
    ];
    let latin: Vec<u8> = file.chars().map(|c| c as u8).collect();
    for bytes in [
        file.clone().into_bytes(),
        latin,
        format!("\u{feff}{file}").into_bytes(),
        file.replace("\r\n", "\n").into_bytes(),
    ] {
        let statement = Statement::read(&bytes).unwrap();
        assert_eq!(lines(&statement), expected);
        assert_eq!((statement.source(), statement.account().as_str()), (StatementSource::Csv, ACCOUNT));
        let left: Vec<_> = statement.left_out().iter().map(|left| left.why).collect();
        assert_eq!(left, [LeftOutBecause::NotBooked, LeftOutBecause::Nothing]);
    }
    let volksbank = format!(
        "Bezeichnung Auftragskonto;IBAN Auftragskonto;BIC Auftragskonto;Bankname Auftragskonto;Buchungstag;Valutadatum;\
         Name Zahlungsbeteiligter;IBAN Zahlungsbeteiligter;BIC (SWIFT-Code) Zahlungsbeteiligter;Buchungstext;Verwendungszweck;\
         Betrag;Waehrung;Saldo nach Buchung;Bemerkung;Kategorie;Steuerrelevant;Glaeubiger ID;Mandatsreferenz\n\
         Konto;{ACCOUNT};X;Bank;23.11.2026;23.11.2026;Erika;DE02120300000000202051;X;Gutschrift;{RF};14,80;EUR;1,00;;;;;\n"
    );
    assert_eq!(
        lines(&Statement::read(volksbank.as_bytes()).unwrap()),
        ["1 in 14.80 EUR 2026-11-23 rf=RF18539007547034 name=Erika iban=DE02120300000000202051 'RF18539007547034'"]
    );
    let own = CsvFormat::new("Date", "Amount")
        .of(ACCOUNT.parse().unwrap())
        .delimiter(',')
        .point('.')
        .day(DayForm::YearFirst)
        .text(&["Purpose", "More"])
        .end_to_end("Reference")
        .bank_name("ID")
        .direction("Type", "Debit");
    let file = format!(
        "My bank,\n\nDate,Type,Amount,Purpose,More,Reference,ID\n2026/11/23,Credit,\"1,014.80\",a,b,{RF},T1\n2026-11-23T08:00,debit,5,,,,T2\n"
    );
    assert_eq!(
        lines(&Statement::read_csv(file.as_bytes(), &own).unwrap()),
        [
            "1 in 1014.80 EUR 2026-11-23 bank=T1 rf=RF18539007547034 e2e=RF18539007547034 'a b'",
            "2 out 5.00 EUR 2026-11-23 bank=T2 ''"
        ]
    );
}

#[test]
fn an_export_with_one_thing_wrong_is_refused() {
    let row = |day: &str, amount: &str, currency: &str| [CSV_CAMT, &csv_camt(day, RF, amount, currency, "")].concat();
    assert!(Statement::read(row("23.11.26", "14,80", "EUR").as_bytes()).is_ok());
    for (day, amount, code) in [
        ("31.02.26", "14,80", "statement_value"),
        ("23.11", "14,80", "statement_value"),
        ("2026-11-23", "14,80", "statement_value"),
        ("", "14,80", "statement_value"),
        ("23.11.26", "", "statement_amount"),
        ("23.11.26", "-", "statement_value"),
        ("23.11.26", "--14,80", "statement_amount"),
        ("23.11.26", "-14,80-", "statement_value"),
        ("23.11.26", "14.80", "statement_value"),
        ("23.11.26", "1.4,80", "statement_value"),
        ("23.11.26", "14,801", "statement_amount"),
        ("23.11.26", "14,80 EUR", "statement_amount"),
        ("23.11.26", "99999999999999999999,00", "statement_amount"),
    ] {
        assert_eq!(refused(row(day, amount, "EUR")).code(), code, "{day} {amount}");
    }
    let statement = Statement::read(row("23.11.26", "14,80", "Euro").as_bytes()).unwrap();
    assert_eq!(statement.left_out()[0].why, LeftOutBecause::Currency);
    let good = row("23.11.26", "14,80", "EUR");
    let second = csv_camt("23.11.26", RF, "14,80", "EUR", "");
    for (file, error) in [
        (good.replace("Auftragskonto", "Konto"), StatementError::UnknownFormat),
        (good.replacen("\"Info\"", "\"Betrag\"", 1), StatementError::UnknownFormat),
        (String::new(), StatementError::UnknownFormat),
        ("tea".to_owned(), StatementError::UnknownFormat),
        (CSV_CAMT.to_owned(), StatementError::NoAccount),
        (good.replace(ACCOUNT, "0532013000"), StatementError::NoAccount),
        (good.clone() + &second.replace(ACCOUNT, "DE02120300000000202051"), StatementError::SeveralAccounts),
        (good.clone() + "\"tea\r\n", StatementError::Broken),
        (good.clone() + "\"tea\"x;\r\n", StatementError::Broken),
        (good.clone() + "tea;\r\n", StatementError::Missing { place: 2, what: "a column" }),
        (good.replace("EUR\";\"\"", "EUR\";\"\";\"x\""), StatementError::Missing { place: 1, what: "a column" }),
        (good.replace("Erika", &"x".repeat(5000)), StatementError::Bounds),
        (good.clone() + &";".repeat(100), StatementError::Bounds),
        (good.clone() + "\0", StatementError::Encoding),
        (good + &second.repeat(MOVEMENTS_MAX), StatementError::TooMany),
    ] {
        assert_eq!(refused(&file), error, "{}", &file[..file.len().min(600)]);
    }
}

proptest! {
    #[test]
    fn no_file_is_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400), at in 0..2000_usize, text in "\\PC{0,200}") {
        let _ = Statement::read(&bytes);
        let _ = Statement::read(text.as_bytes());
        let mut bent = Camt::statement(ACCOUNT, vec![tea()]).xml().into_bytes();
        let at = at % bent.len();
        bent.splice(at..(at + 1), bytes.iter().copied().take(8));
        let _ = Statement::read(&bent);
        let mut bent = [CSV_CAMT, &csv_camt("23.11.26", RF, "14,80", "EUR", "")].concat().into_bytes();
        let at = at % bent.len();
        bent.splice(at..(at + 1), bytes.iter().copied().take(8));
        let _ = Statement::read(&bent);
    }
}
