//! The receipts of an order, and what somebody may do who shows one.

use serde_json::Value;

use super::{Order, Pending, Plan, Witness};
use crate::{
    ask::OWN_RECEIPT,
    error::{Error, Refusal},
    issuing::{ReceiptIssued, ReceiptName, ReceiptUsed},
    merchant::{Merchant, RACES_MAX, put},
    order::{OrderEvent, OrderId, RefundRecord},
    presentation::Verified,
    protocol::jose::base64url_encode,
    rail::Reference,
    receipt::{Books, Means, Receipt, ReceiptError},
    store::{Expect, Key, Persisted, Prefix, Version},
};

/// The longest name of what a receipt is good for once, in bytes.
const PURPOSE_BYTES_MAX: usize = 32;
/// The longest number of a receipt, in bytes.
const NUMBER_BYTES_MAX: usize = 64;

impl Order {
    /// The receipt of the purchase. It stays what it is, whatever goes back later.
    ///
    /// # Errors
    /// [`Error::Receipt`]: [`ReceiptError::NotPaid`] as long as the order is not paid; [`ReceiptError::NoSeller`] without
    /// [`receipts`](crate::merchant::MerchantBuilder::receipts); [`ReceiptError::NoTax`] for a line that says no tax.
    pub async fn receipt(&self) -> Result<Receipt, Error> {
        let mut receipts = self.receipts().await?;
        if receipts.is_empty() {
            Err(ReceiptError::NotPaid(self.record.state).into())
        } else {
            Ok(receipts.swap_remove(0))
        }
    }

    /// All receipts: of the purchase, and one for each amount of it that went back, in order. Each of those names the first.
    /// What came too much and went back, or was never for this order, stands on none.
    ///
    /// # Errors
    /// As [`Order::receipt`].
    pub async fn receipts(&self) -> Result<Vec<Receipt>, Error> {
        let merchant = &self.merchant;
        let issuer = merchant.0.receipts.as_ref().ok_or(ReceiptError::NoSeller)?;
        let means = |rail: &str| {
            let rails = &merchant.0.rails;
            rails.iter().find(|known| known.id() == rail).map_or(Means::Other, crate::rail::AnyRail::means)
        };
        for _ in 0..RACES_MAX {
            let order = merchant.wanted(self.id()).await?;
            let events: Vec<OrderEvent> = merchant.all_of(self.id()).await?;
            let refunds: Vec<RefundRecord> = merchant.all_of(self.id()).await?;
            // The order's version guards everything beside it: read between two commits, they would not fit.
            if merchant.wanted(self.id()).await?.version == order.version {
                let (order, events, refunds) = (&order.record, &events[..], &refunds[..]);
                return Ok(Books { order, events, refunds, issuer, means: &means }.receipts()?);
            }
        }
        Err(Refusal::Overtaken.into())
    }

    pub(in crate::merchant) const fn merchant(&self) -> &Merchant {
        &self.merchant
    }
}

/// A receipt of this shop that somebody showed: they bought this, whoever they are. Nothing of the credential is kept but
/// the number, which is our own.
#[derive(Clone, Debug)]
pub struct ShownReceipt {
    number: String,
    order: Order,
}

impl ShownReceipt {
    /// The receipt's number.
    #[must_use]
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The order that it is of, as it stands now: whether money went back since is in its ledger.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// Whether it is the receipt of the purchase itself, and not of something that went back.
    #[must_use]
    pub fn is_purchase(&self) -> bool {
        self.number == self.order.reference().as_str()
    }

    /// Uses the receipt for something that it is good for once, such as a review; `purpose` names that: 1 to 32 of `a-z`,
    /// `0-9`, `-` and `_`. However many wallets have the receipt, and however often they show it, it is once.
    ///
    /// Committed together with what it is used for ([`Pending`]), the two cannot come apart.
    ///
    /// # Errors
    /// [`Refusal::ReceiptUsed`] if it was used for that before; [`Refusal::NoSuchReceipt`] if it is no receipt of a
    /// purchase; [`Error::Misuse`] for another name.
    pub async fn once(&self, purpose: &str) -> Result<Pending<()>, Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if purpose.is_empty() || purpose.len() > PURPOSE_BYTES_MAX || !purpose.bytes().all(plain) {
            return Err(Error::Misuse(format!("a receipt cannot be used once for {purpose:?}: name it like review")));
        }
        if !self.is_purchase() {
            return Err(Refusal::NoSuchReceipt.into());
        }
        let input = (self.number.clone(), purpose.to_owned());
        Pending::new(&self.order.merchant, input, |merchant, (number, purpose)| async move {
            merchant.plan_once(&number, &purpose).await
        })
        .await
    }
}

impl Merchant {
    /// The receipt that somebody showed for an ask for one ([`Ask::receipt`](crate::Ask::receipt)).
    ///
    /// # Errors
    /// [`Refusal::NoSuchReceipt`] if the answer is to another ask, or the receipt is of no order of this shop any more.
    pub async fn receipt_shown(&self, verified: &Verified) -> Result<ShownReceipt, Error> {
        let asked = self.declared(verified.ask()).filter(|ask| ask.wants_receipt());
        let number = verified.claim(OWN_RECEIPT, &["receiptNumber"]).and_then(Value::as_str);
        let (Some(_), Some(number)) = (asked, number) else { return Err(Refusal::NoSuchReceipt.into()) };
        if number.len() > NUMBER_BYTES_MAX {
            return Err(Refusal::NoSuchReceipt.into());
        }
        // What went back is numbered behind the purchase.
        let reference = number.split_once('-').map_or(number, |(purchase, _)| purchase);
        let reference: Reference = reference.parse().map_err(|_| Refusal::NoSuchReceipt)?;
        let order = self.order_by_reference(&reference).await?.ok_or(Refusal::NoSuchReceipt)?;
        Ok(ShownReceipt { number: number.to_owned(), order })
    }

    /// The receipt of a name.
    pub(in crate::merchant) async fn receipt_named(&self, name: &ReceiptName) -> Result<Receipt, Error> {
        let order = self.order(&name.order).await?.ok_or(Refusal::NoSuchOrder)?;
        let receipts = order.receipts().await?;
        Ok(receipts.into_iter().find(|receipt| receipt.number == name.number).ok_or(Refusal::NoSuchReceipt)?)
    }

    /// What wallets have of the receipts of an order, each with its place beside the order and its version.
    pub(in crate::merchant) async fn receipts_issued(
        &self,
        order: &OrderId,
    ) -> Result<Vec<(String, ReceiptIssued, Version)>, Error> {
        let prefix = Prefix { kind: ReceiptIssued::KIND, partition: order.as_str().to_owned(), sort: String::new() };
        let (mut found, mut all) = (Vec::new(), self.all_in(prefix));
        while let Some((key, stored)) = all.next().await? {
            found.push((key.sort, stored.read()?, stored.version));
        }
        Ok(found)
    }

    async fn plan_once(&self, number: &str, purpose: &str) -> Result<Plan<()>, Error> {
        let key = Key::new(ReceiptUsed::KIND, number, purpose);
        if self.load_one(&key).await?.is_some() {
            return Err(Refusal::ReceiptUsed { purpose: purpose.to_owned() }.into());
        }
        let at = self.now();
        let operation = base64url_encode(&self.random::<16>());
        let used = ReceiptUsed { at, operation: operation.clone() };
        let writes = vec![put(key.clone(), &used, None, Expect::Absent)?];
        Ok(Plan { writes, value: (), witness: Some(Witness { key, operation }), at })
    }
}
