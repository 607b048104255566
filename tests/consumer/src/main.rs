//! The program of the README, as a merchant would have it: one dependency beside axum and tokio.

use std::error::Error;

use axum::{
    Router,
    response::Html,
    routing::{get, post},
};
use firsthand_axum::{Ask, CustomerLayer, Known, Merchant, require, routes};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(axum::serve(listener, shop().await?).await?)
}

async fn shop() -> Result<Router, Box<dyn Error>> {
    let age = Ask::new("age", "Wine is sold to adults").over(18);
    let merchant = Merchant::dev().await?.ask(&age).build()?;
    Ok(Router::new()
        .route("/", get(home))
        .route("/wine", post(buy).route_layer(require(&age)))
        .merge(routes(&merchant))
        .layer(CustomerLayer::new(merchant)))
}

async fn home(customer: Option<Known>) -> Html<&'static str> {
    match customer {
        Some(_) => Html("Welcome back"),
        None => Html("<firsthand-button ask=\"age\"></firsthand-button>"),
    }
}

async fn buy(customer: Known) -> String {
    format!("set aside for {}", customer.id())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_program_of_the_readme_starts() {
        let _app = super::shop().await.unwrap();
    }
}
