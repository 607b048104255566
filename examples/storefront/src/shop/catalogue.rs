//! What the shop sells: six teas, six wines.

use super::words::{Language, Words};

/// What a product is, and so whether it may be sold to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Tea, for everybody.
    Tea,
    /// Wine, for adults.
    Wine,
}

impl Kind {
    /// The VAT in its price, in percent.
    #[must_use]
    pub const fn vat_percent(self) -> u32 {
        match self {
            Self::Tea => 7,
            Self::Wine => 19,
        }
    }
}

/// One thing on the shelf.
#[derive(Debug)]
pub struct Product {
    /// Its name in addresses and carts: `[a-z]`, never an `x`, which separates it from a quantity.
    pub slug: &'static str,
    /// Tea or wine.
    pub kind: Kind,
    /// What it is called.
    pub name: Words,
    /// Where it grew.
    pub origin: Words,
    /// How it tastes, in a few words.
    pub taste: Words,
    /// What there is to say about it.
    pub story: Words,
    /// How to make or serve it.
    pub serve: Words,
    /// Price in euro cents, tax included.
    pub price_minor: u32,
    /// How much one is: grams of tea, millilitres of wine.
    pub content: u32,
    /// Alcohol in tenths of a per cent by volume; 0 for tea.
    pub alcohol_permille: u32,
    /// How its picture is drawn.
    pub picture: Picture,
}

/// The colours and the motif of a product's picture.
#[derive(Debug)]
pub struct Picture {
    /// The wall behind it.
    pub ground: &'static str,
    /// The disc behind it.
    pub disc: &'static str,
    /// The tin or the bottle.
    pub vessel: &'static str,
    /// What closes it.
    pub cap: &'static str,
    /// The ink of the label.
    pub ink: &'static str,
    /// What the label shows.
    pub motif: Motif,
}

/// What a label shows.
#[derive(Clone, Copy, Debug)]
pub enum Motif {
    /// Two leaves and a bud.
    Bud,
    /// Mountains, one behind the other.
    Mountains,
    /// A moon over water.
    Moon,
    /// Smoke that rises.
    Smoke,
    /// Ears of rice.
    Rice,
    /// A flower.
    Flower,
    /// Terraces above a river.
    Terraces,
    /// Waves.
    Waves,
    /// A sun over a plain.
    Sun,
    /// A bunch of grapes.
    Grapes,
    /// A volcano.
    Volcano,
    /// Bubbles.
    Bubbles,
}

impl Product {
    /// The product of that slug.
    #[must_use]
    pub fn find(slug: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|product| product.slug == slug)
    }

    /// All products of a kind, in the order of the shelf.
    pub fn all(kind: Kind) -> impl Iterator<Item = &'static Self> {
        CATALOGUE.iter().filter(move |product| product.kind == kind)
    }

    /// Whether only adults may have it.
    #[must_use]
    pub const fn is_wine(&self) -> bool {
        matches!(self.kind, Kind::Wine)
    }

    /// What it holds, to read: `100 g`, `0,75 l`.
    #[must_use]
    pub fn content(&self, language: Language) -> String {
        match self.kind {
            Kind::Tea => format!("{} g", self.content),
            Kind::Wine => {
                let point = language.say(".", ",");
                format!("{}{point}{:02} l", self.content / 1000, self.content % 1000 / 10)
            }
        }
    }

    /// The price of a kilogram or a litre in euro cents, rounded half up: European shops must show it.
    #[must_use]
    pub const fn unit_price_minor(&self) -> u32 {
        (self.price_minor * 1000 + self.content / 2) / self.content
    }

    /// What [`Self::unit_price_minor`] is the price of.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Tea => "kg",
            Kind::Wine => "l",
        }
    }
}

/// What once stood on the shelf, and will not come back.
pub static SOLD_OUT: [&str; 2] = ["earlgrey", "gluehwein"];

/// The shelf.
pub static CATALOGUE: [Product; 12] = [
    Product {
        slug: "sencha",
        kind: Kind::Tea,
        name: Words("Sencha, First Harvest", "Sencha, erste Ernte"),
        origin: Words("Kagoshima, Japan", "Kagoshima, Japan"),
        taste: Words("Cut grass, sea air, sweet peas", "Gemähte Wiese, Seeluft, Zuckererbsen"),
        story: Words(
            "Picked in the last week of April, steamed within the hour, and rolled into needles that open like a fist. \
             The first cup is spring; the third is still worth the water.",
            "Gepflückt in der letzten Aprilwoche, binnen einer Stunde gedämpft und zu Nadeln gerollt, die sich öffnen wie \
             eine Hand. Der erste Aufguss ist Frühling, der dritte lohnt noch immer das Wasser.",
        ),
        serve: Words("70 °C, one minute, 4 g to a small pot", "70 °C, eine Minute, 4 g auf ein Kännchen"),
        price_minor: 1480,
        content: 100,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#c9d3a3",
            disc: "#e9ecc9",
            vessel: "#3f5b3a",
            cap: "#2c4129",
            ink: "#3f5b3a",
            motif: Motif::Bud,
        },
    },
    Product {
        slug: "darjeeling",
        kind: Kind::Tea,
        name: Words("Darjeeling, Second Flush", "Darjeeling, Second Flush"),
        origin: Words("Kurseong, India", "Kurseong, Indien"),
        taste: Words("Muscatel, apricot, warm wood", "Muskateller, Aprikose, warmes Holz"),
        story: Words(
            "Early summer leaves from bushes at two thousand metres, a little bitten by leafhoppers: the plant answers with \
             the scent of muscat grapes. The tea for people who came in for wine.",
            "Frühsommerblätter aus zweitausend Metern Höhe, ein wenig von Zikaden angeknabbert: Die Pflanze antwortet mit dem \
             Duft von Muskattrauben. Der Tee für alle, die eigentlich wegen des Weins kamen.",
        ),
        serve: Words("95 °C, three minutes, no milk", "95 °C, drei Minuten, ohne Milch"),
        price_minor: 1650,
        content: 100,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#e7c08a",
            disc: "#f6e2bd",
            vessel: "#8a3b1e",
            cap: "#6a2b15",
            ink: "#8a3b1e",
            motif: Motif::Mountains,
        },
    },
    Product {
        slug: "tieguanyin",
        kind: Kind::Tea,
        name: Words("Tie\u{a0}Guan\u{a0}Yin, Roasted", "Tie\u{a0}Guan\u{a0}Yin, geröstet"),
        origin: Words("Anxi, China", "Anxi, China"),
        taste: Words("Orchid, toasted hazelnut, stone", "Orchidee, geröstete Haselnuss, Stein"),
        story: Words(
            "An oolong rolled into beads and roasted over charcoal three times, with a month of rest in between. Nobody ever \
             hurried it, so please don’t begin now.",
            "Ein Oolong, zu Perlen gerollt und dreimal über Holzkohle geröstet, mit je einem Monat Ruhe dazwischen. Es hat ihn \
             noch nie jemand gedrängt. Bitte fangen Sie jetzt nicht damit an.",
        ),
        serve: Words("95 °C, forty seconds, six infusions", "95 °C, vierzig Sekunden, sechs Aufgüsse"),
        price_minor: 1890,
        content: 100,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#9fb9b5",
            disc: "#eee7cf",
            vessel: "#22464a",
            cap: "#173336",
            ink: "#22464a",
            motif: Motif::Moon,
        },
    },
    Product {
        slug: "lapsang",
        kind: Kind::Tea,
        name: Words("Lapsang Souchong", "Lapsang Souchong"),
        origin: Words("Wuyi, China", "Wuyi, China"),
        taste: Words("Pine smoke, dried plum, leather", "Kiefernrauch, Dörrpflaume, Leder"),
        story: Words(
            "Dried over smouldering pine, as it has been since an army once held up the harvest. Smells like a campfire, tastes \
             like the conversation around it.",
            "Über glimmender Kiefer getrocknet, seit einst eine Armee die Ernte aufhielt. Riecht nach Lagerfeuer, schmeckt wie \
             das Gespräch daran.",
        ),
        serve: Words("95 °C, three minutes, or in a stew", "95 °C, drei Minuten, oder im Schmortopf"),
        price_minor: 1240,
        content: 100,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#b9aaa0",
            disc: "#dfd3c6",
            vessel: "#33292a",
            cap: "#1f1819",
            ink: "#5b3a2e",
            motif: Motif::Smoke,
        },
    },
    Product {
        slug: "genmaicha",
        kind: Kind::Tea,
        name: Words("Genmaicha", "Genmaicha"),
        origin: Words("Uji, Japan", "Uji, Japan"),
        taste: Words("Popcorn, hay, brown butter", "Popcorn, Heu, braune Butter"),
        story: Words(
            "Green tea and roasted rice in equal parts: once a way to make tea last until the end of the month, now the reason \
             some of our customers come before the end of the month.",
            "Grüner Tee und gerösteter Reis zu gleichen Teilen: früher ein Mittel, damit der Tee bis Monatsende reicht, heute \
             der Grund, warum manche schon vor Monatsende wiederkommen.",
        ),
        serve: Words("85 °C, ninety seconds", "85 °C, neunzig Sekunden"),
        price_minor: 980,
        content: 100,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#e3d29a",
            disc: "#f5ecc8",
            vessel: "#7c6a24",
            cap: "#5c4e18",
            ink: "#7c6a24",
            motif: Motif::Rice,
        },
    },
    Product {
        slug: "verbena",
        kind: Kind::Tea,
        name: Words("Verbena & Mint", "Verbene & Minze"),
        origin: Words("Drôme, France", "Drôme, Frankreich"),
        taste: Words("Lemon peel, cool mint, evening", "Zitronenschale, kühle Minze, Abend"),
        story: Words(
            "Whole leaves, cut by hand and dried in the shade of a barn. No caffeine, no hurry, and the kettle is already warm.",
            "Ganze Blätter, von Hand geschnitten und im Schatten einer Scheune getrocknet. Kein Koffein, keine Eile, und der \
             Kessel ist noch warm.",
        ),
        serve: Words("100 °C, six minutes, good cold", "100 °C, sechs Minuten, auch kalt gut"),
        price_minor: 790,
        content: 50,
        alcohol_permille: 0,
        picture: Picture {
            ground: "#b7d0b4",
            disc: "#f1f0d2",
            vessel: "#4f7f6b",
            cap: "#386050",
            ink: "#386050",
            motif: Motif::Flower,
        },
    },
    Product {
        slug: "riesling",
        kind: Kind::Wine,
        name: Words("Riesling, Blue Slate", "Riesling, Blauschiefer"),
        origin: Words("Mosel, Germany", "Mosel, Deutschland"),
        taste: Words("Green apple, lime, wet stone", "Grüner Apfel, Limette, nasser Stein"),
        story: Words(
            "From a slope so steep that the pickers are roped. The slate stores the day’s sun and hands it back at night; the \
             wine remembers both.",
            "Von einem Hang, so steil, dass am Seil gelesen wird. Der Schiefer speichert die Sonne des Tages und gibt sie nachts \
             zurück; der Wein erinnert sich an beides.",
        ),
        serve: Words("8–10 °C, with trout or with nothing", "8–10 °C, zu Forelle oder zu gar nichts"),
        price_minor: 1600,
        content: 750,
        alcohol_permille: 115,
        picture: Picture {
            ground: "#b5c4c9",
            disc: "#ece7c6",
            vessel: "#3d5340",
            cap: "#d8c98b",
            ink: "#2f4858",
            motif: Motif::Terraces,
        },
    },
    Product {
        slug: "silvaner",
        kind: Kind::Wine,
        name: Words("Silvaner, Old Vines", "Silvaner, Alte Reben"),
        origin: Words("Franconia, Germany", "Franken, Deutschland"),
        taste: Words("Pear, hay, a pinch of salt", "Birne, Heu, eine Prise Salz"),
        story: Words(
            "Vines planted in 1968 on shell limestone. They give little, and say it plainly. Asparagus has never had a better \
             friend.",
            "Reben von 1968 auf Muschelkalk. Sie geben wenig und sagen es geradeheraus. Der Spargel hatte nie einen besseren \
             Freund.",
        ),
        serve: Words("10 °C, with asparagus or hard cheese", "10 °C, zu Spargel oder Bergkäse"),
        price_minor: 1450,
        content: 750,
        alcohol_permille: 125,
        picture: Picture {
            ground: "#dfc98f",
            disc: "#f4ebc6",
            vessel: "#5d6b2e",
            cap: "#8b3a2b",
            ink: "#6b5a1e",
            motif: Motif::Sun,
        },
    },
    Product {
        slug: "rosato",
        kind: Kind::Wine,
        name: Words("Rosato by the Sea", "Rosato am Meer"),
        origin: Words("Abruzzo, Italy", "Abruzzen, Italien"),
        taste: Words("Sour cherry, orange, salt", "Sauerkirsche, Orange, Salz"),
        story: Words(
            "Darker than fashion allows: one night on the skins, bottled before Easter. Take it to a table outside and stay \
             until the lamps come on.",
            "Dunkler, als die Mode erlaubt: eine Nacht auf der Maische, vor Ostern gefüllt. An einen Tisch im Freien mitnehmen \
             und bleiben, bis die Lampen angehen.",
        ),
        serve: Words("10–12 °C, with fried fish", "10–12 °C, zu gebratenem Fisch"),
        price_minor: 1250,
        content: 750,
        alcohol_permille: 130,
        picture: Picture {
            ground: "#f0b9a5",
            disc: "#fbe3cf",
            vessel: "#c4524f",
            cap: "#f3e7d3",
            ink: "#b23f44",
            motif: Motif::Waves,
        },
    },
    Product {
        slug: "pinot",
        kind: Kind::Wine,
        name: Words("Pinot Noir, Unhurried", "Spätburgunder, ungeeilt"),
        origin: Words("Ahr, Germany", "Ahr, Deutschland"),
        taste: Words("Raspberry, forest floor, clove", "Himbeere, Waldboden, Nelke"),
        story: Words(
            "Eighteen months in barrels that had already given all their wood to somebody else. What is left is fruit, earth, \
             and good manners.",
            "Achtzehn Monate in Fässern, die ihr Holz schon an andere abgegeben hatten. Was bleibt, sind Frucht, Erde und gute \
             Manieren.",
        ),
        serve: Words("15 °C, with mushrooms or duck", "15 °C, zu Pilzen oder Ente"),
        price_minor: 2400,
        content: 750,
        alcohol_permille: 130,
        picture: Picture {
            ground: "#d9b4ae",
            disc: "#f1dccb",
            vessel: "#4a1a2b",
            cap: "#7a1f33",
            ink: "#7a1f33",
            motif: Motif::Grapes,
        },
    },
    Product {
        slug: "etna",
        kind: Kind::Wine,
        name: Words("Etna, North Side", "Etna, Nordhang"),
        origin: Words("Sicily, Italy", "Sizilien, Italien"),
        taste: Words("Blood orange, ash, wild thyme", "Blutorange, Asche, wilder Thymian"),
        story: Words(
            "Nerello from black sand at nine hundred metres. The mountain smokes while they pick; nobody looks up any more.",
            "Nerello aus schwarzem Sand auf neunhundert Metern. Der Berg raucht bei der Lese; es schaut schon lange niemand mehr \
             hin.",
        ),
        serve: Words("16 °C, with lamb or aubergine", "16 °C, zu Lamm oder Aubergine"),
        price_minor: 2850,
        content: 750,
        alcohol_permille: 140,
        picture: Picture {
            ground: "#dd9d78",
            disc: "#f4cfa0",
            vessel: "#2d1f24",
            cap: "#1c1316",
            ink: "#8e2f1c",
            motif: Motif::Volcano,
        },
    },
    Product {
        slug: "cremant",
        kind: Kind::Wine,
        name: Words("Crémant, Bone Dry", "Crémant, knochentrocken"),
        origin: Words("Alsace, France", "Elsass, Frankreich"),
        taste: Words("Brioche, quince, cold morning", "Brioche, Quitte, kalter Morgen"),
        story: Words(
            "Three winters on the lees and not a gram of sugar added. For reasons to celebrate, or for want of one.",
            "Drei Winter auf der Hefe und kein Gramm Zucker dazu. Für einen Anlass, oder mangels eines solchen.",
        ),
        serve: Words("8 °C, in a glass with a belly", "8 °C, aus einem Glas mit Bauch"),
        price_minor: 2100,
        content: 750,
        alcohol_permille: 120,
        picture: Picture {
            ground: "#cfc7d6",
            disc: "#f3ecdc",
            vessel: "#2f4137",
            cap: "#c6a24d",
            ink: "#6d5a86",
            motif: Motif::Bubbles,
        },
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_fit_into_addresses_and_carts_and_are_unique() {
        for (at, product) in CATALOGUE.iter().enumerate() {
            assert!(product.slug.bytes().all(|b| b.is_ascii_lowercase() && b != b'x'), "{}", product.slug);
            assert!(CATALOGUE[..at].iter().all(|other| other.slug != product.slug), "{}", product.slug);
        }
    }

    #[test]
    fn wine_has_alcohol_and_tea_has_none() {
        assert!(CATALOGUE.iter().all(|product| product.is_wine() == (product.alcohol_permille > 0)));
    }

    #[test]
    fn contents_and_unit_prices_are_told() {
        let riesling = Product::find("riesling").unwrap();
        assert_eq!(riesling.content(Language::German), "0,75 l");
        assert_eq!(riesling.unit_price_minor(), 2133);
        assert_eq!(Product::find("verbena").unwrap().unit_price_minor(), 15800);
    }
}
