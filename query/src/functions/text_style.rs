//! How the session writes values as text, on its way to functions: an extension of DataFusion's options.

use std::any::Any;

use datafusion::common::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::common::{Result as DfResult, plan_err};

use crate::pg_type::write::TextStyle;

/// The style inside the options.
#[derive(Clone, Debug)]
struct Style(TextStyle);

impl ConfigExtension for Style {
    const PREFIX: &'static str = "text_style";
}

impl ExtensionOptions for Style {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _: &str) -> DfResult<()> {
        plan_err!("text_style.{key} comes from the session")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

/// Leaves a session's style in the options of one query.
pub fn register(style: TextStyle, options: &mut ConfigOptions) {
    options.extensions.insert(Style(style));
}

/// The style of the session that a function runs for.
pub fn session_style(options: &ConfigOptions) -> TextStyle {
    options
        .extensions
        .get::<Style>()
        .map_or_else(TextStyle::default, |style| style.0)
}
