//! The assembly stage: from a prompt and its passages to the messages that the model sees.
//!
//! `stage` is what users see; `draft` is what there is to assemble, `render` writes a selection of it, `templates` and
//! `view` do so where the user has templates, and `budget` makes the selection.

mod budget;
mod draft;
mod render;
mod stage;
mod templates;
#[cfg(test)]
mod tests;
mod view;

pub use budget::Assembly;
pub use stage::AssembleStage;
pub use templates::TemplateError;
