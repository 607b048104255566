//! What the pages show of a receipt: plain facts, told by whoever keeps the orders.

use super::{order::Drawing, words::Words};

/// A receipt, to be read and printed.
#[derive(Clone, Debug)]
pub struct ReceiptView {
    /// Its number.
    pub number: String,
    /// Whether it is of something that went back.
    pub goes_back: bool,
    /// When the money was there, or back, in seconds since 1970.
    pub at_s: i64,
    /// Who sells: the name, and the lines of the address.
    pub seller: Vec<String>,
    /// The seller's VAT number.
    pub vat_id: String,
    /// What was sold.
    pub lines: Vec<ReceiptLine>,
    /// What it comes to, in euro cents.
    pub total_minor: i64,
    /// The tax in it: the rate in percent, what it is on, and how much, in euro cents.
    pub taxes: Vec<(String, i64, i64)>,
    /// How it was paid, and how much of it, in euro cents.
    pub paid: Vec<(Words, i64)>,
}

/// One line of a receipt.
#[derive(Clone, Debug)]
pub struct ReceiptLine {
    /// What it is called.
    pub name: String,
    /// How many.
    pub quantity: String,
    /// What one costs, in euro cents.
    pub unit_minor: i64,
    /// What the line costs, in euro cents.
    pub sum_minor: i64,
}

/// All receipts of an order, and what a wallet is offered of them.
#[derive(Clone, Debug)]
pub struct ReceiptsView {
    /// The path of the order's page.
    pub order: String,
    /// Of the purchase, and of what went back.
    pub receipts: Vec<ReceiptView>,
    /// What a wallet can take now.
    pub offer: Option<OfferView>,
}

/// A receipt that a wallet can take.
#[derive(Clone, Debug)]
pub struct OfferView {
    /// Its number.
    pub number: String,
    /// The link for a wallet on this device.
    pub link: String,
    /// The same as a code for a wallet on another one.
    pub qr: Option<Drawing>,
    /// What the wallet asks for.
    pub digits: String,
    /// For how long, in minutes.
    pub minutes: u64,
}
