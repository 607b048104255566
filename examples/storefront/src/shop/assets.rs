//! The files of the shop: style, script and pictures, all in the program itself.

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::{catalogue::Product, picture};

/// The address of the style sheet.
pub const STYLE: &str = "/shop/style.css";
/// The address of the script.
pub const SCRIPT: &str = "/shop/shop.js";
/// The address of the elements of "My data" and of the way back in, which are the library's.
pub const ACCOUNT_SCRIPT: &str = "/wallet/account.js";
/// The address of the shop's mark.
pub const MARK: &str = "/shop/mark.svg";
/// The address of the picture over the door.
pub const DOOR: &str = "/shop/door.svg";

/// The address of a product's picture.
#[must_use]
pub fn picture_of(product: &Product) -> String {
    format!("/shop/pictures/{}", product.slug)
}

/// The routes of all files.
pub fn routes() -> Router {
    Router::new()
        .route(STYLE, get(async || file("text/css; charset=utf-8", include_str!("style.css"))))
        .route(SCRIPT, get(async || file("text/javascript; charset=utf-8", include_str!("shop.js"))))
        .route(MARK, get(async || file("image/svg+xml", include_str!("mark.svg"))))
        .route(DOOR, get(async || file("image/svg+xml", include_str!("door.svg"))))
        .route("/shop/pictures/{slug}", get(product_picture))
}

async fn product_picture(Path(slug): Path<String>) -> Response {
    Product::find(&slug).map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |product| file("image/svg+xml", picture::of(&product.picture, product.kind).into_string()),
    )
}

fn file(kind: &'static str, body: impl IntoResponse) -> Response {
    const HEADERS: [(HeaderName, HeaderValue); 3] = [
        // An hour is long enough for a visit, and short enough for a new edition of the shop.
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'")),
    ];
    (HEADERS, [(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response()
}
