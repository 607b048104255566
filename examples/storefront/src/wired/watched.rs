//! Whoever runs the shop sees how it does, and nothing of anybody: a sale with all that people type and show, and every line
//! that anything logs, at every level.

use std::{
    fmt::{self, Write},
    sync::{Arc, Mutex},
};

use tracing::{
    Dispatch, Event, Id, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};

use super::{ADDRESS, Wired, form_of, guest_buys, page, placed, reference};

/// All that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Log {
    fn line(&self, name: &str, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().unwrap();
        text.push('\n');
        text.push_str(name);
        record(&mut Line(&mut text));
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.line(span.metadata().name(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.line("", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.line(event.metadata().level().as_str(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "current_thread")]
async fn a_whole_sale_leaves_nobodys_name_in_the_logs_and_metrics() {
    let log = Log::default();
    // While there is one dispatcher in all, what another thread logs first is switched off for everybody: so there are two.
    let _second = Dispatch::new(log.clone());
    let _guard = tracing::subscriber::set_default(log.clone());
    let shop = Wired::new("watched").await;

    // A guest, by what they typed; and somebody who shows a wallet, twice.
    let mut guest = shop.browser();
    let guests = guest_buys(&mut guest, "senchax2").await;
    let wrong = form_of(&mut guest, "senchax1", ADDRESS).await.replace("10115", "Kowalskistadt");
    assert_eq!(guest.plain_form("/checkout", &wrong).await.status.as_u16(), 422);
    let mut known = shop.browser();
    known.sign_in("adult").await;
    known.prove("address", "adult").await;
    let form = form_of(&mut known, "etnax1", "delivery=wallet").await;
    let order = placed(&known.post_form("/checkout", &form).await);
    let greeting = known.get("/account").await.text();
    assert!(greeting.contains("over 18"), "{greeting}");

    // The desk books what the bank says of who paid, and the customer takes their word back.
    let rf = reference(&known.get(&order).await.text());
    assert_eq!(shop.book("B1", "28.50", &rf).await, "/merchant?said=paid");
    let rf = reference(&page(&mut guest, &guests).await);
    shop.book("B2", "1.00", &format!("Kowalska+{rf}")).await;
    shop.book("B3", "5.00", "for+Kowalska").await;
    known.post_form(&format!("{order}/withdrawal"), "").await;
    guest.plain_form(&format!("{guests}/cancel"), "").await;
    shop.clear_away().await;

    let (text, metrics) = (log.0.lock().unwrap().clone(), shop.operations.metrics());
    assert!(text.contains("request request_id=") && text.contains("store call=\"commit\""), "nothing is heard");
    assert!(metrics.contains("firsthand_http_requests_total{route=\"/checkout\",method=\"post\",status=\"3xx\"}"));
    let shown = shop.shop.persona("adult").name;
    let token = known.token.clone().unwrap();
    let link = guests.rsplit('/').next().unwrap();
    let mut told = vec!["Kowalska", "kowalska", "Am Markt", "AT611904300234573201", link, &token];
    told.extend(shown.split(' '));
    for personal in told {
        assert!(!text.contains(personal), "the log tells {personal}");
        assert!(!metrics.contains(personal), "the metrics tell {personal}");
    }
}
