//! Stock and holds, as operators and their programs see them; and orders that came from a checkout.

use firsthand::{
    checkout::Wishes,
    merchant::{Basket, Completion, IdempotencyKey},
    order::OrderId,
    trade::{FlatRates, Held, Hold, Inventory, Item, Items, Shelf, Trade, Vat, Way},
};

use super::*;

/// An office whose shop counts its stock: five teas.
struct Stockroom {
    office: Office,
    shelf: Shelf,
}

impl Stockroom {
    async fn open() -> Self {
        let (store, rail) = (Memory::new(), FakeRail::new());
        let shelf = Shelf::new(store.clone());
        let rate: Rate = "19".parse().unwrap();
        let vat = Vat::on_top("DE")
            .rate("DE", "standard", rate)
            .area(&["DE", "AT"])
            .reverse_charge(|id, country| (id, country) == ("ATU12345675", "AT"));
        let sends = FlatRates::new().way(Way::new("parcel", "Parcel", euros(490)), &["DE", "AT"], 20_000);
        let trade = Trade::new(Currency::EUR, Items::new([Item::new("tea", "Sencha", euros(1480)).sent(120)]).unwrap())
            .inventory(shelf.clone())
            .shipping(sends)
            .tax(vat)
            .address_from(&TestShop::address());
        let shop = TestShop::with(|builder| {
            let sepa = Sepa::new("Weingut Müller & Söhne", IBAN).unwrap();
            builder.store(store).rail(rail.clone()).rail(sepa).trade(trade)
        });
        let (anna, ben) = (OperatorKey::random(), OperatorKey::random());
        let operators = Operators::new().key("anna", anna.digest()).key("ben", ben.digest());
        let pages = BackOffice::new(shop.merchant(), operators).shelf(shelf.clone());
        let app = Router::new().nest_service("/merchant", pages.routes());
        shelf.stock("tea", 5, shop.merchant().now()).await.unwrap();
        Self { office: Office { shop, rail, app, anna, ben }, shelf }
    }

    async fn left(&self, item: &str) -> (u64, u64) {
        let count = self.shelf.count(item, self.office.merchant().now()).await.unwrap();
        (count.left, count.held)
    }

    /// A business in Austria begins to pay for two teas, and nobody knows yet how that went.
    async fn paying(&self) -> OrderId {
        self.office.rail.next(Mood::Says(Outcome::Unknown));
        self.completed(FakeRail::ID).await;
        self.shelf.holds(10, self.office.merchant().now()).await.unwrap().remove(0).order
    }

    /// A business in Austria orders two teas, to be paid by this rail.
    async fn completed(&self, rail: &str) {
        let merchant = self.office.merchant();
        let address = Address {
            name: "Erika Mustermann".to_owned(),
            street: "Getreidegasse 9".to_owned(),
            postal_code: "5020".to_owned(),
            locality: "Salzburg".to_owned(),
            country: "AT".to_owned(),
        };
        let wishes = Wishes::new().item("tea", Quantity::new(2).unwrap()).vat_id("ATU12345675");
        let basket = Basket::from(wishes).deliver_to(address);
        let checkout = merchant.check_out_as_guest(&basket, &merchant.guest_form()).await.unwrap().checkout;
        let completion = Completion::new(checkout.revision(), checkout.offering().totals.total).by(rail);
        let key: IdempotencyKey = "pay".parse().unwrap();
        checkout.complete(&completion, &key).await.unwrap();
    }
}

#[tokio::test]
async fn without_a_shelf_there_is_no_page_of_stock() {
    let office = Office::new();
    for path in ["/stock", "/holds"] {
        assert_eq!(office.look(path).await.status, 404, "{path}");
        assert_eq!(office.api(Method::GET, path, None).await.status, 404, "{path}");
    }
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 1 })).await.status, 404);
    let page = office.look("").await.text();
    assert!(!page.contains("/merchant/stock") && !page.contains("/merchant/holds"), "{page}");
}

#[tokio::test]
async fn stock_opens_with_a_key_alone() {
    let room = Stockroom::open().await;
    for (method, path) in [
        (Method::GET, "/stock"),
        (Method::POST, "/stock"),
        (Method::GET, "/holds"),
        (Method::GET, "/api/stock"),
        (Method::POST, "/api/stock/tea/count"),
        (Method::POST, "/api/stock/tea/deliveries"),
    ] {
        let nobody = Sending { key: None, origin: Some(HERE), language: "en", kind: "" };
        let reply = room.office.send(method.clone(), &format!("/merchant{path}"), &nobody, b"").await;
        assert_eq!(reply.status, 401, "{method} {path}");
        assert!(!reply.text().contains("tea"), "{path}");
    }
    // From a page of somebody else's.
    let key = Office::basic(&room.office.anna);
    let how = Sending { key: Some(&key), origin: Some("https://evil.example"), language: "en", kind: "" };
    assert_eq!(room.office.send(Method::POST, "/merchant/stock", &how, b"").await.status, 403);
    for path in ["/stock", "/stock?item=tea", "/holds"] {
        let reply = room.office.look(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (200, "private, no-store"), "{path}");
        let text = reply.text();
        assert!(text.contains("aria-current=\"page\"") && text.matches("<h1>").count() == 1, "{text}");
        assert!(!text.contains("<script") && !text.contains("style=\""), "{text}");
    }
}

#[tokio::test]
async fn deliveries_are_put_on_the_shelf_once_and_counts_are_set() {
    let room = Stockroom::open().await;
    let office = &room.office;
    let page = office.look("/stock").await.text();
    for says in ["href=\"/merchant/stock?item=tea\"", ">5<", "A delivery arrived", "href=\"/merchant/holds\""] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let delivery = [("act", "receive"), ("item", "tea"), ("more", "40"), ("delivery", "7719")];
    let own = token(&page);
    let unsure: Vec<_> = [("form", own.as_str())].into_iter().chain(delivery).collect();
    refused(&office.post("/stock", &unsure).await, 422, "tick");
    for _ in 0..2 {
        went(&office.act("/stock", &delivery).await, "/stock", "received");
    }
    assert_eq!(room.left("tea").await, (45, 0));
    let (long, control) = ("x".repeat(65), "a\u{7}b");
    // A typing error is no new item, unless somebody says so.
    let mistyped = [("act", "receive"), ("item", "tae"), ("more", "40"), ("delivery", "7720")];
    let reply = office.act("/stock", &mistyped).await;
    refused(&reply, 422, "No such item was ever on the shelf");
    let again = reply.text();
    for says in ["<option value=\"tea\">", "name=\"new\"", "value=\"tae\"", "value=\"7720\""] {
        assert!(again.contains(says), "{says}: {again}");
    }
    assert!(office.look("/stock?item=tae").await.text().contains("name=\"new\""));
    assert!(!office.look("/stock?item=tea").await.text().contains("name=\"new\""));
    assert!(!office.look("/stock").await.text().contains("<code>tae</code>"));
    let refusals: [([&str; 3], &str); 8] = [
        (["tea", "", "7720"], "no number of things"),
        (["tea", "0", "7720"], "no number of things"),
        (["tea", "-1", "7720"], "no number of things"),
        (["tea", "1000001", "7720"], "no number of things"),
        (["", "1", "7720"], "Name the item"),
        (["tea", "1", ""], "Name the item"),
        ([&long, "1", "7720"], "Name the item"),
        ([control, "1", "7720"], "Name the item"),
    ];
    for ([item, more, note], words) in refusals {
        let fields = [("act", "receive"), ("item", item), ("more", more), ("delivery", note), ("new", "yes")];
        refused(&office.act("/stock", &fields).await, 422, words);
    }
    refused(&office.act("/stock", &[("act", "burn"), ("item", "tea")]).await, 422, "nothing that can be done here");

    // What was counted: unless it is not as many any more as the page showed.
    let page = office.look("/stock?item=tea").await.text();
    assert!(page.contains("name=\"seen\" value=\"45\""), "{page}");
    let count = |left, seen| [("act", "count"), ("item", "tea"), ("left", left), ("seen", seen)];
    let own = token(&page);
    let unsure: Vec<_> = [("form", own.as_str())].into_iter().chain(count("44", "45")).collect();
    refused(&office.post("/stock", &unsure).await, 422, "tick");
    for _ in 0..2 {
        went(&office.act("/stock", &count("44", "45")).await, "/stock", "counted");
    }
    let moved = office.act("/stock", &count("43", "45")).await;
    refused(&moved, 409, "please count again");
    assert!(moved.text().contains("name=\"seen\" value=\"44\"") && moved.text().contains("value=\"43\""));
    refused(&office.act("/stock", &count("x", "44")).await, 422, "no number of things");
    refused(&office.act("/stock", &count("1", "")).await, 422, "nothing that can be done here");
    assert_eq!(room.left("tea").await, (44, 0));

    // Any name that can be on the shelf, and none that runs.
    let hostile = "a/b & <script>";
    let fields = [("act", "receive"), ("item", hostile), ("more", "1"), ("delivery", "7721"), ("new", "yes")];
    went(&office.act("/stock", &fields).await, "/stock", "received");
    let page = office.look("/stock").await.text();
    assert!(page.contains("?item=a%2Fb+%26+%3Cscript%3E") && !page.contains("<script"), "{page}");
    assert!(office.look("/stock?item=a%2Fb+%26+%3Cscript%3E").await.text().contains("name=\"seen\" value=\"1\""));
    assert!(office.look_in("/stock", "de").await.text().contains("Im Bestand"));
}

#[tokio::test]
async fn the_list_of_stock_goes_on_page_by_page() {
    let room = Stockroom::open().await;
    for number in 0..101 {
        room.shelf.stock(&format!("item {number:03}"), 1, room.office.merchant().now()).await.unwrap();
    }
    let page = room.office.look("/stock").await.text();
    let row = |number: u32| format!("<code>item {number:03}</code>");
    assert!(page.contains(&row(99)) && !page.contains(&row(100)) && page.contains("Further items"));
    assert!(page.contains("<option value=\"item 100\">"), "a delivery is of any of them");
    let next = room.office.look("/stock?after=item+099").await.text();
    assert!(next.contains(&row(100)) && next.contains("<code>tea</code>") && !next.contains(&row(99)));
    let one = room.office.ask("/stock?limit=2").await;
    assert_eq!((one["items"].as_array().unwrap().len(), one["next"].as_str()), (2, Some("item 001")));
    let rest = room.office.ask("/stock?limit=500&after=item+001").await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 100);
    assert!(rest.get("next").is_none());
}

#[tokio::test]
async fn a_program_counts_and_receives() {
    let room = Stockroom::open().await;
    let office = &room.office;
    let tea = |left: u64| json!({ "item": "tea", "left": left, "held": 0 });
    assert_eq!(office.ask("/stock").await["items"][0], tea(5));
    let note = json!({ "more": 40, "delivery": "7719" });
    for _ in 0..2 {
        assert_eq!(office.tell("/stock/tea/deliveries", &note).await.json(), tea(45));
    }
    let juice = office.tell("/stock/juise/deliveries", &note).await;
    assert_eq!((juice.status.as_u16(), juice.code().as_str()), (422, "no_such_item"));
    assert_eq!(office.ask("/stock").await["items"].as_array().unwrap().len(), 1);
    let new = json!({ "more": 6, "delivery": "7719", "new": true });
    assert_eq!(office.tell("/stock/juice/deliveries", &new).await.json()["left"], 6);
    assert_eq!(office.tell("/stock/juice/deliveries", &note).await.json()["left"], 6, "the same delivery");
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 40 })).await.json(), tea(40));
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 39, "seen": 40 })).await.json(), tea(39));
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 39, "seen": 40 })).await.json(), tea(39), "said again");
    // Also if some were sold since: they are not put back.
    let now = office.merchant().now();
    let sale = Hold::new(OrderId::from_random([7; 16]), vec![("tea".into(), Quantity::new(2).unwrap())], now, now);
    assert_eq!(room.shelf.sell(&sale).await.unwrap(), Held::All);
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 39, "seen": 40 })).await.json(), tea(37), "said again");
    let moved = office.tell("/stock/tea/count", &json!({ "left": 38, "seen": 39 })).await.json();
    assert_eq!(moved["detail"], "there are 37 by now, not as many as were seen: look, and count again");
    assert_eq!(office.tell("/stock/tea/count", &json!({ "left": 39, "seen": 37 })).await.json(), tea(39));
    let cases = [
        ("/stock/tea/count", json!({ "left": 38, "seen": 40 }), 409, "stock_moved"),
        ("/stock/tea/count", json!({ "left": -1 }), 400, "invalid_request"),
        ("/stock/tea/count", json!({ "left": 1, "also": 1 }), 400, "invalid_request"),
        ("/stock/%07/count", json!({ "left": 1 }), 422, "item_unreadable"),
        ("/stock/tea/deliveries", json!({ "more": 1, "delivery": "" }), 422, "item_unreadable"),
        ("/stock/tea/deliveries", json!({ "more": 1 }), 400, "invalid_request"),
    ];
    for (path, body, status, code) in cases {
        let reply = office.tell(path, &body).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (status, code), "{path} {body}");
    }
    assert_eq!(office.ask("/stock/tea").await, tea(39));
    assert_eq!(office.ask("/stock/none").await["left"], 0);
    assert_eq!(office.tell("/stock/a%2Fb/count", &json!({ "left": 2 })).await.json()["item"], "a/b");
    assert_eq!(office.api(Method::GET, "/stock?limit=x", None).await.code(), "invalid_request");
}

#[tokio::test]
async fn what_is_held_is_shown_and_what_was_sold_without_stock_is_said() {
    let room = Stockroom::open().await;
    let office = &room.office;
    assert!(office.look("/holds").await.text().contains("Nothing is held."));
    let id = room.paying().await;
    assert_eq!(room.left("tea").await, (3, 2));
    let order = office.merchant().order(&id).await.unwrap().unwrap();
    let page = office.look("/holds").await.text();
    for says in [&order.reference().printed(), "<code>tea</code>", "held until"] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let held = office.ask("/holds").await["holds"][0].clone();
    assert_eq!(
        (held["order"].as_str(), &held["items"]),
        (Some(id.as_str()), &json!([{ "item": "tea", "quantity": 2 }]))
    );

    // Its time is over, and it is gone before the money is there.
    let now = office.merchant().now();
    room.shelf.tidy(now.plus_s(3600)).await.unwrap();
    assert_eq!(room.left("tea").await, (5, 0));
    room.shelf.stock("tea", 1, now).await.unwrap();
    let path = path_of(&order);
    let paid = office.act(&path, &[("act", "decide"), ("attempt", "1"), ("happened", "yes")]).await;
    went(&paid, &path, "decided");
    office.merchant().bring_checkouts_up_to_date().await.unwrap();
    let order = office.now(&order).await;
    let checkout = order.record().checkout.clone().unwrap();
    let page = office.look(&path).await.text();
    for says in [
        "Sold, and not in stock any more: <strong>Sencha</strong>",
        "Sold: the checkout is complete",
        checkout.id.as_str(),
        "<code>ATU12345675</code>; the buyer owes the tax",
    ] {
        assert!(page.contains(says), "{says}: {page}");
    }
    let german = office.look_in(&path, "de").await.text();
    assert!(german.contains("Verkauft und nicht mehr im Bestand") && german.contains("Reverse Charge"), "{german}");
    let whole = office.ask(&path).await;
    assert_eq!(whole["checkout"], json!({ "id": checkout.id.as_str(), "vat_id": "ATU12345675" }));
    assert_eq!(whole["stock_missing"], json!(["tea"]));

    // Said to be no more, it is missed no more.
    let gone = [("act", "adjust"), ("reason", "not_supplied"), ("count/tea", "2"), ("amount", "29.60")];
    went(&office.act(&path, &gone).await, &path, "adjusted");
    assert!(!office.look(&path).await.text().contains("class=\"notice bad\""));
    assert_eq!(office.ask(&path).await["stock_missing"], json!([]));
}

#[tokio::test]
async fn what_waits_for_a_transfer_is_shown_where_stock_is() {
    let room = Stockroom::open().await;
    let office = &room.office;
    room.completed("sepa").await;
    assert_eq!(room.left("tea").await, (3, 0), "the shelf counts it as sold");
    let order = office.merchant().open_orders(2).await.unwrap().remove(0);
    let stock = office.look("/stock").await.text();
    let row = "Sencha <small><code>tea</code></small></a></th>";
    assert!(stock.contains(row) && stock.contains("data-label=\"Ordered, not paid\" class=\"number\">2<"), "{stock}");
    let until = order.expires_at().unwrap().to_string();
    for path in ["/stock?item=tea", "/holds"] {
        let page = office.look(path).await.text();
        let (_, list) = page.split_once("<h2>Ordered, not paid</h2>").unwrap_or_else(|| panic!("{page}"));
        for says in [order.reference().printed().as_str(), "2 × Sencha", "waits until", until.as_str()] {
            assert!(list.contains(says), "{path}: {says}: {list}");
        }
    }
    let german = office.look_in("/holds", "de").await.text();
    assert!(german.contains("Bestellt, nicht bezahlt") && german.contains("wartet bis"), "{german}");
    // Given up, it is there again, and paid, it is to be packed: neither waits.
    order.cancel().await.unwrap().commit().await.unwrap();
    assert!(!office.look("/stock?item=tea").await.text().contains("<h2>Ordered, not paid</h2>"));
}

#[tokio::test]
async fn the_log_says_who_changed_the_stock_of_what() {
    let room = Stockroom::open().await;
    let mut said = String::new();
    // As in the log of orders: another test that begins to listen may keep a line from this one.
    for left in ["7", "8", "9"] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let listening = tracing::subscriber::set_default(subscriber);
        let seen = room.left("tea").await.0.to_string();
        let count = [("act", "count"), ("item", "tea"), ("left", left), ("seen", seen.as_str())];
        went(&room.office.act("/stock", &count).await, "/stock", "counted");
        let stale = [("act", "count"), ("item", "tea"), ("left", "1"), ("seen", "0")];
        refused(&room.office.act("/stock", &stale).await, 409, "please count again");
        drop(listening);
        said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let counted = "an operator acted operator=\"anna\" act=\"stock_count\" item=\"tea\"";
        let moved = "an operator was refused operator=\"anna\" act=\"stock_count\" item=\"tea\" code=\"stock_moved\"";
        if said.contains(counted) && said.contains(moved) {
            return;
        }
    }
    panic!("{said}");
}
