//! The smallest shop, the program of the README: `cargo run -p quickstart`, then open <http://localhost:8080>.

use axum::{
    Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use firsthand_axum::{Ask, CustomerLayer, Known, Merchant, require, routes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let age = Ask::new("age", "Wine is sold to adults").over(18);
    let merchant = Merchant::dev().await?.ask(&age).build()?;
    let app = Router::new()
        .route("/", get(home))
        .route("/wine", post(buy).route_layer(require(&age)).get(bought))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, app).await?)
}

async fn home(customer: Option<Known>) -> Html<&'static str> {
    Html(match customer {
        Some(_) => {
            r#"<div data-firsthand>Welcome back.
            <form method="post" action="/wine"><button>Buy wine</button></form></div>"#
        }
        None => {
            r#"<div data-firsthand><firsthand-button ask="age">I am over 18</firsthand-button></div>
            <script type="module" src="/wallet/firsthand.js" data-navigate></script>"#
        }
    })
}

async fn buy(_customer: Known) -> Redirect {
    Redirect::to("/wine")
}

async fn bought(customer: Known) -> Html<String> {
    Html(format!("A bottle is set aside for {}.", customer.id()))
}
