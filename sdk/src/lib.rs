//! The business side of a direct customer relationship: a merchant asks a customer's own wallet for exactly what a sale
//! needs, checks what comes back, and recognises the customer afterwards, with no cookie, no password and no third
//! party in between.
//!
//! This is the library. It knows no web framework; [`firsthand-axum`](https://docs.rs/firsthand-axum) puts it behind a
//! Tower layer, extractors and mounted routes, re-exports all of it, and is what most programs depend on.
//!
//! # A program
//!
//! How a shop knows its customers, without the HTTP around it:
//!
//! ```no_run
//! use firsthand::{
//!     Ask, Device, Keys, Merchant, Trust,
//!     merchant::{AskRequest, ProofRequest, Redemption},
//!     protocol::openid4vp::RequestPost,
//!     store::Memory,
//! };
//!
//! # async fn shop(signed: impl Fn(&str) -> String, form_body: &[u8], code: &str) -> Result<(), Box<dyn std::error::Error>> {
//! // Once: who we are, whom we believe, where we remember, and what we ask.
//! let age = Ask::new("age", "Wine is sold to adults").over(18);
//! let merchant = Merchant::builder("https://shop.example".parse()?)
//!     .keys(Keys::from_pem_file("merchant.pem")?) // made by the command `firsthand keys`
//!     .trust(Trust::from_pem_dir("issuers/", &["urn:eudi:pid:1"])?)
//!     .store(Memory::default()) // `Sqlite` and `Postgres` outlive the process
//!     .ask(&age)
//!     .build()?;
//! tokio::spawn(merchant.clone().housekeeping());
//!
//! // The browser asks. It signs with a key that it made for this shop alone, and the proof holds for one request.
//! let (method, path) = ("POST", "/wallet/presentations");
//! let proof = signed(path); // the header `DPoP` of the request
//! let browser = merchant.check_proof(&ProofRequest { proof: &proof, method, path, access_token: None })?;
//! let asked = AskRequest { ask: "age", device: Device::SameDevice, return_to: Some("/wine") };
//! let invitation = merchant.ask(&browser, &asked).await?;
//! println!("the link that opens a wallet: {}", invitation.wallet_uri);
//!
//! // The wallet fetches the signed question and answers it. Whatever is wrong with the answer is an error here.
//! let request = invitation.id.request();
//! let question = merchant.request_object(&request, &RequestPost::default()).await?;
//! let answered = merchant.answer(&request, form_body).await?;
//! println!("where the wallet leads back to: {:?}", answered.redirect_uri);
//!
//! // The browser that asked, and no other, redeems the answer. Now it has a customer.
//! let path = "/wallet/sessions";
//! let proof = signed(path);
//! let browser = merchant.check_proof(&ProofRequest { proof: &proof, method, path, access_token: None })?;
//! let redemption = Redemption { presentation: &invitation.id, response_code: Some(&code.parse()?) };
//! let session = merchant.redeem(&browser, &redemption).await?;
//!
//! // From here on every signed request is that customer's.
//! let (path, token) = ("/wine", session.access_token.reveal());
//! let proof = signed(path);
//! let browser = merchant.check_proof(&ProofRequest { proof: &proof, method, path, access_token: Some(token) })?;
//! let customer = merchant.recognise(&browser, token).await?;
//! assert!(customer.proof(&age).await?.is_some(), "an adult, as proved within the last half hour");
//! # Ok(())
//! # }
//! ```
//!
//! And how it sells to them. A shop with prices and orders of its own begins with a [`Draft`] instead:
//!
//! ```no_run
//! use firsthand::{
//!     Ask, Currency, Money, Trade,
//!     checkout::Wishes,
//!     merchant::{Basket, Completion},
//!     money::Quantity,
//!     rail::Sepa,
//!     trade::{FlatRates, Item, Items, Vat, Way},
//! };
//!
//! # async fn shop(
//! #     builder: firsthand::merchant::MerchantBuilder,
//! #     age: Ask,
//! #     address: Ask,
//! #     customer: firsthand::merchant::Recognised,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! // Once: what is for sale, how it is sent, with which tax, and how it is paid.
//! let euro = |amount| Money::parse(amount, Currency::EUR);
//! let wine = Item::new("riesling", "Riesling, 0.75 l", euro("12.00")?).sent(1_300).needs(&age);
//! let parcel = Way::new("parcel", "Parcel", euro("4.90")?);
//! let trade = Trade::new(Currency::EUR, Items::new([wine])?)
//!     .shipping(FlatRates::new().way(parcel, &["DE", "AT"], 20_000))
//!     .tax(Vat::within_prices("DE").rate("DE", "standard", "19".parse()?))
//!     .address_from(&address);
//! let sepa = Sepa::new("Weingut Sonnberg", "DE89370400440532013000")?;
//! let merchant = builder.ask(&age).ask(&address).trade(trade).rail(sepa).build()?;
//! # let _ = merchant;
//!
//! // Whoever is recognised says what they want, and learns what it costs. A key makes an act happen once, however often
//! // it is said.
//! let basket = Basket::from(Wishes::new().item("riesling", Quantity::new(2)?));
//! let checkout = customer.check_out(&basket, &"begin-7f3a".parse()?).await?;
//! for ask in checkout.missing() {
//!     println!("to be asked, together, as above: {}", ask.purpose());
//! }
//!
//! // What the wallet has shown counts. They agree to what they saw, and pay.
//! let checkout = checkout.refreshed().await?;
//! let agreed = Completion::new(checkout.revision(), checkout.offering().totals.total).by("sepa");
//! let checkout = checkout.complete(&agreed, &"pay-7f3a".parse()?).await?;
//! match checkout.order().await? {
//!     Some(order) => println!("{} for {}", order.reference(), order.total()),
//!     None => checkout.messages().for_each(|message| println!("{}", message.text)),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The nouns
//!
//! - [`Merchant`]: the shop's side of every relationship. Made once, cheap to clone.
//! - [`Ask`]: what a sale needs to know and why, built of [`Wanted`] credentials; [`Device`] says where the wallet is.
//! - [`Verified`]: what a wallet proved. It exists only after every check, and carries claims and nothing that would
//!   link the customer elsewhere.
//! - [`Customer`] and [`CustomerId`]: whom the shop knows, and the name for a column of the merchant's own table. A
//!   name proves nothing; [`Recognised`](merchant::Recognised) does: somebody who controls a key of that customer is
//!   there now.
//! - [`Keys`]: who the shop is towards wallets, and the root of its secrets. [`Trust`]: whose word counts, for which
//!   types of credentials.
//! - [`Trade`]: how the shop sells. [`Checkout`]: what somebody wants, what the shop
//!   offers for it, and how far that has come.
//! - [`Money`]: an exact amount of a currency. [`Draft`]: what the merchant's server offers; [`Order`]: what became of
//!   it, and [`Receipt`](receipt::Receipt) what the customer keeps of it. [`Rail`](rail::Rail): a way to be paid. A
//!   [`Pending`](merchant::Pending) step is decided and has not happened; it is committed by itself, or within the
//!   merchant's own transaction.
//! - [`Error`]: first by whose fault, then which check, with a stable code.
//!
//! # The flows
//!
//! **Same device.** The browser asks, a link opens the wallet, the wallet answers and is told where to lead its owner:
//! to a page of the shop, with a code in the fragment. There the key that asked redeems presentation and code.
//!
//! **Another device.** The browser shows a QR code and waits. The wallet is told nothing to carry back, so the asking
//! key redeems by the presentation's name alone, and gets its own record: nothing that came this way attaches to
//! somebody else.
//!
//! **Coming back.** A key that is known begins a session by a proof alone. Anything stronger says whose the session is, on
//! any browser: a passkey, a DID, the credential that the shop itself issued. Signing out locks the key, and something stronger
//! of the same record opens it again; forgetting the device deletes it; forgetting the customer deletes everything but the
//! merchant's books: orders stay, and nothing leads from the customer to them any more.
//!
//! **One record.** What is added to a record, or taken from it, needs something strong shown in the last minutes, once there
//! is something strong. Two records become one by fresh proof of both, and two again for a fortnight; a name that went leads on
//! for ever. A recovery code brings back who lost everything, and lets nothing be spent for days. Every such change is decided
//! in one place, `merchant/held.rs`, and written at the version of the record that it was decided on.
//!
//! **The shop's own credential.** The customer's browser asks for an offer and shows it with six digits, or consents on a page
//! to a wallet that asked; the wallet proves its keys and gets a credential for each, with an alias drawn for it alone. Until
//! the first one is made, all of this is worth what that browser is; from then on it lives as long as the newest one, and
//! ends in the commit that takes one away. Wallets' tokens open nothing of the shop's, and sessions nothing of the issuer's.
//!
//! **Receipts.** A paid order has one, made of its lines and its ledger; money that goes back has another, which names the
//! first. Whoever sees the order takes it into a wallet by the same issuer, without saying who they are; shown again, it tells
//! its number, which is the shop's own, and is used once for what it is good for once.
//!
//! **Meeting.** Somebody waits with a number, and a customer types it on a device of their own: an operator at a desk, who then
//! sees who it is for ten minutes and gets no session, or a browser that nobody knows, which then is the customer's. The
//! number goes from whoever waits to the customer, and never back; [`meeting`] says what that holds against.
//!
//! **Buying.** The merchant's server makes a draft of its own prices; a form's token makes it one order, however often it
//! is sent. An attempt to pay is committed before a rail is called, and what the rail says is committed afterwards; what
//! was lost in between is asked about and never done again. A transfer that arrives is booked by its reference. Every
//! cent has its place, `received = settled + owed + refunded`, and money never revives an order that is over.
//!
//! **Checking out.** What the customer wants is priced anew with each change, by parts that the shop fills in. Agreeing to it
//! settles it; then stock is held, the order is committed with its payment begun, the rail is called, and the checkout follows
//! what becomes of the order. Each step can be said again, and what fails is undone in reverse. One presentation can prove what
//! is needed, tell the address and authorise the payment.
//!
//! **After the sale.** The lines of an order stay as they were sold. What is sent, arrives, is taken back, made cheaper or
//! withdrawn from is said with a key and happens once, is counted against what was bought, and stands in the events. What an
//! adjustment owes is committed with it. A customer's withdrawal is a statement: it moves no money until the merchant says
//! how much goes back.
//!
//! # The floors
//!
//! ```text
//!  floor 2   merchant            the only code that calls a seam: load -> transition -> commit -> effect
//!               |      \
//!               |       store  fetch  resolve  env  format  rail   the seams, each with its default
//!               |       trade                                       what a shop says of what it sells: five more
//!               |       trust  keys   limits  webvh                what a merchant decided before
//!               |
//!  floor 1   ask  presentation  customer  session  pairwise          plain data and consuming transitions
//!            history  issuing  meeting  checkout  order  receipt
//!            money  time  error  explain
//!               |
//!  floor 0   protocol            bytes to types and back, in the standards' own words
//! ```
//!
//! Floors 0 and 1 never wait, read no clock, draw no randomness and open no socket: the time and the random bytes are
//! arguments. The domain names nothing of `protocol` but at its hinges: `presentation` reads answers, `session`
//! digests tokens, `pairwise` makes DIDs, `error` says which check of a standard failed, and `explain` makes each of them
//! once more. Nothing but the merchant makes a [`Verified`], and nothing but a signed request makes a `Recognised`. Tests
//! over the sources hold all of this.
//!
//! The seams are traits, small enough to be written in an afternoon:
//!
//! | seam | what differs | here |
//! |---|---|---|
//! | [`Store`](store::Store) | where versioned records lie | memory, SQLite, PostgreSQL |
//! | [`Fetch`](fetch::Fetch) | how anything is fetched | https, bounded, to public addresses alone |
//! | [`DidResolver`](resolve::DidResolver) | what a DID of an issuer leads to | `key`, `jwk`, `peer`, `web`, `webvh`, `pkh` |
//! | [`Env`](env::Env) | the time and randomness | the system's |
//! | [`Format`](format::Format) | what a credential looks like | SD-JWT VC, ISO mdoc, W3C credentials as JWT and with Data Integrity |
//! | [`Rail`](rail::Rail) | how money comes and goes back | transfers (SEPA) |
//! | [`Catalog`](trade::Catalog), [`Inventory`](trade::Inventory), [`Shipping`](trade::Shipping), [`Tax`](trade::Tax), [`Discount`](trade::Discount) | what a shop says of what it sells | a list, stock in the store, flat rates, VAT by named rates, words and proofs |
//!
//! # What it does not do
//!
//! - It is no wallet, no identity provider and no shop: you have a catalogue, it knows who asks.
//! - It holds no money: a rail that the merchant chose moves it, and this counts it. It knows no tax rates and no prices of
//!   sending but those that the merchant names.
//! - It reads no trust lists in XML and no W3C credentials secured by COSE. At the till it has no reader of its own: what a
//!   reader brings is checked.
//! - It recognises nobody by credentials that others issued. They prove claims and never identify.
//! - It keeps no claim value beyond a quarter of an hour after redemption, unless an ask says which, why and until when.
//!   The delivery address of an order lies sealed beside it, for 90 days; who paid by transfer, with the transfer.
//! - It spawns nothing by itself: [`Merchant::housekeeping`] is a future, and yours to run. What has expired leaves the
//!   disk by it alone, so how long data are retained depends on it.
//!
//! # Where to add things
//!
//! - A *store*: implement [`Store`](store::Store), and run `testing::store_conformance` over it.
//! - A *credential format*: a file in `format/` that implements [`Format`](format::Format); nothing else changes but the
//!   builder's `.format(..)`. Its author alone says [`Authentic::assertion`](format::Authentic::assertion).
//! - A *rail*: implement [`Rail`](rail::Rail), run `testing::rail_conformance` over it, and name it to the builder.
//! - A *catalogue*, *inventory*, *shipping*, *tax* or *discount*: implement the trait of [`trade`], and run its suite of
//!   `testing::trade` over it.
//! - A *DID method* of keys: an arm in `protocol/did.rs`. A *signature algorithm*: `protocol/jose.rs`, and the vectors.
//! - A *bound*: [`Limits`](limits::Limits), with its reason. A *refusal*: [`error`], with a code of its own.
//! - A *route* or a header: not here; that is `firsthand-axum`.
//!
//! # Features
//!
//! `https` and `mdoc` (both default; credentials as ISO mdoc), `w3c` (W3C credentials, by `ssi`), `sqlite`, `postgres`,
//! `passkey` (WebAuthn), `webvh` (the shop's name as a did:webvh),
//! `testing` (a shop, a wallet and an issuer for tests), `dev` (a whole development set-up on this machine),
//! `cli` (the command `firsthand`), `vendored-openssl`.

pub mod ask;
pub mod checkout;
pub mod customer;
pub mod env;
pub mod error;
pub mod explain;
pub mod fetch;
pub mod format;
pub mod history;
pub mod issuing;
pub mod keys;
pub mod limits;
pub mod meeting;
pub mod merchant;
pub mod metrics;
pub mod money;
mod names;
pub mod order;
pub mod pairwise;
pub mod presentation;
pub mod protocol;
mod qr;
pub mod rail;
pub mod receipt;
pub mod resolve;
pub mod session;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod trade;
pub mod trust;
#[cfg(feature = "webvh")]
pub mod webvh;

pub use ask::{Ask, Device, Wanted};
pub use customer::CustomerId;
pub use error::Error;
pub use keys::Keys;
pub use merchant::{Checkout, Customer, Merchant, Order};
pub use money::{Currency, Money};
pub use order::{Draft, OrderId};
pub use presentation::Verified;
#[cfg(feature = "postgres")]
pub use store::Postgres;
#[cfg(feature = "sqlite")]
pub use store::Sqlite;
pub use trade::Trade;
pub use trust::{Trust, TrustList};
