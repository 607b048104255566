//! A rail in a folder: it outlives the shop, remembers what it did, and notices if it is told twice.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use firsthand::{
    money::Money,
    order::OrderId,
    rail::{
        CannotCollect, Notice, NoticeError, NoticeRequest, Outcome, PaymentRequest, Rail, RefundOutcome, RefundRequest,
    },
};

/// The name of the rail.
pub const ID: &str = "folder";

/// A rail whose truth is one file for each attempt.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn at(path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        Self(path.to_owned())
    }

    /// What became of an attempt, if it was told of it or asked about it.
    pub fn truth(&self, order: &OrderId, attempt: u32) -> Option<String> {
        fs::read_to_string(self.file(order, attempt)).ok()
    }

    /// The attempts that it was told of more than once.
    pub fn told_twice(&self) -> Vec<String> {
        let names = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".twice")).collect()
    }

    fn file(&self, order: &OrderId, attempt: u32) -> PathBuf {
        self.0.join(format!("{order}-{attempt}"))
    }

    /// Decides, unless it is decided: whole or not at all, whenever this process dies. Says what holds, and whether it is new.
    fn decide(&self, order: &OrderId, attempt: u32, outcome: &str) -> (String, bool) {
        let file = self.file(order, attempt);
        let draft = file.with_extension(format!("draft-{}-{outcome}", std::process::id()));
        fs::write(&draft, outcome).unwrap();
        let is_new = fs::hard_link(&draft, &file).is_ok();
        fs::remove_file(&draft).unwrap();
        (fs::read_to_string(file).unwrap(), is_new)
    }
}

fn said(text: &str) -> Outcome {
    match text {
        "paid" => Outcome::Paid,
        _ => Outcome::Declined("no".into()),
    }
}

impl Rail for Folder {
    fn id(&self) -> &'static str {
        ID
    }

    fn patience_s(&self) -> u64 {
        3600
    }

    fn takes(&self, _: Money) -> Result<(), CannotCollect> {
        Ok(())
    }

    async fn pay(&self, payment: &PaymentRequest) -> Outcome {
        let (order, attempt) = (&payment.order, payment.attempt);
        let draw = order.as_str().bytes().map(u32::from).sum::<u32>();
        tokio::time::sleep(Duration::from_millis(u64::from(draw % 5))).await;
        let (truth, is_new) = self.decide(order, attempt, if draw.is_multiple_of(6) { "declined" } else { "paid" });
        if !is_new && truth != "never arrived" {
            let mut told = File::create(self.file(order, attempt).with_extension("twice")).unwrap();
            told.write_all(truth.as_bytes()).unwrap();
        }
        // Now and then it does not say so.
        if draw.is_multiple_of(7) { Outcome::Unknown } else { said(&truth) }
    }

    async fn inquire(&self, payment: &PaymentRequest) -> Outcome {
        // From now on it cannot arrive any more.
        said(&self.decide(&payment.order, payment.attempt, "never arrived").0)
    }

    async fn refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    async fn inquire_refund(&self, _: &RefundRequest) -> RefundOutcome {
        RefundOutcome::ByHand
    }

    async fn notice(&self, _: &NoticeRequest<'_>) -> Result<Notice, NoticeError> {
        Err(NoticeError::NotAuthentic)
    }
}
