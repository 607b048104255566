//! The merchant's desk under `/merchant`: what is open, what arrived at the bank, what goes back.
//!
//! No customer comes here. One key opens it: the door is the library's ([`BackOffice`]), which lets no form of another
//! site through, and every form carries a token of whoever has the key.

mod after;
mod bank;
mod calls;

use axum::{
    Form, Router,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Query},
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use firsthand_axum::{
    BackOffice, Error, Money, Operator, OperatorKey, Operators, Problem,
    error::Refusal,
    merchant::{Booking, Order, Pending, Transfer},
    money::Currency,
    order::{BankAccount, OrderError, OrderId, OrderState},
    rail::reference::Reference,
};
use serde::Deserialize;

use crate::{
    after::unsent,
    sell::{FORM_MAX, Till},
    shop::{
        desk::{
            AskedView, DeskOrders, DeskOwed, DeskSale, DeskView, KeptView, KeptWhat, Notice, OwedAct, OwedForm,
            PackView, RefundForm, TransferForm, UnmatchedAct, UnmatchedForm, UnmatchedView,
        },
        money,
        order::Door,
        page::Page,
        pages::{desk as pages, not_found},
        view::View,
    },
    shown::{because, delivery_view, order_view, owed_state, summary},
    trouble::Trouble,
};

/// How many of each list the desk shows.
const LIST: usize = 100;
/// How many orders stand on one page.
const PAGE: u32 = 50;

/// The desk, and who sits at it.
#[derive(Clone, Debug)]
struct Desk {
    till: Till,
    operator: Operator,
}

impl FromRequestParts<Till> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, till: &Till) -> Result<Self, Problem> {
        Ok(Self { till: till.clone(), operator: Operator::from_request_parts(parts, till).await? })
    }
}

/// The routes of the desk behind its key, and the library's own pages beside them under `/merchant/office`.
pub fn routes(till: &Till, key: &OperatorKey) -> Router {
    let office = BackOffice::new(&till.merchant, Operators::new().key("the-desk", key.digest()));
    let office = office.beside("/merchant", "The desk", "Ladentisch");
    let desk = Router::new()
        .route("/merchant", get(today))
        .route("/merchant/transfers", get(back).post(book))
        .route("/merchant/unmatched", get(back).post(unmatched))
        .route("/merchant/owed", get(back).post(owed))
        .route("/merchant/calls", get(calls::ask).post(calls::open))
        .route("/merchant/calls/look", get(calls::ask).post(calls::look))
        .route("/merchant/files", get(back).post(bank::make))
        .route("/merchant/files/{id}", get(bank::file))
        .route("/merchant/orders", get(orders))
        .route("/merchant/orders/{id}", get(sale))
        .route("/merchant/orders/{id}/refund", get(back).post(refund))
        .route("/merchant/orders/{id}/parcels", get(back).post(after::send))
        .route("/merchant/orders/{id}/arrived", get(back).post(after::arrived))
        .route("/merchant/orders/{id}/withdrawals", get(back).post(after::settle))
        .layer(DefaultBodyLimit::max(FORM_MAX))
        // A file is larger than a form.
        .route("/merchant/statement", get(back).post(bank::statement).layer(DefaultBodyLimit::max(bank::STATEMENT_MAX)))
        .with_state(till.clone());
    office.guard(desk).nest("/merchant/office", office.routes())
}

/// What the address says besides language and cart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    said: String,
    after: String,
}

async fn back(view: View) -> Redirect {
    Redirect::to(&view.href("/merchant"))
}

async fn today(desk: Desk, view: View, Query(asked): Query<Asked>) -> Response {
    shown(desk.today(&view, Notice::of_tag(&asked.said), TransferForm::default()).await, &view)
}

fn shown(page: Result<Page, Trouble>, view: &View) -> Response {
    page.map_or_else(|trouble| trouble.page(view, None, "/merchant"), IntoResponse::into_response)
}

impl Desk {
    async fn today(&self, view: &View, notice: Option<Notice>, typed: TransferForm) -> Result<Page, Trouble> {
        let merchant = &self.till.merchant;
        let unmatched = merchant.unmatched_transfers(LIST).await?.into_iter().map(|transfer| UnmatchedView {
            transfer: transfer.name,
            amount_minor: transfer.amount.minor(),
            reference: transfer.text,
            payer: transfer.payer.as_ref().map(|payer| payer.holder().to_owned()).unwrap_or_default(),
            payer_iban: transfer.payer.as_ref().map(|payer| payer.iban().as_str().to_owned()),
            booked_s: transfer.booked_at.as_secs(),
            why: bank::waits(transfer.why),
        });
        let mut owed = Vec::new();
        for refund in merchant.open_refunds(LIST).await? {
            let (order, to) = (refund.order(), refund.account()?);
            owed.push(DeskOwed {
                id: format!("{}/{}", order.id(), refund.key()),
                order: Some((order.id().to_string(), order.reference().as_str().to_owned())),
                amount_minor: refund.amount().minor(),
                because: because(&refund),
                state: owed_state(&refund)?,
                payee: to.as_ref().map(|to| to.holder().to_owned()),
                iban: to.as_ref().map(|to| to.iban().as_str().to_owned()),
                reference: order.reference().printed(),
                filed: refund.end_to_end().is_some(),
            });
        }
        let open = merchant.open_orders(LIST).await?;
        let to_send = merchant.orders_to_send(LIST).await?;
        let to_send = to_send.iter().map(|order| PackView { order: summary(order), things: unsent(order) });
        Ok(pages::desk(
            view,
            &DeskView {
                form: self.operator.form(),
                notice,
                to_send: to_send.collect(),
                open: open.iter().filter(|order| order.state().is_open()).map(summary).collect(),
                typed,
                unmatched: unmatched.collect(),
                withdrawn: merchant.open_withdrawals(LIST).await?.iter().map(summary).collect(),
                owed,
                files: merchant.refund_files(bank::FILES).await?,
                file_on: merchant.time_zone().day(merchant.now().plus_s(24 * 60 * 60)).to_string(),
                steps: self.till.database.steps().await?,
                stock: self.till.database.stock().await?,
            },
        ))
    }

    /// What is said after a form: in the address if something was done, and else on the page that comes back.
    async fn say(&self, view: &View, done: Result<Notice, Trouble>, typed: TransferForm) -> Response {
        match done {
            Ok(notice) if notice.is_trouble() => {
                let page = self.today(view, Some(notice), typed).await;
                shown(page.map(|page| page.with_status(StatusCode::UNPROCESSABLE_ENTITY)), view)
            }
            Ok(notice) => said(view, "/merchant", notice),
            Err(trouble) => trouble.page(view, None, "/merchant"),
        }
    }

    async fn book(&self, form: &TransferForm) -> Result<Notice, Trouble> {
        if self.operator.read_form(&form.form).is_none() {
            return Ok(Notice::FormOver);
        }
        let Some(amount_minor) = money::read(&form.amount) else { return Ok(Notice::AmountUnreadable) };
        let Ok(id) = form.transfer.parse() else { return Ok(Notice::TransferMissing) };
        let payer = match (form.payer_iban.trim(), form.payer.trim()) {
            ("", _) => None,
            (iban, name) => match iban.parse() {
                Ok(iban) if !name.is_empty() => Some(BankAccount::from_statement(name, iban)),
                _ => return Ok(Notice::IbanUnreadable),
            },
        };
        let merchant = &self.till.merchant;
        let amount = Money::new(amount_minor, Currency::EUR)?;
        let step = match merchant.book_transfer(Transfer { id, amount, text: form.reference.clone(), payer }).await {
            Err(Error::Refused(Refusal::TransferDiffers)) => return Ok(Notice::TransferDiffers),
            step => step?,
        };
        let before = match step.preview() {
            Booking::For(order) => order.reload().await?.ledger().owed,
            _ => Money::zero(Currency::EUR),
        };
        let booked = step.committed().await?;
        if !booked.is_new {
            return Ok(Notice::Again);
        }
        Ok(match booked.value {
            Booking::For(order) if order.ledger().owed != before => Notice::Excess,
            Booking::For(order) if order.state() == OrderState::Paid => Notice::Paid,
            Booking::For(_) => Notice::PartlyPaid,
            _ => Notice::Unmatched,
        })
    }

    async fn unmatched(&self, form: &UnmatchedForm) -> Result<Notice, Trouble> {
        if self.operator.read_form(&form.form).is_none() {
            return Ok(Notice::FormOver);
        }
        let merchant = &self.till.merchant;
        let done = match form.act {
            UnmatchedAct::SentBack => match merchant.transfer_returned(&form.transfer).await {
                Ok(step) => step.commit().await.map(|_| Notice::MarkedSentBack),
                Err(error) => Err(error),
            },
            UnmatchedAct::Same => match merchant.transfer_is_the_same(&form.transfer).await {
                Ok(step) => step.commit().await.map(|_| Notice::MarkedSame),
                Err(error) => Err(error),
            },
            UnmatchedAct::Assign => {
                let Ok(number) = form.number.parse::<Reference>() else { return Ok(Notice::NumberUnknown) };
                let Some(order) = merchant.order_by_reference(&number).await? else {
                    return Ok(Notice::NumberUnknown);
                };
                match merchant.assign_transfer(&form.transfer, order.id()).await {
                    Ok(step) => step.commit().await.map(|_| Notice::Assigned),
                    Err(error) => Err(error),
                }
            }
        };
        settled(done)
    }

    async fn owed(&self, form: &OwedForm) -> Result<Notice, Trouble> {
        if self.operator.read_form(&form.form).is_none() {
            return Ok(Notice::FormOver);
        }
        let (order, key) = form.owed.split_once('/').ok_or(Refusal::NothingOwed)?;
        let order: OrderId = order.parse().map_err(|_| Refusal::NothingOwed)?;
        let refund = self.till.merchant.refund(&order, key).await?;
        let step = match form.act {
            OwedAct::Account => {
                let named = form.iban.parse().and_then(|iban| BankAccount::new(form.name.trim(), iban));
                let Ok(named) = named else { return Ok(Notice::IbanUnreadable) };
                return settled(commit(refund.name_account(named).await, Notice::AccountNoted).await);
            }
            _ if refund.account()?.is_none() => return Ok(Notice::AccountUnknown),
            OwedAct::CarryOut => return settled(refund.send().await.map(|_| Notice::CarriedOut)),
            OwedAct::Done => refund.sent_by_hand().await,
            OwedAct::Reopen => return settled(commit(refund.reopen().await, Notice::Reopened).await),
        };
        settled(commit(step, Notice::Done).await)
    }

    async fn refund(&self, order: &Order, form: &RefundForm) -> Result<Notice, Trouble> {
        // The form's own name is the refund's: sent twice, it is one refund.
        let Some(key) = self.operator.read_form(&form.form) else { return Ok(Notice::FormOver) };
        let Some(amount_minor) = money::read(&form.amount) else { return Ok(Notice::AmountUnreadable) };
        let step = order.refund(Money::new(amount_minor, Currency::EUR)?, &key).await;
        settled(commit(step, Notice::Refunded).await)
    }

    async fn order(&self, id: &str) -> Result<Order, Trouble> {
        let id: OrderId = id.parse().map_err(|_| Refusal::NoSuchOrder)?;
        Ok(self.till.merchant.order(&id).await?.ok_or(Refusal::NoSuchOrder)?)
    }

    async fn sale(&self, view: &View, order: &Order, notice: Option<Notice>, typed: String) -> Result<Page, Trouble> {
        let mut shown = order_view(order, Door::Customer, view).await?;
        let delivery = order.delivery().await?;
        if let Some(delivery) = &delivery {
            // For the parcel: all of it, wherever it was shown.
            shown.delivery = delivery_view(delivery, delivery.for_label(), view);
        }
        let asked = order.proofs().iter().map(|proof| AskedView {
            ask: proof.ask.clone(),
            purpose: proof.purpose.clone(),
            at_s: proof.at.as_secs(),
        });
        let mut kept = vec![KeptView { what: KeptWhat::Order, until_s: None }];
        if order.proofs().iter().any(|proof| proof.ask == "age") {
            kept.push(KeptView { what: KeptWhat::Adult, until_s: None });
        }
        kept.extend(delivery.map(|to| KeptView { what: KeptWhat::Address, until_s: Some(to.kept_until().as_secs()) }));
        if !order.ledger().received.is_zero() {
            kept.push(KeptView { what: KeptWhat::Payer, until_s: None });
        }
        let refundable = if order.state() == OrderState::Paid { order.ledger().settled()?.minor() } else { 0 };
        Ok(pages::sale(
            view,
            &DeskSale {
                order: shown,
                customer: order.buyer().customer().map(ToString::to_string),
                form: self.operator.form(),
                notice,
                may_send: order.record().may_be_sent(),
                refundable_minor: refundable,
                typed,
                asked: asked.collect(),
                kept,
                sale: self.till.database.sale(order.id().as_str()).await?,
            },
        ))
    }
}

/// Takes a step, and says what was done.
async fn commit(step: Result<Pending<Order>, Error>, notice: Notice) -> Result<Notice, Error> {
    step?.commit().await.map(|_| notice)
}

/// What the library refuses, as the desk says it.
fn settled(done: Result<Notice, Error>) -> Result<Notice, Trouble> {
    match done {
        Err(Error::Refused(Refusal::RefundDiffers)) => Ok(Notice::FormOver),
        Err(Error::Order(OrderError::RefundTooLarge { .. } | OrderError::NotPaid(_))) => Ok(Notice::RefundTooLarge),
        // It was done already, by this form or another one.
        Err(
            Error::Order(_) | Error::Refused(Refusal::NoSuchTransfer | Refusal::TransferDiffers | Refusal::NothingOwed),
        ) => Ok(Notice::FormOver),
        done => Ok(done?),
    }
}

/// On to a page that says what was done: reloaded, it says it again and does nothing again.
fn said(view: &View, path: &str, notice: Notice) -> Response {
    let address = view.href(path);
    let joint = if address.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{address}{joint}said={}", notice.tag())).into_response()
}

async fn book(desk: Desk, view: View, Form(form): Form<TransferForm>) -> Response {
    desk.say(&view, desk.book(&form).await, form).await
}

async fn unmatched(desk: Desk, view: View, Form(form): Form<UnmatchedForm>) -> Response {
    desk.say(&view, desk.unmatched(&form).await, TransferForm::default()).await
}

async fn owed(desk: Desk, view: View, Form(form): Form<OwedForm>) -> Response {
    desk.say(&view, desk.owed(&form).await, TransferForm::default()).await
}

async fn orders(desk: Desk, view: View, Query(asked): Query<Asked>) -> Response {
    let page = async {
        let after = Some(asked.after.as_str()).filter(|after| !after.is_empty());
        let mut ids = desk.till.database.sold(after, PAGE + 1).await?;
        let next = if ids.len() > PAGE as usize { ids.pop().and(ids.last().cloned()) } else { None };
        let mut orders = Vec::with_capacity(ids.len());
        for id in &ids {
            orders.push(summary(&desk.order(id).await?));
        }
        Ok(pages::orders(&view, &DeskOrders { orders, next }))
    };
    shown(page.await, &view)
}

async fn sale(desk: Desk, view: View, Path(id): Path<String>, Query(asked): Query<Asked>) -> Response {
    let page = async {
        let order = desk.order(&id).await?;
        desk.sale(&view, &order, Notice::of_tag(&asked.said), String::new()).await
    };
    match page.await {
        Err(Trouble::Refused(Error::Refused(Refusal::NoSuchOrder))) => not_found(&view).into_response(),
        page => shown(page, &view),
    }
}

async fn refund(desk: Desk, view: View, Path(id): Path<String>, Form(form): Form<RefundForm>) -> Response {
    let done = async {
        let order = desk.order(&id).await?;
        let notice = desk.refund(&order, &form).await?;
        if !notice.is_trouble() {
            return Ok(said(&view, &format!("/merchant/orders/{id}"), notice));
        }
        let page = desk.sale(&view, &order, Some(notice), form.amount).await?;
        Ok(page.with_status(StatusCode::UNPROCESSABLE_ENTITY).into_response())
    };
    done.await.unwrap_or_else(|trouble: Trouble| trouble.page(&view, None, "/merchant"))
}
