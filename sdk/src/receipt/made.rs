//! How an order and its ledger become receipts: one of the purchase, and one for each amount that went back.

use std::collections::BTreeMap;

use super::{
    DISCOUNT, Discount, Means, PIECE, Paid, Product, ProductVat, Receipt, ReceiptError, ReceiptIssuer, ReceiptKind,
    ReceiptVat, VatCode,
};
use crate::{
    money::{Money, MoneyError, Rate},
    order::{Happened, LineTax, OrderEvent, OrderRecord, OrderState, RefundReason, RefundRecord, RefundState, Source},
    time::UnixTime,
};

/// All that is written down about an order and its money, read at one moment.
pub(crate) struct Books<'a> {
    pub(crate) order: &'a OrderRecord,
    pub(crate) events: &'a [OrderEvent],
    pub(crate) refunds: &'a [RefundRecord],
    pub(crate) issuer: &'a ReceiptIssuer,
    /// The means of payment of a rail, by its name.
    pub(crate) means: &'a dyn Fn(&str) -> Means,
}

/// A rate with its category: what taxes are put together by.
type Taxed = (Rate, Option<VatCode>);

/// What a line says.
struct Sold<'a> {
    item: &'a str,
    title: &'a str,
    unit: Money,
    quantity: u32,
    discount: Money,
    amount: Money,
    tax: Option<LineTax>,
}

/// An amount that went back to the customer for what was bought.
struct Returned<'a> {
    number: u32,
    at: UnixTime,
    refund: &'a RefundRecord,
}

impl Books<'_> {
    /// The receipt of the purchase, and behind it those of what went back, in order.
    pub(crate) fn receipts(&self) -> Result<Vec<Receipt>, ReceiptError> {
        let (sale, parts) = self.sale()?;
        let mut left = parts;
        let mut receipts = Vec::new();
        let returned = self.returned();
        for one in &returned {
            receipts.push(self.back(&sale, one, &mut left)?);
        }
        receipts.insert(0, sale);
        for receipt in &receipts {
            receipt.check()?;
        }
        Ok(receipts)
    }

    /// The purchase as it was when it was paid, and its taxes: whatever went back since changes nothing about it.
    fn sale(&self) -> Result<(Receipt, Vec<(Taxed, ReceiptVat)>), ReceiptError> {
        let order = self.order;
        let paid = self.events.iter().find(|event| event.what == Happened::Paid);
        let paid = paid.filter(|_| order.state == OrderState::Paid).ok_or(ReceiptError::NotPaid(order.state))?;
        let payments = self.payments(paid.number)?;
        let arrived = Money::sum(payments.iter().map(|(_, amount)| *amount), order.total.currency())?;
        let short = order.total.minus(arrived)?;

        let mut products = Vec::new();
        let mut taxed = Vec::new();
        for line in &order.lines {
            let sold = Sold {
                item: &line.item,
                title: &line.title,
                unit: line.unit,
                quantity: line.quantity.count(),
                discount: line.discount(),
                amount: line.amount()?,
                tax: line.tax,
            };
            self.sold(&sold, &mut products, &mut taxed)?;
        }
        // What costs nothing to send is no product.
        let carriage = order.carriage.as_ref().filter(|carriage| !carriage.amount.is_zero() || carriage.tax.is_some());
        if let Some(carriage) = carriage {
            let sold = Sold {
                item: &carriage.method,
                title: &carriage.title,
                unit: carriage.amount,
                quantity: 1,
                discount: Money::zero(order.total.currency()),
                amount: carriage.amount,
                tax: carriage.tax,
            };
            self.sold(&sold, &mut products, &mut taxed)?;
        }
        let mut vats = by_rate(&taxed)?;
        let mut kind = ReceiptKind::Purchase;
        if !short.is_zero() {
            // An authorisation ended, or was given up, before all of it was collected.
            kind = ReceiptKind::PurchaseAndReturn;
            for (taxed, part) in split(short, &mut vats)? {
                products.push(negative(&self.issuer.not_charged, taxed, part));
            }
        }
        let by = |(by, amount): &(Source, Money)| Paid { by: self.by(*by), amount_minor: amount.minor() };
        let receipt = Receipt {
            kind,
            number: order.reference.as_str().to_owned(),
            at: paid.at,
            currency: order.total.currency(),
            net_minor: vats.iter().map(|(_, vat)| vat.net_minor).sum(),
            vat_minor: vats.iter().map(|(_, vat)| vat.vat_minor).sum(),
            gross_minor: arrived.minor(),
            merchant: self.issuer.seller.clone(),
            products,
            vats: vats.iter().map(|(_, vat)| vat.clone()).collect(),
            payments: payments.iter().map(by).collect(),
            original: None,
        };
        Ok((receipt, vats))
    }

    /// What had come by each way when the order was paid: what counts still, what the merchant gave back or owes of it since,
    /// and what a provider took back since.
    fn payments(&self, paid: u32) -> Result<Vec<(Source, Money)>, MoneyError> {
        let mut payments: BTreeMap<Source, Money> = BTreeMap::new();
        let nothing = Money::zero(self.order.total.currency());
        let mut add = |by: Source, amount: Money| -> Result<(), MoneyError> {
            let known = payments.entry(by).or_insert(nothing);
            *known = known.plus(amount)?;
            Ok(())
        };
        for settled in &self.order.ledger.settled {
            add(settled.by, settled.amount)?;
        }
        for refund in self.refunds.iter().filter(|refund| refund.reason == RefundReason::Requested) {
            add(refund.by, refund.amount)?;
        }
        for event in self.events.iter().filter(|event| event.number > paid) {
            if let Happened::TakenBack { attempt, settled, .. } = &event.what {
                add(Source::Attempt(*attempt), *settled)?;
            }
        }
        Ok(payments.into_iter().filter(|(_, amount)| !amount.is_zero()).collect())
    }

    fn by(&self, source: Source) -> Means {
        match source {
            Source::Transfer => Means::CreditTransfer,
            Source::Attempt(number) => {
                let attempt = self.order.attempts.iter().find(|attempt| attempt.number == number);
                attempt.map_or(Means::Other, |attempt| (self.means)(&attempt.rail))
            }
        }
    }

    fn sold(
        &self,
        sold: &Sold<'_>,
        products: &mut Vec<Product>,
        taxed: &mut Vec<(Taxed, ProductVat)>,
    ) -> Result<(), ReceiptError> {
        let (rate, tax, included) = match sold.tax {
            Some(tax) => (tax.rate, tax.amount, tax.included),
            None if self.issuer.exempt => (Rate::ZERO, Money::zero(sold.amount.currency()), true),
            None => return Err(ReceiptError::NoTax(sold.item.to_owned())),
        };
        let code = match (rate == Rate::ZERO, self.issuer.exempt) {
            (true, true) => Some(VatCode::E),
            // Exempt, rated zero or reversed: nobody said.
            (true, false) => None,
            (false, _) => Some(VatCode::S),
        };
        let gross = if included { sold.amount } else { sold.amount.plus(tax)? };
        let unit = if included { sold.unit } else { sold.unit.plus(sold.unit.share(rate)?)? };
        let vat = ProductVat {
            rate: rate.to_string(),
            vat_minor: tax.minor(),
            net_minor: gross.minus(tax)?.minor(),
            gross_minor: gross.minor(),
            code,
        };
        let discount = Discount { kind: DISCOUNT.to_owned(), amount_minor: sold.discount.minor() };
        products.push(Product {
            name: sold.title.to_owned(),
            quantity: sold.quantity.to_string(),
            quantity_code: PIECE.to_owned(),
            unit_minor: unit.minor(),
            net_minor: vat.net_minor,
            gross_minor: vat.gross_minor,
            vats: vec![vat.clone()],
            discounts: Some(discount).filter(|discount| discount.amount_minor != 0).into_iter().collect(),
            item: Some(sold.item.to_owned()),
        });
        taxed.push(((rate, code), vat));
        Ok(())
    }

    /// What went back of the price, in the order in which it did. What came too much never counted, and stands on no receipt;
    /// what a provider took back by itself is no return.
    fn returned(&self) -> Vec<Returned<'_>> {
        let is_done =
            |refund: &&RefundRecord| refund.reason == RefundReason::Requested && refund.state == RefundState::Done;
        let mut returned: Vec<_> = self
            .refunds
            .iter()
            .filter(is_done)
            .filter_map(|refund| {
                // The last time: a transfer may have come back, and gone out again.
                let done =
                    |event: &&OrderEvent| matches!(&event.what, Happened::Refunded { key, .. } | Happened::RefundTaken { key, .. } if *key == refund.key);
                let event = self.events.iter().rev().find(done)?;
                Some(Returned { number: event.number, at: event.at, refund })
            })
            .collect();
        returned.sort_by_key(|one| one.number);
        returned
    }

    /// The receipt of an amount that went back: of each rate in proportion to what is left of it, so that all of them
    /// together are the purchase to the cent.
    fn back(
        &self,
        sale: &Receipt,
        returned: &Returned<'_>,
        left: &mut [(Taxed, ReceiptVat)],
    ) -> Result<Receipt, ReceiptError> {
        let amount = returned.refund.amount;
        let parts = split(amount, left)?;
        let is_all = amount.minor() == sale.gross_minor && sale.kind == ReceiptKind::Purchase;
        let products = match is_all {
            true => sale.products.iter().map(reversed).collect(),
            false => parts.iter().map(|(taxed, part)| negative(&self.issuer.refund, *taxed, part.clone())).collect(),
        };
        let vats: Vec<_> = parts.into_iter().map(|(_, part)| minus(part)).collect();
        Ok(Receipt {
            kind: ReceiptKind::Return,
            number: format!("{}-{}", sale.number, returned.number),
            at: returned.at,
            currency: sale.currency,
            net_minor: vats.iter().map(|vat| vat.net_minor).sum(),
            vat_minor: vats.iter().map(|vat| vat.vat_minor).sum(),
            gross_minor: -amount.minor(),
            merchant: sale.merchant.clone(),
            products,
            vats,
            payments: vec![Paid { by: self.by(returned.refund.by), amount_minor: -amount.minor() }],
            original: Some(sale.number.clone()),
        })
    }
}

/// Taxes by rate, the highest first.
fn by_rate(taxed: &[(Taxed, ProductVat)]) -> Result<Vec<(Taxed, ReceiptVat)>, MoneyError> {
    let mut vats: Vec<(Taxed, ReceiptVat)> = Vec::new();
    let plus = |one: i64, other: i64| one.checked_add(other).ok_or(MoneyError::TooLarge);
    for (by, part) in taxed {
        match vats.iter_mut().find(|(known, _)| known == by) {
            Some((_, vat)) => {
                vat.vat_minor = plus(vat.vat_minor, part.vat_minor)?;
                vat.net_minor = plus(vat.net_minor, part.net_minor)?;
                vat.gross_minor = plus(vat.gross_minor, part.gross_minor)?;
            }
            None => vats.push((
                *by,
                ReceiptVat {
                    rate: part.rate.clone(),
                    vat_minor: part.vat_minor,
                    net_minor: part.net_minor,
                    gross_minor: part.gross_minor,
                    code: part.code,
                },
            )),
        }
    }
    vats.sort_by_key(|((rate, _), _)| std::cmp::Reverse(*rate));
    Ok(vats)
}

/// Takes an amount out of what is left of each rate, in proportion, and its tax with it. Rates of which nothing is taken are
/// left out.
fn split(amount: Money, left: &mut [(Taxed, ReceiptVat)]) -> Result<Vec<(Taxed, ReceiptVat)>, MoneyError> {
    let weight = |minor: i64| u64::try_from(minor).map_err(|_| MoneyError::BelowZero);
    let weights = left.iter().map(|(_, vat)| weight(vat.gross_minor)).collect::<Result<Vec<_>, _>>()?;
    let mut parts = Vec::new();
    for (share, (by, vat)) in amount.allocate(&weights)?.into_iter().zip(left) {
        if share.is_zero() {
            continue;
        }
        let tax = share.allocate(&[weight(vat.vat_minor)?, weight(vat.net_minor)?])?.first().copied();
        let tax = tax.ok_or(MoneyError::BelowZero)?;
        let part = ReceiptVat {
            vat_minor: tax.minor(),
            net_minor: share.minus(tax)?.minor(),
            gross_minor: share.minor(),
            ..vat.clone()
        };
        vat.vat_minor -= part.vat_minor;
        vat.net_minor -= part.net_minor;
        vat.gross_minor -= part.gross_minor;
        parts.push((*by, part));
    }
    Ok(parts)
}

fn minus(vat: ReceiptVat) -> ReceiptVat {
    ReceiptVat { vat_minor: -vat.vat_minor, net_minor: -vat.net_minor, gross_minor: -vat.gross_minor, ..vat }
}

/// A line by which an amount of one rate goes back, or was never charged.
fn negative(title: &str, (_, code): Taxed, part: ReceiptVat) -> Product {
    let part = minus(part);
    let vat = ProductVat {
        rate: part.rate,
        vat_minor: part.vat_minor,
        net_minor: part.net_minor,
        gross_minor: part.gross_minor,
        code,
    };
    Product {
        name: title.to_owned(),
        quantity: "1".to_owned(),
        quantity_code: PIECE.to_owned(),
        unit_minor: vat.gross_minor,
        net_minor: vat.net_minor,
        gross_minor: vat.gross_minor,
        vats: vec![vat],
        discounts: Vec::new(),
        item: None,
    }
}

/// The same line, all of which goes back.
fn reversed(product: &Product) -> Product {
    let vat = |vat: &ProductVat| ProductVat {
        vat_minor: -vat.vat_minor,
        net_minor: -vat.net_minor,
        gross_minor: -vat.gross_minor,
        ..vat.clone()
    };
    let discount = |one: &Discount| Discount { amount_minor: -one.amount_minor, ..one.clone() };
    Product {
        unit_minor: -product.unit_minor,
        net_minor: -product.net_minor,
        gross_minor: -product.gross_minor,
        vats: product.vats.iter().map(vat).collect(),
        discounts: product.discounts.iter().map(discount).collect(),
        ..product.clone()
    }
}
