//! The pages. What depends on who is there is marked `data-firsthand`: it is fetched again, signed, where a key is known.

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use firsthand_axum::Known;
use maud::{DOCTYPE, Markup, html};
use tower_sessions::Session;

use crate::{
    Shop, Trouble,
    customers::Row,
    old_login::{self, OldSession, PROVIDERS},
};

/// Nothing is loaded that we do not serve.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types firsthand";

/// `GET /`.
pub async fn home() -> Response {
    page(
        StatusCode::OK,
        "Welcome",
        &html! {
            p { "A shop like any other, and older than most." }
            p { a href="/account" { "Your account" } }
        },
    )
}

/// `GET /account`: what the shop knows, and the offer to move.
///
/// # Errors
/// Whatever the database says.
pub async fn account(State(shop): State<Shop>, known: Option<Known>, session: Session) -> Result<Response, Trouble> {
    let old = match OldSession::of(&session).await? {
        Some(old) => shop.row(old.customer).await?.filter(|row| !row.has_moved),
        None => None,
    };
    let own = match &known {
        Some(known) => shop.rows_of(known.id()).await?,
        None => Vec::new(),
    };
    let main = html! {
        @for row in &own { (account_of(row)) }
        @if let Some(old) = &old {
            @if shop.is_old_login_over() {
                p { "The old login ended on " (shop.old_login_ends) ". Move your account now, or " (support()) "." }
            } @else {
                (account_of(old))
            }
            (offer(&shop, known.is_some()))
        } @else if own.is_empty() {
            @if known.is_some() {
                p { "We know you, and no account of yours yet. If you have one, sign in the old way once more, and move it." }
            }
            @if old_login::is_closed(&session).await? { p { "The account of this browser has moved." } }
            p { a href="/old/sign-in" { "Sign in the old way" } }
            @if known.is_none() { (button("I have moved: it is me")) }
        }
    };
    Ok(page(StatusCode::OK, "Your account", &main))
}

fn account_of(row: &Row) -> Markup {
    html! {
        section {
            h2 { (row.email) }
            p { @if row.has_moved { "Moved from " (row.provider) "." } @else { "You come in by " (row.provider) "." } }
        }
    }
}

/// The offer to move. Somebody who is not known yet shows a wallet first.
fn offer(shop: &Shop, is_known: bool) -> Markup {
    html! {
        section {
            h2 { "Come in by yourself" }
            p {
                "You need nobody else to come in here. From now on this browser, and the wallet or passkey that you show, is "
                "your key. What you have here stays yours; whoever you signed in with until now is told nothing of your visits "
                "any more."
            }
            @if is_known {
                form method="post" action="/link" { button { "Move my account" } }
            } @else {
                (button("Show my wallet"))
            }
            p { "The old login ends on " (shop.old_login_ends) "." }
            form method="post" action="/old/sign-out" { button.quiet { "Sign out" } }
        }
    }
}

fn button(text: &str) -> Markup {
    html! { firsthand-button ask="hello" { (text) } }
}

fn support() -> Markup {
    html! { a href="mailto:help@shop.example" { "write to us" } }
}

/// `GET /old/sign-in`: in the place of the providers' own pages.
pub async fn sign_in(State(shop): State<Shop>) -> Response {
    page(
        StatusCode::OK,
        "Sign in with …",
        &html! {
            p.pretended { "A pretended provider: it believes whatever is typed. In a real shop this is somebody else's page." }
            @if shop.is_old_login_over() {
                p { "The old login ended. It still opens the move to a key of your own; or " (support()) "." }
            }
            form method="post" action="/old/sign-in" {
                label { "Provider " select name="provider" {
                    @for provider in PROVIDERS { option { (provider) } }
                } }
                label { "Your account there " input name="subject" required maxlength="200"; }
                label { "Its e-mail address " input name="email" type="email" required maxlength="200"; }
                button { "Sign in" }
            }
        },
    )
}

/// `GET /style.css`.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css")).into_response()
}

/// A page that says what went wrong.
pub(crate) fn trouble(status: StatusCode, what: &str) -> Response {
    page(
        status,
        "That did not work",
        &html! {
            p { (what) }
            p { a href="/account" { "Your account" } " · " (support()) }
        },
    )
}

fn page(status: StatusCode, title: &str, main: &Markup) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) " · The old shop" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="stylesheet" href="/style.css";
                script type="module" src="/wallet/firsthand.js" data-navigate {}
            }
            body {
                header { a href="/" { "The old shop" } }
                main data-firsthand="main" { h1 { (title) } (main) }
            }
        }
    };
    (status, HEADERS, Html(markup.into_string())).into_response()
}
