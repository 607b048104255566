//! A catalogue in the program.

use std::collections::HashMap;

use super::{Catalog, Item, NAME_BYTES_MAX, Opening, OpeningError, TITLE_BYTES_MAX, TradeError, is_name, is_title};

/// What is sold, as a list in the program: for a shop with a handful of things, for examples and for tests.
///
/// A list that cannot be sold from (a name twice, a text out of bounds) is [`ItemsError`]: of two prices nobody knows which
/// was meant.
///
/// ```
/// use firsthand::{
///     money::{Currency, Money},
///     trade::{Item, Items},
/// };
///
/// let items = Items::new([
///     Item::new("sencha", "Sencha, 100 g", Money::parse("14.80", Currency::EUR)?).sent(120),
///     Item::new("lesson", "An hour of tea", Money::parse("60", Currency::EUR)?),
/// ])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Items {
    by_name: HashMap<String, Item>,
}

/// Why a list is no catalogue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemsError {
    /// Two items have one name.
    #[error("two items are called {0:?}")]
    Twice(String),
    /// A name is empty, longer than 64 bytes, or has control characters.
    #[error("the name {0:?} is empty, longer than {NAME_BYTES_MAX} bytes, or has control characters")]
    Name(String),
    /// A title is empty, longer than 256 bytes, or has control characters.
    #[error("the title of {0:?} is empty, longer than {TITLE_BYTES_MAX} bytes, or has control characters")]
    Title(String),
}

impl ItemsError {
    /// The stable name of what is wrong, for logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Twice(_) => "item_twice",
            Self::Name(_) => "item_name",
            Self::Title(_) => "item_title",
        }
    }
}

impl Items {
    /// These are sold.
    ///
    /// # Errors
    /// [`ItemsError`]: the first thing that is wrong.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Result<Self, ItemsError> {
        let mut by_name = HashMap::new();
        for item in items {
            let name = item.name.clone();
            if !is_name(&name) {
                return Err(ItemsError::Name(name));
            }
            if !is_title(&item.title) {
                return Err(ItemsError::Title(name));
            }
            if by_name.insert(name.clone(), item).is_some() {
                return Err(ItemsError::Twice(name));
            }
        }
        Ok(Self { by_name })
    }
}

impl Catalog for Items {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        Ok(names.iter().map(|name| self.by_name.get(name).cloned()).collect())
    }

    fn check(&self, opening: &mut Opening) -> Result<(), OpeningError> {
        for item in self.by_name.values() {
            let what = format!("the item {:?}", item.name);
            opening.sells_for(&what, item.unit)?;
            item.needs.iter().try_for_each(|ask| opening.declares(&what, ask))?;
            opening.taxes(&item.tax);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        money::{Currency, Money},
        testing::trade::catalog_conformance,
    };

    fn item(name: &str, title: &str) -> Item {
        Item::new(name, title, Money::parse("14.80", Currency::EUR).unwrap())
    }

    #[tokio::test]
    async fn it_keeps_the_rules_of_a_catalogue() {
        let items = Items::new([item("sencha", "Sencha"), item("größe", "Größe"), item("wine", "Wine")]).unwrap();
        catalog_conformance(&items, &["sencha", "größe", "wine"], &["Sencha", "sencha ", "beer"]).await;
    }

    #[test]
    fn a_list_that_contradicts_itself_is_none() {
        let cases = [
            (vec![item("a", "A"), item("b", "B"), item("a", "A")], "item_twice"),
            (vec![item("a", "A"), item("", "B")], "item_name"),
            (vec![item(" ", "B")], "item_name"),
            (vec![item("a\n", "B")], "item_name"),
            (vec![item(&"x".repeat(65), "B")], "item_name"),
            (vec![item("a", "")], "item_title"),
            (vec![item("a", "A\u{0}")], "item_title"),
            (vec![item("a", &"x".repeat(257))], "item_title"),
        ];
        for (list, code) in cases {
            assert_eq!(Items::new(list).unwrap_err().code(), code);
        }
        let longest = [item(&"x".repeat(64), &"y".repeat(256))];
        assert!(Items::new(longest).is_ok());
    }
}
