//! After the sale: what the pages show of it, and the customer's withdrawal in two steps.

use axum::{
    Form, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use firsthand_axum::{
    Known, SameOrigin,
    merchant::Order,
    money::Quantity,
    order::{Eligibility, Exemption, Fulfilment, Part, WithdrawalState},
};

use crate::{
    sell::{Introduced, Till, of_guest, own},
    shop::{
        after::{AcknowledgementView, AfterView, ParcelView, Sent, Stands, Thing, WithdrawLine, WithdrawView},
        order::Door,
        pages,
        view::View,
    },
    trouble::Trouble,
};

/// The routes for customers and for guests. Whoever has the order's page may withdraw, and nothing else is asked of them.
pub(crate) fn routes() -> Router<Till> {
    Router::new()
        .route("/orders/{id}/withdraw", get(ask).post(confirm))
        .route("/o/{link}/withdraw", get(guest_ask).post(guest_confirm))
}

/// A form with a quantity for each of several products, and more: how many stands in `of-{product}`.
pub(crate) type Fields = Vec<(String, String)>;

/// What such a form says of a field.
pub(crate) fn field<'a>(form: &'a Fields, name: &str) -> &'a str {
    form.iter().find(|(found, _)| found == name).map(|(_, value)| value.trim()).unwrap_or_default()
}

/// What is named in such a form; `None` if nothing is, or something cannot be read.
pub(crate) fn parts(form: &Fields) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    for (name, value) in form {
        let Some(product) = name.strip_prefix("of-") else { continue };
        if !matches!(value.trim(), "" | "0") {
            parts.push(Part::new(product, value.trim().parse::<Quantity>().ok()?));
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// What became of an order after the sale.
///
/// # Errors
/// Never for an order that the library placed.
pub(crate) fn after_view(order: &Order) -> Result<AfterView, Trouble> {
    let thing = |product: &str, quantity: u32| thing(order, product, quantity);
    let things = |parts: &[Part]| parts.iter().map(|part| thing(&part.item, part.quantity.count())).collect();
    let parcels = order.parcels().iter().map(|parcel| ParcelView {
        key: parcel.key.clone(),
        things: things(&parcel.lines),
        carrier: parcel.carrier.clone(),
        tracking: parcel.tracking.clone(),
        link: parcel.link.as_ref().map(ToString::to_string),
        sent_s: parcel.sent_at.as_secs(),
        arrived_s: parcel.delivered_at.map(|at| at.as_secs()),
    });
    let withdrawal = order.withdrawal().lines.into_iter().map(|line| WithdrawLine {
        thing: thing(&line.item, line.left),
        until_s: line.until.map(|until| until.as_secs()),
        stands: match line.stands {
            Eligibility::Open => Stands::Open,
            Eligibility::Exempt => Stands::Exempt,
            Eligibility::Late => Stands::Late,
            _ => Stands::Gone,
        },
        only_sealed: matches!(line.exemption, Some(Exemption::SealedHygiene | Exemption::SealedMedia)),
    });
    let acknowledgements = order.acknowledgements().into_iter().map(|received| {
        let due = match received.state {
            WithdrawalState::Due => Some(order.withdrawal_worth(&received.key)?.minor()),
            _ => None,
        };
        Ok(AcknowledgementView {
            at_s: received.at.as_secs(),
            things: received.lines.iter().map(|line| thing(&line.item, line.quantity.count())).collect(),
            refund_by_s: received.refund_by.as_secs(),
            due_minor: due,
            key: received.key,
        })
    });
    Ok(AfterView {
        sent: match order.fulfilment() {
            Fulfilment::Partly => Sent::Partly,
            Fulfilment::Sent => Sent::All,
            Fulfilment::Delivered => Sent::Arrived,
            _ => Sent::Nothing,
        },
        parcels: parcels.collect(),
        unsent: things(&order.unsent()),
        withdrawal: withdrawal.collect(),
        acknowledgements: acknowledgements.collect::<Result<_, Trouble>>()?,
    })
}

/// What is still to be sent of an order.
pub(crate) fn unsent(order: &Order) -> Vec<Thing> {
    order.unsent().iter().map(|part| thing(order, &part.item, part.quantity.count())).collect()
}

fn thing(order: &Order, product: &str, quantity: u32) -> Thing {
    let line = order.lines().iter().find(|line| line.item == product);
    Thing { product: product.to_owned(), name: line.map(|line| line.title.clone()).unwrap_or_default(), quantity }
}

/// The page on which a withdrawal is confirmed: its key makes it one, however often the button is pressed.
fn asked(order: &Order, path: String, nothing_chosen: bool) -> Result<WithdrawView, Trouble> {
    let after = after_view(order)?;
    Ok(WithdrawView {
        number: order.reference().as_str().to_owned(),
        path,
        key: format!("w{}", after.acknowledgements.len() + 1),
        lines: after.withdrawal,
        nothing_chosen,
    })
}

/// The customer confirms. Says whether anything was chosen.
async fn stated(order: &Order, form: &Fields) -> Result<bool, Trouble> {
    let Some(parts) = parts(form) else { return Ok(false) };
    order.withdraw(parts, field(form, "key")).await?.commit().await?;
    Ok(true)
}

async fn ask(known: Known, customer: Introduced, view: View, Path(id): Path<String>) -> Response {
    let path = format!("/orders/{id}");
    let page = async {
        let shown = asked(&own(&known, &id).await?, path.clone(), false)?;
        Ok(pages::withdraw(&view, customer.as_deref(), &shown).into_response())
    };
    page.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), &path))
}

async fn confirm(
    known: Known,
    customer: Introduced,
    view: View,
    Path(id): Path<String>,
    Form(form): Form<Fields>,
) -> Response {
    let path = format!("/orders/{id}");
    let done = async { answer(&own(&known, &id).await?, &path, &customer, &view, &form).await };
    done.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), &path))
}

async fn guest_ask(State(till): State<Till>, customer: Introduced, view: View, Path(link): Path<String>) -> Response {
    let path = format!("/o/{link}");
    let page = async {
        let (order, _): (Order, Door) = of_guest(&till, &link).await?;
        let shown = asked(&order, path.clone(), false)?;
        Ok(pages::withdraw(&view, customer.as_deref(), &shown).into_response())
    };
    page.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), &path))
}

async fn guest_confirm(
    State(till): State<Till>,
    _: SameOrigin,
    customer: Introduced,
    view: View,
    Path(link): Path<String>,
    Form(form): Form<Fields>,
) -> Response {
    let path = format!("/o/{link}");
    let done = async { answer(&of_guest(&till, &link).await?.0, &path, &customer, &view, &form).await };
    done.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, customer.as_deref(), &path))
}

/// On to the order, which shows the acknowledgement; or the question once more.
async fn answer(
    order: &Order,
    path: &str,
    customer: &Introduced,
    view: &View,
    form: &Fields,
) -> Result<Response, Trouble> {
    if stated(order, form).await? {
        return Ok(Redirect::to(&view.href(&format!("{path}#withdrawn"))).into_response());
    }
    let shown = asked(order, path.to_owned(), true)?;
    let page = pages::withdraw(view, customer.as_deref(), &shown);
    Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response())
}
