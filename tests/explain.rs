//! Explanations of refused answers: that they say what the verifier says, how they look, and what they make of noise.

#[path = "explain/agreement.rs"]
mod agreement;
#[path = "explain/captured.rs"]
mod captured;
#[path = "explain/formats.rs"]
mod formats;
#[path = "explain/hostile.rs"]
mod hostile;
#[path = "explain/program.rs"]
mod program;
