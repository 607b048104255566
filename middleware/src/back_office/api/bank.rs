//! Money by JSON: refunds, transfers, the bank; and what other programs were told.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use firsthand::{
    Error,
    error::Refusal,
    merchant::{Booking, Refund, Transfer},
    order::{BankAccount, OrderId},
    rail::{
        Statement,
        sepa::{FILE_BYTES_MAX, PainVersion},
    },
    time::Day,
};
use http::StatusCode;

use super::{
    Api, At, LIST,
    money::{
        AccountBody, AssignBody, BookBody, BookedBody, DeadBody, DeadsBody, EndpointBody, FileAskBody, FilesBody,
        RefundBody, RefundDecideBody, RefundsBody, StatementBody, StatementLineBody, TransferBody, TransfersBody,
    },
    unfit,
};
use crate::{
    back_office::{
        Office,
        acts::{RefundAct, TransferAct},
        bank::download,
    },
    problem::Problem,
    routes::Body,
};

pub(super) fn routes() -> Router<Arc<Office>> {
    Router::new()
        .route("/refunds", get(refunds))
        .route("/refunds/{order}/{refund}/account", post(name_account))
        .route("/refunds/{order}/{refund}/send", post(send))
        .route("/refunds/{order}/{refund}/done", post(done))
        .route("/refunds/{order}/{refund}/reopen", post(reopen))
        .route("/refunds/{order}/{refund}/decide", post(decide_refund))
        .route("/transfers", get(transfers).post(book))
        .route("/transfers/{name}/assign", post(assign))
        .route("/transfers/{name}/returned", post(returned))
        .route("/transfers/{name}/same", post(same))
        .route("/refund-files", get(files).post(make_file))
        .route("/refund-files/{id}", get(file))
        .route("/webhooks", get(webhooks))
        .route("/webhooks/{endpoint}/enable", post(enable))
        .route("/webhooks/{endpoint}/{order}/{number}/replay", post(replay))
}

/// What takes a file, which is larger than JSON.
pub(super) fn statements() -> Router<Arc<Office>> {
    Router::new().route("/statements", post(statement)).layer(DefaultBodyLimit::max(FILE_BYTES_MAX))
}

impl Api {
    async fn refund(&self, order: &str, refund: &str) -> Result<Refund, Problem> {
        let order: OrderId = order.parse().map_err(|_| Refusal::NothingOwed)?;
        Ok(self.merchant.refund(&order, refund).await?)
    }

    async fn refund_act(
        &self,
        (order, refund): &(String, String),
        act: RefundAct,
    ) -> Result<Json<RefundBody>, Problem> {
        self.hand().refund_act(self.refund(order, refund).await?, act).await?;
        Ok(Json(RefundBody::of(&self.refund(order, refund).await?)?))
    }

    async fn transfer_act(&self, name: &str, act: TransferAct) -> Result<Json<BookedBody>, Problem> {
        Ok(Json(BookedBody::of(&self.hand().transfer_act(name, act).await?)))
    }
}

fn account(body: &AccountBody) -> Result<BankAccount, Problem> {
    let account = body.iban.parse().ok().and_then(|iban| BankAccount::new(body.holder.trim(), iban).ok());
    account.ok_or_else(|| unfit("account_unreadable", "this is no name and IBAN that a transfer can go to"))
}

/// The refunds that are not done, at most 1,000.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/refunds", tag = "money", operation_id = "list_refunds",
    responses((status = 200, body = RefundsBody)),
))]
pub(crate) async fn refunds(api: Api) -> Result<Json<RefundsBody>, Problem> {
    let refunds = api.merchant.open_refunds(LIST).await?.iter().map(RefundBody::of).collect::<Result<_, Error>>()?;
    Ok(Json(RefundsBody { refunds }))
}

/// Names the account that a refund by transfer goes to, as the customer told it.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refunds/{order}/{refund}/account", tag = "money", operation_id = "name_refund_account", request_body = AccountBody,
    params(("order" = String, Path), ("refund" = String, Path, description = "The refund's name within the order")),
    responses(
        (status = 200, body = RefundBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is on its way, or done"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No such account can be"),
    )
))]
pub(crate) async fn name_account(
    api: Api,
    At(path): At<(String, String)>,
    body: Body,
) -> Result<Json<RefundBody>, Problem> {
    let body: AccountBody = api.read(body)?;
    api.refund_act(&path, RefundAct::Name(account(&body)?)).await
}

/// Has the rail carry a refund out; a transfer is left to the merchant's hand from then on.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refunds/{order}/{refund}/send", tag = "money", operation_id = "send_refund",
    params(("order" = String, Path), ("refund" = String, Path)),
    responses(
        (status = 200, body = RefundBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is on its way or done, or nobody knows its account"),
    )
))]
pub(crate) async fn send(api: Api, At(path): At<(String, String)>) -> Result<Json<RefundBody>, Problem> {
    api.refund_act(&path, RefundAct::Send).await
}

/// Says that the merchant has carried a refund out by hand. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refunds/{order}/{refund}/done", tag = "money", operation_id = "refund_done",
    params(("order" = String, Path), ("refund" = String, Path)),
    responses(
        (status = 200, body = RefundBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A rail is at it, or it was not sent first"),
    )
))]
pub(crate) async fn done(api: Api, At(path): At<(String, String)>) -> Result<Json<RefundBody>, Problem> {
    api.refund_act(&path, RefundAct::Done).await
}

/// Takes a refund out of a file that the bank did not carry out: it may stand in the next one.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refunds/{order}/{refund}/reopen", tag = "money", operation_id = "reopen_refund",
    params(("order" = String, Path), ("refund" = String, Path)),
    responses(
        (status = 200, body = RefundBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It stands in no file, or is done"),
    )
))]
pub(crate) async fn reopen(api: Api, At(path): At<(String, String)>) -> Result<Json<RefundBody>, Problem> {
    api.refund_act(&path, RefundAct::Reopen).await
}

/// Says whether a refund in doubt was sent: what the merchant has found out in the records of the rail.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refunds/{order}/{refund}/decide", tag = "money", operation_id = "decide_refund", request_body = RefundDecideBody,
    params(("order" = String, Path), ("refund" = String, Path)),
    responses(
        (status = 200, body = RefundBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not in doubt"),
    )
))]
pub(crate) async fn decide_refund(
    api: Api,
    At(path): At<(String, String)>,
    body: Body,
) -> Result<Json<RefundBody>, Problem> {
    let body: RefundDecideBody = api.read(body)?;
    api.refund_act(&path, RefundAct::Decide(body.was_sent)).await
}

/// The transfers that name no order, at most 1,000.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/transfers", tag = "money", operation_id = "list_transfers",
    responses((status = 200, body = TransfersBody)),
))]
pub(crate) async fn transfers(api: Api) -> Result<Json<TransfersBody>, Problem> {
    let transfers = api.merchant.unmatched_transfers(LIST).await?.iter().map(TransferBody::of).collect();
    Ok(Json(TransfersBody { transfers }))
}

/// Books a transfer that arrived, by the reference in its text. Under the bank's name for it, it is booked once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/transfers", tag = "money", operation_id = "book_transfer", request_body = BookBody,
    responses(
        (status = 200, body = BookedBody),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another transfer was booked under that name"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "No amount, no name, or no account"),
    )
))]
pub(crate) async fn book(api: Api, body: Body) -> Result<Json<BookedBody>, Problem> {
    let BookBody { id, amount, text, payer } = api.read(body)?;
    let id = id.parse().map_err(|_| unfit("transfer_missing", "a transfer's name is 1 to 140 bytes of plain text"))?;
    let payer = match payer {
        Some(AccountBody { holder, iban }) => {
            let iban = iban.parse().map_err(|_| unfit("account_unreadable", "this is no IBAN"))?;
            Some(BankAccount::from_statement(&holder, iban))
        }
        None => None,
    };
    let (booking, _): (Booking, bool) = api.hand().book(Transfer { id, amount: amount.money()?, text, payer }).await?;
    Ok(Json(BookedBody::of(&booking)))
}

/// Says for which order a transfer was meant. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/transfers/{name}/assign", tag = "money", operation_id = "assign_transfer", request_body = AssignBody,
    params(("name" = String, Path, description = "The transfer's name in the list")),
    responses(
        (status = 200, body = BookedBody),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such transfer, or no such order"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Something else became of it"),
    )
))]
pub(crate) async fn assign(api: Api, At(name): At<String>, body: Body) -> Result<Json<BookedBody>, Problem> {
    let body: AssignBody = api.read(body)?;
    let order = api.hand().order_called(body.order.trim()).await?;
    api.transfer_act(&name, TransferAct::Assign(order.id().clone())).await
}

/// Says that a transfer was sent back to whoever it came from. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/transfers/{name}/returned", tag = "money", operation_id = "transfer_returned",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = BookedBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Something else became of it"),
    )
))]
pub(crate) async fn returned(api: Api, At(name): At<String>) -> Result<Json<BookedBody>, Problem> {
    api.transfer_act(&name, TransferAct::Returned).await
}

/// Says that a transfer is the same money as one that was booked, or no payment of a customer. Twice is once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/transfers/{name}/same", tag = "money", operation_id = "transfer_is_the_same",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = BookedBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Something else became of it"),
    )
))]
pub(crate) async fn same(api: Api, At(name): At<String>) -> Result<Json<BookedBody>, Problem> {
    api.transfer_act(&name, TransferAct::Same).await
}

/// Books what a statement of the bank says: camt.053, camt.054 or CSV-CAMT, as the body. Each movement counts once,
/// however often a file tells it.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/statements", tag = "money", operation_id = "import_statement",
    request_body(content = Vec<u8>, content_type = "*/*"),
    responses(
        (status = 200, body = StatementBody),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The shop has no account"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "It cannot be read, or is another account's: nothing was booked"),
    )
))]
pub(crate) async fn statement(api: Api, body: Body) -> Result<Json<StatementBody>, Problem> {
    let statement = Statement::read(&body.whole()?).map_err(Error::from)?;
    let lines = api.hand().import(statement).await?;
    Ok(Json(StatementBody { lines: lines.iter().map(StatementLineBody::of).collect() }))
}

/// The files of refunds that were made for the bank, the newest first, at most 1,000.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/refund-files", tag = "money", operation_id = "list_refund_files",
    responses((status = 200, body = FilesBody)),
))]
pub(crate) async fn files(api: Api) -> Result<Json<FilesBody>, Problem> {
    Ok(Json(FilesBody { files: api.merchant.refund_files(LIST).await? }))
}

/// Makes a file of all refunds that are ready for the bank (pain.001). The key names the file: with the same key it is
/// the same file, byte by byte.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/refund-files", tag = "money", operation_id = "make_refund_file", request_body = FileAskBody,
    responses(
        (status = 200, body = String, content_type = "application/xml"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No refund is ready"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The key was used for another day or version"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "That is no day, or no key"),
    )
))]
pub(crate) async fn make_file(api: Api, body: Body) -> Result<Response, Problem> {
    let body: FileAskBody = api.read(body)?;
    let on: Day = body.on.parse().map_err(|_| unfit("day_unreadable", "a day is written as 2026-11-23"))?;
    if body.key.is_empty() {
        return Err(unfit("key_missing", "the key names the file"));
    }
    let version = if body.version_of_2009 { PainVersion::V03 } else { PainVersion::V09 };
    Ok(download(&api.hand().make_file(body.key, on, version).await?))
}

/// A file of refunds that was made before, byte by byte.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/refund-files/{id}", tag = "money", operation_id = "read_refund_file",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = String, content_type = "application/xml"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
))]
pub(crate) async fn file(api: Api, At(id): At<String>) -> Result<Response, Problem> {
    let file = api.merchant.made_refund_file(&id).await?;
    api.hand().took("refund_file_read");
    Ok(download(&file))
}

/// The endpoints that are told what happens, and the webhooks that were given up, at most 1,000.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, path = "/webhooks", tag = "outbox", operation_id = "list_dead_webhooks",
    responses((status = 200, body = DeadsBody)),
))]
pub(crate) async fn webhooks(api: Api) -> Result<Json<DeadsBody>, Problem> {
    let webhooks = api.merchant.dead_webhooks(LIST).await?.iter().map(DeadBody::of).collect();
    let mut endpoints = Vec::new();
    for webhook in api.merchant.webhooks() {
        let enabled = api.merchant.is_webhook_enabled(webhook.name()).await?;
        endpoints.push(EndpointBody { name: webhook.name().to_owned(), enabled });
    }
    Ok(Json(DeadsBody { endpoints, webhooks }))
}

/// Sends to an endpoint again that said that it is gone (410), or asked to be left in peace: what happens from now on. What it
/// missed is sent by hand. Said twice it is said once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/webhooks/{endpoint}/enable", tag = "outbox", operation_id = "enable_webhook",
    params(("endpoint" = String, Path)),
    responses(
        (status = 204, description = "It is sent what happens"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such endpoint"),
    )
))]
pub(crate) async fn enable(api: Api, At(endpoint): At<String>) -> Result<Response, Problem> {
    api.hand().enable_webhook(&endpoint).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Sends an event once more, under the id that it has.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, path = "/webhooks/{endpoint}/{order}/{number}/replay", tag = "outbox", operation_id = "replay_webhook",
    params(("endpoint" = String, Path), ("order" = String, Path), ("number" = u32, Path, description = "Which event of the order")),
    responses(
        (status = 204, description = "It is sent in the next round"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "No such endpoint, or no such event"),
    )
))]
pub(crate) async fn replay(
    api: Api,
    At((endpoint, order, number)): At<(String, String, String)>,
) -> Result<Response, Problem> {
    let order: OrderId = order.parse().map_err(|_| Refusal::NoSuchOrder)?;
    let number: u32 = number.parse().map_err(|_| Refusal::NoSuchOrder)?;
    api.hand().replay(&endpoint, order, number).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
