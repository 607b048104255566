//! The receipts of an order, and what somebody may do who shows one.

use serde_json::Value;

use super::{Order, Pending, Plan, Witness, order_key};
use crate::{
    ask::OWN_RECEIPT,
    error::{Error, Refusal},
    issuing::{ReceiptIssued, ReceiptName, ReceiptUsed},
    merchant::{Merchant, RACES_MAX, put},
    order::{OrderEvent, OrderId, OrderRecord, RefundRecord},
    presentation::Verified,
    protocol::jose::{base64url_encode, sha256},
    rail::Reference,
    receipt::{Books, Means, Receipt, ReceiptError},
    store::{Expect, Key, Persisted, Prefix, Version, Write},
    time::UnixTime,
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

/// Something that a receipt says was bought here, as it stands now: for a warranty, or the right to review it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bought {
    /// The merchant's name for it.
    pub item: String,
    /// What it was called.
    pub title: String,
    /// When it was bought.
    pub at: UnixTime,
    /// How many were bought.
    pub quantity: u32,
    /// How many of them were paid for and did not go back ([`OrderRecord::kept`]).
    pub kept: u32,
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

    /// What was bought with it, each item once, as it stands now; nothing for the receipt of what went back.
    ///
    /// ```
    /// # use firsthand::{Error, Merchant, Verified, error::Refusal};
    /// # async fn warranty(merchant: &Merchant, shown: &Verified) -> Result<(), Error> {
    /// let bought = merchant.receipt_shown(shown).await?.bought();
    /// let kettle = bought.iter().find(|it| it.item == "kettle" && it.kept > 0);
    /// let kettle = kettle.ok_or_else(|| Refusal::NotBought { item: "kettle".into() })?;
    /// println!("bought here {}, as {:?}", kettle.at, kettle.title);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn bought(&self) -> Vec<Bought> {
        if self.is_purchase() { bought_of(&self.order.record) } else { Vec::new() }
    }

    /// Uses the receipt for something that it is good for once for each thing that was bought with it and kept, such as a review
    /// of it: `purpose` as for [`once`](Self::once), `item` by the merchant's name. Committed together with the review
    /// ([`Pending`]), there is one review for each thing that somebody bought here.
    ///
    /// ```
    /// # use firsthand::{Error, Merchant, Verified};
    /// # async fn review(merchant: &Merchant, shown: &Verified, item: &str) -> Result<(), Error> {
    /// let receipt = merchant.receipt_shown(shown).await?;
    /// let bought = receipt.once_for("review", item).await?.commit().await?;
    /// println!("a review of {:?}, bought here {}", bought.title, bought.at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Refusal::NotBought`] if it was not bought with this receipt, or all of it went back; otherwise as
    /// [`once`](Self::once).
    pub async fn once_for(&self, purpose: &str, item: &str) -> Result<Pending<Bought>, Error> {
        self.good_for(purpose)?;
        let input = (self.clone(), purpose.to_owned(), item.to_owned());
        Pending::new(&self.order.merchant, input, |merchant, (shown, purpose, item)| async move {
            // What went back since it was shown is back.
            let order = merchant.wanted(shown.order.id()).await?;
            let version = Write::check(order_key(&order.record.id), Expect::Version(order.version));
            let kept = bought_of(&order.record).into_iter().find(|it| it.item == item && it.kept > 0);
            let bought = kept.ok_or_else(|| Refusal::NotBought { item: item.clone() })?;
            let used = format!("{purpose}/{}", base64url_encode(&sha256(item.as_bytes())));
            let mut plan = merchant.plan_once(&shown.number, &used, &purpose).await?;
            plan.writes.push(version);
            Ok(plan.map(|()| bought))
        })
        .await
    }

    /// Uses the receipt for something that it is good for once, such as a review of the shop; `purpose` names that: 1 to 32 of
    /// `a-z`, `0-9`, `-` and `_`. However many wallets have the receipt, and however often they show it, it is once.
    ///
    /// Committed together with what it is used for ([`Pending`]), the two cannot come apart.
    ///
    /// # Errors
    /// [`Refusal::ReceiptUsed`] if it was used for that before; [`Refusal::NoSuchReceipt`] if it is no receipt of a
    /// purchase; [`Error::Misuse`] for another name.
    pub async fn once(&self, purpose: &str) -> Result<Pending<()>, Error> {
        self.good_for(purpose)?;
        let input = (self.number.clone(), purpose.to_owned());
        Pending::new(&self.order.merchant, input, |merchant, (number, purpose)| async move {
            merchant.plan_once(&number, &purpose, &purpose).await
        })
        .await
    }

    /// Refuses what nothing can be used once for, and what is no receipt of a purchase.
    fn good_for(&self, purpose: &str) -> Result<(), Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if purpose.is_empty() || purpose.len() > PURPOSE_BYTES_MAX || !purpose.bytes().all(plain) {
            return Err(Error::Misuse(format!("a receipt cannot be used once for {purpose:?}: name it like review")));
        }
        if self.is_purchase() { Ok(()) } else { Err(Refusal::NoSuchReceipt.into()) }
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

    /// What a receipt is used for is written under `used`.
    async fn plan_once(&self, number: &str, used: &str, purpose: &str) -> Result<Plan<()>, Error> {
        let key = Key::new(ReceiptUsed::KIND, number, used);
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

fn bought_of(order: &OrderRecord) -> Vec<Bought> {
    let mut bought: Vec<Bought> = Vec::new();
    for line in &order.lines {
        let quantity = line.quantity.count();
        match bought.iter_mut().find(|known| known.item == line.item) {
            Some(known) => known.quantity = known.quantity.saturating_add(quantity),
            None => bought.push(Bought {
                item: line.item.clone(),
                title: line.title.clone(),
                at: order.placed_at,
                quantity,
                kept: order.kept(&line.item),
            }),
        }
    }
    bought
}
