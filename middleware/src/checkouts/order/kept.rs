//! What a customer keeps of an order as a file, which the shop cannot change any more.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use firsthand::{Merchant, error::Refusal, merchant::Order};
use http::{HeaderValue, header};

use super::{
    super::caller::{Caller, Trouble},
    Door, after, door,
};

/// The acknowledgement of a withdrawal as text, `withdrawal-1.txt` and so on, or a receipt as JSON, `receipt-{number}.json`.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "kept_of_order", path = "/checkout/{name}/kept/{file}", tag = "browser",
    params(
        ("name" = String, Path, description = "A guest's link, or the name of a customer's checkout or order"),
        ("file" = String, Path, description = "`withdrawal-{1, 2, ..}.txt` or `receipt-{number}.json`"),
        ("lang" = Option<String>, Query, description = "`en` or `de`"),
    ),
    responses(
        (status = 200, content((String = "text/plain"), (Object = "application/json")), description = "To be saved; a receipt is `application/json`"),
        (status = 404, content_type = "text/html", body = String),
    )
))]
pub(crate) async fn kept(
    State(merchant): State<Merchant>,
    path: Result<Path<(String, String)>, PathRejection>,
    caller: Caller,
) -> Response {
    let answer = async {
        let Path((name, file)) = path.map_err(|_| Refusal::NoSuchCheckout)?;
        match door(&merchant, &caller, &name).await? {
            Door::Order(order) => saved(&caller, &order, &file).await,
            closed => Ok(closed.answer(&merchant, &caller, &name)),
        }
    };
    caller.finish(&merchant, answer.await)
}

async fn saved(caller: &Caller, order: &Order, file: &str) -> Result<Response, Trouble> {
    let nothing = || Trouble::from(Refusal::NoSuchOrder);
    let (media_type, text) = if let Some(number) = between(file, "withdrawal-", ".txt") {
        let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1)).ok_or_else(nothing)?;
        let all = order.acknowledgements();
        let received = all.get(place).ok_or_else(nothing)?;
        ("text/plain; charset=utf-8", after::as_text(&caller.frame(), received))
    } else {
        let number = between(file, "receipt-", ".json").ok_or_else(nothing)?;
        let receipts = match order.receipts().await {
            Err(firsthand::Error::Receipt(_)) => Vec::new(),
            receipts => receipts?,
        };
        let receipt = receipts.iter().find(|receipt| receipt.number == number).ok_or_else(nothing)?;
        ("application/json", format!("{:#}\n", receipt.to_json()))
    };
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{file}\"")).map_err(|_| nothing())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((headers, text).into_response())
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    text.strip_prefix(begin)?.strip_suffix(end)
}
