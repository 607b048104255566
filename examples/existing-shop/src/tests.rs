//! The whole shop behind its routes, over PostgreSQL: who moves, who does not, and what is left of the old login.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use firsthand_axum::{
    Postgres,
    customer::{CustomerEvent, CustomerId},
    history::Happened,
    merchant::{AccountsMoved, Imported},
    store::{Expect, Key, Record, Store, Write},
    testing::{Browser, Reply, TestShop},
};
use firsthand_tests::postgres::{cluster, left_out};
use serde_json::json;
use sqlx::PgPool;

use crate::{OLD_LOGIN_ENDS, Shop, customers::Moved, open, set_up};

const HERE: &str = "https://shop.example";

/// A shop over a database of its own.
struct Wired {
    test: TestShop,
    shop: Shop,
    pool: PgPool,
    store: Postgres,
}

/// A browser with its cookie and its key.
struct Visitor {
    browser: Browser,
    cookie: Option<String>,
}

impl Wired {
    /// `None` without PostgreSQL.
    async fn new() -> Option<Self> {
        let Some(cluster) = cluster() else {
            left_out("the shop that is there already");
            return None;
        };
        let pool = PgPool::connect(&cluster.database()).await.unwrap();
        let store = open(&pool).await.unwrap();
        let test = TestShop::with(|builder| set_up(builder, &store));
        let shop = Shop::new(test.merchant().clone(), pool.clone(), store.clone(), OLD_LOGIN_ENDS);
        Some(Self { test, shop, pool, store })
    }

    fn visitor(&self) -> Visitor {
        Visitor { browser: Browser::new(&self.test, self.shop.router()), cookie: None }
    }

    /// Provider, e-mail address, name and home of every row, in order.
    async fn rows(&self) -> Vec<(String, String, Option<String>, Option<String>)> {
        let select = "SELECT provider, email, firsthand_id, belongs_to FROM customers ORDER BY id";
        sqlx::query_as(select).fetch_all(&self.pool).await.unwrap()
    }

    async fn firsthand_ids(&self) -> Vec<Option<String>> {
        self.rows().await.into_iter().map(|(_, _, firsthand_id, _)| firsthand_id).collect()
    }

    async fn old_sessions(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM old_sessions").fetch_one(&self.pool).await.unwrap()
    }

    async fn follow(&self) {
        while self.shop.follow_next().await.unwrap() {}
    }
}

impl Visitor {
    /// Somebody who came by the old login just now, and has shown a wallet.
    async fn ready(shop: &Wired, provider: &str, subject: &str, email: &str) -> Self {
        let mut visitor = shop.visitor();
        let reply = visitor.old_sign_in(provider, subject, email).await;
        assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "/account"), "{}", reply.text());
        visitor.browser.prove("hello", "adult").await;
        visitor
    }

    async fn old_sign_in(&mut self, provider: &str, subject: &str, email: &str) -> Reply {
        self.post("/old/sign-in", &format!("provider={provider}&subject={subject}&email={email}"), HERE, false).await
    }

    /// What the key alone is told, or whoever has the cookie alone.
    async fn account(&mut self, signed: bool) -> String {
        self.send(&Method::GET, "/account", "", HERE, signed).await.text()
    }

    async fn link(&mut self) -> Reply {
        self.post("/link", "", HERE, true).await
    }

    async fn post(&mut self, path: &str, form: &str, from: &str, signed: bool) -> Reply {
        self.send(&Method::POST, path, form, from, signed).await
    }

    /// A request as a browser sends it from a page of `from`: with the cookie if there is one, and signed or not.
    async fn send(&mut self, method: &Method, path: &str, form: &str, from: &str, signed: bool) -> Reply {
        loop {
            let mut headers = HeaderMap::new();
            let mut set = |name: &'static str, value: String| {
                headers.insert(HeaderName::from_static(name), HeaderValue::try_from(value).unwrap());
            };
            set("origin", from.to_owned());
            set("content-type", "application/x-www-form-urlencoded".to_owned());
            if let Some(cookie) = &self.cookie {
                set("cookie", format!("old_session={cookie}"));
            }
            if signed {
                let claims = self.browser.claims(method, path, Some(form.as_bytes()));
                set("dpop", self.browser.sign(&claims));
                if let Some(token) = &self.browser.token {
                    set("authorization", format!("DPoP {token}"));
                }
            }
            let reply = self.browser.send(method, path, headers, form.as_bytes()).await;
            if reply.code() == "use_dpop_nonce" {
                continue;
            }
            if let Some(value) = reply.header("set-cookie").strip_prefix("old_session=") {
                self.cookie = Some(value.split(';').next().unwrap().to_owned()).filter(|value| !value.is_empty());
            }
            return reply;
        }
    }
}

fn anna(provider: &str) -> (&str, &str, &str) {
    (provider, "anna", "anna@mail.example")
}

#[tokio::test]
async fn a_customer_moves_and_the_old_login_closes_behind_them() {
    let Some(shop) = Wired::new().await else { return };
    let (provider, subject, email) = anna("acme");
    let mut elsewhere = shop.visitor();
    elsewhere.old_sign_in(provider, subject, email).await;
    let mut anna = Visitor::ready(&shop, provider, subject, email).await;
    let before = anna.account(true).await;
    assert!(before.contains(email) && before.contains("action=\"/link\""), "{before}");

    let old_cookie = anna.cookie.clone();
    let reply = anna.link().await;
    assert_eq!((reply.status, reply.header("firsthand-location")), (StatusCode::NO_CONTENT, "/account"));
    assert!(anna.cookie.is_some() && anna.cookie != old_cookie, "the old session has a new name");

    let rows = shop.rows().await;
    let [(_, _, Some(id), Some(home))] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(id, home);
    let after = anna.account(true).await;
    assert!(after.contains(email) && after.contains("Moved from acme") && !after.contains("/link"), "{after}");
    let id: CustomerId = id.parse().unwrap();
    let customer = shop.test.merchant().customer(&id).await.unwrap().unwrap();
    let history = customer.history().await.unwrap();
    assert!(history.iter().any(|entry| entry.what == Happened::AccountLinked { provider: "acme".into() }));
    assert_eq!(customer.accounts().await.unwrap()[0].reference, "1");

    // Neither the old cookie opens anything any more, nor the new one by itself, nor that of another device, nor a sign-in.
    let mut thief = shop.visitor();
    for cookie in [old_cookie, anna.cookie.clone(), elsewhere.cookie.clone()] {
        thief.cookie = cookie;
        assert!(!thief.account(false).await.contains(email));
    }
    thief.cookie = elsewhere.cookie.clone();
    thief.browser.prove("hello", "adult").await;
    assert_eq!(thief.link().await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(elsewhere.old_sign_in(provider, subject, email).await.status, StatusCode::CONFLICT);
    assert_eq!(shop.old_sessions().await, 1, "the one that says that the account has moved");
}

#[tokio::test]
async fn the_same_address_at_two_providers_is_two_accounts() {
    let Some(shop) = Wired::new().await else { return };
    let (acme, globex) = (anna("acme"), anna("globex"));
    let mut one = Visitor::ready(&shop, acme.0, acme.1, acme.2).await;
    let mut other = Visitor::ready(&shop, globex.0, globex.1, globex.2).await;
    assert_eq!(one.link().await.status, StatusCode::NO_CONTENT);
    assert!(matches!(shop.firsthand_ids().await.as_slice(), [Some(_), None]), "the other one has not moved");
    let page = other.account(true).await;
    assert!(page.contains("You come in by globex") && !page.contains("acme"), "{page}");
    assert_eq!(other.link().await.status, StatusCode::NO_CONTENT);
    let ids = shop.firsthand_ids().await;
    assert!(ids[0].is_some() && ids[1].is_some() && ids[0] != ids[1], "{ids:?}");
    let moved = |provider: &str| AccountsMoved { provider: provider.into(), imported: 1, linked: 1 };
    assert_eq!(shop.test.merchant().accounts_moved().await.unwrap(), [moved("acme"), moved("globex")]);
}

#[tokio::test]
async fn a_customer_has_one_row() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    assert_eq!(anna.link().await.status, StatusCode::NO_CONTENT);
    anna.old_sign_in("globex", "anna", "anna@mail.example").await;
    let reply = anna.link().await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert!(reply.text().contains("You have moved another account already"), "{}", reply.text());
    assert!(matches!(shop.firsthand_ids().await.as_slice(), [Some(_), None]));
    // What the library had written went back with the transaction.
    let linked: Vec<u64> = shop.test.merchant().accounts_moved().await.unwrap().iter().map(|m| m.linked).collect();
    assert_eq!(linked, [1, 0]);
}

#[tokio::test]
async fn both_proofs_are_there_and_both_are_fresh() {
    let Some(shop) = Wired::new().await else { return };
    let limits = shop.test.merchant().limits().clone();

    // A known customer without an old session, and with one that nobody made.
    let mut nobody = shop.visitor();
    nobody.browser.prove("hello", "adult").await;
    assert_eq!(nobody.link().await.status, StatusCode::UNAUTHORIZED);
    nobody.cookie = Some("AAAAAAAAAAAAAAAAAAAAAA".into());
    assert_eq!(nobody.link().await.status, StatusCode::UNAUTHORIZED);

    // An old session without a known customer: unsigned, signed by a key that is nobody's, and with another's token.
    let mut anna = shop.visitor();
    anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    for signed in [false, true] {
        assert_eq!(anna.post("/link", "", HERE, signed).await.status, StatusCode::UNAUTHORIZED, "signed: {signed}");
    }
    anna.browser.token = nobody.browser.token.clone();
    assert_eq!(anna.link().await.code(), "invalid_token");
    anna.browser.token = None;

    // Both, but the old sign-in is stale.
    shop.test.advance_s(limits.legacy_sign_in_s + 1);
    anna.browser.prove("hello", "adult").await;
    let reply = anna.link().await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "old_sign_in"));
    // Both, but the wallet is.
    shop.test.advance_s(limits.step_up_s + 1);
    anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    let reply = anna.link().await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "step_up_needed"));
    assert_eq!(shop.firsthand_ids().await, [None]);
    // A wallet again: both are fresh.
    anna.browser.prove("hello", "adult").await;
    assert_eq!(anna.link().await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn an_account_moves_to_one_customer() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    assert_eq!(anna.link().await.status, StatusCode::NO_CONTENT);
    // The shop's table comes from a backup of yesterday: the library still knows whose the account is.
    let back = "UPDATE customers SET firsthand_id = NULL, belongs_to = NULL, moved_at = NULL";
    sqlx::query(back).execute(&shop.pool).await.unwrap();
    let mut mallory = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    let reply = mallory.link().await;
    assert_eq!((reply.status, reply.code().as_str()), (StatusCode::CONFLICT, "account_linked"));
    assert_eq!(shop.firsthand_ids().await, [None]);
    // Its owner signs in once more, and all is as it was.
    anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    assert_eq!(anna.link().await.status, StatusCode::NO_CONTENT);
    assert!(matches!(shop.firsthand_ids().await.as_slice(), [Some(_)]));
    assert_eq!(shop.test.merchant().accounts_moved().await.unwrap()[0].linked, 1);
}

#[tokio::test]
async fn two_who_move_the_same_account_at_once_are_one() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    let mut mallory = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    let (one, two) = tokio::join!(anna.link(), mallory.link());
    let moved = [&one, &two].iter().filter(|reply| reply.status == StatusCode::NO_CONTENT).count();
    assert_eq!(moved, 1, "{} {}, {} {}", one.status, one.text(), two.status, two.text());
    assert_eq!(shop.test.merchant().accounts_moved().await.unwrap()[0].linked, 1);
}

#[tokio::test]
async fn another_site_moves_nobody_and_signs_nobody_in_or_out() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    let evil = "https://evil.example";
    let cookie = anna.cookie.clone();
    let sign_in = "provider=acme&subject=mallory&email=mallory@mail.example";
    for (path, form, signed) in [("/old/sign-in", sign_in, false), ("/old/sign-out", "", false), ("/link", "", true)] {
        let reply = anna.post(path, form, evil, signed).await;
        assert_eq!((reply.status, reply.code().as_str()), (StatusCode::FORBIDDEN, "cross_site"), "{path}");
        assert!(reply.header("set-cookie").is_empty());
    }
    assert_eq!(anna.cookie, cookie);
    assert_eq!(shop.rows().await.len(), 1);
    assert_eq!(anna.post("/old/sign-out", "", HERE, false).await.status, StatusCode::SEE_OTHER);
    assert_eq!((anna.cookie.clone(), shop.old_sessions().await), (None, 0));
}

#[tokio::test]
async fn a_sign_in_takes_no_session_that_somebody_else_knows() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = shop.visitor();
    anna.old_sign_in("acme", "mallory", "mallory@mail.example").await;
    let planted = anna.cookie.clone();
    anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    assert_ne!(anna.cookie, planted);
    let mut mallory = shop.visitor();
    mallory.cookie = planted;
    assert!(!mallory.account(false).await.contains("@mail.example"));
}

#[tokio::test]
async fn names_are_followed_when_customers_merge_and_are_taken_apart() {
    let Some(shop) = Wired::new().await else { return };
    let (mut one, mut other) = (
        Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await,
        Visitor::ready(&shop, "globex", "anna", "anna@mail.example").await,
    );
    one.link().await;
    other.link().await;
    let ids = shop.firsthand_ids().await;
    let [Some(into), Some(from)] = ids.as_slice() else { panic!("{ids:?}") };
    let (into, from): (CustomerId, CustomerId) = (into.parse().unwrap(), from.parse().unwrap());

    says(&shop, &from, &into, true).await;
    shop.follow().await;
    let homes: Vec<_> = shop.rows().await.into_iter().map(|(_, _, id, home)| (id.unwrap(), home.unwrap())).collect();
    assert_eq!(homes, [(into.to_string(), into.to_string()), (from.to_string(), into.to_string())]);
    let page = one.account(true).await;
    assert!(page.contains("Moved from acme") && page.contains("Moved from globex"), "{page}");

    let customer = shop.test.merchant().customer(&from).await.unwrap().unwrap();
    assert_eq!((customer.id(), customer.accounts().await.unwrap().len()), (&into, 2));

    says(&shop, &from, &into, false).await;
    shop.follow().await;
    let homes: Vec<_> = shop.rows().await.into_iter().map(|(_, _, _, home)| home.unwrap()).collect();
    assert_eq!(homes, [into.to_string(), from.to_string()]);
}

/// What a merge writes, as far as accounts depend on it: where a name leads, who has become whom, and the word of it.
async fn says(shop: &Wired, from: &CustomerId, into: &CustomerId, merged: bool) {
    let now = shop.test.merchant().now();
    let (from_key, into_key) = (Key::new("customer", from.as_str(), ""), Key::new("customer", into.as_str(), ""));
    let stored = shop.store.load(&[from_key.clone(), into_key.clone()], now).await.unwrap();
    let mut writes = Vec::new();
    let leads_to = merged.then(|| into.as_str());
    let became = if merged { json!([{ "customer": from, "at": now }]) } else { json!([]) };
    let changes = [(from_key, "merged_into", json!(leads_to)), (into_key, "merged", became)];
    for ((key, field, value), stored) in changes.into_iter().zip(stored) {
        let stored = stored.unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&stored.record.body).unwrap();
        record[field] = value;
        let record = Record { body: record.to_string(), ..stored.record };
        writes.push(Write::put(key, record, Expect::Version(stored.version)));
    }
    let (from, into, at) = (from.clone(), into.clone(), now);
    let entry = Key::new("feed", "0", format!("{into}/{}", now.as_secs()));
    let event =
        if merged { CustomerEvent::Merged { from, into, at } } else { CustomerEvent::MergeUndone { from, into, at } };
    let word = Record { schema: 1, body: json!({ "customer": event }).to_string(), expires_at: None };
    writes.push(Write::put(entry, word, Expect::Absent));
    shop.store.commit(&writes, now).await.unwrap();
}

#[tokio::test]
async fn a_customer_who_is_forgotten_leaves_no_row_and_no_account() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    let mut bert = Visitor::ready(&shop, "acme", "bert", "bert@mail.example").await;
    anna.link().await;
    bert.link().await;
    let id: CustomerId = shop.firsthand_ids().await[0].clone().unwrap().parse().unwrap();
    shop.test.merchant().customer(&id).await.unwrap().unwrap().forget().await.unwrap();
    shop.follow().await;
    let left: Vec<_> = shop.rows().await.into_iter().map(|(_, email, ..)| email).collect();
    assert_eq!(left, ["bert@mail.example"]);
    let records = "SELECT count(*) FROM firsthand.records WHERE kind IN ('account', 'customer_account')";
    let records: i64 = sqlx::query_scalar(records).fetch_one(&shop.pool).await.unwrap();
    assert_eq!(records, 2, "the account of the other one, and what leads to it");
    // They may come again, as somebody new.
    let mut again = Visitor::ready(&shop, "acme", "anna", "anna@mail.example").await;
    assert_eq!(again.link().await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn after_its_last_day_the_old_login_only_leads_to_moving() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = shop.visitor();
    anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    assert!(anna.account(false).await.contains("You come in by acme"));
    let days = OLD_LOGIN_ENDS.since_s(shop.test.merchant().now());
    shop.test.clock().advance_s(days);
    let page = anna.account(false).await;
    assert!(!page.contains("anna@mail.example") && page.contains("Move your account now"), "{page}");
    let late = anna.old_sign_in("acme", "somebody-new", "new@mail.example").await;
    assert_eq!((late.status, shop.rows().await.len()), (StatusCode::FORBIDDEN, 1));
    let reply = anna.old_sign_in("acme", "anna", "anna@mail.example").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER);
    let page = anna.account(false).await;
    assert!(!page.contains("anna@mail.example") && page.contains("mailto:"), "{page}");
}

#[tokio::test]
async fn the_table_is_imported_and_the_report_says_who_has_moved() {
    let Some(shop) = Wired::new().await else { return };
    let rows = "INSERT INTO customers (email, provider, provider_sub, last_sign_in)
                SELECT 'a@mail.example', CASE WHEN n % 3 = 0 THEN 'globex' ELSE 'acme' END, n::text,
                       to_timestamp($1::bigint) - make_interval(days => n)
                FROM generate_series(1, 1200) AS n";
    sqlx::query(rows).bind(shop.test.merchant().now().as_secs()).execute(&shop.pool).await.unwrap();
    assert_eq!(shop.shop.import_all().await.unwrap(), Imported { new: 1200, known: 0 });
    assert_eq!(shop.shop.import_all().await.unwrap(), Imported { new: 0, known: 1200 });
    let mut one = Visitor::ready(&shop, "acme", "1000", "a@mail.example").await;
    assert_eq!(one.link().await.status, StatusCode::NO_CONTENT);
    let line =
        |provider: &str, customers, moved, dormant| Moved { provider: provider.into(), customers, moved, dormant };
    assert_eq!(shop.shop.report().await.unwrap(), [line("acme", 800, 1, 555), line("globex", 400, 0, 279)]);
    let moved = |provider: &str, imported, linked| AccountsMoved { provider: provider.into(), imported, linked };
    assert_eq!(shop.test.merchant().accounts_moved().await.unwrap(), [moved("acme", 800, 1), moved("globex", 400, 0)]);
}

#[tokio::test]
async fn what_is_no_form_of_ours_is_refused() {
    let Some(shop) = Wired::new().await else { return };
    let mut anna = shop.visitor();
    let long = "a".repeat(201);
    for (provider, subject) in [("google", "anna"), ("acme", ""), ("acme", "a%00b"), ("acme", &long)] {
        let reply = anna.old_sign_in(provider, subject, "anna@mail.example").await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{provider} {subject}");
    }
    assert!(shop.rows().await.is_empty());
}
