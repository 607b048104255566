//! Records by their keys, each in one statement, which sees one moment.

use sqlx::postgres::PgRow;

use super::{Key, Postgres, Row as _, StoreError, Stored, UnixTime, stored, unavailable};

/// One lookup by the parameters of these numbers, the time being the first; `or` for those that follow it.
macro_rules! lookup {
    (or $place:literal, $partition:literal, $kind:literal, $sort:literal) => {
        concat!(" UNION ALL ", lookup!($place, $partition, $kind, $sort))
    };
    ($place:literal, $partition:literal, $kind:literal, $sort:literal) => {
        concat!(
            "SELECT ",
            $place,
            "::bigint AS place, version, schema, body::text AS body, expires_at FROM firsthand.records WHERE partition = $",
            $partition,
            " AND kind = $",
            $kind,
            " AND sort = $",
            $sort,
            " AND (expires_at IS NULL OR expires_at > $1)"
        )
    };
}

/// What every request looks up, such as a session and the key that it belongs to: one index lookup for each key, in a
/// statement of its own for each count. PostgreSQL keeps the plan of these. That of a statement over an array of names it
/// makes anew each time, since it cannot know how long the array will be, and that takes many times as long as to run it.
const FEW: [&str; 6] = [
    lookup!(0, 2, 3, 4),
    concat!(lookup!(0, 2, 3, 4), lookup!(or 1, 5, 6, 7)),
    concat!(lookup!(0, 2, 3, 4), lookup!(or 1, 5, 6, 7), lookup!(or 2, 8, 9, 10)),
    concat!(lookup!(0, 2, 3, 4), lookup!(or 1, 5, 6, 7), lookup!(or 2, 8, 9, 10), lookup!(or 3, 11, 12, 13)),
    concat!(
        lookup!(0, 2, 3, 4),
        lookup!(or 1, 5, 6, 7),
        lookup!(or 2, 8, 9, 10),
        lookup!(or 3, 11, 12, 13),
        lookup!(or 4, 14, 15, 16)
    ),
    concat!(
        lookup!(0, 2, 3, 4),
        lookup!(or 1, 5, 6, 7),
        lookup!(or 2, 8, 9, 10),
        lookup!(or 3, 11, 12, 13),
        lookup!(or 4, 14, 15, 16),
        lookup!(or 5, 17, 18, 19)
    ),
];

/// OFFSET 0 keeps the planner at one index lookup for each key.
const MANY: &str = "
    SELECT k.place - 1 AS place, r.version, r.schema, r.body::text AS body, r.expires_at
    FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS k (partition, kind, sort, place)
    CROSS JOIN LATERAL (
        SELECT * FROM firsthand.records AS r
        WHERE r.partition = k.partition AND r.kind = k.kind AND r.sort = k.sort
          AND (r.expires_at IS NULL OR r.expires_at > $1)
        OFFSET 0
    ) AS r";

impl Postgres {
    /// What is there of these keys now, in their order.
    pub(super) async fn found(&self, keys: &[Key], now: UnixTime) -> Result<Vec<Option<Stored>>, StoreError> {
        let few = keys.len().checked_sub(1).and_then(|at| FEW.get(at).copied());
        let query = sqlx::query(few.unwrap_or(MANY)).bind(now.as_secs());
        let query = if few.is_some() {
            keys.iter().fold(query, |query, key| query.bind(&key.partition).bind(key.kind).bind(&key.sort))
        } else {
            query
                .bind(keys.iter().map(|key| key.partition.as_str()).collect::<Vec<_>>())
                .bind(keys.iter().map(|key| key.kind).collect::<Vec<_>>())
                .bind(keys.iter().map(|key| key.sort.as_str()).collect::<Vec<_>>())
        };
        let rows = self.rows(query).await?;
        let mut found = vec![None; keys.len()];
        for row in &rows {
            if let Some(place) = place(row).map_err(unavailable)?.and_then(|place| found.get_mut(place)) {
                *place = Some(stored(row).map_err(unavailable)?);
            }
        }
        Ok(found)
    }
}

/// Which of the keys a row belongs to.
fn place(row: &PgRow) -> Result<Option<usize>, sqlx::Error> {
    Ok(usize::try_from(row.try_get::<i64, _>("place")?).ok())
}
