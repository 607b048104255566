//! The pictures: a tin or a bottle before a disc, drawn in four flat colours like an old enamel sign.

use maud::{Markup, html};

use super::catalogue::{Kind, Motif, Picture};

/// The picture of a product, as an SVG document of 400 by 500.
#[must_use]
pub(super) fn of(picture: &Picture, kind: Kind) -> Markup {
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 500" width="400" height="500" {
            rect width="400" height="500" fill=(picture.ground) {}
            circle cx="200" cy="232" r="158" fill=(picture.disc) {}
            // The table.
            path d="M0 424H400V500H0Z" fill=(picture.ink) opacity=".16" {}
            @match kind {
                Kind::Tea => (tin(picture)),
                Kind::Wine => (bottle(picture)),
            }
        }
    }
}

fn tin(picture: &Picture) -> Markup {
    html! {
        ellipse cx="212" cy="428" rx="112" ry="14" fill=(picture.cap) opacity=".35" {}
        // Lid, shoulder, body.
        path d="M122 150q0-16 16-16h124q16 0 16 16v34H122z" fill=(picture.cap) {}
        path d="M116 184h168v14H116z" fill=(picture.vessel) {}
        path d="M110 196h180v214q0 18-18 18H128q-18 0-18-18z" fill=(picture.vessel) {}
        path d="M126 196h16v232h-14q-18 0-18-18V196z" fill="#fff" opacity=".1" {}
        path d="M134 144h10v34h-10z" fill="#fff" opacity=".14" {}
        path d="M262 196h28v214q0 18-18 18h-10z" fill="#000" opacity=".14" {}
        // Label.
        rect x="132" y="222" width="136" height="160" rx="3" fill="#fbf4e2" {}
        rect x="138" y="228" width="124" height="148" rx="1" fill="none" stroke=(picture.ink) stroke-width="1.5" {}
        g transform="translate(150 236)" { (motif(picture)) }
        path d="M160 350h80M172 361h56" stroke=(picture.ink) stroke-width="3" {}
    }
}

fn bottle(picture: &Picture) -> Markup {
    let sparkling = matches!(picture.motif, Motif::Bubbles);
    html! {
        ellipse cx="214" cy="428" rx="82" ry="12" fill=(picture.ink) opacity=".35" {}
        @if sparkling {
            path d="M183 52q17-14 34 0v96c0 34 55 42 55 116v146q0 18-18 18H146q-18 0-18-18V264c0-74 55-82 55-116z" fill=(picture.vessel) {}
            path d="M183 52q17-14 34 0v104l-17 12-17-12z" fill=(picture.cap) {}
            path d="M178 66h44v9h-44z" fill=(picture.cap) {}
            path d="M145 262c2-48 38-66 46-98v264h-46z" fill="#fff" opacity=".07" {}
        } @else {
            path d="M182 62h36v104c0 30 46 34 46 86v158q0 18-18 18h-92q-18 0-18-18V252c0-52 46-56 46-86z" fill=(picture.vessel) {}
            path d="M182 56q0-5 5-5h26q5 0 5 5v78h-36z" fill=(picture.cap) {}
            path d="M178 64h44v8h-44z" fill=(picture.cap) {}
            path d="M187 54h7v80h-7z" fill="#fff" opacity=".16" {}
            path d="M148 250c2-36 40-44 42-78v256h-42z" fill="#fff" opacity=".08" {}
        }
        path d="M248 428h-2q18 0 18-18V252c0-20-7-33-16-43z" fill="#000" opacity=".16" {}
        // Label.
        rect x="140" y="258" width="120" height="140" rx="2" fill="#fbf4e2" {}
        g transform="translate(150 264)" { (motif(picture)) }
        path d="M162 374h76M176 385h48" stroke=(picture.ink) stroke-width="3" {}
    }
}

/// A motif of 100 by 100.
fn motif(picture: &Picture) -> Markup {
    let (ink, disc, ground) = (picture.ink, picture.disc, picture.ground);
    match picture.motif {
        Motif::Bud => html! {
            path d="M50 100V52" stroke=(ink) stroke-width="4" {}
            path d="M50 58C44 40 44 24 50 6c6 18 6 34 0 52z" fill=(ink) {}
            path d="M48 82C20 82 8 62 6 38c26 2 42 16 42 44z" fill=(ground) {}
            path d="M52 82c28 0 40-20 42-44-26 2-42 16-42 44z" fill=(ink) {}
            path d="M46 80 14 46M54 80l32-34" stroke="#fbf4e2" stroke-width="2" fill="none" {}
        },
        Motif::Mountains => html! {
            circle cx="66" cy="30" r="17" fill=(ground) {}
            path d="M0 92 34 36l24 40 12-18 30 34z" fill=(ink) {}
            path d="M34 36 22 56l8-3 5 7 6-6 6 4z" fill="#fbf4e2" {}
            path d="M8 100h84" stroke=(ink) stroke-width="3" {}
        },
        Motif::Moon => html! {
            path d="M64 8a34 34 0 1 0 18 50A28 28 0 1 1 64 8z" fill=(ink) {}
            path d="M4 82q11-8 22 0t22 0 22 0 22 0M16 94q11-8 22 0t22 0 22 0" stroke=(ground) stroke-width="4" fill="none" {}
        },
        Motif::Smoke => html! {
            path d="M36 100c-22-22 22-36 4-58-8-11 0-22 8-30M62 100c-16-18 18-28 6-46-6-9-1-17 4-24" stroke=(ink) stroke-width="6" fill="none" stroke-linecap="round" {}
            path d="M18 100h64" stroke=(ink) stroke-width="5" {}
        },
        Motif::Rice => html! {
            path d="M50 100C50 70 46 44 30 20M50 100c0-30 6-52 24-72" stroke=(ink) stroke-width="3" fill="none" {}
            g fill=(ink) {
                @for (x, y, turn) in [(28, 14, -30), (22, 30, -70), (40, 30, 10), (28, 46, -75), (47, 46, 15), (76, 22, 35), (84, 36, 75), (66, 36, -5), (78, 52, 75), (58, 54, -10)] {
                    ellipse cx=(x) cy=(y) rx="4.5" ry="9" transform={"rotate(" (turn) " " (x) " " (y) ")"} {}
                }
            }
        },
        Motif::Flower => html! {
            path d="M50 100V50" stroke=(ink) stroke-width="4" {}
            path d="M50 92C34 92 24 84 18 72c18-2 28 4 32 20zM50 84c14 0 24-7 30-18-17-3-27 4-30 18z" fill=(ground) {}
            g fill=(ink) {
                @for turn in [0, 60, 120, 180, 240, 300] {
                    ellipse cx="50" cy="18" rx="8" ry="15" transform={"rotate(" (turn) " 50 36)"} {}
                }
            }
            circle cx="50" cy="36" r="7" fill="#fbf4e2" {}
        },
        Motif::Terraces => html! {
            circle cx="26" cy="22" r="13" fill=(ground) {}
            path d="M0 70 60 14l40 30v56H0z" fill=(ink) {}
            path d="M14 68q40-14 86-6M4 82q46-14 96-4M30 52q30-10 70 0" stroke="#fbf4e2" stroke-width="3" fill="none" {}
            path d="M0 92q25-8 50 0t50 0v8H0z" fill=(ground) {}
        },
        Motif::Waves => html! {
            circle cx="50" cy="36" r="22" fill=(ink) {}
            path d="M0 58h100v42H0z" fill="#fbf4e2" {}
            path d="M0 64q12.5-10 25 0t25 0 25 0 25 0M0 79q12.5-10 25 0t25 0 25 0 25 0M0 94q12.5-10 25 0t25 0 25 0 25 0" stroke=(ink) stroke-width="5" fill="none" {}
        },
        Motif::Sun => html! {
            g stroke=(ink) stroke-width="4" stroke-linecap="round" {
                @for turn in [-75, -50, -25, 0, 25, 50, 75] {
                    path d="M50 8v18" transform={"rotate(" (turn) " 50 66)"} {}
                }
            }
            path d="M20 66a30 30 0 0 1 60 0z" fill=(ground) {}
            path d="M0 68h100M6 80h88M16 92h68" stroke=(ink) stroke-width="4" {}
        },
        Motif::Grapes => html! {
            path d="M50 4v18" stroke=(ink) stroke-width="4" {}
            path d="M52 22c10-18 28-18 40-12-6 14-22 20-40 12z" fill=(ground) {}
            g fill=(ink) {
                @for (x, y) in [(23, 34), (41, 34), (59, 34), (77, 34), (32, 50), (50, 50), (68, 50), (41, 66), (59, 66), (50, 82)] {
                    circle cx=(x) cy=(y) r="8.5" {}
                }
            }
        },
        Motif::Volcano => html! {
            path d="M44 34c-14-10 8-16-2-30M56 34c12-8-2-14 6-24" stroke=(ground) stroke-width="5" fill="none" stroke-linecap="round" {}
            path d="M0 100 38 38q12 8 24 0l38 62z" fill=(ink) {}
            path d="M38 38q12 8 24 0l6 10-8 14-8-8-8 18-8-20z" fill=(disc) {}
        },
        Motif::Bubbles => html! {
            g fill="none" stroke=(ink) stroke-width="3.5" {
                @for (x, y, r) in [(50, 90, 5), (34, 78, 4), (62, 72, 7), (44, 58, 6), (70, 50, 4), (30, 46, 8), (54, 36, 9), (76, 28, 6), (38, 20, 5), (58, 10, 6)] {
                    circle cx=(x) cy=(y) r=(r) {}
                }
            }
            circle cx="20" cy="66" r="3" fill=(ink) {}
            circle cx="82" cy="68" r="3" fill=(ink) {}
            circle cx="18" cy="26" r="3" fill=(ink) {}
        },
    }
}
