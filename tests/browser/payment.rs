//! A page with one button that asks for an age and a payment: the wallet shows what is paid and to whom, and one answer does
//! both.

use axum::{Router, response::Html, routing::get};
use firsthand_axum::{
    Ask, CustomerLayer, Known, Merchant, Wanted,
    merchant::GuestOrder,
    money::{Currency, Money, Quantity},
    order::Draft,
    rail::{Outcome, WalletRail, wallet::Payee},
    routes,
    testing::{FakeExecutor, cast::ACCOUNT},
};

use crate::{Browser, Storefront, installed, walk};

/// The shop, in this process, and a guest's order that waits for a payment.
async fn serve(at: &Storefront) -> GuestOrder {
    let age = Ask::new("age", "Wine is sold to adults").over(18);
    let pay = Ask::new("pay", "To pay").payment(Wanted::sd_jwt_vc(ACCOUNT).claim(["masked_iban"]));
    let payee = Payee::new("Weingut Sonnberg", "DE89370400440532013000").unwrap();
    let builder = Merchant::dev_at(at.origin().parse().unwrap(), at.folder.path()).await.unwrap();
    let rail = WalletRail::new(payee, FakeExecutor::new());
    let merchant = builder.ask(&age).ask(&pay).wallet_rail(rail).build().unwrap();
    let price = Money::new(2150, Currency::EUR).unwrap();
    let draft = Draft::new(Currency::EUR).line("riesling", "Riesling", price, Quantity::new(1).unwrap());
    let placed = merchant.place_as_guest(draft, &merchant.guest_form()).await.unwrap().commit().await.unwrap();
    let (order, link) = (placed.order.id().to_string(), placed.link.reveal().to_owned());
    let home = get(move |known: Option<Known>| async move {
        Html(match known {
            Some(_) => "<!doctype html><title>Shop</title><main data-firsthand>Thank you.</main>".to_owned(),
            None => format!(
                "<!doctype html><title>Shop</title><script type=\"module\" src=\"/wallet/firsthand.js\"></script>
                 <main data-firsthand><firsthand-button ask=\"age pay\" order=\"{order}\" link=\"{link}\">Buy</firsthand-button></main>"
            ),
        })
    });
    let app: Router = Router::new().route("/", home).merge(routes(&merchant)).layer(CustomerLayer::new(merchant));
    let address = at.origin().trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    placed
}

#[tokio::test(flavor = "multi_thread")]
async fn one_press_and_one_answer_prove_an_age_and_pay() {
    if !installed("a payment by wallet") {
        return;
    }
    let shop = Storefront::closed(None);
    let placed = serve(&shop).await;
    let browser = Browser::new(&shop).await;
    browser.open("/").await;
    walk::press_button(&browser).await;
    walk::to_wallet(&browser).await;
    walk::choose(&browser, "adult").await;
    browser.sees("You pay Weingut Sonnberg").await;
    browser.sees("€21.50").await;
    browser.picture("payment").await;
    browser.press("Confirm payment").await;
    browser.sees("Thank you.").await;
    let order = placed.order.reload().await.unwrap();
    assert_eq!(order.attempts().last().unwrap().outcome, Some(Outcome::Authorised { until: None }));
    browser.leave().await;
}
