//! Parts of the merchant's own that do not answer, or answer what cannot be.

use super::*;
use crate::{
    error::Fault,
    trade::{Catalog, TradeError},
};

/// What a catalogue answers.
#[derive(Clone, Copy, Debug)]
enum Catalogue {
    Silent,
    /// Fewer items than it was asked for.
    Short,
    /// Another item than it was asked for.
    Other,
    /// An item that needs an ask that nobody declared.
    Undeclared,
    /// A price in another currency.
    Francs,
}

impl Catalog for Catalogue {
    async fn items(&self, names: &[String]) -> Result<Vec<Option<Item>>, TradeError> {
        let item = |name: &String| Item::new(name, "Something", euro("1.00"));
        let each = |item: &dyn Fn(&String) -> Item| Ok(names.iter().map(|name| Some(item(name))).collect());
        match self {
            Self::Silent => Err(TradeError::new("catalogue", "silent on purpose")),
            Self::Short => Ok(Vec::new()),
            Self::Other => each(&|_| Item::new("other", "Something else", euro("1.00"))),
            Self::Undeclared => each(&|name| item(name).needs(&Ask::new("unheard", "Nobody declared this").over(18))),
            Self::Francs => each(&|name| Item { unit: Money::parse("1", Currency::CHF).unwrap(), ..item(name) }),
        }
    }
}

#[tokio::test]
async fn whose_fault_it_is_that_a_part_says_nothing_of_use_is_told() {
    for (catalogue, fault, code) in [
        (Catalogue::Silent, Fault::Operations, "unavailable"),
        (Catalogue::Short, Fault::Merchant, "misuse"),
        (Catalogue::Other, Fault::Merchant, "misuse"),
        (Catalogue::Undeclared, Fault::Merchant, "misuse"),
        (Catalogue::Francs, Fault::Merchant, "misuse"),
    ] {
        // What a part of the merchant's own will say is not known when the merchant is built.
        let shop = TestShop::with(|shop| shop.store(Memory::new()).trade(Trade::new(Currency::EUR, catalogue)));
        let form = shop.merchant().guest_form();
        let error = shop.merchant().check_out_as_guest(&book(), &form).await.unwrap_err();
        assert_eq!((error.fault(), error.code()), (fault, code), "{catalogue:?}: {error}");
    }
}
