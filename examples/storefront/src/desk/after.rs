//! After the sale, at the desk: what was sent and arrived, and what goes back after a withdrawal.

use axum::{
    Form,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use firsthand_axum::{
    Error, Money,
    merchant::{Order, Pending},
    money::Currency,
    order::{AfterError, OrderError, Parcel},
};

use super::{Desk, commit, said, settled};
use crate::{
    after::{Fields, field, parts},
    shop::{desk::Notice, money, view::View},
    trouble::Trouble,
};

/// A parcel was sent. The form's own name is the parcel's: sent twice, it is one.
pub(super) async fn send(desk: Desk, view: View, Path(id): Path<String>, Form(form): Form<Fields>) -> Response {
    let done = async {
        let order = desk.order(&id).await?;
        let Some(key) = desk.operator.read_form(field(&form, "form")) else { return Ok((order, Notice::FormOver)) };
        let Some(parcel) = parcel(&key, &form) else { return Ok((order, Notice::ParcelUnfit)) };
        let step = order.sent(parcel).await;
        Ok((order, noted(step, Notice::ParcelSent).await?))
    };
    answer(&desk, &view, &id, done.await).await
}

/// A parcel has arrived.
pub(super) async fn arrived(desk: Desk, view: View, Path(id): Path<String>, Form(form): Form<Fields>) -> Response {
    let done = async {
        let order = desk.order(&id).await?;
        if desk.operator.read_form(field(&form, "form")).is_none() {
            return Ok((order, Notice::FormOver));
        }
        let step = order.delivered(field(&form, "parcel")).await;
        Ok((order, noted(step, Notice::ParcelArrived).await?))
    };
    answer(&desk, &view, &id, done.await).await
}

/// A withdrawal is settled: with the goods back, or before.
pub(super) async fn settle(desk: Desk, view: View, Path(id): Path<String>, Form(form): Form<Fields>) -> Response {
    let done = async {
        let order = desk.order(&id).await?;
        if desk.operator.read_form(field(&form, "form")).is_none() {
            return Ok((order, Notice::FormOver));
        }
        // Goods may come back worth nothing.
        let Some(minor) = money::read_or_nothing(field(&form, "amount")) else {
            return Ok((order, Notice::AmountUnreadable));
        };
        let step = order.settle_withdrawal(field(&form, "withdrawal"), Money::new(minor, Currency::EUR)?).await;
        Ok((order, noted(step, Notice::WithdrawalSettled).await?))
    };
    answer(&desk, &view, &id, done.await).await
}

/// What the form says of a parcel, if that can be read.
fn parcel(key: &str, form: &Fields) -> Option<Parcel> {
    let text = |name| Some(field(form, name).to_owned()).filter(|text| !text.is_empty());
    let link = text("link").map(|link| link.parse()).transpose().ok()?;
    Some(Parcel { carrier: text("carrier"), tracking: text("tracking"), link, ..Parcel::new(key, parts(form)?) })
}

/// Takes a step, and says what was done, or why the library refused.
async fn noted(step: Result<Pending<Order>, Error>, notice: Notice) -> Result<Notice, Trouble> {
    match commit(step, notice).await {
        Err(Error::Order(OrderError::After(
            AfterError::Parcel(_) | AfterError::TooMany { .. } | AfterError::NoSuchItem(_) | AfterError::Parts,
        ))) => Ok(Notice::ParcelUnfit),
        done => settled(done),
    }
}

async fn answer(desk: &Desk, view: &View, id: &str, done: Result<(Order, Notice), Trouble>) -> Response {
    let page = match done {
        Ok((_, notice)) if !notice.is_trouble() => return said(view, &format!("/merchant/orders/{id}"), notice),
        Ok((order, notice)) => desk.sale(view, &order, Some(notice), String::new()).await,
        Err(trouble) => Err(trouble),
    };
    match page {
        Ok(page) => page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response(),
        Err(trouble) => trouble.page(view, None, "/merchant"),
    }
}
