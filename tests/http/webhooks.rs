//! The outbox: what happened is told to other programs, signed, at least once, and whatever they answer.

use firsthand::{
    Error,
    fetch::{Post, RetryAfter},
    merchant::{DeadWebhook, Delivered, Order, WEBHOOKS_MAX, Webhook},
    money::{Currency, Money, Quantity},
    order::Draft,
    protocol::webhook::{self, WebhookSecret},
    store::{Expect, Key, Memory, Record, Store, Write},
    testing::faulty::{Fault, Faulty},
};
use firsthand_axum::testing::{FakeRail, TestShop};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use url::Url;

use crate::probe::Ledger;

const ERP: &str = "https://erp.example/hooks/9f3c";
const MAIL: &str = "https://mail.example/orders";

fn at(url: &str) -> Url {
    url.parse().unwrap()
}

fn secret(byte: u8) -> WebhookSecret {
    WebhookSecret::from_random([byte; 32])
}

fn erp() -> Webhook {
    Webhook::new("erp", at(ERP), [secret(1)])
}

fn mail() -> Webhook {
    Webhook::new("mail", at(MAIL), [secret(2)]).only(&["order.paid"])
}

fn shop_over(store: impl Store, webhooks: &[Webhook]) -> TestShop {
    TestShop::with(|builder| {
        let builder = builder.store(store).rail(FakeRail::new());
        webhooks.iter().fold(builder, |builder, webhook| builder.webhook(webhook.clone()))
    })
}

fn shop(webhooks: &[Webhook]) -> TestShop {
    shop_over(Memory::new(), webhooks)
}

async fn placed(shop: &TestShop) -> Order {
    let price = Money::new(1480, Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("tea", "Tea", price, Quantity::new(1).unwrap());
    let form = shop.merchant().guest_form();
    shop.merchant().place_as_guest(draft, &form).await.unwrap().commit().await.unwrap().order
}

async fn round(shop: &TestShop) -> [usize; 3] {
    let Delivered { taken, later, dead, .. } = shop.merchant().deliver_webhooks().await.unwrap();
    [taken, later, dead]
}

fn takes(shop: &TestShop, url: &str) {
    shop.network().serve(&at(url), "text/plain", "ok");
}

/// What was posted, as whoever has this secret believes it: the id and the message.
#[track_caller]
fn believed(shop: &TestShop, post: &Post, secret: &WebhookSecret) -> (String, Value) {
    let mut headers = HeaderMap::new();
    for (name, value) in &post.headers {
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let now = shop.merchant().now();
    let id = webhook::verify(std::slice::from_ref(secret), &headers, &post.body, now).unwrap().to_owned();
    assert_eq!(post.content_type, "application/json");
    (id, serde_json::from_slice(&post.body).unwrap())
}

fn posted(shop: &TestShop, url: &str) -> Vec<Post> {
    shop.network().posted(&at(url))
}

fn ids(shop: &TestShop, url: &str) -> Vec<String> {
    let id = |post: &Post| post.headers.iter().find(|(name, _)| *name == webhook::ID).unwrap().1.clone();
    posted(shop, url).iter().map(id).collect()
}

#[tokio::test]
async fn what_happens_is_told_signed_and_once_if_it_is_taken() {
    let shop = shop(&[erp(), mail()]);
    takes(&shop, ERP);
    takes(&shop, MAIL);
    let order = placed(&shop).await;
    assert_eq!(posted(&shop, ERP).len(), 0, "nothing leaves with the commit");
    let order = order.pay(FakeRail::ID).await.unwrap();
    assert_eq!(round(&shop).await, [6, 0, 0]);
    assert_eq!(round(&shop).await, [0, 0, 0]);
    let events = order.events().await.unwrap();
    let told: Vec<_> = posted(&shop, ERP).iter().map(|post| believed(&shop, post, &secret(1))).collect();
    assert_eq!(told.len(), events.len());
    let mut numbers = Vec::new();
    for (id, message) in &told {
        let number = message["data"]["number"].as_u64().unwrap();
        assert_eq!(*id, format!("{}-{number}", order.id()));
        assert_eq!(message["data"]["order"], order.id().as_str());
        let event = &events[usize::try_from(number).unwrap() - 1];
        assert_eq!(message["timestamp"], event.at.to_string());
        numbers.push(number);
        if message["type"] == "order.placed" {
            assert_eq!(message["data"]["happened"]["total"]["minor"], 1480);
        }
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let paid = posted(&shop, MAIL);
    assert_eq!(paid.len(), 1, "only what it asked for");
    assert_eq!(believed(&shop, &paid[0], &secret(2)).1["type"], "order.paid");
    let mut headers = HeaderMap::new();
    for (name, value) in &paid[0].headers {
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let now = shop.merchant().now();
    assert!(webhook::verify(&[secret(1)], &headers, &paid[0].body, now).is_err(), "each endpoint has its secret");
}

#[tokio::test]
async fn while_a_secret_changes_messages_are_signed_under_both() {
    let shop = shop(&[Webhook::new("erp", at(ERP), [secret(3), secret(1)])]);
    takes(&shop, ERP);
    placed(&shop).await;
    round(&shop).await;
    for known in [secret(1), secret(3)] {
        believed(&shop, &posted(&shop, ERP)[0], &known);
    }
}

#[tokio::test]
async fn an_endpoint_that_does_not_take_is_told_again_on_the_schedule_and_then_no_more() {
    let store = Ledger::new(Memory::new());
    let shop = shop_over(store.clone(), &[erp()]);
    shop.network().status(&at(ERP), 500);
    let order = placed(&shop).await;
    let begun = shop.merchant().now();
    assert_eq!(round(&shop).await, [0, 1, 0]);
    for (number, wait_s) in (2..).zip([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400_u64]) {
        shop.advance_s(wait_s - 1);
        assert_eq!(round(&shop).await, [0; 3], "not before {wait_s} s");
        shop.advance_s(wait_s / 5 + 1);
        let expected = if number == 10 { [0, 0, 1] } else { [0, 1, 0] };
        assert_eq!(round(&shop).await, expected, "the attempt {number}");
        assert_eq!(posted(&shop, ERP).len(), number);
    }
    // Every attempt has the same id and its own time, and what it says is the time of the event.
    assert!(ids(&shop, ERP).iter().all(|id| *id == format!("{}-1", order.id())));
    let posts = posted(&shop, ERP);
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    believed(&shop, posts.last().unwrap(), &secret(1));
    let dead = shop.merchant().dead_webhooks(10).await.unwrap();
    let [DeadWebhook { endpoint, order: of, number: 1, tries: 10, why, died_at, .. }] = &dead[..] else {
        panic!("{dead:?}")
    };
    assert_eq!((endpoint.as_str(), of, why.as_str()), ("erp", order.id(), "status_500"));
    assert!(died_at.since_s(begun) > 3 * 24 * 3600);
    assert_eq!((round(&shop).await, store.count("outbox")), ([0; 3], 0));

    // Replayed by hand it is a new one under its old id.
    let replay = async |endpoint: &str, order: &Order, number| {
        shop.merchant().replay_webhook(endpoint, order.id(), number).await?.commit().await
    };
    replay("erp", &order, 1).await.unwrap();
    takes(&shop, ERP);
    assert_eq!(round(&shop).await, [1, 0, 0]);
    assert_eq!(ids(&shop, ERP).last(), ids(&shop, ERP).first());
    assert_eq!(shop.merchant().dead_webhooks(10).await.unwrap().len(), 0);
    assert_eq!(replay("crm", &order, 1).await.unwrap_err().code(), "no_such_webhook");
    assert_eq!(replay("erp", &order, 2).await.unwrap_err().code(), "no_such_order");
}

#[tokio::test]
async fn dead_letters_are_kept_for_a_month() {
    let store = Ledger::new(Memory::new());
    let shop = shop_over(store.clone(), &[erp()]);
    shop.network().status(&at(ERP), 410);
    placed(&shop).await;
    assert_eq!(round(&shop).await, [0, 0, 1]);
    assert_eq!(shop.merchant().dead_webhooks(10).await.unwrap().len(), 1);
    shop.advance_s(30 * 24 * 3600 + 1);
    assert_eq!(shop.merchant().dead_webhooks(10).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_told_nothing_more_until_it_is_there_again() {
    let store = Memory::new();
    let shop = shop_over(store.clone(), &[erp(), mail()]);
    shop.network().status(&at(ERP), 410);
    takes(&shop, MAIL);
    let order = placed(&shop).await.pay(FakeRail::ID).await.unwrap();
    assert_eq!(round(&shop).await, [1, 0, 5], "one was asked, all wait no longer");
    assert_eq!(posted(&shop, ERP).len(), 1);
    let merchant = shop.merchant();
    assert!(!merchant.is_webhook_enabled("erp").await.unwrap() && merchant.is_webhook_enabled("mail").await.unwrap());
    placed(&shop).await;
    takes(&shop, ERP);
    assert_eq!((round(&shop).await, posted(&shop, ERP).len()), ([0, 0, 1], 1));
    let dead = merchant.dead_webhooks(10).await.unwrap();
    assert_eq!((dead.len(), dead.iter().filter(|one| one.why == "disabled").count()), (6, 5));
    merchant.enable_webhook("erp").await.unwrap();
    for one in dead.iter().filter(|one| one.order == *order.id()) {
        merchant.replay_webhook(&one.endpoint, &one.order, one.number).await.unwrap().commit().await.unwrap();
    }
    assert_eq!(round(&shop).await, [5, 0, 0]);
    assert_eq!(merchant.enable_webhook("crm").await.unwrap_err().code(), "no_such_webhook");
    // At another address it may be there.
    shop.network().status(&at(ERP), 410);
    placed(&shop).await;
    round(&shop).await;
    let moved = shop_over(store, &[Webhook::new("erp", at("https://erp.example/new"), [secret(1)])]);
    assert!(moved.merchant().is_webhook_enabled("erp").await.unwrap());
}

#[tokio::test]
async fn an_endpoint_that_asks_for_it_is_left_in_peace_for_as_long_and_a_day_at_most() {
    const DAY: u64 = 24 * 3600;
    for (status, asked, quiet_s) in [
        (503, RetryAfter::Seconds(7_000), 7_000),
        (429, RetryAfter::Seconds(u64::MAX), DAY),
        (429, RetryAfter::Seconds(0), 0),
    ] {
        let shop = shop(&[erp(), Webhook::new("log", at(MAIL), [secret(2)])]);
        shop.network().busy(&at(ERP), status, asked);
        takes(&shop, MAIL);
        placed(&shop).await;
        placed(&shop).await;
        assert_eq!(round(&shop).await, [2, 1, 0], "{asked:?}");
        takes(&shop, ERP);
        if quiet_s > 0 {
            shop.advance_s(quiet_s - 1);
            placed(&shop).await;
            assert_eq!(round(&shop).await, [1, 0, 0], "nothing is sent to it, and all to the other: {asked:?}");
            assert_eq!(posted(&shop, ERP).len(), 1);
            shop.advance_s(1);
        }
        // Those that were not sent at once, and the one that was after its own pause.
        let waited = 1 + usize::from(quiet_s > 0);
        assert_eq!(round(&shop).await[0], waited, "{asked:?}");
        shop.advance_s(quiet_s.max(5) / 5 + 6);
        assert_eq!(round(&shop).await, [1, 0, 0], "{asked:?}");
        assert_eq!(posted(&shop, ERP).len(), waited + 2);
    }
    // A date counts as the time until then.
    let shop = shop(&[erp()]);
    let until = shop.merchant().now().plus_s(600);
    shop.network().busy(&at(ERP), 503, RetryAfter::At(until));
    placed(&shop).await;
    assert_eq!(round(&shop).await, [0, 1, 0]);
    takes(&shop, ERP);
    placed(&shop).await;
    shop.advance_s(599);
    assert_eq!(round(&shop).await, [0; 3]);
    shop.advance_s(1);
    assert_eq!(round(&shop).await, [1, 0, 0]);
    // Whoever knows better need not wait, and another address has asked for nothing.
    shop.network().busy(&at(ERP), 503, RetryAfter::Seconds(DAY));
    placed(&shop).await;
    round(&shop).await;
    takes(&shop, ERP);
    placed(&shop).await;
    assert_eq!(round(&shop).await, [0; 3]);
    shop.merchant().enable_webhook("erp").await.unwrap();
    assert_eq!(round(&shop).await[0], 1);
}

#[tokio::test]
async fn a_lost_answer_is_told_again_under_the_same_id() {
    let shop = shop(&[erp()]);
    shop.network().slow(&at(ERP));
    placed(&shop).await;
    assert_eq!(round(&shop).await, [0, 1, 0]);
    takes(&shop, ERP);
    shop.advance_s(6);
    assert_eq!(round(&shop).await, [1, 0, 0]);
    let ids = ids(&shop, ERP);
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    // An answer that is longer than anybody reads is an answer.
    shop.network().serve(&at(ERP), "text/html", vec![b'x'; 1 << 20]);
    placed(&shop).await;
    assert_eq!(round(&shop).await, [1, 0, 0]);
    // A redirect is none.
    shop.network().redirect(&at(ERP), &at(MAIL));
    takes(&shop, MAIL);
    placed(&shop).await;
    assert_eq!((round(&shop).await, posted(&shop, MAIL).len()), ([0, 1, 0], 0));
}

#[tokio::test]
async fn one_endpoint_or_event_that_fails_holds_up_no_other() {
    let store = Memory::new();
    let shop = shop_over(store.clone(), &[erp(), Webhook::new("log", at(MAIL), [secret(2)])]);
    shop.network().fail(&at(ERP));
    takes(&shop, MAIL);
    placed(&shop).await;
    placed(&shop).await;
    assert_eq!(round(&shop).await, [2, 1, 0], "who does not answer is left in peace for a round");
    takes(&shop, ERP);
    assert_eq!(round(&shop).await, [1, 0, 0], "the other one is not held up");
    // What cannot be read is given up, and the next one is sent.
    let missing = placed(&shop).await;
    let key = Key::new("order_event", missing.id().as_str(), format!("{:010}", 1));
    let now = shop.merchant().now();
    store.commit(&[Write::delete(key, Expect::Any)], now).await.unwrap();
    let poison = Record { schema: 1, body: "{}".to_owned(), expires_at: None };
    let place = Key::new("outbox", "erp", format!("{:020}/o_x/1", 0));
    let poison = Write::put(place, poison, Expect::Any);
    store.commit(&[poison], now).await.unwrap();
    placed(&shop).await;
    shop.advance_s(7);
    assert_eq!(round(&shop).await, [3, 0, 3]);
    assert_eq!(round(&shop).await, [0; 3]);
    let dead = shop.merchant().dead_webhooks(10).await.unwrap();
    assert_eq!(dead.len(), 2);
    assert!(dead.iter().all(|one| one.why == "unreadable" && one.order == *missing.id()));
}

#[tokio::test]
async fn whoever_dies_between_commit_and_delivery_leaves_nothing_untold() {
    for fault in [Fault::Done, Fault::Lost, Fault::Refused] {
        for call in 0.. {
            let store = Faulty::new(Memory::new());
            let shop = shop_over(store.clone(), &[erp()]);
            takes(&shop, ERP);
            let order = placed(&shop).await;
            let begun = store.calls();
            store.fail(call, fault);
            let _ = shop.merchant().deliver_webhooks().await;
            if store.calls() - begun <= call {
                break;
            }
            // Whoever has it next waits until the lease is over.
            shop.advance_s(61);
            shop.merchant().deliver_webhooks().await.unwrap();
            shop.advance_s(61);
            assert_eq!(round(&shop).await, [0; 3], "{fault:?} {call}");
            let ids = ids(&shop, ERP);
            assert!((1..=2).contains(&ids.len()), "{fault:?} {call}: {ids:?}");
            assert!(ids.iter().all(|id| *id == format!("{}-1", order.id())));
        }
    }
}

#[tokio::test]
async fn many_nodes_tell_each_event_once() {
    let shop = shop(&[erp()]);
    takes(&shop, ERP);
    for _ in 0..20 {
        placed(&shop).await;
    }
    let merchant = shop.merchant();
    let rounds = tokio::join!(merchant.deliver_webhooks(), merchant.deliver_webhooks(), merchant.deliver_webhooks());
    let taken: usize = [rounds.0, rounds.1, rounds.2].into_iter().map(|round| round.unwrap().taken).sum();
    assert_eq!((taken, posted(&shop, ERP).len()), (20, 20));
}

#[tokio::test]
async fn no_packet_leaves_for_an_address_inside() {
    for url in
        ["https://127.0.0.1/hook", "https://10.0.0.1/hook", "https://[::1]/hook", "https://169.254.169.254/latest"]
    {
        let webhook = Webhook::new("erp", at(url), [secret(1)]);
        let https = firsthand::fetch::Https::new().unwrap();
        let shop = TestShop::with(|builder| builder.store(Memory::new()).fetch(https).webhook(webhook.clone()));
        placed(&shop).await;
        assert_eq!(round(&shop).await, [0, 1, 0]);
        shop.advance_s(400_000);
        for _ in 0..9 {
            round(&shop).await;
            shop.advance_s(200_000);
        }
        assert_eq!(shop.merchant().dead_webhooks(1).await.unwrap()[0].why, "fetch_refused", "{url}");
    }
}

#[test]
fn an_endpoint_that_cannot_be_is_refused_when_the_merchant_is_set_up() {
    let world = TestShop::new();
    let built = |webhooks: &[Webhook]| {
        let builder =
            firsthand::Merchant::builder(at("https://shop.example")).keys(world.keys().clone()).store(Memory::new());
        webhooks.iter().fold(builder, |builder, webhook| builder.webhook(webhook.clone())).build()
    };
    assert!(built(&[erp(), mail()]).is_ok());
    let many = |count: usize| -> Vec<Webhook> {
        (0..count).map(|number| Webhook::new(&format!("erp-{number}"), at(ERP), [secret(1)])).collect()
    };
    assert!(built(&many(WEBHOOKS_MAX)).is_ok());
    let url = |url: &str| vec![Webhook::new("erp", at(url), [secret(1)])];
    for wrong in [
        many(WEBHOOKS_MAX + 1),
        vec![erp(), erp()],
        vec![Webhook::new("", at(ERP), [secret(1)])],
        vec![Webhook::new("Erp", at(ERP), [secret(1)])],
        vec![Webhook::new(&"e".repeat(33), at(ERP), [secret(1)])],
        vec![Webhook::new("erp", at(ERP), [])],
        vec![Webhook::new("erp", at(ERP), [1, 2, 3, 4, 5].map(secret))],
        vec![erp().only(&["paid"])],
        url("http://erp.example/hook"),
        url("http://localhost/hook"),
        url("https://user:password@erp.example/hook"),
        url("https://erp.example/hook#part"),
        url("ftp://erp.example/hook"),
    ] {
        assert!(matches!(built(&wrong), Err(Error::Misuse(_))), "{wrong:?}");
    }
    let shown = format!("{:?}", erp());
    assert!(shown.contains("erp.example") && !shown.contains("9f3c") && !shown.contains("whsec"), "{shown}");
}
