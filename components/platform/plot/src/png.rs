//! Pictures as PNG: [`png()`] renders an SVG of this crate with a font that it brings along.

use resvg::{tiny_skia, usvg};
use std::sync::Arc;

/// Roboto, cut to Latin, Greek and Cyrillic letters, digits and signs (fonts/LICENSE.txt).
const FONTS: [&[u8]; 2] =
    [include_bytes!("../fonts/Roboto-Regular.ttf"), include_bytes!("../fonts/Roboto-Bold.ttf")];
/// Pixels for each unit of the SVG: sharp on paper and on fine screens.
const SCALE: f32 = 2.0;

/// There is no PNG.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// The SVG cannot be read.
    #[error("read the picture: {0}")]
    Svg(#[from] usvg::Error),
    /// It is larger than any picture may be.
    #[error("the picture is too large for a PNG")]
    TooLarge,
    /// The PNG cannot be written.
    #[error("write the picture as PNG: {0}")]
    Png(String),
}

/// The SVG as PNG, with two pixels for each of its units.
///
/// # Errors
/// When `svg` is none, or larger than a PNG can be.
pub fn png(svg: &str) -> Result<Vec<u8>, PngError> {
    let mut fonts = usvg::fontdb::Database::new();
    for font in FONTS {
        fonts.load_font_data(font.to_vec());
    }
    let options =
        usvg::Options { font_family: "Roboto".into(), fontdb: Arc::new(fonts), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size().scale_by(SCALE).ok_or(PngError::TooLarge)?;
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height()).ok_or(PngError::TooLarge)?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PngError::Png(error.to_string()))
}
