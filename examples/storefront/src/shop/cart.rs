//! A cart that belongs to nobody: it stands in the address of the page, and nowhere else.
//!
//! `?cart=senchax2.rieslingx1` is two packets of Sencha and a bottle of Riesling. It is carried along by every link and
//! form, so it needs no cookie, no storage and no identity, and a friend can be sent one. What it says is only ever a
//! wish: names are looked up, quantities are bounded, and prices come from the catalogue.

use super::{
    catalogue::{CATALOGUE, Kind, Product},
    database::stock::Stock,
};

/// The most of one thing that a cart holds.
pub const QUANTITY_MAX: u32 = 12;

/// The longest cart that is read, in bytes: the fullest cart is less than half of it.
const TEXT_MAX: usize = 512;

/// Products and how many of each, in the order of the shelf.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cart {
    lines: Vec<Line>,
    lost_something: bool,
    asked_more: bool,
}

/// One line of a cart.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// What.
    pub product: &'static Product,
    /// How many, from 1 to [`QUANTITY_MAX`].
    pub quantity: u32,
}

/// A product of which a cart named more than there are.
#[derive(Clone, Copy, Debug)]
pub struct Short {
    /// What.
    pub product: &'static Product,
    /// How many there are.
    pub left: u32,
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.product.slug == other.product.slug && self.quantity == other.quantity
    }
}

impl Eq for Line {}

impl Line {
    /// What the line costs, in euro cents.
    #[must_use]
    pub const fn price_minor(self) -> u32 {
        self.product.price_minor * self.quantity
    }
}

impl Cart {
    /// Reads what an address says. What makes no sense is left out rather than refused: an old bookmark must still open.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut cart = Self::default();
        if text.is_empty() {
            return cart;
        }
        if text.len() > TEXT_MAX {
            cart.lost_something = true;
            return cart;
        }
        for part in text.split('.') {
            let line = part.rsplit_once('x').and_then(|(slug, quantity)| {
                let is_number = !quantity.is_empty() && quantity.bytes().all(|byte| byte.is_ascii_digit());
                // So many that no number can say it are more than we sell.
                let quantity = if is_number { quantity.parse().unwrap_or(u32::MAX) } else { 0 };
                Some((Product::find(slug)?, Some(quantity).filter(|quantity| *quantity > 0)?))
            });
            match line {
                Some((product, quantity)) => cart.set(product, quantity),
                None => cart.lost_something = true,
            }
        }
        cart
    }

    /// Whether more of something was asked for than [`QUANTITY_MAX`]: so many are in the cart now.
    #[must_use]
    pub const fn asked_more(&self) -> bool {
        self.asked_more
    }

    /// The same cart, of which more was asked for than [`QUANTITY_MAX`].
    #[must_use]
    pub fn having_asked_more(self) -> Self {
        Self { asked_more: true, ..self }
    }

    /// Whether the address named something that the shop does not sell.
    #[must_use]
    pub const fn lost_something(&self) -> bool {
        self.lost_something
    }

    /// Sets how many of a product there are; 0 takes it out, and more than [`QUANTITY_MAX`] are [`QUANTITY_MAX`].
    pub fn set(&mut self, product: &'static Product, quantity: u32) {
        self.lines.retain(|line| line.product.slug != product.slug);
        self.asked_more |= quantity > QUANTITY_MAX;
        if quantity > 0 {
            self.lines.push(Line { product, quantity: quantity.min(QUANTITY_MAX) });
            self.lines.sort_by_key(|line| CATALOGUE.iter().position(|product| product.slug == line.product.slug));
        }
    }

    /// The same cart with no more of anything than stands on the shelf, and what had to be left there.
    #[must_use]
    pub fn within(&self, stock: &Stock) -> (Self, Vec<Short>) {
        let (mut cart, mut shorts) = (self.clone(), Vec::new());
        for line in &self.lines {
            let left = stock.left(line.product);
            if left < line.quantity {
                cart.set(line.product, left);
                shorts.push(Short { product: line.product, left });
            }
        }
        (cart, shorts)
    }

    /// How many of a product there are.
    #[must_use]
    pub fn quantity(&self, product: &Product) -> u32 {
        self.lines.iter().find(|line| line.product.slug == product.slug).map_or(0, |line| line.quantity)
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Its lines of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = Line> {
        self.lines.iter().copied().filter(move |line| line.product.kind == kind)
    }

    /// The same cart without the wine.
    #[must_use]
    pub fn without_wine(&self) -> Self {
        Self { lines: self.of(Kind::Tea).collect(), ..Self::default() }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// How many things are in it.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.lines.iter().map(|line| line.quantity).sum()
    }

    /// What it costs, in euro cents.
    #[must_use]
    pub fn total_minor(&self) -> u32 {
        self.lines.iter().map(|line| line.price_minor()).sum()
    }

    /// The VAT in the prices, in euro cents, by its rate in percent: rounded line by line, as on the receipt.
    #[must_use]
    pub fn taxes(&self) -> Vec<(u32, u32)> {
        let of = |kind: Kind| {
            let percent = kind.vat_percent();
            let in_line = |line: Line| (line.price_minor() * percent * 2 + 100 + percent) / (2 * (100 + percent));
            (percent, self.of(kind).map(in_line).sum::<u32>())
        };
        [Kind::Tea, Kind::Wine].into_iter().map(of).filter(|(_, minor)| *minor > 0).collect()
    }

    /// What [`Self::parse`] reads.
    #[must_use]
    pub fn text(&self) -> String {
        let lines: Vec<String> =
            self.lines.iter().map(|line| format!("{}x{}", line.product.slug, line.quantity)).collect();
        lines.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cart_survives_being_written_and_read() {
        let cart = Cart::parse("rieslingx1.senchax2");
        assert_eq!(cart.text(), "senchax2.rieslingx1");
        assert_eq!(Cart::parse(&cart.text()), cart);
        assert_eq!((cart.count(), cart.total_minor()), (3, 2 * 1480 + 1600));
        assert_eq!(cart.without_wine().text(), "senchax2");
        assert!(!cart.lost_something());
    }

    #[test]
    fn what_makes_no_sense_is_left_out_and_said() {
        for odd in ["goldx1", "senchax0", "senchax-1", "senchax+1", "senchax", "sencha", "x", ".", "senchax1 "] {
            let cart = Cart::parse(odd);
            assert!(cart.is_empty() && cart.lost_something(), "{odd}");
        }
        let cart = Cart::parse("goldx1.senchax1");
        assert_eq!(cart.text(), "senchax1");
        assert!(cart.lost_something());
        assert!(Cart::parse(&"senchax1.".repeat(100)).is_empty());
        assert_eq!(Cart::parse(""), Cart::default());
    }

    #[test]
    fn more_than_one_order_has_of_anything_is_said_and_is_no_empty_shelf() {
        for many in ["senchax13", "senchax99999999", "senchax99999999999"] {
            let cart = Cart::parse(many);
            assert_eq!((cart.text().as_str(), cart.asked_more(), cart.lost_something()), ("senchax12", true, false));
        }
        assert!(!Cart::parse("senchax12").asked_more());
    }

    #[test]
    fn the_largest_cart_fits_into_an_address_and_into_its_sum() {
        let mut cart = Cart::default();
        for product in &CATALOGUE {
            cart.set(product, u32::MAX);
        }
        assert_eq!(cart.count(), 12 * QUANTITY_MAX);
        assert!(cart.text().len() * 2 <= TEXT_MAX);
        assert_eq!(Cart::parse(&cart.text()).lines(), cart.lines());
    }

    #[test]
    fn a_cart_holds_no_more_than_there_is() {
        let stock: Stock = [("sencha".to_owned(), 24), ("pinot".to_owned(), 3)].into_iter().collect();
        let (cart, shorts) = Cart::parse("senchax2.lapsangx1.pinotx5").within(&stock);
        assert_eq!(cart.text(), "senchax2.pinotx3");
        let shorts: Vec<_> = shorts.iter().map(|short| (short.product.slug, short.left)).collect();
        assert_eq!(shorts, [("lapsang", 0), ("pinot", 3)]);
        assert!(Cart::parse("senchax2.pinotx3").within(&stock).1.is_empty());
    }

    #[test]
    fn the_tax_in_a_cart_is_told_by_its_rate() {
        assert_eq!(Cart::parse("senchax2.rieslingx1").taxes(), [(7, 194), (19, 255)]);
        assert_eq!(Cart::parse("senchax1").taxes(), [(7, 97)]);
        assert_eq!(Cart::default().taxes(), []);
    }

    #[test]
    fn setting_a_quantity_twice_is_setting_it_once() {
        let sencha = Product::find("sencha").unwrap();
        let mut cart = Cart::default();
        cart.set(sencha, 3);
        cart.set(sencha, 3);
        assert_eq!(cart.quantity(sencha), 3);
        cart.set(sencha, 0);
        assert!(cart.is_empty());
    }
}
