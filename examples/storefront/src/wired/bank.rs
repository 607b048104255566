//! The desk and the bank: a statement handed in, a file of repayments handed out, and both again.

use axum::http::Method;
use firsthand_axum::testing::Reply;

use super::{HERE, Wired, guest_buys, hidden, page, reference};

impl Wired {
    /// Hands a file in, as a browser does without a script.
    async fn hand_in(&self, file: &[u8], token: &str, from: &str) -> Reply {
        let part = |name: &str, more: &str| {
            format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n").into_bytes()
        };
        let body = [
            part("form", ""),
            token.as_bytes().to_vec(),
            b"\r\n".to_vec(),
            part("statement", "; filename=\"auszug.xml\""),
            file.to_vec(),
            b"\r\n--cut--\r\n".to_vec(),
        ];
        self.send("/merchant/statement", "multipart/form-data; boundary=cut", &body.concat(), from).await
    }

    async fn statement(&self, file: &str) -> Reply {
        let token = hidden(&self.look("/merchant").await, "form");
        self.hand_in(file.as_bytes(), &token, HERE).await
    }

    /// A guest's order that waits for its transfer: its reference.
    async fn ordered(&self) -> String {
        let path = guest_buys(&mut self.browser(), "senchax2").await;
        reference(&page(&mut self.browser(), &path).await)
    }
}

fn entry(way: &str, amount: &str, name: &str, end_to_end: &str, text: &str) -> String {
    format!(
        "<Ntry><Amt Ccy=\"EUR\">{amount}</Amt><CdtDbtInd>{way}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>\
         <BookgDt><Dt>2026-11-23</Dt></BookgDt><AcctSvcrRef>{name}</AcctSvcrRef><NtryDtls><TxDtls>\
         <Refs><EndToEndId>{end_to_end}</EndToEndId></Refs><RltdPties><Dbtr><Pty><Nm>Anna Kowalska</Nm></Pty></Dbtr>\
         <DbtrAcct><Id><IBAN>AT611904300234573201</IBAN></Id></DbtrAcct></RltdPties><RmtInf><Ustrd>{text}</Ustrd></RmtInf>\
         </TxDtls></NtryDtls></Ntry>"
    )
}

fn camt(account: &str, entries: &str) -> String {
    format!(
        "<Document xmlns=\"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08\"><BkToCstmrStmt><Stmt>\
         <Acct><Id><IBAN>{account}</IBAN></Id></Acct>{entries}</Stmt></BkToCstmrStmt></Document>"
    )
}

const OURS: &str = "DE89370400440532013000";

#[tokio::test]
async fn a_statement_is_handed_in_and_a_file_of_repayments_is_taken_out() {
    let shop = Wired::new("bank").await;
    let rf = shop.ordered().await;
    let more = entry("CRDT", "60.00", "B1", "NOTPROVIDED", &rf) + &entry("CRDT", "5.00", "B2", "X", "tea");
    let page = shop.statement(&camt(OURS, &more)).await;
    assert_eq!(page.status.as_u16(), 200, "{}", page.text());
    for says in ["Booked", "No order has that reference", "€60.00", "€5.00", "/merchant/orders/o_"] {
        assert!(page.text().contains(says), "{says}: {}", page.text());
    }
    let again = shop.statement(&camt(OURS, &more)).await.text();
    assert!(again.contains("Booked before") && !again.contains("€60.00"), "{again}");
    let desk = shop.look("/merchant").await;
    assert!(desk.contains("tea") && desk.contains("Refunds") && desk.contains("Make the file"), "{desk}");

    // What was too much is in the file, and the page's form makes it once.
    let token = hidden(&desk, "form");
    let form = format!("form={token}&on=2026-11-24");
    let made = shop.desk(&Method::POST, "/merchant/files", shop.key.reveal(), &form, HERE).await;
    let name = made.header("content-disposition").split('"').nth(1).unwrap().trim_end_matches(".xml").to_owned();
    assert!(made.text().contains("AT611904300234573201") && made.text().contains("<NbOfTxs>1<"), "{}", made.text());
    let same = shop.desk(&Method::POST, "/merchant/files", shop.key.reveal(), &form, HERE).await;
    assert_eq!(same.text(), made.text());
    assert_eq!(shop.look(&format!("/merchant/files/{name}")).await, made.text());
    let unknown = shop.desk(&Method::GET, "/merchant/files/B0", shop.key.reveal(), "", HERE).await;
    assert_eq!(unknown.status.as_u16(), 404);
    let desk = shop.look("/merchant").await;
    assert!(desk.contains(&name) && desk.contains("In a file for the bank: hand that in"), "{desk}");
    let none = shop.act("/merchant", "/merchant/files", "on=2026-11-24").await;
    assert!(none.text().contains("No repayment waits for a file"), "{}", none.text());
    let no_day = shop.act("/merchant", "/merchant/files", "on=soon").await;
    assert!(no_day.text().contains("That is no day"), "{}", no_day.text());

    // The bank carried it out.
    let end_to_end = made.text().split("<EndToEndId>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let amount = made.text().split("EUR\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let page = shop.statement(&camt(OURS, &entry("DBIT", &amount, "D1", &end_to_end, ""))).await.text();
    assert!(page.contains("Repaid"), "{page}");
    assert!(shop.look("/merchant").await.contains("You owe nobody."));
}

#[tokio::test]
async fn a_file_that_is_no_statement_of_ours_books_nothing_and_says_so() {
    let shop = Wired::new("bank-wrong").await;
    let rf = shop.ordered().await;
    let good = entry("CRDT", "60.00", "B1", "NOTPROVIDED", &rf);
    for (file, says) in [
        (camt("AT611904300234573201", &good), "the statement of another account"),
        (camt(OURS, &good).replace("</Document>", ""), "no statement that we can read"),
        (camt(OURS, &good).replace("camt.053", "camt.052"), "no statement that we can read"),
        ("tea".to_owned(), "no statement that we can read"),
        (String::new(), "no statement that we can read"),
    ] {
        let page = shop.statement(&file).await;
        assert_eq!(page.status.as_u16(), 422);
        assert!(page.text().contains(says), "{says}: {}", page.text());
    }
    let token = hidden(&shop.look("/merchant").await, "form");
    let file = camt(OURS, &good);
    let made_up = shop.hand_in(file.as_bytes(), "made-up", HERE).await;
    assert!(made_up.text().contains("too old or already used"));
    assert_eq!(shop.hand_in(file.as_bytes(), &token, "https://evil.example").await.status.as_u16(), 403);
    let no_parts = shop.send("/merchant/statement", "text/plain", b"tea", HERE).await;
    assert_eq!(no_parts.status.as_u16(), 422);
    let huge = shop.hand_in(&vec![b' '; 17 * 1024 * 1024], &token, HERE).await;
    assert!(matches!(huge.status.as_u16(), 413 | 422), "{}", huge.status);
    assert!(!shop.look("/merchant").await.contains("Anna Kowalska"));
}
