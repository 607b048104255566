//! What a bank's statement does to the books: each entry once, whatever file tells it, and however often.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Pending, Plan,
    book::{Booking, Transfer, TransferId, WaitsBecause},
};
use crate::{
    error::{Error, Refusal},
    merchant::{Merchant, put},
    money::Money,
    order::{BankAccount, OrderError, OrderId},
    protocol::jose::base64url_encode,
    rail::{
        Iban, Statement,
        sepa::{self, Direction, LeftOutBecause, Movement, MovementKind, StatementError, StatementSource},
    },
    store::{Expect, Key, Persisted},
};

/// What digests that a movement says, for one that has no name.
const MOVEMENT: &str = "movement";

/// What became of one movement of a statement, or of an entry that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatementLine {
    /// Which entry of the file, from 1; the parts of a batch share it.
    pub place: u32,
    /// How much; none for an entry that is left out.
    pub amount: Option<Money>,
    /// What became of it.
    pub became: Became,
}

/// What becomes of a movement.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Became {
    /// It arrived for this order, and is booked there now.
    Booked {
        /// The order.
        order: OrderId,
    },
    /// It was booked before: nothing changed.
    Known,
    /// It waits for somebody to look, among [`Merchant::unmatched_transfers`].
    Waits {
        /// Its name there.
        transfer: String,
        /// Why.
        why: WaitsBecause,
    },
    /// A refund of ours left the account: it is done now.
    RefundDone {
        /// The order.
        order: OrderId,
        /// Which refund.
        key: String,
    },
    /// A refund of ours left the account that was done before: the money went back twice.
    RefundTwice {
        /// The order.
        order: OrderId,
        /// Which refund.
        key: String,
    },
    /// A refund of ours came back: it is owed again, to an account that has to be named anew.
    RefundReturned {
        /// The order.
        order: OrderId,
        /// Which refund.
        key: String,
    },
    /// It bears the name of a refund of ours and is of another amount: nothing is done about it.
    RefundDiffers {
        /// The order.
        order: OrderId,
        /// Which refund.
        key: String,
    },
    /// The bank took back, or somebody called back, what had arrived. Nothing is done about it: look at the order, if one
    /// is named.
    TakenBack {
        /// The order whose reference it bears.
        order: Option<OrderId>,
    },
    /// It left the account, and is no refund of ours.
    Outgoing,
    /// Nothing of it is booked.
    LeftOut(LeftOutBecause),
}

impl Became {
    /// A stable name of what became of it, for programs and pages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Booked { .. } => "booked",
            Self::Known => "known",
            Self::Waits { .. } => "waits",
            Self::RefundDone { .. } => "refund_done",
            Self::RefundTwice { .. } => "refund_twice",
            Self::RefundReturned { .. } => "refund_returned",
            Self::RefundDiffers { .. } => "refund_differs",
            Self::TakenBack { .. } => "taken_back",
            Self::Outgoing => "outgoing",
            Self::LeftOut(_) => "left_out",
        }
    }

    /// Whether the merchant has to look at it.
    #[must_use]
    pub const fn needs_somebody(&self) -> bool {
        matches!(
            self,
            Self::Waits { .. }
                | Self::RefundTwice { .. }
                | Self::RefundReturned { .. }
                | Self::RefundDiffers { .. }
                | Self::TakenBack { .. }
        )
    }
}

/// Under which name a movement that says this was booked.
#[derive(Serialize, Deserialize)]
struct MovementRecord {
    transfer: String,
    /// In which kind of file.
    source: String,
    /// Whether the name is the bank's.
    named: bool,
}

impl Persisted for MovementRecord {
    const KIND: &'static str = "movement";
    const SCHEMA: u16 = 1;
}

/// A movement, and what is needed to know it again.
struct Told {
    movement: Movement,
    account: Iban,
    source: StatementSource,
}

impl Merchant {
    /// Books what a statement of the merchant's account says: what arrived, by its reference, and what left, by the
    /// end-to-end ids of [`Merchant::refund_file`]. One line for every movement of the file, in its order.
    ///
    /// Each movement is a commit of its own, and counts once: the same file again, one that overlaps it, or a notification
    /// (camt.054) and then the statement (camt.053) of the same day change nothing more. So an import that broke off goes on
    /// by importing again.
    ///
    /// A movement is known again by the bank's name for it (`AcctSvcrRef`). Where the bank gives none, as in most CSV
    /// exports, it is by what it says: account, day, amount, the other account, the reference or else the text; and, among
    /// those of a day that say the same, by its place. So of such files hand in whole days: of two equal payments by the
    /// same account on the same day, told in two files of a part of the day each, the second is taken for the first. One
    /// that may be told for the second time under another name by another kind of file is not booked: it waits, as
    /// [`WaitsBecause::MaybeSame`]. A batch that is told without its parts waits, too, until another file tells them.
    ///
    /// Only what the bank calls booked counts. What came back or was taken back never counts as income: see
    /// [`Became`]. An export as CSV does not tell what came back: it names no order, and waits. A refund that came back is owed again if the bank says that it is a return, for the whole amount; to
    /// which account has to be said anew.
    ///
    /// # Errors
    /// [`Error::Statement`] if it is another account's: nothing is booked then. [`Refusal::NoSuchRail`] without an account of
    /// our own. [`Error::Unavailable`] in the middle: import it again.
    pub async fn import_statement(&self, statement: &Statement) -> Result<Vec<StatementLine>, Error> {
        let rail = self.rail(sepa::ID)?.account().ok_or(Refusal::NoSuchRail)?;
        if rail.iban() != statement.account() {
            return Err(StatementError::OtherAccount.into());
        }
        let mut imported = Vec::with_capacity(statement.movements().len() + statement.left_out().len());
        for movement in statement.movements() {
            let told =
                Told { movement: movement.clone(), account: statement.account().clone(), source: statement.source() };
            let what = match self.whole_file_left(&told.movement).await? {
                Some(lines) => lines,
                None => vec![self.import_movement(told).await?],
            };
            let line = |became| StatementLine { place: movement.place, amount: Some(movement.amount), became };
            imported.extend(what.into_iter().map(line));
        }
        let left_out =
            |left: &sepa::LeftOut| StatementLine { place: left.place, amount: None, became: Became::LeftOut(left.why) };
        imported.extend(statement.left_out().iter().map(left_out));
        imported.sort_by_key(|line| line.place);
        Ok(imported)
    }

    async fn import_movement(&self, told: Told) -> Result<Became, Error> {
        let step = Pending::new(self, Arc::new(told), |merchant, told| async move {
            match told.movement.direction {
                Direction::In => merchant.plan_arrived(&told).await,
                Direction::Out => merchant.plan_left(&told.movement).await,
            }
        });
        step.await?.commit().await
    }

    /// What arrived.
    async fn plan_arrived(&self, told: &Told) -> Result<Plan<Became>, Error> {
        let movement = &told.movement;
        let (amount, reference) = (movement.amount, movement.reference.as_ref());
        let known = || Ok(Plan::nothing(Became::Known, self.now()));
        let says = self.movement_digests(told, &movement.ordinal.to_string());
        let alias = self.movement_known(&says).await?;
        let name = match movement.bank_name.as_ref().and_then(|name| name.parse::<TransferId>().ok()) {
            Some(id) => {
                let name = id.digest();
                match self.booked_before(&name, amount, reference).await? {
                    Some(true) => return known(),
                    Some(false) => return self.plan_doubtful(told, &name, WaitsBecause::Differs).await,
                    None => {}
                }
                match alias {
                    Some(before) if !before.named => return known(),
                    Some(before) if before.source != told.source.name() => {
                        return self.plan_doubtful(told, &name, WaitsBecause::MaybeSame).await;
                    }
                    _ => name,
                }
            }
            None if alias.is_some() => return known(),
            // It has no name of its own: what it says is its name.
            None => says.first().cloned().unwrap_or_default(),
        };
        let wholes = self.whole_digests(told);
        if movement.kind == MovementKind::Batch && self.movement_known(&wholes).await?.is_some() {
            return known();
        }
        let transfer = transfer_of(movement)?;
        let mut plan = match (&movement.kind, &movement.end_to_end) {
            (kind, Some(end_to_end)) => match self.filed(end_to_end).await? {
                Some((filed, version)) if is_return(kind) && filed.amount == amount && !filed.came_back => {
                    self.plan_came_back(&name, &transfer, movement, (filed, version)).await?
                }
                // A refund of ours: whatever it is, no customer paid it.
                Some(_) => self.waits(&name, &transfer, WaitsBecause::CameBack)?,
                None if is_return(kind) => self.waits(&name, &transfer, WaitsBecause::CameBack)?,
                None => self.arrived(&name, &transfer, movement).await?,
            },
            (kind, None) if is_return(kind) => self.waits(&name, &transfer, WaitsBecause::CameBack)?,
            _ => self.arrived(&name, &transfer, movement).await?,
        };
        let record = MovementRecord {
            named: movement.bank_name.is_some(),
            source: told.source.name().to_owned(),
            transfer: name,
        };
        if let Some(says) = says.first() {
            plan.writes.push(put(Key::new(MovementRecord::KIND, says, ""), &record, None, Expect::Any)?);
        }
        if let (Some((whole, amount)), Some(says)) = (&movement.part_of, wholes.first()) {
            // A statement may tell the same entry whole: its parts are known.
            plan.writes.push(put(Key::new(MovementRecord::KIND, says, ""), &record, None, Expect::Any)?);
            if let Ok(id) = whole.parse::<TransferId>() {
                plan.writes.extend(self.write_batch_known(&id.digest(), *amount).await?);
            }
        }
        Ok(plan)
    }

    async fn arrived(&self, name: &str, transfer: &Transfer, movement: &Movement) -> Result<Plan<Became>, Error> {
        if movement.kind == MovementKind::Batch {
            return self.waits(name, transfer, WaitsBecause::Batch);
        }
        match self.plan_new(name, transfer, movement.reference.as_ref()).await {
            // The order cannot count it: nothing is lost for that.
            Err(Error::Order(_)) => self.waits(name, transfer, WaitsBecause::NoOrder),
            plan => Ok(plan?.map(became)),
        }
    }

    /// What is not booked, because it may have been: once, however often it is told.
    async fn plan_doubtful(&self, told: &Told, name: &str, why: WaitsBecause) -> Result<Plan<Became>, Error> {
        let movement = &told.movement;
        let names = self.movement_digests(told, &format!("beside {name}"));
        for name in &names {
            if self.booked_before(name, movement.amount, None).await?.is_some() {
                return Ok(Plan::nothing(Became::Known, self.now()));
            }
        }
        self.waits(&names.into_iter().next().unwrap_or_default(), &transfer_of(movement)?, why)
    }

    fn waits(&self, name: &str, transfer: &Transfer, why: WaitsBecause) -> Result<Plan<Became>, Error> {
        Ok(self.plan_waiting(name, transfer, why)?.map(became))
    }

    /// A refund of ours came back.
    async fn plan_came_back(
        &self,
        name: &str,
        transfer: &Transfer,
        movement: &Movement,
        (filed, version): (super::files::FiledRefund, crate::store::Version),
    ) -> Result<Plan<Became>, Error> {
        let order = self.wanted(&filed.order).await?;
        let refund = self.refund_record(&filed.order, &filed.key).await?;
        let reason = match &movement.kind {
            MovementKind::Return(reason) => reason.as_str(),
            _ => "",
        };
        let Some(step) = order.record.clone().refund_came_back(refund, filed.number, reason)? else {
            return self.waits(name, transfer, WaitsBecause::CameBack);
        };
        let (id, key) = (filed.order.clone(), filed.key.clone());
        let end_to_end = movement.end_to_end.as_deref().unwrap_or_default();
        let writes =
            vec![self.write_returned(name, transfer, &id, &key)?, Self::write_came_back(end_to_end, filed, version)?];
        let plan = self.plan_step(step, Some(&order), writes)?;
        let plan = plan.map(|_| Became::RefundReturned { order: id, key });
        // The transfer's own record says whether it happened.
        Ok(Plan { witness: None, ..plan })
    }

    /// What left.
    async fn plan_left(&self, movement: &Movement) -> Result<Plan<Became>, Error> {
        let nothing = |what| Ok(Plan::nothing(what, self.now()));
        if is_return(&movement.kind) {
            let order = match &movement.reference {
                Some(reference) => self.order_by_reference(reference).await?,
                None => None,
            };
            return nothing(Became::TakenBack { order: order.map(|order| order.id().clone()) });
        }
        let filed = match &movement.end_to_end {
            Some(end_to_end) => self.filed(end_to_end).await?,
            None => None,
        };
        let Some((filed, _)) = filed else { return nothing(Became::Outgoing) };
        let (order, key) = (filed.order.clone(), filed.key.clone());
        if filed.amount != movement.amount {
            return nothing(Became::RefundDiffers { order, key });
        }
        if filed.came_back {
            return nothing(Became::Known);
        }
        let loaded = self.wanted(&order).await?;
        let refund = self.refund_record(&order, &key).await?;
        let was_done = refund.state == crate::order::RefundState::Done;
        match loaded.record.clone().refund_left(refund, filed.number, self.now())? {
            None => nothing(Became::Known),
            Some(step) => {
                let what =
                    if was_done { Became::RefundTwice { order, key } } else { Became::RefundDone { order, key } };
                Ok(self.plan_step(step, Some(&loaded), Vec::new())?.map(|_| what))
            }
        }
    }

    /// A file of refunds that left the account as one entry: what became of each of its transfers.
    async fn whole_file_left(&self, movement: &Movement) -> Result<Option<Vec<Became>>, Error> {
        let payment = matches!(movement.kind, MovementKind::Payment | MovementKind::Batch);
        let whole = movement.direction == Direction::Out && payment && movement.end_to_end.is_none();
        let Some(file) = movement.batch.as_ref().filter(|_| whole) else { return Ok(None) };
        if self.file_total(file).await? != Some(movement.amount) {
            return Ok(None);
        }
        let mut lines = Vec::new();
        for (end_to_end, filed, _) in self.filed_in(file).await? {
            let one = Movement { amount: filed.amount, end_to_end: Some(end_to_end), ..movement.clone() };
            let step = Pending::new(self, Arc::new(one), |merchant, one| async move { merchant.plan_left(&one).await });
            lines.push(step.await?.commit().await?);
        }
        Ok(Some(lines))
    }

    /// Keyed digests of what a movement says, under the current root secret first.
    fn movement_digests(&self, told: &Told, which: &str) -> Vec<String> {
        let content = zeroize::Zeroizing::new(format!("{}\0{which}", told.movement.content(&told.account)));
        self.0.keys.derive_all(MOVEMENT, content.as_bytes()).iter().map(|digest| base64url_encode(digest)).collect()
    }

    /// Keyed digests of the entry that a movement is a part of, or is as a whole; none without a name of the bank's.
    fn whole_digests(&self, told: &Told) -> Vec<String> {
        let Told { movement, account, .. } = told;
        let whole = match (&movement.part_of, &movement.bank_name) {
            (Some((name, amount)), _) => (name, *amount),
            (None, Some(name)) => (name, movement.amount),
            (None, None) => return Vec::new(),
        };
        let says = format!("entry\0{}\0{}\0{}\0{}", account.as_str(), movement.day, whole.1, whole.0);
        self.0.keys.derive_all(MOVEMENT, says.as_bytes()).iter().map(|digest| base64url_encode(digest)).collect()
    }

    async fn movement_known(&self, says: &[String]) -> Result<Option<MovementRecord>, Error> {
        for digest in says {
            if let Some(stored) = self.load_one(&Key::new(MovementRecord::KIND, digest, "")).await? {
                return Ok(Some(stored.read()?));
            }
        }
        Ok(None)
    }
}

fn became(booking: Booking) -> Became {
    match booking {
        Booking::For(order) => Became::Booked { order: order.id().clone() },
        Booking::Unmatched(transfer) => Became::Waits { transfer: transfer.name, why: transfer.why },
        Booking::RefundReturned { order, key } => Became::RefundReturned { order, key },
        Booking::Returned | Booking::Same => Became::Known,
    }
}

const fn is_return(kind: &MovementKind) -> bool {
    matches!(kind, MovementKind::Return(_) | MovementKind::Reversal)
}

/// A movement as a transfer is kept.
fn transfer_of(movement: &Movement) -> Result<Transfer, Error> {
    let Movement { amount, text, party, reference, .. } = movement;
    // Never used as its name: the store's name is given beside it.
    let id: TransferId = movement.bank_name.as_deref().unwrap_or(MOVEMENT).parse().map_err(|_| OrderError::NoAmount)?;
    let holder = if party.name.is_empty() { &party.ultimate } else { &party.name };
    let payer = party.iban.clone().map(|iban| BankAccount::from_statement(holder, iban));
    let shown = reference.as_ref().filter(|reference| !text.contains(reference.as_str()));
    let text = shown.map_or_else(|| text.clone(), |reference| format!("{reference} {text}"));
    Ok(Transfer { id, amount: *amount, text: text.trim().to_owned(), payer })
}
