//! `firsthand doctor`: a shop as it is seen from outside.

use std::{io::Write, path::Path, process::ExitCode};

use firsthand::{
    Keys, Merchant,
    merchant::doctor::{Finding, Severity},
    store::Memory,
};

use super::{Error, Options, read};

/// Prints what was found: what is good first, what is wrong last.
pub(super) fn doctor(options: &Options<'_>, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let missing = |name: &str| Error::Usage(format!("`doctor` needs {name}"));
    if !options.files.is_empty() {
        return Err(Error::Usage("`doctor` takes its file as --keys FILE".to_owned()));
    }
    let origin = options.origin()?.ok_or_else(|| missing("--origin URL"))?;
    let file = options.value("--keys").ok_or_else(|| missing("--keys FILE"))?;
    let keys = Keys::from_pem(&read(Path::new(file))?)?;
    // A merchant that is never open: it knows the keys and the origin, and so what the shop should answer.
    let mut builder = Merchant::builder(origin).keys(keys).store(Memory::new());
    if let Some(mount) = options.value("--mount") {
        builder = builder.mount(mount);
    }
    let merchant = builder.build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut findings = runtime.block_on(merchant.doctor_outside(options.value("--ask")));
    findings.extend(merchant.doctor_keys());
    Ok(said(findings, out)?)
}

fn said(mut findings: Vec<Finding>, out: &mut dyn Write) -> std::io::Result<ExitCode> {
    findings.sort_by_key(|finding| finding.severity);
    for finding in &findings {
        writeln!(out, "{}: {} ({})", finding.severity.name(), finding.what, finding.part.name())?;
        if !finding.advice.is_empty() {
            writeln!(out, "  {}", finding.advice)?;
        }
    }
    let is_wrong = findings.iter().any(|finding| finding.severity == Severity::Wrong);
    Ok(if is_wrong { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use firsthand::testing::TestShop;

    use super::*;

    #[test]
    fn what_is_wrong_comes_last_and_decides() {
        let shop = TestShop::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let findings = runtime.block_on(shop.merchant().doctor());
        let mut out = Vec::new();
        let code = said(findings, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let last = text.rfind("\ngood: ").unwrap();
        assert!(text.find("wrong: https://shop.example/").is_some_and(|wrong| wrong > last), "{text}");
        assert!(text.contains("the store answers (store)") && text.contains("  see whether"), "{text}");
        assert_eq!(code, ExitCode::from(1));
    }
}
