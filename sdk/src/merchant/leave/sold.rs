//! What the shop has of a customer's purchases, to take along: orders with what became of them, and checkouts.

use serde::Serialize;

use crate::{
    error::Error,
    merchant::{Checkout, Order, recognise::Recognised},
    money::Quantity,
    order::{AdjustmentRecord, Line, Part, WithdrawalState},
    store::SCAN_MAX,
};

/// How many orders are taken along in one go.
const PAGE: usize = 100;

/// An order.
#[derive(Clone, PartialEq, Serialize)]
pub struct ExportedOrder {
    /// Its name.
    pub id: String,
    /// What people call it.
    pub reference: String,
    /// When it was placed.
    pub placed_at: String,
    /// Where it stands.
    pub state: &'static str,
    /// The currency.
    pub currency: String,
    /// What it costs.
    pub total: String,
    /// What was bought.
    pub lines: Vec<ExportedLine>,
    /// The delivery address, line by line, while it is kept.
    pub delivery: Option<Vec<String>>,
    /// What was sent, the oldest first.
    pub parcels: Vec<ExportedParcel>,
    /// What was taken back or made cheaper, the oldest first.
    pub adjustments: Vec<ExportedAdjustment>,
    /// What they withdrew from, the oldest first.
    pub withdrawals: Vec<ExportedWithdrawal>,
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedLine {
    /// What was bought.
    pub title: String,
    /// How many.
    pub quantity: u32,
    /// What one costs.
    pub unit: String,
}

/// So many of something that was bought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedPart {
    /// What.
    pub title: String,
    /// How many.
    pub quantity: u32,
}

/// Something that was sent.
#[derive(Clone, PartialEq, Serialize)]
pub struct ExportedParcel {
    /// What was in it.
    pub contents: Vec<ExportedPart>,
    /// Who carried it.
    pub carrier: Option<String>,
    /// The carrier's number for it.
    pub tracking: Option<String>,
    /// The carrier's page about it.
    pub link: Option<String>,
    /// When it was sent.
    pub sent_at: String,
    /// When it arrived, as far as the shop was told.
    pub delivered_at: Option<String>,
}

/// Something that was taken back or made cheaper.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedAdjustment {
    /// Why: `withdrawn`, `returned`, `not_supplied`, `damaged` or `price_correction`.
    pub reason: &'static str,
    /// What it is about.
    pub contents: Vec<ExportedPart>,
    /// What goes back for it.
    pub amount: String,
    /// When it was decided.
    pub at: String,
}

/// Something that the customer withdrew from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedWithdrawal {
    /// What it is about.
    pub contents: Vec<ExportedPart>,
    /// When the shop received it.
    pub at: String,
    /// Until when the shop pays back what is due.
    pub refund_by: String,
    /// Whether that is settled.
    pub settled: bool,
}

/// A checkout.
#[derive(Clone, PartialEq, Serialize)]
pub struct ExportedCheckout {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub status: &'static str,
    /// When it began.
    pub begun_at: String,
    /// When it was changed last.
    pub changed_at: String,
    /// Until when it is kept, unless it is being completed.
    pub expires_at: Option<String>,
    /// What they want.
    pub items: Vec<ExportedWish>,
    /// The words for a discount that they entered.
    pub codes: Vec<String>,
    /// The way to send it that they chose.
    pub way: Option<String>,
    /// What they say that they can prove, by ask.
    pub claims: Vec<String>,
    /// The number under which they pay tax themselves.
    pub vat_id: Option<String>,
    /// Where it goes, line by line, as long as no order has it.
    pub address: Option<Vec<String>>,
    /// The currency.
    pub currency: String,
    /// What it would cost.
    pub total: String,
}

/// So many of something that is wanted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedWish {
    /// The shop's name for it.
    pub item: String,
    /// How many.
    pub quantity: u32,
}

impl std::fmt::Debug for ExportedOrder {
    /// Without the address, and without what was bought.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedOrder").field("id", &self.id).field("state", &self.state).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ExportedParcel {
    /// Without its number, by which carriers show where it goes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedParcel").field("sent_at", &self.sent_at).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ExportedCheckout {
    /// Without the address, and without what is wanted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportedCheckout").field("id", &self.id).field("status", &self.status).finish_non_exhaustive()
    }
}

impl Recognised {
    /// All orders of the customer.
    pub(super) async fn exported_orders(&self) -> Result<Vec<ExportedOrder>, Error> {
        let mut exported = Vec::new();
        let mut after = None;
        loop {
            let page = self.orders(after.as_ref(), PAGE).await?;
            for order in &page {
                exported.push(ExportedOrder::of(order).await?);
            }
            let is_full = page.len() == PAGE && exported.len() < SCAN_MAX;
            after = page.into_iter().next_back();
            if !is_full {
                return Ok(exported);
            }
        }
    }

    /// The checkouts of the customer that are kept.
    pub(super) async fn exported_checkouts(&self) -> Result<Vec<ExportedCheckout>, Error> {
        let mut exported = Vec::new();
        for checkout in self.checkouts().await? {
            exported.push(ExportedCheckout::of(&checkout)?);
        }
        Ok(exported)
    }
}

impl ExportedOrder {
    async fn of(order: &Order) -> Result<Self, Error> {
        let lines = order.lines();
        let line = |line: &Line| ExportedLine {
            title: line.title.clone(),
            quantity: line.quantity.count(),
            unit: line.unit.decimal(),
        };
        let parcels = order.parcels().iter().map(|parcel| ExportedParcel {
            contents: contents(lines, &parcel.lines),
            carrier: parcel.carrier.clone(),
            tracking: parcel.tracking.clone(),
            link: parcel.link.as_ref().map(ToString::to_string),
            sent_at: parcel.sent_at.to_string(),
            delivered_at: parcel.delivered_at.map(|at| at.to_string()),
        });
        let adjusted = |it: &AdjustmentRecord| ExportedAdjustment {
            reason: it.reason.name(),
            contents: contents(lines, &it.lines),
            amount: it.amount.decimal(),
            at: it.at.to_string(),
        };
        let withdrawals = order.acknowledgements().into_iter().map(|it| ExportedWithdrawal {
            contents: it
                .lines
                .into_iter()
                .map(|line| ExportedPart { title: line.title, quantity: line.quantity.count() })
                .collect(),
            at: it.at.to_string(),
            refund_by: it.refund_by.to_string(),
            settled: it.state == WithdrawalState::Settled,
        });
        Ok(Self {
            id: order.id().to_string(),
            reference: order.reference().to_string(),
            placed_at: order.placed_at().to_string(),
            state: order.state().name(),
            currency: order.total().currency().to_string(),
            total: order.total().decimal(),
            lines: lines.iter().map(line).collect(),
            delivery: order.delivery().await?.map(|delivery| delivery.for_page().lines()),
            parcels: parcels.collect(),
            adjustments: order.record().after.adjustments.iter().map(adjusted).collect(),
            withdrawals: withdrawals.collect(),
        })
    }
}

impl ExportedCheckout {
    fn of(checkout: &Checkout) -> Result<Self, Error> {
        let (record, wishes) = (checkout.record(), checkout.wishes().clone());
        let total = checkout.offering().totals.total;
        let wish = |(item, quantity): (String, Quantity)| ExportedWish { item, quantity: quantity.count() };
        Ok(Self {
            id: checkout.id().to_string(),
            status: checkout.status().name(),
            begun_at: record.begun_at.to_string(),
            changed_at: record.changed_at.to_string(),
            expires_at: checkout.expires_at().map(|at| at.to_string()),
            items: wishes.items.into_iter().map(wish).collect(),
            codes: wishes.codes,
            way: wishes.way,
            claims: wishes.claims,
            vat_id: wishes.vat_id,
            address: checkout.address()?.map(|address| address.for_page().lines()),
            currency: total.currency().to_string(),
            total: total.decimal(),
        })
    }
}

/// What parts name, as it was called when it was sold.
fn contents(lines: &[Line], parts: &[Part]) -> Vec<ExportedPart> {
    let titled = |part: &Part| {
        let sold = lines.iter().find(|line| line.item == part.item);
        ExportedPart {
            title: sold.map_or_else(|| part.item.clone(), |line| line.title.clone()),
            quantity: part.quantity.count(),
        }
    };
    parts.iter().map(titled).collect()
}
