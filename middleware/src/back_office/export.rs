//! The orders of a period for the books, as CSV (RFC 4180): one line for each, nothing about customers.
//!
//! It is sent page by page, so it takes as little memory for a year as for a day. Breaking off in the middle breaks the
//! transfer off: nobody takes half a file for a whole one.

use std::collections::VecDeque;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use firsthand::{
    Error, Merchant,
    merchant::{Order, OrderCursor, OrderQuery},
    money::Money,
    time::{Day, UnixTime, Zone},
};
use futures_util::stream;
use http::{HeaderValue, header};

use super::{
    Desk,
    view::{Asked, Here, Query, Trouble},
};

/// The columns.
const HEAD: &str = "order,placed_at,state,items,lines,discounts,shipping,tax_on_top,tax_by_rate,total,paid,owed_back,refunded,currency\r\n";
/// What tells spreadsheets that the file is in UTF-8.
const MARK: &str = "\u{feff}";
/// How many orders are read in one go.
const PAGE: usize = 100;

/// From a day to a day, both included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Period {
    from: Option<UnixTime>,
    before: Option<UnixTime>,
}

/// Why two texts are no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPeriod {
    NoDay,
    /// It ends before it begins.
    Backwards,
}

impl NoPeriod {
    /// The code of it, for the pages.
    const fn code(self) -> &'static str {
        match self {
            Self::NoDay => "day_unreadable",
            Self::Backwards => "period_backwards",
        }
    }

    /// What is wrong, for a program.
    pub(super) const fn detail(self) -> &'static str {
        match self {
            Self::NoDay => "`from` and `to` are days, as 2026-11-23",
            Self::Backwards => "`from` is a later day than `to`",
        }
    }
}

impl Period {
    /// Days as in a form, in the zone of the shop; none is no bound.
    pub(super) fn read(zone: Zone, from: &str, to: &str) -> Result<Self, NoPeriod> {
        let day = |day: &str| match day.trim() {
            "" => Ok(None),
            day => day.parse::<Day>().map(Some).map_err(|_| NoPeriod::NoDay),
        };
        let period =
            Self { from: day(from)?.map(|day| zone.begins(&day)), before: day(to)?.map(|day| zone.ends(&day)) };
        match period {
            // An empty book would look like a period in which nothing was sold.
            Self { from: Some(from), before: Some(before) } if from >= before => Err(NoPeriod::Backwards),
            period => Ok(period),
        }
    }

    /// The query for what was placed in it.
    pub(super) fn of(self, mut query: OrderQuery) -> OrderQuery {
        if let Some(from) = self.from {
            query = query.placed_from(from);
        }
        if let Some(before) = self.before {
            query = query.placed_before(before);
        }
        query
    }
}

pub(super) async fn page(desk: Desk, Query(Asked { from, to, .. }): Query) -> Response {
    match Period::read(desk.merchant.time_zone(), &from, &to) {
        Ok(period) => {
            desk.hand().took("orders_csv");
            orders(&desk.merchant, period, MARK)
        }
        Err(no) => desk.sorry(Here::Orders, &Trouble::new(no.code())),
    }
}

/// How far the file has come.
struct Writing {
    merchant: Merchant,
    query: OrderQuery,
    /// What is ready to be sent.
    ready: VecDeque<String>,
    /// Where to read on; none at the end.
    next: Option<Option<OrderCursor>>,
}

/// The file. It begins with `mark`: people open it with spreadsheets, programs do not.
pub(super) fn orders(merchant: &Merchant, period: Period, mark: &'static str) -> Response {
    let query = period.of(OrderQuery::new().limit(PAGE));
    let ready = VecDeque::from([format!("{mark}{HEAD}")]);
    let writing = Writing { merchant: merchant.clone(), query, ready, next: Some(None) };
    let body = Body::from_stream(stream::try_unfold(writing, write_on));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"orders.csv\"")),
    ];
    (headers, body).into_response()
}

async fn write_on(mut writing: Writing) -> Result<Option<(Bytes, Writing)>, Error> {
    loop {
        if let Some(text) = writing.ready.pop_front() {
            return Ok(Some((Bytes::from(text), writing)));
        }
        let Some(after) = writing.next.take() else { return Ok(None) };
        let query = after.iter().fold(writing.query.clone(), OrderQuery::after);
        let page = match writing.merchant.orders(&query).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(code = error.code(), "the orders were not written out whole");
                return Err(error);
            }
        };
        let zone = writing.merchant.time_zone();
        let lines: Result<Vec<String>, Error> = page.orders.iter().map(|order| line(zone, order)).collect();
        writing.ready.push_back(lines?.concat());
        writing.ready.retain(|text| !text.is_empty());
        writing.next = page.next.map(Some);
    }
}

fn line(zone: Zone, order: &Order) -> Result<String, Error> {
    let totals = order.totals()?;
    let ledger = order.ledger();
    let items: Vec<String> = order.lines().iter().map(|line| format!("{} x {}", line.title, line.quantity)).collect();
    let taxes: Vec<String> =
        totals.taxes.iter().map(|part| format!("{}%: {}", part.rate, part.tax.decimal())).collect();
    let money = |money: Money| money.decimal();
    let cells = [
        cell(order.reference().as_str()),
        cell(&zone.stamp(order.placed_at())),
        cell(order.state().name()),
        cell(&items.join("; ")),
        money(totals.lines),
        money(totals.discounts),
        money(totals.shipping),
        money(totals.tax),
        cell(&taxes.join("; ")),
        money(totals.total),
        money(ledger.received),
        money(ledger.owed),
        money(ledger.refunded),
        cell(totals.total.currency().code()),
    ];
    Ok(cells.join(",") + "\r\n")
}

/// A cell of text. What a spreadsheet would take for a formula is told to be text by a `'` before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_text_and_never_a_formula() {
        for (text, expected) in [
            ("", "\"\""),
            ("Sencha, 100 g", "\"Sencha, 100 g\""),
            ("a \"b\"\r\nc", "\"a \"\"b\"\"\r\nc\""),
            ("=HYPERLINK(\"https://evil.example\")", "\"'=HYPERLINK(\"\"https://evil.example\"\")\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@a", "\"'@a\""),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn a_period_is_two_days_or_fewer() {
        let read = |from, to| Period::read(Zone::Utc, from, to);
        for (zone, day, [from, before]) in [
            (Zone::Utc, "2026-11-23", ["2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]),
            (Zone::Cet, "2026-11-23", ["2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z"]),
            // The day when clocks are set back has 25 hours.
            (Zone::Cet, "2026-10-25", ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]),
        ] {
            let period = Period::read(zone, day, day).unwrap();
            let bounds = [period.from, period.before].map(|at| at.unwrap().to_string());
            assert_eq!(bounds, [from, before], "{zone:?}");
        }
        assert!(read("", " ").is_ok_and(|all| all.from.is_none() && all.before.is_none()));
        assert_eq!(read("yesterday", "").unwrap_err(), NoPeriod::NoDay);
        assert_eq!(read("", "2026-02-30").unwrap_err(), NoPeriod::NoDay);
        assert_eq!(read("2026-11-24", "2026-11-23").unwrap_err(), NoPeriod::Backwards);
    }
}
