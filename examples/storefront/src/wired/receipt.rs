//! The receipt of an order, on its page and on the way into a wallet.

use axum::http::Method;
use firsthand_axum::testing::Reply;

use super::{HERE, Wired, guest_buys, page, reference};

impl Wired {
    /// The form of a receipt's page, as a browser without a script sends it.
    async fn wants(&self, path: &str, number: &str, from: &str) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", from)];
        let form = format!("number={number}");
        self.browser().plain(&Method::POST, &format!("{path}/receipt"), &headers, form.as_bytes()).await
    }
}

#[tokio::test]
async fn a_guest_prints_the_receipt_in_two_languages_and_takes_it_along() {
    let shop = Wired::new("receipt").await;
    let path = guest_buys(&mut shop.browser(), "senchax2").await;
    let number = reference(&page(&mut shop.browser(), &path).await);
    assert!(!page(&mut shop.browser(), &path).await.contains("/receipt"), "nothing is paid yet");
    let early = shop.browser().plain(&Method::GET, &format!("{path}/receipt"), &[], &[]).await;
    assert_eq!(early.status.as_u16(), 409, "{}", early.text());

    shop.book("t1", "60.00", &number).await;
    assert!(page(&mut shop.browser(), &path).await.contains("/receipt"));
    let english = page(&mut shop.browser(), &format!("{path}/receipt?lang=en")).await;
    for says in ["What you bought", "Blatt &amp; Rebe GmbH", "VAT id DE123456789", "VAT 7 %", "Transfer"] {
        assert!(english.contains(says), "{says}: {english}");
    }
    let german = page(&mut shop.browser(), &format!("{path}/receipt?lang=de")).await;
    for says in ["Was Sie gekauft haben", "MwSt. 7 %", "Überweisung", "In meine Wallet legen"] {
        assert!(german.contains(says), "{says}: {german}");
    }

    let offered = shop.wants(&path, &number, HERE).await;
    assert_eq!(offered.status.as_u16(), 200, "{}", offered.text());
    assert_eq!(offered.header("cache-control"), "private, no-store");
    for says in ["openid-credential-offer://", "<svg", "5 minutes, once"] {
        assert!(offered.text().contains(says), "{says}: {}", offered.text());
    }
    assert_eq!(shop.wants(&path, &number, "https://evil.example").await.status.as_u16(), 403);
    assert_eq!(shop.wants(&path, "RF18539007547034", HERE).await.status.as_u16(), 404);
    let nobodys = shop.wants("/o/AAAAAAAAAAAAAAAAAAAAAA", &number, HERE).await;
    assert_eq!(nobodys.status.as_u16(), 404);
}
