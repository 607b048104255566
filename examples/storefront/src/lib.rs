//! A tea and wine shop that recognises its customers without cookies, as a program to walk through and to copy from.
//!
//! [`shop`] is the merchant's own code, and names nothing that recognises anybody.

pub mod adopt;
mod after;
pub mod args;
pub mod desk;
mod present;
mod receipt;
mod repeat;
pub mod sell;
pub mod shop;
mod shown;
mod trouble;

#[cfg(test)]
mod wired;

#[cfg(test)]
mod tests {
    use axum::{
        Extension, Form, Router,
        body::Body,
        extract::{Request, State},
        http::{StatusCode, header},
        middleware::{Next, from_fn},
        response::Response,
        routing::get,
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use crate::shop::{
        self, AccountView, Customer, ProofView, PutBackForm, Shop, WineForm, assets, database::Database, page::Page,
        pages, view::View,
    };

    /// The whole shop, in which every request comes from `recognised`: to look at the pages.
    fn shop_router(shop: &Shop, recognised: Option<Customer>) -> Router {
        Router::new()
            .route("/wine", axum::routing::post(set_aside))
            .route("/wine/reserved", get(reserved).post(put_back))
            .route("/account", get(account))
            .with_state(shop.clone())
            .merge(shop::routes(shop))
            .merge(assets::routes())
            .layer(from_fn(move |mut request: Request, next: Next| {
                if let Some(customer) = recognised.clone() {
                    request.extensions_mut().insert(customer);
                }
                next.run(request)
            }))
    }

    type Known = Extension<Customer>;

    async fn set_aside(State(shop): State<Shop>, customer: Known, view: View, Form(form): Form<WineForm>) -> Response {
        shop.set_aside(&view, &customer, &form).await
    }

    async fn reserved(State(shop): State<Shop>, customer: Known, view: View) -> Response {
        shop.reserved(&view, &customer).await
    }

    async fn put_back(
        State(shop): State<Shop>,
        customer: Known,
        view: View,
        Form(form): Form<PutBackForm>,
    ) -> Response {
        shop.put_back(&view, &customer, &form).await
    }

    async fn account(customer: Known, view: View) -> Page {
        let shown = AccountView {
            id: customer.id.clone(),
            dids: vec!["did:jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJFZDI1NTE5IiwieCI6IjExcVlBWUt4Q3JmVlNfN1R5V1FIT2c3aGN2UGFwaU1scndJYWFQY0hVUm8ifQ".to_owned()],
            rung: "browser_key".to_owned(),
            proofs: vec![ProofView {
                ask: "age".to_owned(),
                purpose: "Wine is sold to adults".to_owned(),
                outcome: "over 18".to_owned(),
                at_s: 1_795_356_300,
            }],
        };
        pages::account(&view, &customer, &shown)
    }

    struct Answer {
        status: StatusCode,
        headers: axum::http::HeaderMap,
        text: String,
    }

    impl Answer {
        fn location(&self) -> &str {
            self.headers[header::LOCATION].to_str().unwrap()
        }
    }

    async fn shop() -> Shop {
        Shop::new(Database::connect("sqlite::memory:").await.unwrap())
    }

    fn anna() -> Customer {
        Customer { id: "anna".to_owned(), adult: true, recipient: None }
    }

    async fn send(shop: &Shop, customer: Option<Customer>, request: Request) -> Answer {
        let answer = shop_router(shop, customer).oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    async fn fetch(shop: &Shop, customer: Option<Customer>, uri: &str) -> Answer {
        send(shop, customer, Request::get(uri).body(Body::empty()).unwrap()).await
    }

    async fn post(shop: &Shop, customer: Option<Customer>, uri: &str, form: &str) -> Answer {
        let request = Request::post(uri).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        send(shop, customer, request.body(Body::from(form.to_owned())).unwrap()).await
    }

    #[tokio::test]
    async fn every_page_goes_out_under_the_same_strict_rules() {
        let shop = shop().await;
        for uri in [
            "/",
            "/products/etna",
            "/cart?cart=etnax1",
            "/wine",
            "/wine?cart=etnax1",
            "/sign-in",
            "/nothing",
            "/products/earlgrey",
        ] {
            let answer = fetch(&shop, None, uri).await;
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{uri}: {policy}");
            assert!(!answer.headers.contains_key(header::SET_COOKIE), "{uri}");
            for inline in ["<style", " style=", " onclick=", "<script>", "http://", "https://"] {
                assert!(!answer.text.contains(inline), "{uri} has {inline}");
            }
        }
    }

    #[tokio::test]
    async fn every_file_that_a_page_names_is_there() {
        let shop = shop().await;
        let home = fetch(&shop, None, "/").await.text;
        let files: Vec<&str> = home.split('"').filter(|text| text.starts_with("/shop/")).collect();
        assert_eq!(files.len(), 12 + 4);
        for file in files {
            let answer = fetch(&shop, None, file).await;
            assert_eq!(answer.status, StatusCode::OK, "{file}");
            assert!(!answer.text.is_empty(), "{file}");
        }
        assert_eq!(fetch(&shop, None, "/shop/pictures/nothing").await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_an_address_says_never_becomes_markup() {
        let shop = shop().await;
        let evil = "%22%3E%3Cscript%3Ealert(1)%3C/script%3E";
        for uri in
            [format!("/{evil}?cart={evil}&lang={evil}"), format!("/products/{evil}"), format!("/cart?cart={evil}")]
        {
            let answer = fetch(&shop, None, &uri).await;
            assert!(!answer.text.contains("<script>alert"), "{uri}");
        }
        let customer = Customer {
            recipient: Some(shop::Recipient {
                name: "<b>Anna</b>".to_owned(),
                lines: vec!["\"><i>".to_owned()],
                masked: false,
            }),
            ..anna()
        };
        let answer = fetch(&shop, Some(customer), "/wine/reserved").await;
        assert!(answer.text.contains("&lt;b&gt;Anna&lt;/b&gt;") && !answer.text.contains("<i>"));
    }

    #[tokio::test]
    async fn the_cart_lives_in_the_address() {
        let shop = shop().await;
        let added = post(&shop, None, "/cart?cart=senchax1&lang=de", "product=etna&quantity=2").await;
        assert_eq!((added.status, added.location()), (StatusCode::SEE_OTHER, "/cart?cart=senchax1.etnax2&lang=de"));
        let page = fetch(&shop, None, added.location()).await.text;
        assert!(page.contains("71,80\u{a0}€"), "{page}");
        let removed = post(&shop, None, "/cart?cart=etnax2", "product=etna&quantity=0").await;
        assert_eq!(removed.location(), "/cart");
        assert_eq!(post(&shop, None, "/cart", "product=gold&quantity=1").await.status, StatusCode::NOT_FOUND);
        assert_eq!(
            post(&shop, None, "/cart", "product=etna&quantity=-1").await.status,
            StatusCode::UNPROCESSABLE_ENTITY
        );
        let long = format!("product=etna&quantity=1&more={}", "x".repeat(10_000));
        assert_eq!(post(&shop, None, "/cart", &long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_quantity_that_cannot_be_is_said_in_words() {
        let shop = shop().await;
        let many = post(&shop, None, "/cart", "product=sencha&quantity=99999999").await;
        assert_eq!(many.location(), "/cart?cart=senchax12&more=1");
        for uri in ["/cart?cart=senchax12&more=1", "/cart?cart=senchax99999999", "/cart?cart=senchax99999999999"] {
            let cart = fetch(&shop, None, uri).await.text;
            assert!(cart.contains("One order has at most 12") && !cart.contains("no longer on the shelf"), "{cart}");
        }
        for odd in ["-1", "", "two", "1.5"] {
            let refused = post(&shop, None, "/cart?lang=de", &format!("product=sencha&quantity={odd}")).await;
            assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{odd}");
            assert!(refused.text.contains("keine Stückzahl") && !refused.text.contains("deserialize"), "{odd}");
        }
        assert_eq!(post(&shop, None, "/cart", "quantity=1").await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_is_not_on_the_shelf_is_said_and_not_put_into_a_basket() {
        let shop = shop().await;
        let scarce = fetch(&shop, None, "/products/pinot").await.text;
        assert!(scarce.contains("Only 3 left") && !scarce.contains("<option value=\"4\""), "{scarce}");
        let none = fetch(&shop, None, "/products/lapsang?lang=de").await;
        assert_eq!(none.status, StatusCode::OK);
        assert!(none.text.contains("Ausverkauft") && !none.text.contains("class=\"quantity\""), "{}", none.text);
        let plenty = fetch(&shop, None, "/products/sencha").await.text;
        assert!(!plenty.contains("class=\"stock") && plenty.contains("<option value=\"12\""), "{plenty}");
        for (uri, words) in [
            ("/cart?cart=pinotx5.lapsangx1", ["only 3 are left", "is sold out"]),
            ("/cart?cart=pinotx5.lapsangx1&lang=de", ["nur noch 3 da", "ist ausverkauft"]),
        ] {
            let cart = fetch(&shop, None, uri).await.text;
            assert!(words.iter().all(|word| cart.contains(word)), "{cart}");
            assert!(cart.contains("cart=pinotx3") && !cart.contains("cart=lapsang"), "{cart}");
        }
        let home = fetch(&shop, None, "/").await.text;
        assert!(home.contains("Sold out") && home.contains("Only 3 left"), "{home}");
        let wine = fetch(&shop, Some(anna()), "/wine?cart=pinotx5").await.text;
        assert!(wine.contains("name=\"wine\" value=\"pinotx3\""), "{wine}");
    }

    #[tokio::test]
    async fn wine_is_set_aside_shown_and_put_back() {
        let shop = shop().await;
        let gate = fetch(&shop, Some(anna()), "/wine?cart=senchax1.etnax2").await.text;
        assert!(gate.contains("name=\"wine\" value=\"etnax2\""), "{gate}");
        // Tea in the form stays where it is: only wine is set aside.
        let done = post(&shop, Some(anna()), "/wine?cart=senchax1", "wine=etnax2.senchax1").await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/wine/reserved?cart=senchax1"));
        let kept = fetch(&shop, Some(anna()), "/wine/reserved").await.text;
        assert!(kept.contains("Etna") && !kept.contains("Sencha") && kept.contains("€57.00"), "{kept}");
        let back = post(&shop, Some(anna()), "/wine/reserved", "product=etna").await;
        assert_eq!(back.status, StatusCode::SEE_OTHER);
        assert!(fetch(&shop, Some(anna()), "/wine/reserved").await.text.contains("Nothing at the moment"));
    }

    #[tokio::test]
    async fn a_stranger_is_asked_and_a_customer_is_greeted() {
        let shop = shop().await;
        let stranger = fetch(&shop, None, "/wine?cart=etnax1").await.text;
        assert!(stranger.contains("<firsthand-button ask=\"age\">") && !stranger.contains("name=\"wine\""));
        for uri in ["/", "/products/etna", "/cart", "/wine"] {
            let (stranger, customer) = (fetch(&shop, None, uri).await.text, fetch(&shop, Some(anna()), uri).await.text);
            for page in [&stranger, &customer] {
                assert_eq!(page.matches("data-firsthand=\"greeting\"").count(), 1, "{uri}");
            }
            assert!(customer.contains("Good to see you.") && !stranger.contains("Good to see you."), "{uri}");
        }
    }

    #[tokio::test]
    async fn what_never_was_is_404_and_what_is_no_more_is_410() {
        let shop = shop().await;
        assert_eq!(fetch(&shop, None, "/products/gold").await.status, StatusCode::NOT_FOUND);
        assert_eq!(fetch(&shop, None, "/products/earlgrey").await.status, StatusCode::GONE);
        assert_eq!(fetch(&shop, None, "/no/such/page").await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn both_languages_say_everything() {
        let shop = shop().await;
        let (english, german) = (fetch(&shop, None, "/").await.text, fetch(&shop, None, "/?lang=de").await.text);
        assert!(english.contains("<html lang=\"en\">") && english.contains("What steeps."));
        assert!(german.contains("<html lang=\"de\">") && german.contains("Was zieht."));
        let account = fetch(&shop, Some(anna()), "/account?lang=de").await.text;
        assert!(account.contains("Sie sind über 18") && account.contains("22. November 2026"));
    }
}
