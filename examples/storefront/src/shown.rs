//! An order of the library, as the shop's pages show it.

use firsthand_axum::{
    Error, Money,
    merchant::{Order, Refund},
    order::{
        Address, DeliveryAddress, DeliverySource, Happened as Event, OrderEvent, OrderState, RefundReason, RefundState,
    },
    rail::sepa::SepaError,
};

use crate::{
    after::after_view,
    shop::{
        Recipient,
        delivery::{Country, Delivery},
        order::{
            Door, Drawing, EventView, Happened, OrderLine, OrderSummary, OrderView, OwedBecause, OwedState, OwedView,
            Status, TransferView,
        },
        view::View,
    },
    trouble::Trouble,
};

/// All of an order, for whoever stands at this door: an address from another device with its first letters alone.
pub(crate) async fn order_view(order: &Order, door: Door, view: &View) -> Result<OrderView, Trouble> {
    let delivery = order.delivery().await?;
    let lines = order.lines().iter().map(|line| {
        Ok(OrderLine {
            product: line.item.clone(),
            name: line.title.clone(),
            quantity: line.quantity.count(),
            price_minor: line.unit.minor(),
            sum_minor: line.amount()?.minor(),
        })
    });
    let mut owed = Vec::new();
    for refund in order.refunds().await? {
        owed.push(owed_view(&refund)?);
    }
    Ok(OrderView {
        id: order.id().to_string(),
        number: order.reference().as_str().to_owned(),
        door,
        placed_s: order.placed_at().as_secs(),
        lines: lines.collect::<Result<_, Trouble>>()?,
        total_minor: order.total().minor(),
        received_minor: order.ledger().received.minor(),
        delivery: delivery.as_ref().map_or(Delivery::Erased, |to| delivery_view(to, &to.for_page(), view)),
        status: status(order),
        transfer: transfer(order)?,
        may_cancel: matches!(
            order.state(),
            OrderState::Placed | OrderState::Paying | OrderState::Authorised | OrderState::Declined
        ) && order.parcels().is_empty()
            && !order.attempts().last().is_some_and(|attempt| attempt.is_in_doubt() || attempt.is_capturing()),
        after: after_view(order)?,
        owed,
        events: order.events().await?.into_iter().filter_map(event).collect(),
        wrong_account: None,
    })
}

/// An order in a list.
pub(crate) fn summary(order: &Order) -> OrderSummary {
    OrderSummary {
        id: order.id().to_string(),
        number: order.reference().as_str().to_owned(),
        placed_s: order.placed_at().as_secs(),
        things: order.lines().iter().map(|line| line.quantity.count()).sum(),
        total_minor: order.total().minor(),
        received_minor: order.ledger().received.minor(),
        status: status(order),
    }
}

/// Where it goes: the address as it is to be shown, and who said it.
pub(crate) fn delivery_view(delivered: &DeliveryAddress, address: &Address, view: &View) -> Delivery {
    let country =
        Country::find(&address.country).map_or(address.country.as_str(), |c| c.name.in_language(view.language));
    let town = format!("{} {}", address.postal_code, address.locality);
    let recipient = Recipient {
        name: address.name.clone(),
        lines: vec![address.street.clone(), town.trim().to_owned(), country.to_owned()],
        masked: *address != *delivered.for_label(),
    };
    match delivered.source() {
        DeliverySource::Wallet(_) => Delivery::Wallet(recipient),
        _ => Delivery::Typed(recipient),
    }
}

/// Why an amount goes back.
pub(crate) fn because(refund: &Refund) -> OwedBecause {
    let state = refund.order().state();
    match refund.reason() {
        RefundReason::Requested => OwedBecause::Refund,
        RefundReason::OrderEnded => OwedBecause::Ended,
        _ if state.is_open() || state == OrderState::Paid => OwedBecause::TooMuch,
        _ => OwedBecause::TooLate,
    }
}

/// How far an amount that goes back is.
///
/// # Errors
/// If the account cannot be read.
pub(crate) fn owed_state(refund: &Refund) -> Result<OwedState, Error> {
    Ok(match refund.state() {
        // What came too much goes back to whoever sent it: no customer says to whom.
        RefundState::Owed if refund.reason() != RefundReason::Overpaid && refund.account()?.is_none() => {
            OwedState::NeedsAccount
        }
        RefundState::Owed => OwedState::Owed,
        RefundState::Done => OwedState::Done,
        _ => OwedState::OnItsWay,
    })
}

fn owed_view(refund: &Refund) -> Result<OwedView, Error> {
    Ok(OwedView {
        id: refund.key().to_owned(),
        amount_minor: refund.amount().minor(),
        because: because(refund),
        state: owed_state(refund)?,
        account: refund.account()?.map(|to| to.iban().masked()),
    })
}

fn status(order: &Order) -> Status {
    match order.state() {
        OrderState::Placed => Status::Placed,
        OrderState::Paying if order.ledger().received.is_zero() => Status::Paying,
        OrderState::Paying => Status::PartlyPaid,
        OrderState::Authorised => Status::Authorised,
        OrderState::Paid => Status::Paid,
        OrderState::Declined => Status::Declined,
        OrderState::Cancelled => Status::Cancelled,
        OrderState::Expired => Status::Expired,
        _ => Status::Unknown,
    }
}

/// What to tell the bank, while a transfer is awaited.
fn transfer(order: &Order) -> Result<Option<TransferView>, Trouble> {
    let Some(asked) = order.transfer() else { return Ok(None) };
    let qr = asked.epc_qr_svg().map_err(|error: SepaError| Error::Misuse(error.to_string()))?;
    Ok(Some(TransferView {
        payee: asked.payee.clone(),
        iban: asked.iban.as_str().to_owned(),
        amount_minor: asked.amount.minor(),
        reference: asked.reference.as_str().to_owned(),
        due_s: asked.due_at.as_secs(),
        qr: Drawing::of_our_own(qr),
        payto: asked.payto(),
    }))
}

fn event(event: OrderEvent) -> Option<EventView> {
    let minor = |amount: Money| amount.minor();
    let what = match event.what {
        Event::Placed { .. } => Happened::Placed,
        Event::PaymentBegun { .. } => Happened::TransferAwaited,
        Event::PaymentAnswered { outcome, .. } if outcome.starts_with("declined") => Happened::Declined,
        Event::PaymentAnswered { outcome, .. } if outcome == "unknown" => Happened::AskedBank,
        Event::Received { amount, .. } => Happened::Received(minor(amount)),
        Event::Paid => Happened::Paid,
        Event::RefundOwed { amount, .. } => Happened::Owed(minor(amount)),
        Event::RefundBegun { amount, .. } => Happened::SendingBack(minor(amount)),
        Event::Refunded { amount, .. } => Happened::SentBack(minor(amount)),
        Event::Sent { .. } => Happened::Sent,
        Event::Delivered { .. } => Happened::Arrived,
        Event::Withdrawn { .. } => Happened::Withdrawn,
        Event::Adjusted { .. } => Happened::Adjusted,
        Event::Cancelled => Happened::Cancelled,
        Event::Expired => Happened::Expired,
        // What a rail says in between is for the merchant's log.
        _ => return None,
    };
    Some(EventView { at_s: event.at.as_secs(), what })
}
