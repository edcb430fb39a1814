//! Configuration: a spanned tree, sections that read themselves, and every error at once.
