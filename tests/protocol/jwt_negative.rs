//! Topic `jwt-negative`: an access token of one issuer for one audience, and what is done to it. The profile stands
//! here; that each of its rules can be asked of floor 0 is what is tested.

use firsthand::{
    limits::Limits,
    protocol::{
        claims,
        jose::{JoseError, Jws, PublicKey},
    },
    time::UnixTime,
};
use firsthand_tests::{Tally, vector_files};
use serde_json::Value;

#[derive(Debug)]
#[expect(dead_code, reason = "shown where a case disagrees")]
enum Refused {
    Jose(JoseError),
    Claim(&'static str),
}

impl From<JoseError> for Refused {
    fn from(error: JoseError) -> Self {
        Self::Jose(error)
    }
}

fn check(case: &Value) -> Result<(), Refused> {
    let text = |name: &str| case[name].as_str().unwrap();
    let key = PublicKey::from_jwk(&case["public_jwk"])?;
    let jws = Jws::parse(text("token"), &Limits::default())?;
    let allowed = case["alg_allowed"].as_array().unwrap();
    assert!(allowed.iter().any(|alg| *alg == key.algorithm().name()), "the key decides, and the list says the same");
    let claims = jws.verify(&key, &[text("typ")])?;

    let now = UnixTime::from_secs(case["now"].as_i64().unwrap());
    let leeway_s = case["leeway"].as_u64().unwrap();
    if claims::string(&claims, "iss")? != Some(text("iss")) {
        return Err(Refused::Claim("iss"));
    }
    if !claims::audience_is(&claims, text("aud"))? {
        return Err(Refused::Claim("aud"));
    }
    claims::string(&claims, "sub")?;
    claims::string(&claims, "jti")?;
    let exp = claims::numeric_date(&claims, "exp")?.ok_or(Refused::Claim("exp"))?;
    if exp.plus_s(leeway_s) <= now {
        return Err(Refused::Claim("exp"));
    }
    for name in ["nbf", "iat"] {
        if claims::numeric_date(&claims, name)?.is_some_and(|from| from.minus_s(leeway_s) > now) {
            return Err(Refused::Claim(name));
        }
    }
    Ok(())
}

#[test]
fn access_tokens_and_attacks() {
    let mut tally = Tally::new("jwt-negative");
    for (file, cases) in vector_files("jwt-negative") {
        for case in cases.as_array().unwrap() {
            let name = format!("{file} {} ({})", case["name"].as_str().unwrap(), case["why"].as_str().unwrap());
            tally.case(&name, case["expect"].as_str().unwrap(), check(case));
        }
    }
    tally.finish(174);
}
